/* The little cryptography that is not TLS: SHA-256 and random bytes, by OpenSSL. [any] thread. */
#ifndef BASE_CRYPTO_H
#define BASE_CRYPTO_H

#include <stddef.h>
#include <stdint.h>

struct sha256; /* incremental */

struct sha256 *sha256_create(void);
void sha256_add(struct sha256 *s, const void *p, size_t n);
/* Writes 64 lower-case hex digits and a NUL, and destroys *s. */
void sha256_finish(struct sha256 **s, char hex_r[65]);
void sha256_destroy(struct sha256 **s);
/* One shot. */
void sha256_hex(const void *p, size_t n, char hex_r[65]);

/* n random bytes from the kernel; aborts when there are none. */
void crypto_random(void *p, size_t n);
/* A UUID version 4 as 36 characters and a NUL. */
void crypto_uuid4(char dst[37]);

#endif
