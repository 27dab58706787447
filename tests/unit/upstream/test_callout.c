#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/stat.h"
#include "rig.h"
#include "upstream/callout.h"

struct result {
    bool is_there;
    unsigned status;
    bool is_broken, has_trailers;
    struct buf body;
    struct callout *again; /* cancelled inside the callback */
};

static void on_done(const struct callout_response *r, void *arg)
{
    struct result *out = arg;
    assert_false(out->is_there);
    out->is_there = true;
    out->status = headers_status(&r->headers);
    out->is_broken = !r->headers.n;
    out->has_trailers = r->trailers.n;
    buf_adds(&out->body, buf_str(&r->body));
    callout_cancel(&out->again);
}

static bool is_there(void *arg)
{
    return ((struct result *)arg)->is_there;
}

static void make_head(struct headers *h, const char *method, const char *path)
{
    headers_add_id(h, HDR_METHOD, str_of(method));
    headers_add_id(h, HDR_PATH, str_of(path));
    headers_add_id(h, HDR_AUTHORITY, STR(""));
}

static const struct {
    const char *name, *method, *path, *body;
    uint64_t response_max;
    unsigned status;
    const char *want;
    bool is_broken, has_trailers;
} calls[] = {
    {"get", "GET", "/ok", "", 0, 200, "ok", false, false},
    {"post", "POST", "/ok", "payload", 0, 200, "ok", false, false},
    {"trailers", "GET", "/trailers", "", 0, 200, "abc", false, true},
    {"error of the upstream", "GET", "/503", "", 0, 503, "", false, false},
    {"timeout", "GET", "/never", "", 0, 504, "upstream request timeout", false, false},
    {"closed without an answer", "GET", "/hangup", "", 0, 503,
     "upstream connect error or disconnect/reset before headers. reset reason: connection "
     "termination",
     false, false},
    {"cut in the body", "GET", "/cut", "", 0, 0, "", true, false},
    {"body over the limit", "GET", "/big", "", 1000, 0, "", true, false},
    {"body at the limit", "GET", "/chunked", "", 7, 200, "abcdefg", false, false},
};

static void test_calls(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
        struct rig r;
        struct result got = {0};
        struct headers head = {0};
        struct callout *c = NULL;
        struct conf_cluster *conf = rig_cluster("c");
        conf->http1_trailers = true;
        rig_open(&r);
        rig_publish(&r, conf, rig_endpoints(&r.origin.addr, 1));
        make_head(&head, calls[i].method, calls[i].path);
        struct callout_request rq = {.cluster = STR("c"),
                                     .headers = &head,
                                     .body = str_of(calls[i].body),
                                     .timeout_ms = 200,
                                     .response_max = calls[i].response_max};
        assert_int_equal(callout_start(r.u, r.snapshot, &rq, on_done, &got, &c), 0);
        headers_fini(&head);
        rig_run(&r, is_there, &got);
        if (got.status != calls[i].status || !str_is(buf_str(&got.body), calls[i].want) ||
            got.is_broken != calls[i].is_broken || got.has_trailers != calls[i].has_trailers)
            fail_msg("%s: %u '%.*s'", calls[i].name, got.status, STR_ARG(buf_str(&got.body)));
        if (calls[i].body[0])
            assert_non_null(
                memmem(buf_head(&r.origin.seen), r.origin.seen.len, "content-length: 7\r\n", 19));
        buf_fini(&got.body);
        rig_close(&r);
    }
    assert_int_equal(stat_read("cluster.c.upstream_rq_active"), 0);
}

static void test_refusals(void **state)
{
    (void)state;
    struct rig r;
    struct result got = {0};
    struct headers head = {0}, empty = {0};
    struct callout *c = NULL;
    rig_open(&r);
    rig_publish(&r, rig_cluster("c"), NULL);
    make_head(&head, "GET", "/ok");
    struct callout_request rq = {.cluster = STR("x"), .headers = &head};
    assert_int_equal(callout_start(r.u, r.snapshot, &rq, on_done, &got, &c), -ERR_NOT_FOUND);
    rq.cluster = STR("c");
    assert_int_equal(callout_start(r.u, r.snapshot, &rq, on_done, &got, &c), -ERR_CLOSED);
    rq.headers = &empty;
    assert_int_equal(callout_start(r.u, r.snapshot, &rq, on_done, &got, &c), -ERR_INVALID);
    rig_turn(&r, 5);
    assert_false(got.is_there);
    headers_fini(&head);
    rig_close(&r);
}

static void test_cancel(void **state)
{
    (void)state;
    struct rig r;
    struct result got = {0}, never = {0};
    struct headers head = {0}, slow = {0};
    struct callout *c = NULL;
    rig_open(&r);
    rig_publish_origin(&r);
    make_head(&head, "GET", "/ok");
    make_head(&slow, "GET", "/never");
    struct callout_request rq = {.cluster = STR("c"), .headers = &slow};
    assert_int_equal(callout_start(r.u, r.snapshot, &rq, on_done, &never, &got.again), 0);
    rq.headers = &head;
    assert_int_equal(callout_start(r.u, r.snapshot, &rq, on_done, &got, &c), 0);
    rig_run(&r, is_there, &got);
    rig_turn(&r, 5);
    assert_false(never.is_there);
    assert_int_equal(r.origin.open, 1);
    buf_fini(&got.body);
    headers_fini(&head);
    headers_fini(&slow);
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calls),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_cancel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
