/* What the router changes in headers on their way. Source: Envoy's RouteEntryImplBase
 * (finalizeRequestHeaders, finalizeResponseHeaders). */
#include "filters/router_private.h"
#include "http/header_ops.h"

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

/* The last one wins: the configuration, unless the most specific shall. */
static void apply_all(struct router_stream *r, bool is_request, struct headers *h)
{
    const struct route_choice *c = &r->choice;
    const struct conf_header_ops *ops[] = {
        !c->weighted ? NULL
        : is_request ? &c->weighted->request_headers
                     : &c->weighted->response_headers,
        !c->route    ? NULL
        : is_request ? &c->route->request_headers
                     : &c->route->response_headers,
        is_request ? &c->vhost->request_headers : &c->vhost->response_headers,
        is_request ? &r->config->request_headers : &r->config->response_headers,
    };
    size_t n = ARRAY_LEN(ops);
    for (size_t i = 0; i < n; i++) {
        const struct conf_header_ops *o = ops[r->config->most_specific_wins ? n - 1 - i : i];
        if (o)
            header_ops_apply(o, r->s, h);
    }
}

void router_change_request(struct router_stream *r, struct headers *h)
{
    apply_all(r, true, h);
    router_rewrite_host(r, h);
    router_rewrite_path(r, h);
}

void router_change_response(struct router_stream *r, struct headers *h)
{
    uint64_t end_us = r->s->info.req_end_us;
    char text[24];
    if (r->is_active && end_us && !router_options(r)->suppress_envoy_headers) {
        uint64_t ms = (loop_now_us(r->s->loop) - end_us) / 1000;
        headers_set_id(h, HDR_X_ENVOY_UPSTREAM_SERVICE_TIME, format_u64(ms, text));
    }
    if (r->is_active)
        r->s->info.status = headers_status(h); /* formats ask for it */
    if (r->choice.vhost->include_attempts_in_response && r->s->info.attempts)
        router_set_number(h, STR("x-envoy-attempt-count"), r->s->info.attempts);
    if (r->choice.set_cookie.p)
        headers_add(h, STR("set-cookie"), r->choice.set_cookie);
    apply_all(r, false, h);
}
