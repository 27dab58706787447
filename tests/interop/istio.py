"""Istio's discovery server (istiod/main.go) with the resources of a test, and what its sidecars
start from. Pods are Remoras with an identity each, whose secrets come from sockets of the test."""
import functools
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

import sdk
import yaml
from guests import sha256
from lib import TOP, address, equal, free_port, wait_for

sys.path.insert(0, os.path.join(TOP, "tests", "fake"))

from pki import Pki  # noqa: E402

OUTSIDE = "127.0.0.3"  # where there is no sidecar
REJECTED = ("cluster_manager.cds.update_rejected", "listener_manager.lds.update_rejected")
pki = Pki()


def spiffe(account):
    return "spiffe://cluster.local/ns/default/sa/" + account


def issue(account, by=pki):
    """A new certificate for a service account."""
    by.cert(account, "URI:" + spiffe(account))


def secrets(account, by=pki, trusted=(pki,)):
    """What the pod's secret socket serves, for Plane.set(): the certificate issued last, and the
    authorities of its peers."""
    return (("sds", {"name": "default", "tls_certificate": by.tls_certificate(account)}),
            ("sds", {"name": "ROOTCA", "validation_context": {"trusted_ca": {
                "inline_string": "".join(p.read("ca.pem") for p in trusted)}}}))


@functools.lru_cache
def binary():
    def build(work, out):
        sdk.go_modules(work)
        sdk.compile_it("istiod", ["go", "build", "-p", "2", "-ldflags=-s", "-o", out, "."], work,
                       sdk.GO_ENV, seconds=1500)
    return sdk.built("istiod", build, os.path.join(sdk.HERE, "istiod"), suffix="")


class Istiod:
    """With the resources of set(), and its own ports where it would take fixed ones; mesh: more of
    MeshConfig."""

    def __init__(self, **mesh):
        self.dir = tempfile.TemporaryDirectory(prefix="remora-istiod-")
        self.folder = os.path.join(self.dir.name, "config")
        os.mkdir(self.folder)
        self.capture = free_port()
        self.mesh = dict({"accessLogFile": "/dev/stdout", "proxyListenPort": self.capture,
                          "proxyInboundListenPort": free_port()}, **mesh)
        self.process = None

    def set(self, *resources):
        with open(os.path.join(self.folder, "all.yaml.new"), "w", encoding="ascii") as f:
            yaml.safe_dump_all(resources, f)
        os.rename(f.name, f.name[:-4])
        if self.process:
            self.process.stdin.write("\n")
            self.process.stdin.flush()
            self.answers.get(timeout=20)
        else:
            self.start()

    def start(self):
        mesh = os.path.join(self.dir.name, "mesh.yaml")
        with open(mesh, "w", encoding="ascii") as f:
            yaml.safe_dump(self.mesh, f)
        self.process = subprocess.Popen([binary(), self.folder, mesh, "0", "0"],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, text=True)
        self.lines, self.answers = [], queue.Queue()
        threading.Thread(target=self.read, daemon=True).start()
        first = self.answers.get(timeout=60)
        self.port, self.debug_port = first["port"], first["debug_port"]
        time.sleep(1)  # what it read is pushed when it settles; a real one is ready then

    def read(self):
        """Its log, and between the lines its answers to us, which are JSON."""
        for line in self.process.stdout:
            if line.startswith("{"):
                self.answers.put(json.loads(line))
            else:
                self.lines.append(line)

    def debug(self, path):
        with urllib.request.urlopen("http://127.0.0.1:%d/debug/%s" % (self.debug_port, path),
                                    timeout=10) as r:
            return json.loads(r.read() or b"null")

    def log(self):
        return "".join(self.lines)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process:
            self.process.kill()
            self.process.wait()
        self.dir.cleanup()


def of(api, kind, name, spec):
    return {"apiVersion": api, "kind": kind, "metadata": {"name": name, "namespace": "default"},
            "spec": spec}


def network(kind, name, spec):
    return of("networking.istio.io/v1", kind, name, spec)


def envoy_filter(name, *patches):
    """patches: (what they apply to, match, operation, value)."""
    return of("networking.istio.io/v1alpha3", "EnvoyFilter", name, {
        "configPatches": [{"applyTo": to, "match": match,
                           "patch": {"operation": operation, "value": value}}
                          for to, match, operation, value in patches]})


def wasm_plugin(name, url, module):
    """module: path of what the URL serves."""
    return of("extensions.istio.io/v1alpha1", "WasmPlugin", name, {
        "url": url, "sha256": sha256(module), "failStrategy": "FAIL_CLOSE"})


def host(name):
    return "%s.default.svc.cluster.local" % name


def service(name, vip, ports):
    """A service of the mesh whose pods have the label app=NAME. ports: name -> (number,
    protocol)."""
    return network("ServiceEntry", name, {
        "hosts": [host(name)], "addresses": [vip],
        "ports": [{"number": number, "name": port, "protocol": protocol}
                  for port, (number, protocol) in ports.items()],
        "location": "MESH_INTERNAL", "resolution": "STATIC",
        "workloadSelector": {"labels": {"app": name}}})


def workload(name, where, ports, account=None, **labels):
    """A pod of that service; with a service account it is spoken to by mTLS. ports: name ->
    number."""
    spec = {"address": where, "ports": ports, "labels": dict({"app": labels.pop("app", name)},
                                                             **labels)}
    if account:
        spec["serviceAccount"] = account
    return network("WorkloadEntry", name, spec)


def plain_service(name, number, up):
    """One HTTP port of a service without sidecars. It must not be a pod's address: pods have the
    labels of the workload at theirs."""
    return [service(name, "127.0.0.11", {"http": (number, "HTTP")}),
            workload(name, OUTSIDE, {"http": up})]


def static(name, where, **more):
    return dict(more, name=name, type="STATIC", connect_timeout="1s", load_assignment={
        "cluster_name": name, "endpoints": [{"lb_endpoints": [{"endpoint": {
            "address": where}}]}]})


def bootstrap(plane, socket_path, delta, mode, name="web", ip="127.0.0.1"):
    """Of the pod NAME; plane: address of the discovery server, socket_path: of the secrets."""
    http2 = {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
        "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": {"http2_protocol_options": {}}}}
    ads = {"ads": {}, "initial_fetch_timeout": "0s", "resource_api_version": "V3"}
    metadata = {"INSTANCE_IPS": ip, "NAMESPACE": "default", "LABELS": {"app": name},
                "CLUSTER_ID": "Kubernetes", "ISTIO_VERSION": "1.29.6", "SERVICE_ACCOUNT": name,
                "MESH_ID": "cluster.local", "WORKLOAD_NAME": name, "INTERCEPTION_MODE": mode}
    return {
        "node": {"id": "sidecar~%s~%s-1.default~default.svc.cluster.local" % (ip, name),
                 "cluster": name + ".default", "metadata": metadata},
        "dynamic_resources": {"lds_config": ads, "cds_config": ads, "ads_config": {
            "api_type": "DELTA_GRPC" if delta else "GRPC", "transport_api_version": "V3",
            "set_node_on_first_message_only": True,
            "grpc_services": [{"envoy_grpc": {"cluster_name": "xds-grpc"}}]}},
        "static_resources": {"clusters": [
            static("xds-grpc", plane, typed_extension_protocol_options=http2),
            static("sds-grpc", {"pipe": {"path": socket_path}},
                   typed_extension_protocol_options=http2)]}}


def in_sync(istiod, nodes=1):
    """All types that each of so many proxies was sent are acknowledged in the version sent
    last."""
    rows = istiod.debug("syncz") or []
    return len(rows) == nodes and all(
        len(row["resources"]) >= 2 and
        all(t["sent"] == t.get("acked") and not t.get("lastError")
            for t in row["resources"].values()) for row in rows)


def wait_in_sync(istiod, nodes=1):
    wait_for("/debug/syncz to be in sync", lambda: in_sync(istiod, nodes), 15)


def none_rejected(r):
    """Neither a cluster nor a listener, since the start."""
    equal([(name, r.stat(name)) for name in REJECTED if r.stat(name)], [], r.log()[-3000:])


def accepted(r):
    """All resources of all types, since the start."""
    none_rejected(r)
    equal("rejected:" in r.log(), False, r.log()[-3000:])
