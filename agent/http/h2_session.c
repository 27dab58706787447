/* What a session receives; h2_send.c has the other way, h2_guard.c the floods.
 *
 *   conn->in -> nghttp2 -> on_header... -> st->head -> on_headers
 *                       -> on_data_chunk -> st->in  -> on_body, on_trailers (when enabled)
 *   nghttp2 forgets a stream when both ends were seen; we keep it until all was delivered. */
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

/* ---- streams ---- */

/* What is left of a message whose user is gone does not go out. */
static void on_flush_timeout(struct loop_timer *t)
{
    struct h2_stream *st = container_of(t, struct h2_stream, flush_timer);
    stat_inc(st->session->stats->tx_flush_timeout);
    h2_stream_reset(st, H2_CANCEL);
}

struct h2_stream *h2_stream_new(struct h2_session *h, int32_t id, void *user)
{
    struct h2_stream *st = MEM_NEW(struct h2_stream);
    st->session = h;
    st->id = id;
    st->user = user;
    list_add_tail(&h->streams, &st->node);
    list_init(&st->waiting_node);
    loop_timer_init(&st->flush_timer, h->conn->loop, on_flush_timeout);
    h->streams_n++;
    h->opened_n++;
    stat_add(h->stats->streams_active, 1);
    nghttp2_session_set_stream_user_data(h->ng, id, st);
    return st;
}

void h2_stream_free(struct h2_stream *st)
{
    struct h2_session *h = st->session;
    list_del(&st->node);
    list_del(&st->waiting_node);
    loop_timer_stop(&st->flush_timer);
    h->streams_n--;
    stat_add(h->stats->streams_active, -1);
    stat_add(h->stats->pending_send_bytes, -(int64_t)st->out.len);
    headers_fini(&st->head);
    headers_fini(&st->trailers);
    buf_fini(&st->in);
    buf_fini(&st->out);
    mem_free(st);
}

/* Gives the window of n bytes back to the peer. */
static void consume(struct h2_stream *st, size_t n)
{
    if (!n)
        return;
    if (st->is_gone)
        nghttp2_session_consume_connection(st->session->ng, n);
    else
        nghttp2_session_consume(st->session->ng, st->id, n);
}

static void drop_input(struct h2_stream *st)
{
    consume(st, st->in.len);
    buf_fini(&st->in);
    st->end_waits = st->trailers_wait = false;
}

static void tell_close(struct h2_stream *st, uint32_t code, bool by_peer)
{
    if (st->user)
        st->session->ops->on_close(st->session, st, code, by_peer);
    st->user = NULL;
}

/* Body, trailers and end, as far as they are here and wanted. */
static void deliver(struct h2_stream *st)
{
    struct h2_session *h = st->session;
    if (st->is_delivering || st->read_disabled || !st->user)
        return;
    bool end = st->end_waits && !st->trailers_wait;
    st->is_delivering = true;
    if (st->in.len || end) {
        struct buf data = {0};
        consume(st, st->in.len);
        buf_move(&data, &st->in);
        st->end_waits = st->end_waits && !end;
        st->is_closed_peer = end;
        h->ops->on_body(h, st, &data, end);
        buf_fini(&data);
    }
    if (st->user && st->trailers_wait && !st->read_disabled) {
        st->trailers_wait = st->end_waits = false;
        st->is_closed_peer = true;
        h->ops->on_trailers(h, st);
    }
    st->is_delivering = false;
    if (st->is_gone && (!st->user || st->is_closed_peer)) {
        tell_close(st, st->close_code, st->is_reset_by_peer);
        h2_stream_free(st);
    }
}

void h2_stream_read_disable(struct h2_stream *st, bool disable)
{
    struct h2_session *h = st->session;
    st->read_disabled = (uint8_t)(disable ? st->read_disabled + 1 : st->read_disabled - 1);
    if (st->read_disabled || (!st->in.len && !st->end_waits))
        return;
    if (list_is_empty(&st->waiting_node))
        list_add_tail(&h->waiting, &st->waiting_node);
    h2_schedule(h);
}

void h2_stream_detach(struct h2_stream *st)
{
    struct h2_session *h = st->session;
    st->user = NULL;
    drop_input(st);
    if (!st->end_sent && h->flush_timeout_ms)
        loop_timer_start(&st->flush_timer, h->flush_timeout_ms);
    if (st->is_gone) {
        if (!st->is_delivering)
            h2_stream_free(st);
        return;
    }
    if (st->end_sent && h->side == H2_SERVER)
        nghttp2_submit_rst_stream(h->ng, NGHTTP2_FLAG_NONE, st->id, NGHTTP2_NO_ERROR);
    h2_schedule(h);
}

void h2_stream_reset(struct h2_stream *st, uint32_t code)
{
    struct h2_session *h = st->session;
    st->user = NULL;
    st->is_reset_local = true;
    drop_input(st);
    if (st->is_gone) {
        if (!st->is_delivering)
            h2_stream_free(st);
        return;
    }
    stat_inc(h->stats->tx_reset);
    nghttp2_submit_rst_stream(h->ng, NGHTTP2_FLAG_NONE, st->id, code);
    h2_schedule(h);
}

void h2_stream_cut(struct h2_stream *st)
{
    struct h2_session *h = st->session;
    if (st->is_gone || st->is_closed_local || !st->has_head) {
        h2_stream_reset(st, H2_INTERNAL_ERROR);
        return;
    }
    st->user = NULL;
    st->is_reset_local = st->is_cut = true;
    drop_input(st);
    stat_inc(h->stats->tx_reset);
    if (h->flush_timeout_ms)
        loop_timer_start(&st->flush_timer, h->flush_timeout_ms);
    if (st->is_deferred) {
        st->is_deferred = false;
        nghttp2_session_resume_data(h->ng, st->id);
    }
    h2_schedule(h);
}

/* ---- heads ---- */

static struct h2_stream *find(struct h2_session *h, int32_t id)
{
    return nghttp2_session_get_stream_user_data(h->ng, id);
}

static int stopped(const struct h2_session *h)
{
    return h->is_ended ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

static int on_begin_headers(nghttp2_session *ng, const nghttp2_frame *f, void *arg)
{
    struct h2_session *h = arg;
    (void)ng;
    struct h2_stream *st = find(h, f->hd.stream_id);
    if (!st && h->side == H2_SERVER && f->headers.cat == NGHTTP2_HCAT_REQUEST)
        st = h2_stream_new(h, f->hd.stream_id, NULL);
    if (st) {
        headers_clear(&st->head);
        st->headers_n = 0;
    }
    return 0;
}

static int on_header(nghttp2_session *ng, const nghttp2_frame *f, const uint8_t *name,
                     size_t name_n, const uint8_t *value, size_t value_n, uint8_t flags, void *arg)
{
    struct h2_session *h = arg;
    (void)ng, (void)flags;
    struct h2_stream *st = find(h, f->hd.stream_id);
    if (!st)
        return 0;
    headers_add(&st->head, (struct str){(const char *)name, name_n},
                (struct str){(const char *)value, value_n});
    st->headers_n += name[0] != ':';
    if (st->headers_n <= h->headers_count_max &&
        headers_byte_size(&st->head) <= h->headers_size_max)
        return 0;
    stat_inc(h->stats->header_overflow);
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

/* Without this one they would be left out of the message. */
static int on_invalid_header(nghttp2_session *ng, const nghttp2_frame *f, const uint8_t *name,
                             size_t name_n, const uint8_t *value, size_t value_n, uint8_t flags,
                             void *arg)
{
    (void)ng, (void)f, (void)name, (void)name_n, (void)value, (void)value_n, (void)flags, (void)arg;
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

/* Clients may split cookies (RFC 9113 8.2.3); the rest of the world has one field. */
static void join_cookies(struct headers *h)
{
    struct sbuf all = {0};
    unsigned n = 0;
    for (size_t i = 0; i < h->n; i++)
        n += str_is(header_name(h, &h->v[i]), "cookie");
    if (n < 2)
        return;
    for (size_t i = 0; i < h->n; i++)
        if (str_is(header_name(h, &h->v[i]), "cookie")) {
            struct str v = header_value(h, &h->v[i]);
            if (v.n && all.n)
                sbuf_addz(&all, "; ");
            sbuf_add(&all, v.p, v.n);
        }
    headers_set(h, STR("cookie"), (struct str){all.p, all.n});
    sbuf_fini(&all);
}

/* Host says what :authority says, or takes its place. */
static void take_host(struct headers *h)
{
    struct str host = headers_get(h, HDR_HOST);
    if (!host.p)
        return;
    if (!headers_find(h, HDR_AUTHORITY))
        headers_add_id(h, HDR_AUTHORITY, host);
    headers_remove_id(h, HDR_HOST);
}

static void take_request(struct h2_session *h, struct h2_stream *st, bool end)
{
    st->got_final = true;
    st->is_closed_peer = end;
    join_cookies(&st->head);
    take_host(&st->head);
    h->ops->on_headers(h, st, end);
    if (!st->user && !st->is_reset_local && !st->is_closed_local) {
        stat_inc(h->stats->stream_refused_errors);
        h2_stream_reset(st, H2_REFUSED_STREAM);
    }
}

static void take_response(struct h2_session *h, struct h2_stream *st, bool end)
{
    unsigned status = headers_status(&st->head);
    if (status < 200) {
        if (st->user)
            h->ops->on_1xx(h, st, status);
        return;
    }
    st->got_final = true;
    st->is_closed_peer = end;
    if (st->user)
        h->ops->on_headers(h, st, end);
}

static void take_head(struct h2_session *h, const nghttp2_frame *f)
{
    struct h2_stream *st = find(h, f->hd.stream_id);
    bool end = f->hd.flags & NGHTTP2_FLAG_END_STREAM;
    if (!st || h->is_ended)
        return;
    if (st->got_final) {
        if (h->side == H2_SERVER)
            stat_inc(h->stats->trailers);
        st->end_waits = st->trailers_wait = st->user != NULL;
        deliver(st);
    } else if (h->side == H2_SERVER) {
        take_request(h, st, end);
    } else {
        take_response(h, st, end);
    }
}

/* ---- other frames ---- */

static int on_data_chunk(nghttp2_session *ng, uint8_t flags, int32_t id, const uint8_t *p, size_t n,
                         void *arg)
{
    struct h2_session *h = arg;
    (void)flags;
    struct h2_stream *st = find(h, id);
    if (st && st->user)
        buf_add(&st->in, p, n);
    else
        nghttp2_session_consume(ng, id, n);
    return stopped(h);
}

static void take_ping_answer(struct h2_session *h)
{
    h->is_ping_out = false;
    loop_timer_stop(&h->ping_timer);
    if (h->conf->ping_interval_ms)
        loop_timer_start(&h->ping_timer, h->conf->ping_interval_ms);
}

static void take_goaway(struct h2_session *h, const nghttp2_goaway *g)
{
    h->has_goaway = true;
    if (h->ops->on_goaway)
        h->ops->on_goaway(h, g->last_stream_id, g->error_code);
}

static int on_frame(nghttp2_session *ng, const nghttp2_frame *f, void *arg)
{
    struct h2_session *h = arg;
    struct h2_stream *st;
    (void)ng;
    switch (f->hd.type) {
    case NGHTTP2_HEADERS:
        take_head(h, f);
        break;
    case NGHTTP2_DATA:
        if ((st = find(h, f->hd.stream_id)) && st->user) {
            st->end_waits = f->hd.flags & NGHTTP2_FLAG_END_STREAM;
            deliver(st);
        }
        break;
    case NGHTTP2_RST_STREAM:
        stat_inc(h->stats->rx_reset);
        if ((st = find(h, f->hd.stream_id)))
            st->is_reset_by_peer = true;
        break;
    case NGHTTP2_GOAWAY:
        take_goaway(h, &f->goaway);
        break;
    case NGHTTP2_SETTINGS:
        if (!(f->hd.flags & NGHTTP2_FLAG_ACK) && h->ops->on_settings)
            h->ops->on_settings(h);
        break;
    case NGHTTP2_PING:
        if (f->hd.flags & NGHTTP2_FLAG_ACK)
            take_ping_answer(h);
        break;
    default:
        break;
    }
    return stopped(h);
}

static int on_begin_frame(nghttp2_session *ng, const nghttp2_frame_hd *hd, void *arg)
{
    (void)ng;
    return h2_guard_frame(arg, hd) ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE;
}

static int on_invalid_frame(nghttp2_session *ng, const nghttp2_frame *f, int error, void *arg)
{
    struct h2_session *h = arg;
    (void)ng, (void)f;
    if (error != NGHTTP2_ERR_HTTP_HEADER && error != NGHTTP2_ERR_HTTP_MESSAGING)
        return stopped(h); /* nghttp2 ends stream or connection as RFC 9113 says */
    stat_inc(h->stats->rx_messaging_error);
    if (!h->conf->keeps_broken)
        h2_session_fail(h, H2_PROTOCOL_ERROR,
                        error == NGHTTP2_ERR_HTTP_HEADER ? "http2.invalid.header.field"
                                                         : "http2.violation.of.messaging.rule");
    return stopped(h);
}

/* The last word of nghttp2 on a stream. */
static int on_stream_close(nghttp2_session *ng, int32_t id, uint32_t code, void *arg)
{
    struct h2_session *h = arg;
    struct h2_stream *st = find(h, id);
    if (!st)
        return 0;
    nghttp2_session_set_stream_user_data(ng, id, NULL);
    st->is_gone = true;
    if (!st->is_sent && h->side == H2_CLIENT)
        code = H2_REFUSED_STREAM; /* the peer never heard of it */
    st->close_code = code;
    if (code == H2_REFUSED_STREAM && h->has_goaway)
        st->is_reset_by_peer = true;
    if (code == NGHTTP2_NO_ERROR && st->user && (st->end_waits || st->is_delivering)) {
        nghttp2_session_consume_connection(ng, st->in.len); /* it waits with us alone */
        return 0;
    }
    nghttp2_session_consume_connection(ng, st->in.len);
    buf_fini(&st->in);
    tell_close(st, code, st->is_reset_by_peer);
    if (!st->is_delivering)
        h2_stream_free(st);
    return 0;
}

/* ---- the session ---- */

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
        deliver(st);
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
    nghttp2_session_callbacks_set_on_begin_headers_callback(cb, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
    nghttp2_session_callbacks_set_on_invalid_header_callback(cb, on_invalid_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data_chunk);
    nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame);
    nghttp2_session_callbacks_set_on_begin_frame_callback(cb, on_begin_frame);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(cb, on_invalid_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_stream_close);
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
        tell_close(st, H2_CANCEL, true);
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
