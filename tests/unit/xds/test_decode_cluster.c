#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "conf/tls.h"
#include "xds/decode.h"
#include "yaml.h"

static struct conf_cluster *decode(const char *yaml, struct error *err)
{
    struct arena a;
    struct conf_cluster *c;
    arena_init(&a, 0);
    int rc = decode_cluster(yaml_pack(&a, "envoy.config.cluster.v3.Cluster", yaml), NULL, &c, err);
    assert_int_equal(rc == 0, c != NULL);
    arena_fini(&a);
    return c;
}

static struct conf_cluster *decode_good(const char *yaml)
{
    struct error err = {0};
    struct conf_cluster *c = decode(yaml, &err);
    if (!c)
        fail_msg("%s: %s", err.text, yaml);
    return c;
}

#define ENDPOINT(fields) \
    "load_assignment: {endpoints: [{lb_endpoints: [{endpoint: {address: {" fields "}}}]}]}"
#define AT_ENDPOINT "load_assignment.endpoints[0].lb_endpoints[0].endpoint.address."
#define OPTIONS "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
#define LB(type)                                                                             \
    "load_balancing_policy: {policies: [{typed_extension_config: {name: lb, typed_config: {" \
    "'@type': type.googleapis.com/envoy.extensions.load_balancing_policies." type "}}}]}"

#define TLS(fields)                                                                             \
    "{name: c, transport_socket: {name: envoy.transport_sockets.tls, typed_config: {'@type': "  \
    "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext, " fields \
    "}}}"
#define AT_HTTP "typed_extension_protocol_options." OPTIONS "."
#define SOCKET                                                                         \
    ", transport_socket: {name: envoy.transport_sockets.tls, typed_config: {'@type': " \
    "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext}}}"
/* Its closing brace is the caller's. */
#define HTTP_OPEN(fields)                                                  \
    "{name: c, typed_extension_protocol_options: {" OPTIONS ": {'@type': " \
    "type.googleapis.com/" OPTIONS ", " fields "}}"
#define HTTP(fields) HTTP_OPEN(fields) "}"
#define CA(source) "validation_context: {trusted_ca: {" source "}}"
/* Of an authority; as JSON writes it. */
#define PEM_TEXT                                                          \
    "-----BEGIN CERTIFICATE-----\\n"                                      \
    "MIIBcDCCARWgAwIBAgIUEPCpnrhOCe/nCPIOpqFx5hdTuU8wCgYIKoZIzj0EAwIw\\n" \
    "DDEKMAgGA1UEAwwBdDAgFw0yNjExMjcxMTU4MDVaGA8yMTI2MTEwMzExNTgwNVow\\n" \
    "DDEKMAgGA1UEAwwBdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABMSsxaFjdRT0\\n" \
    "aNyj7ZvIXJyAzQhJiSf356iCOH0E1jZJRJ8OE47yLWJL+7ULN/LsPEZfVyrSc7G6\\n" \
    "eC+TMXgao/mjUzBRMB0GA1UdDgQWBBTcO2lhCfgub/di9GsE4Nt444GrzDAfBgNV\\n" \
    "HSMEGDAWgBTcO2lhCfgub/di9GsE4Nt444GrzDAPBgNVHRMBAf8EBTADAQH/MAoG\\n" \
    "CCqGSM49BAMCA0kAMEYCIQCRAbYWwJgncMcj/eXWR6uoPGWBVQVnYVrrUw5zbK9b\\n" \
    "RAIhAP7s6BRRRZUpFQxIuydvc1/CMIAShb2X4QogDWHrz/Y0\\n"                 \
    "-----END CERTIFICATE-----\\n"
#define PEM                                                              \
    "-----BEGIN CERTIFICATE-----\n"                                      \
    "MIIBcDCCARWgAwIBAgIUEPCpnrhOCe/nCPIOpqFx5hdTuU8wCgYIKoZIzj0EAwIw\n" \
    "DDEKMAgGA1UEAwwBdDAgFw0yNjExMjcxMTU4MDVaGA8yMTI2MTEwMzExNTgwNVow\n" \
    "DDEKMAgGA1UEAwwBdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABMSsxaFjdRT0\n" \
    "aNyj7ZvIXJyAzQhJiSf356iCOH0E1jZJRJ8OE47yLWJL+7ULN/LsPEZfVyrSc7G6\n" \
    "eC+TMXgao/mjUzBRMB0GA1UdDgQWBBTcO2lhCfgub/di9GsE4Nt444GrzDAfBgNV\n" \
    "HSMEGDAWgBTcO2lhCfgub/di9GsE4Nt444GrzDAPBgNVHRMBAf8EBTADAQH/MAoG\n" \
    "CCqGSM49BAMCA0kAMEYCIQCRAbYWwJgncMcj/eXWR6uoPGWBVQVnYVrrUw5zbK9b\n" \
    "RAIhAP7s6BRRRZUpFQxIuydvc1/CMIAShb2X4QogDWHrz/Y0\n"                 \
    "-----END CERTIFICATE-----\n"
#define PEM_BASE64                                                                 \
    "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCk1JSUJjRENDQVJXZ0F3SUJBZ0lVRVBDcG5yaE9D" \
    "ZS9uQ1BJT3BxRng1aGRUdVU4d0NnWUlLb1pJemowRUF3SXcKRERFS01BZ0dBMVVFQXd3QmREQWdG" \
    "dzB5TmpFeE1qY3hNVFU0TURWYUdBOHlNVEkyTVRFd016RXhOVGd3TlZvdwpEREVLTUFnR0ExVUVB" \
    "d3dCZERCWk1CTUdCeXFHU000OUFnRUdDQ3FHU000OUF3RUhBMElBQk1Tc3hhRmpkUlQwCmFOeWo3" \
    "WnZJWEp5QXpRaEppU2YzNTZpQ09IMEUxalpKUko4T0U0N3lMV0pMKzdVTE4vTHNQRVpmVnlyU2M3" \
    "RzYKZUMrVE1YZ2FvL21qVXpCUk1CMEdBMVVkRGdRV0JCVGNPMmxoQ2ZndWIvZGk5R3NFNE50NDQ0" \
    "R3J6REFmQmdOVgpIU01FR0RBV2dCVGNPMmxoQ2ZndWIvZGk5R3NFNE50NDQ0R3J6REFQQmdOVkhS" \
    "TUJBZjhFQlRBREFRSC9NQW9HCkNDcUdTTTQ5QkFNQ0Ewa0FNRVlDSVFDUkFiWVd3SmduY01jai9l" \
    "WFdSNnVvUEdXQlZRVm5ZVnJyVXc1emJLOWIKUkFJaEFQN3M2QlJSUlpVcEZReEl1eWR2YzEvQ01J" \
    "QVNoYjJYNFFvZ0RXSHJ6L1kwCi0tLS0tRU5EIENFUlRJRklDQVRFLS0tLS0K"
#define AT_TLS "transport_socket.typed_config."
#define SPIFFE(fields)                                                                        \
    TLS("common_tls_context: {validation_context: {custom_validator_config: {name: s, "       \
        "typed_config: {'@type': type.googleapis.com/envoy.extensions.transport_sockets.tls." \
        "v3.SPIFFECertValidatorConfig, " fields "}}}}")
#define BUNDLES(json) SPIFFE("trust_bundles: {inline_string: '" json "'}")
#define AT_SPIFFE \
    AT_TLS "common_tls_context.validation_context.custom_validator_config.typed_config."
#define AT_CA AT_TLS "common_tls_context.validation_context.trusted_ca: "

static const struct {
    const char *name, *yaml, *error;
} bad[] = {
    {"no name", "{type: STATIC}", "name: must not be empty"},
    {"custom type", "{name: c, cluster_type: {name: x}}", "cluster_type: not supported"},
    {"ring hash", "{name: c, lb_policy: RING_HASH}",
     "lb_policy: RING_HASH, MAGLEV and LOAD_BALANCING_POLICY_CONFIG are not supported"},
    {"unknown policy",
     "{name: c, load_balancing_policy: {policies: [{typed_extension_config: {name: lb, "
     "typed_config: {'@type': type.googleapis.com/google.protobuf.Empty}}}]}}",
     "load_balancing_policy: Didn't find a registered load balancer factory"},
    {"choice count",
     "{name: c, lb_policy: LEAST_REQUEST, least_request_lb_config: {choice_count: "
     "1}}",
     "least_request_lb_config.choice_count: must be at least 2"},
    {"provided without original destination", "{name: c, lb_policy: CLUSTER_PROVIDED}",
     "lb_policy: cluster: LB policy CLUSTER_PROVIDED is not valid for this cluster type"},
    {"original destination without provided", "{name: c, type: ORIGINAL_DST}",
     "lb_policy: LB policy is not valid for cluster type ORIGINAL_DST. Only 'CLUSTER_PROVIDED' is "
     "allowed with cluster type 'ORIGINAL_DST'"},
    {"other header",
     "{name: c, type: ORIGINAL_DST, lb_policy: CLUSTER_PROVIDED, "
     "original_dst_lb_config: {use_http_header: true, http_header_name: x}}",
     "original_dst_lb_config.http_header_name: not supported"},
    {"EDS without its config", "{name: c, type: EDS}",
     "eds_cluster_config: required for an EDS cluster"},
    {"EDS without source", "{name: c, type: EDS, eds_cluster_config: {}}",
     "eds_cluster_config.eds_config: required"},
    {"EDS config elsewhere", "{name: c, eds_cluster_config: {eds_config: {ads: {}}}}",
     "eds_cluster_config: cannot be set for a cluster whose type is not EDS"},
    {"endpoints of EDS",
     "{name: c, type: EDS, eds_cluster_config: {eds_config: {ads: {}}}, load_assignment: {}}",
     "load_assignment: not allowed for EDS and ORIGINAL_DST clusters"},
    {"DNS without endpoints", "{name: c, type: STRICT_DNS}", "load_assignment: required"},
    {"two names of logical DNS",
     "{name: c, type: LOGICAL_DNS, load_assignment: {endpoints: [{lb_endpoints: [{endpoint: "
     "{address: {socket_address: {address: a, port_value: 1}}}}, {endpoint: {address: "
     "{socket_address: {address: b, port_value: 1}}}}]}]}}",
     "load_assignment: LOGICAL_DNS clusters must have a single locality_lb_endpoint and a single "
     "lb_endpoint"},
    {"name in a static cluster",
     "{name: c, " ENDPOINT("socket_address: {address: a.b, port_value: 1}") "}",
     AT_ENDPOINT "socket_address.address: malformed IP address: a.b. Consider setting "
                 "resolver_name or setting cluster type to 'STRICT_DNS' or 'LOGICAL_DNS'"},
    {"port", "{name: c, " ENDPOINT("socket_address: {address: 1.1.1.1, port_value: 65536}") "}",
     AT_ENDPOINT "socket_address.port_value: must not be above 65535"},
    {"UDP",
     "{name: c, " ENDPOINT("socket_address: {address: 1.1.1.1, port_value: 1, protocol: UDP}") "}",
     AT_ENDPOINT "socket_address.protocol: only TCP is supported"},
    {"no port of a name",
     "{name: c, type: STRICT_DNS, " ENDPOINT("socket_address: {address: a}") "}",
     AT_ENDPOINT "socket_address.port_value: must be within 0 and 65535"},
    {"no address", "{name: c, load_assignment: {endpoints: [{lb_endpoints: [{endpoint: {}}]}]}}",
     "load_assignment.endpoints[0].lb_endpoints[0].endpoint.address: required"},
    {"weight",
     "{name: c, load_assignment: {endpoints: [{lb_endpoints: [{endpoint: {}, "
     "load_balancing_weight: 0}]}]}}",
     "load_assignment.endpoints[0].lb_endpoints[0].load_balancing_weight: must be at least 1"},
    {"priority", "{name: c, load_assignment: {endpoints: [{priority: 129}]}}",
     "load_assignment.endpoints[0].priority: must not be above 128"},
    {"drops", "{name: c, load_assignment: {policy: {drop_overloads: [{category: a}]}}}",
     "load_assignment.policy.drop_overloads: not supported"},
    {"no time to connect", "{name: c, connect_timeout: 0s}", "connect_timeout: must be above 0"},
    {"TLS",
     "{name: c, transport_socket: {name: tls, typed_config: {'@type': "
     "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext}}}",
     "transport_socket: 'tls' is not supported"},
    {"a CA that is not there", TLS("common_tls_context: {" CA("filename: /nowhere/ca.pem") "}"),
     AT_CA "filename: /nowhere/ca.pem: No such file or directory"},
    {"an empty CA", TLS("common_tls_context: {" CA("inline_string: ''") "}"),
     AT_CA "must not be empty"},
    {"a CA that is none", TLS("common_tls_context: {" CA("inline_string: pem") "}"),
     AT_CA "Failed to load trusted CA certificates: unknown error"},
    {"a CA of nothing", TLS("common_tls_context: {validation_context: {trusted_ca: {}}}"),
     AT_CA "specifier: required"},
    {"names of the peer",
     TLS("common_tls_context: {validation_context: {match_typed_subject_alt_names: "
         "[{san_type: DNS, matcher: {exact: a}}]}}"),
     AT_TLS "common_tls_context.validation_context: SAN-based verification of peer certificates "
            "without trusted CA is insecure and not allowed"},
    {"no trust domain", SPIFFE(""), AT_SPIFFE "trust_domains: must not be empty"},
    {"trust domain twice",
     SPIFFE("trust_domains: [{name: a, trust_bundle: {inline_string: x}}, {name: a}]"),
     AT_SPIFFE "trust_domains[1].name: Multiple trust bundles are given for one trust domain "
               "for a"},
    {"bundles that are no JSON", BUNDLES("{"),
     AT_SPIFFE "trust_bundles: line 1 column 1: string or '}' expected near end of file"},
    {"no bundles", BUNDLES("{}"), AT_SPIFFE "trust_bundles: trust_domains: must not be empty"},
    {"a bundle without keys", BUNDLES("{\"trust_domains\": {\"a\": 1}}"),
     AT_SPIFFE "trust_bundles: trust_domains.a.keys: required"},
    {"a key without use", BUNDLES("{\"trust_domains\": {\"a\": {\"keys\": [{}]}}}"),
     AT_SPIFFE "trust_bundles: trust_domains.a.keys[0].use: required"},
    {"keys for tokens only",
     BUNDLES("{\"trust_domains\": {\"a\": {\"keys\": [{\"use\": \"jwt-svid\"}]}}}"),
     AT_SPIFFE
     "trust_bundles: trust_domains.a.keys: none is an authority for X.509 (use: x509-svid)"},
    {"a certificate that is none",
     BUNDLES("{\"trust_domains\": {\"a\": {\"keys\": [{\"use\": \"x509-svid\", "
             "\"x5c\": [\"AAAA\"]}]}}}"),
     AT_TLS "common_tls_context.validation_context.trust_bundle: Failed to load trusted CA "
            "certificates: ASN1 lib"},
    {"client certificate", TLS("common_tls_context: {tls_certificates: [{}]}"),
     AT_TLS "common_tls_context.tls_certificates[0].certificate_chain: must not be empty"},
    {"client certificate by SDS",
     TLS("common_tls_context: {tls_certificate_sds_secret_configs: [{}]}"),
     AT_TLS "common_tls_context.tls_certificate_sds_secret_configs[0].name: must not be empty"},
    {"TLS by endpoint", "{name: c, transport_socket_matches: [{name: a, match: {a: [1]}}]}",
     "transport_socket_matches[0].match.a: only texts, numbers and booleans are supported"},
    {"unknown cipher", TLS("common_tls_context: {tls_params: {cipher_suites: [AES128-SHA, X]}}"),
     AT_TLS "common_tls_context.tls_params.cipher_suites: Failed to initialize cipher suites "
            "AES128-SHA:X. The following ciphers were rejected when tried individually: X"},
    {"cluster filter",
     "{name: c, filters: [{name: f, typed_config: {'@type': "
     "type.googleapis.com/google.protobuf.Empty}}]}",
     "filters[0]: 'f' is not supported"},
    {"too large heads",
     HTTP("explicit_http_config: {http_protocol_options: {}}, common_http_protocol_options: "
          "{max_response_headers_kb: 8193}"),
     AT_HTTP "common_http_protocol_options.max_response_headers_kb: must be within 1 and 8192"},
    {"no fields",
     HTTP("explicit_http_config: {http_protocol_options: {}}, common_http_protocol_options: "
          "{max_headers_count: 0}"),
     AT_HTTP "common_http_protocol_options.max_headers_count: must be at least 1"},
    {"no protocol", HTTP("common_http_protocol_options: {}"),
     AT_HTTP "upstream_protocol_options: required"},
    {"a protocol of no name", HTTP("explicit_http_config: {}"),
     AT_HTTP "explicit_http_config.protocol_config: required"},
    {"a window too small",
     HTTP("auto_config: {http2_protocol_options: {initial_stream_window_size: 1}}"),
     AT_HTTP "auto_config.http2_protocol_options.initial_stream_window_size: must be within 65535 "
             "and 2147483647"},
    {"duration of streams",
     HTTP("explicit_http_config: {http_protocol_options: {}}, common_http_protocol_options: "
          "{max_stream_duration: -1s}"),
     AT_HTTP "common_http_protocol_options.max_stream_duration: negative duration"},
    {"ALPN without TLS", HTTP("auto_config: {}"),
     "ALPN configured for cluster c which has a non-ALPN transport socket"},
    {"HTTP/3", HTTP("explicit_http_config: {http3_protocol_options: {}}"),
     AT_HTTP "explicit_http_config.http3_protocol_options: "
             "not supported"},
    {"health checks", "{name: c, health_checks: [{}]}", "health_checks: not supported"},
};

static void test_bad(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct error err = {0};
        struct conf_cluster *c = decode(bad[i].yaml, &err);
        bool is_accepted = c != NULL;
        conf_object_unref(c);
        if (is_accepted || strcmp(err.text, bad[i].error) != 0)
            fail_msg("%s: \"%s\"", bad[i].name, err.text);
    }
}

static void test_defaults(void **state)
{
    (void)state;
    struct conf_cluster *c = decode_good("{name: c}");
    assert_string_equal(c->object.name, "c");
    assert_int_equal(c->type, CONF_CLUSTER_STATIC);
    assert_int_equal(c->lb_policy, CONF_LB_ROUND_ROBIN);
    assert_int_equal(c->choice_count, 2);
    assert_int_equal(c->connect_timeout_ms, 5000);
    assert_int_equal(c->limits[0].max_connections, 1024);
    assert_int_equal(c->limits[0].max_pending_requests, 1024);
    assert_int_equal(c->limits[0].max_requests, 1024);
    assert_int_equal(c->dns_refresh_ms, 5000);
    assert_int_equal(c->idle_timeout_ms, 3600 * 1000);
    assert_int_equal(c->max_requests_per_connection, 0);
    assert_int_equal(c->buffer_limit, 1024 * 1024);
    assert_int_equal(c->sources[0].len, 0);
    assert_null(c->inline_endpoints);
    assert_string_equal(c->eds_name, "");
    assert_int_equal(c->http, CONF_UPSTREAM_HTTP1);
    assert_false(c->http1_trailers);
    conf_object_unref(c);
}

static void test_eds(void **state)
{
    (void)state;
    struct conf_cluster *c = decode_good(
        "{name: outbound|80||a, type: EDS, eds_cluster_config: {eds_config: {ads: {}, "
        "initial_fetch_timeout: 0s, resource_api_version: V3}}, lb_policy: LEAST_REQUEST, "
        "least_request_lb_config: {choice_count: 5}, connect_timeout: 10s, circuit_breakers: "
        "{thresholds: [{max_connections: 1, max_pending_requests: 2, max_requests: 3, "
        "max_retries: 4294967295, track_remaining: true}, {priority: HIGH, max_requests: 9}]}, "
        "common_lb_config: {}, filters: [{name: mx, typed_config: {'@type': "
        "type.googleapis.com/udpa.type.v1.TypedStruct, type_url: "
        "type.googleapis.com/envoy.tcp.metadataexchange.config.MetadataExchange, value: "
        "{protocol: istio-peer-exchange, enable_discovery: true}}}], metadata: {filter_metadata: "
        "{istio: {services: [{host: a}]}}}}");
    assert_int_equal(c->type, CONF_CLUSTER_EDS);
    assert_string_equal(c->eds_name, "outbound|80||a");
    assert_int_equal(c->choice_count, 5);
    assert_int_equal(c->connect_timeout_ms, 10000);
    assert_int_equal(c->limits[0].max_connections, 1);
    assert_int_equal(c->limits[0].max_pending_requests, 2);
    assert_int_equal(c->limits[0].max_requests, 3);
    conf_object_unref(c);
}

static void test_original_dst(void **state)
{
    (void)state;
    char text[ADDR_TEXT_MAX];
    struct conf_cluster *c = decode_good(
        "{name: c, type: ORIGINAL_DST, lb_policy: CLUSTER_PROVIDED, cleanup_interval: 60s, "
        "original_dst_lb_config: {upstream_port_override: 8080}, upstream_bind_config: "
        "{source_address: {address: 127.0.0.6, port_value: 0}}, typed_extension_protocol_options: "
        "{" OPTIONS ": {'@type': type.googleapis.com/" OPTIONS ", use_downstream_protocol_config: "
        "{http2_protocol_options: {}}, common_http_protocol_options: {idle_timeout: 300s, "
        "max_requests_per_connection: 7}}}}");
    assert_int_equal(c->type, CONF_CLUSTER_ORIGINAL_DST);
    assert_int_equal(c->original_dst_port, 8080);
    assert_string_equal(addr_format(&c->sources[0], text), "127.0.0.6:0");
    assert_int_equal(c->idle_timeout_ms, 300000);
    assert_int_equal(c->max_requests_per_connection, 7);
    assert_int_equal(c->http, CONF_UPSTREAM_AS_CLIENT);
    conf_object_unref(c);
}

static const struct {
    const char *name, *config, *v4, *v6; /* what connections of each family are bound to */
} sources[] = {
    {"none", "{}", "", ""},
    {"IPv4 alone", "{source_address: {address: 127.0.0.6, port_value: 0}}", "127.0.0.6:0",
     "127.0.0.6:0"},
    {"both",
     "{source_address: {address: 127.0.0.6, port_value: 0}, extra_source_addresses: "
     "[{address: {address: 127.0.0.7, port_value: 0}}, {address: {address: '::6', port_value: 0}}, "
     "{address: {address: '::7', port_value: 0}}]}",
     "127.0.0.6:0", "[::6]:0"},
    {"IPv6 first, older field",
     "{source_address: {address: '::6', port_value: 0}, additional_source_addresses: "
     "[{address: 127.0.0.6, port_value: 0}]}",
     "127.0.0.6:0", "[::6]:0"},
};

static void check_source(const char *name, const struct conf_cluster *c, const char *to,
                         const char *want)
{
    struct addr a;
    char text[ADDR_TEXT_MAX] = "";
    assert_int_equal(addr_from_ip(str_of(to), 80, &a, NULL), 0);
    const struct addr *got = conf_cluster_source(c, &a);
    if (strcmp(got ? addr_format(got, text) : "", want))
        fail_msg("%s: to %s from '%s', not '%s'", name, to, text, want);
}

static void test_sources(void **state)
{
    (void)state;
    char yaml[512];
    for (size_t i = 0; i < ARRAY_LEN(sources); i++) {
        snprintf(yaml, sizeof(yaml), "{name: c, upstream_bind_config: %s}", sources[i].config);
        struct conf_cluster *c = decode_good(yaml);
        check_source(sources[i].name, c, "10.0.0.1", sources[i].v4);
        check_source(sources[i].name, c, "fd00::1", sources[i].v6);
        conf_object_unref(c);
    }
}

static const struct {
    const char *yaml;
    enum conf_upstream_http http;
    uint32_t streams, age_ms;
    bool has_trailers;
} protocols[] = {
    {"{name: c, http_protocol_options: {enable_trailers: true}}", CONF_UPSTREAM_HTTP1, 1024, 0,
     true},
    {"{name: c, http2_protocol_options: {max_concurrent_streams: 7}}", CONF_UPSTREAM_HTTP2, 7, 0,
     false},
    {"{name: c, common_http_protocol_options: {max_connection_duration: 2s}}", CONF_UPSTREAM_HTTP1,
     1024, 2000, false},
    {HTTP("explicit_http_config: {http2_protocol_options: {max_concurrent_streams: 9}}, "
          "common_http_protocol_options: {max_connection_duration: 1s}"),
     CONF_UPSTREAM_HTTP2, 9, 1000, false},
    {HTTP("explicit_http_config: {http_protocol_options: {enable_trailers: true}}"),
     CONF_UPSTREAM_HTTP1, 1024, 0, true},
    {HTTP("use_downstream_protocol_config: {http_protocol_options: {enable_trailers: true}, "
          "http2_protocol_options: {max_concurrent_streams: 8}}"),
     CONF_UPSTREAM_AS_CLIENT, 8, 0, true},
    {HTTP_OPEN("auto_config: {http2_protocol_options: {max_concurrent_streams: 6}}") SOCKET,
     CONF_UPSTREAM_BY_ALPN, 6, 0, false},
};

static void test_protocols(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(protocols); i++) {
        struct conf_cluster *c = decode_good(protocols[i].yaml);
        if (c->http != protocols[i].http ||
            c->http2.max_concurrent_streams != protocols[i].streams ||
            c->http1_trailers != protocols[i].has_trailers ||
            c->max_connection_duration_ms != protocols[i].age_ms)
            fail_msg("%s", protocols[i].yaml);
        conf_object_unref(c);
    }
}

static void test_tls(void **state)
{
    (void)state;
    static const struct {
        const char *yaml, *sni, *ca;
    } rows[] = {
        {TLS("sni: a.b"), "a.b", ""},
        {TLS("common_tls_context: {" CA("inline_string: \"" PEM_TEXT "\"") "}"), "", PEM},
        {TLS("sni: x, common_tls_context: {" CA("inline_bytes: " PEM_BASE64) "}"), "x", PEM},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct conf_cluster *c = decode_good(rows[i].yaml);
        assert_non_null(c->transport.tls);
        assert_string_equal(c->transport.tls->sni, rows[i].sni);
        struct str ca;
        assert_true(conf_tls_trusted_ca(c->transport.tls, NULL, &ca));
        if (!str_is(ca, rows[i].ca))
            fail_msg("%s", rows[i].yaml);
        conf_object_unref(c);
    }
}

static void test_policies(void **state)
{
    (void)state;
    static const struct {
        const char *yaml;
        enum conf_lb_policy policy;
        unsigned choice_count;
    } rows[] = {
        {"{name: c, lb_policy: RANDOM}", CONF_LB_RANDOM, 2},
        {"{name: c, " LB("random.v3.Random") "}", CONF_LB_RANDOM, 2},
        {"{name: c, " LB("round_robin.v3.RoundRobin") "}", CONF_LB_ROUND_ROBIN, 2},
        {"{name: c, " LB("least_request.v3.LeastRequest, choice_count: 3") "}",
         CONF_LB_LEAST_REQUEST, 3},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct conf_cluster *c = decode_good(rows[i].yaml);
        if (c->lb_policy != rows[i].policy || c->choice_count != rows[i].choice_count)
            fail_msg("%s", rows[i].yaml);
        conf_object_unref(c);
    }
}

static void test_endpoints(void **state)
{
    (void)state;
    char text[ADDR_TEXT_MAX];
    struct conf_cluster *c = decode_good(
        "{name: c, type: STRICT_DNS, dns_lookup_family: V4_ONLY, dns_refresh_rate: 60s, "
        "load_assignment: {endpoints: [{locality: {region: r, zone: z}, lb_endpoints: [{endpoint: "
        "{address: {socket_address: {address: a.b, port_value: 80}}}, load_balancing_weight: 3, "
        "health_status: DRAINING}, {endpoint: {hostname: h, address: {socket_address: {address: "
        "'::1', port_value: 81}}}, health_status: UNHEALTHY}]}, {priority: 2, lb_endpoints: "
        "[{endpoint: {address: {pipe: {path: /x}}}, health_status: DEGRADED}]}]}}");
    const struct conf_endpoint *e = c->inline_endpoints->v;
    assert_int_equal(c->dns_family, CONF_DNS_V4);
    assert_int_equal(c->dns_refresh_ms, 60000);
    assert_int_equal(c->inline_endpoints->n, 3);
    assert_int_equal(e[0].address.len, 0);
    assert_string_equal(e[0].hostname, "a.b");
    assert_int_equal(e[0].port, 80);
    assert_int_equal(e[0].weight, 3);
    assert_int_equal(e[0].health, CONF_DRAINING);
    assert_string_equal(e[0].region, "r");
    assert_string_equal(e[1].zone, "z");
    assert_string_equal(e[1].sub_zone, "");
    assert_string_equal(addr_format(&e[1].address, text), "[::1]:81");
    assert_string_equal(e[1].hostname, "h");
    assert_int_equal(e[1].health, CONF_UNHEALTHY);
    assert_int_equal(e[2].priority, 2);
    assert_int_equal(e[2].weight, 1);
    assert_int_equal(e[2].health, CONF_DEGRADED);
    assert_string_equal(addr_format(&e[2].address, text), "/x");
    conf_object_unref(c);
}

static void test_load_assignment(void **state)
{
    (void)state;
    struct arena a;
    struct conf_endpoints *e;
    struct error err = {0};
    arena_init(&a, 0);
    const char *type = "envoy.config.endpoint.v3.ClusterLoadAssignment";
    struct str bytes = yaml_pack(
        &a, type,
        "{cluster_name: c, endpoints: [{load_balancing_weight: 2, lb_endpoints: [{endpoint: "
        "{address: {socket_address: {address: 1.2.3.4, port_value: 5}}}, metadata: "
        "{filter_metadata: {istio: {workload: x}}}}]}]}");
    if (decode_endpoints(bytes, NULL, &e, &err))
        fail_msg("%s", err.text);
    assert_string_equal(e->object.name, "c");
    assert_int_equal(e->n, 1);
    assert_int_equal(e->object.hash, hash_xx64(bytes.p, bytes.n, 0));
    conf_object_unref(e);
    assert_int_not_equal(decode_endpoints(yaml_pack(&a, type, "{endpoints: []}"), NULL, &e, &err),
                         0);
    assert_string_equal(err.text, "cluster_name: must not be empty");
    assert_int_equal(decode_endpoints(STR("\x0b"), NULL, &e, &err), -ERR_INVALID);
    assert_null(e);
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad),       cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_eds),       cmocka_unit_test(test_original_dst),
        cmocka_unit_test(test_sources),   cmocka_unit_test(test_protocols),
        cmocka_unit_test(test_tls),       cmocka_unit_test(test_policies),
        cmocka_unit_test(test_endpoints), cmocka_unit_test(test_load_assignment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
