#include <string.h>

#include "envoy/extensions/load_balancing_policies/least_request/v3/least_request.pb-c.h"
#include "xds/decode_private.h"

typedef Envoy__Config__Cluster__V3__Cluster cluster_msg;
typedef Envoy__Extensions__LoadBalancingPolicies__LeastRequest__V3__LeastRequest least_request_msg;

enum {
    BUFFER_LIMIT = 1024 * 1024,
    LIMIT_DEFAULT = 1024,
    RETRIES_DEFAULT = 3,
};

#define TYPE(x) ENVOY__CONFIG__CLUSTER__V3__CLUSTER__DISCOVERY_TYPE__##x
#define LB(x) ENVOY__CONFIG__CLUSTER__V3__CLUSTER__LB_POLICY__##x

static int set_type(const cluster_msg *m, struct conf_cluster *c, struct error *err)
{
    if (m->cluster_discovery_type_case ==
        ENVOY__CONFIG__CLUSTER__V3__CLUSTER__CLUSTER_DISCOVERY_TYPE_CLUSTER_TYPE)
        return error_set(err, ERR_UNSUPPORTED,
                         "cluster_type: Didn't find a registered cluster "
                         "factory implementation for name: '%s'",
                         m->cluster_type->name);
    c->type = CONF_CLUSTER_STATIC;
    if (!m->cluster_discovery_type_case)
        return 0;
    switch (m->type) {
    case TYPE(STATIC):
        return 0;
    case TYPE(STRICT_DNS):
        c->type = CONF_CLUSTER_STRICT_DNS;
        return 0;
    case TYPE(LOGICAL_DNS):
        c->type = CONF_CLUSTER_LOGICAL_DNS;
        return 0;
    case TYPE(EDS):
        c->type = CONF_CLUSTER_EDS;
        return 0;
    case TYPE(ORIGINAL_DST):
        c->type = CONF_CLUSTER_ORIGINAL_DST;
        return 0;
    default:
        return error_set(err, ERR_INVALID, "type: unknown value %d", (int)m->type);
    }
}

/* ---- load balancing ---- */

#define POLICY "envoy.extensions.load_balancing_policies."

static const struct {
    const char *type;
    enum conf_lb_policy policy;
} policies[] = {
    {POLICY "round_robin.v3.RoundRobin", CONF_LB_ROUND_ROBIN},
    {POLICY "least_request.v3.LeastRequest", CONF_LB_LEAST_REQUEST},
    {POLICY "random.v3.Random", CONF_LB_RANDOM},
};

static int set_policy(struct decode *d, const Google__Protobuf__Any *any,
                      enum conf_lb_policy policy, struct conf_cluster *c, struct error *err)
{
    ProtobufCMessage *msg;
    c->lb_policy = policy;
    if (policy != CONF_LB_LEAST_REQUEST)
        return 0;
    int rc = decode_any(d, any, &msg, err);
    if (!rc)
        c->choice_count = pb_u32(((const least_request_msg *)msg)->choice_count, 2);
    return rc;
}

/* The first policy that we have; none is an error, as in Envoy. */
static int set_policy_list(struct decode *d, const cluster_msg *m, struct conf_cluster *c,
                           struct error *err)
{
    const Envoy__Config__Cluster__V3__LoadBalancingPolicy *list = m->load_balancing_policy;
    for (size_t i = 0; i < list->n_policies; i++) {
        const Envoy__Config__Core__V3__TypedExtensionConfig *e =
            list->policies[i]->typed_extension_config;
        struct str type = pb_any_type(e ? e->typed_config : NULL);
        for (size_t j = 0; j < ARRAY_LEN(policies); j++)
            if (str_is(type, policies[j].type))
                return set_policy(d, e->typed_config, policies[j].policy, c, err)
                           ? error_prefix(err, "load_balancing_policy.policies[%zu].", i)
                           : 0;
    }
    return error_set(err, ERR_UNSUPPORTED,
                     "load_balancing_policy: Didn't find a registered load balancer factory");
}

static int set_lb(struct decode *d, const cluster_msg *m, struct conf_cluster *c, struct error *err)
{
    c->choice_count = 2;
    if (m->load_balancing_policy)
        return set_policy_list(d, m, c, err);
    switch (m->lb_policy) {
    case LB(ROUND_ROBIN):
        c->lb_policy = CONF_LB_ROUND_ROBIN;
        break;
    case LB(LEAST_REQUEST):
        c->lb_policy = CONF_LB_LEAST_REQUEST;
        if (m->lb_config_case ==
            ENVOY__CONFIG__CLUSTER__V3__CLUSTER__LB_CONFIG_LEAST_REQUEST_LB_CONFIG)
            c->choice_count = pb_u32(m->least_request_lb_config->choice_count, 2);
        break;
    case LB(RANDOM):
        c->lb_policy = CONF_LB_RANDOM;
        break;
    case LB(CLUSTER_PROVIDED):
        c->lb_policy = CONF_LB_CLUSTER_PROVIDED;
        break;
    default:
        return error_set(err, ERR_UNSUPPORTED,
                         "lb_policy: RING_HASH, MAGLEV and "
                         "LOAD_BALANCING_POLICY_CONFIG are not supported");
    }
    if (c->choice_count < 2)
        return error_set(err, ERR_INVALID,
                         "least_request_lb_config.choice_count: must be at least 2");
    return 0;
}

/* Envoy's rule: an original destination cluster picks its hosts itself, no other one does. */
static int check_lb(const struct conf_cluster *c, struct error *err)
{
    bool is_provided = c->lb_policy == CONF_LB_CLUSTER_PROVIDED;
    if (is_provided == (c->type == CONF_CLUSTER_ORIGINAL_DST))
        return 0;
    return is_provided
               ? error_set(err, ERR_INVALID,
                           "lb_policy: cluster: LB policy CLUSTER_PROVIDED is not valid for this "
                           "cluster type")
               : error_set(err, ERR_INVALID,
                           "lb_policy: LB policy is not valid for cluster type ORIGINAL_DST. Only "
                           "'CLUSTER_PROVIDED' is allowed with cluster type 'ORIGINAL_DST'");
}

static int set_original_dst(const cluster_msg *m, struct conf_cluster *c, struct error *err)
{
    if (m->lb_config_case != ENVOY__CONFIG__CLUSTER__V3__CLUSTER__LB_CONFIG_ORIGINAL_DST_LB_CONFIG)
        return 0;
    const Envoy__Config__Cluster__V3__Cluster__OriginalDstLbConfig *o = m->original_dst_lb_config;
    uint32_t port = pb_u32(o->upstream_port_override, 0);
    c->use_http_header = o->use_http_header;
    c->original_dst_port = (uint16_t)port;
    if (port > UINT16_MAX)
        return error_set(err, ERR_INVALID,
                         "original_dst_lb_config.upstream_port_override: must not be above 65535");
    if (*o->http_header_name &&
        !str_eq_nocase(str_of(o->http_header_name), STR("x-envoy-original-dst-host")))
        return error_set(err, ERR_UNSUPPORTED,
                         "original_dst_lb_config.http_header_name: not supported");
    return 0;
}

/* ---- limits ---- */

static void set_threshold(const Envoy__Config__Cluster__V3__CircuitBreakers__Thresholds *t,
                          struct conf_limits *l)
{
    l->max_connections = pb_u32(t->max_connections, LIMIT_DEFAULT);
    l->max_pending_requests = pb_u32(t->max_pending_requests, LIMIT_DEFAULT);
    l->max_requests = pb_u32(t->max_requests, LIMIT_DEFAULT);
    l->max_retries = pb_u32(t->max_retries, RETRIES_DEFAULT);
    l->track_remaining = t->track_remaining;
    if (!t->retry_budget)
        return;
    l->has_retry_budget = true;
    l->retry_budget_percent =
        t->retry_budget->budget_percent ? t->retry_budget->budget_percent->value : 20;
    l->min_retry_concurrency = pb_u32(t->retry_budget->min_retry_concurrency, RETRIES_DEFAULT);
}

static void set_limits(const cluster_msg *m, struct conf_cluster *c)
{
    for (int i = 0; i < CONF_PRIORITIES; i++)
        c->limits[i] = (struct conf_limits){.max_connections = LIMIT_DEFAULT,
                                            .max_pending_requests = LIMIT_DEFAULT,
                                            .max_requests = LIMIT_DEFAULT,
                                            .max_retries = RETRIES_DEFAULT};
    c->buffer_limit = pb_u32(m->per_connection_buffer_limit_bytes, BUFFER_LIMIT);
    c->max_requests_per_connection = pb_u32(m->max_requests_per_connection, 0);
    for (size_t i = 0; m->circuit_breakers && i < m->circuit_breakers->n_thresholds; i++) {
        const Envoy__Config__Cluster__V3__CircuitBreakers__Thresholds *t =
            m->circuit_breakers->thresholds[i];
        set_threshold(t,
                      &c->limits[t->priority == ENVOY__CONFIG__CORE__V3__ROUTING_PRIORITY__HIGH]);
    }
}

/* ---- discovery ---- */

static int set_eds(struct decode *d, const cluster_msg *m, struct conf_cluster *c,
                   struct error *err)
{
    if (c->type != CONF_CLUSTER_EDS)
        return m->eds_cluster_config ? error_set(err, ERR_INVALID,
                                                 "eds_cluster_config: cannot be set for a cluster "
                                                 "whose type is not EDS")
                                     : 0;
    if (!m->eds_cluster_config)
        return error_set(err, ERR_INVALID, "eds_cluster_config: required for an EDS cluster");
    if (decode_config_source(d, m->eds_cluster_config->eds_config, &c->eds_source, err))
        return error_prefix(err, "eds_cluster_config.eds_config: ");
    c->has_eds_service_name = *m->eds_cluster_config->service_name;
    c->eds_name = c->has_eds_service_name ? decode_text(d, m->eds_cluster_config->service_name)
                                          : c->object.name;
    return 0;
}

static int set_endpoints(const cluster_msg *m, struct conf_cluster *c, struct error *err)
{
    bool is_dns = c->type == CONF_CLUSTER_STRICT_DNS || c->type == CONF_CLUSTER_LOGICAL_DNS;
    if (c->type == CONF_CLUSTER_EDS || c->type == CONF_CLUSTER_ORIGINAL_DST)
        return m->load_assignment
                   ? error_set(err, ERR_INVALID,
                               "load_assignment: not allowed for EDS and ORIGINAL_DST clusters")
                   : 0;
    if (!m->load_assignment)
        return is_dns ? error_set(err, ERR_INVALID, "load_assignment: required") : 0;
    if (decode_endpoints_message(m->load_assignment, is_dns, &c->inline_endpoints, err))
        return error_prefix(err, "load_assignment.");
    if (c->type == CONF_CLUSTER_LOGICAL_DNS && c->inline_endpoints->n != 1)
        return error_set(err, ERR_INVALID,
                         "load_assignment: LOGICAL_DNS clusters must have a "
                         "single locality_lb_endpoint and a single lb_endpoint");
    return 0;
}

static int set_dns(const cluster_msg *m, struct conf_cluster *c, struct error *err)
{
    static const int families[] = {CONF_DNS_AUTO, CONF_DNS_V4, CONF_DNS_V6, CONF_DNS_V4_PREFERRED,
                                   CONF_DNS_ALL};
    unsigned family = (unsigned)m->dns_lookup_family;
    if (family >= ARRAY_LEN(families))
        return error_set(err, ERR_INVALID, "dns_lookup_family: unknown value %u", family);
    c->dns_family = families[family];
    if (decode_ms(m->dns_refresh_rate, 5000, "dns_refresh_rate", &c->dns_refresh_ms, err))
        return error_code(err);
    if (c->dns_refresh_ms < 1)
        return error_set(err, ERR_INVALID, "dns_refresh_rate: must be above 0");
    return 0;
}

/* The second address has its place if no address of its family came before. */
static void add_source(struct conf_cluster *c, const struct addr *a)
{
    if (!c->sources[1].len && c->sources[0].sa.sa_family != a->sa.sa_family)
        c->sources[1] = *a;
}

static int set_source(const cluster_msg *m, struct conf_cluster *c, struct error *err)
{
    const Envoy__Config__Core__V3__BindConfig *b = m->upstream_bind_config;
    struct addr a;
    if (!b || !b->source_address)
        return 0;
    if (decode_socket_address(b->source_address, &c->sources[0], err))
        return error_prefix(err, "upstream_bind_config.source_address.");
    for (size_t i = 0; i < b->n_extra_source_addresses; i++) {
        const Envoy__Config__Core__V3__ExtraSourceAddress *extra = b->extra_source_addresses[i];
        if (!extra->address)
            return error_set(err, ERR_INVALID,
                             "upstream_bind_config.extra_source_addresses[%zu].address: required",
                             i);
        if (decode_socket_address(extra->address, &a, err))
            return error_prefix(err, "upstream_bind_config.extra_source_addresses[%zu].address.",
                                i);
        add_source(c, &a);
    }
    for (size_t i = 0; i < b->n_additional_source_addresses; i++) {
        if (decode_socket_address(b->additional_source_addresses[i], &a, err))
            return error_prefix(err, "upstream_bind_config.additional_source_addresses[%zu].", i);
        add_source(c, &a);
    }
    return 0;
}

/* Istio puts its metadata exchange on clusters; it is accepted and does nothing, as on listeners.
 */
static int check_filters(const cluster_msg *m, struct error *err)
{
    static const char exchange[] = "envoy.tcp.metadataexchange.config.MetadataExchange";
    for (size_t i = 0; i < m->n_filters; i++) {
        if (!str_is(pb_any_type(m->filters[i]->typed_config), exchange))
            return error_set(err, ERR_UNSUPPORTED, "filters[%zu]: '%s' is not supported", i,
                             m->filters[i]->name);
        decode_count_noop(m->filters[i]->name, exchange);
    }
    return 0;
}

static int decode_fields(struct decode *d, const cluster_msg *m, struct conf_cluster *c,
                         struct error *err)
{
    int rc = set_type(m, c, err);
    set_limits(m, c);
    c->eds_name = "";
    c->keeps_alpn = decode_keeps_alpn(m->metadata);
    if (!rc)
        rc = set_lb(d, m, c, err);
    if (!rc)
        rc = check_lb(c, err);
    if (!rc)
        rc = set_original_dst(m, c, err);
    if (!rc)
        rc = decode_cluster_http(d, m, c, err);
    if (!rc)
        rc = decode_ms(m->connect_timeout, 5000, "connect_timeout", &c->connect_timeout_ms, err);
    if (!rc && !c->connect_timeout_ms)
        rc = error_set(err, ERR_INVALID, "connect_timeout: must be above 0");
    if (!rc)
        rc = set_dns(m, c, err);
    if (!rc)
        rc = set_source(m, c, err);
    if (!rc)
        rc = decode_transports(d, m, c, err);
    if (!rc)
        rc = decode_check_alpn(c, err);
    if (!rc)
        rc = check_filters(m, err);
    if (!rc)
        rc = set_eds(d, m, c, err);
    return rc ? rc : set_endpoints(m, c, err);
}

int decode_cluster(struct str bytes, const struct pb_unknown *unknown,
                   struct conf_cluster **cluster_r, struct error *err)
{
    struct decode d;
    ProtobufCMessage *msg = NULL;
    struct conf_cluster *c = NULL;
    int rc = decode_begin(&d, bytes, unknown, &envoy__config__cluster__v3__cluster__descriptor,
                          &msg, err);
    const cluster_msg *m = (const cluster_msg *)msg;
    if (!rc && !*m->name)
        rc = error_set(err, ERR_INVALID, "name: must not be empty");
    if (!rc) {
        c = conf_cluster_create(m->name);
        d.out = &c->object.arena;
        c->object.hash = hash_xx64(bytes.p, bytes.n, 0);
        rc = decode_fields(&d, m, c, err);
    }
    *cluster_r = rc ? NULL : c;
    if (rc)
        conf_object_unref(c);
    decode_end(&d);
    return rc;
}
