/* HTTP/1 parser. The first byte chooses kind and settings, the second the size of the pieces; the
 * rest is the message. Held to: nothing outside the input is touched or returned; how the input is
 * cut changes nothing; a request that was taken can be written, and the writing is taken again
 * with the same head and the same framing. */
#include <stdlib.h>

#include "base/buf.h"
#include "base/mem.h"
#include "http/h1_parse.h"
#include "http/h1_write.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct result {
    struct h1_parser p;
    struct headers head, trailers;
    struct sbuf body;
    size_t used;
    bool has_head;
};

static void check(bool ok)
{
    if (!ok)
        abort();
}

static void setup(struct h1_parser *p, uint8_t flags)
{
    h1_parse_init(p, flags & 1 ? H1_RESPONSE : H1_REQUEST);
    p->accept_http_10 = flags & 2;
    p->request_was_head = flags & 4;
    p->request_was_connect = flags & 8;
    p->rules = (struct h1_rules){.takes_any_method = flags & 32,
                                 .keeps_absolute = flags & 64,
                                 .refuses_https = flags & 32,
                                 .chunked_beats_length = flags & 128};
    if (flags & 16) {
        p->headers_size_max = 200;
        p->headers_count_max = 4;
    }
}

static bool step(struct result *r, struct str in)
{
    enum h1_state before = r->p.state;
    struct str run = {0};
    size_t n = 0;
    if (before == H1_HEAD) {
        n = h1_parse_head(&r->p, in, &r->head);
        r->has_head = n > 0;
    } else if (before == H1_BODY) {
        n = h1_parse_body(&r->p, in, &run);
        check(!run.n || (run.p >= in.p && run.p + run.n <= in.p + n));
        if (r->p.state != H1_FAILED)
            sbuf_add(&r->body, run.p, run.n);
    } else if (before == H1_TRAILERS) {
        n = h1_parse_trailers(&r->p, in, &r->trailers);
    }
    check(n <= in.n && (n == 0 || r->p.state != H1_FAILED));
    r->used += n;
    return n > 0 || r->p.state != before;
}

/* piece 0: all at once. Each look at the input is at a copy of just its size. */
static void run(struct result *r, uint8_t flags, struct str in, size_t piece)
{
    *r = (struct result){0};
    setup(&r->p, flags);
    for (size_t n = piece && piece < in.n ? piece : in.n;; n += piece) {
        bool again = true;
        if (n > in.n)
            n = in.n;
        while (again && r->used < n && r->p.state != H1_DONE && r->p.state != H1_FAILED) {
            char *copy = mem_dup(in.p + r->used, n - r->used);
            again = step(r, (struct str){copy, n - r->used});
            mem_free(copy);
        }
        if (n == in.n)
            break;
    }
}

static void done(struct result *r)
{
    headers_fini(&r->head);
    headers_fini(&r->trailers);
    sbuf_fini(&r->body);
}

static bool same_map(const struct headers *a, const struct headers *b)
{
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++)
        if (!str_eq(header_name(a, &a->v[i]), header_name(b, &b->v[i])) ||
            !str_eq(header_value(a, &a->v[i]), header_value(b, &b->v[i])))
            return false;
    return true;
}

static void check_same(const struct result *whole, const struct result *cut)
{
    /* A bad byte in a line without an end is noticed at once, or when the line ends, or never
     * because it gets too long. */
    bool is_incomplete = cut->p.state == H1_HEAD || cut->p.state == H1_TRAILERS ||
                         cut->p.error == H1_ERROR_HEADERS_TOO_LARGE;
    if (whole->p.state == H1_FAILED && is_incomplete)
        return;
    check(whole->p.state == cut->p.state && whole->p.error == cut->p.error);
    check(whole->has_head == cut->has_head && whole->p.body == cut->p.body);
    check(whole->p.keep_alive == cut->p.keep_alive && whole->p.is_upgrade == cut->p.is_upgrade);
    if (whole->p.state == H1_FAILED)
        return;
    check(whole->used == cut->used && whole->body.n == cut->body.n);
    check(!whole->body.n || memcmp(whole->body.p, cut->body.p, whole->body.n) == 0);
    check(!whole->has_head || same_map(&whole->head, &cut->head));
    check(whole->p.state != H1_DONE || same_map(&whole->trailers, &cut->trailers));
}

static void check_round_trip(const struct result *r)
{
    struct buf out = {0};
    struct result again = {0};
    if (r->p.kind != H1_REQUEST || !headers_find(&r->head, HDR_AUTHORITY) ||
        str_find(headers_get(&r->head, HDR_PATH), '#') >= 0) /* is never passed on */
        return;
    struct headers h = {0};
    headers_copy(&h, &r->head);
    headers_remove_id(&h, HDR_SCHEME);
    check(h1_write_request(&out, &h));
    h1_parse_init(&again.p, H1_REQUEST);
    again.p.rules = r->p.rules;
    again.p.headers_count_max++; /* Host, which CONNECT may have come without */
    check(h1_parse_head(&again.p, buf_str(&out), &again.head) == out.len);
    check(same_map(&h, &again.head));
    check(again.p.body == r->p.body && again.p.content_length == r->p.content_length);
    headers_fini(&h);
    buf_fini(&out);
    done(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    struct str in = {(const char *)data + 2, size - 2};
    struct result whole, cut;
    run(&whole, data[0], in, 0);
    run(&cut, data[0], in, 1 + data[1] % 64);
    check_same(&whole, &cut);
    if (whole.has_head && whole.p.state != H1_FAILED)
        check_round_trip(&whole);
    done(&whole);
    done(&cut);
    return 0;
}
