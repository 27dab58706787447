"""Two pods of a mesh whose control plane is Istio's: a client and a server, each with a Remora that
has an identity of its own, and the server's applications."""
import contextlib
import hashlib
import json
import os
import socket
import ssl
import subprocess
import tempfile

from applications import Echo, Lines, Session, in_brackets
from istio import (Istiod, accepted, bootstrap, host, issue, network, pki, secrets, service,
                   wait_in_sync, workload)
from lib import Client, Origin, Remora, address, free_port, wait_for
from planes import Plane

PROTOCOLS = {"http": "HTTP", "tcp": "TCP", "grpc": "GRPC"}
SERVER = host("server")
HERE = os.path.dirname(os.path.abspath(__file__))


class Pod(Remora):
    """The Remora of a pod, which is named as its service account is. plane: the discovery server's
    address; namespace, prefix: where it runs, and by which command."""

    def __init__(self, folder, name, ip, plane, mode, delta=True, **where):
        """where: namespace and prefix, as above, and concurrency."""
        issue(name)
        self.name = name
        self.namespace, self.prefix = where.get("namespace"), where.get("prefix", ())
        path = os.path.join(folder, name)
        self.secrets_path = path
        self.serve_secrets()
        with self.inside():
            super().__init__(bootstrap(plane, path, delta, mode, name, ip),
                             args=["--wasm-allow-loopback", "--file-flush-interval-msec", "100"], wait=False,
                             concurrency=where.get("concurrency", 1))

    def serve_secrets(self):
        self.plane = Plane(address="unix:" + self.secrets_path)
        self.plane.set(*secrets(self.name))
        os.chmod(self.secrets_path, 0o777)

    def inside(self):
        return self.namespace.inside() if self.namespace else contextlib.nullcontext()

    def command(self):
        os.chmod(self.dir, 0o777)
        return [*self.prefix, *super().command()]

    def admin(self, path, method="GET"):
        with self.inside():
            return super().admin(path, method)

    def set_secrets(self, *resources):
        """Returns once one of them is acknowledged."""
        had = len(self.plane.answers("sds", nack=False))
        self.plane.set(*resources)
        self.plane.wait_ack("sds", had + 1)

    def rotate(self):
        issue(self.name)
        self.set_secrets(*secrets(self.name))

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

    def has_host(self, ip):
        """Of any cluster that was used."""
        return "::%s:" % ip in self.admin("/clusters")[1].decode()

    def handshakes(self):
        """By TLS, of clients."""
        lines = self.admin("/stats?filter=^listener%5C..*%5C.ssl%5C.handshake")[1].decode()
        return sum(int(line.rsplit(": ", 1)[1]) for line in lines.splitlines())

    def stop(self):
        super().stop()
        self.plane.stop()


class Mesh:
    """vip, port[NAME]: where the client's applications find the service; server_ip, inbound[NAME]:
    where the server's Remora is spoken to; apps[NAME]: the applications behind it."""

    def __init__(self, istiod, apps, base):
        self.istiod, self.apps, self.base = istiod, apps, base
        self.set()

    def set(self, *more):
        """These resources, besides those of the two pods."""
        self.istiod.set(*self.base, *more)

    def start(self, server, client):
        self.server, self.client = server, client
        for pod in (server, client):
            pod.wait_live()
        self.check_in_sync()

    def ask(self, path="/", to=SERVER, port=None, headers=""):
        """GET by the client's Remora; None without an answer."""
        return self.ask_at(self.vip, port or self.port["http"], path, to, headers)

    def ask_plainly(self):
        """GET without mTLS, past what the client's Remora knows of the service."""
        return self.ask_at(self.server_ip, self.inbound["http"], "/", SERVER)

    def ask_at(self, ip, port, path, to, headers=""):
        try:
            with self.client.inside(), Client(port, ip) as c:
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

    def connect(self):
        """A kept HTTP connection of a client's application."""
        with self.client.inside():
            return Client(self.port["http"], self.vip)

    def session(self, plainly=False, app="tcp"):
        """By TCP, through the client's Remora or past what it knows."""
        port, ip = (self.inbound[app], self.server_ip) if plainly else (self.port[app], self.vip)

        def opened():
            try:
                return Session(port, ip)
            except ConnectionRefusedError:  # its listener has not come yet
                return None
        with self.client.inside():
            return wait_for("a listener", opened, 15)

    def call_grpc(self, *texts):
        """Lines of grpc_call.py, by the client's Remora."""
        target = "%s:%d" % (in_brackets(self.vip), self.port["grpc"])
        with self.client.inside():
            return subprocess.run([os.path.join(HERE, "grpc_call.py"), target, SERVER, *texts],
                                  check=True, capture_output=True, text=True,
                                  timeout=60).stdout.splitlines()

    def handshake(self, app, protocol, by=pki, who="client"):
        """A connection to the server's Remora as a sidecar makes it; who: whose certificate of that
        authority is shown, None: nobody's. Raises OSError."""
        ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        ctx.check_hostname = False
        ctx.load_verify_locations(pki.path("ca.pem"))
        if who:
            ctx.load_cert_chain(by.path(who + ".pem"), by.path(who + ".key"))
        ctx.set_alpn_protocols([protocol])
        with self.client.inside():
            s = socket.create_connection((self.server_ip, self.inbound[app]), 10)
        return ctx.wrap_socket(s)

    def served_fingerprint(self):
        """sha256 of the certificate that the server's Remora shows to a client of the mesh."""
        with self.handshake("tcp", "istio") as tls:
            return hashlib.sha256(tls.getpeercert(True)).hexdigest()

    def identity(self, app="http"):
        """x-forwarded-client-cert of the request that came to the application last, by key."""
        text = self.apps[app].requests[-1].get("x-forwarded-client-cert")
        return text and dict(pair.split("=", 1) for pair in text.split(";"))

    def check_in_sync(self, accepts=True):
        """accepts: also that no resource was ever refused."""
        wait_in_sync(self.istiod, 2)
        for pod in (self.client, self.server) if accepts else ():
            accepted(pod)


class LoopbackMesh(Mesh):
    """In NONE mode each listener binds a port of its own: both pods stand on loopback addresses.
    What comes in has to be named by a Sidecar then."""

    vip, client_ip, server_ip = "127.0.0.1", "127.0.0.1", "127.0.0.2"

    def __init__(self, istiod, apps):
        self.port = {name: free_port() for name in PROTOCOLS}
        self.inbound = {name: free_port() for name in PROTOCOLS}
        super().__init__(istiod, apps, [
            service("server", "127.0.0.9", {n: (self.port[n], p) for n, p in PROTOCOLS.items()}),
            workload("server", self.server_ip, self.inbound, "server", version="v1"),
            service("client", "127.0.0.10", {"http": (free_port(), "HTTP")}),
            workload("client", self.client_ip, {"http": free_port()}, "client"),
            network("Sidecar", "server", {
                "workloadSelector": {"labels": {"app": "server"}},
                "ingress": [{"port": {"number": self.inbound[n], "protocol": p, "name": n},
                             "bind": self.server_ip, "captureMode": "NONE",
                             "defaultEndpoint": "127.0.0.1:%d" % apps[n].port}
                            for n, p in PROTOCOLS.items()],
                "egress": [{"hosts": ["~/*"]}]})])


@contextlib.contextmanager
def mesh(delta=True):
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        istiod = stack.enter_context(Istiod())
        apps = {"http": stack.enter_context(Origin()), "tcp": stack.enter_context(Lines()),
                "grpc": stack.enter_context(Echo())}
        m = LoopbackMesh(istiod, apps)
        m.start(*(stack.enter_context(Pod(folder, name, ip, address(istiod.port), "NONE", delta))
                  for name, ip in (("server", m.server_ip), ("client", m.client_ip))))
        yield m
        m.check_in_sync()
