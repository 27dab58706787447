"""Handshakes: which certificate is shown, what is negotiated, who is let in, and what the origin is
told of the client's certificate.

    - group: name
      tls: fields of the DownstreamTlsContext, common: of its common_tls_context (certificates: names
        of the authority below; trusted: name of an authority in place of trusted_ca's text),
        or chains: [{match: {}, tls:, common:}, ...]; listener_filters: [tls_inspector]
      cases: {name: {sni:, alpn: [], min:, max:, ciphers:, cert: who, h: [[name, value]],
                     plain: true (no handshake)}}"""
import contextlib
import copy
import socket
import ssl
import threading
import time
import warnings

from engine import fold, load
from lib import Reader, address, cluster, free_port, hcm, route
from pki import Pki, openssl
from raw import PROBE, RawOrigin, note_message

V3 = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3."
FILTERS = "type.googleapis.com/envoy.extensions.filters.listener."
VERSIONS = {"1.0": ssl.TLSVersion.TLSv1, "1.1": ssl.TLSVersion.TLSv1_1,
            "1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
ALICE = "URI:spiffe://a/ns/x/sa/alice,DNS:alice.test,DNS:b.alice.test,email:a@alice.test,IP:10.1.2.3"


class Authorities:
    """Made once for both proxies."""
    made, lock = None, threading.Lock()

    def __init__(self):
        self.ours, self.theirs = Pki(), Pki("/O=Test/CN=Other CA")
        self.ours.cert("server", "DNS:server.test,URI:spiffe://a/ns/x/sa/server")
        self.ours.cert("wild", "DNS:*.wild.test,URI:spiffe://a/wild")
        self.ours.cert("alice", ALICE, subject="/O=Users, all/CN=Alice")
        self.ours.cert("bob", "DNS:bob.test")
        self.ours.cert("nameless", "IP:127.0.0.1", subject="/CN=nameless")
        self.ours.cert("quoted", 'URI:spiffe://a/b;c"d,DNS:q.test', subject='/CN=a"b;c,d')
        self.theirs.cert("mallory", ALICE)
        self.expired()
        self.revoke("bob")

    def expired(self):
        """alice's key with a certificate of the past."""
        p = self.ours
        openssl("x509", "-req", "-in", p.path("alice.csr"), "-CA", p.path("ca.pem"), "-CAkey",
                p.path("ca.key"), "-set_serial", "0x7777", "-days", "-1", "-extfile",
                p.path("alice.ext"), "-out", p.path("expired.pem"))
        with open(p.path("expired.key"), "w", encoding="ascii") as f:
            f.write(p.read("alice.key"))

    def revoke(self, who):
        p = self.ours
        with open(p.path("ca.cnf"), "w", encoding="ascii") as f:
            f.write("[ca]\ndefault_ca=d\n[d]\ndatabase=%s\ndefault_md=sha256\n"
                    "default_crl_days=2\n" % p.path("index"))
        with open(p.path("index"), "w", encoding="ascii"):
            pass
        base = ["ca", "-config", p.path("ca.cnf"), "-cert", p.path("ca.pem"), "-keyfile",
                p.path("ca.key")]
        openssl(*base, "-revoke", p.path(who + ".pem"))
        openssl(*base, "-gencrl", "-out", p.path("crl.pem"))

    @classmethod
    def get(cls):
        with cls.lock:
            cls.made = cls.made or cls()
            return cls.made

    def of(self, who):
        return self.theirs if who == "mallory" else self.ours


def fill(value, a):
    """Names of files and hashes become what is in them."""
    if isinstance(value, dict):
        return {k: fill(v, a) for k, v in value.items()}
    if isinstance(value, list):
        return [fill(v, a) for v in value]
    if isinstance(value, str) and value.startswith("file:"):
        return a.ours.read(value[5:])
    if isinstance(value, str) and value.startswith("hash:"):
        return a.ours.fingerprint(value[5:])
    return value


def transport(g, a):
    common = fill(copy.deepcopy(g.get("common", {})), a)
    names = common.pop("certificates", ["server"])
    common["tls_certificates"] = [a.ours.tls_certificate(n) for n in names]
    return {"name": "envoy.transport_sockets.tls", "typed_config": dict(
        {"@type": V3 + "DownstreamTlsContext", "common_tls_context": common},
        **fill(g.get("tls", {}), a))}


class Handshake:
    def __init__(self, port, case, a, patience):
        self.case, self.a = case, a
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.context.check_hostname, self.context.verify_mode = False, ssl.CERT_NONE
        self.set_up()
        self.socket = socket.create_connection(("127.0.0.1", port), 2 * patience)

    def set_up(self):
        case, c = self.case, self.context
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            c.minimum_version = VERSIONS[case.get("min", "1.2")]
            c.maximum_version = VERSIONS[case.get("max", "1.3")]
        c.set_ciphers(case.get("ciphers", "ECDHE-ECDSA-AES128-GCM-SHA256:DEFAULT") + ":@SECLEVEL=0")
        if "alpn" in case:
            c.set_alpn_protocols(case["alpn"])
        if "cert" in case:
            p = self.a.of(case["cert"])
            c.load_cert_chain(p.path(case["cert"] + ".pem"), p.path(case["cert"] + ".key"))

    def shown(self, s):
        der = s.getpeercert(True)
        for p in self.a.ours, self.a.theirs:
            for who in "server", "wild":
                with contextlib.suppress(FileNotFoundError):
                    if ssl.PEM_cert_to_DER_cert(p.read(who + ".pem")) == der:
                        return who
        return "another"

    def run(self, out):
        try:
            s = self.context.wrap_socket(self.socket, server_hostname=self.case.get("sni"))
            out["shown"] = self.shown(s)
            out["version"] = s.version()
            if out["version"] == "TLSv1.2":  # in 1.3 Envoy takes the client's order
                out["cipher"] = s.cipher()[0]
            out["alpn"] = s.selected_alpn_protocol()
            self.ask(s, out)
        except (OSError, EOFError):
            # Which alert it is, is the libraries' choice; in TLS 1.3 it comes behind the handshake.
            out["handshake"] = "failed"
            for k in "shown", "version", "cipher", "alpn":
                out.pop(k, None)
        finally:
            self.socket.close()

    def ask(self, s, out):
        if out["alpn"] == "h2":
            return
        s.sendall(("GET / HTTP/1.1\r\nhost: a\r\n%s\r\n" % "".join(
            "%s: %s\r\n" % tuple(h) for h in self.case.get("h", []))).encode())
        note_message("0.", Reader(s).message(), out, ())


class Tls:
    name = "tls"

    def __init__(self):
        self.a = Authorities.get()
        self.data = {g["group"]: g for g in load(self.name)}
        self.groups = {n: list(g["cases"]) for n, g in self.data.items()}
        self.ports = {n: free_port() for n in self.data}
        self.origins = {n: RawOrigin() for n in self.data}

    def config(self):
        listeners, clusters = [], []
        for name, g in self.data.items():
            chains = [{"filter_chain_match": c.get("match", {}), "transport_socket":
                       transport(c, self.a), "filters": [self.filters(name, g)]}
                      for c in g.get("chains", [g])]
            if "default" in g:
                chains[-1].pop("filter_chain_match")
            lst = {"name": name, "address": address(self.ports[name]), "filter_chains": chains,
                   "stat_prefix": "l-" + name, "listener_filters": [
                       {"name": f, "typed_config": {"@type": FILTERS + "%s.v3.%s" % (
                           f, "".join(w.title() for w in f.split("_")))}}
                       for f in g.get("listener_filters", [])]}
            listeners.append(lst)
            clusters.append(cluster(name, [self.origins[name].port], max_requests_per_connection=1))
        return {"static_resources": {"listeners": listeners, "clusters": clusters}}

    @staticmethod
    def filters(name, g):
        return hcm([route("/", name)], stat_prefix=name, delayed_close_timeout="0.1s",
                   **g.get("hcm", {}))

    def stat_roots(self, group):
        return {"listener.l-%s." % group: "listener.", "http.%s." % group: "http."}

    def ask(self, group, case, patience):
        case, origin = self.data[group]["cases"][case], self.origins[group]
        origin.begin({})
        out = {}
        if case.get("plain"):
            self.ask_plain(group, patience, out)
        else:
            Handshake(self.ports[group], case, self.a, patience).run(out)
        for i, request in enumerate(origin.seen):
            note_message("up.%d." % i, request, out)
        return out

    def ask_plain(self, group, patience, out):
        with socket.create_connection(("127.0.0.1", self.ports[group]), 1 * patience) as s:
            s.sendall(PROBE.encode())
            time.sleep(0.05)
            try:
                data = s.recv(65536)
                out["answer"] = "HTTP" if data.startswith(b"HTTP/") else "bytes" if data else "end"
            except ConnectionResetError:
                out["answer"] = "end"
            except TimeoutError:
                out["answer"] = "silence"

    def close(self):
        for o in self.origins.values():
            o.close()
