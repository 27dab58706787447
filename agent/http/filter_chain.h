/* Iteration of a stream through its filters; private to http/ (stream.c and filter_chain.c). */
#ifndef HTTP_FILTER_CHAIN_H
#define HTTP_FILTER_CHAIN_H

#include "http/stream.h"

enum filter_dir { DIR_REQ, DIR_RESP };

void filter_chain_init(struct stream *s);
void filter_chain_fini(struct stream *s); /* on_complete, then stream_fini, of each filter */

/* Start at the first filter of the direction. `data` is emptied. */
void filter_chain_headers(struct stream *s, enum filter_dir dir, bool end);
void filter_chain_body(struct stream *s, enum filter_dir dir, struct buf *data, bool end);
void filter_chain_trailers(struct stream *s, enum filter_dir dir);

/* Where the chain ends: implemented by stream.c for responses. */
void stream_send_headers(struct stream *s, bool end);
void stream_send_body(struct stream *s, struct buf *data, bool end);
void stream_send_trailers(struct stream *s);
/* A filter holds more (or no longer more) than the buffer limit in this direction. */
void stream_on_chain_water(struct stream *s, enum filter_dir dir, bool is_high);
/* A buffering filter was shown more than the limit. */
void stream_on_chain_overflow(struct stream *s, enum filter_dir dir);

#endif
