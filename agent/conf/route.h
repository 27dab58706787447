/* Route configuration (envoy.config.route.v3.RouteConfiguration). Immutable, shared. */
#ifndef CONF_ROUTE_H
#define CONF_ROUTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/hash.h"
#include "base/str.h"
#include "conf/mirror.h"
#include "conf/object.h"
#include "conf/source.h"
#include "conf/string_match.h"

struct conf_retry_policy;
struct regex;

enum conf_header_match_kind { CONF_HEADER_PRESENT, CONF_HEADER_STRING, CONF_HEADER_RANGE };

struct conf_header_match {
    struct str name; /* lower case */
    enum conf_header_match_kind kind;
    bool present; /* CONF_HEADER_PRESENT: wanted presence */
    struct conf_string_match string;
    int64_t range_start, range_end;
    bool invert, treat_missing_as_empty;
};

/* A query parameter or a cookie. */
struct conf_value_match {
    struct str name;
    bool has_string; /* else `present` decides */
    bool present;    /* wanted presence */
    bool invert;     /* cookies */
    struct conf_string_match string;
};

/* A share of the requests; with a runtime key the runtime may say another one. */
struct conf_fraction {
    uint32_t numerator, denominator; /* denominator 100, 10,000 or 1,000,000 */
    struct str runtime_key;          /* "": none */
};

enum conf_tristate { CONF_ANY, CONF_NO, CONF_YES };

enum conf_path_match_kind {
    CONF_PATH_PREFIX,
    CONF_PATH_EXACT,
    CONF_PATH_SEPARATED_PREFIX,
    CONF_PATH_REGEX,
    CONF_PATH_CONNECT, /* CONNECT requests, whatever their path */
};

enum conf_action_kind { CONF_ACTION_CLUSTER, CONF_ACTION_DIRECT_RESPONSE, CONF_ACTION_REDIRECT };

enum conf_append_action {
    CONF_APPEND_OR_ADD,
    CONF_ADD_IF_ABSENT,
    CONF_OVERWRITE_OR_ADD,
    CONF_OVERWRITE_IF_EXISTS,
};

struct conf_header_value_option {
    struct str name, value;
    enum conf_append_action action;
    bool is_format, keep_empty; /* value has operators (http/format.h); and may come out empty */
};

struct conf_header_ops {
    struct conf_header_value_option *add;
    struct str *remove;
    size_t add_n, remove_n;
};

/* RegexMatchAndSubstitute: every match is replaced. */
struct conf_substitute {
    struct regex *regex; /* NULL: none */
    struct str to;       /* with \0 to \9 for groups */
};

/* typed_per_filter_config: what a filter of that name shall do here. */
struct conf_filter_override {
    struct str filter;
    bool is_disabled; /* else it runs, even if the chain has it disabled */
};

struct conf_filter_overrides {
    struct conf_filter_override *v;
    size_t n;
};

struct conf_weighted_cluster {
    struct str name, cluster_header; /* one of them */
    uint32_t weight;
    struct str runtime_key; /* "": none */
    struct str host_rewrite;
    struct conf_header_ops request_headers, response_headers;
    struct conf_filter_overrides overrides;
};

struct conf_weighted {
    struct conf_weighted_cluster *v;
    size_t n;
    uint64_t total;
    struct str header_name; /* its value chooses; "": none */
    bool use_hash_policy, has_runtime;
};

struct conf_redirect {
    struct str scheme, host, path, prefix_rewrite; /* p NULL: none */
    struct conf_substitute regex_rewrite;
    uint16_t port; /* 0: none */
    unsigned status;
    bool https, strip_query;
};

enum conf_hash_kind {
    CONF_HASH_HEADER,
    CONF_HASH_COOKIE,
    CONF_HASH_SOURCE_IP,
    CONF_HASH_QUERY_PARAMETER,
};

struct conf_hash_policy {
    enum conf_hash_kind kind;
    struct str name;
    struct conf_substitute rewrite; /* CONF_HASH_HEADER */
    bool makes_cookie;              /* has a ttl: a request without it gets one */
    uint64_t ttl_s;                 /* 0: for the session */
    struct str path, attributes;    /* "; a=b; c" */
    bool terminal;
};

enum conf_host_rewrite_kind {
    CONF_HOST_KEEP,
    CONF_HOST_LITERAL,
    CONF_HOST_AUTO,       /* the upstream host's name */
    CONF_HOST_HEADER,     /* value of a header */
    CONF_HOST_PATH_REGEX, /* made from the path */
};

/* upgrade_configs, of a route or a connection manager. */
struct conf_upgrade {
    struct str type; /* as Upgrade says it; "CONNECT" */
    bool is_enabled;
    bool ends_here; /* connect_config: the upstream sees what CONNECT brings, not the request */
};

/* Of a RouteAction; 0 ms is none. */
struct conf_route_timeouts {
    bool has_grpc_max; /* max_grpc_timeout: gRPC requests bring their own, up to it */
    uint32_t grpc_max_ms, grpc_offset_ms;
    bool has_stream_duration; /* max_stream_duration: in place of the route's timeout */
    bool has_stream_duration_value, has_grpc_header_max;
    uint32_t stream_duration_ms, grpc_header_max_ms, grpc_header_offset_ms;
};

struct conf_route {
    struct str name;
    /* ---- match ---- */
    enum conf_path_match_kind path_kind;
    struct str path;
    bool case_sensitive;
    struct regex *path_regex;
    struct conf_header_match *headers;
    size_t headers_n;
    struct conf_value_match *query, *cookies;
    size_t query_n, cookies_n;
    bool only_grpc, has_fraction;
    struct conf_fraction fraction;
    enum conf_tristate cert_presented, cert_validated;
    /* ---- action ---- */
    enum conf_action_kind action;
    /* CONF_ACTION_CLUSTER: one of these three */
    struct str cluster;
    struct str cluster_header;
    struct conf_weighted *weighted;
    unsigned cluster_not_found_status;
    uint32_t timeout_ms; /* 0: none; default 15000 */
    bool has_idle_timeout;
    uint32_t idle_timeout_ms;
    struct str prefix_rewrite; /* p NULL: none */
    struct conf_substitute regex_rewrite;
    enum conf_host_rewrite_kind host_kind;
    struct str host_rewrite; /* CONF_HOST_LITERAL, or the header's name */
    struct conf_substitute host_path_regex;
    bool append_x_forwarded_host, is_high_priority;
    struct conf_hash_policy *hash;
    size_t hash_n;
    struct conf_upgrade *upgrades;
    size_t upgrades_n;
    const struct conf_retry_policy *retry; /* conf/retry.h; NULL: the virtual host's */
    unsigned direct_status;                /* CONF_ACTION_DIRECT_RESPONSE */
    struct str direct_body;
    struct conf_redirect *redirect; /* CONF_ACTION_REDIRECT */
    struct conf_header_ops request_headers, response_headers;
    struct conf_filter_overrides overrides;
    struct conf_route_timeouts timeouts;
    uint32_t request_kept_max; /* per_request_buffer_limit_bytes; 0: the virtual host's */
    struct conf_mirrors mirrors;
};

struct conf_virtual_host {
    struct str name;
    struct conf_route *routes;
    size_t routes_n;
    enum { CONF_TLS_NONE, CONF_TLS_EXTERNAL_ONLY, CONF_TLS_ALL } require_tls;
    struct conf_mirrors mirrors;
    uint32_t request_kept_max; /* 0: the connection's limit alone */
    bool include_attempts_in_request, include_attempts_in_response, include_is_timeout_retry;
    const struct conf_retry_policy *retry; /* or NULL */
    struct conf_header_ops request_headers, response_headers;
    struct conf_filter_overrides overrides;
};

/* "*.suffix" or "prefix.*" domains. */
struct conf_wildcards {
    struct hash domains; /* lower case, without the star -> struct conf_virtual_host * */
    size_t *lengths;     /* that occur, longest first */
    size_t lengths_n;
};

struct conf_route_config {
    struct conf_object object;
    struct conf_virtual_host *vhosts;
    size_t vhosts_n;
    struct hash exact_domains; /* lower-case domain -> struct conf_virtual_host * */
    struct conf_wildcards suffixes, prefixes;
    struct conf_virtual_host *any_domain; /* "*", or NULL */
    bool ignore_port_in_host_matching, ignore_path_parameters;
    bool most_specific_wins;  /* header changes: configuration first, route last */
    const char *vhost_header; /* chooses in place of :authority; "": none */
    struct str *internal_only_headers;
    size_t internal_only_n;
    bool has_overrides; /* anywhere in it */
    bool has_vhds;      /* more virtual hosts are discovered, named "NAME/..." */
    struct conf_source vhds_source;
    struct conf_mirrors mirrors;
    struct conf_header_ops request_headers, response_headers;
    struct conf_filter_overrides overrides;
};

/* An empty one; its regular expressions and its index are released with it. */
struct conf_route_config *conf_route_config_create(const char *name);

struct conf_domain {
    struct str text;
    struct conf_virtual_host *vhost;
};

/* Fills the domain index, once. A domain that is empty or stands twice is an error; *bad_r is its
 * place in the list. */
int conf_route_config_index(struct conf_route_config *rc, const struct conf_domain *domains,
                            size_t n, size_t *bad_r, struct error *err);

#endif
