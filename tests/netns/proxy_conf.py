#!/usr/bin/python3
"""proxy_conf.py POD-4 POD-6 [transparent] [source]: the bootstrap of a sidecar as a control plane of a mesh lays it out.

Outbound: port 80 goes through an HTTP connection manager with a plugin; the service addresses
10.97.0.1 and fd97::1 have port 9091 (two plain servers on 8081 behind it, TCP with a plugin that
logs what passes) and port 8000 (this pod's own 9000); all else passes as it is. Inbound: 8080 is
HTTP, 20880 is logged TCP, all else passes as it is. With "transparent", inbound connections come by
TPROXY; with "source" they go on from the client's address."""
import json
import os
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "tests", "flow"))
import guests  # noqa: E402
import lib  # noqa: E402

ORIGINAL_DST = {"name": "envoy.filters.listener.original_dst", "typed_config": {
    "@type": "type.googleapis.com/envoy.extensions.filters.listener.original_dst.v3.OriginalDst"}}
ORIGINAL_SRC = {"name": "envoy.filters.listener.original_src", "typed_config": {
    "@type": "type.googleapis.com/envoy.extensions.filters.listener.original_src.v3.OriginalSrc",
    "mark": 1337}}
HEADER = {"name": "header", "typed_config": guests.plugin(guests.guest("header"), "header")}


def framed(name):
    # Both directions have the same VM configuration, hence one VM.
    return {"name": name, "typed_config": guests.plugin(
        guests.guest("framed"), name, network=True, vm_id="same_vm_id")}


def original_dst(name, is_inbound=False):
    c = {"name": name, "type": "ORIGINAL_DST", "lb_policy": "CLUSTER_PROVIDED",
         "connect_timeout": "1s"}
    if is_inbound:  # the rules let these addresses through
        c["upstream_bind_config"] = {
            "source_address": {"address": "127.0.0.6", "port_value": 0},
            "extra_source_addresses": [{"address": {"address": "::6", "port_value": 0}}]}
    return c


def static(name, host, port):
    c = lib.cluster(name, [port])
    endpoint = c["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]
    endpoint["address"] = lib.address(port, host)
    return c


def virtual(name, direction, host, port, chains, **more):
    return dict({"name": name, "traffic_direction": direction, "address": lib.address(port, host),
                 "filter_chains": chains}, **more)


def outbound(host, port, *filters):
    return virtual("%s_%d" % (host, port), "OUTBOUND", host, port, [{"filters": list(filters)}],
                   bind_to_port=False)


def inbound_chain(port, *filters):
    return {"filter_chain_match": {"destination_port": port}, "filters": list(filters)}


def family(tag, any_address, service, pod, client):
    """Listeners and clusters of one address family."""
    listeners = [
        virtual("virtualOutbound" + tag, "OUTBOUND", any_address, 15001,
                [{"filters": [lib.tcp_proxy("PassthroughCluster", stat_prefix="passthrough")]}],
                use_original_dst=True),
        outbound(any_address, 80, lib.hcm([lib.route("/", "PassthroughCluster")], [HEADER])),
        outbound(service, 9091, framed("outbound"), lib.tcp_proxy("goserver" + tag)),
        outbound(service, 8000, lib.tcp_proxy("self" + tag)),
        virtual("virtualInbound" + tag, "INBOUND", any_address, 15006, [
            inbound_chain(8080, lib.hcm([lib.route("/", "inbound|8080||")], [HEADER])),
            inbound_chain(20880, framed("inbound"), lib.tcp_proxy("InboundPassthroughCluster")),
            {"filters": [lib.tcp_proxy("InboundPassthroughCluster")]},
        ], listener_filters=[ORIGINAL_DST] + [ORIGINAL_SRC] * ("source" in sys.argv), transparent="transparent" in sys.argv)]
    return listeners, [static("goserver" + tag, client, 8081), static("self" + tag, pod, 9000)]


listeners4, clusters4 = family("", "0.0.0.0", "10.97.0.1", sys.argv[1], "10.77.0.1")
listeners6, clusters6 = family("6", "::", "fd97::1", sys.argv[2], "fd77::1")
json.dump({
    "node": {"id": "sidecar~%s~app~test" % sys.argv[1], "cluster": "app"},
    "admin": {"address": lib.address(15000)},
    "static_resources": {
        "listeners": listeners4 + listeners6,
        "clusters": clusters4 + clusters6 + [
            original_dst("PassthroughCluster"), original_dst("inbound|8080||", is_inbound=True),
            original_dst("InboundPassthroughCluster", is_inbound=True)]}}, sys.stdout, indent=1)
