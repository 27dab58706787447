/* One attempt at an upstream after another, until a response goes down or nothing is left. */
#include "filters/router_private.h"
#include "http/upgrade.h"
#include "net/conn_tls.h"

enum { TRIED_MAX = 16 };

static struct router_stream *of_request(struct upstream_request *up)
{
    return container_of(up, struct router_stream, up);
}

static enum conf_priority priority_of(const struct router_stream *r)
{
    return r->choice.route->is_high_priority ? CONF_PRIORITY_HIGH : CONF_PRIORITY_DEFAULT;
}

static void pause_request(struct router_stream *r, bool pause)
{
    if (r->is_read_disabled == pause)
        return;
    r->is_read_disabled = pause;
    stream_request_read_disable(r->s, pause);
}

/* ---- ends ---- */

static void release_retry(struct router_stream *r)
{
    if (r->holds_retry)
        upstream_retry_end(r->cluster, priority_of(r));
    r->holds_retry = false;
}

static void finish_attempt(struct router_stream *r)
{
    if (!r->has_up)
        return;
    r->has_up = false;
    loop_timer_stop(&r->try_timer);
    loop_timer_stop(&r->try_idle_timer);
    loop_timer_stop(&r->up_timer);
    upstream_request_finish(&r->up);
    r->up = (struct upstream_request){0};
}

void router_end_retries(struct router_stream *r)
{
    release_retry(r);
    r->retry.on = 0;
    loop_timer_stop(&r->try_timer); /* from here on the route's timeout alone holds */
    if (r->is_kept && r->has_up && r->up.is_ready)
        buf_fini(&r->body);
    r->is_kept = false;
}

void router_finish_upstream(struct router_stream *r)
{
    if (!r->is_active)
        return;
    finish_attempt(r);
    release_retry(r);
    loop_timer_stop(&r->timer);
    loop_timer_stop(&r->backoff_timer);
    for (unsigned i = 0; i < r->tried_n; i++)
        upstream_host_unref(r->tried[i]);
    r->tried_n = 0;
    upstream_host_unref(r->host);
    r->host = NULL;
    r->cluster = NULL;
    r->is_active = r->is_kept = false;
    buf_fini(&r->body);
    pause_request(r, false); /* what still comes is dropped */
}

/* ---- retries ---- */

enum outcome { RETRY_NO, RETRY_YES, RETRY_LIMIT, RETRY_OVERFLOW };

static enum outcome decide(struct router_stream *r, bool is_wanted, const struct headers *response)
{
    struct stream *s = r->s;
    if (r->holds_retry && !is_wanted)
        upstream_count_retry(r->cluster, UPSTREAM_RETRY_SUCCESS);
    release_retry(r);
    if (!is_wanted)
        return RETRY_NO;
    if (!r->retry.left) {
        upstream_count_retry(r->cluster, UPSTREAM_RETRY_LIMIT_EXCEEDED);
        return RETRY_LIMIT;
    }
    r->retry.left--;
    if (!upstream_retry_begin(r->cluster, priority_of(r)))
        return RETRY_OVERFLOW;
    r->holds_retry = true;
    struct retry_delay d =
        retry_backoff(&r->retry, response, loop_wall_ns(s->loop) / 1000000000, &r->worker->random);
    upstream_count_retry(r->cluster, d.is_ratelimited ? UPSTREAM_RETRY_RATELIMITED
                                                      : UPSTREAM_RETRY_EXPONENTIAL);
    loop_timer_start(&r->backoff_timer, d.ms);
    return RETRY_YES;
}

static bool retry(struct router_stream *r, bool is_wanted, const struct headers *response)
{
    if (!r->retry.on || r->resp_started)
        return false;
    switch (decide(r, is_wanted, response)) {
    case RETRY_YES:
        return true;
    case RETRY_LIMIT:
        r->s->info.flags |= FLAG_UPSTREAM_RETRY_LIMIT_EXCEEDED;
        return false;
    case RETRY_OVERFLOW:
        r->s->info.flags |= FLAG_UPSTREAM_OVERFLOW;
        return false;
    case RETRY_NO:
        break;
    }
    return false;
}

static bool retry_reset(struct router_stream *r, enum upstream_reset why)
{
    bool is_wanted = retry_wants_reset(&r->retry, why, r->up.is_ready);
    if (!retry(r, is_wanted, NULL))
        return false;
    finish_attempt(r);
    return true;
}

static void on_backoff(struct loop_timer *t)
{
    struct router_stream *r = container_of(t, struct router_stream, backoff_timer);
    struct upstream_cluster *c = r->cluster;
    struct upstream_host *host = router_choose_host(r, c);
    if (host) {
        router_start(r, c, host);
        return;
    }
    r->s->info.attempts++;
    router_reply_no_host(r, c);
    router_finish_upstream(r);
}

/* ---- timeouts ---- */

static void on_timeout(struct loop_timer *t)
{
    struct router_stream *r = container_of(t, struct router_stream, timer);
    upstream_count_timeout(r->cluster, r->host);
    router_reply_timeout(r, FLAG_UPSTREAM_REQUEST_TIMEOUT, "response_timeout");
}

static void on_try_timeout(struct loop_timer *t)
{
    struct router_stream *r = container_of(t, struct router_stream, try_timer);
    upstream_count_try_timeout(r->cluster, r->host, false);
    r->is_after_try_timeout = true;
    if (!retry_reset(r, UPSTREAM_RESET_LOCAL))
        router_reply_timeout(r, FLAG_UPSTREAM_REQUEST_TIMEOUT, "upstream_per_try_timeout");
}

static void on_try_idle(struct loop_timer *t)
{
    struct router_stream *r = container_of(t, struct router_stream, try_idle_timer);
    upstream_count_try_timeout(r->cluster, r->host, true);
    r->is_after_try_timeout = true;
    if (!retry_reset(r, UPSTREAM_RESET_LOCAL))
        router_reply_timeout(r, FLAG_STREAM_IDLE_TIMEOUT, "upstream_per_try_idle_timeout");
}

static void on_up_duration(struct loop_timer *t)
{
    struct router_stream *r = container_of(t, struct router_stream, up_timer);
    upstream_count_max_duration(r->cluster);
    if (!retry_reset(r, UPSTREAM_RESET_LOCAL))
        router_reply_max_duration(r);
}

static void touch(struct router_stream *r)
{
    if (r->try_idle_ms && r->has_up)
        loop_timer_start(&r->try_idle_timer, r->try_idle_ms);
}

/* The request is complete: the clocks that wait for that start. */
static void start_timers(struct router_stream *r)
{
    if (r->timeout_ms && !loop_timer_is_on(&r->timer))
        loop_timer_start(&r->timer, r->timeout_ms);
    if (r->try_timeout_ms && r->has_up && r->up.is_ready && !r->resp_started)
        loop_timer_start(&r->try_timer, r->try_timeout_ms);
}

/* ---- the request towards the upstream ---- */

static void send_kept(struct router_stream *r, bool ends)
{
    struct buf copy = {0};
    if (!r->is_kept) {
        upstream_request_body(&r->up, &r->body, ends);
        return;
    }
    buf_adds(&copy, buf_str(&r->body));
    upstream_request_body(&r->up, &copy, ends);
    buf_fini(&copy);
}

static void set_upstream_info(struct stream *s, const struct upstream_request *up)
{
    const struct conn *c = upstream_request_conn(up);
    struct stream_info *info = &s->info;
    info->upstream_local = *up->local;
    info->upstream_connection_id = c->id;
    info->upstream_minor = upstream_request_minor(up);
    info->upstream_tx_first_us = loop_now_us(s->loop);
    info->upstream_tx_last_us = 0;
    conn_tls_unref(info->upstream_tls);
    info->upstream_tls = conn_tls_ref(conn_tls(c));
}

static void on_ready(struct upstream_request *up)
{
    struct router_stream *r = of_request(up);
    struct stream *s = r->s;
    bool only_head = r->req_end && !r->body.len && !r->has_trailers;
    set_upstream_info(s, up);
    if (upstream_max_duration_ms(r->cluster))
        loop_timer_start(&r->up_timer, upstream_max_duration_ms(r->cluster));
    s->info.upstream_tx_bytes = r->body.len;
    upstream_request_headers(up, &s->req, only_head);
    if (r->req_end)
        s->info.upstream_tx_last_us = loop_now_us(s->loop);
    touch(r);
    if (r->req_end)
        start_timers(r);
    if (only_head)
        return;
    bool ends = r->req_end && !r->has_trailers;
    pause_request(r, false); /* the connection may have enough by what follows */
    if (r->body.len || ends)
        send_kept(r, ends);
    if (r->has_trailers)
        upstream_request_trailers(up, &s->req_trailers);
}

static void on_water(struct upstream_request *up, bool is_high)
{
    pause_request(of_request(up), is_high);
}

uint64_t router_kept_max(const struct router_stream *r)
{
    uint64_t max = r->s->hcm->buffer_limit;
    uint32_t own = r->choice.route->request_kept_max;
    if (!own)
        own = r->choice.vhost->request_kept_max;
    return own && own < max ? own : max;
}

/* More than can be kept: no further attempt then. False: none was under way. */
static bool keep(struct router_stream *r, const struct buf *data)
{
    if (r->body.len + data->len <= router_kept_max(r)) {
        buf_adds(&r->body, buf_str(data));
        return true;
    }
    upstream_count_retry(r->cluster, UPSTREAM_RETRY_ABANDONED);
    router_end_retries(r);
    if (r->has_up)
        return true;
    router_reply_overrun(r);
    return false;
}

static void note_sent(struct router_stream *r, size_t n)
{
    struct stream_info *info = &r->s->info;
    info->upstream_tx_bytes += n;
    if (r->req_end)
        info->upstream_tx_last_us = loop_now_us(r->s->loop);
}

enum filter_status router_take_body(struct router_stream *r, struct buf *data, bool end)
{
    r->req_end = r->req_end || end;
    router_shadow_body(r, data);
    if (end)
        router_shadow_send(r);
    if (r->is_kept && !keep(r, data))
        return FILTER_REPLIED;
    if (end)
        start_timers(r);
    touch(r);
    if (r->has_up && r->up.is_ready) {
        note_sent(r, data->len);
        upstream_request_body(&r->up, data, end);
        return FILTER_CONTINUE;
    }
    if (r->is_kept)
        return FILTER_CONTINUE;
    buf_move(&r->body, data);
    if (r->body.len > r->s->hcm->buffer_limit)
        pause_request(r, true);
    return FILTER_CONTINUE;
}

void router_take_trailers(struct router_stream *r, const struct headers *h)
{
    r->req_end = r->has_trailers = true;
    router_shadow_send(r);
    start_timers(r);
    if (r->has_up && r->up.is_ready) {
        note_sent(r, 0);
        upstream_request_trailers(&r->up, h);
    }
}

/* ---- the response ---- */

static void on_1xx(struct upstream_request *up, unsigned status)
{
    struct router_stream *r = of_request(up);
    upstream_count_status(r->cluster, r->host, status);
    /* The connection answered 100 to the client itself, unless it was told not to. Other interim
     * responses end here, as in Envoy. */
    if (status != 100 || !r->s->hcm->conf->proxy_100_continue)
        return;
    router_end_retries(r); /* the client has heard of this one */
    stream_send_1xx(r->s, status);
}

/* The response is complete. With the request still on its way the connection cannot be kept. */
static void end_response(struct router_stream *r, bool end)
{
    struct stream *s = r->s;
    if (!end || !r->is_active)
        return;
    s->info.upstream_last_us = loop_now_us(s->loop);
    if (s->info.req_end_us)
        upstream_record_time(r->cluster, (s->info.upstream_last_us - s->info.req_end_us) / 1000);
    router_finish_upstream(r);
}

static void on_headers(struct upstream_request *up, bool end)
{
    struct router_stream *r = of_request(up);
    struct stream *s = r->s;
    unsigned status = headers_status(&up->headers);
    if (s->is_replied || s->is_ended) { /* somebody else answered meanwhile */
        router_finish_upstream(r);
        return;
    }
    if (retry(r, retry_wants_response(&r->retry, &up->headers), &up->headers)) {
        upstream_count_retried(r->cluster, r->host, status);
        finish_attempt(r);
        return;
    }
    router_end_retries(r);
    struct headers spare = s->resp;
    s->resp = up->headers;
    up->headers = spare;
    struct header_case spare_names = s->resp_case;
    s->resp_case = up->names;
    up->names = spare_names;
    r->resp_started = true;
    touch(r);
    upstream_count_status(r->cluster, r->host, status);
    router_change_response(r, &s->resp);
    stream_upstream_headers(s, end);
    end_response(r, end);
}

static void on_body(struct upstream_request *up, struct buf *data, bool end)
{
    struct router_stream *r = of_request(up);
    r->s->info.upstream_rx_bytes += data->len;
    touch(r);
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
    struct router_stream *r = of_request(up);
    if (!retry_reset(r, why))
        router_reply_reset(r, why, failure);
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

/* ---- starts ---- */

static void remember(struct router_stream *r, struct upstream_host *host)
{
    const struct conf_retry_policy *p = r->retry.policy;
    if (r->host)
        upstream_host_unref(r->host);
    r->host = upstream_host_ref(host);
    if (!r->retry.on || !p || !p->previous_hosts || r->tried_n == TRIED_MAX)
        return;
    if (!r->tried)
        r->tried = arena_alloc(&r->s->arena, TRIED_MAX * sizeof(struct upstream_host *));
    r->tried[r->tried_n++] = upstream_host_ref(host);
}

static void set_attempt_headers(struct router_stream *r)
{
    const struct conf_virtual_host *v = r->choice.vhost;
    struct headers *h = &r->s->req;
    router_say_timeout(r, h);
    router_rewrite_auto_host(r, h, r->host);
    if (v->include_attempts_in_request)
        router_set_number(h, STR("x-envoy-attempt-count"), r->s->info.attempts);
    if (v->include_is_timeout_retry && r->s->info.attempts > 1)
        headers_set(h, STR("x-envoy-is-timeout-retry"),
                    r->is_after_try_timeout ? STR("true") : STR("false"));
    r->is_after_try_timeout = false;
}

static bool ends_here(const struct router_stream *r)
{
    const struct conf_route *route = r->choice.route;
    const struct conf_upgrade *u =
        r->s->upgrade.n ? upgrade_find(route->upgrades, route->upgrades_n, r->s->upgrade) : NULL;
    return u && u->ends_here;
}

void router_start(struct router_stream *r, struct upstream_cluster *c, struct upstream_host *host)
{
    struct stream *s = r->s;
    if (!r->is_active) {
        r->is_active = true;
        router_shadow_begin(r, &s->req);
        if (r->req_end)
            router_shadow_send(r);
        loop_timer_init(&r->timer, s->loop, on_timeout);
        loop_timer_init(&r->try_timer, s->loop, on_try_timeout);
        loop_timer_init(&r->try_idle_timer, s->loop, on_try_idle);
        loop_timer_init(&r->backoff_timer, s->loop, on_backoff);
        loop_timer_init(&r->up_timer, s->loop, on_up_duration);
    }
    if (!r->host) { /* retries mean the same name, whatever a host rewrites it to */
        upstream_request_name(&r->up, c, &s->req);
        struct str name = r->up.server_name;
        r->server_name =
            (struct str){arena_strndup(&s->arena, name.n ? name.p : "", name.n), name.n};
    }
    s->info.attempts++;
    s->info.upstream_remote = *upstream_host_addr(host);
    s->info.upstream_host_name = arena_strdup(&s->arena, upstream_host_name(host));
    r->cluster = c;
    remember(r, host);
    set_attempt_headers(r);
    r->up.ops = &request_ops;
    r->up.priority = priority_of(r);
    r->up.server_name = r->server_name;
    r->up.alpn = s->alpn;
    r->up.request_names = &s->req_case;
    r->up.upgrade = s->upgrade;
    r->up.is_raw = ends_here(r);
    r->up.down = s->info.down;
    r->up.is_from_http2 = s->info.http_minor == 20;
    r->has_up = true;
    if (r->req_end)
        start_timers(r);
    upstream_request_start(&r->up, c, host);
}
