"""The same work in the words of each program: HTTP/1.1, HTTP/2 without TLS, HTTP/1.1 over TLS and
TCP towards one origin that speaks HTTP/1.1; connections kept on both sides, no access log, no idle
limits."""
import json
import os
import sys

from guests import WASM
from lib import BINARY, TOP, address, cluster, get, hcm, listener, tcp_proxy
from peers import (LOAD_CORE, Process, Unavailable, envoy_binary, executable, haproxy_binary,
                   nginx_binary)

sys.path.insert(0, os.path.join(TOP, "tests", "fake"))
from pki import Pki  # noqa: E402

NEVER = "0s"
NODE = {"id": "bench", "cluster": "bench"}
PORTS = ("http", "tcp", "h2", "tls", "admin")
BIG = 1 << 20  # bytes of /big
pki = Pki()  # keys of P-256
pki.cert("server", "DNS:bench.test")
BODY = "x" * 64
UPSTREAM_HTTP = {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
    "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
    "common_http_protocol_options": {"idle_timeout": NEVER},
    "explicit_http_config": {"http_protocol_options": {}}}}
ECDS = {"config_source": {"ads": {}, "resource_api_version": "V3"}, "type_urls": [WASM]}

NGINX = """daemon off; master_process off; worker_processes 1; pid {dir}/pid; error_log stderr crit;
%(modules)s
events { worker_connections 4096; }
http {
  access_log off; keepalive_timeout 1d; keepalive_requests 1000000000; client_header_timeout 1d;
  client_body_temp_path {dir}/1; proxy_temp_path {dir}/2; fastcgi_temp_path {dir}/3;
  uwsgi_temp_path {dir}/4; scgi_temp_path {dir}/5;
  %(http)s
}
%(more)s
"""
NGINX_ORIGIN = """server { listen 127.0.0.1:%d backlog=1024; location / { return 200 "%s"; }
    location /big { root {dir}; } }"""
NGINX_PROXY = """upstream o { server 127.0.0.1:%(origin)d; keepalive 256;
    keepalive_requests 1000000000; keepalive_timeout 1d; }
  ssl_certificate %(pem)s; ssl_certificate_key %(key)s;
  ssl_protocols TLSv1.2 TLSv1.3;
  server { listen 127.0.0.1:%(http)d backlog=1024; listen 127.0.0.1:%(h2)d backlog=1024 http2;
    listen 127.0.0.1:%(tls)d backlog=1024 ssl; location / { proxy_pass http://o;
    proxy_http_version 1.1; proxy_set_header Connection ""; } }"""
NGINX_TCP = """stream { server { listen 127.0.0.1:%(tcp)d backlog=1024;
  proxy_pass 127.0.0.1:%(origin)d; proxy_timeout 1d; } }"""
HAPROXY = """global
  nbthread 1
  maxconn 4096
defaults
  timeout client 1d
  timeout server 1d
  timeout connect 5s
  timeout http-keep-alive 1d
listen h
  mode http
  bind 127.0.0.1:%(http)d
  bind 127.0.0.1:%(h2)d proto h2
  bind 127.0.0.1:%(tls)d ssl crt %(both)s
  http-reuse always
  server o 127.0.0.1:%(origin)d
listen t
  mode tcp
  bind 127.0.0.1:%(tcp)d
  server o 127.0.0.1:%(origin)d
"""


def answers(port, path="/"):
    return lambda: get(port, path).status == 200


def nginx(name, text, port, core, **files):
    binary, _ = nginx_binary()
    return Process(name, dict(files, **{"nginx.conf": text}),
                   [binary, "-e", "stderr", "-p", "{dir}", "-c", "{dir}/nginx.conf"],
                   answers(port), core)


def start_origin(port):
    text = NGINX % {"modules": "", "more": "", "http": NGINX_ORIGIN % (port, BODY)}
    return nginx("origin", text, port, LOAD_CORE, big="x" * BIG)


def certificate():
    """What nginx and haproxy read: paths."""
    both = pki.path("both.pem")
    with open(both, "w", encoding="ascii") as f:
        f.write(pki.read("server.pem") + pki.read("server.key"))
    return {"pem": pki.path("server.pem"), "key": pki.path("server.key"), "both": both}


def start_nginx(ports, core):
    _, modules = nginx_binary()
    text = NGINX % {"modules": "load_module %s/ngx_stream_module.so;" % modules,
                    "http": NGINX_PROXY % dict(ports, **certificate()),
                    "more": NGINX_TCP % ports}
    return nginx("nginx", text, ports["http"], core)


def start_haproxy(ports, core):
    binary, libraries = haproxy_binary()
    return Process("haproxy", {"haproxy.cfg": HAPROXY % dict(ports, **certificate())},
                   [binary, "-db", "-q", "-f", "{dir}/haproxy.cfg"], answers(ports["http"]), core,
                   {"LD_LIBRARY_PATH": libraries})


# ---- Remora and Envoy: one configuration ----

def http_listener(port, routes, filters=(), name="h", tls=False):
    made = listener(name, port, [hcm(
        routes, filters, generate_request_id=False, stream_idle_timeout=NEVER,
        common_http_protocol_options={"idle_timeout": NEVER})])
    if tls:
        made["filter_chains"][0]["transport_socket"] = {
            "name": "envoy.transport_sockets.tls", "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3."
                         "DownstreamTlsContext",
                "common_tls_context": {"tls_certificates": [pki.tls_certificate("server")]}}}
    return made


def proxy_bootstrap(ports, plugin=None):
    filters = [{"name": "plugin", "typed_config": plugin}] if plugin else []
    routes = [{"match": {"prefix": "/"}, "route": {"cluster": "o", "timeout": NEVER}}]
    return {"static_resources": {
        "listeners": [http_listener(ports["http"], routes, filters),
                      http_listener(ports["h2"], routes, filters, "h2"),
                      http_listener(ports["tls"], routes, filters, "s", tls=True),
                      listener("t", ports["tcp"], [tcp_proxy("o", idle_timeout=NEVER)])],
        "clusters": [cluster("o", [ports["origin"]],
                             typed_extension_protocol_options=UPSTREAM_HTTP)]}}


def swap_listener(port):
    """A listener that answers by itself, behind a plugin that comes from a control plane."""
    return http_listener(port, [{"match": {"prefix": "/"}, "direct_response": {
        "status": 200, "body": {"inline_string": BODY}}}],
                         [{"name": "plugin", "config_discovery": ECDS}])


def start_remora(ports, core, config, is_up=None, **files):
    """files: further ones for its folder, by name."""
    config = dict({"node": NODE}, **config, admin={"address": address(ports["admin"])})
    return Process("remora", dict(files, **{"bootstrap.json": json.dumps(config)}),
                   [executable(BINARY), "-c", "{dir}/bootstrap.json", "--concurrency", "1", "-l",
                    "warning", "--data-dir", "{dir}/data"], is_up or answers(ports["http"]), core)


def start_envoy(ports, core, config, is_up=None, **files):
    config = dict({"node": NODE}, **config, admin={"address": address(ports["admin"])})
    return Process("envoy", dict(files, **{"bootstrap.json": json.dumps(config)}),
                   [envoy_binary(), "-c", "{dir}/bootstrap.json", "--concurrency", "1", "-l",
                    "warning", "--disable-hot-restart", "--use-dynamic-base-id"],
                   is_up or answers(ports["http"]), core)


def lag_client():
    """Built beside the binary under test, or in the default build folder."""
    for folder in (os.path.dirname(os.path.abspath(BINARY)), os.path.join(TOP, "build")):
        path = os.path.join(folder, "tests/bench/bench_lag")
        if os.access(path, os.X_OK):
            return path
    raise Unavailable("bench_lag is not built")
