#include "base/crypto.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/mem.h"

struct sha256 {
    EVP_MD_CTX *md;
};

struct sha256 *sha256_create(void)
{
    struct sha256 *s = MEM_NEW(struct sha256);
    s->md = EVP_MD_CTX_new();
    if (!s->md || EVP_DigestInit_ex(s->md, EVP_sha256(), NULL) != 1)
        abort();
    return s;
}

void sha256_add(struct sha256 *s, const void *p, size_t n)
{
    if (EVP_DigestUpdate(s->md, p, n) != 1)
        abort();
}

void sha256_finish(struct sha256 **s, char hex_r[65])
{
    unsigned char d[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    if (EVP_DigestFinal_ex((*s)->md, d, &n) != 1 || n != 32)
        abort();
    for (unsigned i = 0; i < 32; i++)
        snprintf(hex_r + 2 * i, 3, "%02x", d[i]);
    sha256_destroy(s);
}

void sha256_destroy(struct sha256 **s)
{
    if (!*s)
        return;
    EVP_MD_CTX_free((*s)->md);
    mem_free(*s);
    *s = NULL;
}

void sha256_hex(const void *p, size_t n, char hex_r[65])
{
    struct sha256 *s = sha256_create();
    sha256_add(s, p, n);
    sha256_finish(&s, hex_r);
}

void crypto_random(void *p, size_t n)
{
    for (size_t done = 0; done < n;) {
        ssize_t got = getrandom((char *)p + done, n - done, 0);
        if (got < 0)
            abort();
        done += (size_t)got;
    }
}

void crypto_uuid4(char dst[37])
{
    static __thread unsigned char pool[4096];
    static __thread size_t pool_left;
    if (pool_left < 16) {
        crypto_random(pool, sizeof(pool));
        pool_left = sizeof(pool);
    }
    unsigned char *b = pool + sizeof(pool) - pool_left;
    pool_left -= 16;
    b[6] = (unsigned char)((b[6] & 0x0f) | 0x40);
    b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
    static const char hex[] = "0123456789abcdef";
    char *d = dst;
    for (int i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *d++ = '-';
        *d++ = hex[b[i] >> 4];
        *d++ = hex[b[i] & 15];
    }
    *d = 0;
}
