/* Retry decisions: condition by status, gRPC status and reset; the request's own wishes; backoff.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "base/mem.h"
#include "filters/router_retry.h"

static void set_all(struct headers *h, const char *lines)
{
    struct str rest = str_of(lines), line;
    while (str_next(&rest, '\n', &line)) {
        if (!line.n)
            continue;
        ptrdiff_t at = 1 + str_find((struct str){line.p + 1, line.n - 1}, ':');
        headers_add(h, (struct str){line.p, (size_t)at},
                    str_trim((struct str){line.p + at + 1, line.n - (size_t)at - 1}));
    }
}

#define WITH(on) "x-envoy-retry-on: " on
#define GRPC(on) "x-envoy-retry-grpc-on: " on

static const struct {
    const char *request, *response;
    bool is_wanted;
} responses[] = {
    {"", ":status: 503", false},
    {WITH("5xx"), ":status: 500", true},
    {WITH("5xx"), ":status: 599", true},
    {WITH("5xx"), ":status: 499", false},
    {WITH(" reset , 5xx"), ":status: 500", true},
    {WITH("5XX"), ":status: 500", false},
    {WITH("gateway-error"), ":status: 501", false},
    {WITH("gateway-error"), ":status: 502", true},
    {WITH("gateway-error"), ":status: 504", true},
    {WITH("gateway-error"), ":status: 505", false},
    {WITH("retriable-4xx"), ":status: 409", true},
    {WITH("retriable-4xx"), ":status: 408", false},
    {WITH("reset,connect-failure,refused-stream,reset-before-request"), ":status: 503", false},
    {WITH("http3-post-connect-failure"), ":status: 503", false},
    {WITH("retriable-status-codes"), ":status: 418", false},
    {WITH("retriable-status-codes") "\nx-envoy-retriable-status-codes: 1, 418", ":status: 418",
     true},
    {WITH("retriable-status-codes") "\nx-envoy-retriable-status-codes: x,418x", ":status: 418",
     false},
    {"x-envoy-retriable-status-codes: 418", ":status: 418", false},
    {WITH("retriable-headers") "\nx-envoy-retriable-header-names: X-A, x-b", ":status: 200\nx-b: 1",
     true},
    {WITH("retriable-headers") "\nx-envoy-retriable-header-names: X-A, x-b", ":status: 200\nx-c: 1",
     false},
    {WITH("5xx"), ":status: 503\nx-envoy-ratelimited: true", false},
    {WITH("envoy-ratelimited"), ":status: 429\nx-envoy-ratelimited: true", true},
    {WITH("envoy-ratelimited"), ":status: 429", false},
    {GRPC("cancelled"), ":status: 200\ngrpc-status: 1", true},
    {GRPC("deadline-exceeded"), ":status: 200\ngrpc-status: 4", true},
    {GRPC("resource-exhausted"), ":status: 200\ngrpc-status: 8", true},
    {GRPC("internal"), ":status: 200\ngrpc-status: 13", true},
    {GRPC("unavailable"), ":status: 200\ngrpc-status: 14", true},
    {GRPC("unavailable"), ":status: 200\ngrpc-status: 13", false},
    {GRPC("unavailable"), ":status: 200\ngrpc-status: 0", false},
    {GRPC("unavailable"), ":status: 200\ngrpc-status: x", false},
    {GRPC("unavailable"), ":status: 200", false},
    {WITH("unavailable"), ":status: 200\ngrpc-status: 14", false},
    {GRPC("5xx"), ":status: 500", false},
};

static void test_responses(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(responses); i++) {
        struct headers request = {0}, response = {0};
        struct retry_state st;
        struct arena a;
        arena_init(&a, 0);
        set_all(&request, responses[i].request);
        set_all(&response, responses[i].response);
        retry_init(&st, NULL, &request, &a);
        if (retry_wants_response(&st, &response) != responses[i].is_wanted)
            fail_msg("row %zu: %s | %s", i, responses[i].request, responses[i].response);
        assert_int_equal(request.n, 0); /* all taken away */
        headers_fini(&request);
        headers_fini(&response);
        arena_fini(&a);
    }
}

static const struct {
    uint32_t on;
    enum upstream_reset why;
    bool request_started, is_wanted;
} resets[] = {
    {0, UPSTREAM_RESET_TERMINATED, false, false},
    {CONF_RETRY_5XX, UPSTREAM_RESET_TERMINATED, true, true},
    {CONF_RETRY_5XX, UPSTREAM_RESET_OVERFLOW, false, false},
    {CONF_RETRY_GATEWAY_ERROR, UPSTREAM_RESET_LOCAL, true, true},
    {CONF_RETRY_RESET, UPSTREAM_RESET_PROTOCOL, true, true},
    {CONF_RETRY_RESET, UPSTREAM_RESET_CONNECT_FAILED, false, true},
    {CONF_RETRY_RESET, UPSTREAM_RESET_OVERFLOW, false, false},
    {CONF_RETRY_CONNECT_FAILURE, UPSTREAM_RESET_CONNECT_FAILED, false, true},
    {CONF_RETRY_CONNECT_FAILURE, UPSTREAM_RESET_CONNECT_TIMEOUT, false, true},
    {CONF_RETRY_CONNECT_FAILURE, UPSTREAM_RESET_TERMINATED, true, false},
    {CONF_RETRY_RESET_BEFORE_REQUEST, UPSTREAM_RESET_CONNECT_FAILED, false, true},
    {CONF_RETRY_RESET_BEFORE_REQUEST, UPSTREAM_RESET_TERMINATED, true, false},
    {CONF_RETRY_RETRIABLE_4XX | CONF_RETRY_STATUS_CODES, UPSTREAM_RESET_TERMINATED, true, false},
    {CONF_RETRY_GRPC_UNAVAILABLE, UPSTREAM_RESET_TERMINATED, true, false},
};

static void test_resets(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(resets); i++) {
        struct retry_state st = {.on = resets[i].on};
        if (retry_wants_reset(&st, resets[i].why, resets[i].request_started) != resets[i].is_wanted)
            fail_msg("row %zu", i);
    }
}

static struct retry_state start(const struct conf_retry_policy *p, const char *request)
{
    struct headers h = {0};
    struct retry_state st;
    struct arena a;
    arena_init(&a, 0);
    set_all(&h, request);
    retry_init(&st, p, &h, &a);
    headers_fini(&h);
    arena_fini(&a);
    st.header_names = STR_NULL;
    return st;
}

static void test_policy_and_request(void **state)
{
    (void)state;
    struct conf_header_match want = {
        .name = STR("x-want"), .kind = CONF_HEADER_PRESENT, .present = true};
    struct conf_retry_policy p = {
        .on = CONF_RETRY_RESET, .num_retries = 4, .base_ms = 1, .max_ms = 1};
    assert_int_equal(start(NULL, "").left, 1);
    assert_int_equal(start(NULL, "x-envoy-max-retries: 7").left, 1); /* nothing is retried */
    assert_int_equal(start(NULL, WITH("5xx") "\nx-envoy-max-retries: 7").left, 7);
    assert_int_equal(start(&p, "").left, 4);
    assert_int_equal(start(&p, "x-envoy-max-retries: 0").left, 0);
    assert_int_equal(start(&p, WITH("5xx")).on, CONF_RETRY_RESET | CONF_RETRY_5XX);
    p.request_headers = &want;
    p.request_headers_n = 1;
    assert_int_equal(start(&p, WITH("5xx")).on, 0);
    assert_int_equal(start(&p, "x-want: 1").on, CONF_RETRY_RESET);
}

static void test_backoff(void **state)
{
    (void)state;
    struct lb_random random = {7};
    struct conf_reset_header headers[] = {{STR("retry-after"), false}, {STR("x-reset"), true}};
    struct conf_retry_policy p = {.on = CONF_RETRY_5XX,
                                  .base_ms = 100,
                                  .max_ms = 350,
                                  .resets = headers,
                                  .resets_n = 2,
                                  .reset_max_ms = 10000};
    static const uint32_t below[] = {100, 200, 350, 350};
    for (int round = 0; round < 200; round++) {
        struct retry_state st = start(&p, "");
        for (size_t i = 0; i < ARRAY_LEN(below); i++)
            assert_true(retry_backoff(&st, NULL, 0, &random).ms < below[i]);
    }
    static const struct {
        const char *response;
        uint32_t from; /* 0: the ordinary backoff */
    } rows[] = {
        {"retry-after: 3", 3000},
        {"retry-after: 11", 0},
        {"retry-after: 11\nx-reset: 1004", 4000},
        {"x-reset: 999", 0},
        {"retry-after: soon", 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct headers h = {0};
        struct retry_state st = start(&p, "");
        set_all(&h, rows[i].response);
        struct retry_delay d = retry_backoff(&st, &h, 1000, &random);
        if (d.is_ratelimited != (rows[i].from > 0) || d.ms < rows[i].from ||
            d.ms >= (rows[i].from ? rows[i].from * 3 / 2 : 100))
            fail_msg("%s: %u", rows[i].response, d.ms);
        headers_fini(&h);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_responses),
        cmocka_unit_test(test_resets),
        cmocka_unit_test(test_policy_and_request),
        cmocka_unit_test(test_backoff),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
