/* Listeners, filter chains, network and HTTP filters (envoy.config.listener.v3 and the two
 * terminal network filters). Immutable, shared; everything lives in the listener's arena except
 * what has a reference count of its own. */
#ifndef CONF_LISTENER_H
#define CONF_LISTENER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "conf/header_case.h"
#include "conf/http2.h"
#include "conf/json_format.h"
#include "conf/local_reply.h"
#include "conf/object.h"
#include "conf/plugin.h"
#include "conf/route.h"
#include "conf/scoped_route.h"
#include "conf/source.h"
#include "conf/tls.h"
#include "net/sock.h"

/* ---- access log ---- */
enum conf_log_sink { CONF_LOG_FILE, CONF_LOG_STDOUT, CONF_LOG_STDERR };

struct conf_access_log {
    enum conf_log_sink sink;
    const char *path;
    struct conf_format format;
    struct conf_log_filter *filter; /* NULL: all */
};

/* ---- HTTP filters ---- */
enum conf_http_filter_kind {
    CONF_HTTP_ROUTER,
    CONF_HTTP_WASM,
    CONF_HTTP_ISTIO_ALPN,
    CONF_HTTP_NOOP, /* accepted, counted, does nothing (README lists them) */
};

/* CONF_HTTP_ROUTER */
struct conf_router {
    bool suppress_envoy_headers, respect_expected_timeout;
    struct str *strict; /* headers whose values are checked */
    size_t strict_n;
};

/* CONF_HTTP_ISTIO_ALPN: what is offered to upstreams in place of their cluster's ALPN, by what will
 * be spoken; as on the wire, p NULL: the cluster's. */
struct conf_alpn {
    struct str http1, http2;
};

struct conf_http_filter {
    const char *name;
    const char *type_url;
    enum conf_http_filter_kind kind;
    bool is_disabled;
    /* CONF_HTTP_WASM: the plugin's slot. With is_discovered the configuration comes by ECDS and
     * plugin is NULL here; else plugin is the inline one (owned reference, not part of the
     * listener's hash: a change of it swaps the VM and leaves the listener alone). */
    const char *slot;
    bool is_discovered;
    struct conf_source source; /* ECDS */
    struct conf_plugin *plugin;
    struct conf_plugin *default_plugin; /* ECDS default_config, or NULL */
    const struct conf_router *router;   /* NULL: the defaults */
    const struct conf_alpn *alpn;
};

/* ---- network filters ---- */
struct conf_tcp_cluster {
    const char *name;
    uint32_t weight; /* at least 1 */
};

/* tunneling_config: the session as an HTTP request. */
struct conf_tcp_tunnel {
    struct conf_format hostname; /* :authority */
    bool uses_post;              /* in place of CONNECT */
    struct str post_path;
    struct conf_header_ops headers;
};

struct conf_tcp_proxy {
    const char *stat_prefix, *cluster;
    struct conf_tcp_cluster *clusters; /* in place of cluster */
    size_t clusters_n;
    uint64_t weights_sum;
    struct conf_tcp_tunnel *tunnel; /* NULL: none */
    uint32_t max_duration_ms;       /* 0: none */
    uint32_t idle_timeout_ms;       /* default 1 h; 0 none */
    unsigned max_connect_attempts;
    struct conf_access_log *access_logs;
    size_t access_logs_n;
};

struct conf_prefix {
    struct addr base;
    unsigned len;
};

/* path_with_escaped_slashes_action */
enum conf_slashes {
    CONF_SLASHES_KEEP,
    CONF_SLASHES_REJECT,
    CONF_SLASHES_REDIRECT,
    CONF_SLASHES_FORWARD
};
/* headers_with_underscores_action */
enum conf_underscores { CONF_UNDERSCORES_ALLOW, CONF_UNDERSCORES_REJECT, CONF_UNDERSCORES_DROP };

/* original_ip_detection_extensions: a header that tells the client's address. */
struct conf_detection {
    struct str header; /* p NULL: x-forwarded-for */
    unsigned hops;     /* of x-forwarded-for: trusted proxies before us */
    struct conf_prefix *trusted;
    size_t trusted_n;       /* in place of hops: what is passed over from the right */
    bool appends;           /* the peer to x-forwarded-for */
    bool is_trusted;        /* such an address may count as internal */
    unsigned reject_status; /* without an address; 0: go on */
};

/* forward_client_cert_details */
enum conf_xfcc {
    CONF_XFCC_SANITIZE,
    CONF_XFCC_FORWARD,
    CONF_XFCC_APPEND,
    CONF_XFCC_SET,
    CONF_XFCC_ALWAYS_FORWARD,
};

enum conf_codec { CONF_CODEC_AUTO, CONF_CODEC_HTTP1, CONF_CODEC_HTTP2 };

enum conf_server_header { CONF_SERVER_OVERWRITE, CONF_SERVER_APPEND_IF_ABSENT, CONF_SERVER_PASS };

struct conf_hcm {
    const char *stat_prefix;
    const char *rds_name; /* NULL: inline */
    struct conf_source rds_source;
    struct conf_route_config *route_config; /* inline (owned reference), or NULL */
    struct conf_scoped_routes *scoped;      /* in place of both; or NULL */
    struct conf_http_filter *filters;       /* the last one is the router */
    size_t filters_n;
    struct conf_access_log *access_logs;
    size_t access_logs_n;
    struct conf_local_reply *local_reply; /* or NULL */
    enum conf_codec codec;
    struct conf_upgrade *upgrades;
    size_t upgrades_n;
    bool h1_trailers;                                               /* HTTP/1's are passed on */
    bool h1_any_method, h1_keeps_absolute, h1_chunked_beats_length; /* http/h1_parse.h */
    struct conf_http2 http2;
    const char *server_name; /* default "envoy" */
    enum conf_server_header server_header;
    enum conf_xfcc xfcc;
    bool xfcc_cert, xfcc_chain, xfcc_subject, xfcc_uri, xfcc_dns; /* set_current_client_... */
    bool use_remote_address, skip_xff_append, generate_request_id, preserve_external_request_id;
    bool always_set_request_id_in_response, accept_http_10, proxy_100_continue;
    bool normalize_path, merge_slashes;
    enum conf_slashes escaped_slashes;
    enum conf_underscores underscores;
    bool keeps_broken; /* stream_error_on_invalid_http_message */
    bool strip_any_port, strip_matching_port, strip_host_dot;
    bool append_x_forwarded_port, maps_ipv4; /* 1.2.3.4 as ::ffff:1.2.3.4 in x-forwarded-for */
    bool pack_trace_reason;
    const char *scheme; /* overwrites; "": none */
    struct conf_prefix *internal;
    size_t internal_n;
    bool unix_is_internal;
    struct conf_detection *detections; /* none: x-forwarded-for with xff_num_trusted_hops */
    size_t detections_n;
    const char *default_host_for_http_10, *via;
    enum conf_header_case h1_case;
    unsigned xff_num_trusted_hops;
    uint32_t request_headers_size_max, request_headers_count_max;
    uint32_t idle_timeout_ms;        /* of connections; default 1 h */
    uint32_t stream_idle_timeout_ms; /* default 5 min */
    uint32_t request_timeout_ms, request_headers_timeout_ms;
    uint32_t delayed_close_timeout_ms;    /* default 1 s */
    uint32_t drain_timeout_ms;            /* default 5 s */
    uint32_t max_requests_per_connection; /* 0: no limit */
    uint32_t max_connection_duration_ms;  /* 0: none */
    uint32_t max_stream_duration_ms;      /* 0: none; a route's goes before it */
    bool ignores_overload;                /* admin: served whatever runs out */
};

/* CONF_NET_CONNECTION_LIMIT */
struct conf_connection_limit {
    const char *stat_prefix;
    uint64_t max;
    uint32_t delay_ms;       /* before a connection that is one too many is closed */
    const char *runtime_key; /* "" none */
    bool is_enabled;         /* without a value in the runtime */
    uint64_t *active;        /* connections of all workers: all of it that changes */
};

enum conf_net_filter_kind {
    CONF_NET_TCP_PROXY,
    CONF_NET_HCM,
    CONF_NET_WASM,
    CONF_NET_CONNECTION_LIMIT,
    CONF_NET_SNI_CLUSTER, /* before a tcp_proxy: the cluster is named as the server */
    CONF_NET_NOOP,
};

struct conf_net_filter {
    const char *name;
    const char *type_url;
    enum conf_net_filter_kind kind;
    struct conf_tcp_proxy *tcp_proxy;
    struct conf_hcm *hcm;
    struct conf_connection_limit *limit;
    /* CONF_NET_WASM: as in conf_http_filter */
    const char *slot;
    bool is_discovered;
    struct conf_source source;
    struct conf_plugin *plugin, *default_plugin;
};

/* ---- filter chains ---- */
struct conf_chain_match {
    uint16_t destination_port; /* 0: any */
    struct conf_prefix *prefixes, *source_prefixes, *direct_prefixes;
    size_t prefixes_n, source_prefixes_n, direct_prefixes_n;
    const char **server_names, **application_protocols;
    size_t server_names_n, application_protocols_n;
    const char *transport_protocol; /* "" any */
    enum { CONF_SOURCE_ANY, CONF_SOURCE_SAME_IP_OR_LOOPBACK, CONF_SOURCE_EXTERNAL } source_type;
    uint16_t *source_ports;
    size_t source_ports_n;
};

struct conf_filter_chain {
    const char *name;
    uint64_t hash; /* without inline plugin configurations: equal ones are the same chain */
    struct conf_chain_match match;
    struct conf_net_filter *filters; /* the last one is terminal */
    size_t filters_n;
    struct conf_tls *tls;                  /* owned reference; NULL: plaintext */
    uint32_t transport_connect_timeout_ms; /* of the handshake; 0: none */
};

/* ---- listeners ---- */
enum conf_direction { CONF_DIRECTION_UNSPECIFIED, CONF_INBOUND, CONF_OUTBOUND };

/* ListenerFilterChainMatchPredicate: says of a connection by its destination port whether a
 * listener filter is left out. */
struct conf_predicate {
    enum {
        CONF_PREDICATE_ANY,
        CONF_PREDICATE_OR,
        CONF_PREDICATE_AND,
        CONF_PREDICATE_NOT,
        CONF_PREDICATE_PORTS
    } kind;
    struct conf_predicate *rules; /* of OR, AND, NOT (one) */
    size_t rules_n;
    uint32_t start, end; /* PORTS: end is the first one behind */
};

/* The listener filter proxy_protocol. */
struct conf_proxy_protocol {
    const char *stat_prefix; /* "" none */
    bool allows_none;        /* a connection without a header goes on as it is */
    bool is_disallowed[2];   /* versions 1 and 2 */
    uint8_t passes[32];      /* a bit for each type of TLV that upstreams may be told */
};

/* The listener filter original_src. */
struct conf_original_src {
    bool is_on, binds_port;
    uint32_t mark; /* 0: none */
};

enum { CONF_BALANCE_WORKERS = 256 }; /* beyond that they are counted together */

/* One of the addresses a listener binds. */
struct conf_socket {
    struct addr addr;
    struct sock_setup setup;
    uint64_t hash; /* of setup: with another one it is another socket */
};

struct conf_listener {
    struct conf_object object; /* hash: without inline plugin configurations */
    uint64_t base_hash;        /* of all but its filter chains */
    struct addr address;       /* of its first socket */
    struct conf_socket *sockets;
    size_t sockets_n;
    bool bind_to_port, use_original_dst, has_original_dst_filter, transparent, reuse_port;
    bool has_tls_inspector, has_http_inspector; /* listener filters that look ahead */
    struct conf_predicate *tls_inspector_disabled, *http_inspector_disabled; /* or NULL */
    struct conf_proxy_protocol *proxy_protocol;                              /* or NULL */
    struct conf_predicate *proxy_protocol_disabled;                          /* or NULL */
    struct conf_original_src original_src;
    struct conf_predicate *original_src_disabled; /* or NULL */
    enum conf_direction direction;
    bool is_admin;
    bool ignores_connection_limit, ignores_overload; /* of the process */
    unsigned accepts_per_event;                      /* 0: as many as we like */
    bool drains_when_modified_only;       /* drain_type MODIFY_ONLY: not by a failed health check */
    const char *stat_prefix;              /* "" : the address */
    uint32_t listener_filters_timeout_ms; /* 0: none */
    bool continue_on_listener_filters_timeout;
    uint64_t buffer_limit;
    int backlog;
    struct conf_filter_chain *chains;
    size_t chains_n;
    struct conf_filter_chain *default_chain;
    struct conf_access_log *access_logs;
    size_t access_logs_n;
    bool is_static;
    uint64_t *open_connections; /* of all workers; changes, as balance does */
    uint32_t *balance; /* exact_balance: connections of each worker (proxy/balance.h); or NULL */
};

/* An empty one; plugins and inline routes set in it are its references. */
struct conf_listener *conf_listener_create(const char *name);

/* Is that one of its sockets' ports? */
bool conf_listener_has_port(const struct conf_listener *l, uint16_t port);

/* How a filter uses a plugin slot. */
struct conf_slot_use {
    const char *slot;
    bool is_discovered, is_network;
    struct conf_plugin *plugin;         /* inline one; NULL when discovered */
    struct conf_plugin *default_plugin; /* default_config of a discovered one, or NULL */
    const struct conf_source *source;   /* of a discovered one */
};

/* Calls fn for each plugin slot of the listener's filters, HTTP and network. */
void conf_listener_each_slot(const struct conf_listener *l,
                             void (*fn)(const struct conf_slot_use *use, void *arg), void *arg);
/* Same for the TLS transport sockets of its chains. */
void conf_listener_each_tls(const struct conf_listener *l,
                            void (*fn)(const struct conf_tls *tls, void *arg), void *arg);
/* Same for the connection managers whose scoped routes are subscribed to. */
void conf_listener_each_scopes(const struct conf_listener *l,
                               void (*fn)(const struct conf_hcm *hcm, void *arg), void *arg);
/* Same for the RDS names it refers to; hcm: which one does. */
typedef void conf_rds_fn(const struct conf_hcm *hcm, const char *name,
                         const struct conf_source *source, void *arg);
void conf_listener_each_rds(const struct conf_listener *l, conf_rds_fn *fn, void *arg);

#endif
