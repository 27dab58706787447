#include <string.h>

#include "base/crypto.h"
#include "base/log.h"
#include "xds/decode_private.h"

typedef Envoy__Config__Listener__V3__Listener listener_msg;
typedef Envoy__Config__Listener__V3__FilterChain chain_msg;
typedef Envoy__Config__Listener__V3__FilterChainMatch match_msg;

enum {
    BUFFER_LIMIT = 1024 * 1024,
    LISTENER_FILTERS_TIMEOUT_MS = 15000,
    BACKLOG = 4096, /* the kernel cuts it to net.core.somaxconn */
    RULES_MAX = 100000
};

/* ---- filter chain matches ---- */

static int set_server_names(struct decode *d, const match_msg *m, struct conf_chain_match *out,
                            struct error *err)
{
    out->server_names = DECODE_ARRAY(d, const char *, m->n_server_names);
    out->server_names_n = m->n_server_names;
    for (size_t i = 0; i < m->n_server_names; i++) {
        const char *name = m->server_names[i], *star = strchr(name, '*');
        if (star && (star != name || name[1] != '.' || strchr(name + 1, '*')))
            return error_set(err, ERR_INVALID,
                             "server_names[%zu]: partial wildcards are not supported in "
                             "\"server_names\"",
                             i);
        out->server_names[i] = decode_lower(d, name).p;
    }
    return 0;
}

static int set_source_ports(struct decode *d, const match_msg *m, struct conf_chain_match *out,
                            struct error *err)
{
    out->source_ports = DECODE_ARRAY(d, uint16_t, m->n_source_ports);
    out->source_ports_n = m->n_source_ports;
    for (size_t i = 0; i < m->n_source_ports; i++) {
        if (!m->source_ports[i] || m->source_ports[i] > UINT16_MAX)
            return error_set(err, ERR_INVALID, "source_ports[%zu]: must be within 1 and 65535", i);
        out->source_ports[i] = (uint16_t)m->source_ports[i];
    }
    return 0;
}

#define SOURCE(x) ENVOY__CONFIG__LISTENER__V3__FILTER_CHAIN_MATCH__CONNECTION_SOURCE_TYPE__##x

static int set_source_type(const match_msg *m, struct conf_chain_match *out, struct error *err)
{
    switch (m->source_type) {
    case SOURCE(ANY):
        out->source_type = CONF_SOURCE_ANY;
        return 0;
    case SOURCE(SAME_IP_OR_LOOPBACK):
        out->source_type = CONF_SOURCE_SAME_IP_OR_LOOPBACK;
        return 0;
    case SOURCE(EXTERNAL):
        out->source_type = CONF_SOURCE_EXTERNAL;
        return 0;
    default:
        return error_set(err, ERR_INVALID, "source_type: unknown value %d", (int)m->source_type);
    }
}

static int decode_match(struct decode *d, const match_msg *m, struct conf_chain_match *out,
                        struct error *err)
{
    out->transport_protocol = "";
    if (!m)
        return 0;
    uint32_t port = pb_u32(m->destination_port, 0);
    if (m->destination_port && (!port || port > UINT16_MAX))
        return error_set(err, ERR_INVALID, "destination_port: must be within 1 and 65535");
    out->destination_port = (uint16_t)port;
    out->transport_protocol = decode_text(d, m->transport_protocol);
    out->prefixes_n = m->n_prefix_ranges;
    out->source_prefixes_n = m->n_source_prefix_ranges;
    out->direct_prefixes_n = m->n_direct_source_prefix_ranges;
    out->application_protocols_n = m->n_application_protocols;
    out->application_protocols = DECODE_ARRAY(d, const char *, m->n_application_protocols);
    for (size_t i = 0; i < m->n_application_protocols; i++)
        out->application_protocols[i] = decode_text(d, m->application_protocols[i]);
    int rc = decode_prefixes(d, m->prefix_ranges, m->n_prefix_ranges, "prefix_ranges",
                             &out->prefixes, err);
    if (!rc)
        rc = decode_prefixes(d, m->source_prefix_ranges, m->n_source_prefix_ranges,
                             "source_prefix_ranges", &out->source_prefixes, err);
    if (!rc)
        rc = decode_prefixes(d, m->direct_source_prefix_ranges, m->n_direct_source_prefix_ranges,
                             "direct_source_prefix_ranges", &out->direct_prefixes, err);
    if (!rc)
        rc = set_server_names(d, m, out, err);
    if (!rc)
        rc = set_source_type(m, out, err);
    return rc ? rc : set_source_ports(d, m, out, err);
}

/* ---- overlapping rules ---- */

static size_t times(size_t n)
{
    return n ? n : 1;
}

static const char *text_of(const char *const *list, size_t n, size_t i)
{
    return n ? list[i] : "";
}

static void add_prefix(struct sbuf *b, const struct conf_prefix *list, size_t n, size_t i)
{
    char text[ADDR_TEXT_MAX];
    if (n)
        sbuf_printf(b, "%s/%u", addr_format_ip(&list[i].base, text), list[i].len);
    sbuf_addc(b, '\n');
}

/* Rule number i of all combinations of the match's values, as text. */
static void format_rule(const struct conf_chain_match *m, size_t i, struct sbuf *b)
{
    size_t names = times(m->server_names_n), protocols = times(m->application_protocols_n);
    size_t prefixes = times(m->prefixes_n), sources = times(m->source_prefixes_n);
    size_t direct = times(m->direct_prefixes_n);
    sbuf_printf(b, "%u\n%s\n%d\n", m->destination_port, m->transport_protocol, (int)m->source_type);
    sbuf_printf(b, "%s\n", text_of(m->server_names, m->server_names_n, i % names));
    i /= names;
    sbuf_printf(b, "%s\n",
                text_of(m->application_protocols, m->application_protocols_n, i % protocols));
    i /= protocols;
    add_prefix(b, m->prefixes, m->prefixes_n, i % prefixes);
    i /= prefixes;
    add_prefix(b, m->source_prefixes, m->source_prefixes_n, i % sources);
    i /= sources;
    add_prefix(b, m->direct_prefixes, m->direct_prefixes_n, i % direct);
    i /= direct;
    sbuf_printf(b, "%u", m->source_ports_n ? m->source_ports[i] : 0);
}

static int check_overlap(const struct conf_chain_match *m, struct hash *seen, size_t *rules,
                         struct error *err)
{
    const size_t lists[] = {m->server_names_n,    m->application_protocols_n, m->prefixes_n,
                            m->source_prefixes_n, m->direct_prefixes_n,       m->source_ports_n};
    static char present;
    struct sbuf b = {0};
    size_t n = 1;
    int rc = 0;
    for (size_t i = 0; i < ARRAY_LEN(lists); i++)
        if ((n *= times(lists[i])) > RULES_MAX)
            break;
    if ((*rules += n) > RULES_MAX)
        return error_set(err, ERR_LIMIT, "filter_chain_match: more than %d combinations of values",
                         RULES_MAX);
    for (size_t i = 0; i < n && !rc; i++) {
        b.n = 0;
        format_rule(m, i, &b);
        if (hash_set(seen, (struct str){b.p, b.n}, &present))
            rc = error_set(err, ERR_DUPLICATE,
                           "filter_chain_match: multiple filter chains with "
                           "overlapping matching rules are defined");
    }
    sbuf_fini(&b);
    return rc;
}

/* ---- filter chains ---- */

static bool has_inline_plugin(const struct conf_filter_chain *c)
{
    for (size_t i = 0; i < c->filters_n; i++) {
        const struct conf_net_filter *f = &c->filters[i];
        if (f->plugin)
            return true;
        for (size_t k = 0; f->hcm && k < f->hcm->filters_n; k++)
            if (f->hcm->filters[k].plugin)
                return true;
    }
    return false;
}

static int decode_chain(struct decode *d, const chain_msg *m, struct conf_filter_chain *c,
                        const char *fallback_name, struct error *err)
{
    c->name = decode_text(d, m->name);
    d->hash = 0;
    d->chain = *m->name ? c->name : fallback_name;
    if (decode_match(d, m->filter_chain_match, &c->match, err))
        return error_prefix(err, "filter_chain_match.");
    int rc = decode_transport_down(d, m->transport_socket, &c->tls, err);
    if (!rc)
        rc = decode_ms(m->transport_socket_connect_timeout, 0, "transport_socket_connect_timeout",
                       &c->transport_connect_timeout_ms, err);
    if (!rc)
        rc = decode_net_filters(d, m, c, err);
    c->hash = decode_hash_chain(d, m);
    /* The plugins inside are known by the chain's name, or by its place. */
    if (!*m->name && has_inline_plugin(c))
        c->hash = hash_xx64(d->chain, strlen(d->chain), c->hash);
    return rc;
}

static int decode_chains(struct decode *d, const listener_msg *m, struct conf_listener *l,
                         struct error *err)
{
    struct hash seen = {0};
    size_t rules = 0;
    int rc = 0;
    l->chains = DECODE_ARRAY(d, struct conf_filter_chain, m->n_filter_chains);
    l->chains_n = m->n_filter_chains;
    for (size_t i = 0; i < m->n_filter_chains && !rc; i++) {
        rc = decode_chain(d, m->filter_chains[i], &l->chains[i], arena_printf(d->out, "%zu", i),
                          err);
        if (!rc)
            rc = check_overlap(&l->chains[i].match, &seen, &rules, err);
        if (rc)
            error_prefix(err, "filter_chains[%zu].", i);
    }
    hash_fini(&seen);
    if (rc || !m->default_filter_chain)
        return rc;
    l->default_chain = DECODE_NEW(d, struct conf_filter_chain);
    if (decode_chain(d, m->default_filter_chain, l->default_chain, "default", err))
        return error_prefix(err, "default_filter_chain.");
    return 0;
}

/* Chains that want TLS or what only a ClientHello tells: Envoy inspects then without being asked.
 */
static bool needs_tls_inspector(const struct conf_listener *l)
{
    for (size_t i = 0; i < l->chains_n; i++) {
        const struct conf_chain_match *c = &l->chains[i].match;
        if (str_is(str_of(c->transport_protocol), "tls") ||
            (!c->transport_protocol[0] && (c->server_names_n || c->application_protocols_n)))
            return true;
    }
    return false;
}

/* ---- the listener ---- */

static void set_flags(const listener_msg *m, struct conf_listener *l)
{
    bool old = m->deprecated_v1 ? pb_bool(m->deprecated_v1->bind_to_port, true) : true;
    l->bind_to_port = pb_bool(m->bind_to_port, old);
    l->use_original_dst = pb_bool(m->use_original_dst, false);
    l->drains_when_modified_only =
        m->drain_type == ENVOY__CONFIG__LISTENER__V3__LISTENER__DRAIN_TYPE__MODIFY_ONLY;
    l->transparent = pb_bool(m->transparent, false);
    if (m->connection_balance_config && m->connection_balance_config->exact_balance)
        l->balance = arena_zalloc(&l->object.arena, CONF_BALANCE_WORKERS * sizeof(*l->balance));
    l->reuse_port = pb_bool(m->enable_reuse_port, true);
    l->continue_on_listener_filters_timeout = m->continue_on_listener_filters_timeout;
    l->ignores_connection_limit = m->ignore_global_conn_limit;
    l->open_connections = arena_zalloc(&l->object.arena, sizeof(*l->open_connections));
    l->ignores_overload = m->bypass_overload_manager;
    l->accepts_per_event = pb_u32(m->max_connections_to_accept_per_socket_event, 0);
    l->buffer_limit = pb_u32(m->per_connection_buffer_limit_bytes, BUFFER_LIMIT);
    l->backlog = (int)pb_u32(m->tcp_backlog_size, BACKLOG);
    l->direction = m->traffic_direction == ENVOY__CONFIG__CORE__V3__TRAFFIC_DIRECTION__INBOUND
                       ? CONF_INBOUND
                   : m->traffic_direction == ENVOY__CONFIG__CORE__V3__TRAFFIC_DIRECTION__OUTBOUND
                       ? CONF_OUTBOUND
                       : CONF_DIRECTION_UNSPECIFIED;
}

static int decode_fields(struct decode *d, const listener_msg *m, struct conf_listener *l,
                         struct error *err)
{
    set_flags(m, l);
    l->stat_prefix = decode_text(d, m->stat_prefix);
    d->listener = l->object.name;
    int rc = decode_listener_sockets(d, m, l, err);
    if (!rc)
        rc = decode_ms(m->listener_filters_timeout, LISTENER_FILTERS_TIMEOUT_MS,
                       "listener_filters_timeout", &l->listener_filters_timeout_ms, err);
    if (!rc && l->backlog <= 0)
        rc = error_set(err, ERR_INVALID, "tcp_backlog_size: out of range");
    if (!rc)
        rc = decode_listener_filters(d, m, l, err);
    if (!rc && m->max_connections_to_accept_per_socket_event && !l->accepts_per_event)
        rc = error_set(err, ERR_INVALID,
                       "max_connections_to_accept_per_socket_event: must be at least 1");
    if (!rc && !m->n_filter_chains && !m->default_filter_chain)
        rc = error_set(err, ERR_INVALID, "filter_chains: no filter chains specified");
    if (!rc)
        rc = decode_chains(d, m, l, err);
    if (!rc && !l->has_tls_inspector && needs_tls_inspector(l)) {
        log_warn(LOG_CONFIG,
                 "adding listener '%s': filter chain match rules require TLS Listener filter, but "
                 "it isn't configured, trying to inject it",
                 l->object.name);
        l->has_tls_inspector = true;
    }
    return rc ? rc
              : decode_access_logs(d, m->access_log, m->n_access_log, true, &l->access_logs,
                                   &l->access_logs_n, err);
}

int decode_listener(struct str bytes, const struct pb_unknown *unknown,
                    struct conf_listener **listener_r, struct error *err)
{
    struct decode d;
    ProtobufCMessage *msg = NULL;
    struct conf_listener *l = NULL;
    char uuid[37];
    int rc = decode_begin(&d, bytes, unknown, &envoy__config__listener__v3__listener__descriptor,
                          &msg, err);
    if (!rc) {
        const listener_msg *m = (const listener_msg *)msg;
        crypto_uuid4(uuid);
        l = conf_listener_create(*m->name ? m->name : uuid);
        d.out = &l->object.arena;
        rc = decode_fields(&d, m, l, err);
        if (!rc)
            decode_hash_listener(m, l);
    }
    *listener_r = rc ? NULL : l;
    if (rc)
        conf_object_unref(l);
    decode_end(&d);
    return rc;
}
