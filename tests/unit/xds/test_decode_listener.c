#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "xds/decode.h"
#include "yaml.h"

#define URL "type.googleapis.com/envoy.extensions.filters."
#define ADDRESS "address: {socket_address: {address: 127.0.0.1, port_value: 80}}"
#define LISTENER(fields) "{name: l, " ADDRESS ", " fields "}"
#define TCP_FIELDS(fields) \
    "{name: tcp, typed_config: {'@type': " URL "network.tcp_proxy.v3.TcpProxy, " fields "}}"
#define TCP TCP_FIELDS("stat_prefix: t, cluster: c")
#define CHAINS(list) LISTENER("filter_chains: [" list "]")
#define CHAIN(filters) CHAINS("{filters: [" filters "]}")
#define MATCHED(match) "{filter_chain_match: {" match "}, filters: [" TCP "]}"
#define HCM(fields)                                  \
    CHAIN("{name: hcm, typed_config: {'@type': " URL \
          "network.http_connection_manager.v3.HttpConnectionManager, " fields "}}")
#define ROUTES "route_config: {}"
#define SCOPED(extract, list)                                                                     \
    HCM("stat_prefix: s, scoped_routes: {name: sc, scope_key_builder: {fragments: "               \
        "[{header_value_extractor: {name: h, " extract "}}]}, scoped_route_configurations_list: " \
        "{scoped_route_configurations: [" list "]}}")
#define SCOPE_A "key: {fragments: [{string_key: k}]}, route_configuration: {}"
#define XFF "type.googleapis.com/envoy.extensions.http.original_ip_detection.xff.v3.XffConfig"
#define ROUTER "{name: router, typed_config: {'@type': " URL "http.router.v3.Router}}"
#define FILTERS(list) HCM("stat_prefix: s, " ROUTES ", http_filters: [" list "]")
#define WASM(kind, name, root)                                                                    \
    "{name: " name ", typed_config: {'@type': " URL kind ".wasm.v3.Wasm, config: {root_id: " root \
    ", vm_config: {code: {local: "                                                                \
    "{filename: /m}}}}}}"
#define AT_FILTER "filter_chains[0].filters[0]."
#define AT_HTTP AT_FILTER "typed_config.http_filters[0]."
#define FILE_LOG "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog"

static struct conf_listener *decode(const char *yaml, struct error *err)
{
    struct arena a;
    struct conf_listener *l;
    arena_init(&a, 0);
    int rc =
        decode_listener(yaml_pack(&a, "envoy.config.listener.v3.Listener", yaml), NULL, &l, err);
    assert_int_equal(rc == 0, l != NULL);
    arena_fini(&a);
    return l;
}

static struct conf_listener *decode_good(const char *yaml)
{
    struct error err = {0};
    struct conf_listener *l = decode(yaml, &err);
    if (!l)
        fail_msg("%s: %s", err.text, yaml);
    return l;
}

static const struct {
    const char *name, *yaml, *error;
} bad[] = {
    {"no address", "{name: l}", "address: required"},
    {"port", "{address: {socket_address: {address: '::', port_value: 70000}}}",
     "address.socket_address.port_value: must not be above 65535"},
    {"no chains", LISTENER("filter_chains: []"), "filter_chains: no filter chains specified"},
    {"no filters", CHAIN(""), "filter_chains[0].filters: at least one is required"},
    {"filter without name", CHAIN("{name: ''}"), AT_FILTER "name: must not be empty"},
    {"filter without config", CHAIN("{name: x}"),
     AT_FILTER "typed_config: Didn't find a registered implementation for 'x' with type URL: ''"},
    {"unknown filter", CHAIN("{name: e, typed_config: {'@type': " URL "network.rbac.v3.RBAC}}"),
     AT_FILTER "typed_config: Didn't find a registered implementation for 'e' with type URL: "
               "'envoy.extensions.filters.network.rbac.v3.RBAC'"},
    {"terminal first", CHAIN(TCP ", " TCP),
     AT_FILTER "typed_config: Error: terminal filter named tcp of type "
               "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy must be the last filter in "
               "a network filter chain."},
    {"not terminal at the end", CHAIN(WASM("network", "w", "r")),
     AT_FILTER "typed_config: Error: non-terminal filter named w of type "
               "envoy.extensions.filters.network.wasm.v3.Wasm is the last filter in a network "
               "filter chain."},
    {"plugin before HTTP",
     CHAIN(WASM(
         "network", "w",
         "r") ", {name: hcm, typed_config: {'@type': " URL
              "network.http_connection_manager.v3.HttpConnectionManager, stat_prefix: s, " ROUTES
              ", http_filters: [" ROUTER "]}}"),
     AT_FILTER "typed_config: 'w' is not supported before the HTTP connection manager"},
    {"mongo_proxy that delays",
     CHAIN("{name: m, typed_config: {'@type': " URL "network.mongo_proxy.v3.MongoProxy, "
           "stat_prefix: m, delay: {fixed_delay: 1s}}}, " TCP),
     AT_FILTER "typed_config.delay: not supported"},
    {"no stat prefix", CHAIN(TCP_FIELDS("cluster: c")),
     AT_FILTER "typed_config.stat_prefix: must not be empty"},
    {"no cluster", CHAIN(TCP_FIELDS("stat_prefix: t")),
     AT_FILTER "typed_config.cluster_specifier: required"},
    {"no attempts", CHAIN(TCP_FIELDS("stat_prefix: t, cluster: c, max_connect_attempts: 0")),
     AT_FILTER "typed_config.max_connect_attempts: must be at least 1"},
    {"a tunnel to nowhere",
     CHAIN(TCP_FIELDS("stat_prefix: t, cluster: c, tunneling_config: {use_post: true}")),
     AT_FILTER "typed_config.tunneling_config.hostname: must not be empty"},
    {"a tunnel's path without POST",
     CHAIN(TCP_FIELDS("stat_prefix: t, cluster: c, tunneling_config: {hostname: h, post_path: /}")),
     AT_FILTER "typed_config.tunneling_config.post_path: Can't set a post path when POST method "
               "isn't used"},
    {"a tunnel's header",
     CHAIN(TCP_FIELDS("stat_prefix: t, cluster: c, tunneling_config: {hostname: h, headers_to_add: "
                      "[{header: {key: ':path', value: x}}]}")),
     AT_FILTER "typed_config.tunneling_config.headers_to_add[0].header.key: :-prefixed or host "
               "headers may not be modified"},
    {"TLS",
     CHAINS("{filters: [" TCP "], transport_socket: {name: tls, typed_config: {'@type': "
            "type.googleapis.com/"
            "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext}}}"),
     "filter_chains[0].transport_socket.typed_config.common_tls_context.tls_certificates: No TLS "
     "certificates found for server context"},
    {"a client's TLS",
     CHAINS("{filters: [" TCP "], transport_socket: {name: tls, typed_config: {'@type': "
            "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext}}}"),
     "filter_chains[0].transport_socket: 'tls' is not supported"},
    {"default chain", LISTENER("default_filter_chain: {filters: [{name: x}]}"),
     "default_filter_chain.filters[0].typed_config: Didn't find a registered implementation for "
     "'x' with type "
     "URL: ''"},
    {"wildcard in a server name", CHAINS(MATCHED("server_names: [a, '*b.c']")),
     "filter_chains[0].filter_chain_match.server_names[1]: partial wildcards are not supported in "
     "\"server_names\""},
    {"prefix length", CHAINS(MATCHED("prefix_ranges: [{address_prefix: 1.2.3.0, prefix_len: 33}]")),
     "filter_chains[0].filter_chain_match.prefix_ranges[0].prefix_len: must not be above 32"},
    {"prefix", CHAINS(MATCHED("source_prefix_ranges: [{address_prefix: a}]")),
     "filter_chains[0].filter_chain_match.source_prefix_ranges[0].address_prefix: malformed IP "
     "address: a"},
    {"destination port", CHAINS(MATCHED("destination_port: 0")),
     "filter_chains[0].filter_chain_match.destination_port: must be within 1 and 65535"},
    {"source port", CHAINS(MATCHED("source_ports: [1, 0]")),
     "filter_chains[0].filter_chain_match.source_ports[1]: must be within 1 and 65535"},
    {"two chains for all", CHAINS(MATCHED("") ", " MATCHED("")),
     "filter_chains[1].filter_chain_match: multiple filter chains with overlapping matching rules "
     "are defined"},
    {"overlap in one name",
     CHAINS(MATCHED("server_names: [a, B], destination_port: 1") ", " MATCHED(
         "server_names: [c, b], destination_port: 1")),
     "filter_chains[1].filter_chain_match: multiple filter chains with overlapping matching rules "
     "are defined"},
    {"unknown listener filter",
     LISTENER("listener_filters: [{name: p, typed_config: {'@type': " URL
              "network.rbac.v3.RBAC}}]"),
     "listener_filters[0].typed_config: Didn't find a registered implementation for 'p' with type "
     "URL: "
     "'envoy.extensions.filters.network.rbac.v3.RBAC'"},
    {"version of the PROXY protocol",
     LISTENER("listener_filters: [{name: p, typed_config: {'@type': " URL
              "listener.proxy_protocol.v3.ProxyProtocol, disallowed_versions: [7]}}]"),
     "listener_filters[0].typed_config.disallowed_versions[0]: unknown value 7"},
    {"TLV of the PROXY protocol",
     LISTENER("listener_filters: [{name: p, typed_config: {'@type': " URL
              "listener.proxy_protocol.v3.ProxyProtocol, pass_through_tlvs: {match_type: INCLUDE, "
              "tlv_type: [256]}}}]"),
     "listener_filters[0].typed_config.pass_through_tlvs.tlv_type[0]: above 255"},
    {"no stat prefix of HTTP", HCM(ROUTES),
     AT_FILTER "typed_config.stat_prefix: must not be empty"},
    {"no routes", HCM("stat_prefix: s"), AT_FILTER "typed_config.route_specifier: required"},
    {"RDS without name", HCM("stat_prefix: s, rds: {config_source: {ads: {}}}"),
     AT_FILTER "typed_config.rds.route_config_name: must not be empty"},
    {"RDS without source", HCM("stat_prefix: s, rds: {route_config_name: r}"),
     AT_FILTER "typed_config.rds.config_source: required"},
    {"inline routes",
     HCM("stat_prefix: s, route_config: {virtual_hosts: [{name: v, domains: [a, a]}]}"),
     AT_FILTER "typed_config.route_config.virtual_hosts[0].domains[1]: Only unique values for "
               "domains are permitted. Duplicate entry of domain a in route "},
    {"HTTP/3", HCM("stat_prefix: s, codec_type: HTTP3, " ROUTES),
     AT_FILTER "typed_config.codec_type: only AUTO, HTTP1 and HTTP2 are supported"},
    {"two ways to strip a port",
     HCM("stat_prefix: s, strip_any_host_port: true, strip_matching_host_port: true, " ROUTES),
     AT_FILTER "typed_config.Error: Only one of `strip_matching_host_port` or "
               "`strip_any_host_port` can be set."},
    {"scheme",
     HCM("stat_prefix: s, scheme_header_transformation: {scheme_to_overwrite: ftp}, " ROUTES),
     AT_FILTER "typed_config.scheme_header_transformation.scheme_to_overwrite: must be http or "
               "https"},
    {"detection besides the peer",
     HCM("stat_prefix: s, use_remote_address: true, original_ip_detection_extensions: [{name: x, "
         "typed_config: {'@type': " XFF "}}], " ROUTES),
     AT_FILTER "typed_config.Original IP detection extensions and use_remote_address may not be "
               "mixed"},
    {"detection by hops and ranges",
     HCM("stat_prefix: s, original_ip_detection_extensions: [{name: x, typed_config: {'@type': " XFF
         ", xff_num_trusted_hops: 1, xff_trusted_cidrs: {cidrs: []}}}], " ROUTES),
     AT_FILTER "typed_config.original_ip_detection_extensions[0].typed_config.Cannot set both "
               "xff_num_trusted_hops and xff_trusted_cidrs"},
    {"scopes without key builder", HCM("stat_prefix: s, scoped_routes: {name: sc, scoped_rds: {}}"),
     AT_FILTER "typed_config.scoped_routes.scope_key_builder.fragments: at least one is required"},
    {"place in a whole value", SCOPED("index: 1", "{name: a, " SCOPE_A "}"),
     AT_FILTER "typed_config.scoped_routes.scope_key_builder.fragments[0].header_value_extractor."
               "index: must be 0 when there is no element_separator"},
    {"same scope twice", SCOPED("index: 0", "{name: a, " SCOPE_A "}, {name: b, " SCOPE_A "}"),
     AT_FILTER "typed_config.scoped_routes.scoped_route_configurations_list."
               "scoped_route_configurations[1].key: scope key conflict found"},
    {"scope without routes", SCOPED("index: 0", "{name: a, key: {fragments: [{string_key: k}]}}"),
     AT_FILTER "typed_config.scoped_routes.scoped_route_configurations_list."
               "scoped_route_configurations[0].route_configuration_name: must not be empty"},
    {"header size", HCM("stat_prefix: s, max_request_headers_kb: 8193, " ROUTES),
     AT_FILTER "typed_config.max_request_headers_kb: must be within 1 and 8192"},
    {"local reply in JSON",
     HCM("stat_prefix: s, local_reply_config: {body_format: {formatters: [{name: x}]}}, " ROUTES),
     AT_FILTER "typed_config.local_reply_config.body_format.formatters: not supported"},
    {"local reply for nobody",
     HCM("stat_prefix: s, local_reply_config: {mappers: [{status_code: 200}]}, " ROUTES),
     AT_FILTER "typed_config.local_reply_config.mappers[0].filter: required"},
    {"local reply by one of one",
     HCM("stat_prefix: s, local_reply_config: {mappers: [{filter: {or_filter: {filters: [{"
         "response_flag_filter: {}}]}}}]}, " ROUTES),
     AT_FILTER "typed_config.local_reply_config.mappers[0].filter.or_filter.filters: at least two "
               "are required"},
    {"no HTTP filters", FILTERS(""),
     AT_FILTER "typed_config.http_filters: the last one must be the router"},
    {"router first", FILTERS(ROUTER ", " ROUTER),
     AT_HTTP "typed_config: Error: terminal filter named router of type "
             "envoy.extensions.filters.http.router.v3.Router must be the last filter in a http "
             "filter chain."},
    {"no router", FILTERS(WASM("http", "w", "r")),
     AT_HTTP "typed_config: Error: non-terminal filter named w of type "
             "envoy.extensions.filters.http.wasm.v3."
             "Wasm is the last filter in a http filter chain."},
    {"fault with content",
     FILTERS("{name: f, typed_config: {'@type': " URL
             "http.fault.v3.HTTPFault, abort: {http_status: 500}}}, " ROUTER),
     AT_HTTP "typed_config.abort: not supported"},
    {"network plugin among HTTP filters", FILTERS(WASM("network", "w", "r") ", " ROUTER),
     AT_HTTP "typed_config: Didn't find a registered implementation for 'w' with type URL: "
             "'envoy.extensions.filters.network.wasm.v3.Wasm'"},
    {"plugin without code",
     FILTERS("{name: w, typed_config: {'@type': " URL
             "http.wasm.v3.Wasm, config: {vm_config: {}}}}, " ROUTER),
     AT_HTTP "typed_config.config.vm_config.code: local or remote is required"},
    {"discovery of other types",
     FILTERS("{name: w, config_discovery: {config_source: {ads: {}}, type_urls: [" URL
             "http.rbac.v3.RBAC]}}, " ROUTER),
     AT_HTTP "config_discovery.type_urls: only envoy.extensions.filters.http.wasm.v3.Wasm can be "
             "discovered"},
    {"discovery without source",
     FILTERS("{name: w, config_discovery: {type_urls: [" URL "http.wasm.v3.Wasm]}}, " ROUTER),
     AT_HTTP "config_discovery.config_source: required"},
    {"log without path",
     LISTENER("filter_chains: [{filters: [" TCP "]}], access_log: [{name: f, typed_config: "
              "{'@type': " FILE_LOG "}}]"),
     "access_log[0].typed_config.path: must not be empty"},
    {"log filter",
     HCM("stat_prefix: s, access_log: [{name: f, filter: {status_code_filter: {}}, "
         "typed_config: {'@type': " FILE_LOG ", path: /x}}], " ROUTES),
     AT_FILTER "typed_config.access_log[0].filter.status_code_filter.comparison.value: required"},
};

static void test_bad(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct error err = {0};
        struct conf_listener *l = decode(bad[i].yaml, &err);
        bool is_accepted = l != NULL;
        conf_object_unref(l);
        if (is_accepted || strcmp(err.text, bad[i].error) != 0)
            fail_msg("%s: \"%s\"", bad[i].name, err.text);
    }
}

static void test_listener_defaults(void **state)
{
    (void)state;
    char text[ADDR_TEXT_MAX];
    struct conf_listener *l = decode_good(CHAIN(TCP));
    const struct conf_tcp_proxy *t = l->chains[0].filters[0].tcp_proxy;
    assert_string_equal(l->object.name, "l");
    assert_string_equal(addr_format(&l->address, text), "127.0.0.1:80");
    assert_true(l->bind_to_port);
    assert_true(l->reuse_port);
    assert_false(l->use_original_dst);
    assert_false(l->transparent);
    assert_int_equal(l->direction, CONF_DIRECTION_UNSPECIFIED);
    assert_int_equal(l->listener_filters_timeout_ms, 15000);
    assert_int_equal(l->buffer_limit, 1024 * 1024);
    assert_true(l->backlog > 0);
    assert_null(l->default_chain);
    assert_string_equal(l->chains[0].match.transport_protocol, "");
    assert_string_equal(t->stat_prefix, "t");
    assert_string_equal(t->cluster, "c");
    assert_int_equal(t->idle_timeout_ms, 3600 * 1000);
    assert_int_equal(t->max_connect_attempts, 1);
    conf_object_unref(l);
}

/* What Istio's virtualInbound looks like. */
static void test_listener(void **state)
{
    (void)state;
    struct conf_listener *l = decode_good(LISTENER(
        "use_original_dst: true, traffic_direction: INBOUND, bind_to_port: false, "
        "listener_filters_timeout: 0s, continue_on_listener_filters_timeout: true, transparent: "
        "true, metadata: {filter_metadata: {a: {}}}, per_connection_buffer_limit_bytes: 32768, "
        "listener_filters: [{name: o, typed_config: {'@type': " URL
        "listener.original_dst.v3.OriginalDst}}, {name: t, filter_disabled: "
        "{destination_port_range: {start: 1, end: 2}}, typed_config: {'@type': " URL
        "listener.tls_inspector.v3.TlsInspector}}, {name: h, typed_config: {'@type': " URL
        "listener.http_inspector.v3.HttpInspector}}], filter_chains: [{name: x, "
        "filter_chain_match: {destination_port: 8080, transport_protocol: raw_buffer, "
        "application_protocols: [h2c], server_names: ['*.A.b', c], prefix_ranges: "
        "[{address_prefix: 10.0.0.0, prefix_len: 8}], source_type: EXTERNAL, source_ports: [7]}, "
        "filters: [{name: mx, typed_config: {'@type': type.googleapis.com/udpa.type.v1.TypedStruct"
        ", type_url: type.googleapis.com/envoy.tcp.metadataexchange.config.MetadataExchange, value"
        ": {}}}, {name: mo, typed_config: {'@type': " URL
        "network.mongo_proxy.v3.MongoProxy, stat_prefix: m}}, " TCP
        "]}], default_filter_chain: {filters: [" TCP "]}, access_log: [{name: f, "
        "filter: {response_flag_filter: {flags: [NR]}}, typed_config: {'@type': " FILE_LOG
        ", path: /dev/stdout, log_format: {text_format: \"%PROTOCOL%\\n\"}}}]"));
    const struct conf_chain_match *m = &l->chains[0].match;
    assert_true(l->use_original_dst && l->has_original_dst_filter && l->transparent);
    assert_true(l->has_tls_inspector && l->has_http_inspector);
    assert_true(l->continue_on_listener_filters_timeout);
    assert_false(l->bind_to_port);
    assert_int_equal(l->direction, CONF_INBOUND);
    assert_int_equal(l->listener_filters_timeout_ms, 0);
    assert_int_equal(l->buffer_limit, 32768);
    assert_string_equal(l->chains[0].name, "x");
    assert_int_equal(m->destination_port, 8080);
    assert_string_equal(m->transport_protocol, "raw_buffer");
    assert_string_equal(m->application_protocols[0], "h2c");
    assert_string_equal(m->server_names[0], "*.a.b");
    assert_string_equal(m->server_names[1], "c");
    assert_int_equal(m->prefixes[0].len, 8);
    assert_int_equal(m->source_type, CONF_SOURCE_EXTERNAL);
    assert_int_equal(m->source_ports[0], 7);
    for (int i = 0; i < 2; i++)
        assert_int_equal(l->chains[0].filters[i].kind, CONF_NET_NOOP);
    assert_int_equal(l->chains[0].filters[2].kind, CONF_NET_TCP_PROXY);
    assert_non_null(l->default_chain);
    assert_int_equal(l->access_logs_n, 1);
    assert_string_equal(l->access_logs[0].path, "/dev/stdout");
    assert_string_equal(l->access_logs[0].format.text, "%PROTOCOL%\n");
    conf_object_unref(l);
}

static void test_hcm_defaults(void **state)
{
    (void)state;
    struct conf_listener *l = decode_good(FILTERS(ROUTER));
    const struct conf_hcm *h = l->chains[0].filters[0].hcm;
    assert_string_equal(h->stat_prefix, "s");
    assert_non_null(h->route_config);
    assert_null(h->rds_name);
    assert_int_equal(h->filters_n, 1);
    assert_int_equal(h->filters[0].kind, CONF_HTTP_ROUTER);
    assert_string_equal(h->server_name, "envoy");
    assert_int_equal(h->server_header, CONF_SERVER_OVERWRITE);
    assert_true(h->generate_request_id);
    assert_false(h->use_remote_address || h->normalize_path || h->accept_http_10);
    assert_int_equal(h->request_headers_size_max, 60 * 1024);
    assert_int_equal(h->request_headers_count_max, 100);
    assert_int_equal(h->idle_timeout_ms, 3600 * 1000);
    assert_int_equal(h->stream_idle_timeout_ms, 300 * 1000);
    assert_int_equal(h->request_timeout_ms, 0);
    assert_int_equal(h->request_headers_timeout_ms, 0);
    assert_int_equal(h->delayed_close_timeout_ms, 1000);
    assert_int_equal(h->drain_timeout_ms, 5000);
    assert_string_equal(h->via, "");
    assert_string_equal(h->default_host_for_http_10, "");
    conf_object_unref(l);
}

/* What Istio's inbound connection manager looks like. */
static void test_hcm(void **state)
{
    (void)state;
    struct conf_listener *l = decode_good(HCM(
        "stat_prefix: 'inbound_0.0.0.0_80;', rds: {route_config_name: '80', config_source: {ads: "
        "{}, initial_fetch_timeout: 0s, resource_api_version: V3}}, use_remote_address: false, "
        "forward_client_cert_details: APPEND_FORWARD, set_current_client_cert_details: {subject: "
        "true, dns: true, uri: true}, server_name: istio-envoy, normalize_path: true, "
        "path_with_escaped_slashes_action: KEEP_UNCHANGED, upgrade_configs: [{upgrade_type: "
        "websocket}], stream_idle_timeout: 0s, proxy_100_continue: true, tracing: "
        "{random_sampling: {value: 1}}, request_id_extension: {typed_config: {'@type': "
        "type.googleapis.com/envoy.extensions.request_id.uuid.v3.UuidRequestIdConfig, "
        "use_request_id_for_trace_sampling: true}}, http_protocol_options: {accept_http_10: true, "
        "default_host_for_http_10: h}, common_http_protocol_options: {max_headers_count: 5, "
        "idle_timeout: 2s, max_requests_per_connection: 6}, access_log: [{name: s, typed_config: "
        "{'@type': type.googleapis.com/envoy.extensions.access_loggers.stream.v3."
        "StdoutAccessLog}}, {name: g, typed_config: {'@type': type.googleapis.com/envoy."
        "extensions.access_loggers.grpc.v3.HttpGrpcAccessLogConfig}}], http_filters: [{name: mx, "
        "typed_config: {'@type': type.googleapis.com/udpa.type.v1.TypedStruct, type_url: "
        "type.googleapis.com/io.istio.http.peer_metadata.Config, value: {downstream_discovery: "
        "[{istio_headers: {}}]}}}, {name: gs, typed_config: {'@type': " URL
        "http.grpc_stats.v3.FilterConfig, emit_filter_state: true}}, {name: al, typed_config: "
        "{'@type': type.googleapis.com/istio.envoy.config.filter.http.alpn.v2alpha1.FilterConfig, "
        "alpn_override: [{alpn_override: [istio-http/1.0]}, {upstream_protocol: HTTP11, "
        "alpn_override: [istio-http/1.1, istio]}, {upstream_protocol: HTTP2, alpn_override: [h2]}]"
        "}}, {name: fa, typed_config: {'@type': " URL
        "http.fault.v3.HTTPFault}}, {name: co, typed_config: {'@type': " URL
        "http.cors.v3.Cors}}, {name: st, disabled: true, typed_config: {'@type': "
        "type.googleapis.com/stats.PluginConfig}}, " ROUTER "]"));
    const struct conf_hcm *h = l->chains[0].filters[0].hcm;
    assert_string_equal(h->rds_name, "80");
    assert_int_equal(h->rds_source.initial_fetch_timeout_ms, 0);
    assert_string_equal(h->server_name, "istio-envoy");
    assert_true(h->normalize_path && h->proxy_100_continue && h->accept_http_10);
    assert_string_equal(h->default_host_for_http_10, "h");
    assert_int_equal(h->stream_idle_timeout_ms, 0);
    assert_int_equal(h->request_headers_count_max, 5);
    assert_int_equal(h->idle_timeout_ms, 2000);
    assert_int_equal(h->max_requests_per_connection, 6);
    assert_int_equal(h->access_logs_n, 1);
    assert_int_equal(h->access_logs[0].sink, CONF_LOG_STDOUT);
    assert_null(h->access_logs[0].format.text);
    assert_int_equal(h->filters_n, 7);
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(h->filters[i].kind, i == 2 ? CONF_HTTP_ISTIO_ALPN : CONF_HTTP_NOOP);
    assert_true(str_is(h->filters[2].alpn->http1, "\x0eistio-http/1.1\x05istio"));
    assert_true(str_is(h->filters[2].alpn->http2, "\x02h2"));
    assert_true(h->filters[5].is_disabled);
    assert_false(h->filters[0].is_disabled);
    conf_object_unref(l);
}

static void note_slot(const struct conf_slot_use *use, void *arg)
{
    sbuf_printf(arg, "%s%s%s;", use->slot, use->is_discovered ? "?" : "",
                use->is_network ? " net" : " http");
}

static void test_slots(void **state)
{
    (void)state;
    struct sbuf seen = {0};
    struct conf_listener *l =
        decode_good(CHAINS("{filter_chain_match: {destination_port: 1}, filters: [" WASM(
            "network", "nw",
            "r") ", " TCP "]}, {name: c, filters: [{name: hcm, typed_config: {'@type': " URL
                 "network.http_connection_manager.v3.HttpConnectionManager, stat_prefix: s, " ROUTES
                 ", http_filters: [" WASM("http", "w", "r") ", " WASM(
                     "http", "w", "s") ", {name: ecds, config_discovery: {config_source: {ads: {}, "
                                       "initial_fetch_timeout: 7s}, "
                                       "type_urls: [" URL "http.rbac.v3.RBAC, " URL
                                       "http.wasm.v3.Wasm], default_config: {'@type':"
                                       " " URL "http.wasm.v3.Wasm, config: {vm_config: {code: "
                                       "{local: {filename: /d}}}}}}}, " ROUTER "]}}]}"));
    conf_listener_each_slot(l, note_slot, &seen);
    assert_string_equal(seen.p, "l/0/nw net;l/c/w http;l/c/w~2 http;ecds? http;");
    const struct conf_http_filter *f = &l->chains[1].filters[0].hcm->filters[2];
    assert_int_equal(f->source.initial_fetch_timeout_ms, 7000);
    assert_null(f->plugin);
    assert_string_equal(f->default_plugin->slot, "ecds");
    assert_string_equal(f->default_plugin->code.filename, "/d");
    sbuf_fini(&seen);
    conf_object_unref(l);
}

/* A change of an inline plugin is the plugin's, any other one the listener's. */
static void test_hash(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        bool is_same;
    } rows[] = {
        {FILTERS(ROUTER), FILTERS(ROUTER), true},
        {FILTERS(WASM("http", "w", "r") ", " ROUTER), FILTERS(WASM("http", "w", "s") ", " ROUTER),
         true},
        {FILTERS(WASM("http", "w", "r") ", " ROUTER), FILTERS(WASM("http", "v", "r") ", " ROUTER),
         false},
        {CHAIN(WASM("network", "w", "r") ", " TCP), CHAIN(WASM("network", "w", "s") ", " TCP),
         true},
        {HCM("stat_prefix: s, " ROUTES ", http_filters: [" ROUTER "]"),
         HCM("stat_prefix: z, " ROUTES ", http_filters: [" ROUTER "]"), false},
        {CHAIN(TCP), CHAIN(TCP_FIELDS("stat_prefix: t, cluster: d")), false},
        {LISTENER("filter_chains: [{filters: [" TCP "]}]"),
         LISTENER("default_filter_chain: {filters: [" TCP "]}"), false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct conf_listener *a = decode_good(rows[i].a), *b = decode_good(rows[i].b);
        if ((a->object.hash == b->object.hash) != rows[i].is_same)
            fail_msg("row %zu", i);
        conf_object_unref(a);
        conf_object_unref(b);
    }
}

static int refuse_format(const struct conf_format *format, struct error *err)
{
    return error_set(err, ERR_INVALID, "bad %s", format->text);
}

static void test_format_check(void **state)
{
    (void)state;
    struct error err = {0};
    decode_set_format_check(refuse_format);
    struct conf_listener *l =
        decode(LISTENER("filter_chains: [{filters: [" TCP "]}], access_log: [{name: f, "
                        "typed_config: {'@type': " FILE_LOG ", path: /x, format: '%X%'}}]"),
               &err);
    decode_set_format_check(NULL);
    assert_null(l);
    assert_string_equal(err.text, "access_log[0].typed_config.format: bad %X%");
}

static void note_path(void *arg, const char *path)
{
    sbuf_printf(arg, "%s;", path);
}

static void test_unknown_fields(void **state)
{
    (void)state;
    struct arena a;
    struct sbuf bytes = {0}, seen = {0};
    struct error err = {0};
    struct conf_listener *l;
    struct pb_unknown unknown = {note_path, &seen};
    arena_init(&a, 0);
    struct str good = yaml_pack(&a, "envoy.config.listener.v3.Listener", CHAIN(TCP));
    sbuf_add(&bytes, good.p, good.n);
    sbuf_add(&bytes, "\xa2\x06\x01x", 4); /* #100: "x" */
    struct str s = {bytes.p, bytes.n};
    assert_int_equal(decode_listener(s, NULL, &l, &err), -ERR_UNSUPPORTED);
    assert_string_equal(err.text, "#100: unknown field");
    assert_int_equal(decode_listener(s, &unknown, &l, &err), 0);
    assert_string_equal(seen.p, "#100;");
    conf_object_unref(l);
    sbuf_fini(&bytes);
    sbuf_fini(&seen);
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_listener_defaults),
        cmocka_unit_test(test_listener),
        cmocka_unit_test(test_hcm_defaults),
        cmocka_unit_test(test_hcm),
        cmocka_unit_test(test_slots),
        cmocka_unit_test(test_hash),
        cmocka_unit_test(test_format_check),
        cmocka_unit_test(test_unknown_fields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
