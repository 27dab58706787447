#include "upstream/callout.h"

#include <stdio.h>

#include "base/mem.h"
#include "upstream/upstream.h"

enum { RESPONSE_MAX = 16 << 20 };

struct callout {
    struct upstream_request up;
    struct loop *loop;
    struct headers request, trailers;
    struct buf body;
    struct callout_response response;
    struct loop_timer timer;
    struct loop_task free_task;
    uint64_t response_max, start_us;
    bool drops_response;
    callout_fn *done;
    void *arg;
};

static struct callout *of(struct upstream_request *up)
{
    return container_of(up, struct callout, up);
}

static void run_free(struct loop_task *t)
{
    mem_free(container_of(t, struct callout, free_task));
}

/* The memory itself stays until the loop's turn ends: callers up the stack look at c->up. */
static void release(struct callout *c)
{
    loop_timer_stop(&c->timer);
    upstream_request_finish(&c->up);
    headers_fini(&c->request);
    headers_fini(&c->trailers);
    headers_fini(&c->response.headers);
    headers_fini(&c->response.trailers);
    buf_fini(&c->body);
    buf_fini(&c->response.body);
    loop_defer(c->loop, &c->free_task);
}

void callout_cancel(struct callout **c)
{
    if (*c) {
        (*c)->done = NULL;
        release(*c);
    }
    *c = NULL;
}

static void finish(struct callout *c)
{
    callout_fn *done = c->done;
    void *arg = c->arg;
    struct callout_response r = c->response;
    c->response = (struct callout_response){0};
    release(c);
    done(&r, arg);
    headers_fini(&r.headers);
    headers_fini(&r.trailers);
    buf_fini(&r.body);
}

static void set_number(struct headers *h, enum hdr id, uint64_t v)
{
    char text[24];
    int n = snprintf(text, sizeof(text), "%llu", (unsigned long long)v);
    headers_set_id(h, id, (struct str){text, (size_t)n});
}

/* An answer of our own in the place of the upstream's. */
static void finish_local(struct callout *c, unsigned status, const char *body)
{
    struct callout_response *r = &c->response;
    upstream_count_status(c->up.cluster, c->up.host, status);
    headers_clear(&r->headers);
    buf_fini(&r->body);
    buf_adds(&r->body, str_of(body));
    set_number(&r->headers, HDR_STATUS, status);
    set_number(&r->headers, HDR_CONTENT_LENGTH, r->body.len);
    headers_add_id(&r->headers, HDR_CONTENT_TYPE, STR("text/plain"));
    finish(c);
}

static void finish_broken(struct callout *c)
{
    headers_clear(&c->response.headers);
    headers_clear(&c->response.trailers);
    buf_fini(&c->response.body);
    finish(c);
}

static void finish_whole(struct callout *c)
{
    upstream_record_time(c->up.cluster, (loop_now_us(c->loop) - c->start_us) / 1000);
    finish(c);
}

static void on_ready(struct upstream_request *up)
{
    struct callout *c = of(up);
    bool has_body = c->body.len, has_trailers = c->trailers.n;
    upstream_request_headers(up, &c->request, !has_body && !has_trailers);
    if (has_body)
        upstream_request_body(up, &c->body, !has_trailers);
    if (has_trailers)
        upstream_request_trailers(up, &c->trailers);
}

static void on_1xx(struct upstream_request *up, unsigned status)
{
    (void)up;
    (void)status;
}

static void on_headers(struct upstream_request *up, bool end)
{
    struct callout *c = of(up);
    struct headers spare = c->response.headers;
    c->response.headers = up->headers;
    up->headers = spare;
    upstream_count_status(up->cluster, up->host, headers_status(&c->response.headers));
    set_number(&c->response.headers, HDR_X_ENVOY_UPSTREAM_SERVICE_TIME,
               (loop_now_us(c->loop) - c->start_us) / 1000);
    if (end)
        finish_whole(c);
}

static void on_body(struct upstream_request *up, struct buf *data, bool end)
{
    struct callout *c = of(up);
    if (c->drops_response)
        buf_fini(data);
    if (c->response.body.len + data->len > c->response_max) {
        buf_fini(data);
        finish_broken(c);
        return;
    }
    buf_move(&c->response.body, data);
    if (end)
        finish_whole(c);
}

static void on_trailers(struct upstream_request *up)
{
    struct callout *c = of(up);
    struct headers spare = c->response.trailers;
    c->response.trailers = up->trailers;
    up->trailers = spare;
    finish_whole(c);
}

static void on_reset(struct upstream_request *up, enum upstream_reset why, const char *failure)
{
    struct callout *c = of(up);
    (void)failure;
    if (c->response.headers.n) {
        finish_broken(c);
        return;
    }
    struct sbuf body = {0};
    sbuf_printf(&body,
                "upstream connect error or disconnect/reset before headers. reset reason: %s",
                upstream_reset_text(why));
    finish_local(c, why == UPSTREAM_RESET_PROTOCOL ? 502 : 503, body.p);
    sbuf_fini(&body);
}

static void on_timeout(struct loop_timer *t)
{
    struct callout *c = container_of(t, struct callout, timer);
    upstream_count_timeout(c->up.cluster, c->up.host);
    if (c->response.headers.n)
        finish_broken(c);
    else
        finish_local(c, 504, "upstream request timeout");
}

static const struct upstream_request_ops request_ops = {
    .on_ready = on_ready,
    .on_1xx = on_1xx,
    .on_headers = on_headers,
    .on_body = on_body,
    .on_trailers = on_trailers,
    .on_reset = on_reset,
};

static void copy_request(struct callout *c, const struct callout_request *rq)
{
    headers_copy(&c->request, rq->headers);
    if (rq->trailers)
        headers_copy(&c->trailers, rq->trailers);
    buf_adds(&c->body, rq->body);
    headers_remove_id(&c->request, HDR_CONTENT_LENGTH);
    if (rq->body.n && !c->trailers.n)
        set_number(&c->request, HDR_CONTENT_LENGTH, rq->body.n);
    headers_set_id(&c->request, HDR_X_ENVOY_INTERNAL, STR("true"));
    if (rq->timeout_ms)
        set_number(&c->request, HDR_X_ENVOY_EXPECTED_RQ_TIMEOUT_MS, rq->timeout_ms);
}

int callout_start(struct upstreams *u, struct snapshot *s, const struct callout_request *rq,
                  callout_fn *done, void *arg, struct callout **c_r)
{
    struct upstream_cluster *cluster = upstreams_find(u, s, rq->cluster);
    if (!cluster)
        return -ERR_NOT_FOUND;
    if (!headers_get(rq->headers, HDR_METHOD).n || !headers_get(rq->headers, HDR_PATH).n ||
        !headers_find(rq->headers, HDR_AUTHORITY))
        return -ERR_INVALID;
    struct lb_context ctx = {.original_dst_header =
                                 headers_get_name(rq->headers, STR("x-envoy-original-dst-host"))};
    struct upstream_host *host = upstream_pick(cluster, &ctx);
    if (!host) {
        upstream_count_status(cluster, NULL, 503);
        return -ERR_CLOSED;
    }
    struct callout *c = MEM_NEW(struct callout);
    c->loop = upstreams_loop(u);
    c->free_task.run = run_free;
    c->start_us = loop_now_us(c->loop);
    c->drops_response = rq->drops_response;
    c->response_max = rq->response_max ? rq->response_max : RESPONSE_MAX;
    c->done = done;
    c->arg = arg;
    copy_request(c, rq);
    loop_timer_init(&c->timer, c->loop, on_timeout);
    if (rq->timeout_ms)
        loop_timer_start(&c->timer, rq->timeout_ms);
    c->up.ops = &request_ops;
    *c_r = c;
    upstream_request_name(&c->up, cluster, &c->request);
    upstream_request_start(&c->up, cluster, host);
    return 0;
}
