/* What the files of the HTTP/1 parser share. Private to http/h1_*.c. */
#ifndef HTTP_H1_PARSE_PRIVATE_H
#define HTTP_H1_PARSE_PRIVATE_H

#include "http/h1_parse.h"

struct h1_field {
    struct str name, value;
};

/* What the head says about framing and persistence, collected while its fields are stored. */
struct h1_facts {
    struct str method, target, host, content_length, transfer_encoding, connection,
        proxy_connection;
    unsigned hosts, content_lengths, transfer_encodings, connections, status;
    enum h1_error target_error;
    bool is_connect;
    bool is_host_wanted; /* the target has no authority of its own */
    bool is_odd;         /* a framing field is spelled so that parsers differ about it */
};

/* Returns 0 so that callers can `return h1_fail(...)`. */
static inline size_t h1_fail(struct h1_parser *p, enum h1_error e)
{
    p->state = H1_FAILED;
    p->error = e;
    return 0;
}

/* Scans one field line with its CRLF. Returns what follows, or NULL: p->error is set, or the line
 * is incomplete. */
const char *h1_scan_field(struct h1_parser *p, const char *at, const char *end, struct h1_field *f);
/* Finds out about form and parts of the request target; puts :path, :authority and :scheme. */
void h1_store_target(const struct h1_parser *p, struct h1_facts *facts, struct headers *out);
/* Decides on the body, or fails. */
void h1_decide_framing(struct h1_parser *p, struct h1_facts *facts, struct headers *out);
/* Reads the connection header fields; removes what a request's fields nominate, or fails. */
void h1_read_connection(struct h1_parser *p, const struct h1_facts *facts, struct headers *out);
size_t h1_parse_chunked(struct h1_parser *p, struct str in, struct str *data_r);

#endif
