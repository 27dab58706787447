/* What the router changes in headers on their way. Source: Envoy's RouteEntryImplBase
 * (finalizeRequestHeaders, finalizeResponseHeaders). */
#include "filters/router_private.h"
#include "http/format.h"

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

enum { FORMATS_MAX = 4096 }; /* kept; those of configurations that are gone are among them */

void router_forget_formats(struct router_worker *w)
{
    struct hash_entry *e;
    size_t it = 0;
    while ((e = hash_next(&w->formats, &it))) {
        struct format *f = e->value;
        format_destroy(&f);
    }
    hash_fini(&w->formats);
}

static const struct format *find_format(struct router_worker *w, struct str text)
{
    struct format *f = hash_find(&w->formats, text);
    if (f)
        return f;
    if (hash_count(&w->formats) >= FORMATS_MAX)
        router_forget_formats(w);
    if (format_parse(text.p, &f, NULL)) /* it was checked when it came */
        return NULL;
    hash_set(&w->formats, text, f);
    return f;
}

/* p NULL: nothing to add. */
static struct str option_value(struct router_stream *r, const struct conf_header_value_option *o)
{
    struct sbuf out = {0};
    if (!o->is_format)
        return o->value;
    const struct format *f = find_format(r->worker, o->value);
    if (f)
        format_print_value(f, &r->s->info, r->s, &out);
    struct str v = {arena_strndup(&r->s->arena, out.p ? out.p : "", out.n), out.n};
    sbuf_fini(&out);
    return v.n || o->keep_empty ? v : STR_NULL;
}

static void apply_option(struct router_stream *r, const struct conf_header_value_option *o,
                         struct headers *h)
{
    struct str v = option_value(r, o);
    if (!v.p || !header_value_is_valid(v))
        return;
    switch (o->action) {
    case CONF_APPEND_OR_ADD:
        headers_add(h, o->name, v);
        return;
    case CONF_ADD_IF_ABSENT:
        if (!headers_find_name(h, o->name))
            headers_add(h, o->name, v);
        return;
    case CONF_OVERWRITE_OR_ADD:
        headers_set(h, o->name, v);
        return;
    case CONF_OVERWRITE_IF_EXISTS:
        if (headers_find_name(h, o->name))
            headers_set(h, o->name, v);
        return;
    }
}

static void apply(struct router_stream *r, const struct conf_header_ops *ops, struct headers *h)
{
    for (size_t i = 0; i < ops->remove_n; i++)
        headers_remove(h, ops->remove[i]);
    for (size_t i = 0; i < ops->add_n; i++)
        apply_option(r, &ops->add[i], h);
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
            apply(r, o, h);
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
