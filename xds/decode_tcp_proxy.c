#include "envoy/extensions/filters/network/connection_limit/v3/connection_limit.pb-c.h"
#include "xds/decode_private.h"

typedef Envoy__Extensions__Filters__Network__ConnectionLimit__V3__ConnectionLimit limit_msg;

#define SPECIFIER(x) \
    ENVOY__EXTENSIONS__FILTERS__NETWORK__TCP_PROXY__V3__TCP_PROXY__CLUSTER_SPECIFIER_##x

enum { IDLE_TIMEOUT_MS = 3600 * 1000 };

static int set_clusters(struct decode *d, const tcp_proxy_msg *m, struct conf_tcp_proxy *t,
                        struct error *err)
{
    if (m->cluster_specifier_case == SPECIFIER(CLUSTER)) {
        t->cluster = decode_text(d, m->cluster);
        return *m->cluster ? 0 : error_set(err, ERR_INVALID, "cluster: must not be empty");
    }
    if (m->cluster_specifier_case != SPECIFIER(WEIGHTED_CLUSTERS))
        return error_set(err, ERR_INVALID, "cluster_specifier: required");
    size_t n = m->weighted_clusters->n_clusters;
    t->clusters = DECODE_ARRAY(d, struct conf_tcp_cluster, n);
    t->clusters_n = n;
    for (size_t i = 0; i < n; i++) {
        const char *name = m->weighted_clusters->clusters[i]->name;
        uint32_t weight = m->weighted_clusters->clusters[i]->weight;
        if (!*name || !weight)
            return error_set(err, ERR_INVALID, "weighted_clusters.clusters[%zu].%s", i,
                             *name ? "weight: must be at least 1" : "name: must not be empty");
        t->clusters[i] = (struct conf_tcp_cluster){decode_text(d, name), weight};
        t->weights_sum += weight;
    }
    return n ? 0
             : error_set(err, ERR_INVALID, "weighted_clusters.clusters: at least one is required");
}

typedef Envoy__Extensions__Filters__Network__TcpProxy__V3__TcpProxy__TunnelingConfig tunnel_msg;

static int set_tunnel(struct decode *d, const tunnel_msg *m, struct conf_tcp_proxy *t,
                      struct error *err)
{
    const struct decode_header_ops ops = {m->headers_to_add, NULL, m->n_headers_to_add, 0};
    struct conf_tcp_tunnel *out = t->tunnel = DECODE_NEW(d, struct conf_tcp_tunnel);
    if (!*m->hostname)
        return error_set(err, ERR_INVALID, "hostname: must not be empty");
    if (decode_text_format(d, m->hostname, &out->hostname, err))
        return error_prefix(err, "hostname: ");
    if (!m->use_post && *m->post_path)
        return error_set(err, ERR_INVALID,
                         "post_path: Can't set a post path when POST method isn't used");
    out->uses_post = m->use_post;
    out->post_path = *m->post_path ? decode_str(d, m->post_path) : STR("/");
    return decode_header_ops(d, &ops, "", &out->headers, err);
}

int decode_tcp_proxy(struct decode *d, const ProtobufCMessage *msg, struct conf_net_filter *f,
                     struct error *err)
{
    const tcp_proxy_msg *m = (const tcp_proxy_msg *)msg;
    struct conf_tcp_proxy *t = f->tcp_proxy = DECODE_NEW(d, struct conf_tcp_proxy);
    if (!*m->stat_prefix)
        return error_set(err, ERR_INVALID, "stat_prefix: must not be empty");
    t->stat_prefix = decode_text(d, m->stat_prefix);
    if (set_clusters(d, m, t, err))
        return error_code(err);
    if (m->max_downstream_connection_duration &&
        decode_ms(m->max_downstream_connection_duration, 0, "max_downstream_connection_duration",
                  &t->max_duration_ms, err))
        return error_code(err);
    if (m->max_downstream_connection_duration && !t->max_duration_ms)
        return error_set(err, ERR_INVALID,
                         "max_downstream_connection_duration: must be at least 1 ms");
    t->max_connect_attempts = pb_u32(m->max_connect_attempts, 1);
    if (!t->max_connect_attempts)
        return error_set(err, ERR_INVALID, "max_connect_attempts: must be at least 1");
    if (m->tunneling_config && set_tunnel(d, m->tunneling_config, t, err))
        return error_prefix(err, "tunneling_config.");
    if (decode_ms(m->idle_timeout, IDLE_TIMEOUT_MS, "idle_timeout", &t->idle_timeout_ms, err))
        return error_code(err);
    return decode_access_logs(d, m->access_log, m->n_access_log, false, &t->access_logs,
                              &t->access_logs_n, err);
}

int decode_connection_limit(struct decode *d, const ProtobufCMessage *msg,
                            struct conf_net_filter *f, struct error *err)
{
    const limit_msg *m = (const limit_msg *)msg;
    struct conf_connection_limit *l = f->limit = DECODE_NEW(d, struct conf_connection_limit);
    if (!*m->stat_prefix)
        return error_set(err, ERR_INVALID, "stat_prefix: must not be empty");
    if (!m->max_connections || !m->max_connections->value)
        return error_set(err, ERR_INVALID, "max_connections: must be at least 1");
    l->stat_prefix = decode_text(d, m->stat_prefix);
    l->max = m->max_connections->value;
    l->active = DECODE_NEW(d, uint64_t);
    l->runtime_key = "";
    l->is_enabled = true;
    if (m->runtime_enabled) {
        l->runtime_key = decode_text(d, m->runtime_enabled->runtime_key);
        l->is_enabled = pb_bool(m->runtime_enabled->default_value, true);
    }
    return decode_ms(m->delay, 0, "delay", &l->delay_ms, err);
}
