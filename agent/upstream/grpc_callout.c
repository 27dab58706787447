#include "upstream/grpc_callout.h"

#include <stdio.h>

#include "base/mem.h"
#include "http/hcm.h"
#include "upstream/upstream.h"

enum { GRPC_UNKNOWN = 2, GRPC_RESOURCE_EXHAUSTED = 8, GRPC_INTERNAL = 13, GRPC_UNAVAILABLE = 14 };
enum { FRAME_HEAD = 5 };

struct grpc_callout {
    struct upstream_request up;
    struct loop *loop;
    const struct grpc_callout_ops *ops;
    void *arg;
    struct headers request;
    struct buf out; /* framed; waits for the connection, or for it to take more */
    struct buf in;  /* the beginning of a message */
    struct loop_timer timer;
    struct loop_task free_task;
    uint64_t start_us;
    bool is_ready, is_high, sends_end, has_head;
    bool is_over; /* no op any more; the memory goes when the loop's turn ends */
};

static struct grpc_callout *of(struct upstream_request *up)
{
    return container_of(up, struct grpc_callout, up);
}

/* ---- ends ---- */

static void run_free(struct loop_task *t)
{
    mem_free(container_of(t, struct grpc_callout, free_task));
}

static void release(struct grpc_callout *s)
{
    s->is_over = true;
    loop_timer_stop(&s->timer);
    upstream_request_finish(&s->up);
    headers_fini(&s->request);
    buf_fini(&s->out);
    buf_fini(&s->in);
    loop_defer(s->loop, &s->free_task);
}

void grpc_callout_cancel(struct grpc_callout **s)
{
    if (*s)
        release(*s);
    *s = NULL;
}

static void close_stream(struct grpc_callout *s, unsigned status, const char *message)
{
    if (s->is_over)
        return;
    release(s);
    s->ops->on_close(s->arg, status, message);
}

static void fail(struct grpc_callout *s, unsigned status, const char *message)
{
    static const struct headers none;
    if (!s->is_over)
        s->ops->on_trailing(s->arg, &none);
    close_stream(s, status, message);
}

static int hex(char c)
{
    c = str_lower(c);
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* grpc-message is percent-coded. */
static char *decode_message(struct str s)
{
    char *text = mem_alloc(s.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        bool is_coded =
            s.p[i] == '%' && i + 2 < s.n && hex(s.p[i + 1]) >= 0 && hex(s.p[i + 2]) >= 0;
        text[n++] = is_coded ? (char)(hex(s.p[i + 1]) * 16 + hex(s.p[i + 2])) : s.p[i];
        i += is_coded ? 2 : 0;
    }
    text[n] = 0;
    return text;
}

/* Metadata that ends the stream: of trailers, or of a head without a body. */
static void finish(struct grpc_callout *s, const struct headers *h)
{
    uint64_t status;
    bool has_status = str_to_u64(headers_get(h, HDR_GRPC_STATUS), UINT32_MAX, &status);
    char *message = decode_message(headers_get(h, HDR_GRPC_MESSAGE));
    upstream_record_time(s->up.cluster, (loop_now_us(s->loop) - s->start_us) / 1000);
    s->ops->on_trailing(s->arg, h);
    close_stream(s, has_status ? (unsigned)status : GRPC_UNKNOWN, message);
    mem_free(message);
}

/* No answer came: ours in its place, as a local reply to a gRPC request reads. */
static void finish_local(struct grpc_callout *s, unsigned status, const char *message)
{
    static const struct headers none;
    struct headers trailers = {0};
    upstream_count_status(s->up.cluster, s->up.host, status);
    headers_add_id(&trailers, HDR_GRPC_STATUS, STR("14"));
    headers_add_id(&trailers, HDR_GRPC_MESSAGE, str_of(message));
    s->ops->on_initial(s->arg, &none);
    if (!s->is_over)
        s->ops->on_trailing(s->arg, &trailers);
    headers_fini(&trailers);
    close_stream(s, GRPC_UNAVAILABLE, message);
}

/* ---- out ---- */

static void push(struct grpc_callout *s)
{
    if (!s->is_ready || s->is_high || (!s->out.len && !s->sends_end))
        return;
    upstream_request_body(&s->up, &s->out, s->sends_end);
}

static void on_ready(struct upstream_request *up)
{
    struct grpc_callout *s = of(up);
    s->is_ready = true;
    upstream_request_headers(up, &s->request, false);
    push(s);
}

static void on_water(struct upstream_request *up, bool is_high)
{
    struct grpc_callout *s = of(up);
    s->is_high = is_high;
    push(s);
}

bool grpc_callout_send(struct grpc_callout *s, struct str message, bool end)
{
    uint8_t head[FRAME_HEAD] = {0, (uint8_t)(message.n >> 24), (uint8_t)(message.n >> 16),
                                (uint8_t)(message.n >> 8), (uint8_t)message.n};
    if (s->sends_end || message.n > GRPC_OUT_MAX || s->out.len + message.n > GRPC_OUT_MAX)
        return false;
    buf_add(&s->out, head, sizeof(head));
    buf_adds(&s->out, message);
    s->sends_end = end;
    push(s);
    return true;
}

void grpc_callout_end(struct grpc_callout *s)
{
    if (s->sends_end)
        return;
    s->sends_end = true;
    push(s);
}

/* ---- in ---- */

static void on_1xx(struct upstream_request *up, unsigned status)
{
    (void)up, (void)status;
}

static void on_headers(struct upstream_request *up, bool end)
{
    static const struct headers none;
    struct grpc_callout *s = of(up);
    unsigned status = headers_status(&up->headers);
    s->has_head = true;
    upstream_count_status(up->cluster, up->host, status);
    s->ops->on_initial(s->arg, end ? &none : &up->headers);
    if (s->is_over)
        return;
    if (status != 200 && !headers_find(&up->headers, HDR_GRPC_STATUS))
        fail(s, (unsigned)grpc_of_http(status), "");
    else if (end)
        finish(s, &up->headers);
}

/* The next message in `in`; false: it is not whole, or the stream has failed. */
static bool take_message(struct grpc_callout *s, struct buf *in)
{
    const uint8_t *p = (const uint8_t *)buf_head(in);
    if (in->len < FRAME_HEAD)
        return false;
    size_t n = (size_t)p[1] << 24 | (size_t)p[2] << 16 | (size_t)p[3] << 8 | p[4];
    if (p[0] && n) { /* compressed, which we did not offer */
        fail(s, GRPC_INTERNAL, "");
        return false;
    }
    if (n > GRPC_MESSAGE_MAX) {
        fail(s, GRPC_RESOURCE_EXHAUSTED, "message is too large");
        return false;
    }
    if (in->len < FRAME_HEAD + n)
        return false;
    s->ops->on_message(s->arg, (struct str){(const char *)p + FRAME_HEAD, n});
    buf_consume(in, FRAME_HEAD + n);
    return !s->is_over;
}

static void on_body(struct upstream_request *up, struct buf *data, bool end)
{
    struct grpc_callout *s = of(up);
    struct buf in = {0};
    buf_move(&in, &s->in); /* an op may cancel the stream */
    buf_move(&in, data);
    while (take_message(s, &in))
        ;
    if (!s->is_over)
        buf_move(&s->in, &in);
    buf_fini(&in);
    if (end)
        fail(s, GRPC_UNKNOWN, "");
}

static void on_trailers(struct upstream_request *up)
{
    finish(of(up), &up->trailers);
}

static void on_reset(struct upstream_request *up, enum upstream_reset why, const char *failure)
{
    struct grpc_callout *s = of(up);
    struct sbuf text = {0};
    (void)failure;
    if (s->has_head) {
        fail(s, GRPC_INTERNAL, "");
        return;
    }
    sbuf_printf(&text,
                "upstream connect error or disconnect/reset before headers. reset reason: %s",
                upstream_reset_text(why));
    finish_local(s, why == UPSTREAM_RESET_PROTOCOL ? 502 : 503, text.p);
    sbuf_fini(&text);
}

static void on_timeout(struct loop_timer *t)
{
    struct grpc_callout *s = container_of(t, struct grpc_callout, timer);
    upstream_count_timeout(s->up.cluster, s->up.host);
    if (s->has_head)
        fail(s, GRPC_INTERNAL, "");
    else
        finish_local(s, 504, "upstream request timeout");
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

/* ---- the start ---- */

static void make_request(struct grpc_callout *s, const struct grpc_callout_request *rq)
{
    struct headers *h = &s->request;
    struct sbuf path = {0};
    char text[24];
    headers_copy(h, rq->metadata);
    sbuf_printf(&path, "/%.*s/%.*s", STR_ARG(rq->service), STR_ARG(rq->method));
    headers_set_id(h, HDR_METHOD, STR("POST"));
    headers_set_id(h, HDR_PATH, (struct str){path.p, path.n});
    headers_set_id(h, HDR_AUTHORITY, rq->authority.n ? rq->authority : rq->cluster);
    headers_set_id(h, HDR_TE, STR("trailers"));
    headers_set_id(h, HDR_CONTENT_TYPE, STR("application/grpc"));
    headers_set_id(h, HDR_X_ENVOY_INTERNAL, STR("true"));
    headers_remove_id(h, HDR_CONTENT_LENGTH);
    sbuf_fini(&path);
    if (!rq->timeout_ms)
        return;
    bool is_long = rq->timeout_ms > 99999999; /* eight digits at most */
    int n = snprintf(text, sizeof(text), "%u%c", is_long ? rq->timeout_ms / 1000 : rq->timeout_ms,
                     is_long ? 'S' : 'm');
    headers_set(h, STR("grpc-timeout"), (struct str){text, (size_t)n});
}

int grpc_callout_start(struct upstreams *u, struct snapshot *snapshot,
                       const struct grpc_callout_request *rq, const struct grpc_callout_ops *ops,
                       void *arg, struct grpc_callout **s_r)
{
    struct upstream_cluster *cluster = upstreams_find(u, snapshot, rq->cluster);
    if (!cluster)
        return -ERR_NOT_FOUND;
    struct lb_context ctx = {0};
    struct upstream_host *host = upstream_pick(cluster, &ctx);
    if (!host) {
        upstream_count_status(cluster, NULL, 503);
        return -ERR_CLOSED;
    }
    struct grpc_callout *s = MEM_NEW(struct grpc_callout);
    s->loop = upstreams_loop(u);
    s->free_task.run = run_free;
    s->start_us = loop_now_us(s->loop);
    s->ops = ops;
    s->arg = arg;
    make_request(s, rq);
    loop_timer_init(&s->timer, s->loop, on_timeout);
    if (rq->timeout_ms)
        loop_timer_start(&s->timer, rq->timeout_ms);
    s->up.ops = &request_ops;
    s->up.is_from_http2 = true;
    *s_r = s;
    upstream_request_name(&s->up, cluster, &s->request);
    upstream_request_start(&s->up, cluster, host);
    return 0;
}
