"""What flow tests share: a Remora process on ports of its own, origins, raw HTTP.

A test is a script with functions named test_*; main() runs them in order and prints one line
each. REMORA names the binary (default: build/remora)."""
import contextlib
import itertools
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BINARY = os.environ.get("REMORA", os.path.join(TOP, "build", "remora"))
HCM = ("type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3."
       "HttpConnectionManager")
TCP = "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"
ROUTER = {"name": "envoy.filters.http.router", "typed_config": {
    "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}


class Skip(Exception):
    """The reason is printed."""


# Below the ports that connections are given (net.ipv4.ip_local_port_range), else one of them might
# take what was free a moment ago.
ports = itertools.cycle(range(10000, 32000))
for _ in range(random.randrange(22000)):
    next(ports)


def free_port():
    for port in itertools.islice(ports, 22000):
        with contextlib.suppress(OSError), socket.socket() as s:
            s.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")


def wait_for(what, check, seconds=10.0, step=0.02):
    end = time.monotonic() + seconds
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError("waited %gs for %s" % (seconds, what))
        time.sleep(step)


# ---- configuration ----

def address(port, host="127.0.0.1"):
    return {"socket_address": {"address": host, "port_value": port}}


def cluster(name, ports, **more):
    c = {"name": name, "type": "STATIC", "connect_timeout": "1s", "load_assignment": {
        "cluster_name": name, "endpoints": [{"lb_endpoints": [
            {"endpoint": {"address": address(p)}} for p in ports]}]}}
    c.update(more)
    return c


def hcm(routes=None, filters=(), hosts=None, **more):
    conf = {"@type": HCM, "stat_prefix": "in", "http_filters": list(filters) + [ROUTER]}
    if routes is not None or hosts is not None:
        conf["route_config"] = {"name": "r", "virtual_hosts": hosts or [
            {"name": "v", "domains": ["*"], "routes": routes}]}
    conf.update(more)
    return {"name": "hcm", "typed_config": conf}


def route(prefix, to, **more):
    return {"match": {"prefix": prefix}, "route": dict({"cluster": to}, **more)}


def tcp_proxy(to, **more):
    return {"name": "tcp", "typed_config": dict({"@type": TCP, "stat_prefix": "t", "cluster": to},
                                                **more)}


def listener(name, port, filters, **more):
    return dict({"name": name, "address": address(port), "filter_chains": [{"filters": filters}]},
                **more)


# ---- processes ----

class Remora:
    """A running proxy. config: bootstrap as a dict; admin is added."""

    def __init__(self, config, args=(), concurrency=1, wait=True, env=None):
        self.dir = tempfile.mkdtemp(prefix="remora-flow-")
        self.admin_port = free_port()
        config = dict(config)
        config.setdefault("node", {"id": "test", "cluster": "test"})
        config["admin"] = {"address": address(self.admin_port)}
        self.config_path = os.path.join(self.dir, "bootstrap.json")
        with open(self.config_path, "w", encoding="utf-8") as f:
            json.dump(config, f)
        self.log_path = os.path.join(self.dir, "log")
        with open(self.log_path, "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                [*self.command(), "-c", self.config_path, "--concurrency", str(concurrency),
                 "-l", "debug", "--drain-time-s", "1", *args],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                env=dict(os.environ, **(env or {})))
        if wait:
            self.wait_live()

    def command(self):
        return [BINARY, "--data-dir", os.path.join(self.dir, "data")]

    def wait_live(self, seconds=20):
        def live():
            if self.process.poll() is not None:
                raise AssertionError("remora ended with %s:\n%s"
                                     % (self.process.returncode, self.log()))
            try:
                return self.admin("/ready")[1].startswith(b"LIVE")
            except OSError:
                return False
        wait_for("LIVE", live, seconds)

    def admin(self, path, method="GET"):
        r = http(self.admin_port, "%s %s HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"
                 % (method, path))
        return r.status, r.body

    def stat(self, name):
        for line in self.admin("/stats")[1].decode().splitlines():
            if line.startswith(name + ": "):
                return int(line.split(": ")[1])
        return None

    def plugins(self):
        return {p["slot"]: p for p in json.loads(self.admin("/plugins")[1])["plugins"]}

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as f:
            return f.read()

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise AssertionError("remora did not end on SIGTERM")
        code = self.process.returncode
        log = self.log()
        shutil.rmtree(self.dir, ignore_errors=True)
        if code != 0:
            raise AssertionError("remora ended with %s:\n%s" % (code, log[-6000:]))
        for bad in ("ERROR: AddressSanitizer", "runtime error:", "ERROR: LeakSanitizer"):
            if bad in log:
                raise AssertionError("sanitizer:\n" + log[-6000:])

    def __enter__(self):
        return self

    def __exit__(self, kind, value, tb):
        if kind:
            sys.stderr.write("---- log of remora\n%s\n----\n" % self.log()[-4000:])
            with contextlib.suppress(AssertionError):
                self.stop()
        else:
            self.stop()


def validate(text, suffix=".yaml", args=()):
    """Exit code and output of --mode validate for a configuration given as text."""
    with tempfile.NamedTemporaryFile("w", suffix=suffix) as f:
        f.write(text)
        f.flush()
        p = subprocess.run([BINARY, "--mode", "validate", "-c", f.name, *args],
                           capture_output=True, text=True, timeout=30, check=False)
        return p.returncode, (p.stdout + p.stderr).replace(f.name, "FILE")


def family_of(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


class Origin:
    """An HTTP/1.1 server in a thread: answers(request) -> bytes to send, or None to close.
    Requests are kept."""

    def __init__(self, answers=None, address="127.0.0.1"):
        self.requests = []
        self.connections = 0
        self.answers = answers or (lambda r: reply(b"ok"))
        self.socket = socket.create_server((address, 0), backlog=128,
                                           family=family_of(address))
        self.port = self.socket.getsockname()[1]
        self.is_closed = False
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while not self.is_closed:
            try:
                s, _ = self.socket.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self.serve, args=(s,), daemon=True).start()

    def serve(self, s):
        reader = Reader(s)
        with contextlib.suppress(OSError, EOFError), s:
            while True:
                request = reader.message()
                request.socket = s
                self.requests.append(request)
                out = self.answers(request)
                if out is None:
                    return
                s.sendall(out)

    def close(self):
        if self.is_closed:
            return
        self.is_closed = True
        self.socket.shutdown(socket.SHUT_RDWR)  # wakes accept, which would hold the port
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def reply(body=b"", status="200 OK", headers=()):
    head = "HTTP/1.1 %s\r\n" % status + "".join("%s: %s\r\n" % h for h in headers)
    return head.encode() + b"content-length: %d\r\n\r\n" % len(body) + body


# ---- raw HTTP ----

class Message:
    def __init__(self, start, headers):
        self.start, self.headers, self.body, self.trailers = start, headers, b"", []

    @property
    def status(self):
        return int(self.start.split(" ")[1])

    @property
    def path(self):
        return self.start.split(" ")[1]

    def get(self, name, default=None):
        for n, v in self.headers:
            if n == name:
                return v
        return default

    def all(self, name):
        return [v for n, v in self.headers if n == name]


class Reader:
    def __init__(self, s):
        self.socket, self.data = s, bytearray()

    def fill(self):
        more = self.socket.recv(1 << 20)
        if not more:
            raise EOFError("closed after %d bytes, %r" % (len(self.data), bytes(self.data[-80:])))
        self.data += more

    def line(self):
        while b"\r\n" not in self.data:
            self.fill()
        return bytes(self.exactly(self.data.index(b"\r\n") + 2)[:-2]).decode("latin-1")

    def exactly(self, n):
        while len(self.data) < n:
            self.fill()
        out = bytes(self.data[:n])
        del self.data[:n]
        return out

    def fields(self):
        fields = []
        while True:
            line = self.line()
            if not line:
                return fields
            name, value = line.split(":", 1)
            fields.append((name.lower(), value.strip()))

    def message(self, head_only=False):
        m = Message(self.line(), [])
        m.headers = self.fields()
        is_response = m.start.startswith("HTTP/")
        if head_only or is_response and (m.status < 200 or m.status in (204, 304)):
            return m
        if m.get("transfer-encoding") == "chunked":
            while True:
                n = int(self.line().split(";")[0], 16)
                if not n:
                    m.trailers = self.fields()
                    return m
                m.body += self.exactly(n)
                self.exactly(2)
        if m.get("content-length") is not None:
            m.body = self.exactly(int(m.get("content-length")))
        elif is_response:
            with contextlib.suppress(EOFError):
                while True:
                    self.fill()
            m.body, self.data = bytes(self.data), bytearray()
        return m


class Client:
    def __init__(self, port, host="127.0.0.1", timeout=10):
        self.socket = socket.create_connection((host, port), timeout)
        self.reader = Reader(self.socket)

    def send(self, data):
        self.socket.sendall(data.encode("latin-1") if isinstance(data, str) else data)

    def read(self, head_only=False):
        return self.reader.message(head_only)

    def ask(self, data, head_only=False):
        self.send(data)
        return self.read(head_only)

    def is_closed(self, seconds=5):
        self.socket.settimeout(seconds)
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True
        except socket.timeout:
            return False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()


def http(port, data):
    with Client(port) as c:
        return c.ask(data)


def get(port, path="/", host="a.test", headers=""):
    return http(port, "GET %s HTTP/1.1\r\nhost: %s\r\n%sconnection: close\r\n\r\n"
                % (path, host, headers))


def equal(got, want, what=""):
    if got != want:
        raise AssertionError("%s: got %r, want %r" % (what, got, want))


def matches(text, pattern):
    if not re.search(pattern, text):
        raise AssertionError("%r does not match %r" % (text, pattern))


def main(scope):
    failed = 0
    chosen = sys.argv[1:]
    script = os.path.join(*os.path.abspath(sys.argv[0]).split(os.sep)[-2:])
    for name, fn in list(scope.items()):
        if not name.startswith("test_") or chosen and name[5:] not in chosen:
            continue
        label = "%s %s" % (script, name[5:])
        try:
            fn()
            print("ok   %s" % label, flush=True)
        except Skip as e:
            print("skip %s: %s" % (label, e), flush=True)
        except Exception:
            failed += 1
            print("FAIL %s" % label, flush=True)
            traceback.print_exc()
    sys.exit(1 if failed else 0)
