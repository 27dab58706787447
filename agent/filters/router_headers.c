/* What the router changes in headers on their way. Source: Envoy's RouteEntryImplBase
 * (finalizeRequestHeaders, finalizeResponseHeaders). */
#include "filters/router_private.h"

static struct str format_u64(uint64_t v, char dst[24])
{
    char *p = dst + 24;
    do {
        *--p = (char)('0' + v % 10);
        v /= 10;
    } while (v);
    return (struct str){p, (size_t)(dst + 24 - p)};
}

void router_set_number(struct headers *h, struct str name, uint64_t v)
{
    char text[24];
    headers_set(h, name, format_u64(v, text));
}

static void apply(const struct conf_header_ops *ops, struct headers *h)
{
    for (size_t i = 0; i < ops->remove_n; i++)
        headers_remove(h, ops->remove[i]);
    for (size_t i = 0; i < ops->add_n; i++) {
        const struct conf_header_value_option *o = &ops->add[i];
        if (o->action == CONF_OVERWRITE_OR_ADD)
            headers_set(h, o->name, o->value);
        else if (o->action == CONF_APPEND_OR_ADD || !headers_find_name(h, o->name))
            headers_add(h, o->name, o->value);
    }
}

static void rewrite_path(struct router_stream *r, struct headers *h)
{
    const struct conf_route *route = r->choice.route;
    struct str path = headers_get(h, HDR_PATH);
    if (!route->prefix_rewrite.p || !path.p || !route_match_path(route, path))
        return; /* a filter changed the path after the choice */
    size_t cut = route_match_prefix_len(route, path);
    size_t n = route->prefix_rewrite.n + path.n - cut;
    char *to = arena_alloc(&r->s->arena, n + 1);
    memcpy(to, route->prefix_rewrite.p, route->prefix_rewrite.n);
    memcpy(to + route->prefix_rewrite.n, path.p + cut, path.n - cut);
    if (!router_options(r)->suppress_envoy_headers)
        headers_set_id(h, HDR_X_ENVOY_ORIGINAL_PATH, path);
    headers_set_id(h, HDR_PATH, (struct str){to, n});
}

static void rewrite_host(struct router_stream *r, struct headers *h)
{
    struct str to = r->choice.route->host_rewrite;
    if (!to.p)
        return;
    if (!router_options(r)->suppress_envoy_headers)
        headers_set(h, STR("x-envoy-original-host"), headers_get(h, HDR_AUTHORITY));
    headers_set_id(h, HDR_AUTHORITY, to);
}

void router_change_request(struct router_stream *r, struct headers *h)
{
    apply(&r->choice.route->request_headers, h);
    apply(&r->choice.vhost->request_headers, h);
    apply(&r->config->request_headers, h);
    rewrite_host(r, h);
    rewrite_path(r, h);
}

void router_change_response(struct router_stream *r, struct headers *h)
{
    uint64_t end_us = r->s->info.req_end_us;
    char text[24];
    if (r->is_active && end_us && !router_options(r)->suppress_envoy_headers) {
        uint64_t ms = (loop_now_us(r->s->loop) - end_us) / 1000;
        headers_set_id(h, HDR_X_ENVOY_UPSTREAM_SERVICE_TIME, format_u64(ms, text));
    }
    if (r->choice.vhost->include_attempts_in_response && r->s->info.attempts)
        router_set_number(h, STR("x-envoy-attempt-count"), r->s->info.attempts);
    apply(&r->choice.route->response_headers, h);
    apply(&r->choice.vhost->response_headers, h);
    apply(&r->config->response_headers, h);
}
