#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/stat.h"
#include "rig.h"

static bool has(const struct buf *b, const char *text)
{
    const char *head = buf_head(b);
    return head && memmem(head, b->len, text, strlen(text));
}

/* ---- one exchange of each kind ---- */

enum { NO_RESET = -1 };

static const struct {
    const char *name, *method, *path, *request_body;
    unsigned status;
    const char *body;
    int reset;
    bool is_kept; /* the connection serves the next request */
    unsigned interim;
} exchanges[] = {
    {"plain", "GET", "/ok", NULL, 200, "ok", NO_RESET, true, 0},
    {"error status", "GET", "/503", NULL, 503, "", NO_RESET, true, 0},
    {"post", "POST", "/ok", "hello", 200, "ok", NO_RESET, true, 0},
    {"chunked", "GET", "/chunked", NULL, 200, "abcdefg", NO_RESET, true, 0},
    {"trailers", "GET", "/trailers", NULL, 200, "abc", NO_RESET, true, 0},
    {"head", "HEAD", "/head", NULL, 200, "", NO_RESET, true, 0},
    {"connection: close", "GET", "/close", NULL, 200, "ok", NO_RESET, false, 0},
    {"ends with the connection", "GET", "/until-close", NULL, 200, "all of it", NO_RESET, false, 0},
    {"1xx first", "GET", "/interim", NULL, 200, "ok", NO_RESET, true, 2},
    {"bytes behind the response", "GET", "/extra", NULL, 200, "ok", NO_RESET, false, 0},
    {"cut in the body", "GET", "/cut", NULL, 200, "half", UPSTREAM_RESET_PROTOCOL, false, 0},
    {"closed without an answer", "GET", "/hangup", NULL, 0, "", UPSTREAM_RESET_TERMINATED, false,
     0},
    {"not HTTP", "GET", "/garbage", NULL, 0, "", UPSTREAM_RESET_PROTOCOL, false, 0},
    {"101 unasked", "GET", "/switch", NULL, 0, "", UPSTREAM_RESET_PROTOCOL, false, 0},
};

static void test_exchanges(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(exchanges); i++) {
        struct rig r;
        struct probe p, next;
        rig_open(&r);
        rig_publish_origin(&r);
        probe_init(&p, &r, exchanges[i].method, exchanges[i].path);
        p.body = exchanges[i].request_body;
        probe_start(&p);
        rig_run(&r, probe_is_over, &p);
        int reset = p.resets ? (int)p.why : NO_RESET;
        struct str body = buf_str(&p.received);
        if (p.status != exchanges[i].status || !str_is(body, exchanges[i].body) ||
            reset != exchanges[i].reset || p.interim != exchanges[i].interim)
            fail_msg("%s: status %u body '%.*s' reset %d interim %u", exchanges[i].name, p.status,
                     STR_ARG(body), reset, p.interim);
        probe_fini(&p);
        rig_turn(&r, 5); /* the other side sees a close */
        probe_init(&next, &r, "GET", "/ok");
        probe_start(&next);
        rig_run(&r, probe_is_over, &next);
        unsigned expected = exchanges[i].is_kept ? 1 : 2;
        if (r.origin.accepted != expected || next.status != 200)
            fail_msg("%s: %u connections, next status %u", exchanges[i].name, r.origin.accepted,
                     next.status);
        probe_fini(&next);
        rig_close(&r);
    }
}

/* ---- framing of requests ---- */

static const struct {
    const char *name, *method, *add_name, *add_value, *body, *want, *reject;
} framings[] = {
    {"get", "GET", "x-a", "1", NULL, "GET /ok HTTP/1.1\r\nhost: example.com\r\nx-a: 1\r\n\r\n",
     "content-length"},
    {"empty post", "POST", "x-a", "1", NULL, "content-length: 0", "chunked"},
    {"length known", "POST", "content-length", "5", "hello", "content-length: 5", "chunked"},
    {"length unknown", "POST", "x-a", "1", "hello", "\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
     "content-length"},
    {"length is no number", "POST", "content-length", "5 5", "hello", "chunked", "content-length"},
    {"hop by hop", "GET", "connection", "x-b", NULL, "GET /ok", "connection"},
    {"transfer-encoding of a filter", "GET", "transfer-encoding", "gzip", NULL, "GET /ok", "gzip"},
    {"length without a body", "GET", "content-length", "9", NULL, "GET /ok", "content-length"},
};

static void test_framing(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(framings); i++) {
        struct rig r;
        struct probe p;
        rig_open(&r);
        rig_publish_origin(&r);
        probe_init(&p, &r, framings[i].method, "/ok");
        headers_add(&p.head, str_of(framings[i].add_name), str_of(framings[i].add_value));
        p.body = framings[i].body;
        probe_start(&p);
        rig_run(&r, probe_is_over, &p);
        if (!has(&r.origin.seen, framings[i].want) || has(&r.origin.seen, framings[i].reject))
            fail_msg("%s: sent '%.*s'", framings[i].name, STR_ARG(buf_str(&r.origin.seen)));
        assert_int_equal(p.status, 200);
        probe_fini(&p);
        rig_close(&r);
    }
}

/* A body that is not as long as promised would turn into a second request. */
static void test_body_must_keep_to_its_length(void **state)
{
    (void)state;
    static const char *const lengths[] = {"3", "9"};
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
        struct rig r;
        struct probe p;
        rig_open(&r);
        rig_publish_origin(&r);
        probe_init(&p, &r, "POST", "/ok");
        headers_add(&p.head, STR("content-length"), str_of(lengths[i]));
        p.body = "hello";
        probe_start(&p);
        rig_run(&r, probe_is_over, &p);
        assert_int_equal(p.resets, 1);
        assert_int_equal(p.why, UPSTREAM_RESET_LOCAL);
        assert_false(has(&r.origin.seen, "hello"));
        probe_fini(&p);
        rig_turn(&r, 5);
        assert_int_equal(r.origin.open, 0);
        rig_close(&r);
    }
}

/* Trailers pass where the cluster wants them, and only behind a body of unknown length. */
static const struct {
    const char *name;
    bool is_enabled, has_length;
    const char *want, *reject;
} trailers[] = {
    {"off", false, false, "5\r\nhello\r\n0\r\n\r\n", "x-t"},
    {"on", true, false, "5\r\nhello\r\n0\r\nx-t: 1\r\n\r\n", "content-length"},
    {"on, with a length", true, true, "\r\n\r\nhello", "x-t"},
};

static void test_trailers(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(trailers); i++) {
        struct rig r;
        struct probe p;
        struct headers t = {0};
        struct buf body = {0};
        struct conf_cluster *conf = rig_cluster("c");
        conf->http1_trailers = trailers[i].is_enabled;
        rig_open(&r);
        rig_publish(&r, conf, rig_endpoints(&r.origin.addr, 1));
        probe_init(&p, &r, "POST", "/trailers");
        if (trailers[i].has_length)
            headers_add_id(&p.head, HDR_CONTENT_LENGTH, STR("5"));
        p.hold_body = true;
        probe_start(&p);
        rig_turn(&r, 5);
        headers_add(&t, STR("x-t"), STR("1"));
        buf_adds(&body, STR("hello"));
        upstream_request_body(&p.up, &body, false);
        upstream_request_trailers(&p.up, &t);
        rig_run(&r, probe_is_over, &p);
        if (!has(&r.origin.seen, trailers[i].want) || has(&r.origin.seen, trailers[i].reject) ||
            p.has_trailers != trailers[i].is_enabled)
            fail_msg("%s: sent '%.*s', trailers came: %d", trailers[i].name,
                     STR_ARG(buf_str(&r.origin.seen)), p.has_trailers);
        headers_fini(&t);
        probe_fini(&p);
        rig_close(&r);
    }
}

/* ---- upgrades ---- */

static const struct {
    const char *name, *method, *path, *upgrade;
    unsigned status;
    const char *body; /* of the response: what was sent comes back when it is granted */
} upgrades[] = {
    {"granted", "GET", "/tunnel", "echo", 101, "hello"},
    {"connect", "CONNECT", NULL, "CONNECT", 200, "hello"},
    {"refused", "GET", "/no-tunnel", "echo", 403, "no"},
    {"refused by a page", "GET", "/ok", "echo", 200, "ok"},
};

static bool has_five(void *probe)
{
    return probe_is_over(probe) || ((struct probe *)probe)->received.len >= 5;
}

static void test_upgrades(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(upgrades); i++) {
        struct rig r;
        struct probe p;
        struct buf more = {0};
        rig_open(&r);
        rig_publish_origin(&r);
        probe_init(&p, &r, upgrades[i].method, upgrades[i].path ? upgrades[i].path : "/");
        if (!upgrades[i].path)
            headers_remove_id(&p.head, HDR_PATH);
        headers_add(&p.head, STR("content-length"), STR("9")); /* nothing that may frame it */
        p.up.upgrade = str_of(upgrades[i].upgrade);
        p.hold_body = true;
        probe_start(&p);
        buf_adds(&more, STR("hel"));
        rig_turn(&r, 0);
        upstream_request_body(&p.up, &more, false);
        buf_adds(&more, STR("lo"));
        upstream_request_body(&p.up, &more, false);
        rig_run(&r, has_five, &p);
        bool is_echo = !strcmp(upgrades[i].body, "hello");
        if (p.status != upgrades[i].status || !str_is(buf_str(&p.received), upgrades[i].body) ||
            p.end == is_echo || has(&r.origin.seen, "hello") != is_echo ||
            has(&r.origin.seen, "content-length"))
            fail_msg("%s: status %u body '%.*s' sent '%.*s'", upgrades[i].name, p.status,
                     STR_ARG(buf_str(&p.received)), STR_ARG(buf_str(&r.origin.seen)));
        if (is_echo) { /* our end becomes the other's, and then its end ours */
            struct buf none = {0};
            upstream_request_body(&p.up, &none, true);
            rig_run(&r, probe_is_over, &p);
            assert_true(p.end);
        }
        probe_fini(&p);
        rig_turn(&r, 5);
        assert_int_equal(r.origin.open, 0); /* never used again */
        rig_close(&r);
    }
}

/* ---- the pool ---- */

static void test_last_used_first(void **state)
{
    (void)state;
    struct rig r;
    struct probe a, b, c;
    rig_open(&r);
    rig_publish_origin(&r);
    probe_init(&a, &r, "GET", "/ok");
    probe_init(&b, &r, "GET", "/ok");
    probe_start(&a);
    probe_start(&b);
    rig_run(&r, probe_is_over, &a);
    rig_run(&r, probe_is_over, &b);
    assert_int_equal(r.origin.accepted, 2);
    uint16_t port_a = addr_port(a.up.local), port_b = addr_port(b.up.local);
    assert_int_not_equal(port_a, port_b);
    probe_fini(&a);
    probe_fini(&b);
    probe_init(&c, &r, "GET", "/ok");
    probe_start(&c);
    assert_int_equal(c.ready, 1); /* inside the call: the connection is there */
    assert_int_equal(addr_port(c.up.local), port_b);
    rig_run(&r, probe_is_over, &c);
    assert_int_equal(r.origin.accepted, 2);
    probe_fini(&c);
    rig_close(&r);
}

static void test_pending_waits_for_a_connection(void **state)
{
    (void)state;
    struct rig r;
    struct probe a, b;
    struct conf_cluster *conf = rig_cluster("c");
    rig_open(&r);
    conf->limits[0].max_connections = 1;
    rig_publish(&r, conf, rig_endpoints(&r.origin.addr, 1));
    probe_init(&a, &r, "GET", "/ok");
    probe_init(&b, &r, "GET", "/ok");
    probe_start(&a);
    probe_start(&b);
    rig_run(&r, probe_is_over, &a);
    rig_turn(&r, 5);
    assert_int_equal(b.ready, 0);
    assert_int_equal(stat_read("cluster.c.upstream_rq_pending_active"), 1);
    assert_int_not_equal(stat_read("cluster.c.upstream_cx_overflow"), 0);
    probe_fini(&a); /* hands its connection over */
    assert_int_equal(b.ready, 1);
    rig_run(&r, probe_is_over, &b);
    assert_int_equal(b.status, 200);
    assert_int_equal(r.origin.accepted, 1);
    probe_fini(&b);
    rig_close(&r);
}

static void test_pending_overflow(void **state)
{
    (void)state;
    struct rig r;
    struct probe a, b, c;
    struct conf_cluster *conf = rig_cluster("c");
    rig_open(&r);
    conf->limits[0].max_connections = conf->limits[0].max_pending_requests = 1;
    rig_publish(&r, conf, rig_endpoints(&r.origin.addr, 1));
    probe_init(&a, &r, "GET", "/never");
    probe_init(&b, &r, "GET", "/ok");
    probe_init(&c, &r, "GET", "/ok");
    probe_start(&a);
    rig_turn(&r, 5);
    probe_start(&b);
    probe_start(&c);
    assert_int_equal(c.resets, 0); /* never from inside */
    rig_run(&r, probe_is_over, &c);
    assert_int_equal(c.why, UPSTREAM_RESET_OVERFLOW);
    assert_int_equal(b.resets, 0);
    assert_int_equal(stat_read("cluster.c.upstream_rq_pending_overflow"), 1);
    assert_int_equal(stat_read("cluster.c.circuit_breakers.default.cx_open"), 1);
    assert_int_equal(stat_read("cluster.c.circuit_breakers.default.rq_pending_open"), 1);
    assert_int_equal(stat_read("cluster.c.circuit_breakers.default.rq_open"), 0);
    probe_fini(&c);
    probe_fini(&b);
    probe_fini(&a);
    assert_int_equal(stat_read("cluster.c.upstream_rq_active"), 0);
    assert_int_equal(stat_read("cluster.c.upstream_rq_pending_active"), 0);
    rig_close(&r);
}

static void test_connect_refused(void **state)
{
    (void)state;
    struct rig r, other;
    struct probe p, q;
    rig_open(&other);
    struct addr dead = other.origin.addr;
    rig_close(&other);
    rig_open(&r);
    rig_publish(&r, rig_cluster("c"), rig_endpoints(&dead, 1));
    probe_init(&p, &r, "GET", "/ok");
    probe_init(&q, &r, "GET", "/ok");
    probe_start(&p);
    probe_start(&q);
    rig_run(&r, probe_is_over, &p);
    rig_run(&r, probe_is_over, &q);
    assert_int_equal(p.why, UPSTREAM_RESET_CONNECT_FAILED);
    assert_int_equal(q.why, UPSTREAM_RESET_CONNECT_FAILED);
    assert_string_equal(p.failure, "delayed connect error: Connection refused");
    probe_fini(&p);
    probe_fini(&q);
    rig_turn(&r, 5);
    assert_int_equal(stat_read("cluster.c.upstream_cx_active"), 0);
    rig_close(&r);
}

static void test_max_requests_per_connection(void **state)
{
    (void)state;
    struct rig r;
    struct conf_cluster *conf = rig_cluster("c");
    rig_open(&r);
    conf->max_requests_per_connection = 2;
    rig_publish(&r, conf, rig_endpoints(&r.origin.addr, 1));
    for (int i = 0; i < 6; i++) {
        struct probe p;
        probe_init(&p, &r, "GET", "/ok");
        probe_start(&p);
        rig_run(&r, probe_is_over, &p);
        assert_int_equal(p.status, 200);
        probe_fini(&p);
    }
    assert_int_equal(r.origin.accepted, 3);
    rig_close(&r);
}

static void test_idle_timeout(void **state)
{
    (void)state;
    struct rig r;
    struct probe p;
    struct conf_cluster *conf = rig_cluster("c");
    rig_open(&r);
    conf->idle_timeout_ms = 20;
    rig_publish(&r, conf, rig_endpoints(&r.origin.addr, 1));
    probe_init(&p, &r, "GET", "/ok");
    probe_start(&p);
    rig_run(&r, probe_is_over, &p);
    probe_fini(&p);
    rig_turn(&r, 5);
    assert_int_equal(r.origin.open, 1);
    rig_turn(&r, 100);
    assert_int_equal(r.origin.open, 0);
    assert_int_equal(stat_read("cluster.c.upstream_cx_idle_timeout"), 1);
    rig_close(&r);
}

/* The answer comes before the request is complete: it is delivered, the connection is not kept. */
static void test_early_response(void **state)
{
    (void)state;
    struct rig r;
    struct probe p;
    rig_open(&r);
    rig_publish_origin(&r);
    probe_init(&p, &r, "POST", "/early");
    p.hold_body = true;
    probe_start(&p);
    rig_run(&r, probe_is_over, &p);
    assert_int_equal(p.status, 403);
    assert_int_equal(p.resets, 0);
    probe_fini(&p);
    rig_turn(&r, 5);
    assert_int_equal(r.origin.open, 0);
    rig_close(&r);
}

static bool has_all(void *probe)
{
    return ((struct probe *)probe)->received.len == 16 << 20;
}

static void test_pause_of_the_response(void **state)
{
    (void)state;
    struct rig r;
    struct probe p;
    rig_open(&r);
    rig_publish_origin(&r);
    probe_init(&p, &r, "GET", "/big");
    p.pause_on_headers = true;
    probe_start(&p);
    rig_turn(&r, 50);
    assert_int_equal(p.status, 200);
    assert_true(p.received.len < 1 << 20);
    size_t paused_at = p.received.len;
    rig_turn(&r, 20);
    assert_int_equal(p.received.len, paused_at);
    upstream_request_read_disable(&p.up, false);
    rig_run(&r, has_all, &p);
    assert_true(p.end);
    probe_fini(&p);
    rig_close(&r);
}

static void test_water_of_the_request(void **state)
{
    (void)state;
    struct rig r;
    struct probe p;
    rig_open(&r);
    rig_publish_origin(&r);
    probe_init(&p, &r, "POST", "/stall");
    p.hold_body = true;
    probe_start(&p);
    rig_turn(&r, 20);
    static char block[1 << 16];
    for (int i = 0; i < 256 && !p.highs; i++) {
        struct buf data = {0};
        buf_add(&data, block, sizeof(block));
        upstream_request_body(&p.up, &data, false);
        rig_turn(&r, 1);
    }
    assert_int_equal(p.highs, 1);
    probe_fini(&p);
    rig_close(&r);
}

static void test_cancel_closes_the_connection(void **state)
{
    (void)state;
    struct rig r;
    struct probe p;
    rig_open(&r);
    rig_publish_origin(&r);
    probe_init(&p, &r, "GET", "/never");
    probe_start(&p);
    rig_turn(&r, 20);
    assert_int_equal(r.origin.requests, 1);
    probe_fini(&p);
    rig_turn(&r, 5);
    assert_int_equal(r.origin.open, 0);
    assert_int_equal(stat_read("cluster.c.upstream_cx_destroy_local_with_active_rq"), 1);
    rig_close(&r);
}

/* A host that leaves finishes what runs on it and keeps no connection. */
static void test_removed_host_drains(void **state)
{
    (void)state;
    struct rig r;
    struct probe idle, busy;
    struct addr other;
    rig_open(&r);
    rig_publish_origin(&r);
    probe_init(&idle, &r, "GET", "/ok");
    probe_init(&busy, &r, "GET", "/big");
    busy.pause_on_headers = true;
    probe_start(&idle);
    probe_start(&busy);
    rig_run(&r, probe_is_over, &idle);
    probe_fini(&idle);
    rig_turn(&r, 20);
    assert_int_equal(r.origin.open, 2);
    addr_from_ip(STR("127.0.0.1"), 9, &other, NULL);
    rig_publish(&r, rig_cluster("c"), rig_endpoints(&other, 1));
    rig_turn(&r, 20);
    assert_int_equal(r.origin.open, 1);
    upstream_request_read_disable(&busy.up, false);
    rig_run(&r, has_all, &busy);
    assert_true(busy.end);
    probe_fini(&busy);
    rig_turn(&r, 20);
    assert_int_equal(r.origin.open, 0);
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exchanges),
        cmocka_unit_test(test_framing),
        cmocka_unit_test(test_body_must_keep_to_its_length),
        cmocka_unit_test(test_trailers),
        cmocka_unit_test(test_upgrades),
        cmocka_unit_test(test_last_used_first),
        cmocka_unit_test(test_pending_waits_for_a_connection),
        cmocka_unit_test(test_pending_overflow),
        cmocka_unit_test(test_connect_refused),
        cmocka_unit_test(test_max_requests_per_connection),
        cmocka_unit_test(test_idle_timeout),
        cmocka_unit_test(test_early_response),
        cmocka_unit_test(test_pause_of_the_response),
        cmocka_unit_test(test_water_of_the_request),
        cmocka_unit_test(test_cancel_closes_the_connection),
        cmocka_unit_test(test_removed_host_drains),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
