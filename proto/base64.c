#include "proto/base64.h"

#include <string.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_encode(const uint8_t *p, size_t n, char *out)
{
    for (; n > 0; out += 4) {
        size_t take = n < 3 ? n : 3;
        uint32_t v = (uint32_t)p[0] << 16;
        if (take > 1)
            v |= (uint32_t)p[1] << 8;
        if (take > 2)
            v |= p[2];
        out[0] = alphabet[v >> 18];
        out[1] = alphabet[v >> 12 & 63];
        out[2] = take > 1 ? alphabet[v >> 6 & 63] : '=';
        out[3] = take > 2 ? alphabet[v & 63] : '=';
        p += take;
        n -= take;
    }
    *out = '\0';
}

static int digit(char c)
{
    if (c == '-')
        c = '+';
    if (c == '_')
        c = '/';
    const char *at = c ? strchr(alphabet, c) : NULL;
    return at ? (int)(at - alphabet) : -1;
}

bool base64_decode(const char *s, size_t n, uint8_t *out, size_t *n_r)
{
    size_t written = 0;
    uint32_t v = 0;
    if (n % 4 == 0)
        for (int i = 0; i < 2 && n > 0 && s[n - 1] == '='; i++)
            n--;
    if (n % 4 == 1)
        return false;
    for (size_t i = 0; i < n; i++) {
        int d = digit(s[i]);
        if (d < 0)
            return false;
        v = v << 6 | (uint32_t)d;
        if (i % 4 != 0)
            out[written++] = (uint8_t)(v >> (6 - i % 4 * 2));
    }
    *n_r = written;
    return true;
}
