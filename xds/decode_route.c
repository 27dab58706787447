#include <string.h>

#include "base/regex.h"
#include "xds/decode_private.h"

typedef Envoy__Config__Route__V3__Route route_msg;
typedef Envoy__Config__Route__V3__RouteAction action_msg;
typedef Envoy__Config__Route__V3__RouteMatch match_msg;
typedef Envoy__Config__Route__V3__VirtualHost vhost_msg;
typedef Envoy__Config__Route__V3__RouteConfiguration config_msg;

/* Every message with header operations spells them alike. */
#define OPS(m, side)                                                                        \
    (&(struct decode_header_ops){(m)->side##_headers_to_add, (m)->side##_headers_to_remove, \
                                 (m)->n_##side##_headers_to_add,                            \
                                 (m)->n_##side##_headers_to_remove})

#define PATH(x) ENVOY__CONFIG__ROUTE__V3__ROUTE_MATCH__PATH_SPECIFIER_##x

static int set_path(struct decode *d, const match_msg *m, struct conf_route *r, struct error *err)
{
    r->case_sensitive = pb_bool(m->case_sensitive, true);
    switch (m->path_specifier_case) {
    case PATH(PREFIX):
        r->path_kind = CONF_PATH_PREFIX;
        r->path = decode_str(d, m->prefix);
        return 0;
    case PATH(PATH):
        r->path_kind = CONF_PATH_EXACT;
        r->path = decode_str(d, m->path);
        return 0;
    case PATH(PATH_SEPARATED_PREFIX):
        r->path_kind = CONF_PATH_SEPARATED_PREFIX;
        r->path = decode_str(d, m->path_separated_prefix);
        if (r->path.n < 2 || r->path.p[0] != '/' || r->path.p[r->path.n - 1] == '/' ||
            strpbrk(r->path.p, "?#"))
            return error_set(err, ERR_INVALID,
                             "path_separated_prefix: must start with /, must not end with it nor "
                             "contain ? or #");
        return 0;
    case PATH(SAFE_REGEX):
        r->path_kind = CONF_PATH_REGEX;
        if (regex_create(str_of(m->safe_regex->regex), &r->path_regex, err))
            return error_prefix(err, "safe_regex.regex: ");
        return 0;
    case PATH(CONNECT_MATCHER):
        return error_set(err, ERR_UNSUPPORTED, "connect_matcher: not supported");
    case PATH(PATH_MATCH_POLICY):
        return error_set(err, ERR_UNSUPPORTED, "path_match_policy: not supported");
    default:
        return error_set(err, ERR_INVALID, "path_specifier: required");
    }
}

static int decode_match(struct decode *d, const match_msg *m, struct conf_route *r,
                        struct error *err)
{
    if (!m)
        return error_set(err, ERR_INVALID, "match: required");
    r->headers = DECODE_ARRAY(d, struct conf_header_match, m->n_headers);
    r->headers_n = m->n_headers;
    if (set_path(d, m, r, err) ||
        decode_header_matches(d, m->headers, m->n_headers, r->headers, err))
        return error_prefix(err, "match.");
    return 0;
}

static unsigned not_found_status(const action_msg *m)
{
    switch (m->cluster_not_found_response_code) {
    case ENVOY__CONFIG__ROUTE__V3__ROUTE_ACTION__CLUSTER_NOT_FOUND_RESPONSE_CODE__NOT_FOUND:
        return 404;
    case ENVOY__CONFIG__ROUTE__V3__ROUTE_ACTION__CLUSTER_NOT_FOUND_RESPONSE_CODE__INTERNAL_SERVER_ERROR:
        return 500;
    default:
        return 503;
    }
}

static int set_cluster(struct decode *d, const action_msg *m, struct conf_route *r,
                       struct error *err)
{
    if (m->cluster_specifier_case !=
        ENVOY__CONFIG__ROUTE__V3__ROUTE_ACTION__CLUSTER_SPECIFIER_CLUSTER)
        return m->cluster_specifier_case
                   ? error_set(err, ERR_UNSUPPORTED, "cluster_specifier: only cluster is supported")
                   : error_set(err, ERR_INVALID, "cluster_specifier: required");
    if (!*m->cluster)
        return error_set(err, ERR_INVALID, "cluster: must not be empty");
    r->cluster = decode_str(d, m->cluster);
    r->cluster_not_found_status = not_found_status(m);
    return 0;
}

static int set_rewrites(struct decode *d, const action_msg *m, struct conf_route *r,
                        struct error *err)
{
    if (*m->prefix_rewrite)
        r->prefix_rewrite = decode_str(d, m->prefix_rewrite);
    switch (m->host_rewrite_specifier_case) {
    case ENVOY__CONFIG__ROUTE__V3__ROUTE_ACTION__HOST_REWRITE_SPECIFIER_HOST_REWRITE_LITERAL:
        if (*m->host_rewrite_literal)
            r->host_rewrite = decode_str(d, m->host_rewrite_literal);
        return 0;
    case ENVOY__CONFIG__ROUTE__V3__ROUTE_ACTION__HOST_REWRITE_SPECIFIER_AUTO_HOST_REWRITE:
        if (!pb_bool(m->auto_host_rewrite, false))
            return 0;
        break;
    case ENVOY__CONFIG__ROUTE__V3__ROUTE_ACTION__HOST_REWRITE_SPECIFIER__NOT_SET:
        return 0;
    default:
        break;
    }
    return error_set(err, ERR_UNSUPPORTED,
                     "host_rewrite_specifier: only host_rewrite_literal is supported");
}

static int decode_action(struct decode *d, const action_msg *m, struct conf_route *r,
                         struct error *err)
{
    int rc = set_cluster(d, m, r, err);
    r->action = CONF_ACTION_CLUSTER;
    r->has_idle_timeout = m->idle_timeout != NULL;
    if (!rc)
        rc = set_rewrites(d, m, r, err);
    if (!rc)
        rc = decode_ms(m->timeout, 15000, "timeout", &r->timeout_ms, err);
    if (!rc)
        rc = decode_ms(m->idle_timeout, 0, "idle_timeout", &r->idle_timeout_ms, err);
    if (!rc)
        rc = decode_retry(d, m->retry_policy, &r->retry, err);
    if (!rc)
        rc = decode_timeouts(m, &r->timeouts, err);
    if (!rc)
        rc = decode_mirrors(d, m->request_mirror_policies, m->n_request_mirror_policies,
                            &r->mirrors, err);
    return rc ? error_prefix(err, "route.") : 0;
}

static int decode_direct(struct decode *d, const Envoy__Config__Route__V3__DirectResponseAction *m,
                         size_t max, struct conf_route *r, struct error *err)
{
    r->action = CONF_ACTION_DIRECT_RESPONSE;
    r->direct_status = m->status;
    r->direct_body = STR("");
    if (m->status < 200 || m->status > 599)
        return error_set(err, ERR_INVALID, "direct_response.status: must be within 200 and 599");
    if (m->body && decode_data_source(d, m->body, max, &r->direct_body, err))
        return error_prefix(err, "direct_response.body.");
    return 0;
}

/* Per-route settings of filters: whoever ignores them changes what a filter lets through. */
static int check_per_filter(size_t n, struct error *err)
{
    return n ? error_set(err, ERR_UNSUPPORTED, "typed_per_filter_config: not supported") : 0;
}

static int decode_route(struct decode *d, const route_msg *m, size_t body_max, struct conf_route *r,
                        struct error *err)
{
    int rc = check_per_filter(m->n_typed_per_filter_config, err);
    r->name = decode_str(d, m->name);
    if (!rc)
        rc = decode_match(d, m->match, r, err);
    if (!rc)
        rc = decode_header_ops(d, OPS(m, request), "request", &r->request_headers, err);
    if (!rc)
        rc = decode_header_ops(d, OPS(m, response), "response", &r->response_headers, err);
    if (rc)
        return rc;
    switch (m->action_case) {
    case ENVOY__CONFIG__ROUTE__V3__ROUTE__ACTION_ROUTE:
        return decode_action(d, m->route, r, err);
    case ENVOY__CONFIG__ROUTE__V3__ROUTE__ACTION_DIRECT_RESPONSE:
        return decode_direct(d, m->direct_response, body_max, r, err);
    case ENVOY__CONFIG__ROUTE__V3__ROUTE__ACTION__NOT_SET:
        return error_set(err, ERR_INVALID, "action: required");
    default:
        return error_set(err, ERR_UNSUPPORTED,
                         "action: only route and direct_response are "
                         "supported");
    }
}

static int decode_vhost(struct decode *d, const vhost_msg *m, size_t body_max,
                        struct conf_virtual_host *v, struct error *err)
{
    int rc = check_per_filter(m->n_typed_per_filter_config, err);
    if (rc)
        return rc;
    if (!*m->name)
        return error_set(err, ERR_INVALID, "name: must not be empty");
    if (!m->n_domains)
        return error_set(err, ERR_INVALID, "domains: at least one is required");
    v->name = decode_str(d, m->name);
    v->routes = DECODE_ARRAY(d, struct conf_route, m->n_routes);
    v->routes_n = m->n_routes;
    for (size_t i = 0; i < m->n_routes && !rc; i++)
        if ((rc = decode_route(d, m->routes[i], body_max, &v->routes[i], err)))
            error_prefix(err, "routes[%zu].", i);
    if (!rc)
        rc = decode_header_ops(d, OPS(m, request), "request", &v->request_headers, err);
    if (!rc)
        rc = decode_header_ops(d, OPS(m, response), "response", &v->response_headers, err);
    if (!rc)
        rc = decode_retry(d, m->retry_policy, &v->retry, err);
    if (!rc)
        rc = decode_mirrors(d, m->request_mirror_policies, m->n_request_mirror_policies,
                            &v->mirrors, err);
    v->include_attempts_in_request = m->include_request_attempt_count;
    v->include_attempts_in_response = m->include_attempt_count_in_response;
    v->include_is_timeout_retry = m->include_is_timeout_retry_header;
    return rc;
}

/* Where in the message a domain of the flat list stands. */
static int prefix_domain(const config_msg *m, size_t place, struct error *err)
{
    size_t i = 0;
    for (; place >= m->virtual_hosts[i]->n_domains; i++)
        place -= m->virtual_hosts[i]->n_domains;
    return error_prefix(err, "virtual_hosts[%zu].domains[%zu]: ", i, place);
}

static int index_domains(const config_msg *m, struct conf_route_config *rc, struct error *err)
{
    size_t n = 0, bad = 0;
    for (size_t i = 0; i < m->n_virtual_hosts; i++)
        n += m->virtual_hosts[i]->n_domains;
    struct conf_domain *list = mem_zalloc((n + 1) * sizeof(*list)), *next = list;
    for (size_t i = 0; i < m->n_virtual_hosts; i++)
        for (size_t j = 0; j < m->virtual_hosts[i]->n_domains; j++)
            *next++ = (struct conf_domain){str_of(m->virtual_hosts[i]->domains[j]), &rc->vhosts[i]};
    int result = conf_route_config_index(rc, list, n, &bad, err);
    mem_free(list);
    return result ? prefix_domain(m, bad, err) : 0;
}

static int decode_config(struct decode *d, const config_msg *m, struct conf_route_config *rc,
                         struct error *err)
{
    size_t body_max = pb_u32(m->max_direct_response_body_size_bytes, 4096);
    int result = check_per_filter(m->n_typed_per_filter_config, err);
    rc->ignore_port_in_host_matching = m->ignore_port_in_host_matching;
    rc->vhosts = DECODE_ARRAY(d, struct conf_virtual_host, m->n_virtual_hosts);
    rc->vhosts_n = m->n_virtual_hosts;
    for (size_t i = 0; i < m->n_virtual_hosts && !result; i++)
        if ((result = decode_vhost(d, m->virtual_hosts[i], body_max, &rc->vhosts[i], err)))
            error_prefix(err, "virtual_hosts[%zu].", i);
    if (!result)
        result = index_domains(m, rc, err);
    if (!result)
        result = decode_mirrors(d, m->request_mirror_policies, m->n_request_mirror_policies,
                                &rc->mirrors, err);
    if (!result)
        result = decode_header_ops(d, OPS(m, request), "request", &rc->request_headers, err);
    if (!result)
        result = decode_header_ops(d, OPS(m, response), "response", &rc->response_headers, err);
    return result;
}

int decode_route_message(const config_msg *m, struct conf_route_config **config_r,
                         struct error *err)
{
    struct conf_route_config *rc = conf_route_config_create(m->name);
    struct decode d = {.out = &rc->object.arena};
    int result = decode_config(&d, m, rc, err);
    *config_r = result ? NULL : rc;
    if (result)
        conf_object_unref(rc);
    return result;
}

int decode_route_config(struct str bytes, const struct pb_unknown *unknown,
                        struct conf_route_config **config_r, struct error *err)
{
    struct decode d;
    ProtobufCMessage *msg;
    *config_r = NULL;
    int rc = decode_begin(&d, bytes, unknown,
                          &envoy__config__route__v3__route_configuration__descriptor, &msg, err);
    if (!rc)
        rc = decode_route_message((const config_msg *)msg, config_r, err);
    if (!rc)
        (*config_r)->object.hash = hash_xx64(bytes.p, bytes.n, 0);
    decode_end(&d);
    return rc;
}
