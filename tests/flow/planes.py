"""The control plane of the tests (tests/fake/control_plane.py) inside a flow test."""
import os
import sys
import time

from lib import TOP, address, wait_for

sys.path.insert(0, os.path.join(TOP, "tests", "fake"))

import grpc  # noqa: E402
import yaml  # noqa: E402
from control_plane import Messages, Server  # noqa: E402
from resources import URLS  # noqa: E402

URL = {k: v.split("/", 1)[1] for k, v in URLS.items()}
messages = Messages()


class Plane:
    def __init__(self, address="127.0.0.1:0", tls=None, **options):
        """tls: an authority with a certificate `server`; clients need one of it, too."""
        self.said = []
        self.server = Server(messages, say=self.said.append, **options)
        self.port = self.server.start(address, tls and grpc.ssl_server_credentials(
            [(tls.read("server.key").encode(), tls.read("server.pem").encode())],
            tls.read("ca.pem").encode(), True))
        self.set()
        self.server.resources = {url: {} for url in URLS.values()}

    def set(self, *resources):
        """Each resource: (short type, dict)."""
        texts = [yaml.safe_dump({"@type": URLS[t], **r}) for t, r in resources]
        self.server.set("\n---\n".join(texts))

    def remove(self, kind, *names):
        self.server.remove(kind, names)

    def answers(self, kind, nack=None):
        """Rows of ACKs and NACKs of a type, oldest first."""
        with self.server.lock:
            rows = [r for r in self.server.rows if r.get("event") == "request"
                    and r.get("type") == kind and r.get("nonce")]
        return [r for r in rows if nack is None or bool(r.get("error")) == nack]

    def wait_ack(self, kind, count=1):
        wait_for("%d ACKs of %s in %r" % (count, kind, self.said[-5:]),
                 lambda: len(self.answers(kind, nack=False)) >= count)

    def wait_nack(self, kind, count=1, seconds=10):
        wait_for("%d NACKs of %s" % (count, kind),
                 lambda: len(self.answers(kind, nack=True)) >= count, seconds)
        return self.answers(kind, nack=True)[count - 1]["error"]["message"]

    def stop(self):
        self.server.stop()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def bootstrap(plane_port, delta=True, clusters=(), listeners=()):
    return {
        "node": {"id": "n1", "cluster": "c1"},
        "dynamic_resources": {
            "ads_config": {"api_type": "DELTA_GRPC" if delta else "GRPC",
                           "transport_api_version": "V3",
                           "grpc_services": [{"envoy_grpc": {"cluster_name": "xds"}}]},
            "lds_config": {"ads": {}, "resource_api_version": "V3"},
            "cds_config": {"ads": {}, "resource_api_version": "V3"}},
        "static_resources": {"listeners": list(listeners), "clusters": [{
            "name": "xds", "type": "STATIC", "connect_timeout": "1s",
            "typed_extension_protocol_options": {
                "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                    "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3."
                             "HttpProtocolOptions",
                    "explicit_http_config": {"http2_protocol_options": {}}}},
            "load_assignment": {"cluster_name": "xds", "endpoints": [{"lb_endpoints": [
                {"endpoint": {"address": address(plane_port)}}]}]}}] + list(clusters)}}


def eds_cluster(name, **more):
    return ("cds", dict({"name": name, "type": "EDS", "connect_timeout": "1s",
                         "eds_cluster_config": {"eds_config": {
                             "ads": {}, "resource_api_version": "V3"}}}, **more))


def endpoints(name, *ports):
    return ("eds", {"cluster_name": name, "endpoints": [{"lb_endpoints": [
        {"endpoint": {"address": address(p)}} for p in ports]}]})


def routes(name, to, **more):
    return ("rds", dict({"name": name, "virtual_hosts": [
        {"name": "v", "domains": ["*"], "routes": [
            {"match": {"prefix": "/"}, "route": {"cluster": to}}]}]}, **more))


RDS = {"rds": {"route_config_name": "r", "config_source": {
    "ads": {}, "resource_api_version": "V3"}}}
