#include "envoy/extensions/filters/network/connection_limit/v3/connection_limit.pb-c.h"
#include "xds/decode_private.h"

typedef Envoy__Extensions__Filters__Network__ConnectionLimit__V3__ConnectionLimit limit_msg;

enum { IDLE_TIMEOUT_MS = 3600 * 1000 };

int decode_tcp_proxy(struct decode *d, const ProtobufCMessage *msg, struct conf_net_filter *f,
                     struct error *err)
{
    const tcp_proxy_msg *m = (const tcp_proxy_msg *)msg;
    struct conf_tcp_proxy *t = f->tcp_proxy = DECODE_NEW(d, struct conf_tcp_proxy);
    if (!*m->stat_prefix)
        return error_set(err, ERR_INVALID, "stat_prefix: must not be empty");
    if (m->cluster_specifier_case !=
        ENVOY__EXTENSIONS__FILTERS__NETWORK__TCP_PROXY__V3__TCP_PROXY__CLUSTER_SPECIFIER_CLUSTER)
        return m->cluster_specifier_case
                   ? error_set(err, ERR_UNSUPPORTED, "weighted_clusters: not supported")
                   : error_set(err, ERR_INVALID, "cluster_specifier: required");
    if (!*m->cluster)
        return error_set(err, ERR_INVALID, "cluster: must not be empty");
    t->stat_prefix = decode_text(d, m->stat_prefix);
    t->cluster = decode_text(d, m->cluster);
    t->max_connect_attempts = pb_u32(m->max_connect_attempts, 1);
    if (!t->max_connect_attempts)
        return error_set(err, ERR_INVALID, "max_connect_attempts: must be at least 1");
    if (decode_ms(m->idle_timeout, IDLE_TIMEOUT_MS, "idle_timeout", &t->idle_timeout_ms, err))
        return -ERR_INVALID;
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
