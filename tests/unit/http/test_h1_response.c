/* Responses: what ends the body, what a status forbids, status lines. Every row is also fed in
 * single bytes and in every cut in two. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/mem.h"
#include "h1_run.h"

enum asked { ANY, HEAD, CONNECT };

struct row {
    const char *name;
    enum asked asked;
    struct str input;
    const char *expect;
};

#define OK200 "HTTP/1.1 200 OK\r\n"
#define CODEC "error http1.codec_error"
#define NO_CODING "error http1.transfer_encoding_not_allowed"
#define NO_LENGTH "error http1.content_length_not_allowed"
#define BOTH "error http1.content_length_and_chunked_not_allowed"
#define BAD_CODING "error http1.invalid_transfer_encoding"

static const struct row rows[] = {
    {"length", ANY, STR(OK200 "content-length: 2\r\n\r\nhi"),
     ":status=200 content-length=2 | length 'hi' | done keep"},
    {"length 0", ANY, STR(OK200 "content-length: 0\r\n\r\nx"),
     ":status=200 content-length=0 | length | done keep +1"},
    {"chunked with a trailer", ANY,
     STR(OK200 "transfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nT: 1\r\n\r\n"),
     ":status=200 transfer-encoding=chunked | chunked 'hi' | t=1 | done keep"},
    {"until close", ANY, STR(OK200 "a: b\r\n\r\nsome bytes"),
     ":status=200 a=b | close 'some bytes' | more last"},
    {"until close, whatever it says", ANY, STR(OK200 "connection: keep-alive\r\n\r\nx"),
     ":status=200 connection=keep-alive | close 'x' | more last"},
    {"close", ANY, STR(OK200 "connection: close\r\ncontent-length: 0\r\n\r\n"),
     ":status=200 connection=close content-length=0 | length | done last"},
    {"nominated fields stay, they are ours to judge", ANY,
     STR(OK200 "connection: x-a\r\nx-a: 1\r\ncontent-length: 0\r\n\r\n"),
     ":status=200 connection=x-a x-a=1 content-length=0 | length | done keep"},
    {"h2c offered by a server stays", ANY,
     STR("HTTP/1.1 426 X\r\nconnection: upgrade\r\nupgrade: h2c\r\ncontent-length: 0\r\n\r\n"),
     ":status=426 connection=upgrade upgrade=h2c content-length=0 | length | done keep upgrade"},
    {"coding with a tab behind", ANY, STR(OK200 "transfer-encoding: chunked \t\r\n\r\n"), CODEC},
    {"HTTP/1.0", ANY, STR("HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\nx"),
     ":status=200 content-length=1 | length 'x' | done last"},
    {"HTTP/1.0 kept alive", ANY,
     STR("HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 1\r\n\r\nx"),
     ":status=200 connection=keep-alive content-length=1 | length 'x' | done keep"},
    {"HTTP/1.0 chunked", ANY, STR("HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"),
     NO_CODING},
    {"204", ANY, STR("HTTP/1.1 204 No Content\r\n\r\nHTTP"), ":status=204 | none | done keep +4"},
    {"204 with length 0", ANY, STR("HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n"),
     ":status=204 | none | done keep"},
    {"204 with a length", ANY, STR("HTTP/1.1 204 No Content\r\ncontent-length: 1\r\n\r\nx"),
     NO_LENGTH},
    {"204 with a bad length", ANY, STR("HTTP/1.1 204 No Content\r\ncontent-length: x\r\n\r\n"),
     CODEC},
    {"204 chunked", ANY, STR("HTTP/1.1 204 No Content\r\ntransfer-encoding: chunked\r\n\r\n"),
     NO_CODING},
    {"204 with both", ANY,
     STR("HTTP/1.1 204 X\r\ntransfer-encoding: chunked\r\ncontent-length: 0\r\n\r\n"), BOTH},
    {"304 with a length", ANY, STR("HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\nHTTP"),
     ":status=304 content-length=9 | none | done keep +4"},
    {"304 chunked", ANY, STR("HTTP/1.1 304 X\r\ntransfer-encoding: chunked\r\n\r\n"),
     ":status=304 transfer-encoding=chunked | none | done keep"},
    {"304 with neither", ANY, STR("HTTP/1.1 304 X\r\n\r\n"), ":status=304 | none | done keep"},
    {"to HEAD with a length", HEAD, STR(OK200 "content-length: 9\r\n\r\nHTTP"),
     ":status=200 content-length=9 | none | done keep +4"},
    {"to HEAD chunked", HEAD, STR(OK200 "transfer-encoding: chunked\r\n\r\nHTTP"),
     ":status=200 transfer-encoding=chunked | none | done keep +4"},
    {"to HEAD with neither", HEAD, STR(OK200 "\r\n"), ":status=200 | none | done keep"},
    {"to HEAD with both", HEAD,
     STR(OK200 "content-length: 9\r\ntransfer-encoding: chunked\r\n\r\n"), BOTH},
    {"to HEAD with two lengths", HEAD, STR(OK200 "content-length: 9\r\ncontent-length: 9\r\n\r\n"),
     CODEC},
    {"to CONNECT", CONNECT, STR(OK200 "content-length: 9\r\n\r\ntunnel"),
     ":status=200 | none | done keep +6"},
    {"to CONNECT, refused", CONNECT, STR("HTTP/1.1 403 X\r\ncontent-length: 2\r\n\r\nno"),
     ":status=403 content-length=2 | length 'no' | done keep"},
    {"100", ANY, STR("HTTP/1.1 100 Continue\r\n\r\n" OK200), ":status=100 | none | done keep +17"},
    {"103 with fields", ANY, STR("HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n"),
     ":status=103 link=x | none | done keep"},
    {"100 with a length", ANY, STR("HTTP/1.1 100 Continue\r\ncontent-length: 5\r\n\r\nhello"),
     NO_LENGTH},
    {"100 chunked", ANY, STR("HTTP/1.1 100 X\r\ntransfer-encoding: chunked\r\n\r\n"), NO_CODING},
    {"101", ANY, STR("HTTP/1.1 101 X\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nframes"),
     ":status=101 connection=upgrade upgrade=websocket | none | done keep upgrade +6"},
    {"101 with a length", ANY, STR("HTTP/1.1 101 X\r\ncontent-length: 5\r\n\r\n"), NO_LENGTH},
    {"both lengths", ANY,
     STR(OK200 "content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"), BOTH},
    {"two lengths", ANY, STR(OK200 "content-length: 5\r\nContent-Length: 5\r\n\r\n"), CODEC},
    {"length with plus", ANY, STR(OK200 "content-length: +5\r\n\r\n"), CODEC},
    {"other coding", ANY, STR(OK200 "transfer-encoding: gzip\r\n\r\n"), BAD_CODING},
    {"coding list", ANY, STR(OK200 "transfer-encoding: gzip, chunked\r\n\r\n"), BAD_CODING},
    {"folded line", ANY, STR(OK200 "a: b\r\n c\r\n\r\n"), CODEC},
    {"blank before colon", ANY, STR(OK200 "a : b\r\n\r\n"), CODEC},
    {"lone LF", ANY, STR("HTTP/1.1 200 OK\ncontent-length: 0\n\n"), CODEC},
    {"no reason", ANY, STR("HTTP/1.1 200 \r\ncontent-length: 0\r\n\r\n"),
     ":status=200 content-length=0 | length | done keep"},
    {"no reason, no blank", ANY, STR("HTTP/1.1 200\r\ncontent-length: 0\r\n\r\n"),
     ":status=200 content-length=0 | length | done keep"},
    {"reason with blanks and bytes above 0x7f", ANY,
     STR("HTTP/1.1 200 All \xc3\xa9 right\r\ncontent-length: 0\r\n\r\n"),
     ":status=200 content-length=0 | length | done keep"},
    {"control character in the reason", ANY, STR("HTTP/1.1 200 O\x01K\r\n\r\n"),
     "error http1.invalid_characters"},
    {"lone CR in the reason", ANY, STR("HTTP/1.1 200 O\rK\r\n\r\n"), CODEC},
    {"status 600 is unknown but a status", ANY, STR("HTTP/1.1 600 X\r\ncontent-length: 0\r\n\r\n"),
     ":status=600 content-length=0 | length | done keep"},
    {"two digits", ANY, STR("HTTP/1.1 20 OK\r\n\r\n"), CODEC},
    {"four digits", ANY, STR("HTTP/1.1 2000 OK\r\n\r\n"), CODEC},
    {"status 099", ANY, STR("HTTP/1.1 099 OK\r\n\r\n"), CODEC},
    {"status with a sign", ANY, STR("HTTP/1.1 +20 OK\r\n\r\n"), CODEC},
    {"two blanks", ANY, STR("HTTP/1.1  200 OK\r\n\r\n"), CODEC},
    {"tab", ANY, STR("HTTP/1.1\t200 OK\r\n\r\n"), CODEC},
    {"empty line before", ANY, STR("\r\n" OK200 "\r\n"), CODEC},
    {"HTTP/2.0", ANY, STR("HTTP/2.0 200 OK\r\n\r\n"), CODEC},
    {"HTTP/1.2", ANY, STR("HTTP/1.2 200 OK\r\n\r\n"), CODEC},
    {"a banner", ANY, STR("SSH-2.0-OpenSSH_9.2\r\n\r\n"), CODEC},
    {"ICY", ANY, STR("ICY 200 OK\r\n\r\n"), CODEC},
};

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct h1_parser settings;
        h1_parse_init(&settings, H1_RESPONSE);
        settings.request_was_head = rows[i].asked == HEAD;
        settings.request_was_connect = rows[i].asked == CONNECT;
        h1_run_check(rows[i].name, &settings, H1_RESPONSE, rows[i].input, rows[i].expect);
    }
}

static void test_end_of_input(void **state)
{
    (void)state;
    static const struct {
        struct str input;
        bool ends_well;
    } cases[] = {
        {STR(""), false},
        {STR("HTTP/1.1 200"), false},
        {STR(OK200 "\r\n"), true},
        {STR(OK200 "\r\nbody"), true},
        {STR(OK200 "content-length: 3\r\n\r\nab"), false},
        {STR(OK200 "content-length: 3\r\n\r\nabc"), true},
        {STR(OK200 "transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n"), false},
        {STR(OK200 "transfer-encoding: chunked\r\n\r\n0\r\n"), false},
        {STR(OK200 "transfer-encoding: chunked\r\n\r\n0\r\n\r\n"), true},
        {STR(OK200 "content-length: x\r\n\r\n"), false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct h1_run r;
        h1_run_init(&r, H1_RESPONSE);
        h1_run_feed(&r, cases[i].input.p, cases[i].input.n);
        if (h1_parse_eof(&r.p) != cases[i].ends_well)
            fail_msg("end of input after: %s", cases[i].input.p);
        assert_true(!cases[i].ends_well || r.p.state == H1_DONE);
        h1_run_fini(&r);
    }
}

/* What the owner said about the request counts for the final response too. */
static void test_head_after_interim(void **state)
{
    (void)state;
    static const char in[] = "HTTP/1.1 103 Early Hints\r\n\r\n" OK200 "content-length: 9\r\n\r\n";
    struct h1_run r;
    h1_run_init(&r, H1_RESPONSE);
    r.p.request_was_head = true;
    h1_run_feed(&r, in, sizeof(in) - 1);
    assert_int_equal(headers_status(&r.head), 103);
    h1_parse_next(&r.p);
    h1_run_feed(&r, in, sizeof(in) - 1);
    assert_int_equal(headers_status(&r.head), 200);
    assert_int_equal(r.p.state, H1_DONE);
    h1_run_fini(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_end_of_input),
        cmocka_unit_test(test_head_after_interim),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
