/* Clusters and their endpoints (envoy.config.cluster.v3, envoy.config.endpoint.v3). Immutable,
 * shared. Endpoints are an object of their own: an EDS change never rebuilds a cluster. */
#ifndef CONF_CLUSTER_H
#define CONF_CLUSTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "conf/header_case.h"
#include "conf/http2.h"
#include "conf/object.h"
#include "conf/source.h"
#include "net/addr.h"

enum conf_cluster_type {
    CONF_CLUSTER_STATIC,
    CONF_CLUSTER_STRICT_DNS,
    CONF_CLUSTER_LOGICAL_DNS,
    CONF_CLUSTER_EDS,
    CONF_CLUSTER_ORIGINAL_DST,
};

enum conf_lb_policy {
    CONF_LB_ROUND_ROBIN,
    CONF_LB_LEAST_REQUEST,
    CONF_LB_RANDOM,
    CONF_LB_CLUSTER_PROVIDED,
};

enum conf_health { CONF_HEALTHY, CONF_DEGRADED, CONF_UNHEALTHY, CONF_DRAINING };

struct conf_tls;

/* A value of filter_metadata "envoy.transport_socket_match"; its text carries its type. */
struct conf_socket_value {
    struct str key, value;
};

struct conf_endpoint {
    struct addr address;  /* len 0: hostname still to be resolved (DNS clusters) */
    const char *hostname; /* "" when none */
    uint16_t port;        /* of a name to resolve */
    uint32_t weight;      /* at least 1 */
    enum conf_health health;
    uint32_t priority;
    const char *region, *zone, *sub_zone;
    struct conf_socket_value *socket_values;
    size_t socket_values_n;
};

struct conf_endpoints {
    struct conf_object object; /* name: that of the ClusterLoadAssignment */
    struct conf_endpoint *v;
    size_t n;
};

/* How a host is spoken to. The first of transport_matches whose pairs the host's metadata
 * (filter_metadata "envoy.transport_socket_match") all holds; else the cluster's own. */
struct conf_transport {
    const char *name;
    struct conf_tls *tls; /* owned reference; NULL: plaintext */
    struct conf_socket_value *match;
    size_t match_n;
};

/* Circuit breakers of requests of one priority. */
enum conf_priority { CONF_PRIORITY_DEFAULT, CONF_PRIORITY_HIGH, CONF_PRIORITIES };

struct conf_limits {
    uint32_t max_connections, max_pending_requests, max_requests, max_retries;
    bool has_retry_budget; /* in place of max_retries */
    double retry_budget_percent;
    uint32_t min_retry_concurrency;
    bool track_remaining;
};

/* What hosts are spoken to in. */
enum conf_upstream_http {
    CONF_UPSTREAM_HTTP1,
    CONF_UPSTREAM_HTTP2,     /* without asking (prior knowledge) */
    CONF_UPSTREAM_BY_ALPN,   /* what the host chooses in the TLS handshake */
    CONF_UPSTREAM_AS_CLIENT, /* what the request came in */
};

struct conf_cluster {
    struct conf_object object;
    enum conf_cluster_type type;
    enum conf_lb_policy lb_policy;
    unsigned choice_count;       /* least request; default 2 */
    uint32_t connect_timeout_ms; /* default 5000 */
    const char *eds_name;        /* service_name, else the cluster's name */
    bool has_eds_service_name;
    struct conf_source eds_source;
    struct conf_endpoints
        *inline_endpoints; /* load_assignment of static and DNS clusters, or NULL */
    struct conf_limits limits[CONF_PRIORITIES];
    uint32_t dns_refresh_ms; /* default 5000 */
    enum {
        CONF_DNS_AUTO,
        CONF_DNS_V4,
        CONF_DNS_V6,
        CONF_DNS_V4_PREFERRED,
        CONF_DNS_ALL
    } dns_family;
    uint32_t idle_timeout_ms;             /* of pooled connections; default 1 h, 0 none */
    uint32_t max_connection_duration_ms;  /* 0: no limit */
    uint32_t max_stream_duration_ms;      /* of an attempt on its connection; 0: no limit */
    uint32_t max_requests_per_connection; /* 0: no limit */
    struct addr sources[2]; /* upstream_bind_config: the address named first, then the first of the
                               other family if there is one; len 0: none */
    bool use_http_header;   /* ORIGINAL_DST: x-envoy-original-dst-host */
    uint16_t original_dst_port; /* upstream_port_override; 0 none */
    uint64_t buffer_limit;      /* per_connection_buffer_limit_bytes, default 1 MiB */
    uint32_t response_headers_size_max, response_headers_count_max; /* 0: the codec's own */
    bool http1_trailers;                                            /* enable_trailers */
    enum conf_header_case h1_case;
    bool keeps_alpn;         /* whatever the filter istio.alpn of a request says */
    bool auto_sni, auto_san; /* SNI is the request's host; the certificate must have that name */
    const char *auto_sni_header; /* what holds it, lower case; "": :authority */
    enum conf_upstream_http http;
    struct conf_http2 http2;
    struct conf_transport transport; /* transport_socket */
    struct conf_transport *transport_matches;
    size_t transport_matches_n;
    bool is_static; /* from the bootstrap, not from CDS */
};

/* What a snapshot holds for a cluster name. A new pair is made when either half changes. */
struct conf_cluster_entry {
    struct conf_object object;
    struct conf_cluster *cluster;     /* owned reference */
    struct conf_endpoints *endpoints; /* owned reference; NULL: none known (yet) */
};

/* An empty one; inline_endpoints set in it is its reference. */
struct conf_cluster *conf_cluster_create(const char *name);
/* Index of the transport for these values: 0 the cluster's own, else 1 + that of the match. */
size_t conf_cluster_transport(const struct conf_cluster *c, const struct conf_socket_value *values,
                              size_t n);
/* Calls fn for each transport socket with TLS. */
void conf_cluster_each_tls(const struct conf_cluster *c,
                           void (*fn)(const struct conf_tls *tls, void *arg), void *arg);
/* What connections to `to` are bound to, NULL for nothing. If no source address has its family,
 * the first is given, so that the connection fails rather than leave from another address. */
const struct addr *conf_cluster_source(const struct conf_cluster *c, const struct addr *to);

/* Takes its own references. */
struct conf_cluster_entry *conf_cluster_entry_create(struct conf_cluster *c,
                                                     struct conf_endpoints *e);

#endif
