#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/mem.h"
#include "http/h1_parse.h"
#include "http/h1_write.h"

struct field {
    struct str name, value;
};

enum { FIELDS_MAX = 6 };

#define F(n, v)        \
    {                  \
        STR(n), STR(v) \
    }

static void fill(struct headers *h, const struct field *fields)
{
    headers_clear(h);
    for (size_t i = 0; i < FIELDS_MAX && fields[i].name.p; i++)
        headers_add(h, fields[i].name, fields[i].value);
}

static void test_requests(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        struct field fields[FIELDS_MAX];
        const char *expect; /* NULL: refused */
    } rows[] = {
        {"usual",
         {F(":method", "GET"), F(":path", "/x?y"), F(":authority", "a:1"), F(":scheme", "http"),
          F("X-A", "1"), F("b", "")},
         "GET /x?y HTTP/1.1\r\nhost: a:1\r\nx-a: 1\r\nb: \r\n\r\n"},
        {"no authority", {F(":method", "GET"), F(":path", "/")}, "GET / HTTP/1.1\r\n\r\n"},
        {"host field alone",
         {F(":method", "GET"), F(":path", "/"), F("host", "b")},
         "GET / HTTP/1.1\r\nhost: b\r\n\r\n"},
        {"never two hosts",
         {F(":method", "GET"), F(":path", "/"), F(":authority", "a"), F("host", "b")},
         "GET / HTTP/1.1\r\nhost: a\r\n\r\n"},
        {"empty authority",
         {F(":method", "GET"), F(":path", "/"), F(":authority", "")},
         "GET / HTTP/1.1\r\nhost: \r\n\r\n"},
        {"CONNECT",
         {F(":method", "CONNECT"), F(":authority", "a:1")},
         "CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\n\r\n"},
        {"asterisk",
         {F(":method", "OPTIONS"), F(":path", "*"), F(":authority", "a")},
         "OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n"},
        {"no method", {F(":path", "/")}, NULL},
        {"no path", {F(":method", "GET")}, NULL},
        {"empty path", {F(":method", "GET"), F(":path", "")}, NULL},
        {"CR LF in the path", {F(":method", "GET"), F(":path", "/ HTTP/1.1\r\nx: y")}, NULL},
        {"blank in the path", {F(":method", "GET"), F(":path", "/a b")}, NULL},
        {"blank in the method", {F(":method", "GET /x"), F(":path", "/")}, NULL},
        {"CR LF in the authority",
         {F(":method", "GET"), F(":path", "/"), F(":authority", "a\r\nx:y")},
         NULL},
        {"CR LF in a value",
         {F(":method", "GET"), F(":path", "/"), F("a", "b\r\nc: d"), F("e", "f")},
         "GET / HTTP/1.1\r\ne: f\r\n\r\n"},
        {"NUL in a value",
         {F(":method", "GET"), F(":path", "/"), F("a", "b\0c")},
         "GET / HTTP/1.1\r\n\r\n"},
        {"colon in a name",
         {F(":method", "GET"), F(":path", "/"), F("a:b", "c")},
         "GET / HTTP/1.1\r\n\r\n"},
        {"no name", {F(":method", "GET"), F(":path", "/"), F("", "c")}, "GET / HTTP/1.1\r\n\r\n"},
    };
    struct headers h = {0};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf out = {0};
        fill(&h, rows[i].fields);
        bool ok = h1_write_request(&out, &h);
        if (ok != (rows[i].expect != NULL) ||
            !str_eq(buf_str(&out), str_of(rows[i].expect ? rows[i].expect : "")))
            fail_msg("%s: %.*s", rows[i].name, STR_ARG(buf_str(&out)));
        buf_fini(&out);
    }
    headers_fini(&h);
}

static void test_responses(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        struct field fields[FIELDS_MAX];
        const char *expect;
    } rows[] = {
        {"usual",
         {F(":status", "200"), F("a", "b"), F("host", "stays")},
         "HTTP/1.1 200 OK\r\na: b\r\nhost: stays\r\n\r\n"},
        {"without fields", {F(":status", "404")}, "HTTP/1.1 404 Not Found\r\n\r\n"},
        {"without name", {F(":status", "599")}, "HTTP/1.1 599 Unknown\r\n\r\n"},
        {"over the registry", {F(":status", "999")}, "HTTP/1.1 999 Unknown\r\n\r\n"},
        {"longest reason",
         {F(":status", "511")},
         "HTTP/1.1 511 Network Authentication Required\r\n\r\n"},
        {"no number", {F(":status", "abc")}, "HTTP/1.1 500 Internal Server Error\r\n\r\n"},
        {"none", {F("a", "b")}, "HTTP/1.1 500 Internal Server Error\r\na: b\r\n\r\n"},
        {"CR in a value", {F(":status", "200"), F("a", "\rb")}, "HTTP/1.1 200 OK\r\n\r\n"},
    };
    struct headers h = {0};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf out = {0};
        fill(&h, rows[i].fields);
        h1_write_response(&out, &h, 1);
        if (!str_is(buf_str(&out), rows[i].expect))
            fail_msg("%s: %.*s", rows[i].name, STR_ARG(buf_str(&out)));
        buf_fini(&out);
    }
    headers_fini(&h);
}

static void test_chunks(void **state)
{
    (void)state;
    struct buf out = {0};
    struct headers trailers = {0};
    headers_add(&trailers, STR("Grpc-Status"), STR("0"));
    h1_write_chunk(&out, "", 0);
    assert_int_equal(out.len, 0);
    h1_write_chunk(&out, "hello", 5);
    h1_write_chunk(&out, "0123456789abcdef", 16);
    h1_write_last_chunk(&out, &trailers);
    h1_write_last_chunk(&out, NULL);
    assert_true(str_is(buf_str(&out), "5\r\nhello\r\n10\r\n0123456789abcdef\r\n"
                                      "0\r\ngrpc-status: 0\r\n\r\n0\r\n\r\n"));
    buf_fini(&out);
    headers_fini(&trailers);
}

/* What is written is what our parser reads, byte for byte, chunks over a pool block included. */
static void test_round_trip(void **state)
{
    (void)state;
    static char data[40000];
    memset(data, 'd', sizeof(data));
    struct headers h = {0}, back = {0};
    headers_add(&h, STR(":status"), STR("200"));
    headers_add(&h, STR("transfer-encoding"), STR("chunked"));
    for (int i = 0; i < 90; i++)
        headers_add(&h, STR("x-some-name"), (struct str){data, (size_t)i * 3});
    struct buf out = {0};
    h1_write_response(&out, &h, 1);
    h1_write_chunk(&out, data, sizeof(data));
    h1_write_last_chunk(&out, NULL);
    struct h1_parser p;
    h1_parse_init(&p, H1_RESPONSE);
    buf_consume(&out, h1_parse_head(&p, buf_str(&out), &back));
    assert_int_equal(back.n, h.n);
    for (size_t i = 0; i < h.n; i++)
        assert_true(str_eq(header_value(&h, &h.v[i]), header_value(&back, &back.v[i])));
    struct str run;
    size_t n = h1_parse_body(&p, buf_str(&out), &run);
    assert_int_equal(run.n, sizeof(data));
    buf_consume(&out, n);
    assert_int_equal(p.state, H1_TRAILERS);
    buf_consume(&out, h1_parse_trailers(&p, buf_str(&out), NULL));
    assert_int_equal(p.state, H1_DONE);
    assert_int_equal(out.len, 0);
    buf_fini(&out);
    headers_fini(&h);
    headers_fini(&back);
}

static int drain_pool(void **state)
{
    (void)state;
    buf_pool_drain();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests),
        cmocka_unit_test(test_responses),
        cmocka_unit_test(test_chunks),
        cmocka_unit_test(test_round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, drain_pool);
}
