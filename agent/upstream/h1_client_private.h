/* HTTP/1.1 on a connection of a pool: one request at a time. [worker] */
#ifndef UPSTREAM_H1_CLIENT_PRIVATE_H
#define UPSTREAM_H1_CLIENT_PRIVATE_H

#include "http/h1_parse.h"
#include "upstream/client_private.h"

struct h1_client {
    struct client *c;
    struct upstream_request *request;
    struct h1_parser parser;
    uint64_t length_left; /* of a request body with content-length */
    unsigned interim_n;
    bool is_chunked, has_length;
    bool head_sent;
    bool got_eof;   /* handled when everything before it was */
    bool is_broken; /* the request's body did not keep to its length */
    bool is_tunnel; /* bytes without a form, both ways */
};

/* ---- h1_client_request.c ---- */
void h1_client_headers(struct upstream_request *r, const struct headers *head, bool end);
void h1_client_body(struct upstream_request *r, struct buf *data, bool end);
void h1_client_trailers(struct upstream_request *r, const struct headers *trailers);

#endif
