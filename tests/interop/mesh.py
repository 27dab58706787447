"""Two pods of a mesh whose control plane is Istio's: a client and a server, each with a Remora that
has an identity of its own, and the server's applications. In NONE mode, where each listener binds
a port of its own, both stand on this machine's loopback addresses."""
import contextlib
import hashlib
import json
import os
import socket
import ssl
import subprocess
import tempfile

from applications import Echo, Lines
from istio import (Istiod, accepted, bootstrap, host, issue, network, pki, secrets, service,
                   wait_in_sync, workload)
from lib import Client, Origin, Remora, address, free_port, wait_for
from planes import Plane

PROTOCOLS = {"http": "HTTP", "tcp": "TCP", "grpc": "GRPC"}
SERVER = host("server")
HERE = os.path.dirname(os.path.abspath(__file__))


class Pod(Remora):
    """The Remora of a pod, which is named as its service account is."""

    def __init__(self, folder, name, ip, istiod, mode, delta):
        issue(name)
        self.name = name
        path = os.path.join(folder, name)
        self.plane = Plane(address="unix:" + path)
        self.plane.set(*secrets(name))
        super().__init__(bootstrap(address(istiod.port), path, delta, mode, name, ip),
                         args=["--wasm-allow-loopback"], wait=False)

    def rotate(self):
        """A new certificate; True once it is acknowledged."""
        had = len(self.plane.answers("sds", nack=False))
        issue(self.name)
        self.plane.set(*secrets(self.name))
        self.plane.wait_ack("sds", had + 1)

    def dump(self, kind):
        """Rows of a section of /config_dump: {"name": ..., ...}."""
        sections = json.loads(self.admin("/config_dump")[1])["configs"]
        member = {"Clusters": ("dynamic_active_clusters", "cluster"),
                  "Listeners": ("dynamic_listeners", "active_state")}[kind]
        rows = [row for s in sections if s["@type"].endswith("." + kind + "ConfigDump")
                for row in s.get(member[0], [])]
        return [row[member[1]] for row in rows]

    def cluster(self, name):
        return [c for c in self.dump("Clusters") if c["name"] == name][0]

    def handshakes(self):
        """By TLS, of clients."""
        lines = self.admin("/stats?filter=^listener%5C..*%5C.ssl%5C.handshake")[1].decode()
        return sum(int(line.rsplit(": ", 1)[1]) for line in lines.splitlines())

    def stop(self):
        super().stop()
        self.plane.stop()


class Mesh:
    """port[NAME]: of the service, at the client's Remora; inbound[NAME]: of the server's Remora;
    http, tcp, grpc: the applications behind it."""

    CLIENT_IP, SERVER_IP = "127.0.0.1", "127.0.0.2"

    def __init__(self, istiod, apps):
        self.istiod, self.apps = istiod, apps
        self.port = {name: free_port() for name in PROTOCOLS}
        self.inbound = {name: free_port() for name in PROTOCOLS}
        self.base = [
            service("server", "127.0.0.9", {n: (self.port[n], p) for n, p in PROTOCOLS.items()}),
            workload("server", self.SERVER_IP, self.inbound, "server", version="v1"),
            service("client", "127.0.0.10", {"http": (free_port(), "HTTP")}),
            workload("client", self.CLIENT_IP, {"http": free_port()}, "client"),
            network("Sidecar", "server", {
                "workloadSelector": {"labels": {"app": "server"}},
                "ingress": [{"port": {"number": self.inbound[n], "protocol": p, "name": n},
                             "bind": self.SERVER_IP, "captureMode": "NONE",
                             "defaultEndpoint": "127.0.0.1:%d" % apps[n].port}
                            for n, p in PROTOCOLS.items()],
                "egress": [{"hosts": ["~/*"]}]})]
        self.set()

    def set(self, *more):
        """These resources, besides those of the two pods."""
        self.istiod.set(*self.base, *more)

    def ask(self, path="/", to=SERVER, port=None, headers=""):
        """GET by the client's Remora; None without an answer."""
        return self.ask_at("127.0.0.1", port or self.port["http"], path, to, headers)

    def ask_plainly(self):
        """GET without mTLS, past the client's Remora."""
        return self.ask_at(self.SERVER_IP, self.inbound["http"], "/", SERVER)

    @staticmethod
    def ask_at(ip, port, path, to, headers=""):
        try:
            with Client(port, ip) as c:
                return c.ask("GET %s HTTP/1.1\r\nhost: %s\r\n%sconnection: close\r\n\r\n"
                             % (path, to, headers))
        except (OSError, EOFError):
            return None

    def until(self, what, check, **more):
        """Asks until check(answer) is true; the answer."""
        def asked():
            m = self.ask(**more)
            return m if m and check(m) else None
        return wait_for(what, asked, 15)

    def served_fingerprint(self):
        """sha256 of the certificate that the server's Remora shows to a client of the mesh."""
        ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        ctx.check_hostname = False
        ctx.load_verify_locations(pki.path("ca.pem"))
        ctx.load_cert_chain(pki.path("client.pem"), pki.path("client.key"))
        ctx.set_alpn_protocols(["istio"])
        with socket.create_connection((self.SERVER_IP, self.inbound["tcp"]), 10) as s, \
                ctx.wrap_socket(s) as tls:
            return hashlib.sha256(tls.getpeercert(True)).hexdigest()

    def call_grpc(self, *texts):
        """Lines of grpc_call.py, by the client's Remora."""
        return subprocess.run([os.path.join(HERE, "grpc_call.py"),
                               "127.0.0.1:%d" % self.port["grpc"], SERVER, *texts], check=True,
                              capture_output=True, text=True, timeout=60).stdout.splitlines()

    def identity(self):
        """x-forwarded-client-cert of the request that came to the application last, by key."""
        text = self.apps["http"].requests[-1].get("x-forwarded-client-cert")
        return text and dict(pair.split("=", 1) for pair in text.split(";"))

    def check_in_sync(self):
        wait_in_sync(self.istiod, 2)
        for pod in (self.client, self.server):
            accepted(pod)


@contextlib.contextmanager
def mesh(mode="NONE", delta=True):
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        istiod = stack.enter_context(Istiod())
        apps = {"http": stack.enter_context(Origin()), "tcp": stack.enter_context(Lines()),
                "grpc": stack.enter_context(Echo())}
        m = Mesh(istiod, apps)
        m.server = stack.enter_context(Pod(folder, "server", m.SERVER_IP, istiod, mode, delta))
        m.client = stack.enter_context(Pod(folder, "client", m.CLIENT_IP, istiod, mode, delta))
        for pod in (m.server, m.client):
            pod.wait_live()
        m.check_in_sync()
        yield m
        m.check_in_sync()
