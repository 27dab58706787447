/* HTTP/1.1 serialisation into a buf. No state of its own: the caller remembers the framing.
 * A field whose name or value is not legal (a filter's CR or LF) is left out.
 * [any] thread. Source: RFC 9112. */
#ifndef HTTP_H1_WRITE_H
#define HTTP_H1_WRITE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "http/headers.h"

/* Request line from :method and :path, Host from :authority, then the ordinary fields as they
 * stand (the caller has set content-length or transfer-encoding). False, and nothing written, when
 * :method, :path or :authority cannot stand in a request line. */
bool h1_write_request(struct buf *out, const struct headers *h);
/* Status line (HTTP/1.minor_version) with the registered reason phrase, then the ordinary fields.
 */
void h1_write_response(struct buf *out, const struct headers *h, unsigned minor_version);
/* One chunk (nothing for n == 0, which would end the body). */
void h1_write_chunk(struct buf *out, const void *p, size_t n);
/* Last chunk and trailers (NULL: none). */
void h1_write_last_chunk(struct buf *out, const struct headers *trailers);
/* Registered reason phrase, "Unknown" otherwise. */
const char *h1_reason(unsigned status);

#endif
