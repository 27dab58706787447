/* zlib streams (RFC 1950) in one call. [any] thread. */
#ifndef BASE_COMPRESS_H
#define BASE_COMPRESS_H

#include "base/str.h"

/* Appends the compressed or the uncompressed bytes. Uncompressing gives up above out_max bytes.
 * -ERR_INVALID: not such a stream; -ERR_LIMIT. */
int compress_zlib(struct str bytes, size_t out_max, struct sbuf *out);
int uncompress_zlib(struct str bytes, size_t out_max, struct sbuf *out);

#endif
