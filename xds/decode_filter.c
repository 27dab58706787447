/* Filters are known by the type of their configuration, never by name. Each has one line in the
 * tables below. */
#include <string.h>

#include "base/log.h"
#include "xds/decode_private.h"

typedef Envoy__Config__Listener__V3__Filter filter_msg;
typedef Envoy__Config__Listener__V3__FilterChain chain_msg;
typedef Envoy__Config__Core__V3__ExtensionConfigSource discovery_msg;

#define HTTP "envoy.extensions.filters.http."
#define NETWORK "envoy.extensions.filters.network."

/* The message has no fields, or none that ask for anything. */
static int decode_nothing(struct decode *d, const ProtobufCMessage *msg, struct conf_net_filter *f,
                          struct error *err)
{
    (void)d;
    (void)msg;
    (void)f;
    (void)err;
    return 0;
}

static const struct net_type {
    const char *type;
    enum conf_net_filter_kind kind;
    bool is_terminal;
    int (*decode)(struct decode *d, const ProtobufCMessage *msg, struct conf_net_filter *f,
                  struct error *err);
} net_types[] = {
    {NETWORK "http_connection_manager.v3.HttpConnectionManager", CONF_NET_HCM, true, decode_hcm},
    {NETWORK "tcp_proxy.v3.TcpProxy", CONF_NET_TCP_PROXY, true, decode_tcp_proxy},
    {NETWORK "wasm.v3.Wasm", CONF_NET_WASM, false, NULL},
    {NETWORK "connection_limit.v3.ConnectionLimit", CONF_NET_CONNECTION_LIMIT, false,
     decode_connection_limit},
    {NETWORK "sni_cluster.v3.SniCluster", CONF_NET_SNI_CLUSTER, false, decode_nothing},
    {NETWORK "mongo_proxy.v3.MongoProxy", CONF_NET_NOOP, false, decode_nothing},
    {"envoy.tcp.metadataexchange.config.MetadataExchange", CONF_NET_NOOP, false, NULL},
    {"stats.PluginConfig", CONF_NET_NOOP, false, NULL},
};

static const struct http_type {
    const char *type;
    enum conf_http_filter_kind kind;
    bool must_be_empty; /* a no-op only as long as it asks for nothing */
} http_types[] = {
    {HTTP "router.v3.Router", CONF_HTTP_ROUTER, false},
    {HTTP "wasm.v3.Wasm", CONF_HTTP_WASM, false},
    {HTTP "fault.v3.HTTPFault", CONF_HTTP_NOOP, true},
    {HTTP "cors.v3.Cors", CONF_HTTP_NOOP, true},
    {HTTP "compressor.v3.Compressor", CONF_HTTP_NOOP, false},
    {HTTP "grpc_stats.v3.FilterConfig", CONF_HTTP_NOOP, false},
    {"istio.envoy.config.filter.http.alpn.v2alpha1.FilterConfig", CONF_HTTP_ISTIO_ALPN, false},
    {"io.istio.http.peer_metadata.Config", CONF_HTTP_NOOP, false},
    {"stats.PluginConfig", CONF_HTTP_NOOP, false},
};

static const struct net_type *find_net(struct str type)
{
    for (size_t i = 0; i < ARRAY_LEN(net_types); i++)
        if (str_is(type, net_types[i].type))
            return &net_types[i];
    return NULL;
}

static const struct http_type *find_http(struct str type)
{
    for (size_t i = 0; i < ARRAY_LEN(http_types); i++)
        if (str_is(type, http_types[i].type))
            return &http_types[i];
    return NULL;
}

static int refuse(const char *name, const Google__Protobuf__Any *any, struct error *err)
{
    return error_set(
        err, ERR_UNSUPPORTED,
        "typed_config: Didn't find a registered implementation for '%s' with type URL: '%.*s'",
        name, STR_ARG(pb_any_type(any)));
}

/* ---- Wasm filters, inline and discovered ---- */

struct wasm_filter {
    const char **slot;
    bool *is_discovered;
    struct conf_source *source;
    struct conf_plugin **plugin, **default_plugin;
    bool is_network;
};

/* "LISTENER/CHAIN/FILTER"; a second filter of the same name gets "~2" behind it. */
static const char *make_slot(struct decode *d, const char *name)
{
    char *slot = arena_printf(d->out, "%s/%s/%s", d->listener, d->chain, name);
    for (unsigned n = 2; hash_find(&d->slots, str_of(slot)); n++)
        slot = arena_printf(d->out, "%s/%s/%s~%u", d->listener, d->chain, name, n);
    hash_set(&d->slots, str_of(slot), slot);
    return slot;
}

static int take_plugin(struct decode *d, const Google__Protobuf__Any *any, const char *slot,
                       bool is_network, struct conf_plugin **plugin_r, struct error *err)
{
    ProtobufCMessage *msg;
    bool found_network = false;
    int rc = pb_any_unpack(any, &d->pb, &msg, err);
    if (rc)
        return error_prefix(err, ": ");
    const Envoy__Extensions__Wasm__V3__PluginConfig *config =
        decode_wasm_config(msg, &found_network);
    if (found_network != is_network)
        return error_set(err, ERR_INVALID, ": %s belongs to the other kind of filters",
                         msg->descriptor->name);
    if (!config)
        return error_set(err, ERR_INVALID, ".config: required");
    rc = decode_plugin(config, slot, is_network, plugin_r, err);
    return rc ? error_prefix(err, ".config.") : 0;
}

static int set_inline(struct decode *d, const char *name, const Google__Protobuf__Any *any,
                      const struct wasm_filter *w, struct error *err)
{
    *w->slot = make_slot(d, name);
    if (take_plugin(d, any, *w->slot, w->is_network, w->plugin, err))
        return error_prefix(err, "typed_config");
    return 0;
}

static int check_type_urls(const discovery_msg *m, bool is_network, struct error *err)
{
    const char *wanted = is_network ? NETWORK "wasm.v3.Wasm" : HTTP "wasm.v3.Wasm";
    for (size_t i = 0; i < m->n_type_urls; i++)
        if (str_is(pb_type_name(m->type_urls[i]), wanted))
            return 0;
    if (!m->n_type_urls)
        return error_set(err, ERR_INVALID, "type_urls: at least one is required");
    return error_set(err, ERR_UNSUPPORTED, "type_urls: only %s can be discovered", wanted);
}

static int set_discovered(struct decode *d, const char *name, const discovery_msg *m,
                          const struct wasm_filter *w, struct error *err)
{
    *w->slot = decode_text(d, name);
    *w->is_discovered = true;
    int rc = check_type_urls(m, w->is_network, err);
    if (!rc && decode_config_source(d, m->config_source, w->source, err))
        rc = error_prefix(err, "config_source: ");
    if (!rc && m->default_config &&
        take_plugin(d, m->default_config, name, w->is_network, w->default_plugin, err))
        rc = error_prefix(err, "default_config");
    return rc ? error_prefix(err, "config_discovery.") : 0;
}

/* ---- network filters ---- */

static int decode_net_typed(struct decode *d, const filter_msg *m, struct conf_net_filter *f,
                            bool *is_terminal_r, struct error *err)
{
    const struct net_type *t = find_net(pb_any_type(m->typed_config));
    struct wasm_filter w = {&f->slot,   &f->is_discovered,  &f->source,
                            &f->plugin, &f->default_plugin, true};
    ProtobufCMessage *msg;
    if (!t)
        return refuse(m->name, m->typed_config, err);
    f->kind = t->kind;
    f->type_url = t->type;
    *is_terminal_r = t->is_terminal;
    if (t->kind == CONF_NET_WASM)
        return set_inline(d, m->name, m->typed_config, &w, err);
    if (t->kind == CONF_NET_NOOP)
        decode_count_noop(m->name, t->type);
    if (!t->decode)
        return 0;
    int rc = decode_any(d, m->typed_config, &msg, err);
    if (!rc && (rc = t->decode(d, msg, f, err)))
        error_prefix(err, "typed_config.");
    return rc;
}

static int decode_net_filter(struct decode *d, const filter_msg *m, struct conf_net_filter *f,
                             bool *is_terminal_r, struct error *err)
{
    struct wasm_filter w = {&f->slot,   &f->is_discovered,  &f->source,
                            &f->plugin, &f->default_plugin, true};
    f->name = decode_text(d, m->name);
    f->type_url = "";
    if (!*m->name)
        return error_set(err, ERR_INVALID, "name: must not be empty");
    switch (m->config_type_case) {
    case ENVOY__CONFIG__LISTENER__V3__FILTER__CONFIG_TYPE_TYPED_CONFIG:
        return decode_net_typed(d, m, f, is_terminal_r, err);
    case ENVOY__CONFIG__LISTENER__V3__FILTER__CONFIG_TYPE_CONFIG_DISCOVERY:
        f->kind = CONF_NET_WASM;
        f->type_url = NETWORK "wasm.v3.Wasm";
        return set_discovered(d, m->name, m->config_discovery, &w, err);
    default:
        return refuse(m->name, NULL, err);
    }
}

/* Envoy's words for a chain that cannot end. */
static int check_terminal(const char *name, const char *type, bool is_terminal, bool is_last,
                          const char *kind, struct error *err)
{
    if (is_terminal == is_last)
        return 0;
    if (is_last)
        return error_set(
            err, ERR_INVALID,
            "typed_config: Error: non-terminal filter named %s of type %s is the last filter in a "
            "%s filter chain.",
            name, type, kind);
    return error_set(
        err, ERR_INVALID,
        "typed_config: Error: terminal filter named %s of type %s must be the last filter in a %s "
        "filter chain.",
        name, type, kind);
}

/* HTTP connections run through limits of connections, and through no other network filter. */
static int check_before_http(const struct conf_filter_chain *c, struct error *err)
{
    if (!c->filters_n || c->filters[c->filters_n - 1].kind != CONF_NET_HCM)
        return 0;
    for (size_t i = 0; i + 1 < c->filters_n; i++)
        if (c->filters[i].kind == CONF_NET_WASM)
            return error_set(err, ERR_UNSUPPORTED,
                             "filters[%zu].typed_config: '%s' is not supported before the HTTP "
                             "connection manager",
                             i, c->filters[i].name);
    return 0;
}

int decode_net_filters(struct decode *d, const chain_msg *chain, struct conf_filter_chain *out,
                       struct error *err)
{
    out->filters = DECODE_ARRAY(d, struct conf_net_filter, chain->n_filters);
    out->filters_n = chain->n_filters;
    for (size_t i = 0; i < chain->n_filters; i++) {
        struct conf_net_filter *f = &out->filters[i];
        bool is_terminal = false;
        int rc = decode_net_filter(d, chain->filters[i], f, &is_terminal, err);
        if (!rc)
            rc = check_terminal(f->name, f->type_url, is_terminal, i + 1 == chain->n_filters,
                                "network", err);
        if (rc)
            return error_prefix(err, "filters[%zu].", i);
    }
    if (!chain->n_filters)
        return error_set(err, ERR_UNSUPPORTED, "filters: at least one is required");
    return check_before_http(out, err);
}

/* ---- HTTP filters ---- */

static int check_empty(struct decode *d, const http_filter_msg *m, const struct http_type *t,
                       struct error *err)
{
    ProtobufCMessage *msg;
    int rc = t->must_be_empty ? decode_any(d, m->typed_config, &msg, err) : 0;
    if (rc || !t->must_be_empty || protobuf_c_message_get_packed_size(msg) == 0)
        return rc;
    return error_set(err, ERR_UNSUPPORTED,
                     "typed_config: '%s' (%s) is supported with an empty configuration only",
                     m->name, t->type);
}

static int decode_http_typed(struct decode *d, const http_filter_msg *m, struct conf_http_filter *f,
                             bool *is_skipped_r, struct error *err)
{
    const struct http_type *t = find_http(pb_any_type(m->typed_config));
    struct wasm_filter w = {&f->slot,   &f->is_discovered,  &f->source,
                            &f->plugin, &f->default_plugin, false};
    *is_skipped_r = !t && m->is_optional;
    if (*is_skipped_r)
        log_warn(LOG_CONFIG, "optional HTTP filter '%s' is unknown and left out", m->name);
    if (!t)
        return *is_skipped_r ? 0 : refuse(m->name, m->typed_config, err);
    f->kind = t->kind;
    f->type_url = t->type;
    if (t->kind == CONF_HTTP_WASM)
        return set_inline(d, m->name, m->typed_config, &w, err);
    if (t->kind == CONF_HTTP_ROUTER)
        return decode_router(d, m->typed_config, f, err);
    if (t->kind == CONF_HTTP_ISTIO_ALPN)
        return decode_istio_alpn(d, m->typed_config, f, err);
    return check_empty(d, m, t, err);
}

#define CONFIG_TYPE(x) \
    ENVOY__EXTENSIONS__FILTERS__NETWORK__HTTP_CONNECTION_MANAGER__V3__HTTP_FILTER__CONFIG_TYPE_##x

static int decode_http_filter(struct decode *d, const http_filter_msg *m,
                              struct conf_http_filter *f, bool *is_skipped_r, struct error *err)
{
    struct wasm_filter w = {&f->slot,   &f->is_discovered,  &f->source,
                            &f->plugin, &f->default_plugin, false};
    f->name = decode_text(d, m->name);
    f->type_url = "";
    f->is_disabled = m->disabled;
    *is_skipped_r = false;
    if (!*m->name)
        return error_set(err, ERR_INVALID, "name: must not be empty");
    switch (m->config_type_case) {
    case CONFIG_TYPE(TYPED_CONFIG):
        return decode_http_typed(d, m, f, is_skipped_r, err);
    case CONFIG_TYPE(CONFIG_DISCOVERY):
        f->kind = CONF_HTTP_WASM;
        f->type_url = HTTP "wasm.v3.Wasm";
        return set_discovered(d, m->name, m->config_discovery, &w, err);
    default:
        return refuse(m->name, NULL, err);
    }
}

int decode_http_filters(struct decode *d, const hcm_msg *m, struct conf_hcm *out, struct error *err)
{
    size_t n = m->n_http_filters;
    out->filters = DECODE_ARRAY(d, struct conf_http_filter, n + 1);
    for (size_t i = 0; i < n; i++) {
        struct conf_http_filter *f = &out->filters[out->filters_n];
        bool is_skipped;
        out->filters_n++; /* first, so that a failure releases its plugin too */
        int rc = decode_http_filter(d, m->http_filters[i], f, &is_skipped, err);
        if (!rc && !is_skipped)
            rc = check_terminal(f->name, f->type_url, f->kind == CONF_HTTP_ROUTER, i + 1 == n,
                                "http", err);
        if (rc)
            return error_prefix(err, "http_filters[%zu].", i);
        out->filters_n -= is_skipped;
    }
    if (!out->filters_n || out->filters[out->filters_n - 1].kind != CONF_HTTP_ROUTER)
        return error_set(err, ERR_INVALID, "http_filters: the last one must be the router");
    d->hash = decode_hash_hcm(d, m);
    return 0;
}
