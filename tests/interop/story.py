"""What a plugin of any SDK must do; a test names its module and says test_* = story of it."""
import re
import socket
import threading
import time

import sdk  # noqa: F401  (finds lib and guests)
from guests import plugin
from lib import (Client, Origin, Remora, cluster, contextlib, equal, free_port, get, hcm, listener,
                 matches, reply, route, tcp_proxy, wait_for)


def filter_config(module, root_id, configuration="-", network=False):
    # Never without a configuration, for AssemblyScript's SDK does not initialize the empty one.
    conf = plugin(module, name=root_id, configuration=configuration, network=network)
    conf["config"]["root_id"] = root_id
    return {"name": root_id, "typed_config": conf}


def wait_state(r, *states):
    wait_for("a plugin that is %s" % " or ".join(states),
             lambda: any(p["state"] in states for p in r.plugins().values()))


@contextlib.contextmanager
def proxy(filters, up, states=("live", "probation")):
    port = free_port()
    with Remora({"static_resources": {"listeners": [listener("l", port, filters)],
                                      "clusters": [cluster("o", [up.port])]}}) as r:
        wait_state(r, *states)
        yield port, r


def http_filters(*filters):
    return [hcm([route("/", "o")], filters=filters)]


def headers(module, name):
    with Origin() as o, proxy(http_filters(filter_config(module, "headers")), o) as (port, r):
        m = get(port, headers="x-one: first\r\n")
        equal((m.status, m.body, m.all("x-plugin")), (200, b"ok", [name]))
        equal(o.requests[-1].get("x-from-plugin"), "yes")
        wait_for("the end of the stream", lambda: "completed" in r.log())
        matches(r.log(), r"wasm log [^\n]*#\d+ -> :path: /\n")
        matches(r.log(), r"wasm log [^\n]*#\d+ -> x-one: first\n")

        m = get(port, "/hello")
        equal((m.status, m.body, m.get("powered-by")), (200, b"Hello, World!\n", "proxy-wasm"))
        equal(len(o.requests), 1)


def many_streams(module, name):
    """Memory that a guest does not give back would show: 2,000 streams, 4 at a time."""
    with Origin() as o, proxy(http_filters(filter_config(module, "headers")), o) as (port, r):
        bad = []

        def load():
            with Client(port) as c:
                for _ in range(500):
                    m = c.ask("GET / HTTP/1.1\r\nhost: a\r\n\r\n")
                    if (m.status, m.get("x-plugin")) != (200, name):
                        bad.append((m.status, m.headers))
        threads = [threading.Thread(target=load) for _ in range(4)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        equal(bad[:3], [])
        equal(sum(p["traps"] for p in r.plugins().values()), 0)


def body(module, _):
    def answer(request):
        return reply(b"a secret" if request.path == "/secret" else b"plain")
    with Origin(answer) as o, proxy(http_filters(filter_config(module, "body")), o) as (port, r):
        for operation, want in (("append", b"original[appended]"), ("replace", b"[replaced]"),
                                ("prepend", b"[prepended]original")):
            with Client(port) as c:
                head = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 8\r\n"
                c.send(head + "buffer-operation: %s\r\n\r\norig" % operation)
                time.sleep(0.05)
                c.send("inal")
                m = c.read()
            equal((m.status, m.body), (200, b"plain"), operation)
            equal(o.requests[-1].body, want, operation)
        matches(r.log(), "wasm log .*original request body: original")
        equal(get(port, "/secret").body, b"Original message body (8 bytes) redacted.\n")


def config(module, _):
    with Origin() as o:
        for value in ("hello", "x" * 1000):
            filters = http_filters(filter_config(module, "config", value))
            with proxy(filters, o) as (port, _r):
                equal(get(port).get("custom-header"), value)


def refused_configuration(module, _):
    with Origin() as o:
        filters = http_filters(filter_config(module, "config", "refuse"))
        with proxy(filters, o, ["failed"]) as (port, r):
            equal(get(port).status, 503)
            equal([p["stage"] for p in r.plugins().values()], ["start"])


def hello(module, _):
    with Origin() as o, proxy(http_filters(filter_config(module, "hello")), o) as (_port, r):
        wait_for("ticks", lambda: re.search("wasm log .*tick 5", r.log()))
        matches(r.log(), "wasm log .*Hello, World!")


class Upper:
    """A TCP server that answers in upper case."""

    def __init__(self):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                s, _ = self.socket.accept()
                with s:
                    s.sendall(s.recv(65536).upper())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


def network(module, _):
    with Upper() as up:
        filters = [filter_config(module, "network", network=True), tcp_proxy("o")]
        with proxy(filters, up) as (port, r):
            with socket.create_connection(("127.0.0.1", port), 10) as s:
                source = "127.0.0.1:%d" % s.getsockname()[1]
                s.sendall(b"hello dubbo")
                equal(s.recv(65536), b"HELLO DUBBO")
            wait_for("the end", lambda: "connection complete!" in r.log())
            log = r.log()
            matches(log, "wasm log .*downstream %s -> 127.0.0.1:%d" % (source, port))
            matches(log, ">>>>>> downstream data received >>>>>>\n?.*hello dubbo")
            matches(log, "wasm log .*upstream 127.0.0.1:%d" % up.port)
            matches(log, "<<<<<< upstream data received <<<<<<\n?.*HELLO DUBBO")


HTTP = (headers, body, config, refused_configuration, hello, many_streams)


def tests(build, name, stories=HTTP):
    """Functions test_* of the stories, for a test's globals; build is called by the first."""
    def test(story):
        return lambda: story(build(), name)
    return {"test_" + story.__name__: test(story) for story in stories}
