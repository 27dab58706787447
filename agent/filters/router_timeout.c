/* How long a request may take. Source: Envoy's FilterUtility::finalTimeout, setTimeoutHeaders, and
 * ActiveStream::refreshDurationTimeout. */
#include <stdio.h>

#include "filters/router_private.h"

/* A number in a header; what is not a number counts for nothing. */
static bool get_ms(const struct headers *h, const char *name, uint32_t *ms)
{
    uint64_t v;
    if (!str_to_u64(headers_get_name(h, str_of(name)), UINT32_MAX, &v))
        return false;
    *ms = (uint32_t)v;
    return true;
}

/* "8 digits, unit" (gRPC over HTTP/2). False: none. */
static bool get_grpc_timeout(const struct headers *h, uint64_t *ms_r)
{
    struct str text = headers_get_name(h, STR("grpc-timeout"));
    uint64_t n;
    if (text.n < 2 || text.n > 9 || !str_to_u64((struct str){text.p, text.n - 1}, UINT32_MAX, &n))
        return false;
    switch (text.p[text.n - 1]) {
    case 'H':
        *ms_r = n * 3600000;
        return true;
    case 'M':
        *ms_r = n * 60000;
        return true;
    case 'S':
        *ms_r = n * 1000;
        return true;
    case 'm':
        *ms_r = n;
        return true;
    case 'u':
        *ms_r = (n + 999) / 1000;
        return true;
    case 'n':
        *ms_r = (n + 999999) / 1000000;
        return true;
    default:
        return false;
    }
}

static void set_grpc_timeout(struct headers *h, uint64_t ms)
{
    char text[32];
    bool is_long = ms > 99999999;
    int n = snprintf(text, sizeof(text), "%llu%c", (unsigned long long)(is_long ? ms / 1000 : ms),
                     is_long ? 'S' : 'm');
    headers_set(h, STR("grpc-timeout"), (struct str){text, (size_t)n});
}

static uint32_t cap(uint64_t ms)
{
    return ms < UINT32_MAX ? (uint32_t)ms : UINT32_MAX;
}

/* The client's deadline within max_grpc_timeout, where 0 is for ever on both sides. */
static uint64_t capped_grpc_timeout(const struct conf_route_timeouts *t, const struct headers *h)
{
    uint64_t ms = 0;
    get_grpc_timeout(h, &ms);
    if (t->grpc_offset_ms < ms)
        ms -= t->grpc_offset_ms;
    if (t->grpc_max_ms && (!ms || ms > t->grpc_max_ms))
        ms = t->grpc_max_ms;
    return ms;
}

void router_set_timeouts(struct router_stream *r, struct headers *h)
{
    const struct conf_retry_policy *p = r->retry.policy;
    const struct conf_route *route = r->choice.route;
    const struct conf_route_timeouts *t = &route->timeouts;
    if (!t->has_stream_duration)
        r->timeout_ms =
            r->s->is_grpc && t->has_grpc_max ? cap(capped_grpc_timeout(t, h)) : route->timeout_ms;
    r->try_timeout_ms = p ? p->per_try_timeout_ms : 0;
    r->try_idle_ms = p ? p->per_try_idle_timeout_ms : 0;
    r->says_grpc_timeout = r->s->is_grpc && !t->has_stream_duration && t->has_grpc_max;
    bool is_told = router_options(r)->respect_expected_timeout &&
                   get_ms(h, "x-envoy-expected-rq-timeout-ms", &r->timeout_ms);
    if (!is_told) {
        get_ms(h, "x-envoy-upstream-rq-timeout-ms", &r->timeout_ms);
        headers_remove(h, STR("x-envoy-upstream-rq-timeout-ms"));
    }
    r->timeout_status =
        headers_find_name(h, STR("x-envoy-upstream-rq-timeout-alt-response")) ? 204 : 504;
    headers_remove(h, STR("x-envoy-upstream-rq-timeout-alt-response"));
    get_ms(h, "x-envoy-upstream-rq-per-try-timeout-ms", &r->try_timeout_ms);
    headers_remove(h, STR("x-envoy-upstream-rq-per-try-timeout-ms"));
    if (r->timeout_ms && r->try_timeout_ms >= r->timeout_ms)
        r->try_timeout_ms = 0;
}

void router_say_timeout(struct router_stream *r, struct headers *h)
{
    uint64_t ms = r->try_timeout_ms ? r->try_timeout_ms : r->timeout_ms;
    uint64_t end_us = r->s->info.req_end_us;
    if (!ms)
        return;
    if (r->timeout_ms && end_us) {
        uint64_t used = (loop_now_us(r->s->loop) - end_us) / 1000;
        uint64_t left = used < r->timeout_ms ? r->timeout_ms - used : 1;
        ms = ms < left ? ms : left;
    }
    if (!router_options(r)->suppress_envoy_headers)
        router_set_number(h, STR("x-envoy-expected-rq-timeout-ms"), ms);
    if (r->says_grpc_timeout)
        set_grpc_timeout(h, ms);
}

static void on_duration(struct loop_timer *t)
{
    struct router_stream *r = container_of(t, struct router_stream, duration_timer);
    struct stream *s = r->s;
    stat_inc(s->hcm->stats.rq_max_duration_reached);
    stream_local_reply(s, s->req_complete ? 504 : 408, STR("downstream duration timeout"),
                       "max_duration_timeout", 0, GRPC_DEADLINE_EXCEEDED, NULL);
}

/* The stream's whole life: of the client's gRPC deadline if the route takes it, else the route's.
 * False: the route has no word on it. */
static bool find_duration(const struct conf_route_timeouts *t, const struct headers *h,
                          uint64_t *ms_r)
{
    uint64_t ms;
    if (!t->has_grpc_header_max || !get_grpc_timeout(h, &ms)) {
        *ms_r = t->stream_duration_ms;
        return t->has_stream_duration_value && t->stream_duration_ms;
    }
    if (t->grpc_header_max_ms && ms > t->grpc_header_max_ms)
        ms = t->grpc_header_max_ms;
    if (ms && t->grpc_header_offset_ms)
        ms = ms > t->grpc_header_offset_ms ? ms - t->grpc_header_offset_ms : 0;
    *ms_r = ms;
    return true;
}

void router_start_duration(struct router_stream *r, struct headers *h)
{
    const struct conf_route_timeouts *t = &r->choice.route->timeouts;
    struct stream *s = r->s;
    uint64_t ms = 0;
    if (!t->has_stream_duration)
        return;
    bool is_limited = find_duration(t, h, &ms);
    if (s->is_grpc) {
        if (is_limited)
            set_grpc_timeout(h, ms);
        else
            headers_remove(h, STR("grpc-timeout"));
    }
    if (!is_limited)
        return;
    uint64_t used = (loop_now_us(s->loop) - s->info.start_us) / 1000;
    loop_timer_start(&r->duration_timer, ms > used ? ms - used : 0);
}

/* The connection manager's holds until a route says otherwise. */
void router_init_duration(struct router_stream *r)
{
    uint32_t ms = r->s->hcm->conf->max_stream_duration_ms;
    loop_timer_init(&r->duration_timer, r->s->loop, on_duration);
    if (ms)
        loop_timer_start(&r->duration_timer, ms);
}
