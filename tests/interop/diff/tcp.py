"""TCP, filter chains and listener filters: which chain a connection meets, told by the name of the
origin that it reaches, and what happens to its bytes.

    - group: name
      chains: [{to: origin, match: {}, more: {} (fields of tcp_proxy), http: true, ...}, ...]
      default: {to: origin}, listener: {} (more fields), listener_filters: [{}, ...]
      clusters: {name: {} (more fields of a cluster)}
      cases: {name: {from: address, to: address, sni:, alpn: [], send: [text, ...],
                     half: true (FIN behind it), proxy: header line}}
Origins: NAME tells its name and echoes, dead has no port, closer closes at once, mute says nothing."""
import contextlib
import socket
import ssl
import threading

from engine import load
from lib import address, cluster, free_port, hcm, tcp_proxy
from raw import SILENCE_S

TLS = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext"


class NamedOrigin:
    def __init__(self, name):
        self.name = name
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                s, _ = self.socket.accept()
                threading.Thread(target=self.serve, args=(s,), daemon=True).start()

    def serve(self, s):
        with contextlib.suppress(OSError), s:
            if self.name == "closer":
                return
            if self.name != "mute":
                s.sendall(b"<%s>" % self.name.encode())
            while True:
                data = s.recv(65536)
                if not data:
                    break
                if self.name != "mute":
                    s.sendall(data)
            if self.name != "mute":
                s.sendall(b"<end>")

    def close(self):
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


def client_hello(sni, alpn):
    """The first flight of a client."""
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    c.check_hostname, c.verify_mode = False, ssl.CERT_NONE
    if alpn:
        c.set_alpn_protocols(alpn)
    out = ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        c.wrap_bio(ssl.MemoryBIO(), out, server_hostname=sni).do_handshake()
    return out.read()


class Tcp:
    name = "tcp"

    def __init__(self):
        self.data = {g["group"]: g for g in load(self.name)}
        self.groups = {n: list(g["cases"]) for n, g in self.data.items()}
        self.ports = {n: free_port() for n in self.data}
        self.origins = {}

    def origin(self, name):
        if name not in self.origins:
            self.origins[name] = NamedOrigin(name)
        return free_port() if name == "dead" else self.origins[name].port

    def chain(self, group, c, ports):
        if c.get("http"):
            filters = [hcm([{"match": {"prefix": "/"}, "direct_response": {
                "status": 200, "body": {"inline_string": c["to"]}}}], stat_prefix=group)]
        else:
            filters = [tcp_proxy("%s-%s" % (group, c["to"]), stat_prefix=group,
                                 **c.get("more", {}))]
        match = dict(c.get("match", {}))
        if match.get("destination_port") == "own":
            match["destination_port"] = ports
        return {"filter_chain_match": match, "filters": filters, "name": c["to"]}

    def config(self):
        listeners, clusters = [], []
        for name, g in self.data.items():
            lst = {"name": name, "stat_prefix": "l-" + name,
                   "address": address(self.ports[name], g.get("address", "127.0.0.1")),
                   "filter_chains": [self.chain(name, c, self.ports[name])
                                     for c in g["chains"]],
                   "listener_filters": g.get("listener_filters", []), **g.get("listener", {})}
            chains = list(g["chains"])
            if "default" in g:
                lst["default_filter_chain"] = self.chain(name, g["default"], 0)
                lst["default_filter_chain"].pop("filter_chain_match")
                chains.append(g["default"])
            listeners.append(lst)
            for to in sorted({c["to"] for c in chains if "cluster" not in c.get("more", {})}):
                clusters.append(cluster("%s-%s" % (name, to), [self.origin(to)],
                                        **g.get("clusters", {}).get(to, {})))
        return {"static_resources": {"listeners": listeners, "clusters": clusters}}

    def stat_roots(self, group):
        roots = {"listener.l-%s." % group: "listener.", "tcp.%s." % group: "tcp."}
        for c in self.data[group]["chains"]:
            roots["cluster.%s-%s." % (group, c["to"])] = "cluster.%s." % c["to"]
        return roots

    def ask(self, group, case, patience):
        g, case, out = self.data[group], self.data[group]["cases"][case], {}
        timeout = SILENCE_S * patience
        to = (case.get("to", g.get("at", "127.0.0.1")), self.ports[group])
        try:
            s = socket.create_connection(to, timeout, (case.get("from", "127.0.0.1"), 0))
        except ConnectionError:
            return {"end": "refused"}
        with s:
            s.settimeout(timeout)
            out["raw"] = self.talk(s, case)
        return out

    def talk(self, s, case):
        got = b""
        sends = [t.encode("latin-1") for t in case.get("send", [])]
        if "sni" in case or "alpn" in case:
            sends.insert(0, client_hello(case.get("sni"), case.get("alpn")))
        if "proxy" in case:
            sends.insert(0, case["proxy"].encode("latin-1"))
        try:
            for data in sends:
                s.sendall(data)
            if case.get("half"):
                s.shutdown(socket.SHUT_WR)
            while True:
                data = s.recv(65536)
                if not data:
                    got += b"<FIN>"
                    break
                got += data
        except TimeoutError:
            got += b"<silence>"
        except ConnectionError:
            got += b"<FIN>"
        if "sni" in case or "alpn" in case:
            got = got[:got.find(b">") + 1] if b"\x16\x03" in got else got
        text = got.decode("latin-1")
        return text.split("\r\n")[0] + text[-7:] if text.startswith("HTTP/") else text

    def close(self):
        for o in self.origins.values():
            o.close()
