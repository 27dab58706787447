/* What a session receives; h2_send.c has the other way, h2_guard.c the floods.
 *
 *   conn->in -> nghttp2 -> on_header... -> st->head -> on_headers
 *                       -> on_data_chunk -> st->in  -> on_body, on_trailers (when enabled)
 *   nghttp2 forgets a stream when both ends were seen; we keep it until all was delivered. */
#include <string.h>

#include "http/h2_private.h"

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
        h2_stream_deliver(st);
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
            h2_stream_deliver(st);
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
    h2_stream_tell_close(st, code, st->is_reset_by_peer);
    if (!st->is_delivering)
        h2_stream_free(st);
    return 0;
}

void h2_recv_callbacks(nghttp2_session_callbacks *cb)
{
    nghttp2_session_callbacks_set_on_begin_headers_callback(cb, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
    nghttp2_session_callbacks_set_on_invalid_header_callback(cb, on_invalid_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data_chunk);
    nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame);
    nghttp2_session_callbacks_set_on_begin_frame_callback(cb, on_begin_frame);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(cb, on_invalid_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_stream_close);
}
