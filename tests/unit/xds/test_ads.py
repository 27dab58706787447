#!/usr/bin/python3
"""The xDS transport against a control plane that does not use our codec: one case for each rule of
the protocol, most of them in both variants.

usage: test_ads.py ADS_TOOL [CASE]"""
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from concurrent import futures

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

    def expect_update(self, kind, *items, what=None, full=False):
        """Returns the ticket, or all words."""
        while True:
            line = self.lines.get(timeout=WAIT)
            if not line.startswith(("connected", "lost")):
                break
        words = line.split()
        assert words[:2] == ["update", kind], f"expected update {kind}, got '{line}'"
        assert what in (None, words[3]), line
        got = sorted(w.split("@")[0] for w in words[5:])
        assert got == sorted(items), f"{got} instead of {sorted(items)}"
        return words if full else words[2]

    def expect_lost(self, start):
        while True:
            line = self.lines.get(timeout=WAIT)
            if not line.startswith("update"):
                break
        assert line.startswith("lost " + start), line

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
        self.seen = 0
        self.folder = tempfile.TemporaryDirectory()
        path = f"unix:{self.folder.name}/xds"
        self.port = self.server.start(path if "unix" in options else "127.0.0.1:0")
        if "no_server" in options:
            self.server.stop()
        target = path if "unix" in options else f"127.0.0.1:{self.port}"
        if "second" in options:
            target = f"unix:{self.folder.name}/nobody|{target}"
        self.client = Client(target, kind, *options)

    def have(self, *documents):
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
            self.folder.cleanup()


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


@case()
def initial_metadata_is_sent(c):
    c.client.tell("want_all CDS")
    row = c.row("open")
    assert row["metadata"].get("x-test") == "1", row


@case()
def wants_of_one_turn_are_one_request(c):
    c.have(endpoints("x"), endpoints("y"))
    c.client.tell("want EDS x", "want EDS y", "want EDS x")
    c.subscription("eds", ["x", "y"], first=True)
    c.client.expect_update("EDS", "+x", "+y", what="partial")
    c.ack("eds")
    c.no_request()


@case()
def later_wants(c):
    c.have(endpoints("x"), endpoints("y"), endpoints("z"))
    c.client.tell("want EDS x")
    c.subscription("eds", ["x"], first=True)
    c.client.expect_update("EDS", "+x")
    c.ack("eds")
    c.client.tell("want EDS y", "want EDS z")
    c.subscription("eds", ["y", "z"] if c.is_delta else ["x", "y", "z"], unsubscribe=[],
                   initial={}, stale=False, version="v1")
    c.client.expect_update("EDS", *(["+y", "+z"] if c.is_delta else ["+x", "+y", "+z"]))
    c.ack("eds")
    c.no_request()


@case()
def unwant_counts(c):
    c.have(endpoints("x"), endpoints("y"))
    c.client.tell("want EDS x", "want EDS x", "want EDS y")
    c.subscription("eds", ["x", "y"], first=True)
    c.ack("eds")
    c.client.tell("unwant EDS x")
    c.no_request()
    c.client.tell("unwant EDS x")
    c.subscription("eds", [] if c.is_delta else ["y"], unsubscribe=["x"], stale=False)


@case()
def changes_that_cancel_out_are_not_sent(c):
    c.have(endpoints("x"))
    c.client.tell("want EDS x")
    c.subscription("eds", ["x"], first=True)
    c.ack("eds")
    c.client.tell("want EDS y", "unwant EDS x", "unwant EDS y", "want EDS x")
    c.no_request()


@case()
def nothing_wanted_is_not_asked_for(c):
    c.client.tell("want EDS x", "unwant EDS x", "want_all CDS")
    c.subscription("cds", [], first=True)
    c.no_request()


@case()
def types_have_nonces_of_their_own(c):
    c.have(cluster("a"), listener("l"))
    c.client.tell("want_all CDS", "want_all LDS")
    c.subscription("cds", [], first=True)
    c.subscription("lds", [], first=True)
    rows = [c.request("cds", stale=False), c.request("lds", stale=False)]
    assert rows[0]["nonce"] != rows[1]["nonce"]
    c.have(listener("m"))
    c.ack("lds", version="v2")
    c.no_request()


@case("sotw")
def acks_are_bare_sotw(c):
    """While an answer is pending a subscription change waits: its nonce would be an ACK."""
    c.have(endpoints("x"), endpoints("y"))
    c.client.tell("mode hold", "want EDS x")
    c.subscription("eds", ["x"], first=True)
    ticket = c.client.expect_update("EDS", "+x")
    c.client.tell("want EDS y")
    c.no_request()
    c.client.tell(f"answer {ticket}")
    ack = c.ack("eds", version="v1")
    assert ack["names"] == ["x"], ack
    row = c.subscription("eds", ["x", "y"], version="v1", stale=False)
    assert row["nonce"] == ack["nonce"]


@case("delta")
def acks_are_bare_delta(c):
    c.have(endpoints("x"), endpoints("y"))
    c.client.tell("mode hold", "want EDS x")
    c.subscription("eds", ["x"], first=True)
    first = c.client.expect_update("EDS", "+x")
    c.client.tell("want EDS y")
    c.subscription("eds", ["y"])
    second = c.client.expect_update("EDS", "+y")
    c.client.tell(f"answer {first}", f"answer {second}")
    c.request("eds", error=None, subscribe=[], unsubscribe=[])
    c.ack("eds")


@case("sotw", "delta", options=["node_once"])
def node_on_first_message_only(c):
    c.have(cluster("a"), listener("l"))
    c.client.tell("want_all CDS", "want_all LDS")
    c.request("cds", node="test-node")
    # The incremental protocol's messages carry it always.
    for kind in ["lds", "cds", "lds"]:
        c.request(kind, node="test-node" if c.is_delta else None)
    c.server.drop()
    c.request("cds", node="test-node")


@case()
def times_to_live(c):
    """Versions of heartbeats are the resource's, or (state of the world) the response's."""
    c.have(cluster("a"), cluster("b"))
    c.client.tell("want_all CDS")
    c.subscription("cds", [], first=True)
    c.client.expect_update("CDS", "+a", "+b")
    c.ack("cds")
    c.server.raw("cds", [cluster("a")], ttl=1.5)
    words = c.client.expect_update("CDS", "+a", what="partial" if c.is_delta else "complete",
                                   full=True)
    assert [w for w in words if w.startswith("+a@") and w.endswith("~1500")], words
    c.ack("cds")
    c.server.raw("cds", [cluster("a")], ttl=2, heartbeat=True)
    words = c.client.expect_update("CDS", "*a", what="partial", full=True)
    version = [w for w in words if w.startswith("*a@")][0][3:].split("~")
    assert version[1] == "2000" and (c.is_delta or version[0] == "v1"), words
    c.ack("cds")
    c.server.raw("cds", [cluster("a")], heartbeat=True)
    words = c.client.expect_update("CDS", "*a", what="partial", full=True)
    assert words[-1].endswith("~0"), words
    c.ack("cds")
    c.server.raw("cds", [cluster("a")], ttl=-1)
    c.nack("cds", "a: decode: ttl: negative duration")
    c.server.raw("cds", [cluster("a"), cluster("a")], heartbeat=True)
    c.nack("cds", "a: validate: duplicate name in one response")


@case()
def node_in_every_message(c):
    c.have(cluster("a"))
    c.client.tell("want_all CDS")
    c.request("cds", node="test-node")
    c.request("cds", node="test-node")


# ---- NACKs ----

@case()
def nack_keeps_the_version(c):
    c.client.tell("mode nack a: validate: wrong", "want_all CDS")
    c.subscription("cds", [], first=True)
    c.have(cluster("a"))
    c.nack("cds", "a: validate: wrong", version="")
    c.client.tell("mode ack")
    time.sleep(0.1)
    c.have(cluster("b"))
    c.ack("cds", version="v2")
    c.client.tell("mode nack c: validate: wrong")
    time.sleep(0.1)
    c.have(cluster("c"))
    c.nack("cds", "c: validate: wrong", version="v2")
    c.no_request()


@case()
def same_bytes_after_a_nack_are_answered_slowly(c):
    c.client.tell("mode nack no", "want_all CDS")
    c.subscription("cds", [], first=True)
    c.server.set_resend_refused(True)
    c.have(cluster("a"))
    times = [c.nack("cds", "no")["time"] for _ in range(4)]
    gaps = [b - a for a, b in zip(times, times[1:])]
    for gap, least in zip(gaps, [0.5, 1, 2]):
        assert least - 0.05 <= gap < 2 * least + 1, gaps
    # Other bytes are answered at once, and start over.
    start = time.monotonic()
    c.server.set_resend_refused(False)
    c.have(cluster("a", 2))
    while c.request("cds")["nonce"] == "":
        pass
    assert time.monotonic() - start < 5
    c.client.tell("mode ack")
    time.sleep(0.1)
    c.have(cluster("a", 3))
    c.ack("cds")


@case()
def same_bytes_that_are_accepted_now_are_answered_at_once(c):
    c.client.tell("mode nack no", "want_all CDS")
    c.subscription("cds", [], first=True)
    c.have(cluster("a"))
    before = c.nack("cds", "no")["time"]
    c.client.tell("mode ack")
    time.sleep(0.1)
    c.server.resend("cds")
    assert c.ack("cds")["time"] - before < 0.45


@case()
def subscription_changes_do_not_repeat_a_refusal(c):
    """A held-back NACK goes out once, whatever is wanted meanwhile."""
    c.have(extension("x"), extension("y"))
    c.client.tell("mode nack no", "want ECDS x")
    c.subscription("ecds", ["x"], first=True)
    first = c.nack("ecds", "no")
    c.server.resend("ecds")
    time.sleep(0.1)
    c.client.tell("want ECDS y")
    if c.is_delta:
        c.subscription("ecds", ["y"])
        # What comes for y is refused at once, and overtakes what is held back.
        rows = [c.nack("ecds"), c.nack("ecds")]
        assert rows[0]["nonce"] > rows[1]["nonce"] > first["nonce"], rows
    else:
        c.nack("ecds", "no")
        c.subscription("ecds", ["x", "y"], version="")
        c.nack("ecds", "no")
    c.no_request(0.8)


@case()
def late_nack(c):
    c.client.tell("late ECDS nothing was delivered", "want ECDS x")
    c.subscription("ecds", ["x"], first=True)
    if c.is_delta:
        c.ack("ecds")  # x does not exist
    else:
        c.client.tell("late ECDS still nothing")
    c.no_request()
    c.have(extension("x"))
    ack = c.ack("ecds", version="v1")
    c.client.tell("late LDS not this type", "late ECDS x: start: trapped", "late ECDS y: run: too")
    row = c.nack("ecds", "x: start: trapped; y: run: too", version="v1")
    assert row["nonce"] == ack["nonce"]
    c.no_request()
    # The same again is now a repetition.
    c.client.tell("mode nack x: start: trapped")
    time.sleep(0.1)
    start = time.monotonic()
    c.server.resend("ecds")
    c.nack("ecds", "x: start: trapped", version="v1")
    assert time.monotonic() - start > 0.45


@case()
def late_nack_waits_for_the_pending_answer(c):
    c.have(extension("x"))
    c.client.tell("want ECDS x")
    c.subscription("ecds", ["x"], first=True)
    c.client.expect_update("ECDS", "+x")
    c.ack("ecds", version="v1")
    c.client.tell("mode hold")
    time.sleep(0.1)
    c.have(extension("x", "y"))
    ticket = c.client.expect_update("ECDS", "+x")
    c.client.tell("late ECDS x: run: trapped")
    c.no_request()
    c.client.tell(f"answer {ticket}")
    nonce = c.ack("ecds", version="v2")["nonce"]
    assert c.nack("ecds", "x: run: trapped", version="v2")["nonce"] == nonce


@case()
def late_nack_on_a_new_stream_needs_a_delivery(c):
    c.have(extension("x"))
    c.client.tell("want ECDS x")
    c.subscription("ecds", ["x"], first=True)
    c.ack("ecds")
    c.server.drop()
    c.row("close")
    c.request("ecds", nonce="", error=None)
    c.client.tell("late ECDS x: run: trapped")
    c.no_request()


@case()
def each_response_is_answered_once(c):
    c.have(cluster("a"))
    c.client.tell("mode hold", "want_all CDS")
    c.subscription("cds", [], first=True)
    first = c.client.expect_update("CDS", "+a")
    c.have(cluster("b"))
    second = c.client.expect_update("CDS", "+b", *([] if c.is_delta else ["+a"]))
    c.client.tell(f"answer {second}", f"answer {second}", f"answer {first}",
                  f"answer {second} no", "answer 999")
    newer = c.ack("cds", version="v2")
    older = c.request("cds", error=None, stale=True)
    assert newer["nonce"] != older["nonce"]
    c.no_request()
    # The older answer did not take the version back.
    c.client.tell("late CDS b: bind: in use")
    assert c.nack("cds", version="v2")["nonce"] == newer["nonce"]


@case()
def detail_is_utf8_and_bounded(c):
    c.have(cluster("a"))
    c.client.process.stdin.flush()
    os.write(c.client.process.stdin.fileno(),
             b"mode nack a\xff\xc3\xa4\xed\xa0\x80b" + b"x" * 40000 + b"\nwant_all CDS\n")
    c.subscription("cds", [], first=True)
    text = c.nack("cds", "a?\u00e4???bxxx")["error"]["message"]
    assert 16000 < len(text.encode()) < 17000 and text.endswith("..."), len(text)


# ---- what the transport itself refuses ----

@case()
def duplicate_names_are_refused(c):
    c.client.tell("want_all CDS")
    c.subscription("cds", [], first=True)
    c.server.raw("cds", [cluster("twice"), cluster("once"), cluster("twice", 2)], version="v9")
    c.nack("cds", "twice: validate: duplicate", version="")
    c.client.expect("connected")
    c.client.expect_nothing()


@case("delta")
def a_name_added_and_removed_is_refused(c):
    c.client.tell("want_all CDS")
    c.subscription("cds", [], first=True)
    c.server.raw("cds", [cluster("a")], removed=["a"])
    c.nack("cds", "a: validate: duplicate")


@case()
def wrong_type_inside_is_refused(c):
    c.client.tell("want_all CDS")
    c.subscription("cds", [], first=True)
    c.server.raw("cds", [cluster("a")], inner_url=URLS["lds"], version="v9")
    c.nack("cds", "envoy.config.listener.v3.Listener", version="")
    c.client.expect("connected")
    c.client.expect_nothing()


@case()
def unknown_type_is_ignored(c):
    c.client.tell("want_all CDS")
    c.subscription("cds", [], first=True)
    c.server.raw("type.googleapis.com/no.such.Type", [cluster("a")])
    c.no_request()
    c.have(cluster("b"))
    c.ack("cds")


@case()
def a_type_that_was_not_asked_for_is_ignored(c):
    c.client.tell("want_all CDS")
    c.subscription("cds", [], first=True)
    c.server.raw("lds", [listener("l")])
    c.no_request()
    c.client.expect("connected")
    c.client.expect_nothing()


@case()
def garbage_ends_the_stream(c):
    c.client.tell("want_all CDS")
    c.subscription("cds", [], first=True)
    c.server.garbage("ffffffff")
    c.client.expect_lost("undecodable response")
    c.subscription("cds", [], first=True)
    c.have(cluster("a"))
    c.ack("cds")


@case()
def garbage_with_a_nonce_is_refused(c):
    c.client.tell("want_all CDS")
    c.subscription("cds", [], first=True)
    # type_url (4), nonce (5), and a version_info that is not UTF-8 (1)
    url = URLS["cds"].encode()
    message = b"\x22" + bytes([len(url)]) + url + b"\x2a\x02n1" + b"\x0a\x01\xff"
    c.server.garbage(message.hex())
    row = c.nack("cds", "decode:", version="")
    assert row["nonce"] == "n1", row


@case("sotw")
def a_payload_without_a_name_is_refused(c):
    c.client.tell("want_all CDS")
    c.subscription("cds", [], first=True)
    # A resource whose payload is cut off within its name.
    url = URLS["cds"].encode()
    payload = b"\x0a\x05ab"
    packed = b"\x0a" + bytes([len(url)]) + url + b"\x12" + bytes([len(payload)]) + payload
    message = (b"\x0a\x02v7\x12" + bytes([len(packed)]) + packed + b"\x22" + bytes([len(url)]) + url
               + b"\x2a\x02n1")
    c.server.garbage(message.hex())
    assert c.nack("cds", "resources[0]: decode:", version="")["nonce"] == "n1"


# ---- what is handed on ----

@case()
def removal(c):
    c.have(cluster("a"), cluster("b"))
    c.client.tell("want_all CDS")
    c.client.expect_update("CDS", "+a", "+b")
    c.server.remove("cds", ["a"])
    c.client.expect_update("CDS", *(["-a"] if c.is_delta else ["+b"]),
                           what="partial" if c.is_delta else "complete")
    c.server.remove("cds", ["b"])
    c.client.expect_update("CDS", *(["-b"] if c.is_delta else []))
    for _ in range(4):
        c.request("cds", error=None)
    c.no_request()


@case("delta")
def missing_resources_come_as_removed(c):
    c.client.tell("want ECDS x")
    c.client.expect_update("ECDS", "-x")
    c.subscription("ecds", ["x"], first=True)
    c.ack("ecds")


@case("sotw")
def partial_answers_remove_nothing(c):
    c.have(endpoints("x"))
    c.client.tell("want EDS x", "want EDS y")
    c.client.expect_update("EDS", "+x", what="partial")
    c.subscription("eds", ["x", "y"], first=True)
    c.ack("eds")
    c.server.raw("eds", [], version="v8")
    c.client.expect_update("EDS", what="partial")
    c.ack("eds", version="v8")


@case()
def what_was_not_asked_for_is_left_out(c):
    c.client.tell("want EDS x")
    c.subscription("eds", ["x"], first=True)
    if c.is_delta:
        c.ack("eds")
        c.client.expect_update("EDS", "-x")
    c.server.raw("eds", [endpoints("x"), endpoints("y")])
    c.client.expect_update("EDS", "+x", *[])


@case("sotw")
def resources_in_wrappers(c):
    c.client.tell("want_all CDS", "want EDS e")
    c.subscription("cds", [], first=True)
    c.subscription("eds", ["e"], first=True)
    c.server.raw("cds", [cluster("a"), cluster("b")], wrap=True, version="v3")
    c.client.expect_update("CDS", "+a", "+b")
    c.ack("cds", version="v3")
    c.server.raw("cds", [cluster("a")], wrap=True, inner_url=URLS["lds"], version="v4")
    c.nack("cds", "Listener", version="v3")


@case("sotw")
def response_nobody_waits_for_sotw(c):
    c.have(endpoints("x"))
    c.client.tell("want EDS x")
    c.subscription("eds", ["x"], first=True)
    c.ack("eds", version="v1")
    c.client.tell("unwant EDS x")
    c.subscription("eds", [])
    c.client.expect_update("EDS", "+x")
    # Empty: taken note of, silently.
    c.server.raw("eds", [], version="v7")
    c.no_request()
    # Not empty: refused by its nonce, without a reason.
    c.server.raw("eds", [endpoints("x")], version="v8")
    c.request("eds", error=None, version="v7", names=[], stale=False)
    # The next wants carry what was noted.
    c.client.tell("want EDS x")
    c.subscription("eds", ["x"], version="v7", stale=False)


@case("delta")
def response_nobody_waits_for_delta(c):
    c.have(endpoints("x"))
    c.client.tell("want EDS x")
    c.subscription("eds", ["x"], first=True)
    c.ack("eds")
    c.client.tell("unwant EDS x")
    c.subscription("eds", [], unsubscribe=["x"])
    c.client.expect_update("EDS", "+x")
    c.server.raw("eds", [endpoints("x")])
    c.ack("eds")
    c.client.expect_nothing()


@case()
def empty_versions(c):
    c.server.has_empty_versions = True
    c.have(cluster("a"))
    c.client.tell("want_all CDS")
    c.client.expect_update("CDS", "+a")
    c.request("cds")
    c.ack("cds")
    c.server.drop()
    if c.is_delta:
        c.subscription("cds", [], initial={"a": ""})
    else:
        c.request("cds", nonce="", version="v1")


# ---- streams ----

@case()
def reconnect(c):
    c.have(cluster("a"), endpoints("x"), endpoints("y"), listener("l"))
    c.client.tell("want_all CDS", "want EDS x", "want EDS y")
    c.client.expect_update("CDS", "+a")
    c.client.expect_update("EDS", "+x", "+y")
    c.client.tell("want_all LDS")
    c.client.expect_update("LDS", "+l")
    c.client.tell("unwant EDS y")
    while c.row("request")["type"] != "lds":
        pass
    c.ack("lds")
    c.request("eds")
    c.server.drop()
    c.client.expect_lost("14")
    c.row("open")
    version = {kind: {n: r.version for n, r in c.server.of_type(URLS[kind]).items()}
               for kind in ["cds", "eds", "lds"]}
    # In the order of first subscription; y is held and not wanted.
    for kind, names in [("cds", []), ("eds", ["x"]), ("lds", [])]:
        if c.is_delta:
            held = {n: v for n, v in version[kind].items() if n != "y"}
            c.request(kind, nonce="", subscribe=names, unsubscribe=[], initial=held)
        else:
            c.request(kind, nonce="", names=names, version="v1", error=None)
    # The server has nothing new: the connection is told by itself.
    c.client.expect("connected")
    c.have(cluster("b"))
    c.client.expect_update("CDS", *(["+b"] if c.is_delta else ["+a", "+b"]))
    c.ack("cds")


@case()
def what_was_refused_is_not_held(c):
    c.have(cluster("a"))
    c.client.tell("mode nack no", "want_all CDS")
    c.request("cds")
    c.nack("cds")
    c.server.drop()
    c.subscription("cds", [], first=True, initial={}, version="")


@case()
def answers_for_a_lost_stream(c):
    c.have(cluster("a"))
    c.client.tell("mode hold", "want_all CDS")
    old = c.client.expect_update("CDS", "+a")
    c.request("cds")
    c.server.drop()
    c.subscription("cds", [], first=True, version="")
    c.client.expect_update("CDS", "+a")
    c.client.tell(f"answer {old}")
    c.no_request()
    c.server.drop()
    # With state of the world the ACK counts all the same.
    c.subscription("cds", [], first=True, version="v1")


@case()
def held_back_nacks_die_with_their_stream(c):
    c.have(cluster("a"))
    c.client.tell("mode nack no", "want_all CDS")
    c.request("cds")
    c.nack("cds")
    c.server.resend("cds")
    time.sleep(0.1)
    c.server.drop()
    c.subscription("cds", [], first=True)
    row = c.nack("cds")
    assert row["stream"] == 2 and not row["stale"], row
    c.no_request(1.0)


@case()
def wants_while_disconnected_are_kept(c):
    c.have(cluster("a"), listener("l"))
    c.client.tell("want_all CDS")
    c.client.expect_update("CDS", "+a")
    c.server.stop()
    c.client.expect("lost")
    c.client.tell("want_all LDS")
    c.server.start(f"127.0.0.1:{c.port}")
    while c.row("request")["type"] != "lds":
        pass
    c.ack("lds")


@case("sotw", options=["no_server"])
def backoff(c):
    """Attempts come with full jitter below 0.5, 1, 2, 4 s: a few in three seconds, not many."""
    until = time.monotonic() + 3
    attempts = 0
    while (rest := until - time.monotonic()) > 0:
        try:
            line = c.client.lines.get(timeout=rest)
        except queue.Empty:
            break
        assert line.startswith("lost 14"), line
        attempts += 1
    assert 2 <= attempts <= 20, attempts


@case(options=["unix"])
def over_a_unix_socket(c):
    c.have(cluster("a"))
    c.client.tell("want_all CDS")
    c.client.expect("connected")
    c.client.expect_update("CDS", "+a")


@case()
def messages_above_the_library_default(c):
    c.have({**listener("l"), "stat_prefix": "x" * (6 << 20)})
    c.client.tell("want_all LDS")
    c.client.expect_update("LDS", "+l")


@case()
def many_names(c):
    names = [f"outbound|80||service-{i}.default.svc.cluster.local" for i in range(3000)]
    c.have(*[endpoints(n) for n in names])
    c.client.tell(*[f"want EDS {n}" for n in names])
    missing = set(names)
    while missing:
        words = c.client.lines.get(timeout=WAIT).split()
        missing -= {w[1:].split("@")[0] for w in words if w.startswith("+")}


# ---- servers ----

def own(kind, sotw, delta):
    @case(options=("own", kind.upper()))
    def a_stream_of_its_own(c):
        c.client.tell(f"want {kind.upper()} x")
        row = c.row("open")
        assert row["method"].endswith(delta if c.is_delta else sotw), row
        c.subscription(kind, ["x"], first=True)


own("cds", "ClusterDiscoveryService/StreamClusters", "ClusterDiscoveryService/DeltaClusters")
own("eds", "EndpointDiscoveryService/StreamEndpoints", "EndpointDiscoveryService/DeltaEndpoints")
own("lds", "ListenerDiscoveryService/StreamListeners", "ListenerDiscoveryService/DeltaListeners")
own("rds", "RouteDiscoveryService/StreamRoutes", "RouteDiscoveryService/DeltaRoutes")
own("sds", "SecretDiscoveryService/StreamSecrets", "SecretDiscoveryService/DeltaSecrets")
own("rtds", "RuntimeDiscoveryService/StreamRuntime", "RuntimeDiscoveryService/DeltaRuntime")
own("srds", "ScopedRoutesDiscoveryService/StreamScopedRoutes",
    "ScopedRoutesDiscoveryService/DeltaScopedRoutes")
own("ecds", "ExtensionConfigDiscoveryService/StreamExtensionConfigs",
    "ExtensionConfigDiscoveryService/DeltaExtensionConfigs")


@case(options=("second",))
def the_next_host_when_one_is_silent(c):
    c.have(cluster("a"))
    c.client.tell("want_all CDS")
    c.subscription("cds", [], first=True)
    c.client.expect_update("CDS", "+a")
    c.ack("cds")


def run(kind, options, fn):
    """The failure's text, or nothing."""
    try:
        c = Case(kind, *options)
        try:
            fn(c)
        finally:
            c.end()
    except Exception:
        return traceback.format_exc()
    return None


def main():
    only = sys.argv[2] if len(sys.argv) > 2 else ""
    chosen = [x for x in CASES if only in x[0]]
    failed = 0
    print(f"1..{len(chosen)}")
    # Most of a case's time is waiting for what must not come.
    with futures.ThreadPoolExecutor(6) as pool:
        results = [pool.submit(run, kind, options, fn) for _, kind, options, fn in chosen]
        for number, (result, (name, _, _, _)) in enumerate(zip(results, chosen), 1):
            text = result.result()
            failed += text is not None
            print(f"{'not ok' if text else 'ok'} {number} - {name}", flush=True)
            if text:
                print("# " + text.replace("\n", "\n# "), flush=True)
    sys.exit(1 if failed else 0)


main()
