/* Runs one message through the HTTP/1 parser, fed in pieces, and tells what came out as one line
 * of text, so that case tables can hold it and ways of cutting the input can be compared. */
#ifndef TESTS_UNIT_HTTP_H1_RUN_H
#define TESTS_UNIT_HTTP_H1_RUN_H

#include "base/str.h"
#include "http/h1_parse.h"

struct h1_run {
    struct h1_parser p;
    struct headers head, trailers;
    struct sbuf body;
    size_t used; /* bytes of the input that the parser took */
    bool has_head;
};

void h1_run_init(struct h1_run *r, enum h1_kind kind);
void h1_run_fini(struct h1_run *r);
/* Gives the parser what lies between r->used and `n` of the input, in memory of just that size so
 * that a sanitizer sees reads behind it, until it wants more. */
void h1_run_feed(struct h1_run *r, const char *input, size_t n);
/* ":method=GET :path=/ a=b | chunked 'hello' | t=1 | done keep +3", or
 * "error http1.codec_error", or "more". mem_free it. */
char *h1_run_text(const struct h1_run *r, size_t input_n);
/* One run in one piece. settings, when not NULL, is what p is set up like. */
char *h1_run_once(const struct h1_parser *settings, enum h1_kind kind, struct str input);
/* Every way of cutting the input in two, and single bytes, must tell `expect`; fails the test with
 * `name` otherwise. */
void h1_run_check(const char *name, const struct h1_parser *settings, enum h1_kind kind,
                  struct str input, const char *expect);

#endif
