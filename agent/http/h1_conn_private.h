/* What h1_conn.c and h1_send.c share. [worker] */
#ifndef HTTP_H1_CONN_PRIVATE_H
#define HTTP_H1_CONN_PRIVATE_H

#include "http/h1_conn.h"

static inline struct h1_conn *h1_of_stream(struct stream *s)
{
    return s->codec_stream;
}

/* The version that the client is answered in: its own, if that is spoken. */
static inline unsigned h1_minor_version(const struct h1_conn *h)
{
    return h->parser.error || !h->parser.accept_http_10 ? 1 : h->parser.minor_version;
}

/* With the end of the turn. */
static inline void h1_flush_later(struct h1_conn *h)
{
    loop_defer(h->conn.loop, &h->flush_task);
}

/* ---- h1_send.c: of struct stream_codec_ops ---- */
void h1_send_headers(struct stream *s, bool end);
void h1_send_body(struct stream *s, struct buf *data, bool end);
void h1_send_trailers(struct stream *s);
void h1_send_1xx(struct stream *s, unsigned status);

#endif
