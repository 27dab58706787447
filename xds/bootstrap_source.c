/* Management servers: which static clusters lead there, and how they are spoken to. */
#include <string.h>

#include "xds/bootstrap_private.h"

typedef Envoy__Config__Core__V3__ApiConfigSource api_msg;
typedef Envoy__Config__Core__V3__GrpcService grpc_msg;
typedef Envoy__Config__Core__V3__GrpcService__GoogleGrpc google_msg;
typedef Envoy__Config__Core__V3__ConfigSource source_msg;

#define API(x) ENVOY__CONFIG__CORE__V3__API_CONFIG_SOURCE__API_TYPE__##x
#define SOURCE(x) ENVOY__CONFIG__CORE__V3__CONFIG_SOURCE__CONFIG_SOURCE_SPECIFIER_##x
#define GRPC(x) ENVOY__CONFIG__CORE__V3__GRPC_SERVICE__TARGET_SPECIFIER_##x
#define CREDENTIAL(x) \
    ENVOY__CONFIG__CORE__V3__GRPC_SERVICE__GOOGLE_GRPC__CHANNEL_CREDENTIALS__CREDENTIAL_SPECIFIER_##x

enum {
    REQUEST_TIMEOUT_MS = 1000,
    FETCH_TIMEOUT_MS = 15000,
    SERVICES_MAX = 16,
    TARGETS_MAX = 64,
};

static int check_version(Envoy__Config__Core__V3__ApiVersion version, const char *field,
                         struct error *err)
{
    if (version != ENVOY__CONFIG__CORE__V3__API_VERSION__V2)
        return 0;
    return error_set(err, ERR_UNSUPPORTED,
                     "%s: V2 (and AUTO) xDS transport protocol versions are "
                     "deprecated",
                     field);
}

static const struct bootstrap_cluster *find_cluster(const struct bootstrap *b, const char *name)
{
    for (size_t i = 0; i < b->clusters_n; i++)
        if (strcmp(b->clusters[i].cluster->object.name, name) == 0)
            return &b->clusters[i];
    return NULL;
}

/* ---- targets ---- */

static const char *address_of(struct decode *d, const struct conf_endpoint *e)
{
    char text[ADDR_TEXT_MAX];
    if (!e->address.len)
        return arena_printf(d->out, "dns:///%s:%u", e->hostname, e->port);
    return arena_printf(d->out, "%s%s", e->address.sa.sa_family == AF_UNIX ? "unix:" : "",
                        addr_format(&e->address, text));
}

static struct xds_target *add_target(struct decode *d, struct xds_server *s)
{
    if (!s->targets)
        s->targets = DECODE_ARRAY(d, struct xds_target, TARGETS_MAX);
    return s->targets_n < TARGETS_MAX ? &s->targets[s->targets_n++] : NULL;
}

/* One target per endpoint, in the order of the cluster. */
static int add_cluster(const struct bootstrap *b, struct decode *d, const char *name,
                       const struct xds_target *model, struct xds_server *s, struct error *err)
{
    const struct bootstrap_cluster *bc = find_cluster(b, name);
    const struct conf_cluster *c = bc ? bc->cluster : NULL;
    struct xds_target common = *model;
    if (!c || c->type == CONF_CLUSTER_EDS)
        return error_set(err, ERR_INVALID,
                         "cluster_name: envoy.config.core.v3.ApiConfigSource must have a "
                         "statically defined non-EDS cluster: '%s' does not exist, was added via "
                         "api, or is an EDS cluster",
                         name);
    if (!c->inline_endpoints || !c->inline_endpoints->n)
        return error_set(err, ERR_INVALID, "cluster_name: cluster '%s' has no endpoint", name);
    if (bootstrap_server_tls(d, bc->bytes, &common.tls, err))
        return error_prefix(err, "cluster_name: cluster '%s': ", name);
    common.cluster = c->object.name;
    for (size_t i = 0; i < c->inline_endpoints->n; i++) {
        struct xds_target *t = add_target(d, s);
        if (!t)
            break;
        *t = common;
        t->address = address_of(d, &c->inline_endpoints->v[i]);
    }
    return 0;
}

static int set_metadata(struct decode *d, const grpc_msg *m, struct xds_target *t,
                        struct error *err)
{
    struct xds_metadatum *v = DECODE_ARRAY(d, struct xds_metadatum, m->n_initial_metadata);
    for (size_t i = 0; i < m->n_initial_metadata; i++) {
        const Envoy__Config__Core__V3__HeaderValue *h = m->initial_metadata[i];
        if (!*h->key)
            return error_set(err, ERR_INVALID, "initial_metadata[%zu].key: must not be empty", i);
        v[i] = (struct xds_metadatum){decode_lower(d, h->key).p, decode_text(d, h->value)};
    }
    t->metadata = v;
    t->metadata_n = m->n_initial_metadata;
    return 0;
}

/* ---- google_grpc ---- */

static int set_pem(struct decode *d, const Envoy__Config__Core__V3__DataSource *m,
                   const char *field, struct xds_pem *pem, struct error *err)
{
    return m && bootstrap_pem(d, m, pem, err) ? error_prefix(err, "%s: ", field) : 0;
}

static int set_google(struct decode *d, const google_msg *m, struct xds_target *t,
                      struct error *err)
{
    const Envoy__Config__Core__V3__GrpcService__GoogleGrpc__ChannelCredentials *c =
        m->channel_credentials;
    if (!*m->target_uri)
        return error_set(err, ERR_INVALID, "target_uri: must not be empty");
    t->address = decode_text(d, m->target_uri);
    t->cluster = t->address;
    if (!c)
        return 0;
    if (c->credential_specifier_case == CREDENTIAL(LOCAL_CREDENTIALS) ||
        c->credential_specifier_case == CREDENTIAL(GOOGLE_DEFAULT))
        return error_set(err, ERR_UNSUPPORTED,
                         "channel_credentials: only ssl_credentials are supported");
    if (c->credential_specifier_case != CREDENTIAL(SSL_CREDENTIALS))
        return 0;
    if (!c->ssl_credentials->root_certs)
        return error_set(err, ERR_UNSUPPORTED,
                         "channel_credentials.ssl_credentials.root_certs: required");
    struct xds_tls *tls = DECODE_NEW(d, struct xds_tls);
    t->tls = tls;
    if (set_pem(d, c->ssl_credentials->root_certs, "root_certs", &tls->ca, err) ||
        set_pem(d, c->ssl_credentials->private_key, "private_key", &tls->key, err) ||
        set_pem(d, c->ssl_credentials->cert_chain, "cert_chain", &tls->cert, err))
        return error_prefix(err, "channel_credentials.ssl_credentials.");
    return 0;
}

/* ---- servers ---- */

static int add_service(const struct bootstrap *b, struct decode *d, const grpc_msg *g,
                       struct xds_server *s, struct error *err)
{
    struct xds_target model = {0};
    if (set_metadata(d, g, &model, err))
        return error_code(err);
    if (g->target_specifier_case == GRPC(GOOGLE_GRPC)) {
        struct xds_target *t = add_target(d, s);
        if (!t)
            return error_set(err, ERR_LIMIT, "google_grpc: too many hosts");
        *t = model;
        return set_google(d, g->google_grpc, t, err) ? error_prefix(err, "google_grpc.") : 0;
    }
    if (g->target_specifier_case != GRPC(ENVOY_GRPC))
        return error_set(err, ERR_INVALID, "target_specifier: required");
    model.authority = *g->envoy_grpc->authority ? decode_text(d, g->envoy_grpc->authority) : NULL;
    model.message_max = pb_u32(g->envoy_grpc->max_receive_message_length, 0);
    return add_cluster(b, d, g->envoy_grpc->cluster_name, &model, s, err)
               ? error_prefix(err, "envoy_grpc.")
               : 0;
}

static int set_grpc(const struct bootstrap *b, struct decode *d, const api_msg *m,
                    struct xds_server *s, struct error *err)
{
    if (m->n_grpc_services < 1 || m->n_grpc_services > SERVICES_MAX || m->n_cluster_names)
        return error_set(err, ERR_INVALID,
                         "grpc_services: one is required for gRPC, and no "
                         "cluster_names");
    s->api = XDS_API_GRPC;
    s->is_delta = m->api_type == API(DELTA_GRPC) || m->api_type == API(AGGREGATED_DELTA_GRPC);
    s->node_on_first_only = m->set_node_on_first_message_only;
    for (size_t i = 0; i < m->n_grpc_services; i++)
        if (add_service(b, d, m->grpc_services[i], s, err))
            return error_prefix(err, "grpc_services[%zu].", i);
    return 0;
}

static int set_rest(const struct bootstrap *b, struct decode *d, const api_msg *m,
                    struct xds_server *s, struct error *err)
{
    const struct xds_target model = {0};
    s->api = XDS_API_REST;
    if (m->n_cluster_names != 1)
        return error_set(err, ERR_INVALID, "cluster_names: REST needs exactly one");
    if (!m->refresh_delay)
        return error_set(err, ERR_INVALID,
                         "refresh_delay: refresh_delay is required for REST API configuration "
                         "sources");
    if (add_cluster(b, d, m->cluster_names[0], &model, s, err))
        return error_code(err);
    int rc = decode_ms(m->refresh_delay, 0, "refresh_delay", &s->refresh_delay_ms, err);
    return rc ? rc
              : decode_ms(m->request_timeout, REQUEST_TIMEOUT_MS, "request_timeout",
                          &s->request_timeout_ms, err);
}

static int set_server(const struct bootstrap *b, struct decode *d, const api_msg *m, bool is_ads,
                      struct xds_server *s, struct error *err)
{
    int rc = check_version(m->transport_api_version, "transport_api_version", err);
    if (rc)
        return rc;
    s->is_aggregated = is_ads;
    if (m->api_type == API(GRPC) || m->api_type == API(DELTA_GRPC))
        return set_grpc(b, d, m, s, err);
    /* ADS has no REST form. */
    if (m->api_type == API(REST) && !is_ads)
        return set_rest(b, d, m, s, err);
    return error_set(err, ERR_UNSUPPORTED, "api_type: not supported here");
}

/* ---- sources ---- */

static int set_file(struct decode *d, const char *path, const char *directory,
                    struct bootstrap_source *s, struct error *err)
{
    s->kind = BOOTSTRAP_SOURCE_FILE;
    s->path = decode_text(d, path);
    s->directory = directory ? decode_text(d, directory) : NULL;
    return *path ? 0 : error_set(err, ERR_INVALID, "path: must not be empty");
}

int bootstrap_read_source(const struct bootstrap *b, struct decode *d, const source_msg *m,
                          struct bootstrap_source *s, struct error *err)
{
    int rc = decode_config_source(d, m, &s->conf, err);
    if (!rc)
        rc = check_version(m->resource_api_version, "resource_api_version", err);
    if (rc)
        return rc;
    const Envoy__Config__Core__V3__PathConfigSource *p;
    switch (m->config_source_specifier_case) {
    case SOURCE(ADS):
        s->kind = BOOTSTRAP_SOURCE_ADS;
        break;
    case SOURCE(API_CONFIG_SOURCE):
        s->kind = s->conf.kind == CONF_FROM_ADS ? BOOTSTRAP_SOURCE_ADS : BOOTSTRAP_SOURCE_OWN;
        if (s->kind == BOOTSTRAP_SOURCE_OWN)
            return set_server(b, d, m->api_config_source, false, &s->server, err)
                       ? error_prefix(err, "api_config_source.")
                       : 0;
        break;
    case SOURCE(PATH):
        return set_file(d, m->path, NULL, s, err);
    case SOURCE(PATH_CONFIG_SOURCE):
        p = m->path_config_source;
        return set_file(d, p->path, p->watched_directory ? p->watched_directory->path : NULL, s,
                        err)
                   ? error_prefix(err, "path_config_source.")
                   : 0;
    default:
        return error_set(err, ERR_UNSUPPORTED, "self: nothing referred to it");
    }
    return b->ads.api ? 0
                      : error_set(err, ERR_INVALID,
                                  "ads: there is no "
                                  "dynamic_resources.ads_config");
}

static int set_source(struct bootstrap *b, struct decode *d, const source_msg *m,
                      struct bootstrap_source *s, struct error *err)
{
    s->conf.initial_fetch_timeout_ms = FETCH_TIMEOUT_MS;
    return m ? bootstrap_read_source(b, d, m, s, err) : 0;
}

int bootstrap_set_sources(struct bootstrap *b, struct decode *d, const bootstrap_msg *m,
                          struct error *err)
{
    static const Envoy__Config__Bootstrap__V3__Bootstrap__DynamicResources none =
        ENVOY__CONFIG__BOOTSTRAP__V3__BOOTSTRAP__DYNAMIC_RESOURCES__INIT;
    const Envoy__Config__Bootstrap__V3__Bootstrap__DynamicResources *r =
        m->dynamic_resources ? m->dynamic_resources : &none;
    int rc = 0;
    if (*r->lds_resources_locator || *r->cds_resources_locator)
        return error_set(err, ERR_UNSUPPORTED,
                         "dynamic_resources: xdstp resource locators are not supported");
    if (r->ads_config && set_server(b, d, r->ads_config, true, &b->ads, err))
        rc = error_prefix(err, "ads_config.");
    if (!rc && set_source(b, d, r->lds_config, &b->lds, err))
        rc = error_prefix(err, "lds_config.");
    if (!rc && set_source(b, d, r->cds_config, &b->cds, err))
        rc = error_prefix(err, "cds_config.");
    if (!rc && (b->ads.api || b->lds.kind || b->cds.kind) && (!*b->node_id || !*b->node_cluster))
        return error_set(err, ERR_INVALID,
                         "node: node 'id' and 'cluster' are required. Set it either in 'node' "
                         "config or via --service-node and --service-cluster options.");
    return rc ? error_prefix(err, "dynamic_resources.") : bootstrap_set_layers(b, d, m, err);
}

int bootstrap_find_source(const struct bootstrap *b, const struct conf_source *conf,
                          struct arena *arena, struct bootstrap_source *s, struct error *err)
{
    struct decode d;
    ProtobufCMessage *msg;
    int rc = decode_begin(&d, conf->bytes, NULL,
                          &envoy__config__core__v3__config_source__descriptor, &msg, err);
    d.out = arena;
    if (!rc)
        rc = bootstrap_read_source(b, &d, (const source_msg *)msg, s, err);
    decode_end(&d);
    return rc;
}
