/* Differential test against llhttp, the parser of Node.js: whatever our parser takes, llhttp takes
 * too and reads in the same way - method, target, fields, body, trailers, where the message ends.
 * Fields are compared as sets of lines in order; those that our parser removes by rule (Host,
 * nominated ones) may be absent from our map and no others. Differences that are known and wanted
 * are the rows of test_known_differences, each with its reason. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#ifdef HAVE_LLHTTP

#include "base/mem.h"
#include "h1_run.h"
#include "http/uri.h"
#include "llhttp.h"
#include "mutate.h"

enum { ROUNDS = 1000000, LINES_MAX = 128 };

/* What llhttp made of a message. */
struct other {
    llhttp_t p;
    struct sbuf text; /* start line parts, names and values, NUL-terminated each */
    size_t url_off;
    size_t name_off[LINES_MAX], value_off[LINES_MAX], lines, head_lines;
    struct sbuf body;
    bool has_head, is_complete;
    bool skip_body; /* said by the owner, as for ours */
    enum llhttp_errno error;
    size_t used;
};

static struct other *self(llhttp_t *p)
{
    return container_of(p, struct other, p);
}

static int on_url(llhttp_t *p, const char *at, size_t n)
{
    sbuf_add(&self(p)->text, at, n);
    return 0;
}

static int end_text(llhttp_t *p)
{
    sbuf_addc(&self(p)->text, 0);
    return 0;
}

static int on_field(llhttp_t *p, const char *at, size_t n)
{
    struct other *o = self(p);
    if (o->lines == LINES_MAX)
        return -1;
    if (o->name_off[o->lines] == 0)
        o->name_off[o->lines] = o->text.n;
    for (size_t i = 0; i < n; i++)
        sbuf_addc(&o->text, str_lower(at[i]));
    return 0;
}

static int on_field_complete(llhttp_t *p)
{
    struct other *o = self(p);
    sbuf_addc(&o->text, 0);
    o->value_off[o->lines] = o->text.n;
    return 0;
}

static int on_value_complete(llhttp_t *p)
{
    struct other *o = self(p);
    /* llhttp leaves blanks at the end of a value to its user. */
    while (o->text.n > o->value_off[o->lines] &&
           (o->text.p[o->text.n - 1] == ' ' || o->text.p[o->text.n - 1] == '\t'))
        o->text.n--;
    sbuf_addc(&o->text, 0);
    o->lines++;
    return 0;
}

static int on_headers_complete(llhttp_t *p)
{
    struct other *o = self(p);
    o->has_head = true;
    o->head_lines = o->lines;
    /* 304 never has a body (RFC 9112 6.3); llhttp wants to be told when it is chunked. */
    return o->skip_body || p->status_code == 304;
}

static int on_body(llhttp_t *p, const char *at, size_t n)
{
    sbuf_add(&self(p)->body, at, n);
    return 0;
}

static int on_message_complete(llhttp_t *p)
{
    self(p)->is_complete = true;
    return HPE_PAUSED;
}

static void other_run(struct other *o, bool is_response, bool skip_body, struct str in)
{
    static llhttp_settings_t settings;
    llhttp_settings_init(&settings);
    settings.on_url = settings.on_header_value = on_url;
    settings.on_url_complete = end_text;
    settings.on_header_field = on_field;
    settings.on_header_field_complete = on_field_complete;
    settings.on_header_value_complete = on_value_complete;
    settings.on_headers_complete = on_headers_complete;
    settings.on_body = on_body;
    settings.on_message_complete = on_message_complete;
    *o = (struct other){.skip_body = skip_body};
    sbuf_addc(&o->text, 0); /* so that offset 0 means: none yet */
    o->url_off = 1;
    llhttp_init(&o->p, is_response ? HTTP_RESPONSE : HTTP_REQUEST, &settings);
    o->error = llhttp_execute(&o->p, in.p, in.n);
    const char *stop = llhttp_get_error_pos(&o->p);
    o->used = o->error == HPE_OK || !stop ? in.n : (size_t)(stop - in.p);
}

static void other_fini(struct other *o)
{
    sbuf_fini(&o->text);
    sbuf_fini(&o->body);
}

static struct str other_text(const struct other *o, size_t off)
{
    return str_of(o->text.p + off);
}

/* Is `name` one of the comma-separated tokens of a connection field of the message? */
static bool is_nominated(const struct other *o, struct str name)
{
    for (size_t i = 0; i < o->head_lines; i++) {
        struct str value = other_text(o, o->value_off[i]), token;
        if (!str_is(other_text(o, o->name_off[i]), "connection"))
            continue;
        while (str_next(&value, ',', &token))
            if (str_eq_nocase(str_trim(token), name))
                return true;
    }
    return false;
}

/* May our map lack this field? By the rules in h1_parse.h and h1_framing.c. */
static bool is_removed(const struct h1_run *r, const struct other *o, struct str name)
{
    unsigned status = headers_status(&r->head);
    bool is_request = r->p.kind == H1_REQUEST;
    bool is_connect = str_is(headers_get(&r->head, HDR_METHOD), "CONNECT");
    if (str_is(name, "content-length"))
        return is_request ? is_connect : status < 200 || status == 204 || r->p.request_was_connect;
    if (str_is(name, "transfer-encoding"))
        return !is_request && r->p.request_was_connect;
    if (!is_request)
        return false;
    return str_is(name, "host") || str_is(name, "upgrade") || str_is(name, "http2-settings") ||
           is_nominated(o, name);
}

static bool same_lines(const struct h1_run *r, const struct headers *h, const struct other *o,
                       size_t from, size_t to)
{
    size_t k = 0;
    while (k < h->n && header_name(h, &h->v[k]).p[0] == ':')
        k++;
    for (size_t i = from; i < to; i++) {
        struct str name = other_text(o, o->name_off[i]), value = other_text(o, o->value_off[i]);
        if (k < h->n && str_eq(header_name(h, &h->v[k]), name) &&
            str_eq(header_value(h, &h->v[k]), value))
            k++;
        else if (!is_removed(r, o, name))
            return false;
    }
    return k == h->n;
}

static bool same_target(const struct h1_run *r, const struct other *o)
{
    struct str url = other_text(o, o->url_off), path = headers_get(&r->head, HDR_PATH);
    struct str authority = headers_get(&r->head, HDR_AUTHORITY);
    struct uri uri;
    if (str_is(headers_get(&r->head, HDR_METHOD), "CONNECT"))
        return str_eq(url, authority);
    if (url.n && (url.p[0] == '/' || url.p[0] == '*'))
        return str_eq(url, path);
    return uri_parse(url, &uri) && str_eq(uri.authority, authority) && str_ends(path, uri.target);
}

static const char *difference(const struct h1_run *r, const struct other *o)
{
    bool is_request = r->p.kind == H1_REQUEST;
    if (!o->has_head)
        return "llhttp refuses the head";
    if (is_request && !str_is(headers_get(&r->head, HDR_METHOD),
                              llhttp_method_name((llhttp_method_t)o->p.method)))
        return "method";
    if (is_request && !same_target(r, o))
        return "target";
    if (!is_request && headers_status(&r->head) != o->p.status_code)
        return "status";
    if (r->p.minor_version != o->p.http_minor || o->p.http_major != 1)
        return "version";
    if (!same_lines(r, &r->head, o, 0, o->head_lines))
        return "fields";
    if (r->body.n != o->body.n || (r->body.n && memcmp(r->body.p, o->body.p, r->body.n) != 0))
        return "body";
    if ((r->p.state == H1_DONE) != o->is_complete)
        return "completeness";
    if (r->p.state == H1_DONE && r->used != o->used)
        return "where the message ends";
    if (r->p.state == H1_DONE && !same_lines(r, &r->trailers, o, o->head_lines, o->lines))
        return "trailers";
    if (r->p.state == H1_BODY && o->error != HPE_OK)
        return "llhttp refuses what comes behind the head";
    return NULL;
}

/* The lists of methods differ, and fragments get their answer later on. */
static bool is_comparable(const struct h1_run *r)
{
    struct str method = headers_get(&r->head, HDR_METHOD);
    if (uri_has_fragment(headers_get(&r->head, HDR_PATH)))
        return false;
    for (int m = HTTP_DELETE; m <= HTTP_SOURCE; m++)
        if (str_is(method, llhttp_method_name((llhttp_method_t)m)))
            return true;
    return false;
}

static void show_message(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\n')
            fputs("\\n\n", stderr);
        else if ((unsigned char)s.p[i] < 0x20 || (unsigned char)s.p[i] > 0x7e)
            fprintf(stderr, "\\x%02x", (unsigned char)s.p[i]);
        else
            fputc(s.p[i], stderr);
    }
    fputc('\n', stderr);
}

struct tally {
    unsigned accepted, complete, refused;
};

static void compare(struct mutate *m, enum h1_kind kind, struct str in, struct tally *t)
{
    struct h1_run r;
    struct other o;
    h1_run_init(&r, kind);
    r.p.accept_http_10 = true;
    r.p.request_was_head = kind == H1_RESPONSE && mutate_below(m, 8) == 0;
    h1_run_feed(&r, in.p, in.n);
    bool is_taken = r.has_head && r.p.state != H1_FAILED;
    t->refused += r.p.state == H1_FAILED;
    if (is_taken && (kind == H1_RESPONSE || is_comparable(&r))) {
        t->accepted++;
        t->complete += r.p.state == H1_DONE;
        other_run(&o, kind == H1_RESPONSE, r.p.request_was_head, in);
        const char *what = difference(&r, &o);
        if (what) {
            show_message(in);
            char *text = h1_run_text(&r, in.n);
            fail_msg("differs in %s (llhttp: %s, used %zu of %zu; ours used %zu): %s", what,
                     llhttp_errno_name(o.error), o.used, in.n, r.used, text);
        }
        other_fini(&o);
    }
    h1_run_fini(&r);
}

static void run_kind(enum h1_kind kind, uint64_t seed)
{
    struct mutate m = {seed};
    struct sbuf in = {0};
    struct tally t = {0};
    for (int i = 0; i < ROUNDS / 2; i++) {
        if (kind == H1_REQUEST)
            mutate_request(&m, &in);
        else
            mutate_response(&m, &in);
        compare(&m, kind, (struct str){in.p, in.n}, &t);
    }
    /* The comparison is worth something only if both kinds of message come up often. */
    fprintf(stderr, "# %u compared, %u of them complete, %u refused\n", t.accepted, t.complete,
            t.refused);
    assert_in_range(t.complete, ROUNDS / 2 / 20, ROUNDS);
    assert_in_range(t.refused, ROUNDS / 2 / 20, ROUNDS);
    sbuf_fini(&in);
}

static void test_requests(void **state)
{
    (void)state;
    run_kind(H1_REQUEST, 0x9e3779b97f4a7c15ull);
}

static void test_responses(void **state)
{
    (void)state;
    run_kind(H1_RESPONSE, 0xd1b54a32d192ed03ull);
}

#define GET "GET / HTTP/1.1\r\nhost: a\r\n"
#define CHUNKED "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"
#define OK200 "HTTP/1.1 200 OK\r\n"

static const struct {
    const char *why;
    struct str input;
    bool is_response, is_taken_by_us;
} differences[] = {
    {"a fragment, for the connection manager to refuse",
     STR("GET http://a# HTTP/1.1\r\nhost: a\r\n\r\n"), false, true},
    {"RFC 9112 7.1.1 allows quoted pairs", STR(CHUNKED "1;x=\"y\\\"\"\r\na\r\n0\r\n\r\n"), false,
     true},
    {"a blank before the colon", STR(GET "a : b\r\n\r\n"), false, false},
    {"a folded line", STR(GET "a: b\r\n c\r\n\r\n"), false, false},
    {"a folded line", STR(OK200 "a: b\r\n\tc\r\n\r\n"), true, false},
    {"two hosts", STR(GET "host: b\r\n\r\n"), false, false},
    {"host with userinfo", STR("GET / HTTP/1.1\r\nhost: u@a\r\n\r\n"), false, false},
    {"coding in HTTP/1.0", STR("POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
     false, false},
    {"coding in HTTP/1.0", STR("HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
     true, false},
    {"two empty lines first", STR("\r\n\r\n" GET "\r\n"), false, false},
    {"empty line before a response", STR("\r\n" OK200 "content-length: 0\r\n\r\n"), true, false},
    {"userinfo in the target", STR("GET http://u@a/ HTTP/1.1\r\nhost: a\r\n\r\n"), false, false},
    {"length on CONNECT", STR("CONNECT a:1 HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\n\r\n"),
     false, false},
    {"a length on 204", STR("HTTP/1.1 204 X\r\ncontent-length: 0005\r\n\r\n"), true, false},
    {"coding on 204", STR("HTTP/1.1 204 X\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"), true,
     false},
    {"codings that we cannot undo",
     STR("POST / HTTP/1.1\r\nhost: a\r\n"
         "transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
     false, false},
    {"a tab behind the coding, which llhttp then does not know",
     STR(OK200 "transfer-encoding: chunked\t\r\n\r\n0\r\n\r\n"), true, false},
    {"more than sixteen digits", STR(CHUNKED "00000000000000001\r\na\r\n0\r\n\r\n"), false, false},
    {"a host in trailers", STR(CHUNKED "0\r\nhost: b\r\n\r\n"), false, false},
    {"nominated to hide the origin", STR(GET "connection: x-forwarded-for\r\n\r\n"), false, false},
};

static void test_known_differences(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(differences); i++) {
        enum h1_kind kind = differences[i].is_response ? H1_RESPONSE : H1_REQUEST;
        struct str in = differences[i].input;
        struct h1_run r;
        struct other o;
        h1_run_init(&r, kind);
        r.p.accept_http_10 = true;
        h1_run_feed(&r, in.p, in.n);
        other_run(&o, kind == H1_RESPONSE, false, in);
        /* A message until close is taken when its head and what came of its body are. */
        bool ours = r.has_head && r.p.state != H1_FAILED;
        bool others = o.has_head && (o.error == HPE_OK || o.is_complete || o.p.upgrade);
        if (ours != differences[i].is_taken_by_us || others == ours)
            fail_msg("%s: taken by us: %d, by llhttp: %d (%s)", differences[i].why, ours, others,
                     llhttp_errno_name(o.error));
        other_fini(&o);
        h1_run_fini(&r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_differences),
        cmocka_unit_test(test_requests),
        cmocka_unit_test(test_responses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

int main(void)
{
    printf("1..0 # SKIP llhttp is not unpacked: run deploy/llhttp\n");
    return 0;
}

#endif
