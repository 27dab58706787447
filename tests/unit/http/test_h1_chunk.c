/* The chunked coding: what is taken and what is refused, fed in every way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/mem.h"
#include "h1_run.h"

#define HEAD "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"
#define GOT ":method=POST :path=/ :authority=a transfer-encoding=chunked | chunked"
#define CODEC "error http1.codec_error"

static const struct {
    const char *name;
    struct str input;
    const char *expect;
} rows[] = {
    {"nothing in it", STR(HEAD "0\r\n\r\n"), GOT " | done keep"},
    {"one chunk", STR(HEAD "3\r\nabc\r\n0\r\n\r\n"), GOT " 'abc' | done keep"},
    {"three chunks", STR(HEAD "1\r\na\r\n2\r\nbc\r\n10\r\n0123456789abcdef\r\n0\r\n\r\nx"),
     GOT " 'abc0123456789abcdef' | done keep +1"},
    {"hex in both cases", STR(HEAD "A\r\n0123456789\r\nb\r\n0123456789a\r\n0\r\n\r\n"),
     GOT " '01234567890123456789a' | done keep"},
    {"data that looks like framing", STR(HEAD "7\r\n0\r\n\r\nab\r\n0\r\n\r\n"),
     GOT " '0\r\n\r\nab' | done keep"},
    {"leading zeros", STR(HEAD "0000000000000003\r\nabc\r\n00\r\n\r\n"), GOT " 'abc' | done keep"},
    {"extension", STR(HEAD "3;x\r\nabc\r\n0;y=z;q\r\n\r\n"), GOT " 'abc' | done keep"},
    {"quoted extension", STR(HEAD "3;x=\"a;\\\" b\"\r\nabc\r\n0\r\n\r\n"),
     GOT " 'abc' | done keep"},
    {"empty quoted extension", STR(HEAD "3;x=\"\"\r\nabc\r\n0\r\n\r\n"), GOT " 'abc' | done keep"},
    {"trailers", STR(HEAD "0\r\nX-A: 1\r\nb:\r\n\r\n"), GOT " | x-a=1 b= | done keep"},
    {"half a size", STR(HEAD "1"), GOT " | more keep"},
    {"half the data", STR(HEAD "5\r\nab"), GOT " 'ab' | more keep"},
    {"no last chunk", STR(HEAD "2\r\nab\r\n"), GOT " 'ab' | more keep"},
    {"no end of trailers", STR(HEAD "0\r\n"), GOT " | more keep"},
    {"no size", STR(HEAD "\r\n"), CODEC},
    {"no hex", STR(HEAD "g\r\n"), CODEC},
    {"plus", STR(HEAD "+1\r\na\r\n"), CODEC},
    {"minus", STR(HEAD "-1\r\na\r\n"), CODEC},
    {"0x", STR(HEAD "0x1\r\na\r\n0\r\n\r\n"), CODEC},
    {"blank before the size", STR(HEAD " 1\r\na\r\n"), CODEC},
    {"blank after the size", STR(HEAD "1 \r\na\r\n"), CODEC},
    {"tab after the size", STR(HEAD "1\t\r\na\r\n"), CODEC},
    {"blank before an extension", STR(HEAD "1 ;x\r\na\r\n"), CODEC},
    {"lone LF after the size", STR(HEAD "1\na\r\n"), CODEC},
    {"lone CR after the size", STR(HEAD "1\ra\r\n"), CODEC},
    {"size over 2^63", STR(HEAD "8000000000000000\r\n"), CODEC},
    {"size over 2^64", STR(HEAD "10000000000000001\r\na\r\n"), CODEC},
    {"seventeen zeros", STR(HEAD "00000000000000001\r\na\r\n"), CODEC},
    {"size in other digits", STR(HEAD "\xd9\xa1\r\na\r\n"), CODEC},
    {"comma", STR(HEAD "1,1\r\na\r\n"), CODEC},
    {"extension without name", STR(HEAD "1;\r\na\r\n"), CODEC},
    {"extension without name but value", STR(HEAD "1;=x\r\na\r\n"), CODEC},
    {"extension without value", STR(HEAD "1;x=\r\na\r\n"), CODEC},
    {"extension with a blank", STR(HEAD "1; x\r\na\r\n"), CODEC},
    {"extension with a lone LF", STR(HEAD "1;x\na\r\n0\r\n\r\n"), CODEC},
    {"extension with a lone CR", STR(HEAD "1;x\ra\r\n0\r\n\r\n"), CODEC},
    {"extension with CR CR LF", STR(HEAD "1;x\r\r\na\r\n"), CODEC},
    {"extension with NUL", STR(HEAD "1;x\0\r\na\r\n"), CODEC},
    {"quotes over the line end", STR(HEAD "1;x=\"a\r\nb\"\r\na\r\n"), CODEC},
    {"quoted line feed", STR(HEAD "1;x=\"a\\\nb\"\r\na\r\n"), CODEC},
    {"more after quotes", STR(HEAD "1;x=\"a\"b\r\na\r\n"), CODEC},
    {"data longer than its size", STR(HEAD "1\r\nab\r\n0\r\n\r\n"), CODEC},
    {"data shorter than its size", STR(HEAD "3\r\nab\r\n0\r\n\r\n"), CODEC},
    {"lone LF after data", STR(HEAD "1\r\na\n0\r\n\r\n"), CODEC},
    {"lone CR after data", STR(HEAD "1\r\na\r0\r\n\r\n"), CODEC},
    {"nothing after data", STR(HEAD "1\r\na0\r\n\r\n"), CODEC},
    {"trailer with a blank before the colon", STR(HEAD "0\r\na : b\r\n\r\n"), CODEC},
    {"folded trailer", STR(HEAD "0\r\na: b\r\n c\r\n\r\n"), CODEC},
    {"trailer with NUL", STR(HEAD "0\r\na: \0\r\n\r\n"), "error http1.invalid_characters"},
    {"lone LF in trailers", STR(HEAD "0\r\na: b\n\r\n"), CODEC},
    {"lone LF at the end", STR(HEAD "0\r\n\n"), CODEC},
    {"length in trailers", STR(HEAD "0\r\ncontent-length: 5\r\n\r\nhello"), CODEC},
    {"coding in trailers", STR(HEAD "0\r\ntransfer-encoding: chunked\r\n\r\n"), CODEC},
    {"host in trailers", STR(HEAD "0\r\nhost: b\r\n\r\n"), CODEC},
};

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        h1_run_check(rows[i].name, NULL, H1_REQUEST, rows[i].input, rows[i].expect);
}

/* Extensions may cost what the data they come with has paid for, and a little more. */
static void test_extensions_are_bounded(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        size_t chunks, data, extension;
        bool is_taken;
    } cases[] = {
        {"signatures on large chunks", 1000, 1000, 85, true},
        {"long ones on single bytes", 1000, 1, 1000, false},
        {"short ones on single bytes, few", 1000, 1, 10, true},
        {"short ones on single bytes, many", 5000, 1, 10, false},
        {"one endless", 1, 1, 20000, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct sbuf in = {0};
        sbuf_addz(&in, HEAD);
        for (size_t c = 0; c < cases[i].chunks; c++) {
            sbuf_printf(&in, "%zx;", cases[i].data);
            for (size_t k = 0; k < cases[i].extension; k++)
                sbuf_addc(&in, 'e');
            sbuf_addz(&in, "\r\n");
            for (size_t k = 0; k < cases[i].data; k++)
                sbuf_addc(&in, 'd');
            sbuf_addz(&in, "\r\n");
        }
        sbuf_addz(&in, "0\r\n\r\n");
        struct h1_run r;
        h1_run_init(&r, H1_REQUEST);
        h1_run_feed(&r, in.p, in.n);
        if ((r.p.state == H1_DONE) != cases[i].is_taken)
            fail_msg("%s: state %d", cases[i].name, r.p.state);
        assert_true(!cases[i].is_taken || r.body.n == cases[i].chunks * cases[i].data);
        h1_run_fini(&r);
        sbuf_fini(&in);
    }
}

/* A caller without interest in trailers passes NULL. */
static void test_trailers_can_be_dropped(void **state)
{
    (void)state;
    struct h1_run r;
    static const char in[] = HEAD "0\r\na: b\r\n\r\n";
    h1_run_init(&r, H1_REQUEST);
    h1_run_feed(&r, in, sizeof(HEAD "0\r\n") - 1);
    assert_int_equal(r.p.state, H1_TRAILERS);
    struct str rest = {in + r.used, sizeof(in) - 1 - r.used};
    assert_int_equal(h1_parse_trailers(&r.p, rest, NULL), rest.n);
    assert_int_equal(r.p.state, H1_DONE);
    h1_run_fini(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_extensions_are_bounded),
        cmocka_unit_test(test_trailers_can_be_dropped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
