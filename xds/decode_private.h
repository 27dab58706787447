/* What the decode_*.c files share. Inside xds/ only. [main]
 *
 * A decoding fills one object: its arena takes all texts and arrays, `pb` the payloads of Any that
 * are looked into on the way and forgotten at the end. Every function leaves an error that starts
 * with the path of a field below the message it was given; callers prefix it. */
#ifndef XDS_DECODE_PRIVATE_H
#define XDS_DECODE_PRIVATE_H

#include "base/hash.h"
#include "base/mem.h"
#include "envoy/config/accesslog/v3/accesslog.pb-c.h"
#include "envoy/config/cluster/v3/cluster.pb-c.h"
#include "envoy/config/core/v3/address.pb-c.h"
#include "envoy/config/core/v3/base.pb-c.h"
#include "envoy/config/core/v3/config_source.pb-c.h"
#include "envoy/config/core/v3/proxy_protocol.pb-c.h"
#include "envoy/config/endpoint/v3/endpoint.pb-c.h"
#include "envoy/config/listener/v3/listener.pb-c.h"
#include "envoy/config/route/v3/route.pb-c.h"
#include "envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.pb-c.h"
#include "envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy.pb-c.h"
#include "envoy/extensions/wasm/v3/wasm.pb-c.h"
#include "envoy/type/matcher/v3/string.pb-c.h"
#include "proto/value.h"
#include "xds/decode.h"

typedef Envoy__Extensions__Filters__Network__HttpConnectionManager__V3__HttpConnectionManager
    hcm_msg;
typedef Envoy__Extensions__Filters__Network__HttpConnectionManager__V3__HttpFilter http_filter_msg;
typedef Envoy__Extensions__Filters__Network__TcpProxy__V3__TcpProxy tcp_proxy_msg;

struct decode {
    struct pb_arena pb;
    const struct pb_unknown *unknown;
    struct arena *out; /* of the object being made */
    /* Listeners only. */
    const char *listener, *chain; /* names, for plugin slots */
    struct hash slots;            /* inline plugin slots in use */
    uint64_t hash;                /* of nested messages with plugin configurations left out */
};

#define DECODE_NEW(d, type) ((type *)arena_zalloc((d)->out, sizeof(type)))
#define DECODE_ARRAY(d, type, n) ((type *)arena_zalloc((d)->out, (n) * sizeof(type)))

/* Decodes and checks the message of a resource. decode_end in every case. */
int decode_begin(struct decode *d, struct str bytes, const struct pb_unknown *unknown,
                 const ProtobufCMessageDescriptor *desc, ProtobufCMessage **msg_r,
                 struct error *err);
void decode_end(struct decode *d);

/* ---- decode_common.c ---- */
/* A copy in the object's arena. */
const char *decode_text(struct decode *d, const char *text);
struct str decode_str(struct decode *d, const char *text);
/* Lower-case copy. */
struct str decode_lower(struct decode *d, const char *text);
/* `field` is put before the error. Over 49 days is cut to that. */
int decode_ms(const Google__Protobuf__Duration *t, uint32_t def_ms, const char *field,
              uint32_t *ms_r, struct error *err);
int decode_address(const Envoy__Config__Core__V3__Address *a, struct addr *addr_r,
                   struct error *err);
/* Literal IP and port of a TCP address. */
int decode_socket_address(const Envoy__Config__Core__V3__SocketAddress *a, struct addr *addr_r,
                          struct error *err);
int decode_prefixes(struct decode *d, Envoy__Config__Core__V3__CidrRange *const *ranges, size_t n,
                    const char *field, struct conf_prefix **prefixes_r, struct error *err);
int decode_string_match(struct decode *d, const Envoy__Type__Matcher__V3__StringMatcher *m,
                        struct conf_string_match *match_r, struct error *err);
/* Its bytes: inline, of a file (at most max bytes), or of an environment variable. */
int decode_data_source(struct decode *d, const Envoy__Config__Core__V3__DataSource *s, size_t max,
                       struct str *bytes_r, struct error *err);
/* Where another resource comes from. */
int decode_config_source(struct decode *d, const Envoy__Config__Core__V3__ConfigSource *s,
                         struct conf_source *source_r, struct error *err);
/* Looks into an Any; errors start with "typed_config". */
int decode_any(struct decode *d, const Google__Protobuf__Any *any, ProtobufCMessage **msg_r,
               struct error *err);

/* ---- decode_cluster_http.c ---- */
int decode_cluster_http(struct decode *d, const Envoy__Config__Cluster__V3__Cluster *m,
                        struct conf_cluster *c, struct error *err);
/* Envoy's rule for auto_config; once the transport is decoded. */
int decode_check_alpn(const struct conf_cluster *c, struct error *err);

/* ---- decode_transport.c ---- */
/* How a filter chain speaks to its clients; *tls_r NULL: plaintext. */
int decode_transport_down(struct decode *d, const Envoy__Config__Core__V3__TransportSocket *t,
                          struct conf_tls **tls_r, struct error *err);
/* How a cluster's hosts are spoken to: transport_socket and transport_socket_matches. */
int decode_transports(struct decode *d, const Envoy__Config__Cluster__V3__Cluster *m,
                      struct conf_cluster *c, struct error *err);
/* What transport_socket_matches compares, of an endpoint's metadata (or its locality's). */
void decode_socket_values(struct decode *d, const Envoy__Config__Core__V3__Metadata *m,
                          struct conf_endpoint *e);

/* ---- decode_tls.c ---- */
/* DownstreamTlsContext or UpstreamTlsContext; errors start with "typed_config". */
int decode_tls(struct decode *d, const Google__Protobuf__Any *any, bool is_server,
               struct conf_tls **tls_r, struct error *err);

/* header_key_format of o, which may be NULL. */
int decode_header_case(struct decode *d, const Envoy__Config__Core__V3__Http1ProtocolOptions *o,
                       enum conf_header_case *out, struct error *err);

/* Entry i of upgrade_configs, of a route or a connection manager, into all[i]. */
int decode_upgrade(struct decode *d, const char *type, const Google__Protobuf__BoolValue *enabled,
                   struct conf_upgrade *all, size_t i, struct error *err);

/* Counts and logs what is accepted and does nothing: "remora.noop_filter.TYPE". (HTTP filters are
 * counted by their registry.) */
void decode_count_noop(const char *name, const char *type);

/* ---- decode_format.c ---- */
/* By what decode_set_format_check gave. */
int decode_check_format(const char *format, struct error *err);
int decode_text_format(struct decode *d, const char *text, struct conf_format *f,
                       struct error *err);
int decode_json_format(struct decode *d, const Google__Protobuf__Struct *m, struct conf_format *f,
                       struct error *err);
int decode_format(struct decode *d, const Envoy__Config__Core__V3__SubstitutionFormatString *m,
                  struct conf_format *f, struct error *err);

/* ---- decode_access_log.c ---- */
int decode_access_logs(struct decode *d, Envoy__Config__Accesslog__V3__AccessLog *const *logs,
                       size_t n, bool is_listener, struct conf_access_log **logs_r,
                       size_t *logs_n_r, struct error *err);

/* ---- decode_listener_filter.c ---- */
int decode_listener_filters(struct decode *d, const Envoy__Config__Listener__V3__Listener *m,
                            struct conf_listener *l, struct error *err);
/* A bit per type. */
int decode_pass_tlvs(const Envoy__Config__Core__V3__ProxyProtocolPassThroughTLVs *m,
                     uint8_t passes[32], struct error *err);

/* ---- decode_listener_socket.c ---- */
/* Also l->address. Before it, set what the listener says of all its sockets. */
int decode_listener_sockets(struct decode *d, const Envoy__Config__Listener__V3__Listener *m,
                            struct conf_listener *l, struct error *err);

/* ---- decode_filter.c ---- */
int decode_net_filters(struct decode *d, const Envoy__Config__Listener__V3__FilterChain *chain,
                       struct conf_filter_chain *out, struct error *err);
int decode_http_filters(struct decode *d, const hcm_msg *m, struct conf_hcm *out,
                        struct error *err);

/* ---- decode_hash.c ---- */
/* Hash of a message's bytes on top of another hash. */
uint64_t decode_hash(const ProtobufCMessage *msg, uint64_t seed);
/* On top of d->hash, without inline plugin configurations. */
uint64_t decode_hash_hcm(const struct decode *d, const hcm_msg *m);
uint64_t decode_hash_chain(const struct decode *d,
                           const Envoy__Config__Listener__V3__FilterChain *m);
/* Sets both of its hashes; those of its chains are set. */
void decode_hash_listener(const Envoy__Config__Listener__V3__Listener *m,
                          struct conf_listener *out);

/* ---- decode_hcm.c, decode_tcp_proxy.c ---- */
int decode_connection_limit(struct decode *d, const ProtobufCMessage *msg,
                            struct conf_net_filter *f, struct error *err);
int decode_hcm(struct decode *d, const ProtobufCMessage *msg, struct conf_net_filter *f,
               struct error *err);
/* ---- decode_route_match.c ---- */
uint32_t decode_denominator(const Envoy__Type__V3__FractionalPercent *p);

/* ---- decode_local_reply.c ---- */
int decode_log_filter(struct decode *d, const Envoy__Config__Accesslog__V3__AccessLogFilter *m,
                      struct conf_log_filter **filter_r, struct error *err);
int decode_local_reply(struct decode *d, const hcm_msg *m, struct conf_hcm *h, struct error *err);

/* ---- decode_http2.c ---- */
struct conf_http2;
/* NULL gives the defaults. */
int decode_http2(const Envoy__Config__Core__V3__Http2ProtocolOptions *m, struct conf_http2 *o,
                 struct error *err);

/* ---- decode_hcm_rules.c ---- */
int decode_hcm_rules(struct decode *d, const hcm_msg *m, struct conf_hcm *h, struct error *err);
int decode_tcp_proxy(struct decode *d, const ProtobufCMessage *msg, struct conf_net_filter *f,
                     struct error *err);

/* ---- decode_route.c ---- */
/* An object of its own, also when it stands inside a listener. */
int decode_route_message(const Envoy__Config__Route__V3__RouteConfiguration *m,
                         struct conf_route_config **config_r, struct error *err);

/* ---- decode_retry.c ---- */
/* NULL stays NULL. The policy is released with the object, also when its decoding fails. */
int decode_retry(struct decode *d, const Envoy__Config__Route__V3__RetryPolicy *m,
                 const struct conf_retry_policy **policy_r, struct error *err);

/* per_request_buffer_limit_bytes: what may be kept of a request for a retry or a mirror, at least
 * 1; 0: not said. */
uint32_t decode_kept_max(const Google__Protobuf__UInt32Value *v);
/* Timeouts of an action beyond the plain one. */
int decode_timeouts(const Envoy__Config__Route__V3__RouteAction *m, struct conf_route_timeouts *t,
                    struct error *err);

/* ---- decode_mirror.c ---- */
int decode_mirrors(struct decode *d,
                   Envoy__Config__Route__V3__RouteAction__RequestMirrorPolicy *const *m, size_t n,
                   struct conf_mirrors *mirrors, struct error *err);

/* ---- decode_router.c ---- */
int decode_istio_alpn(struct decode *d, const Google__Protobuf__Any *any,
                      struct conf_http_filter *f, struct error *err);
/* filter_metadata "istio", alpn_override "false": the filter istio.alpn leaves the cluster alone.
 */
bool decode_keeps_alpn(const Envoy__Config__Core__V3__Metadata *m);
/* Names of protocols (each may be several, with commas) as they are on the wire; STR_NULL: none. */
int decode_alpn(struct decode *d, char *const *names, size_t n, const char *field, struct str *out,
                struct error *err);
int decode_router(struct decode *d, const Google__Protobuf__Any *any, struct conf_http_filter *f,
                  struct error *err);

/* ---- decode_scoped_route.c ---- */
int decode_scoped_routes(struct decode *d, const hcm_msg *m, struct conf_hcm *h, struct error *err);

/* ---- decode_headers.c ---- */
struct decode_header_ops {
    Envoy__Config__Core__V3__HeaderValueOption *const *add;
    char *const *remove;
    size_t add_n, remove_n;
};
/* side: "request" or "response", for the path. */
int decode_header_ops(struct decode *d, const struct decode_header_ops *ops, const char *side,
                      struct conf_header_ops *ops_r, struct error *err);
int decode_header_matches(struct decode *d, Envoy__Config__Route__V3__HeaderMatcher *const *m,
                          size_t n, struct conf_header_match *matches, struct error *err);

/* ---- decode_endpoint.c ---- */
int decode_endpoints_message(const Envoy__Config__Endpoint__V3__ClusterLoadAssignment *m,
                             bool takes_names, struct conf_endpoints **endpoints_r,
                             struct error *err);

/* ---- decode_plugin.c ---- */
int decode_plugin(const Envoy__Extensions__Wasm__V3__PluginConfig *m, const char *slot,
                  bool is_network, struct conf_plugin **plugin_r, struct error *err);
/* The plugin configuration in a Wasm filter of either kind; NULL for other types. */
const Envoy__Extensions__Wasm__V3__PluginConfig *decode_wasm_config(const ProtobufCMessage *msg,
                                                                    bool *is_network_r);

#endif
