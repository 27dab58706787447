/* A stream of a session: what of it is delivered when, and its ends. */
#include "base/mem.h"
#include "http/h2_private.h"

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

void h2_stream_tell_close(struct h2_stream *st, uint32_t code, bool by_peer)
{
    if (st->user)
        st->session->ops->on_close(st->session, st, code, by_peer);
    st->user = NULL;
}

/* Body, trailers and end, as far as they are here and wanted. */
void h2_stream_deliver(struct h2_stream *st)
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
        h2_stream_tell_close(st, st->close_code, st->is_reset_by_peer);
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
