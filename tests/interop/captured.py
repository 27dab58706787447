"""The mesh of mesh.py as it is in a cluster: each pod has a network namespace of its own, whose
traffic rules lead to its Remora, and nothing needs a Sidecar resource."""
import contextlib
import os
import socket
import subprocess
import tempfile
import threading

from applications import Echo, Lines
from istio import Istiod, service, workload
from lib import BINARY, TOP, Origin
from mesh import Mesh, Pod
from namespaces import Namespace, link

# Who Remora is, so that the rules leave its own connections alone: a user, or where it needs
# capabilities, a group.
PREFIX = {"REDIRECT": [os.path.join(TOP, "deploy", "run-as"), "1337"],
          "TPROXY": ["setpriv", "--regid", "1337", "--clear-groups"]}
# Of the last two nobody says what is spoken there.
PORTS = {"http": (80, "HTTP"), "tcp": (7000, "TCP"), "grpc": (50051, "GRPC"),
         "mongo": (27017, "MONGO"), "auto-http": (9000, ""), "auto-tcp": (9001, "")}
IPV4 = {"vip": "10.96.0.1", "client_vip": "10.96.0.2", "outside_vip": "10.96.0.9",
        "client_ip": "10.78.0.1", "server_ip": "10.78.0.2", "outside": "10.78.0.3"}
IPV6 = {"vip": "fd96::1", "client_vip": "fd96::2", "outside_vip": "fd96::9",
        "client_ip": "fd78::1", "server_ip": "fd78::2", "outside": "fd78::3"}


class Relay:
    """A Unix socket that leads to a port of this namespace, as pilot-agent's does to istiod."""

    def __init__(self, path, port):
        self.port = port
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(path)
        os.chmod(path, 0o777)
        self.socket.listen()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                near, _ = self.socket.accept()
                try:
                    far = socket.create_connection(("127.0.0.1", self.port))
                except OSError:
                    near.close()
                    continue
                for ends in ((near, far), (far, near)):
                    threading.Thread(target=self.pump, args=ends, daemon=True).start()

    @staticmethod
    def pump(source, sink):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        for s in (source, sink):
            with contextlib.suppress(OSError):
                s.shutdown(socket.SHUT_RDWR)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


def capture(namespace, mode, excluded):
    """excluded: of inbound ports."""
    with namespace.inside():
        subprocess.run([BINARY, "istio-iptables", "-p", "15001", "-z", "15006", "-u", "1337",
                        "-g", "1337", "-m", mode, "-i", "*", "-x", "", "-b", "*",
                        "-d", "15090,15021,15020,%d" % excluded], check=True, timeout=30,
                       capture_output=True)


class CapturedMesh(Mesh):
    """At outside (apps["outside"]) there is no sidecar."""

    def __init__(self, istiod, apps, at):
        self.vip, self.outside, self.outside_vip = at["vip"], at["outside"], at["outside_vip"]
        self.client_ip, self.server_ip = at["client_ip"], at["server_ip"]
        self.port = {name: number for name, (number, _) in PORTS.items()}
        self.inbound = {name: apps[name].port for name in PORTS}
        super().__init__(istiod, apps, [
            service("server", self.vip, PORTS),
            workload("server", self.server_ip, self.inbound, "server", version="v1"),
            service("client", at["client_vip"], {"http": (80, "HTTP")}),
            workload("client", self.client_ip, {"http": 8080}, "client")])


@contextlib.contextmanager
def captured(mode="REDIRECT", delta=True, accepts=True, at=IPV4):
    """mode: REDIRECT or TPROXY; accepts: in the end all resources must have been accepted."""
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        os.chmod(folder, 0o755)
        space = {name: stack.enter_context(Namespace(name)) for name in ("server", "client")}
        link(space["client"], space["server"], at["client_ip"], at["server_ip"])
        ip, outside = at["server_ip"], at["outside"]
        space["server"].ip("addr", "add", outside, "dev", "eth0", *["nodad"] * (":" in outside))
        with space["server"].inside():
            make = {"http": Origin(address=ip), "auto-http": Origin(address=ip), "tcp": Lines(ip),
                    "auto-tcp": Lines(ip), "mongo": Lines(ip),
                    "grpc": Echo(ip), "outside": Origin(address=outside)}
        apps = {name: stack.enter_context(app) for name, app in make.items()}
        for namespace in space.values():
            capture(namespace, mode, apps["outside"].port)
        istiod = stack.enter_context(Istiod(proxyListenPort=15001, proxyInboundListenPort=15006))
        m = CapturedMesh(istiod, apps, at)
        plane = os.path.join(folder, "XDS")
        m.relay = stack.enter_context(Relay(plane, istiod.port))
        m.start(*(stack.enter_context(Pod(folder, name, ip, {"pipe": {"path": plane}}, mode,
                                          delta, namespace=space[name], prefix=PREFIX[mode],
                                          concurrency=2))
                  for name, ip in (("server", m.server_ip), ("client", m.client_ip))))
        yield m
        m.check_in_sync(accepts)
