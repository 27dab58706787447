/* RouteAction: which cluster, and what the load balancer hashes. */
#include "xds/decode_route_private.h"

typedef Envoy__Config__Route__V3__RouteAction action_msg;
typedef Envoy__Config__Route__V3__WeightedCluster weighted_msg;
typedef Envoy__Config__Route__V3__WeightedCluster__ClusterWeight weight_msg;
typedef Envoy__Config__Route__V3__RouteAction__HashPolicy hash_msg;

#define CLUSTER(x) ENVOY__CONFIG__ROUTE__V3__ROUTE_ACTION__CLUSTER_SPECIFIER_##x
#define RANDOM(x) ENVOY__CONFIG__ROUTE__V3__WEIGHTED_CLUSTER__RANDOM_VALUE_SPECIFIER_##x
#define HASH(x) ENVOY__CONFIG__ROUTE__V3__ROUTE_ACTION__HASH_POLICY__POLICY_SPECIFIER_##x
#define NOT_FOUND(x) ENVOY__CONFIG__ROUTE__V3__ROUTE_ACTION__CLUSTER_NOT_FOUND_RESPONSE_CODE__##x

/* Subsets are not done, so nothing may ask for one. */
static int check_metadata(const Envoy__Config__Core__V3__Metadata *m, struct error *err)
{
    for (size_t i = 0; m && i < m->n_filter_metadata; i++)
        if (str_is(str_of(m->filter_metadata[i]->key), "envoy.lb"))
            return error_set(err, ERR_UNSUPPORTED, "metadata_match: subsets are not supported");
    return 0;
}

static unsigned not_found_status(const action_msg *m)
{
    switch (m->cluster_not_found_response_code) {
    case NOT_FOUND(NOT_FOUND):
        return 404;
    case NOT_FOUND(INTERNAL_SERVER_ERROR):
        return 500;
    default:
        return 503;
    }
}

/* ---- weighted clusters ---- */

static int decode_weight(struct decode *d, const weight_msg *m, const char *prefix,
                         struct conf_weighted_cluster *w, struct error *err)
{
    bool is_literal =
        m->host_rewrite_specifier_case ==
        ENVOY__CONFIG__ROUTE__V3__WEIGHTED_CLUSTER__CLUSTER_WEIGHT__HOST_REWRITE_SPECIFIER_HOST_REWRITE_LITERAL;
    w->name = decode_str(d, m->name);
    w->cluster_header = decode_lower(d, m->cluster_header);
    w->weight = pb_u32(m->weight, 0);
    w->runtime_key = *prefix ? str_of(arena_printf(d->out, "%s.%s", prefix, m->name)) : STR("");
    if (!*m->name == !*m->cluster_header)
        return error_set(err, ERR_INVALID,
                         *m->name ? "Only one of name or cluster_header can be specified"
                                  : "At least one of name or cluster_header need to be specified");
    int rc = check_metadata(m->metadata_match, err);
    if (!rc && is_literal)
        rc = decode_header_text(d, m->host_rewrite_literal, "host_rewrite_literal",
                                &w->host_rewrite, err);
    if (!rc)
        rc = decode_header_ops(d, OPS(m, request), "request_", &w->request_headers, err);
    if (!rc)
        rc = decode_header_ops(d, OPS(m, response), "response_", &w->response_headers, err);
    return rc ? rc : decode_overrides(d, OVERRIDES(m), &w->overrides, err);
}

static int set_weighted(struct decode *d, const weighted_msg *m, struct conf_route *r,
                        struct error *err)
{
    struct conf_weighted *w = r->weighted = DECODE_NEW(d, struct conf_weighted);
    w->v = DECODE_ARRAY(d, struct conf_weighted_cluster, m->n_clusters);
    w->has_runtime = *m->runtime_key_prefix;
    w->header_name = STR("");
    if (m->random_value_specifier_case == RANDOM(HEADER_NAME))
        w->header_name = decode_lower(d, m->header_name);
    if (m->random_value_specifier_case == RANDOM(USE_HASH_POLICY))
        w->use_hash_policy = pb_bool(m->use_hash_policy, false);
    if (!m->n_clusters)
        return error_set(err, ERR_INVALID, "clusters: at least one is required");
    for (size_t i = 0; i < m->n_clusters; i++) {
        struct conf_weighted_cluster *c = &w->v[w->n++];
        if (decode_weight(d, m->clusters[i], m->runtime_key_prefix, c, err))
            return error_prefix(err, "clusters[%zu].", i);
        w->total += c->weight;
    }
    if (!w->total)
        return error_set(err, ERR_INVALID,
                         "Sum of weights in the weighted_cluster must be greater than 0.");
    if (w->total > UINT32_MAX)
        return error_set(err, ERR_INVALID,
                         "The sum of weights of all weighted clusters must not exceed %u",
                         UINT32_MAX);
    return 0;
}

static int set_cluster(struct decode *d, const action_msg *m, struct conf_route *r,
                       struct error *err)
{
    switch (m->cluster_specifier_case) {
    case CLUSTER(CLUSTER):
        r->cluster = decode_str(d, m->cluster);
        return *m->cluster ? 0 : error_set(err, ERR_INVALID, "cluster: must not be empty");
    case CLUSTER(CLUSTER_HEADER):
        r->cluster_header = decode_lower(d, m->cluster_header);
        return *m->cluster_header
                   ? 0
                   : error_set(err, ERR_INVALID, "cluster_header: must not be empty");
    case CLUSTER(WEIGHTED_CLUSTERS):
        return set_weighted(d, m->weighted_clusters, r, err)
                   ? error_prefix(err, "weighted_clusters.")
                   : 0;
    case ENVOY__CONFIG__ROUTE__V3__ROUTE_ACTION__CLUSTER_SPECIFIER__NOT_SET:
        return error_set(err, ERR_INVALID, "cluster_specifier: required");
    default:
        return error_set(err, ERR_UNSUPPORTED, "cluster_specifier: plugins are not supported");
    }
}

/* ---- hash policies ---- */

static int set_cookie(struct decode *d,
                      const Envoy__Config__Route__V3__RouteAction__HashPolicy__Cookie *m,
                      struct conf_hash_policy *h, struct error *err)
{
    struct sbuf attributes = {0};
    uint64_t ttl_ms = 0;
    h->kind = CONF_HASH_COOKIE;
    h->makes_cookie = m->ttl != NULL;
    int rc = pb_duration_ms(m->ttl, 0, &ttl_ms, err);
    h->ttl_s = ttl_ms / 1000;
    if (rc)
        return error_prefix(err, "cookie.ttl: ");
    for (size_t i = 0; i < m->n_attributes; i++) {
        sbuf_printf(&attributes, "; %s", m->attributes[i]->name);
        if (*m->attributes[i]->value)
            sbuf_printf(&attributes, "=%s", m->attributes[i]->value);
    }
    rc = decode_header_text(d, m->name, "cookie.name", &h->name, err);
    if (!rc)
        rc = decode_header_text(d, m->path, "cookie.path", &h->path, err);
    if (!rc)
        rc = decode_header_text(d, attributes.p ? attributes.p : "", "cookie.attributes",
                                &h->attributes, err);
    sbuf_fini(&attributes);
    return rc;
}

static int decode_hash_policy(struct decode *d, const hash_msg *m, struct conf_hash_policy *h,
                              struct error *err)
{
    int rc = 0;
    h->terminal = m->terminal;
    switch (m->policy_specifier_case) {
    case HASH(HEADER):
        h->kind = CONF_HASH_HEADER;
        h->name = decode_lower(d, m->header->header_name);
        rc = decode_substitute(d, m->header->regex_rewrite, "header.regex_rewrite", &h->rewrite,
                               err);
        break;
    case HASH(COOKIE):
        rc = set_cookie(d, m->cookie, h, err);
        break;
    case HASH(CONNECTION_PROPERTIES):
        h->kind = CONF_HASH_SOURCE_IP;
        if (!m->connection_properties->source_ip)
            return 1;
        break;
    case HASH(QUERY_PARAMETER):
        h->kind = CONF_HASH_QUERY_PARAMETER;
        h->name = decode_str(d, m->query_parameter->name);
        break;
    case HASH(FILTER_STATE):
        return error_set(err, ERR_UNSUPPORTED, "filter_state: not supported");
    default:
        return error_set(err, ERR_INVALID, "policy_specifier: required");
    }
    if (!rc && h->kind != CONF_HASH_SOURCE_IP && !h->name.n)
        rc = error_set(err, ERR_INVALID, "policy_specifier: the name must not be empty");
    return rc;
}

static int set_hash(struct decode *d, const action_msg *m, struct conf_route *r, struct error *err)
{
    r->hash = DECODE_ARRAY(d, struct conf_hash_policy, m->n_hash_policy);
    for (size_t i = 0; i < m->n_hash_policy; i++) {
        int rc = decode_hash_policy(d, m->hash_policy[i], &r->hash[r->hash_n], err);
        r->hash_n += rc <= 0; /* 1: asks for nothing; a failure has to be released */
        if (rc < 0)
            return error_prefix(err, "hash_policy[%zu].", i);
    }
    return 0;
}

int decode_cluster_choice(struct decode *d, const action_msg *m, struct conf_route *r,
                          struct error *err)
{
    r->cluster_not_found_status = not_found_status(m);
    int rc = set_cluster(d, m, r, err);
    if (!rc)
        rc = check_metadata(m->metadata_match, err);
    return rc ? rc : set_hash(d, m, r, err);
}
