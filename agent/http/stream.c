#include "http/stream.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/overload.h"
#include "http/filter_chain.h"
#include "http/hcm.h"
#include "http/hold.h"
#include "http/upgrade.h"
#include "net/conn_tls.h"

static void destroy(struct loop_task *t)
{
    struct stream *s = container_of(t, struct stream, destroy_task);
    filter_chain_fini(s);
    if (s->hcm->log)
        s->hcm->log(s->hcm, s);
    conn_tls_unref(s->info.upstream_tls);
    hold_release(s->hcm->env, s->hold);
    headers_fini(&s->req);
    headers_fini(&s->resp);
    headers_fini(&s->req_trailers);
    headers_fini(&s->resp_trailers);
    header_case_fini(&s->req_case);
    header_case_fini(&s->resp_case);
    arena_fini(&s->arena);
    mem_free(s);
}

static void count_status(const struct hcm_stats *st, unsigned status)
{
    static const size_t offsets[] = {
        offsetof(struct hcm_stats, rq_1xx), offsetof(struct hcm_stats, rq_2xx),
        offsetof(struct hcm_stats, rq_3xx), offsetof(struct hcm_stats, rq_4xx),
        offsetof(struct hcm_stats, rq_5xx)};
    unsigned class = status / 100;
    if (class >= 1 && class <= 5) {
        stat_inc(*(const stat_id *)((const char *)st + offsets[class - 1]));
        stat_inc(st->by_listener[class - 1]);
    }
    stat_inc(st->rq_completed);
    stat_inc(st->by_listener_completed);
}

static void count_end(struct stream *s)
{
    const struct hcm_stats *st = &s->hcm->stats;
    stat_add(st->rq_active, -1);
    stat_add(st->cx_upgrades_active, s->upgrade.n ? -1 : 0);
    if (!s->req_complete && !s->is_reset)
        stat_inc(st->rq_rx_reset); /* what is still to come of it is not wanted */
    if (!s->info.status)
        return;
    count_status(st, s->info.status);
    stat_record(st->rq_time, (s->info.end_us - s->info.start_us) / 1000);
}

/* Both directions are done with. Filters and log get their turn from the loop, when nobody below
 * in the call stack works with the stream any more. */
static void finish(struct stream *s)
{
    if (s->is_ended)
        return;
    s->is_ended = true;
    s->epoch++;
    s->info.end_us = loop_now_us(s->loop);
    loop_timer_stop(&s->idle_timer);
    loop_timer_stop(&s->request_timer);
    count_end(s);
    s->codec->on_stream_end(s);
    loop_defer(s->loop, &s->destroy_task);
}

static void on_idle(struct loop_timer *t)
{
    struct stream *s = container_of(t, struct stream, idle_timer);
    stat_inc(s->hcm->stats.rq_idle_timeout);
    stream_local_reply(s, s->req_complete ? 504 : 408, STR("stream timeout"), "stream_idle_timeout",
                       FLAG_STREAM_IDLE_TIMEOUT, -1, NULL);
}

static void on_request_timeout(struct loop_timer *t)
{
    struct stream *s = container_of(t, struct stream, request_timer);
    stat_inc(s->hcm->stats.rq_timeout);
    stream_local_reply(s, s->req_complete ? 504 : 408, STR("request timeout"),
                       "request_overall_timeout", 0, -1, NULL);
}

static void touch(struct stream *s)
{
    if (s->idle_timeout_ms)
        loop_timer_start(&s->idle_timer, s->idle_timeout_ms);
}

struct stream *stream_create(struct hcm *hcm, const struct downstream_info *down,
                             const struct stream_codec_ops *codec, void *codec_stream)
{
    struct stream *s = MEM_NEW(struct stream);
    arena_init(&s->arena, 1024);
    s->hcm = hcm;
    s->loop = hcm->env->loop;
    s->codec = codec;
    s->codec_stream = codec_stream;
    s->hold = hold_take(hcm->env);
    s->snapshot = s->hold->snapshot;
    s->info.down = down;
    s->info.start_us = loop_now_us(s->loop);
    s->info.start_wall_ns = loop_wall_ns(s->loop);
    s->info.http_minor = 11;
    s->destroy_task.run = destroy;
    s->idle_timeout_ms = hcm->conf->stream_idle_timeout_ms;
    loop_timer_init(&s->idle_timer, s->loop, on_idle);
    loop_timer_init(&s->request_timer, s->loop, on_request_timeout);
    stat_inc(hcm->stats.rq_total);
    stat_add(hcm->stats.rq_active, 1);
    return s;
}

static void request_is_complete(struct stream *s)
{
    s->req_complete = true;
    s->info.req_end_us = loop_now_us(s->loop);
    loop_timer_stop(&s->request_timer);
}

static void answer_verdict(struct stream *s, const struct hcm_verdict *v)
{
    enum { GRPC_INTERNAL = 13 };
    struct headers add = {0};
    if (v->location.p && !s->is_grpc)
        headers_add_id(&add, HDR_LOCATION, v->location);
    /* gRPC has no redirects: to its callers the request is broken. */
    if (v->location.p && s->is_grpc && !s->hcm->conf->keeps_broken)
        s->closes_connection = true;
    stream_local_reply(s, v->status, STR_NULL, v->details, 0, v->location.p ? GRPC_INTERNAL : -1,
                       &add);
    headers_fini(&add);
}

void stream_start(struct stream *s, bool end)
{
    if (end)
        request_is_complete(s);
    else if (s->hcm->conf->request_timeout_ms)
        loop_timer_start(&s->request_timer, s->hcm->conf->request_timeout_ms);
    touch(s);
    struct hcm_verdict v = hcm_request_headers(s);
    filter_chain_init(s);
    if (v.status) {
        answer_verdict(s, &v);
        return;
    }
    if (!s->hcm->conf->ignores_overload && overload_strikes(OVERLOAD_STOP_ACCEPTING_REQUESTS)) {
        stat_inc(s->hcm->stats.rq_overload_close);
        stream_local_reply(s, 503, STR("envoy overloaded"), "overload", 0, -1, NULL);
        return;
    }
    filter_chain_headers(s, DIR_REQ, end);
}

void stream_on_body(struct stream *s, struct buf *data, bool end)
{
    s->info.bytes_received += data->len;
    if (end)
        request_is_complete(s);
    touch(s);
    if (s->is_replied || s->is_ended)
        buf_fini(data);
    else
        filter_chain_body(s, DIR_REQ, data, end);
}

void stream_on_trailers(struct stream *s)
{
    request_is_complete(s);
    if (!s->is_replied && !s->is_ended)
        filter_chain_trailers(s, DIR_REQ);
}

void stream_on_downstream_reset(struct stream *s, uint32_t flag, const char *details)
{
    if (s->is_ended)
        return;
    s->is_reset = true;
    s->info.flags |= flag;
    s->info.details = details;
    stat_inc(s->hcm->stats.rq_rx_reset);
    finish(s);
}

void stream_reset(struct stream *s, uint32_t flag, const char *details)
{
    if (s->is_ended)
        return;
    s->is_reset = true;
    s->info.flags |= flag;
    if (details)
        s->info.details = details;
    stat_inc(s->hcm->stats.rq_tx_reset);
    stat_inc(s->hcm->stats.rq_rx_reset); /* the codec tells it as a reset, too */
    s->codec->reset(s);
    finish(s);
}

/* ---- the response's way out ---- */

static void response_is_complete(struct stream *s)
{
    s->resp_complete = true;
    s->info.resp_last_us = loop_now_us(s->loop);
}

void stream_send_headers(struct stream *s, bool end)
{
    if (s->is_ended)
        return;
    hcm_response_headers(s);
    s->resp_started = true;
    if (!s->req_complete)
        stat_inc(s->hcm->stats.rq_answered_early);
    s->info.status = headers_status(&s->resp);
    if (s->info.status < 100) { /* a filter broke it */
        s->info.status = 500;
        headers_set_id(&s->resp, HDR_STATUS, STR("500"));
    }
    s->info.resp_first_us = loop_now_us(s->loop);
    loop_timer_stop(&s->request_timer);
    s->is_upgraded = upgrade_is_taken(s, s->info.status);
    touch(s);
    if (end)
        response_is_complete(s);
    s->codec->send_headers(s, end);
    if (end)
        finish(s);
}

void stream_send_body(struct stream *s, struct buf *data, bool end)
{
    if (s->is_ended) {
        buf_fini(data);
        return;
    }
    s->info.bytes_sent += s->is_head ? 0 : data->len;
    touch(s);
    if (end)
        response_is_complete(s);
    s->codec->send_body(s, data, end);
    if (end)
        finish(s);
}

void stream_send_trailers(struct stream *s)
{
    if (s->is_ended)
        return;
    response_is_complete(s);
    s->codec->send_trailers(s);
    finish(s);
}

void stream_upstream_headers(struct stream *s, bool end)
{
    if (s->is_ended || s->is_replied)
        return;
    s->resp_passes++;
    s->info.upstream_first_us = loop_now_us(s->loop);
    if (!s->info.details)
        s->info.details = "via_upstream";
    filter_chain_headers(s, DIR_RESP, end);
}

void stream_upstream_body(struct stream *s, struct buf *data, bool end)
{
    if (s->is_ended || s->is_replied)
        buf_fini(data);
    else
        filter_chain_body(s, DIR_RESP, data, end);
}

void stream_upstream_trailers(struct stream *s)
{
    if (!s->is_ended && !s->is_replied)
        filter_chain_trailers(s, DIR_RESP);
}

void stream_send_1xx(struct stream *s, unsigned status)
{
    if (s->is_ended || s->resp_started)
        return;
    count_status(&s->hcm->stats, status);
    s->codec->send_1xx(s, status);
}

/* ---- back-pressure ---- */

static void disable_request(struct stream *s, bool disable)
{
    if (disable ? s->req_disabled++ == 0 : --s->req_disabled == 0)
        if (!s->is_ended) {
            stat_inc(disable ? s->hcm->stats.paused_reading : s->hcm->stats.resumed_reading);
            s->codec->read_disable(s, disable);
        }
}

static void disable_response(struct stream *s, bool disable)
{
    if (disable ? s->resp_disabled++ != 0 : --s->resp_disabled != 0)
        return;
    if (s->is_ended || !s->filters_n) /* no filter saw a request that could not be parsed */
        return;
    struct http_filter *router = &s->filters[s->filters_n - 1];
    if (router->ops->resp_read_disable)
        router->ops->resp_read_disable(router, disable);
}

void stream_request_read_disable(struct stream *s, bool disable)
{
    disable_request(s, disable);
}

void stream_on_codec_water(struct stream *s, bool is_high)
{
    disable_response(s, is_high);
}

void stream_on_chain_water(struct stream *s, enum filter_dir dir, bool is_high)
{
    if (dir == DIR_REQ)
        disable_request(s, is_high);
    else
        disable_response(s, is_high);
}

void stream_on_chain_overflow(struct stream *s, enum filter_dir dir)
{
    if (s->is_replied) { /* a local reply that a filter cannot buffer */
        stream_reset(s, 0, "response_payload_too_large");
    } else if (dir == DIR_REQ) {
        stat_inc(s->hcm->stats.rq_too_large);
        stream_local_reply(s, 413, STR("Payload Too Large"), "request_payload_too_large", 0, -1,
                           NULL);
    } else {
        stat_inc(s->hcm->stats.rs_too_large);
        stream_local_reply(s, 500, STR("Internal Server Error"), "response_payload_too_large", 0,
                           -1, NULL);
    }
}

/* In Envoy's order, which is that of time: that no request is tried any more is known before what
 * the last attempt came to. */
static void add_flags(uint32_t flags, bool is_tcp, const char *const *names, struct sbuf *out)
{
    bool any = !is_tcp && flags & FLAG_UPSTREAM_RETRY_LIMIT_EXCEEDED;
    if (any) {
        flags &= ~(uint32_t)FLAG_UPSTREAM_RETRY_LIMIT_EXCEEDED;
        sbuf_addz(out, names[FLAG_BIT_UPSTREAM_RETRY_LIMIT_EXCEEDED]);
    }
    for (size_t i = 0; i < FLAG_BIT_COUNT; i++)
        if (flags & (1u << i)) {
            if (any)
                sbuf_addc(out, ',');
            sbuf_addz(out, names[i]);
            any = true;
        }
    if (!any)
        sbuf_addc(out, '-');
}

void response_flags_format(uint32_t flags, bool is_tcp, struct sbuf *out)
{
    static const char *const names[] = {
#define X(name, text, long_text) text,
        RESPONSE_FLAG_MAP(X)
#undef X
    };
    add_flags(flags, is_tcp, names, out);
}

void response_flags_format_long(uint32_t flags, bool is_tcp, struct sbuf *out)
{
    static const char *const names[] = {
#define X(name, text, long_text) long_text,
        RESPONSE_FLAG_MAP(X)
#undef X
    };
    add_flags(flags, is_tcp, names, out);
}
