/* Requests: one row per form that is taken and per form that is refused. Each row is also fed in
 * single bytes and in every cut in two. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/mem.h"
#include "h1_run.h"

struct row {
    const char *name;
    struct str input;
    const char *expect;
};

#define GET "GET / HTTP/1.1\r\nhost: a\r\n"
#define POST "POST / HTTP/1.1\r\nhost: a\r\n"
#define GOT ":method=GET :path=/ :authority=a"
#define POSTED ":method=POST :path=/ :authority=a"
#define CODEC "error http1.codec_error"
#define BAD_URL "error http1.invalid_url"
#define BAD_CHARS "error http1.invalid_characters"
#define BAD_CODING "error http1.invalid_transfer_encoding"
#define BAD_CONNECTION "error http1.connection_header_rejected"

static const struct row accepted[] = {
    {"simplest", STR(GET "\r\n"), GOT " | none | done keep"},
    {"host among others", STR("GET /x?y=1 HTTP/1.1\r\nA: 1\r\nHost: b:80\r\nC: 2\r\n\r\n"),
     ":method=GET :path=/x?y=1 :authority=b:80 a=1 c=2 | none | done keep"},
    {"empty line before", STR("\r\n" GET "\r\n"), GOT " | none | done keep"},
    {"pipelined rest", STR(GET "\r\nGET /"), GOT " | none | done keep +5"},
    {"names lower-cased", STR(GET "X-Foo_BAR.9: V\r\n\r\n"),
     GOT " x-foo_bar.9=V | none | done keep"},
    {"all tchars in a name", STR(GET "!#$%&'*+-.^_`|~: x\r\n\r\n"),
     GOT " !#$%&'*+-.^_`|~=x | none | done keep"},
    {"long name, lower-cased to the end", STR(GET "ABCDEFGHIJKLMNOPQRSTUVWXYZ-ABCDEFG: x\r\n\r\n"),
     GOT " abcdefghijklmnopqrstuvwxyz-abcdefg=x | none | done keep"},
    {"blanks around a value", STR(GET "a: \t x y\t \r\n\r\n"), GOT " a=x y | none | done keep"},
    {"no blank before a value", STR(GET "a:x\r\n\r\n"), GOT " a=x | none | done keep"},
    {"empty value", STR(GET "a:\r\nb: \t\r\n\r\n"), GOT " a= b= | none | done keep"},
    {"bytes above 0x7f in a value", STR(GET "a: \xc3\xa9\xff\r\n\r\n"),
     GOT " a=\xc3\xa9\xff | none | done keep"},
    {"tab in a value", STR(GET "a: x\ty\r\n\r\n"), GOT " a=x\ty | none | done keep"},
    {"value of sixteens", STR(GET "a: 0123456789abcdef0123456789abcdef\r\n\r\n"),
     GOT " a=0123456789abcdef0123456789abcdef | none | done keep"},
    {"repeated fields stay", STR(GET "a: 1\r\nA: 2\r\n\r\n"), GOT " a=1 a=2 | none | done keep"},
    {"rare method", STR("UNSUBSCRIBE / HTTP/1.1\r\nhost: a\r\n\r\n"),
     ":method=UNSUBSCRIBE :path=/ :authority=a | none | done keep"},
    {"asterisk", STR("OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n"),
     ":method=OPTIONS :path=* :authority=a | none | done keep"},
    {"absolute", STR("GET http://b:8/x?y HTTP/1.1\r\nhost: a\r\n\r\n"),
     ":method=GET :path=/x?y :authority=b:8 :scheme=http | none | done keep"},
    {"absolute, scheme in capitals", STR("GET HTTPS://b/ HTTP/1.1\r\nhost: a\r\n\r\n"),
     ":method=GET :path=/ :authority=b :scheme=https | none | done keep"},
    {"absolute without path", STR("GET http://b HTTP/1.1\r\nhost: a\r\n\r\n"),
     ":method=GET :path=/ :authority=b :scheme=http | none | done keep"},
    {"absolute with query only", STR("GET http://b?x HTTP/1.1\r\nhost: a\r\n\r\n"),
     ":method=GET :path=/?x :authority=b :scheme=http | none | done keep"},
    {"absolute OPTIONS of the server", STR("OPTIONS http://b HTTP/1.1\r\nhost: a\r\n\r\n"),
     ":method=OPTIONS :path=/ :authority=b :scheme=http | none | done keep"},
    {"CONNECT", STR("CONNECT b:443 HTTP/1.1\r\nhost: a\r\n\r\nTLS"),
     ":method=CONNECT :authority=b:443 | none | done keep +3"},
    {"CONNECT with length 0", STR("CONNECT b:443 HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n"),
     ":method=CONNECT :authority=b:443 | none | done keep"},
    {"fragments, for the connection manager to refuse",
     STR("GET /a#b#c HTTP/1.1\r\nhost: a\r\n\r\n"),
     ":method=GET :path=/a#b#c :authority=a | none | done keep"},
    {"absolute with fragment", STR("GET http://b/#x HTTP/1.1\r\nhost: a\r\n\r\n"),
     ":method=GET :path=/#x :authority=b :scheme=http | none | done keep"},
    {"no host", STR("GET / HTTP/1.1\r\n\r\n"), ":method=GET :path=/ | none | done keep"},
    {"no host with absolute target", STR("GET http://a/ HTTP/1.1\r\n\r\n"),
     ":method=GET :path=/ :authority=a :scheme=http | none | done keep"},
    {"proxy-connection", STR(GET "proxy-connection: keep-alive, Close\r\n\r\n"),
     GOT " proxy-connection=keep-alive, Close | none | done last"},
    {"IPv6 host", STR("GET / HTTP/1.1\r\nhost: [::1]:80\r\n\r\n"),
     ":method=GET :path=/ :authority=[::1]:80 | none | done keep"},
    {"target with all that is allowed",
     STR("GET /!\"$%&'()*+,-./09:;<=>?@AZ[\\]^_`az{|}~ HTTP/1.1\r\n"
         "host: a\r\n\r\n"),
     ":method=GET :path=/!\"$%&'()*+,-./09:;<=>?@AZ[\\]^_`az{|}~ :authority=a | none | done keep"},
    {"length", STR(POST "content-length: 5\r\n\r\nhello"),
     POSTED " content-length=5 | length 'hello' | done keep"},
    {"length, rest", STR(POST "content-length: 5\r\n\r\nhelloGET"),
     POSTED " content-length=5 | length 'hello' | done keep +3"},
    {"length, incomplete", STR(POST "content-length: 5\r\n\r\nhel"),
     POSTED " content-length=5 | length 'hel' | more keep"},
    {"length 0", STR(POST "content-length: 0\r\n\r\n"),
     POSTED " content-length=0 | length | done keep"},
    {"length with leading zeros", STR(POST "content-length: 005\r\n\r\nhello"),
     POSTED " content-length=005 | length 'hello' | done keep"},
    {"chunked", STR(POST "transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
     POSTED " transfer-encoding=chunked | chunked 'hello' | done keep"},
    {"chunked in capitals", STR(POST "Transfer-Encoding:CHUNKED\r\n\r\n0\r\n\r\nx"),
     POSTED " transfer-encoding=CHUNKED | chunked | done keep +1"},
    {"close", STR(GET "connection: close\r\n\r\n"), GOT " connection=close | none | done last"},
    {"close in a list, in capitals", STR(GET "connection: foo ,, CLOSE\r\n\r\n"),
     GOT " connection=foo ,, CLOSE | none | done last"},
    {"close goes before keep-alive", STR(GET "connection: keep-alive\r\nconnection: close\r\n\r\n"),
     GOT " connection=keep-alive connection=close | none | done last"},
    {"upgrade", STR(GET "connection: Upgrade\r\nupgrade: websocket\r\n\r\nx"),
     GOT " connection=Upgrade upgrade=websocket | none | done keep upgrade +1"},
    {"upgrade without its field", STR(GET "connection: upgrade\r\n\r\n"),
     GOT " connection=upgrade | none | done keep"},
    {"upgrade without the option", STR(GET "upgrade: websocket\r\n\r\n"),
     GOT " upgrade=websocket | none | done keep"},
    {"h2c is not taken",
     STR(GET "connection: upgrade, http2-settings\r\nupgrade: h2c\r\n"
             "http2-settings: AAA\r\n\r\n"),
     GOT " connection=upgrade, http2-settings | none | done keep"},
    {"nominated fields go", STR(GET "x-a: 1\r\nconnection: X-A, x-b\r\nx-b: 2\r\nx-c: 3\r\n\r\n"),
     GOT " connection=X-A, x-b x-c=3 | none | done keep"},
    {"nominated in two fields",
     STR(GET "x-a: 1\r\nconnection: X-A\r\nx-b: 2\r\nconnection: x-b\r\n\r\n"),
     GOT " connection=X-A connection=x-b | none | done keep"},
    {"TE stays when nominated", STR(GET "te: trailers\r\nconnection: te\r\n\r\n"),
     GOT " te=trailers connection=te | none | done keep"},
    {"nothing", STR("\r"), "more"},
    {"no end of line yet", STR("GET / HT"), "more"},
    {"no empty line yet", STR(GET), "more"},
    {"half an empty line", STR(GET "\r"), "more"},
};

static const struct row smuggling[] = {
    {"both lengths", STR(POST "content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
     "error http1.content_length_and_chunked_not_allowed"},
    {"both lengths, other order",
     STR(POST "transfer-encoding: chunked\r\ncontent-length: 0\r\n\r\n"),
     "error http1.content_length_and_chunked_not_allowed"},
    {"length and a coding that nobody knows",
     STR(POST "transfer-encoding: x\r\ncontent-length: 3\r\n\r\n"),
     "error http1.content_length_and_chunked_not_allowed"},
    {"two lengths", STR(POST "content-length: 5\r\ncontent-length: 6\r\n\r\n"), CODEC},
    {"two equal lengths", STR(POST "content-length: 5\r\ncontent-length: 5\r\n\r\nhello"), CODEC},
    {"list of lengths", STR(POST "content-length: 5, 5\r\n\r\nhello"), CODEC},
    {"length with plus", STR(POST "content-length: +4\r\n\r\n"), CODEC},
    {"length with minus", STR(POST "content-length: -4\r\n\r\n"), CODEC},
    {"length in hex", STR(POST "content-length: 0x4\r\n\r\n"), CODEC},
    {"length with a blank inside", STR(POST "content-length: 1 2\r\n\r\n"), CODEC},
    {"length with fraction", STR(POST "content-length: 4.0\r\n\r\n"), CODEC},
    {"empty length", STR(POST "content-length:\r\n\r\n"), CODEC},
    {"length of 2^63", STR(POST "content-length: 9223372036854775808\r\n\r\n"), CODEC},
    {"length of 2^64 + 5", STR(POST "content-length: 18446744073709551621\r\n\r\n"), CODEC},
    {"length in other digits", STR(POST "content-length: \xd9\xa5\r\n\r\n"), CODEC},
    {"coding xchunked", STR(POST "transfer-encoding: xchunked\r\n\r\n"), BAD_CODING},
    {"coding chunkedx", STR(POST "transfer-encoding: chunkedx\r\n\r\n"), BAD_CODING},
    {"coding identity", STR(POST "transfer-encoding: identity\r\n\r\n"), BAD_CODING},
    {"coding gzip, chunked", STR(POST "transfer-encoding: gzip, chunked\r\n\r\n"), BAD_CODING},
    {"coding chunked, identity", STR(POST "transfer-encoding: chunked, identity\r\n\r\n"),
     BAD_CODING},
    {"coding chunked twice", STR(POST "transfer-encoding: chunked, chunked\r\n\r\n"), BAD_CODING},
    {"coding with a tab behind", STR(POST "transfer-encoding: chunked\t\r\n\r\n"), CODEC},
    {"length with a tab behind", STR(POST "content-length: 5\t\r\n\r\nhello"), CODEC},
    {"coding in two fields",
     STR(POST "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n"), BAD_CODING},
    {"coding with a parameter", STR(POST "transfer-encoding: chunked;q=1\r\n\r\n"), BAD_CODING},
    {"coding with a leading comma", STR(POST "transfer-encoding: ,chunked\r\n\r\n"), BAD_CODING},
    {"coding in quotes", STR(POST "transfer-encoding: \"chunked\"\r\n\r\n"), BAD_CODING},
    {"coding behind vertical tab",
     STR(POST "transfer-encoding: \x0b"
              "chunked\r\n\r\n"),
     BAD_CHARS},
    {"empty coding", STR(POST "transfer-encoding:\r\n\r\n"), BAD_CODING},
    {"coding name before a blank", STR(POST "transfer-encoding : chunked\r\n\r\n"), CODEC},
    {"coding name before a tab", STR(POST "transfer-encoding\t: chunked\r\n\r\n"), CODEC},
    {"coding on the next line", STR(POST "transfer-encoding:\r\n chunked\r\n\r\n"), CODEC},
    {"folded by a tab", STR(POST "a: b\r\n\ttransfer-encoding: chunked\r\n\r\n"), CODEC},
    {"first field folded", STR("POST / HTTP/1.1\r\n host: a\r\n\r\n"), CODEC},
    {"coding behind a lone LF", STR(POST "a: b\ntransfer-encoding: chunked\r\n\r\n"), CODEC},
    {"coding behind a lone CR", STR(POST "a: b\rtransfer-encoding: chunked\r\n\r\n"), CODEC},
    {"CR CR LF", STR(GET "a: b\r\r\n\r\n"), CODEC},
    {"CR before a value", STR(GET "a:\rb\r\n\r\n"), CODEC},
    {"lone LF lines", STR("GET / HTTP/1.1\nhost: a\n\n"), CODEC},
    {"lone LF as the empty line", STR(GET "\n"), CODEC},
    {"lone CR as the empty line", STR(GET "\rx\r\n\r\n"), CODEC},
    {"NUL in a name", STR(GET "a\0b: c\r\n\r\n"), CODEC},
    {"NUL in a value", STR(GET "a: b\0c\r\n\r\n"), BAD_CHARS},
    {"DEL in a value", STR(GET "a: b\x7f\r\n\r\n"), BAD_CHARS},
    {"escape in a value", STR(GET "a: b\x1b[0m\r\n\r\n"), BAD_CHARS},
    {"no name", STR(GET ": b\r\n\r\n"), CODEC},
    {"no colon", STR(GET "ab\r\n\r\n"), CODEC},
    {"blank in a name", STR(GET "a b: c\r\n\r\n"), CODEC},
    {"name above 0x7f", STR(GET "a\xe9: c\r\n\r\n"), CODEC},
    {"pseudo header as a field", STR(GET ":path: /admin\r\n\r\n"), CODEC},
    {"parentheses in a name", STR(GET "a(b): c\r\n\r\n"), CODEC},
    {"empty host", STR("GET / HTTP/1.1\r\nhost:\r\n\r\n"), "error missing_host_header"},
    {"two hosts", STR(GET "host: b\r\n\r\n"), CODEC},
    {"two equal hosts", STR(GET "Host: a\r\n\r\n"), CODEC},
    {"host with userinfo", STR("GET / HTTP/1.1\r\nhost: b@a\r\n\r\n"), CODEC},
    {"host with a path", STR("GET / HTTP/1.1\r\nhost: a/b\r\n\r\n"), CODEC},
    {"host list", STR("GET / HTTP/1.1\r\nhost: a, b\r\n\r\n"), CODEC},
    {"host with a long port", STR("GET / HTTP/1.1\r\nhost: a:65536\r\n\r\n"), CODEC},
    {"host with an empty port", STR("GET / HTTP/1.1\r\nhost: a:\r\n\r\n"), CODEC},
    {"host with two ports", STR("GET / HTTP/1.1\r\nhost: a:1:2\r\n\r\n"), CODEC},
    {"host unclosed", STR("GET / HTTP/1.1\r\nhost: [::1\r\n\r\n"), CODEC},
    {"CONNECT with a length", STR("CONNECT a:1 HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\n"),
     "error http1.body_disallowed"},
    {"CONNECT with chunks",
     STR("CONNECT a:1 HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"), BAD_CODING},
    {"HTTP/1.0", STR("GET / HTTP/1.0\r\nhost: a\r\n\r\n"), "error low_version"},
    {"nominated x-forwarded-for", STR(GET "connection: X-Forwarded-For\r\n\r\n"), BAD_CONNECTION},
    {"nominated x-forwarded-host", STR(GET "connection: close, x-forwarded-host\r\n\r\n"),
     BAD_CONNECTION},
    {"nominated x-forwarded-proto", STR(GET "connection: x-forwarded-proto\r\n\r\n"),
     BAD_CONNECTION},
    {"nominated pseudo header", STR(GET "connection: :path\r\n\r\n"), BAD_CONNECTION},
    {"nominated length", STR(POST "content-length: 1\r\nconnection: content-length\r\n\r\nx"),
     BAD_CONNECTION},
    {"nominated coding",
     STR(POST "transfer-encoding: chunked\r\nconnection: transfer-encoding\r\n\r\n"),
     BAD_CONNECTION},
    {"nominated host", STR(GET "connection: host\r\n\r\n"), BAD_CONNECTION},
    {"ten options", STR(GET "connection: a,b,c,d,e\r\nconnection: f,g,h,i,j\r\n\r\n"),
     BAD_CONNECTION},
};

static const struct row start_lines[] = {
    {"two empty lines before", STR("\r\n\r\n" GET "\r\n"), CODEC},
    {"lone LF before", STR("\n" GET "\r\n"), CODEC},
    {"lone CR before", STR("\r" GET "\r\n"), CODEC},
    {"blank before the method", STR(" " GET "\r\n"), CODEC},
    {"no method", STR(" / HTTP/1.1\r\nhost: a\r\n\r\n"), CODEC},
    {"comma in the method", STR("GE,T / HTTP/1.1\r\nhost: a\r\n\r\n"), CODEC},
    {"NUL in the method", STR("GE\0T / HTTP/1.1\r\nhost: a\r\n\r\n"), CODEC},
    {"tab after the method", STR("GET\t/ HTTP/1.1\r\nhost: a\r\n\r\n"), CODEC},
    {"two blanks after the method", STR("GET  / HTTP/1.1\r\nhost: a\r\n\r\n"), BAD_URL},
    {"two blanks after the target", STR("GET /  HTTP/1.1\r\nhost: a\r\n\r\n"), CODEC},
    {"blank after the version", STR("GET / HTTP/1.1 \r\nhost: a\r\n\r\n"), CODEC},
    {"no version", STR("GET /\r\nhost: a\r\n\r\n"), CODEC},
    {"empty version", STR("GET / \r\nhost: a\r\n\r\n"), CODEC},
    {"HTTP/0.9", STR("GET / HTTP/0.9\r\nhost: a\r\n\r\n"), CODEC},
    {"HTTP/1.2", STR("GET / HTTP/1.2\r\nhost: a\r\n\r\n"), CODEC},
    {"HTTP/1.10", STR("GET / HTTP/1.10\r\nhost: a\r\n\r\n"), CODEC},
    {"HTTP/2.0 preface", STR("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), CODEC},
    {"http in small letters", STR("GET / http/1.1\r\nhost: a\r\n\r\n"), CODEC},
    {"version with a leading zero", STR("GET / HTTP/01.1\r\nhost: a\r\n\r\n"), CODEC},
    {"tab in the target", STR("GET /a\tb HTTP/1.1\r\nhost: a\r\n\r\n"), BAD_URL},
    {"NUL in the target", STR("GET /a\0b HTTP/1.1\r\nhost: a\r\n\r\n"), BAD_URL},
    {"DEL in the target", STR("GET /a\x7f HTTP/1.1\r\nhost: a\r\n\r\n"), BAD_URL},
    {"above 0x7f in the target", STR("GET /\xc3\xa9 HTTP/1.1\r\nhost: a\r\n\r\n"), BAD_URL},
    {"blank in a fragment", STR("GET /a#b c HTTP/1.1\r\nhost: a\r\n\r\n"), CODEC},
    {"unknown method", STR("BREW / HTTP/1.1\r\nhost: a\r\n\r\n"), CODEC},
    {"method in small letters", STR("get / HTTP/1.1\r\nhost: a\r\n\r\n"), CODEC},
    {"relative target", STR("GET a HTTP/1.1\r\nhost: a\r\n\r\n"), BAD_URL},
    {"asterisk for GET", STR("GET * HTTP/1.1\r\nhost: a\r\n\r\n"), BAD_URL},
    {"authority form for GET", STR("GET a:80 HTTP/1.1\r\nhost: a\r\n\r\n"), BAD_URL},
    {"absolute without authority", STR("GET http:///x HTTP/1.1\r\nhost: a\r\n\r\n"), BAD_URL},
    {"absolute with userinfo", STR("GET http://u@b/ HTTP/1.1\r\nhost: a\r\n\r\n"), BAD_URL},
    {"absolute with a bad port", STR("GET http://b:x/ HTTP/1.1\r\nhost: a\r\n\r\n"), BAD_URL},
    {"absolute with one slash", STR("GET http:/b HTTP/1.1\r\nhost: a\r\n\r\n"), BAD_URL},
    {"absolute with backslash", STR("GET http://b\\@c/ HTTP/1.1\r\nhost: a\r\n\r\n"), BAD_URL},
    {"other scheme", STR("GET ftp://b/ HTTP/1.1\r\nhost: a\r\n\r\n"), "error http1.invalid_scheme"},
    {"CONNECT without port", STR("CONNECT b HTTP/1.1\r\nhost: a\r\n\r\n"), BAD_URL},
    {"CONNECT to port 0", STR("CONNECT b:0 HTTP/1.1\r\nhost: a\r\n\r\n"), BAD_URL},
    {"CONNECT with a path", STR("CONNECT /x HTTP/1.1\r\nhost: a\r\n\r\n"), BAD_URL},
    {"CONNECT with a URI", STR("CONNECT http://b:1/ HTTP/1.1\r\nhost: a\r\n\r\n"), BAD_URL},
    {"a TLS hello", STR("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"), CODEC},
};

static void check_rows(const struct row *rows, size_t n, const struct h1_parser *settings)
{
    for (size_t i = 0; i < n; i++)
        h1_run_check(rows[i].name, settings, H1_REQUEST, rows[i].input, rows[i].expect);
}

static void test_accepted(void **state)
{
    (void)state;
    check_rows(accepted, ARRAY_LEN(accepted), NULL);
}

static void test_smuggling(void **state)
{
    (void)state;
    check_rows(smuggling, ARRAY_LEN(smuggling), NULL);
}

static void test_start_lines(void **state)
{
    (void)state;
    check_rows(start_lines, ARRAY_LEN(start_lines), NULL);
}

static void test_http_10(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"without host", STR("GET / HTTP/1.0\r\n\r\n"), ":method=GET :path=/ | none | done last"},
        {"keep-alive", STR("GET / HTTP/1.0\r\nHost: a\r\nConnection: Keep-Alive\r\n\r\n"),
         GOT " connection=Keep-Alive | none | done keep"},
        {"close and keep-alive",
         STR("GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive,close\r\n\r\n"),
         GOT " connection=keep-alive,close | none | done last"},
        {"length", STR("POST / HTTP/1.0\r\nHost: a\r\ncontent-length: 2\r\n\r\nhi"),
         POSTED " content-length=2 | length 'hi' | done last"},
        {"coding", STR("POST / HTTP/1.0\r\nHost: a\r\ntransfer-encoding: chunked\r\n\r\n"),
         "error http1.transfer_encoding_not_allowed"},
        {"two hosts", STR("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n"), CODEC},
    };
    struct h1_parser settings;
    h1_parse_init(&settings, H1_REQUEST);
    settings.accept_http_10 = true;
    check_rows(rows, ARRAY_LEN(rows), &settings);
}

static void test_rules(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"any method", STR("BREW / HTTP/1.1\r\nhost: a\r\n\r\n"),
         ":method=BREW :path=/ :authority=a | none | done keep"},
        {"absolute kept", STR("GET http://b/ HTTP/1.1\r\nhost: a\r\n\r\n"),
         ":method=GET :path=http://b/ :authority=a | none | done keep"},
        {"chunked beats length",
         STR(POST "content-length: 9\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
         POSTED " transfer-encoding=chunked | chunked | done keep"},
        {"length and another coding",
         STR(POST "content-length: 9\r\ntransfer-encoding: gzip\r\n\r\n"),
         "error http1.content_length_and_chunked_not_allowed"},
    };
    static const struct row https[] = {
        {"https", STR("GET https://b/ HTTP/1.1\r\nhost: a\r\n\r\n"),
         "error http1.https_url_on_plaintext_connection"},
        {"http", STR("GET http://b/ HTTP/1.1\r\nhost: a\r\n\r\n"),
         ":method=GET :path=/ :authority=b :scheme=http | none | done keep"},
    };
    struct h1_parser settings;
    h1_parse_init(&settings, H1_REQUEST);
    settings.rules = (struct h1_rules){
        .takes_any_method = true, .keeps_absolute = true, .chunked_beats_length = true};
    check_rows(rows, ARRAY_LEN(rows), &settings);
    settings.rules = (struct h1_rules){.refuses_https = true};
    check_rows(https, ARRAY_LEN(https), &settings);
}

static void test_limits(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"head of just the size", STR(GET "a: 9\r\nb: 4567\r\n\r\n"),
         GOT " a=9 b=4567 | none | done keep"},
        {"head a byte longer", STR(GET "a: 9\r\nb: 45678\r\n\r\n"),
         "error http1.headers_too_large"},
        {"endless line", STR(GET "a: 01234567890123456789"), "error http1.headers_too_large"},
        {"endless target", STR("GET /aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
         "error http1.headers_too_large"},
        {"one field too many", STR(GET "a:\r\nb:\r\nc:\r\n\r\n"), "error http1.too_many_headers"},
        {"body does not count",
         STR(POST "content-length: 30\r\n\r\n012345678901234567890123456789"),
         POSTED " content-length=30 | length '012345678901234567890123456789' | done keep"},
        {"trailers of just the size",
         STR("POST / HTTP/1.1\r\nhost:a\r\ntransfer-encoding:chunked\r\n\r\n"
             "0\r\na: 01234567890123456789012345678901234567890123456789012\r\n\r\n"),
         POSTED " transfer-encoding=chunked | chunked | "
                "a=01234567890123456789012345678901234567890123456789012"
                " | done keep"},
        {"trailers too long",
         STR("POST / HTTP/1.1\r\nhost:a\r\ntransfer-encoding:chunked\r\n\r\n"
             "0\r\na: 012345678901234567890123456789012345678901234567890123\r\n\r\n"),
         "error http1.headers_too_large"},
        {"too many trailers",
         STR("POST / HTTP/1.1\r\nhost:a\r\ntransfer-encoding:chunked\r\n\r\n"
             "0\r\na:\r\nb:\r\nc:\r\nd:\r\n\r\n"),
         "error http1.too_many_headers"},
    };
    struct h1_parser settings;
    h1_parse_init(&settings, H1_REQUEST);
    settings.headers_count_max = 3;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        settings.headers_size_max = i < 4 ? 42 : 60;
        h1_run_check(rows[i].name, &settings, H1_REQUEST, rows[i].input, rows[i].expect);
    }
    assert_int_equal(h1_error_status(H1_ERROR_HEADERS_TOO_LARGE), 431);
    assert_int_equal(h1_error_status(H1_ERROR_TOO_MANY_HEADERS), 431);
    assert_int_equal(h1_error_status(H1_ERROR_TRANSFER_ENCODING), 501);
    assert_int_equal(h1_error_status(H1_ERROR_LOW_VERSION), 426);
    assert_int_equal(h1_error_status(H1_ERROR_CODEC), 400);
}

/* The default limits: 60 KiB, 100 fields. */
static void test_default_limits(void **state)
{
    (void)state;
    for (unsigned fields = 99; fields <= 101; fields++) {
        struct sbuf in = {0};
        sbuf_addz(&in, GET);
        for (unsigned i = 1; i < fields; i++)
            sbuf_printf(&in, "f%u: x\r\n", i);
        sbuf_addz(&in, "\r\n");
        char *text = h1_run_once(NULL, H1_REQUEST, (struct str){in.p, in.n});
        assert_int_equal(strcmp(text, "error http1.too_many_headers") == 0, fields == 101);
        mem_free(text);
        sbuf_fini(&in);
    }
    for (size_t size = 60 * 1024 - 1; size <= 60 * 1024 + 1; size++) {
        struct sbuf in = {0};
        sbuf_addz(&in, GET "a: ");
        while (in.n < size - 4)
            sbuf_addc(&in, 'x');
        sbuf_addz(&in, "\r\n\r\n");
        char *text = h1_run_once(NULL, H1_REQUEST, (struct str){in.p, in.n});
        assert_int_equal(strcmp(text, "error http1.headers_too_large") == 0, size > 60 * 1024);
        mem_free(text);
        sbuf_fini(&in);
    }
}

static void test_next_message(void **state)
{
    (void)state;
    static const char in[] = POST "content-length: 2\r\n\r\nhi" GET "connection: close\r\n\r\n";
    struct h1_run r;
    h1_run_init(&r, H1_REQUEST);
    h1_run_feed(&r, in, sizeof(in) - 1);
    assert_int_equal(r.p.state, H1_DONE);
    size_t used = r.used;
    h1_parse_next(&r.p);
    h1_run_feed(&r, in, sizeof(in) - 1);
    assert_int_equal(r.p.state, H1_DONE);
    assert_int_equal(r.p.body, H1_BODY_NONE);
    assert_false(r.p.keep_alive);
    assert_true(str_is(headers_get(&r.head, HDR_METHOD), "GET"));
    assert_int_equal(r.head.n, 4);
    assert_int_equal(r.used, sizeof(in) - 1);
    assert_true(used < r.used);
    h1_run_fini(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepted),       cmocka_unit_test(test_smuggling),
        cmocka_unit_test(test_start_lines),    cmocka_unit_test(test_http_10),
        cmocka_unit_test(test_rules),          cmocka_unit_test(test_limits),
        cmocka_unit_test(test_default_limits), cmocka_unit_test(test_next_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
