/* A session: its settings, input and output in turn, pings, and its end. */
#include "http/h2_private.h"

#include <string.h>

#include "base/mem.h"

void h2_stats_init(struct h2_stats *st, const char *prefix)
{
#define X(kind, field) st->field = stat_define(STAT_##kind, "%shttp2." #field, prefix);
    H2_STAT_MAP(X)
#undef X
}

void h2_stats_fini(struct h2_stats *st)
{
#define X(kind, field) stat_release(st->field);
    H2_STAT_MAP(X)
#undef X
}

static void send_ping(struct h2_session *h)
{
    h->is_ping_out = true;
    nghttp2_submit_ping(h->ng, NGHTTP2_FLAG_NONE, NULL);
    loop_timer_start(&h->ping_timer, h->conf->ping_timeout_ms);
    h2_schedule(h);
}

static void on_ping_timer(struct loop_timer *t)
{
    struct h2_session *h = container_of(t, struct h2_session, ping_timer);
    if (!h->is_ping_out) {
        send_ping(h);
        return;
    }
    stat_inc(h->stats->keepalive_timeout);
    h2_session_fail(h, H2_NO_ERROR, "http2.ping_timeout");
}

static void end(struct h2_session *h)
{
    if (h->is_end_told)
        return;
    h->is_end_told = h->is_ended = true;
    loop_timer_stop(&h->ping_timer);
    h->ops->on_end(h);
}

static void run_flush(struct loop_task *t)
{
    struct h2_session *h = container_of(t, struct h2_session, flush_task);
    if (!h->ng)
        return;
    h->is_inside = true;
    while (!list_is_empty(&h->waiting) && !h->is_ended) {
        struct h2_stream *st = container_of(h->waiting.next, struct h2_stream, waiting_node);
        list_del(&st->waiting_node);
        h2_stream_deliver(st);
    }
    h->is_inside = false;
    h2_session_flush(h);
    bool is_done = h->ng && !h->is_blocked && !nghttp2_session_want_read(h->ng) &&
                   !nghttp2_session_want_write(h->ng);
    if (h->is_ended || is_done)
        end(h);
}

void h2_schedule(struct h2_session *h)
{
    loop_defer(h->conn->loop, &h->flush_task);
}

static nghttp2_session *create(struct h2_session *h)
{
    nghttp2_session_callbacks *cb;
    nghttp2_option *option;
    nghttp2_session *ng = NULL;
    enum { HEAD_SEND_MAX = 16 << 20 };
    nghttp2_session_callbacks_new(&cb);
    nghttp2_option_new(&option);
    h2_recv_callbacks(cb);
    h2_send_callbacks(cb);
    nghttp2_option_set_no_auto_window_update(option, 1);
    nghttp2_option_set_no_closed_streams(option, 1);
    nghttp2_option_set_max_send_header_block_length(option, HEAD_SEND_MAX);
    nghttp2_option_set_max_deflate_dynamic_table_size(option, 4096);
    if (h->side == H2_SERVER)
        nghttp2_session_server_new2(&ng, cb, h, option);
    else
        nghttp2_session_client_new2(&ng, cb, h, option);
    nghttp2_session_callbacks_del(cb);
    nghttp2_option_del(option);
    return ng;
}

static void submit_settings(struct h2_session *h)
{
    const struct conf_http2 *c = h->conf;
    nghttp2_settings_entry v[5];
    size_t n = 0;
    if (c->hpack_table_size != 4096)
        v[n++] = (nghttp2_settings_entry){NGHTTP2_SETTINGS_HEADER_TABLE_SIZE, c->hpack_table_size};
    if (h->side == H2_CLIENT)
        v[n++] = (nghttp2_settings_entry){NGHTTP2_SETTINGS_ENABLE_PUSH, 0};
    else
        v[n++] = (nghttp2_settings_entry){NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS,
                                          c->max_concurrent_streams};
    v[n++] = (nghttp2_settings_entry){NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, c->stream_window};
    if (h->side == H2_SERVER && c->allow_connect)
        v[n++] = (nghttp2_settings_entry){NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1};
    nghttp2_submit_settings(h->ng, NGHTTP2_FLAG_NONE, v, n);
    nghttp2_session_set_local_window_size(h->ng, NGHTTP2_FLAG_NONE, 0,
                                          (int32_t)c->connection_window);
}

void h2_session_init(struct h2_session *h, enum h2_side side, struct conn *conn,
                     const struct conf_http2 *conf, const struct h2_session_ops *ops,
                     struct h2_stats *stats)
{
    enum { SIZE_MAX_DEFAULT = 60 * 1024, COUNT_MAX_DEFAULT = 100 };
    memset(h, 0, sizeof(*h));
    h->side = side;
    h->conn = conn;
    h->conf = conf;
    h->ops = ops;
    h->stats = stats;
    h->headers_size_max = SIZE_MAX_DEFAULT;
    h->headers_count_max = COUNT_MAX_DEFAULT;
    h->buffer_limit = conn->high_water;
    list_init(&h->streams);
    list_init(&h->waiting);
    h->flush_task.run = run_flush;
    loop_timer_init(&h->ping_timer, conn->loop, on_ping_timer);
    h->ng = create(h);
    submit_settings(h);
    if (conf->ping_interval_ms)
        loop_timer_start(&h->ping_timer, conf->ping_interval_ms);
    h->last_rx_us = loop_now_us(conn->loop);
    h2_schedule(h);
}

void h2_session_fini(struct h2_session *h)
{
    loop_timer_stop(&h->ping_timer);
    h->is_ended = h->is_end_told = true;
    list_for_each_safe (it, tmp, &h->streams) {
        struct h2_stream *st = container_of(it, struct h2_stream, node);
        h2_stream_tell_close(st, H2_CANCEL, true);
        h2_stream_free(st);
    }
    nghttp2_session_del(h->ng);
    h->ng = NULL;
}

void h2_session_input(struct h2_session *h)
{
    struct buf in = {0};
    if (h->is_ended) {
        buf_fini(&h->conn->in);
        return;
    }
    /* An op may close the connection: the bytes must not go with it. */
    buf_move(&in, &h->conn->in);
    h->last_rx_us = loop_now_us(h->conn->loop);
    h->is_inside = true;
    ssize_t n = nghttp2_session_mem_recv(h->ng, (const uint8_t *)buf_head(&in), in.len);
    h->is_inside = false;
    buf_fini(&in);
    if (n < 0 && !h->is_ended)
        h2_session_fail(h, H2_PROTOCOL_ERROR,
                        n == NGHTTP2_ERR_FLOODED ? "http2.flood" : "http2.protocol_error");
    if (!h->is_ended)
        h2_guard_outbound(h);
    h2_schedule(h);
}

void h2_session_fail(struct h2_session *h, uint32_t code, const char *why)
{
    if (h->is_ended)
        return;
    h->is_ended = true;
    h->failure = why;
    nghttp2_session_terminate_session(h->ng, code);
    h2_schedule(h);
}

void h2_session_goaway(struct h2_session *h, bool is_final)
{
    if (h->is_ended || h->is_final)
        return;
    h->is_final = is_final;
    if (is_final || h->side == H2_CLIENT)
        nghttp2_submit_goaway(h->ng, NGHTTP2_FLAG_NONE,
                              nghttp2_session_get_last_proc_stream_id(h->ng), NGHTTP2_NO_ERROR,
                              NULL, 0);
    else
        nghttp2_submit_shutdown_notice(h->ng);
    stat_inc(h->stats->goaway_sent);
    h2_schedule(h);
}

uint32_t h2_session_peer_streams_max(const struct h2_session *h)
{
    return nghttp2_session_get_remote_settings(h->ng, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
}

bool h2_session_may_open(const struct h2_session *h)
{
    return !h->is_ended && !h->has_goaway && !h->is_final &&
           nghttp2_session_check_request_allowed(h->ng);
}

bool h2_session_peer_connects(const struct h2_session *h)
{
    return nghttp2_session_get_remote_settings(h->ng, NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL) ==
           1;
}

void h2_session_ping_if_idle(struct h2_session *h)
{
    uint64_t idle_us = loop_now_us(h->conn->loop) - h->last_rx_us;
    if (h->conf->ping_idle_ms && !h->is_ping_out && idle_us / 1000 >= h->conf->ping_idle_ms)
        send_ping(h);
}
