#!/usr/bin/python3
"""The xDS transport against a control plane that does not use our codec: one case for each rule of
the protocol, most of them in both variants.

usage: test_ads.py ADS_TOOL [CASE]"""
import os
import queue
import subprocess
import sys
import threading
import time
import traceback

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../fake"))
from control_plane import Server  # noqa: E402
from resources import URLS, Messages  # noqa: E402

TOOL = sys.argv[1]
MESSAGES = Messages()
WAIT = 20  # seconds; how long something expected may take
QUIET = 0.3  # seconds in which nothing may come


def cluster(name, seconds=1):
    return {"@type": URLS["cds"], "name": name, "connect_timeout": f"{seconds}s"}


def listener(name):
    return {"@type": URLS["lds"], "name": name}


def endpoints(name):
    return {"@type": URLS["eds"], "cluster_name": name}


def extension(name, value="x"):
    return {"@type": URLS["ecds"], "name": name, "typed_config": {
        "@type": "type.googleapis.com/google.protobuf.StringValue", "value": value}}


class Client:
    """The tool under test."""

    def __init__(self, target, kind, *options):
        self.process = subprocess.Popen([TOOL, target, kind, *options], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, bufsize=1)
        self.lines = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(line.strip())

    def tell(self, *commands):
        """All in one write, so that they are carried out in one turn of the loop."""
        self.process.stdin.write("".join(c + "\n" for c in commands))
        self.process.stdin.flush()

    def expect(self, start):
        """The next line must begin so."""
        line = self.lines.get(timeout=WAIT)
        assert line.startswith(start), f"expected '{start}', got '{line}'"
        return line

    def expect_update(self, kind, *items, what=None):
        """Returns the ticket."""
        while True:
            line = self.lines.get(timeout=WAIT)
            if not line.startswith(("connected", "lost")):
                break
        words = line.split()
        assert words[:2] == ["update", kind], f"expected update {kind}, got '{line}'"
        assert what in (None, words[3]), line
        got = sorted(w.split("@")[0] for w in words[5:])
        assert got == sorted(items), f"{got} instead of {sorted(items)}"
        return words[2]

    def expect_nothing(self):
        try:
            line = self.lines.get(timeout=QUIET)
        except queue.Empty:
            return
        raise AssertionError(f"unexpected: {line}")

    def end(self):
        self.tell("quit")
        code = self.process.wait(timeout=WAIT)
        assert code == 0, f"exit code {code}"


class Case:
    """A server, a client and a place in the server's record."""

    def __init__(self, kind, *options):
        self.kind = kind
        self.is_delta = kind == "delta"
        self.server = Server(MESSAGES, say=lambda text: None)
        self.port = self.server.start("127.0.0.1:0")
        self.seen = 0
        self.client = Client(f"127.0.0.1:{self.port}", kind, *options)

    def have(self, *documents):
        import json
        self.server.set(json.dumps(list(documents)))

    def row(self, event, **fields):
        """The next row of the record of this event must have these fields."""
        until = time.monotonic() + WAIT
        while time.monotonic() < until:
            with self.server.lock:
                rows = self.server.rows[self.seen:]
            for row in rows:
                self.seen += 1
                if row["event"] == event:
                    for key, value in fields.items():
                        assert row.get(key) == value, f"{key} is not {value!r} in {row}"
                    return row
            time.sleep(0.01)
        raise AssertionError(f"no {event} {fields}")

    def request(self, kind, **fields):
        return self.row("request", type=kind, **fields)

    def subscription(self, kind, names, first=False, **fields):
        """A request that asks for names; with state of the world, for these in all."""
        if self.is_delta:
            fields.pop("version", None)
            return self.request(kind, subscribe=sorted(names), nonce="", error=None, **fields)
        fields = {k: v for k, v in fields.items() if k not in ("initial", "unsubscribe")}
        row = self.request(kind, names=sorted(names), error=None, **fields)
        assert bool(row["nonce"]) != first, row
        return row

    def ack(self, kind, version=None):
        row = self.request(kind, error=None, stale=False)
        assert row["nonce"], row
        if self.is_delta:
            assert not row["subscribe"] and not row["unsubscribe"] and not row["initial"], row
        elif version:
            assert row["version"] == version, row
        return row

    def nack(self, kind, text=None, version=None):
        row = self.request(kind)
        assert row["nonce"] and row["error"], row
        assert row["error"]["code"] == 13, row
        assert text is None or text in row["error"]["message"], row
        if self.is_delta:
            assert not row["subscribe"] and not row["unsubscribe"] and not row["initial"], row
        elif version is not None:
            assert row["version"] == version, row
        return row

    def no_request(self, seconds=QUIET):
        time.sleep(seconds)
        with self.server.lock:
            rest = [r for r in self.server.rows[self.seen:] if r["event"] == "request"]
        assert not rest, f"unexpected: {rest}"

    def end(self):
        try:
            self.client.end()
        finally:
            self.client.process.kill()
            self.server.stop()


CASES = []


def case(*kinds, options=()):
    def add(fn):
        for kind in kinds or ("sotw", "delta"):
            CASES.append((f"{fn.__name__} ({kind})", kind, options, fn))
        return fn
    return add


# ---- subscriptions and ACKs ----

@case()
def wildcard_and_ack(c):
    c.have(cluster("a"), cluster("b"))
    c.client.tell("want_all CDS")
    c.subscription("cds", [], first=True, node="test-node", version="", initial={})
    c.client.expect("connected")
    c.client.expect_update("CDS", "+a", "+b", what="partial" if c.is_delta else "complete")
    c.ack("cds", version="v1")
    c.no_request()


def main():
    only = sys.argv[2] if len(sys.argv) > 2 else ""
    failed = 0
    chosen = [x for x in CASES if only in x[0]]
    print(f"1..{len(chosen)}")
    for number, (name, kind, options, fn) in enumerate(chosen, 1):
        c = Case(kind, *options)
        try:
            try:
                fn(c)
            finally:
                c.end()
            print(f"ok {number} - {name}", flush=True)
        except Exception:
            failed += 1
            print(f"not ok {number} - {name}")
            print("# " + traceback.format_exc().replace("\n", "\n# "), flush=True)
    sys.exit(1 if failed else 0)


main()
