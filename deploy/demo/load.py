#!/usr/bin/python3
"""A load that counts exactly: connections that send one GET after the other, until the plugin's
header says the version that is waited for and a little longer.

Failed is whatever is not a whole answer with status 200 and the header. Exit status 1 if a
request failed or the version never came.

usage: load.py HOST PORT VERSION [--connections N] [--linger SECONDS] [--max SECONDS]"""
import argparse
import socket
import sys
import threading
import time


def clock(t):
    return time.strftime("%H:%M:%S", time.localtime(t)) + ".%03d" % (t % 1 * 1000)


class Load:
    def __init__(self, options):
        self.options = options
        self.request = f"GET / HTTP/1.1\r\nhost: {options.host}\r\n\r\n".encode()
        self.lock = threading.Lock()
        self.end = time.time() + options.max
        self.sent = self.failed = 0
        self.versions = {}  # version -> [count, first time, last time]
        self.reasons = {}

    def run(self):
        connection = None
        while time.time() < self.end:
            try:
                if not connection:
                    connection = Connection(self.options.host, self.options.port)
                version, reason = connection.ask(self.request), None
            except Exception as e:  # whatever it was, the request failed
                version, reason = None, f"{type(e).__name__}: {e}"
                if connection:
                    connection.close()
                connection = None
            self.note(version, reason)
        if connection:
            connection.close()

    def note(self, version, reason):
        now = time.time()
        with self.lock:
            self.sent += 1
            if reason:
                self.failed += 1
                self.reasons[reason] = self.reasons.get(reason, 0) + 1
                return
            row = self.versions.setdefault(version, [0, now, now])
            row[0] += 1
            row[2] = now
            if row[0] == 1 and version == self.options.version:
                self.end = min(self.end, now + self.options.linger)

    def watch(self, threads):
        began = last_time = time.time()
        last = 0
        while any(t.is_alive() for t in threads):
            for t in threads:
                t.join(1 / len(threads))
            if time.time() - last_time >= 1:
                with self.lock:
                    sent, failed = self.sent, self.failed
                    newest = max(self.versions, key=lambda v: self.versions[v][2], default="?")
                now = time.time()
                print(f"  {clock(now)}  {(sent - last) / (now - last_time):5.0f} requests/s, "
                      f"{failed} failed, version {newest}", flush=True)
                last, last_time = sent, now
        return time.time() - began

    def report(self, seconds):
        for version, (count, first, until) in sorted(self.versions.items(), key=lambda i: i[1][1]):
            print(f"  version {version}: {count} answers, first {clock(first)}, "
                  f"last {clock(until)}")
        for reason, count in sorted(self.reasons.items()):
            print(f"  failed {count} times: {reason}")
        print(f"  requests sent:   {self.sent} in {seconds:.1f} s")
        print(f"  requests failed: {self.failed}")
        if self.options.version in self.versions:
            print(f"  moment of the swap: {clock(self.versions[self.options.version][1])}")


class Connection:
    def __init__(self, host, port):
        self.socket = socket.create_connection((host, port), timeout=10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.data = b""

    def close(self):
        self.socket.close()

    def fill(self):
        more = self.socket.recv(65536)
        if not more:
            raise EOFError("connection closed before the answer's end")
        self.data += more

    def ask(self, request):
        """The plugin's version."""
        self.socket.sendall(request)
        while b"\r\n\r\n" not in self.data:
            self.fill()
        head, _, self.data = self.data.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        if not lines[0].startswith("HTTP/1.1 200"):
            raise ValueError(lines[0])
        fields = {k.lower(): v.strip() for k, v in (line.split(":", 1) for line in lines[1:])}
        length = int(fields["content-length"])
        while len(self.data) < length:
            self.fill()
        self.data = self.data[length:]
        if "x-plugin-version" not in fields:
            raise ValueError("answered without the plugin's header")
        return fields["x-plugin-version"]


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    p.add_argument("host")
    p.add_argument("port", type=int)
    p.add_argument("version", help="the version to wait for")
    p.add_argument("--connections", type=int, default=8)
    p.add_argument("--linger", type=float, default=2, help="seconds to go on after it came")
    p.add_argument("--max", type=float, default=30, help="seconds at most")
    options = p.parse_args()
    load = Load(options)
    threads = [threading.Thread(target=load.run, daemon=True) for _ in range(options.connections)]
    for t in threads:
        t.start()
    load.report(load.watch(threads))
    sys.exit(0 if not load.failed and options.version in load.versions else 1)


if __name__ == "__main__":
    main()
