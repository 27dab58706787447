/* The parser's outside: set-up, bodies, end of input. Heads are in h1_head.c, their meaning in
 * h1_framing.c, the chunked coding in h1_chunk.c. */
#include "http/h1_parse.h"

#include "http/h1_parse_private.h"

enum { HEADERS_SIZE_MAX = 60 * 1024, HEADERS_COUNT_MAX = 100 };

static const struct {
    unsigned status;
    const char *details;
} errors[] = {
#define X(name, status, details) [H1_ERROR_##name] = {status, details},
    H1_ERROR_MAP(X)
#undef X
};

unsigned h1_error_status(enum h1_error e)
{
    return errors[e].status;
}

const char *h1_error_details(enum h1_error e)
{
    return errors[e].details;
}

void h1_parse_init(struct h1_parser *p, enum h1_kind kind)
{
    *p = (struct h1_parser){.kind = kind,
                            .minor_version = 1,
                            .headers_size_max = HEADERS_SIZE_MAX,
                            .headers_count_max = HEADERS_COUNT_MAX};
}

void h1_parse_next(struct h1_parser *p)
{
    struct h1_parser fresh = {.kind = p->kind,
                              .minor_version = 1,
                              .accept_http_10 = p->accept_http_10,
                              .rules = p->rules,
                              .request_was_head = p->request_was_head,
                              .request_was_connect = p->request_was_connect,
                              .headers_size_max = p->headers_size_max,
                              .headers_count_max = p->headers_count_max};
    *p = fresh;
}

static size_t parse_length(struct h1_parser *p, struct str in, struct str *data_r)
{
    size_t n = in.n < p->left ? in.n : (size_t)p->left;
    *data_r = (struct str){in.p, n};
    p->left -= n;
    if (!p->left)
        p->state = H1_DONE;
    return n;
}

size_t h1_parse_body(struct h1_parser *p, struct str in, struct str *data_r)
{
    *data_r = (struct str){in.p, 0};
    if (p->state != H1_BODY)
        return 0;
    switch (p->body) {
    case H1_BODY_LENGTH:
        return parse_length(p, in, data_r);
    case H1_BODY_CHUNKED:
        return h1_parse_chunked(p, in, data_r);
    default:
        *data_r = in;
        return in.n;
    }
}

bool h1_parse_eof(struct h1_parser *p)
{
    if (p->state == H1_BODY && p->body == H1_BODY_UNTIL_CLOSE)
        p->state = H1_DONE;
    return p->state == H1_DONE;
}
