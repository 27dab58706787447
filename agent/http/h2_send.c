/* What a session sends. Bodies wait in st->out and are pulled by nghttp2 as windows and
 * conn->out allow; everything else waits in nghttp2's queues. */
#include "http/h2_private.h"

#include "base/mem.h"

static ssize_t take_bytes(nghttp2_session *ng, const uint8_t *p, size_t n, int flags, void *arg)
{
    struct h2_session *h = arg;
    (void)ng, (void)flags;
    if (h->conn->out.len > h->conn->high_water) {
        h->is_blocked = true;
        return NGHTTP2_ERR_WOULDBLOCK;
    }
    buf_add(&h->conn->out, p, n);
    return (ssize_t)n;
}

static void check_water(struct h2_stream *st)
{
    struct h2_session *h = st->session;
    bool is_high = st->is_high ? st->out.len > h->buffer_limit / 2 : st->out.len > h->buffer_limit;
    if (is_high == st->is_high)
        return;
    st->is_high = is_high;
    if (st->user)
        h->ops->on_water(h, st, is_high);
}

static int take_data(nghttp2_session *ng, nghttp2_frame *f, const uint8_t *head, size_t n,
                     nghttp2_data_source *source, void *arg)
{
    enum { HEAD_N = 9 };
    struct h2_session *h = arg;
    struct h2_stream *st = source->ptr;
    (void)ng, (void)f;
    if (h->conn->out.len > h->conn->high_water) {
        h->is_blocked = true;
        return NGHTTP2_ERR_WOULDBLOCK;
    }
    buf_add(&h->conn->out, head, HEAD_N);
    buf_add(&h->conn->out, buf_head(&st->out), n);
    buf_consume(&st->out, n);
    stat_add(h->stats->pending_send_bytes, -(int64_t)n);
    h->data_sent_n++;
    if (loop_timer_is_on(&st->flush_timer))
        loop_timer_start(&st->flush_timer, h->flush_timeout_ms);
    check_water(st);
    return 0;
}

/* How many fields go out, their bytes in the map. */
static size_t make_fields(const struct headers *h, nghttp2_nv *v)
{
    size_t n = 0;
    for (const struct header *e = h->v; e < h->v + h->n; e++) {
        struct str name = header_name(h, e), value = header_value(h, e);
        bool is_pseudo = name.n && name.p[0] == ':';
        if (e->id == HDR_CONNECTION || e->id == HDR_KEEP_ALIVE || e->id == HDR_PROXY_CONNECTION ||
            e->id == HDR_TRANSFER_ENCODING || e->id == HDR_UPGRADE || e->id == HDR_HOST)
            continue;
        if ((!is_pseudo && !header_name_is_valid(name)) || !header_value_is_valid(value))
            continue;
        v[n++] = (nghttp2_nv){(uint8_t *)(uintptr_t)name.p, (uint8_t *)(uintptr_t)value.p, name.n,
                              value.n, NGHTTP2_NV_FLAG_NONE};
    }
    return n;
}

enum { FIELDS_ON_STACK = 64 };

#define WITH_FIELDS(h, fields, n)                                                      \
    nghttp2_nv fields##_few[FIELDS_ON_STACK];                                          \
    nghttp2_nv *fields =                                                               \
        (h)->n > FIELDS_ON_STACK ? mem_alloc((h)->n * sizeof(*fields)) : fields##_few; \
    size_t n = make_fields(h, fields)

static void free_fields(nghttp2_nv *fields, const nghttp2_nv *few)
{
    if (fields != few)
        mem_free(fields);
}

static void submit_trailers(struct h2_stream *st, const struct headers *trailers)
{
    WITH_FIELDS(trailers, fields, n);
    nghttp2_submit_trailer(st->session->ng, st->id, fields, n);
    free_fields(fields, fields_few);
}

static ssize_t read_data(nghttp2_session *ng, int32_t id, uint8_t *p, size_t n, uint32_t *flags,
                         nghttp2_data_source *source, void *arg)
{
    struct h2_stream *st = source->ptr;
    (void)ng, (void)id, (void)p, (void)arg;
    if (st->out.len < n)
        n = st->out.len;
    bool is_last = n == st->out.len && st->is_closed_local;
    if (!n && st->is_cut)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* RST_STREAM with INTERNAL_ERROR */
    if (!n && (!is_last || st->sends_trailers)) {
        st->is_deferred = true;
        if (st->sends_trailers)
            submit_trailers(st, &st->trailers);
        st->sends_trailers = false;
        return NGHTTP2_ERR_DEFERRED;
    }
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (is_last && !st->sends_trailers)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)n;
}

static int on_frame_sent(nghttp2_session *ng, const nghttp2_frame *f, void *arg)
{
    struct h2_session *h = arg;
    if (f->hd.type == NGHTTP2_GOAWAY && f->goaway.error_code != NGHTTP2_NO_ERROR && !h->failure) {
        h->failure = "http2.protocol_error"; /* nghttp2 ended it by itself */
        h->is_ended = true;
    }
    if (f->hd.type != NGHTTP2_DATA && f->hd.type != NGHTTP2_HEADERS)
        return 0;
    struct h2_stream *st = nghttp2_session_get_stream_user_data(ng, f->hd.stream_id);
    if (!st)
        return 0;
    st->is_sent = true;
    st->end_sent = st->end_sent || (f->hd.flags & NGHTTP2_FLAG_END_STREAM);
    /* Our message is whole: what is left of the request is of no use (RFC 9113 8.1). */
    if (st->end_sent && !st->user && h->side == H2_SERVER &&
        !nghttp2_session_get_stream_remote_close(ng, f->hd.stream_id))
        nghttp2_submit_rst_stream(ng, NGHTTP2_FLAG_NONE, f->hd.stream_id, NGHTTP2_NO_ERROR);
    return 0;
}

void h2_send_callbacks(nghttp2_session_callbacks *cb)
{
    nghttp2_session_callbacks_set_send_callback(cb, take_bytes);
    nghttp2_session_callbacks_set_send_data_callback(cb, take_data);
    nghttp2_session_callbacks_set_on_frame_send_callback(cb, on_frame_sent);
}

void h2_session_flush(struct h2_session *h)
{
    if (!h->ng)
        return;
    if (h->is_inside) {
        h2_schedule(h);
        return;
    }
    do {
        h->is_blocked = false;
        h->is_inside = true;
        int rc = nghttp2_session_send(h->ng);
        h->is_inside = false;
        if (rc && rc != NGHTTP2_ERR_WOULDBLOCK)
            h2_session_fail(h, H2_INTERNAL_ERROR, "http2.send_error");
        conn_flush(h->conn);
    } while (h->is_blocked && h->conn->out.len <= h->conn->high_water && conn_is_open(h->conn));
}

/* ---- streams ---- */

struct h2_stream *h2_session_request(struct h2_session *h, const struct headers *head, bool end,
                                     void *user)
{
    if (!h2_session_may_open(h))
        return NULL;
    h2_session_ping_if_idle(h);
    struct h2_stream *st = h2_stream_new(h, -1, user);
    const nghttp2_data_provider data = {.source = {.ptr = st}, .read_callback = read_data};
    WITH_FIELDS(head, fields, n);
    int32_t id = nghttp2_submit_request(h->ng, NULL, fields, n, end ? NULL : &data, st);
    free_fields(fields, fields_few);
    if (id < 0) {
        st->user = NULL;
        h2_stream_free(st);
        return NULL;
    }
    st->id = id;
    st->is_closed_local = end;
    h2_schedule(h);
    return st;
}

void h2_stream_send_headers(struct h2_stream *st, const struct headers *head, bool end)
{
    const nghttp2_data_provider data = {.source = {.ptr = st}, .read_callback = read_data};
    st->is_closed_local = end;
    st->has_head = true;
    WITH_FIELDS(head, fields, n);
    nghttp2_submit_response(st->session->ng, st->id, fields, n, end ? NULL : &data);
    free_fields(fields, fields_few);
    h2_schedule(st->session);
}

void h2_stream_send_1xx(struct h2_stream *st, unsigned status)
{
    char text[4] = {(char)('0' + status / 100), (char)('0' + status / 10 % 10),
                    (char)('0' + status % 10)};
    nghttp2_nv v = {(uint8_t *)(uintptr_t) ":status", (uint8_t *)text, 7, 3, NGHTTP2_NV_FLAG_NONE};
    nghttp2_submit_headers(st->session->ng, NGHTTP2_FLAG_NONE, st->id, NULL, &v, 1, NULL);
    h2_schedule(st->session);
}

static void resume(struct h2_stream *st)
{
    if (st->is_deferred) {
        st->is_deferred = false;
        nghttp2_session_resume_data(st->session->ng, st->id);
    }
    h2_schedule(st->session);
}

void h2_stream_send_body(struct h2_stream *st, struct buf *data, bool end)
{
    if (st->is_gone || st->is_closed_local) {
        buf_fini(data);
        return;
    }
    stat_add(st->session->stats->pending_send_bytes, (int64_t)data->len);
    buf_move(&st->out, data);
    st->is_closed_local = end;
    check_water(st);
    resume(st);
}

void h2_stream_send_trailers(struct h2_stream *st, const struct headers *trailers)
{
    if (st->is_gone || st->is_closed_local)
        return;
    st->is_closed_local = true;
    if (!trailers->n) {
        resume(st);
    } else if (!st->out.len && st->is_deferred) {
        submit_trailers(st, trailers);
        h2_schedule(st->session);
    } else {
        headers_copy(&st->trailers, trailers);
        st->sends_trailers = true;
        resume(st);
    }
}
