"""What the bootstrap of Istio's sidecars says of statistics."""
TAGS = [
    ("cluster_name", r"^cluster\.((.+?(\..+?\.svc\.cluster\.local)?)\.)"),
    ("tcp_prefix", r"^tcp\.((.*?)\.)\w+?$"),
    ("response_code", r"_rq(_(\d{3}))$"),
    ("response_code_class", r"_rq(_(\dxx))$"),
    ("http_conn_manager_listener_prefix",
     r"^listener(?=\.).*?\.http\.(((?:[_.[:digit:]]*|[_\[\]aAbBcCdDeEfF[:digit:]]*))\.)"),
    ("http_conn_manager_prefix",
     r"^http\.(((?:[_.[:digit:]]*|[_\[\]aAbBcCdDeEfF[:digit:]]*))\.)"),
    ("listener_address",
     r"^listener\.(((?:[_.[:digit:]]*|[_\[\]aAbBcCdDeEfF[:digit:]]*))\.)"),
    ("mongo_prefix", r"^mongo\.(.+?)\.(collection|cmd|cx_|op_|delays_|decoding_)(.*?)$"),
    ("reporter", r"(reporter=\.=(.*?);\.;)"),
    ("cache", r"(cache\.(.+?)\.)"),
    ("component", r"(component\.(.+?)\.)"),
    ("tag", r"(tag\.(.+?);\.)"),
    ("wasm_filter", r"(wasm_filter\.(.+?)\.)"),
    ("authz_enforce_result", r"rbac(\.(allowed|denied))"),
    ("authz_dry_run_action", r"(\.istio_dry_run_(allow|deny)_)"),
    ("authz_dry_run_result", r"(\.shadow_(allowed|denied))"),
]
STATS_CONFIG = {
    "use_all_default_tags": False,
    "stats_tags": [{"tag_name": n, "regex": r} for n, r in TAGS],
    "stats_matcher": {"inclusion_list": {"patterns": [
        {"prefix": "reporter="}, {"prefix": "cluster_manager"}, {"prefix": "listener_manager"},
        {"prefix": "server"}, {"prefix": "cluster.xds-grpc"}, {"prefix": "wasm"},
        {"suffix": "rbac.allowed"}, {"suffix": "downstream_cx_active"},
        {"safe_regex": {"regex": "vhost.*"}}, {"prefix": "component"}, {"prefix": "istio"}]}}}
