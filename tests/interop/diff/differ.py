"""Runs the cases of a YAML file against a proxy: each case is a listener, each request of it tells
what came back and what the origin saw. Shared by the flow story, which compares with `want`, and
by compare, which compares two proxies."""
import os
import re
import sys

import yaml

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(HERE)), "flow"))
from lib import *

CONFIG_KEYS = ("ignore_path_parameters_in_path_matching", "most_specific_header_mutations_wins",
               "vhost_header", "ignore_port_in_host_matching", "internal_only_headers")
# What differs from run to run.
VOLATILE = {"date", "x-envoy-upstream-service-time", "x-request-id"}


def load(name):
    with open(os.path.join(HERE, name + ".yaml"), encoding="utf-8") as f:
        return yaml.safe_load(f)


def case_hcm(case):
    if "scoped_routes" in case:
        return hcm(filters=case.get("filters", ()), scoped_routes=case["scoped_routes"])
    config = {"name": "r", "validate_clusters": False, "virtual_hosts": [
        {"name": "v", "domains": case.get("domains", ["*"]), "routes": case["routes"]}]}
    for key in CONFIG_KEYS:
        if key in case:
            config[key] = case[key]
    for side in ("request", "response"):
        for what in ("to_add", "to_remove"):
            key = "%s_headers_%s" % (side, what)
            if "config_" + key in case:
                config[key] = case["config_" + key]
            if "vhost_" + key in case:
                config["virtual_hosts"][0][key] = case["vhost_" + key]
    for key in ("require_tls", "typed_per_filter_config"):
        if key in case:
            config["virtual_hosts"][0][key] = case[key]
    return hcm(filters=case.get("filters", ()), route_config=config, **case.get("hcm", {}))


class Rig:
    """Origins a and b, and the configuration that leads to them."""

    def __init__(self, cases):
        self.cases = cases
        self.seen = []
        self.origins = {n: Origin(lambda q, n=n: self.answer(n, q)) for n in ("a", "b")}
        self.ports = [free_port() for _ in cases]
        clusters = [cluster(n, [o.port]) for n, o in self.origins.items()]
        named = cluster("named", [self.origins["a"].port])
        named["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"][
            "hostname"] = "name.of.host"
        self.config = {"static_resources": {
            "listeners": [listener("l%d" % i, self.ports[i], [case_hcm(c)])
                          for i, c in enumerate(cases)],
            "clusters": clusters + [named]}}

    def answer(self, name, q):
        self.seen.append((name, q))
        return reply(b"ok", headers=[("x-origin", name)])

    def ask(self, i, r):
        """Outcome of a request: plain data."""
        del self.seen[:]
        headers = r.get("headers", {})
        pairs = headers.items() if isinstance(headers, dict) else headers
        text = "%s %s HTTP/1.1\r\nhost: %s\r\n%s\r\n" % (
            r.get("method", "GET"), r["path"], r.get("host", "h.test"),
            "".join("%s: %s\r\n" % tuple(p) for p in pairs))
        with Client(self.ports[i]) as c:
            m = c.ask(text.encode("latin-1"), head_only=r.get("method") == "HEAD")
        out = {"status": m.status, "location": m.get("location"), "body": m.body.decode("latin-1"),
               "got": fold(m.headers)}
        if self.seen:
            name, q = self.seen[0]
            out.update(to=name, path=q.path, host=q.get("host"), sent=fold(q.headers))
        return out

    def close(self):
        for o in self.origins.values():
            o.close()


def fold(headers):
    out = {}
    for k, v in headers:
        k = k.lower()
        if k not in VOLATILE:
            out[k] = out[k] + "," + v if k in out else v
    return out


def check(case, request, outcome):
    """What of `want` does not hold."""
    bad = []
    for key, want in request.get("want", {}).items():
        have = outcome.get(key)
        if key in ("sent", "got"):
            for h, v in want.items():
                if (have or {}).get(h) != v:
                    bad.append("%s %s: %r, not %r" % (key, h, (have or {}).get(h), v))
        elif have != want:
            bad.append("%s: %r, not %r" % (key, have, want))
    return ["%s: %s %s: %s" % (case["name"], request["path"], request.get("headers", ""), b)
            for b in bad]
