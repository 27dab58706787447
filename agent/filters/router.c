#include "filters/router.h"

#include "base/mem.h"
#include "filters/router_private.h"
#include "http/hcm.h"

static struct router_stream *of_request(struct upstream_request *up)
{
    return container_of(up, struct router_stream, up);
}

static struct router_stream *of_filter(struct http_filter *f)
{
    return f->state;
}

/* ---- worker and stream ---- */

static void worker_init(const struct conf_http_filter *conf, struct filter_env *env, void **obj_r)
{
    (void)conf;
    struct router_worker *w = MEM_NEW(struct router_worker);
    w->env = env;
    *obj_r = w;
}

static void worker_fini(void *obj)
{
    struct router_worker *w = obj;
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
    r->worker = f->worker_obj;
    if (!r->worker->has_stats)
        define_stats(r->worker, f->stream->hcm->conf->stat_prefix);
    f->state = r;
    return true;
}

static void pause_request(struct router_stream *r, bool pause)
{
    if (r->is_read_disabled == pause)
        return;
    r->is_read_disabled = pause;
    stream_request_read_disable(r->s, pause);
}

void router_finish_upstream(struct router_stream *r)
{
    if (!r->is_active)
        return;
    r->is_active = false;
    loop_timer_stop(&r->timer);
    upstream_request_finish(&r->up);
    buf_fini(&r->body);
    pause_request(r, false); /* what still comes is dropped */
}

static void stream_fini(struct http_filter *f)
{
    struct router_stream *r = of_filter(f);
    router_finish_upstream(r);
}

/* ---- the request towards the upstream ---- */

static void start_timer(struct router_stream *r)
{
    if (r->timeout_ms && r->is_active)
        loop_timer_start(&r->timer, r->timeout_ms);
}

static void on_ready(struct upstream_request *up)
{
    struct router_stream *r = of_request(up);
    struct stream *s = r->s;
    bool only_head = r->req_end && !r->body.len && !r->has_trailers;
    s->info.upstream_local = *up->local;
    upstream_request_headers(up, &s->req, only_head);
    if (only_head)
        return;
    bool ends = r->req_end && !r->has_trailers;
    s->info.upstream_tx_bytes += r->body.len;
    if (r->body.len || ends)
        upstream_request_body(up, &r->body, ends);
    if (r->has_trailers)
        upstream_request_trailers(up, &s->req_trailers);
    pause_request(r, false);
}

static void on_water(struct upstream_request *up, bool is_high)
{
    pause_request(of_request(up), is_high);
}

/* ---- the response ---- */

static void on_1xx(struct upstream_request *up, unsigned status)
{
    struct router_stream *r = of_request(up);
    /* The connection answered 100 to the client itself, unless it was told not to. */
    if (status != 100 || r->s->hcm->conf->proxy_100_continue)
        stream_upstream_1xx(r->s, status);
}

/* The response is complete. With the request still on its way the connection cannot be kept. */
static void end_response(struct router_stream *r, bool end)
{
    struct stream *s = r->s;
    if (!end || !r->is_active)
        return;
    s->info.upstream_last_us = loop_now_us(s->loop);
    if (s->info.req_end_us)
        upstream_record_time(r->up.cluster, (s->info.upstream_last_us - s->info.req_end_us) / 1000);
    router_finish_upstream(r);
}

static void on_headers(struct upstream_request *up, bool end)
{
    struct router_stream *r = of_request(up);
    struct stream *s = r->s;
    if (s->is_replied || s->is_ended) { /* somebody else answered meanwhile */
        router_finish_upstream(r);
        return;
    }
    struct headers spare = s->resp;
    s->resp = up->headers;
    up->headers = spare;
    r->resp_started = true;
    upstream_count_status(up->cluster, up->host, headers_status(&s->resp));
    router_change_response(r, &s->resp);
    stream_upstream_headers(s, end);
    end_response(r, end);
}

static void on_body(struct upstream_request *up, struct buf *data, bool end)
{
    struct router_stream *r = of_request(up);
    r->s->info.upstream_rx_bytes += data->len;
    stream_upstream_body(r->s, data, end);
    end_response(r, end);
}

static void on_trailers(struct upstream_request *up)
{
    struct router_stream *r = of_request(up);
    struct headers spare = r->s->resp_trailers;
    r->s->resp_trailers = up->trailers;
    up->trailers = spare;
    stream_upstream_trailers(r->s);
    end_response(r, true);
}

static void on_reset(struct upstream_request *up, enum upstream_reset why, const char *failure)
{
    router_reply_reset(of_request(up), why, failure);
}

static void on_timeout(struct loop_timer *t)
{
    router_reply_timeout(container_of(t, struct router_stream, timer));
}

static const struct upstream_request_ops request_ops = {
    .on_ready = on_ready,
    .on_1xx = on_1xx,
    .on_headers = on_headers,
    .on_body = on_body,
    .on_trailers = on_trailers,
    .on_reset = on_reset,
    .on_water = on_water,
};

/* ---- choice ---- */

static bool choose_route(struct router_stream *r, struct headers *h)
{
    const struct conf_hcm *conf = r->s->hcm->conf;
    r->config = conf->rds_name ? snapshot_route(r->s->snapshot, str_of(conf->rds_name))
                               : conf->route_config;
    if (!r->config) {
        router_reply_no_route(r, "route_configuration_not_found");
        return false;
    }
    if (!route_match(r->config, h, &r->choice)) {
        router_reply_no_route(r, "route_not_found");
        return false;
    }
    r->s->info.route_name = r->choice.route->name;
    return true;
}

static struct upstream_host *choose_host(struct router_stream *r, struct upstream_cluster *c,
                                         const struct headers *h)
{
    const struct downstream_info *down = r->s->info.down;
    struct lb_context ctx = {0};
    if (upstream_cluster_conf(c)->type == CONF_CLUSTER_ORIGINAL_DST) {
        if (down->is_restored)
            ctx.original_dst = &down->local;
        ctx.original_dst_header = headers_get_name(h, STR("x-envoy-original-dst-host"));
    }
    return upstream_pick(c, &ctx);
}

static void start_upstream(struct router_stream *r, struct upstream_cluster *c,
                           struct upstream_host *host)
{
    struct stream *s = r->s;
    s->info.upstream_remote = *upstream_host_addr(host);
    s->info.attempts = 1;
    r->up.ops = &request_ops;
    r->is_active = true;
    loop_timer_init(&r->timer, s->loop, on_timeout);
    if (r->req_end)
        start_timer(r);
    upstream_request_start(&r->up, c, host);
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
        router_reply_direct(r);
        return FILTER_REPLIED;
    }
    struct upstream_cluster *c =
        upstreams_find(r->worker->env->upstreams, s->snapshot, route->cluster);
    if (!c) {
        router_reply_no_cluster(r);
        return FILTER_REPLIED;
    }
    s->info.upstream_cluster = arena_strndup(&s->arena, route->cluster.p, route->cluster.n);
    router_set_timeout(r, h);
    router_change_request(r, h);
    struct upstream_host *host = choose_host(r, c, h);
    if (!host) {
        router_reply_no_host(r, c);
        return FILTER_REPLIED;
    }
    r->req_end = end;
    start_upstream(r, c, host);
    return FILTER_CONTINUE;
}

static enum filter_status req_body(struct http_filter *f, struct buf *data, bool end)
{
    struct router_stream *r = of_filter(f);
    if (!r->is_active) {
        buf_fini(data); /* the response is complete already */
        return FILTER_CONTINUE;
    }
    r->req_end = r->req_end || end;
    if (end)
        start_timer(r);
    if (r->up.is_ready) {
        r->s->info.upstream_tx_bytes += data->len;
        upstream_request_body(&r->up, data, end);
        return FILTER_CONTINUE;
    }
    buf_move(&r->body, data);
    if (r->body.len > r->s->hcm->buffer_limit)
        pause_request(r, true);
    return FILTER_CONTINUE;
}

static enum filter_status req_trailers(struct http_filter *f, struct headers *h)
{
    struct router_stream *r = of_filter(f);
    if (!r->is_active)
        return FILTER_CONTINUE;
    r->req_end = r->has_trailers = true;
    start_timer(r);
    if (r->up.is_ready)
        upstream_request_trailers(&r->up, h);
    return FILTER_CONTINUE;
}

static void resp_read_disable(struct http_filter *f, bool disable)
{
    struct router_stream *r = of_filter(f);
    if (r && r->is_active)
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
