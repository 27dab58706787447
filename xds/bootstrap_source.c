/* Management servers: which static cluster leads there, and how it is spoken to. */
#include <string.h>

#include "xds/bootstrap_private.h"

typedef Envoy__Config__Core__V3__ApiConfigSource api_msg;
typedef Envoy__Config__Core__V3__GrpcService grpc_msg;
typedef Envoy__Config__Core__V3__ConfigSource source_msg;

#define API(x) ENVOY__CONFIG__CORE__V3__API_CONFIG_SOURCE__API_TYPE__##x
#define SOURCE(x) ENVOY__CONFIG__CORE__V3__CONFIG_SOURCE__CONFIG_SOURCE_SPECIFIER_##x

enum { REQUEST_TIMEOUT_MS = 1000, FETCH_TIMEOUT_MS = 15000 };

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

static const struct conf_cluster *find_cluster(const struct bootstrap *b, const char *name)
{
    for (size_t i = 0; i < b->clusters_n; i++)
        if (strcmp(b->clusters[i].cluster->object.name, name) == 0)
            return b->clusters[i].cluster;
    return NULL;
}

/* Where gRPC connects to: the cluster's first endpoint. */
static int set_target(struct bootstrap *b, const struct conf_cluster *c, struct bootstrap_server *s,
                      struct error *err)
{
    char text[ADDR_TEXT_MAX];
    const struct conf_endpoint *e;
    if (!c->inline_endpoints || !c->inline_endpoints->n)
        return error_set(err, ERR_INVALID, "cluster_name: cluster '%s' has no endpoint",
                         c->object.name);
    e = &c->inline_endpoints->v[0];
    if (!e->address.len)
        s->target = arena_printf(&b->arena, "dns:///%s:%u", e->hostname, e->port);
    else
        s->target =
            arena_printf(&b->arena, "%s%s", e->address.sa.sa_family == AF_UNIX ? "unix:" : "",
                         addr_format(&e->address, text));
    return 0;
}

static int set_cluster(struct bootstrap *b, const char *name, struct bootstrap_server *s,
                       struct error *err)
{
    const struct conf_cluster *c = find_cluster(b, name);
    if (!c || c->type == CONF_CLUSTER_EDS)
        return error_set(err, ERR_INVALID,
                         "cluster_name: envoy.config.core.v3.ApiConfigSource must have a "
                         "statically defined non-EDS cluster: '%s' does not exist, was added via "
                         "api, or is an EDS cluster",
                         name);
    if (c->transport.tls)
        return error_set(err, ERR_UNSUPPORTED,
                         "cluster_name: TLS to the management server ('%s') is not supported",
                         name);
    s->cluster = c->object.name;
    return set_target(b, c, s, err);
}

static int set_metadata(struct decode *d, const grpc_msg *m, struct bootstrap_server *s,
                        struct error *err)
{
    s->metadata = DECODE_ARRAY(d, struct bootstrap_metadata, m->n_initial_metadata);
    for (size_t i = 0; i < m->n_initial_metadata; i++) {
        const Envoy__Config__Core__V3__HeaderValue *h = m->initial_metadata[i];
        if (!*h->key)
            return error_set(err, ERR_INVALID, "initial_metadata[%zu].key: must not be empty", i);
        s->metadata[s->metadata_n++] =
            (struct bootstrap_metadata){decode_lower(d, h->key).p, decode_text(d, h->value)};
    }
    return 0;
}

static int set_grpc(struct bootstrap *b, struct decode *d, const api_msg *m,
                    struct bootstrap_server *s, struct error *err)
{
    if (m->n_grpc_services < 1 || m->n_cluster_names)
        return error_set(err, ERR_INVALID,
                         "grpc_services: one is required for gRPC, and no "
                         "cluster_names");
    const grpc_msg *g = m->grpc_services[0];
    if (g->target_specifier_case !=
        ENVOY__CONFIG__CORE__V3__GRPC_SERVICE__TARGET_SPECIFIER_ENVOY_GRPC)
        return error_set(err, ERR_UNSUPPORTED, "grpc_services[0]: only envoy_grpc is supported");
    s->api = BOOTSTRAP_API_GRPC;
    s->is_delta = m->api_type == API(DELTA_GRPC);
    s->node_on_first_only = m->set_node_on_first_message_only;
    s->authority = *g->envoy_grpc->authority ? decode_text(d, g->envoy_grpc->authority) : NULL;
    s->message_max = pb_u32(g->envoy_grpc->max_receive_message_length, 0);
    if (set_cluster(b, g->envoy_grpc->cluster_name, s, err))
        return error_prefix(err, "grpc_services[0].envoy_grpc.");
    return set_metadata(d, g, s, err) ? error_prefix(err, "grpc_services[0].") : 0;
}

static int set_rest(struct bootstrap *b, const api_msg *m, struct bootstrap_server *s,
                    struct error *err)
{
    s->api = BOOTSTRAP_API_REST;
    if (m->n_cluster_names != 1)
        return error_set(err, ERR_INVALID, "cluster_names: REST needs exactly one");
    if (!m->refresh_delay)
        return error_set(err, ERR_INVALID,
                         "refresh_delay: refresh_delay is required for REST API configuration "
                         "sources");
    if (set_cluster(b, m->cluster_names[0], s, err))
        return -ERR_INVALID;
    int rc = decode_ms(m->refresh_delay, 0, "refresh_delay", &s->refresh_delay_ms, err);
    return rc ? rc
              : decode_ms(m->request_timeout, REQUEST_TIMEOUT_MS, "request_timeout",
                          &s->request_timeout_ms, err);
}

static int set_server(struct bootstrap *b, struct decode *d, const api_msg *m, bool is_ads,
                      struct bootstrap_server *s, struct error *err)
{
    int rc = check_version(m->transport_api_version, "transport_api_version", err);
    if (rc)
        return rc;
    if (m->api_type == API(GRPC) || m->api_type == API(DELTA_GRPC))
        return set_grpc(b, d, m, s, err);
    /* ADS has no REST form. */
    if (m->api_type == API(REST) && !is_ads)
        return set_rest(b, m, s, err);
    return error_set(err, ERR_UNSUPPORTED, "api_type: not supported here");
}

static int set_source(struct bootstrap *b, struct decode *d, const source_msg *m,
                      struct bootstrap_source *s, struct error *err)
{
    s->initial_fetch_timeout_ms = FETCH_TIMEOUT_MS;
    if (!m)
        return 0;
    int rc = decode_ms(m->initial_fetch_timeout, FETCH_TIMEOUT_MS, "initial_fetch_timeout",
                       &s->initial_fetch_timeout_ms, err);
    if (!rc)
        rc = check_version(m->resource_api_version, "resource_api_version", err);
    if (rc)
        return rc;
    switch (m->config_source_specifier_case) {
    case SOURCE(ADS):
        s->kind = BOOTSTRAP_SOURCE_ADS;
        return b->ads.api
                   ? 0
                   : error_set(err, ERR_INVALID, "ads: there is no dynamic_resources.ads_config");
    case SOURCE(API_CONFIG_SOURCE):
        s->kind = BOOTSTRAP_SOURCE_OWN;
        return set_server(b, d, m->api_config_source, false, &s->server, err)
                   ? error_prefix(err, "api_config_source.")
                   : 0;
    default:
        return error_set(err, ERR_UNSUPPORTED,
                         "config_source_specifier: only ads and api_config_source are supported");
    }
}

int bootstrap_set_sources(struct bootstrap *b, struct decode *d, const bootstrap_msg *m,
                          struct error *err)
{
    static const Envoy__Config__Bootstrap__V3__Bootstrap__DynamicResources none =
        ENVOY__CONFIG__BOOTSTRAP__V3__BOOTSTRAP__DYNAMIC_RESOURCES__INIT;
    const Envoy__Config__Bootstrap__V3__Bootstrap__DynamicResources *r =
        m->dynamic_resources ? m->dynamic_resources : &none;
    int rc = 0;
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
    return rc ? error_prefix(err, "dynamic_resources.") : 0;
}
