#include "h1_run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/mem.h"

void h1_run_init(struct h1_run *r, enum h1_kind kind)
{
    *r = (struct h1_run){0};
    h1_parse_init(&r->p, kind);
}

void h1_run_fini(struct h1_run *r)
{
    headers_fini(&r->head);
    headers_fini(&r->trailers);
    sbuf_fini(&r->body);
}

/* False when the parser wants more, or is through. */
static bool step(struct h1_run *r, struct str in)
{
    enum h1_state before = r->p.state;
    struct str data;
    size_t n = 0;
    switch (before) {
    case H1_HEAD:
        n = h1_parse_head(&r->p, in, &r->head);
        r->has_head = n > 0;
        break;
    case H1_BODY:
        n = h1_parse_body(&r->p, in, &data);
        assert_true(!data.n || (data.p >= in.p && data.p + data.n <= in.p + in.n));
        if (r->p.state != H1_FAILED)
            sbuf_add(&r->body, data.p, data.n);
        break;
    case H1_TRAILERS:
        n = h1_parse_trailers(&r->p, in, &r->trailers);
        break;
    default:
        return false;
    }
    assert_true(n <= in.n);
    assert_true(n == 0 || r->p.state != H1_FAILED);
    r->used += n;
    return n > 0 || r->p.state != before;
}

void h1_run_feed(struct h1_run *r, const char *input, size_t n)
{
    bool again = true;
    while (again && r->used <= n) {
        size_t left = n - r->used;
        char *copy = mem_dup(input + r->used, left);
        again = step(r, (struct str){copy, left});
        mem_free(copy);
        again = again && r->used < n;
    }
}

static void add_fields(struct sbuf *out, const struct headers *h)
{
    for (size_t i = 0; i < h->n; i++) {
        struct str name = header_name(h, &h->v[i]), value = header_value(h, &h->v[i]);
        sbuf_printf(out, "%s%.*s=%.*s", i ? " " : "", STR_ARG(name), STR_ARG(value));
    }
}

char *h1_run_text(const struct h1_run *r, size_t input_n)
{
    static const char *const bodies[] = {"none", "length", "chunked", "close"};
    struct sbuf out = {0};
    const struct h1_parser *p = &r->p;
    if (p->state == H1_FAILED) {
        sbuf_printf(&out, "error %s", h1_error_details(p->error));
        return sbuf_take(&out);
    }
    if (r->has_head) {
        add_fields(&out, &r->head);
        sbuf_printf(&out, " | %s", bodies[p->body]);
        if (r->body.n)
            sbuf_printf(&out, " '%s'", r->body.p);
        sbuf_addz(&out, " | ");
    }
    if (r->trailers.n && p->state == H1_DONE) {
        add_fields(&out, &r->trailers);
        sbuf_addz(&out, " | ");
    }
    sbuf_addz(&out, p->state == H1_DONE ? "done" : "more");
    if (r->has_head)
        sbuf_addz(&out, p->keep_alive ? " keep" : " last");
    if (p->is_upgrade)
        sbuf_addz(&out, " upgrade");
    if (p->state == H1_DONE && r->used < input_n)
        sbuf_printf(&out, " +%zu", input_n - r->used);
    return sbuf_take(&out);
}

static void start(struct h1_run *r, const struct h1_parser *settings, enum h1_kind kind)
{
    h1_run_init(r, kind);
    if (settings)
        r->p = *settings;
}

char *h1_run_once(const struct h1_parser *settings, enum h1_kind kind, struct str input)
{
    struct h1_run r;
    start(&r, settings, kind);
    h1_run_feed(&r, input.p, input.n);
    char *text = h1_run_text(&r, input.n);
    h1_run_fini(&r);
    return text;
}

/* step 0: single bytes; otherwise two pieces, the first of so many bytes. */
static char *run_cut(const struct h1_parser *settings, enum h1_kind kind, struct str input,
                     size_t cut)
{
    struct h1_run r;
    start(&r, settings, kind);
    for (size_t n = cut ? cut : 1; n < input.n; n = cut ? input.n : n + 1)
        h1_run_feed(&r, input.p, n);
    h1_run_feed(&r, input.p, input.n);
    char *text = h1_run_text(&r, input.n);
    h1_run_fini(&r);
    return text;
}

static void compare(const char *name, const char *how, size_t cut, char *text, const char *expect)
{
    if (strcmp(text, expect) != 0)
        fail_msg("%s, %s %zu:\n  got  %s\n  want %s", name, how, cut, text, expect);
    mem_free(text);
}

void h1_run_check(const char *name, const struct h1_parser *settings, enum h1_kind kind,
                  struct str input, const char *expect)
{
    compare(name, "whole", input.n, h1_run_once(settings, kind, input), expect);
    compare(name, "single bytes", 1, run_cut(settings, kind, input, 0), expect);
    for (size_t cut = 1; cut < input.n; cut++)
        compare(name, "cut at", cut, run_cut(settings, kind, input, cut), expect);
}
