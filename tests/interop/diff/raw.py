"""Cases that are bytes of HTTP/1: what comes back, message by message, what the origin saw of it,
and whether the connection goes on, by a probe behind it.

    - group: name                   its listener has hcm and routes, its cluster goes to one origin
      hcm: {}, routes: [], cluster: {}
      cases:
        name: [line, ...]           lines without an empty one are a whole head
        name: {send: lines or text, origin: text that answers it, closes: true (the origin, then),
               eager: true (it does not wait for the body),
               then: [text, ...] what goes both ways after the answer, echo: true (the origin, in
               capitals), bytes: how many are waited for, delay: seconds}"""
import contextlib
import re
import socket
import threading
import time

from engine import fold, load
from lib import Client, Reader, cluster, free_port, hcm, listener, reply, route

SILENCE_S = 0.35
PROBE = "GET /probe HTTP/1.1\r\nhost: probe.test\r\n\r\n"
MESSAGES_MAX = 6


def repeated(m):
    """{9 x} is nine times x, {9 headers} as many field lines behind the one it stands in."""
    n = int(m[1])
    return "x" * n if m[2] == "x" else "".join("\r\nh%d: 1" % i for i in range(n))


def text_of(what):
    if not isinstance(what, str):
        what = "\r\n".join(what) + ("" if "" in what else "\r\n\r\n")
    return re.sub(r"\{(\d+) (x|headers)\}", repeated, what)


class RawOrigin:
    """Answers what the case at hand says; the probe is always answered. Keeps what it saw."""

    def __init__(self):
        self.seen, self.case = [], {}
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def begin(self, case):
        self.seen, self.case = [], case

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                s, _ = self.socket.accept()
                threading.Thread(target=self.serve, args=(s,), daemon=True).start()

    def serve(self, s):
        reader = Reader(s)
        with contextlib.suppress(OSError, EOFError, ValueError, IndexError), s:
            while self.answer(s, reader.message(self.case.get("eager", False))):
                pass

    def answer(self, s, request):
        if request.path == "/probe":
            s.sendall(reply(b"", headers=[("x-probe", "yes")]))
            return True
        case = self.case
        self.seen.append(request)
        if case.get("delay"):
            time.sleep(case["delay"])
        if "origin" not in case:
            whole = reply(b"ok")
            s.sendall(whole[:-2] if request.start.startswith("HEAD ") else whole)
            return True
        s.sendall(text_of(case["origin"]).encode("latin-1"))
        while case.get("echo"):
            data = s.recv(65536)
            if not data:
                return False
            s.sendall(data.upper())
        return not case.get("closes")

    def close(self):
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


def note_message(prefix, m, out, replace=()):
    out[prefix + "start"] = m.start
    for text, by in replace:
        out[prefix + "start"] = out[prefix + "start"].replace(text, by)
    fold(prefix + "h.", m.headers, out, replace)
    if m.body:
        out[prefix + "body"] = m.body.decode("latin-1")
    fold(prefix + "t.", m.trailers, out, replace)


class Exchange:
    """One connection of a case."""

    def __init__(self, client, case, out, replace, patience):
        self.client, self.case, self.out, self.replace = client, case, out, replace
        client.socket.settimeout(SILENCE_S * patience)
        self.n = 0

    def read(self, head_only=False):
        """The next message, also in out; None: nothing more, and out says why."""
        try:
            m = self.client.read(head_only)
        except TimeoutError:
            self.out["end"] = "silent"
        except (EOFError, ConnectionResetError):
            self.out["end"] = "closed"
        except (ValueError, IndexError):
            self.out["end"] = "no HTTP"
        else:
            note_message("%d." % self.n, m, self.out, self.replace)
            self.n += 1
            return m
        if self.client.reader.data:
            self.out["rest"] = self.client.reader.data.decode("latin-1")
        return None

    def send(self, text):
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.client.send(text)

    def final(self, head_only):
        m = self.read(head_only)
        while m and m.status < 200 and m.status != 101:
            m = self.read(head_only)
        return m

    def raw(self, at_least):
        """What comes, so many bytes at least, until silence or the end."""
        data, self.client.reader.data = bytes(self.client.reader.data), bytearray()
        with contextlib.suppress(TimeoutError, ConnectionResetError):
            while len(data) < at_least:
                more = self.client.socket.recv(65536)
                if not more:
                    return data.decode("latin-1") + "<end>"
                data += more
        return data.decode("latin-1")

    def tunnel(self):
        for i, text in enumerate(self.case.get("then", [])):
            self.send(text)
            self.out["raw.%d" % i] = self.raw(self.case.get("bytes", 1))
        self.out["end"] = "tunnel"

    def probe(self):
        self.send(PROBE)
        while self.n < MESSAGES_MAX:
            m = self.read()
            if not m:
                return
            if m.get("x-probe"):
                for key in [k for k in self.out if k.startswith("%d." % (self.n - 1))]:
                    del self.out[key]
                self.out["end"] = "open"
                return
        self.out["end"] = "too many answers"

    def run(self):
        text = text_of(self.case["send"])
        self.send(text)
        m = self.final(text.startswith(("HEAD ", "CONNECT ")))
        if not m:
            return
        if m.status == 101 or text.startswith("CONNECT") and m.status < 300:
            self.tunnel()
        else:
            self.probe()


class Raw:
    name = None

    def __init__(self):
        self.data = {g["group"]: g for g in load(self.name)}
        self.groups, self.ports, self.origins = {}, {}, {}
        for name, g in self.data.items():
            g["cases"] = {str(c): v if isinstance(v, dict) else {"send": v}
                          for c, v in g["cases"].items()}
            self.groups[name] = list(g["cases"])
            self.ports[name] = free_port()
            self.origins[name] = self.make_origin(g)

    def make_origin(self, _group):
        return RawOrigin()

    def config(self):
        listeners, clusters = [], []
        for name, g in self.data.items():
            routes = g.get("routes") or [route("/", name)]
            for r in routes:
                if "route" in r:
                    r["route"].setdefault("cluster", name)
            more = dict({"stat_prefix": name, "delayed_close_timeout": "0.1s", "route_config": {
                "name": name, "validate_clusters": False, "virtual_hosts": [
                    {"name": "v", "domains": ["*"], "routes": routes}]}}, **g.get("hcm", {}))
            listeners.append(listener("l-" + name, self.ports[name], [hcm(**more)],
                                      stat_prefix="l-" + name))
            one = {"max_requests_per_connection": 1} if g.get("up") != "h2" else {}
            one.update(g.get("cluster", {}))
            clusters.append(cluster(name, [self.origins[name].port], **one))
        return {"static_resources": {"listeners": listeners, "clusters": clusters}}

    def stat_roots(self, group):
        return {"http.%s." % group: "http.", "cluster.%s." % group: "cluster.",
                "listener.l-%s." % group: "listener."}

    def exchange(self, group, case, out, replace, patience):
        with Client(self.ports[group]) as c:
            Exchange(c, case, out, replace, patience).run()

    def ask(self, group, case, patience):
        case, origin = self.data[group]["cases"][case], self.origins[group]
        origin.begin(case)
        out = {}
        replace = ((str(self.ports[group]), "PORT"), (str(origin.port), "ORIGIN"))
        self.exchange(group, case, out, replace, patience)
        for i, request in enumerate(origin.seen):
            note_message("up.%d." % i, request, out, replace)
        return out

    def close(self):
        for o in self.origins.values():
            o.close()


class Http1(Raw):
    name = "http1"


class Upgrades(Raw):
    name = "upgrades"


class Responses(Raw):
    name = "responses"
