#include "xds/decode_route_private.h"

typedef Envoy__Config__Route__V3__Route route_msg;
typedef Envoy__Config__Route__V3__RouteAction action_msg;
typedef Envoy__Config__Route__V3__VirtualHost vhost_msg;
typedef Envoy__Config__Route__V3__RouteConfiguration config_msg;

#define VHOST(x) ENVOY__CONFIG__ROUTE__V3__VIRTUAL_HOST__##x

static int decode_action(struct decode *d, const action_msg *m, struct conf_route *r,
                         struct error *err)
{
    int rc = decode_cluster_choice(d, m, r, err);
    r->action = CONF_ACTION_CLUSTER;
    r->has_idle_timeout = m->idle_timeout != NULL;
    if (!rc)
        rc = decode_rewrites(d, m, r, err);
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

static int decode_route(struct decode *d, const route_msg *m, size_t body_max, struct conf_route *r,
                        struct error *err)
{
    int rc = decode_overrides(d, OVERRIDES(m), &r->overrides, err);
    r->name = decode_str(d, m->name);
    r->request_kept_max = decode_kept_max(m->per_request_buffer_limit_bytes);
    if (!rc)
        rc = decode_match(d, m->match, r, err);
    if (!rc)
        rc = decode_header_ops(d, OPS(m, request), "request_", &r->request_headers, err);
    if (!rc)
        rc = decode_header_ops(d, OPS(m, response), "response_", &r->response_headers, err);
    if (rc)
        return rc;
    switch (m->action_case) {
    case ENVOY__CONFIG__ROUTE__V3__ROUTE__ACTION_ROUTE:
        return decode_action(d, m->route, r, err);
    case ENVOY__CONFIG__ROUTE__V3__ROUTE__ACTION_DIRECT_RESPONSE:
        return decode_direct(d, m->direct_response, body_max, r, err);
    case ENVOY__CONFIG__ROUTE__V3__ROUTE__ACTION_REDIRECT:
        return decode_redirect(d, m->redirect, r, err);
    case ENVOY__CONFIG__ROUTE__V3__ROUTE__ACTION__NOT_SET:
        return error_set(err, ERR_INVALID, "action: required");
    default:
        return error_set(err, ERR_UNSUPPORTED,
                         "action: only route, redirect and direct_response are supported");
    }
}

static int decode_vhost(struct decode *d, const vhost_msg *m, size_t body_max,
                        struct conf_virtual_host *v, struct error *err)
{
    int rc = decode_overrides(d, OVERRIDES(m), &v->overrides, err);
    if (rc)
        return rc;
    if (!*m->name)
        return error_set(err, ERR_INVALID, "name: must not be empty");
    if (!m->n_domains)
        return error_set(err, ERR_INVALID, "domains: at least one is required");
    v->name = decode_str(d, m->name);
    v->require_tls = m->require_tls == VHOST(TLS_REQUIREMENT_TYPE__ALL) ? CONF_TLS_ALL
                     : m->require_tls == VHOST(TLS_REQUIREMENT_TYPE__EXTERNAL_ONLY)
                         ? CONF_TLS_EXTERNAL_ONLY
                         : CONF_TLS_NONE;
    v->routes = DECODE_ARRAY(d, struct conf_route, m->n_routes);
    v->routes_n = m->n_routes;
    for (size_t i = 0; i < m->n_routes && !rc; i++)
        if ((rc = decode_route(d, m->routes[i], body_max, &v->routes[i], err)))
            error_prefix(err, "routes[%zu].", i);
    if (!rc)
        rc = decode_header_ops(d, OPS(m, request), "request_", &v->request_headers, err);
    if (!rc)
        rc = decode_header_ops(d, OPS(m, response), "response_", &v->response_headers, err);
    if (!rc)
        rc = decode_retry(d, m->retry_policy, &v->retry, err);
    if (!rc)
        rc = decode_mirrors(d, m->request_mirror_policies, m->n_request_mirror_policies,
                            &v->mirrors, err);
    v->request_kept_max = decode_kept_max(m->per_request_buffer_limit_bytes);
    v->include_attempts_in_request = m->include_request_attempt_count;
    v->include_attempts_in_response = m->include_attempt_count_in_response;
    v->include_is_timeout_retry = m->include_is_timeout_retry_header;
    return rc;
}

/* Which virtual host is at fault; NOBODY: something else of the message. */
#define NOBODY SIZE_MAX

/* Where in the message a domain of the flat list stands. */
static int prefix_domain(const config_msg *m, size_t place, size_t *culprit, struct error *err)
{
    size_t i = 0;
    for (; place >= m->virtual_hosts[i]->n_domains; i++)
        place -= m->virtual_hosts[i]->n_domains;
    *culprit = i;
    return error_prefix(err, "domains[%zu]: ", place);
}

static int index_domains(const config_msg *m, struct conf_route_config *rc, size_t *culprit,
                         struct error *err)
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
    return result ? prefix_domain(m, bad, culprit, err) : 0;
}

static int decode_vhosts(struct decode *d, const config_msg *m, struct conf_route_config *rc,
                         size_t *culprit, struct error *err)
{
    size_t body_max = pb_u32(m->max_direct_response_body_size_bytes, 4096);
    rc->vhosts = DECODE_ARRAY(d, struct conf_virtual_host, m->n_virtual_hosts);
    rc->vhosts_n = m->n_virtual_hosts;
    for (size_t i = 0; i < m->n_virtual_hosts; i++) {
        int result = decode_vhost(d, m->virtual_hosts[i], body_max, &rc->vhosts[i], err);
        *culprit = i;
        if (result)
            return result;
    }
    *culprit = NOBODY;
    return index_domains(m, rc, culprit, err);
}

static int decode_vhds(struct decode *d, const Envoy__Config__Route__V3__Vhds *m,
                       struct conf_route_config *rc, struct error *err)
{
    if (!m)
        return 0;
    rc->has_vhds = true;
    if (!strlen(rc->object.name))
        return error_set(err, ERR_INVALID, "name: required by vhds");
    return decode_config_source(d, m->config_source, &rc->vhds_source, err)
               ? error_prefix(err, "vhds.config_source: ")
               : 0;
}

static int decode_config(struct decode *d, const config_msg *m, struct conf_route_config *rc,
                         size_t *culprit, struct error *err)
{
    int result = decode_overrides(d, OVERRIDES(m), &rc->overrides, err);
    rc->ignore_port_in_host_matching = m->ignore_port_in_host_matching;
    rc->ignore_path_parameters = m->ignore_path_parameters_in_path_matching;
    rc->most_specific_wins = m->most_specific_header_mutations_wins;
    rc->vhost_header = decode_lower(d, m->vhost_header).p;
    rc->internal_only_headers = DECODE_ARRAY(d, struct str, m->n_internal_only_headers);
    for (size_t i = 0; i < m->n_internal_only_headers; i++)
        rc->internal_only_headers[rc->internal_only_n++] =
            decode_lower(d, m->internal_only_headers[i]);
    if (!result)
        result = decode_vhosts(d, m, rc, culprit, err);
    if (!result)
        result = decode_vhds(d, m->vhds, rc, err);
    if (!result)
        result = decode_mirrors(d, m->request_mirror_policies, m->n_request_mirror_policies,
                                &rc->mirrors, err);
    if (!result)
        result = decode_header_ops(d, OPS(m, request), "request_", &rc->request_headers, err);
    if (!result)
        result = decode_header_ops(d, OPS(m, response), "response_", &rc->response_headers, err);
    return result;
}

static int build(const config_msg *m, struct conf_route_config **config_r, size_t *culprit,
                 struct error *err)
{
    struct conf_route_config *rc = conf_route_config_create(m->name);
    struct decode d = {.out = &rc->object.arena};
    pb_arena_init(&d.pb, pb_budget(0));
    *culprit = NOBODY;
    int result = decode_config(&d, m, rc, culprit, err);
    decode_end(&d);
    *config_r = result ? NULL : rc;
    if (result)
        conf_object_unref(rc);
    return result;
}

int decode_route_message(const config_msg *m, struct conf_route_config **config_r,
                         struct error *err)
{
    size_t culprit;
    *config_r = NULL;
    if (m->vhds)
        return error_set(err, ERR_UNSUPPORTED, "vhds: only where the routes come by RDS");
    int rc = build(m, config_r, &culprit, err);
    return rc && culprit != NOBODY ? error_prefix(err, "virtual_hosts[%zu].", culprit) : rc;
}

int decode_merged_routes(struct str bytes, size_t added, const struct pb_unknown *unknown,
                         struct conf_route_config **config_r, size_t *culprit_r, struct error *err)
{
    struct decode d;
    ProtobufCMessage *msg = NULL;
    size_t culprit;
    *config_r = NULL;
    *culprit_r = added;
    int rc = decode_begin(&d, bytes, unknown,
                          &envoy__config__route__v3__route_configuration__descriptor, &msg, err);
    const config_msg *m = (const config_msg *)msg;
    if (!rc && (rc = build(m, config_r, &culprit, err)) && culprit != NOBODY) {
        size_t own = m->n_virtual_hosts > added ? m->n_virtual_hosts - added : 0;
        if (culprit < own)
            error_prefix(err, "virtual_hosts[%zu].", culprit);
        else
            *culprit_r = culprit - own;
    }
    if (!rc)
        (*config_r)->object.hash = hash_xx64(bytes.p, bytes.n, 0);
    decode_end(&d);
    return rc;
}

int decode_route_config(struct str bytes, const struct pb_unknown *unknown,
                        struct conf_route_config **config_r, struct error *err)
{
    size_t culprit;
    return decode_merged_routes(bytes, 0, unknown, config_r, &culprit, err);
}

int decode_check_virtual_host(struct str bytes, const struct pb_unknown *unknown, struct error *err)
{
    struct decode d;
    ProtobufCMessage *vhost;
    config_msg m = ENVOY__CONFIG__ROUTE__V3__ROUTE_CONFIGURATION__INIT;
    Google__Protobuf__UInt32Value body_max = GOOGLE__PROTOBUF__UINT32_VALUE__INIT;
    struct conf_route_config *config = NULL;
    size_t culprit;
    int rc = decode_begin(&d, bytes, unknown, &envoy__config__route__v3__virtual_host__descriptor,
                          &vhost, err);
    body_max.value = UINT32_MAX; /* the route configuration's own is held to when it is there */
    m.max_direct_response_body_size_bytes = &body_max;
    m.virtual_hosts = (vhost_msg **)(void *)&vhost;
    m.n_virtual_hosts = 1;
    if (!rc)
        rc = build(&m, &config, &culprit, err);
    conf_object_unref(config);
    decode_end(&d);
    return rc;
}
