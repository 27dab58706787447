/* Base64 (RFC 4648) as proto3 JSON wants it. [any] thread. */
#ifndef PROTO_BASE64_H
#define PROTO_BASE64_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes that base64_encode writes, with padding and the final NUL. */
static inline size_t base64_encoded_size(size_t n)
{
    return (n + 2) / 3 * 4 + 1;
}

void base64_encode(const uint8_t *p, size_t n, char *out);
/* Standard or URL-safe alphabet, padding optional. out holds n / 4 * 3 + 3 bytes; false when the
 * text is no base64. */
bool base64_decode(const char *s, size_t n, uint8_t *out, size_t *n_r);

#endif
