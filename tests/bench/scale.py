"""Configurations of growing size in Remora and Envoy: how long one takes from its file's arrival to
the first request that it serves, what an entry costs in memory, and whether a request costs more.

A program starts without the entries and watches a folder; nothing but the program is timed."""
import json
import os
import time

from configs import NEVER, UPSTREAM_HTTP, http_listener, start_envoy, start_origin, start_remora
from lib import Client, Skip, address, cluster, free_port, get, hcm, tcp_proxy
from loads import Kind, load
from peers import PROXY_CORE, Unavailable

SIZES = (1, 100, 1000, 10000)
URL = "type.googleapis.com/envoy.config."
EMPTY = json.dumps({"version_info": "0", "resources": []})
WAIT_S = 120


def watched(name):
    return {"path_config_source": {"path": "{dir}/%s.json" % name}, "resource_api_version": "V3"}


def resources(version, kind, rows):
    return json.dumps({"version_info": version, "resources": [
        dict({"@type": URL + kind}, **row) for row in rows]})


class Clusters:
    """The last of them is asked."""
    name, file = "clusters", "cds"

    def __init__(self, ports):
        self.ports = ports

    def config(self):
        routes = [{"match": {"prefix": "/"}, "route": {"cluster_header": "x-to", "timeout": NEVER}}]
        return {"dynamic_resources": {"cds_config": watched("cds")},
                "static_resources": {"listeners": [http_listener(self.ports["http"], routes)]}}

    def entries(self, n):
        return resources(str(n), "cluster.v3.Cluster", [
            cluster("c%d" % i, [self.ports["origin"]],
                    typed_extension_protocol_options=UPSTREAM_HTTP) for i in range(n)])

    def headers(self, n):
        return ("x-to: c%d" % (n - 1),)


def with_origin(ports):
    return {"clusters": [cluster("o", [ports["origin"]],
                                 typed_extension_protocol_options=UPSTREAM_HTTP)]}


class Hosts(Clusters):
    """Virtual hosts, each with a route."""
    name, file = "routes", "rds"

    def config(self):
        made = http_listener(self.ports["http"], None)
        made["filter_chains"][0]["filters"][0]["typed_config"]["rds"] = {
            "route_config_name": "r", "config_source": watched("rds")}
        return {"static_resources": dict(with_origin(self.ports), listeners=[made])}

    def entries(self, n):
        return resources(str(n), "route.v3.RouteConfiguration", [{"name": "r", "virtual_hosts": [
            {"name": "v%d" % i, "domains": ["h%d.test" % i], "routes": [
                {"match": {"prefix": "/"}, "route": {"cluster": "o", "timeout": NEVER}}]}
            for i in range(n)]}] if n else [{"name": "r"}])

    def headers(self, n):
        return ("Host: h%d.test" % (n - 1),)  # wrk replaces its own when it is spelled so


class Chains(Clusters):
    """Filter chains of one listener, by the client's address; a connection for each request."""
    name, file = "chains", "lds"

    def config(self):
        return {"dynamic_resources": {"lds_config": watched("lds")},
                "static_resources": with_origin(self.ports)}

    def entries(self, n):
        chains = [{"name": "f%d" % i, "filters": [tcp_proxy("o", idle_timeout=NEVER)],
                   "filter_chain_match": {"source_prefix_ranges": [
                       {"address_prefix": "10.1.%d.%d" % divmod(i, 256), "prefix_len": 32}]}}
                  for i in range(n - 1)]
        chains.append({"name": "last", "filters": [tcp_proxy("o", idle_timeout=NEVER)],
                       "filter_chain_match": {"source_prefix_ranges": [
                           {"address_prefix": "127.0.0.0", "prefix_len": 8}]}})
        return resources(str(n), "listener.v3.Listener", [{
            "name": "l", "address": address(self.ports["http"]), "filter_chains": chains}])

    def headers(self, n):
        return ("connection: close",)


class Listeners(Chains):
    """As a sidecar has them: one for each service's address, without a socket of its own. The last
    has one, and a connection for each request."""
    name = "listeners"

    def entries(self, n):
        def one(i, at, **more):
            return dict({"name": "l%d" % i, "address": at, "filter_chains": [
                {"filters": [tcp_proxy("o", idle_timeout=NEVER)]}]}, **more)
        rows = [one(i, address(80, "10.2.%d.%d" % divmod(i, 256)), bind_to_port=False)
                for i in range(n - 1)]
        return resources(str(n), "listener.v3.Listener",
                         rows + [one(n, address(self.ports["http"]))])


def is_served(port, headers):
    try:
        with Client(port) as c:
            return c.ask("GET / HTTP/1.1\r\n%s%s\r\n\r\n" % (
                "" if headers[0].startswith("Host") else "host: a\r\n", headers[0])).status == 200
    except (OSError, EOFError):
        return False


def is_up(ports):
    return lambda: get(ports["admin"], "/ready").status == 200


def measure(work, start, ports, n, seconds):
    empty = work.entries(0) if work.name == "routes" else EMPTY
    process = start(ports, PROXY_CORE, work.config(), is_up(ports), **{work.file + ".json": empty})
    try:
        time.sleep(0.3)
        path = os.path.join(process.dir, work.file + ".json")
        with open(path + ".new", "w", encoding="ascii") as f:
            f.write(work.entries(n))
        memory, cpu, began = process.memory_kib()[0], process.cpu_us(), time.monotonic()
        os.rename(path + ".new", path)
        while not is_served(ports["http"], work.headers(n)):
            if time.monotonic() - began > WAIT_S:
                raise Unavailable("%s with %d %s: not served within %d s: %s" % (
                    process.name, n, work.name, WAIT_S, process.last_words()))
            time.sleep(0.002)
        took = time.monotonic() - began
        time.sleep(0.5)
        row = {"ms": took * 1e3, "cpu_ms": (process.cpu_us() - cpu) / 1e3,
               "kib": (process.memory_kib()[0] - memory) / n}
        one = load(process, Kind("", "", "http", 16, headers=work.headers(n)), ports["http"],
                   seconds)
        return dict(row, cpu=one["cpu"])
    finally:
        process.stop()


def run_scale(options):
    """Rows of (work, entries, proxy) -> figures."""
    rows, told = {}, set()
    origin_port = free_port()
    origin = start_origin(origin_port)
    try:
        for work in Clusters, Hosts, Chains, Listeners:
            for n in SIZES:
                for name, start in (("remora", start_remora), ("envoy", start_envoy)):
                    ports = {"origin": origin_port, "http": free_port(), "admin": free_port()}
                    try:
                        rows[work.name, n, name] = measure(work(ports), start, ports, n,
                                                           options.seconds)
                    except (Unavailable, Skip) as e:
                        line = "skip bench/scale %s: %s" % (name, e)
                        if line not in told:  # one reason, once
                            print(line, flush=True)
                        told.add(line)
    finally:
        origin.stop()
    return rows


def print_scale(rows):
    if not rows:
        return
    print("\n%-10s %8s %-8s %12s %10s %12s %12s" % (
        "entries", "number", "proxy", "applied ms", "CPU ms", "KiB/entry", "CPU us/req"))
    for (work, n, name), row in rows.items():
        print("%-10s %8d %-8s %12.1f %10.0f %12.2f %12.2f" % (
            work, n, name, row["ms"], row["cpu_ms"], row["kib"], row["cpu"]))
