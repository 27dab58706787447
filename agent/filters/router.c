#include "filters/router.h"

#include "base/crypto.h"
#include "base/mem.h"
#include "filters/router_private.h"

static struct router_stream *of_filter(struct http_filter *f)
{
    return f->state;
}

/* ---- worker and stream ---- */

static void worker_init(const struct conf_http_filter *conf, struct filter_env *env, void **obj_r)
{
    static const struct conf_router defaults;
    struct router_worker *w = MEM_NEW(struct router_worker);
    w->options = conf->router ? conf->router : &defaults;
    list_init(&w->shadows);
    w->env = env;
    crypto_random(&w->random.state, sizeof(w->random.state));
    *obj_r = w;
}

static void worker_fini(void *obj)
{
    struct router_worker *w = obj;
    router_shadow_cancel_all(w);
    if (w->has_stats) {
#define X(name) stat_release(w->name);
        ROUTER_STAT_MAP(X)
#undef X
    }
    mem_free(w);
}

static void define_stats(struct router_worker *w, const char *prefix)
{
#define X(name) w->name = stat_define(STAT_COUNTER, "http.%s." #name, prefix);
    ROUTER_STAT_MAP(X)
#undef X
    w->has_stats = true;
}

static bool stream_init(struct http_filter *f)
{
    struct router_stream *r = arena_zalloc(&f->stream->arena, sizeof(*r));
    r->s = f->stream;
    router_init_duration(r);
    r->worker = f->worker_obj;
    if (!r->worker->has_stats)
        define_stats(r->worker, f->stream->hcm->conf->stat_prefix);
    f->state = r;
    return true;
}

static void stream_fini(struct http_filter *f)
{
    struct router_stream *r = of_filter(f);
    loop_timer_stop(&r->duration_timer);
    router_finish_upstream(r);
    router_shadow_drop(r);
}

/* ---- choice ---- */

static bool choose_route(struct router_stream *r, struct headers *h)
{
    const char *why_not = route_resolve(r->s, h, &r->config, &r->choice);
    if (why_not)
        router_reply_no_route(r, why_not);
    else if (r->choice.is_to_https)
        router_reply_redirect(r, 301, router_https_uri(r, h));
    else
        r->s->info.route_name = r->choice.route->name;
    return !why_not && !r->choice.is_to_https;
}

static bool was_tried(const struct router_stream *r, const struct upstream_host *h)
{
    for (unsigned i = 0; i < r->tried_n; i++)
        if (r->tried[i] == h)
            return true;
    return false;
}

/* Another one than before, if a few more picks find it. */
struct upstream_host *router_choose_host(struct router_stream *r, struct upstream_cluster *c)
{
    const struct headers *h = &r->s->req;
    const struct downstream_info *down = r->s->info.down;
    struct lb_context ctx = {.has_hash = r->choice.has_hash, .hash = r->choice.hash};
    if (upstream_cluster_conf(c)->type == CONF_CLUSTER_ORIGINAL_DST) {
        if (down->is_restored)
            ctx.original_dst = &down->local;
        ctx.original_dst_header = headers_get_name(h, STR("x-envoy-original-dst-host"));
    }
    unsigned more = r->tried_n ? r->retry.policy->host_attempts : 0;
    struct upstream_host *host = upstream_pick(c, &ctx);
    while (host && more-- > 0 && was_tried(r, host)) {
        upstream_host_unref(host);
        host = upstream_pick(c, &ctx);
    }
    return host;
}

static void set_idle_timeout(struct stream *s, uint32_t timeout_ms)
{
    s->idle_timeout_ms = timeout_ms;
    if (timeout_ms)
        loop_timer_start(&s->idle_timer, timeout_ms);
    else
        loop_timer_stop(&s->idle_timer);
}

static enum filter_status req_headers(struct http_filter *f, struct headers *h, bool end)
{
    struct router_stream *r = of_filter(f);
    struct stream *s = r->s;
    stat_inc(r->worker->rq_total);
    if (!choose_route(r, h))
        return FILTER_REPLIED;
    const struct conf_route *route = r->choice.route;
    if (route->has_idle_timeout)
        set_idle_timeout(s, route->idle_timeout_ms);
    if (route->action == CONF_ACTION_DIRECT_RESPONSE) {
        router_reply_direct(r, h);
        return FILTER_REPLIED;
    }
    if (route->action == CONF_ACTION_REDIRECT) {
        router_reply_redirect(r, route->redirect->status, router_redirect_uri(r, h));
        return FILTER_REPLIED;
    }
    struct str name = r->choice.cluster;
    struct upstream_cluster *c =
        name.p ? upstreams_find(r->worker->env->upstreams, s->snapshot, name) : NULL;
    if (!c) {
        router_reply_no_cluster(r);
        return FILTER_REPLIED;
    }
    s->info.upstream_cluster = arena_strndup(&s->arena, name.p, name.n);
    if (!router_check_strict(r, h))
        return FILTER_REPLIED;
    const struct conf_retry_policy *policy = route->retry ? route->retry : r->choice.vhost->retry;
    retry_init(&r->retry, policy, h, &s->arena);
    router_set_timeouts(r, h);
    router_start_duration(r, h);
    router_change_request(r, h);
    struct upstream_host *host = router_choose_host(r, c);
    if (!host) {
        router_reply_no_host(r, c);
        return FILTER_REPLIED;
    }
    r->req_end = end;
    r->is_kept = r->retry.on;
    router_start(r, c, host);
    return FILTER_CONTINUE;
}

static enum filter_status req_body(struct http_filter *f, struct buf *data, bool end)
{
    struct router_stream *r = of_filter(f);
    if (r->is_active)
        return router_take_body(r, data, end);
    buf_fini(data); /* the response is complete already */
    return FILTER_CONTINUE;
}

static enum filter_status req_trailers(struct http_filter *f, struct headers *h)
{
    struct router_stream *r = of_filter(f);
    if (r->is_active)
        router_take_trailers(r, h);
    return FILTER_CONTINUE;
}

static void resp_read_disable(struct http_filter *f, bool disable)
{
    struct router_stream *r = of_filter(f);
    if (r && r->has_up)
        upstream_request_read_disable(&r->up, disable);
}

const struct http_filter_ops router_filter_ops = {
    .name = "envoy.filters.http.router",
    .worker_init = worker_init,
    .worker_fini = worker_fini,
    .stream_init = stream_init,
    .stream_fini = stream_fini,
    .req_headers = req_headers,
    .req_body = req_body,
    .req_trailers = req_trailers,
    .resp_read_disable = resp_read_disable,
};
