/* Character classes of HTTP/1 and the loops that run over them sixteen bytes at a time where the
 * machine has SSE2. Everything stops at `end`; nothing is read behind it. [any] thread.
 * Source: RFC 9110 5.5 and 5.6.2, RFC 3986, RFC 9112 3.2. */
#ifndef HTTP_CHARS_H
#define HTTP_CHARS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum {
    CHAR_TOKEN = 1,  /* tchar */
    CHAR_VALUE = 2,  /* field-value: VCHAR, obs-text, SP, HTAB */
    CHAR_TARGET = 4, /* request-target: visible ASCII but '#', whose fragment has no place there */
    CHAR_HOST = 8,   /* reg-name */
    CHAR_UNRESERVED = 16,
};

extern const uint8_t chars_class[256];

static inline bool char_is(char c, unsigned classes)
{
    return chars_class[(unsigned char)c] & classes;
}

/* The slow path of all of these, and their tail. */
static inline const char *chars_skip(const char *p, const char *end, unsigned classes)
{
    while (p < end && char_is(*p, classes))
        p++;
    return p;
}

/* First byte that is no tchar. */
static inline const char *chars_skip_token(const char *p, const char *end)
{
#ifdef __SSE2__
    while (end - p >= 16) {
        /* Letters, digits and '-' at once; the rarer tchars are left to the table. */
        __m128i x = _mm_loadu_si128((const __m128i *)(const void *)p);
        __m128i folded = _mm_or_si128(x, _mm_set1_epi8(0x20));
        __m128i alpha = _mm_and_si128(_mm_cmpgt_epi8(folded, _mm_set1_epi8('a' - 1)),
                                      _mm_cmplt_epi8(folded, _mm_set1_epi8('z' + 1)));
        __m128i digit = _mm_and_si128(_mm_cmpgt_epi8(x, _mm_set1_epi8('0' - 1)),
                                      _mm_cmplt_epi8(x, _mm_set1_epi8('9' + 1)));
        __m128i ok =
            _mm_or_si128(_mm_or_si128(alpha, digit), _mm_cmpeq_epi8(x, _mm_set1_epi8('-')));
        unsigned bad = ~(unsigned)_mm_movemask_epi8(ok) & 0xffff;
        if (!bad) {
            p += 16;
            continue;
        }
        p += __builtin_ctz(bad);
        if (!char_is(*p, CHAR_TOKEN))
            return p;
        p++;
    }
#endif
    return chars_skip(p, end, CHAR_TOKEN);
}

/* First byte that may not stand in a field value. */
static inline const char *chars_skip_value(const char *p, const char *end)
{
#ifdef __SSE2__
    while (end - p >= 16) {
        __m128i x = _mm_loadu_si128((const __m128i *)(const void *)p);
        __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(x, _mm_set1_epi8(0x1f)), x);
        __m128i bad = _mm_or_si128(_mm_andnot_si128(_mm_cmpeq_epi8(x, _mm_set1_epi8('\t')), low),
                                   _mm_cmpeq_epi8(x, _mm_set1_epi8(0x7f)));
        unsigned mask = (unsigned)_mm_movemask_epi8(bad);
        if (mask)
            return p + __builtin_ctz(mask);
        p += 16;
    }
#endif
    return chars_skip(p, end, CHAR_VALUE);
}

/* First byte that may not stand in a request target. */
static inline const char *chars_skip_target(const char *p, const char *end)
{
#ifdef __SSE2__
    while (end - p >= 16) {
        __m128i x = _mm_loadu_si128((const __m128i *)(const void *)p);
        __m128i ok = _mm_and_si128(_mm_cmpgt_epi8(x, _mm_set1_epi8(0x20)),
                                   _mm_cmplt_epi8(x, _mm_set1_epi8(0x7f)));
        ok = _mm_andnot_si128(_mm_cmpeq_epi8(x, _mm_set1_epi8('#')), ok);
        unsigned bad = ~(unsigned)_mm_movemask_epi8(ok) & 0xffff;
        if (bad)
            return p + __builtin_ctz(bad);
        p += 16;
    }
#endif
    return chars_skip(p, end, CHAR_TARGET);
}

/* A to Z become a to z in eight bytes at once; other bytes, also above 0x7f, stay. */
static inline uint64_t chars_lower8(uint64_t x)
{
    const uint64_t ones = 0x0101010101010101ull;
    uint64_t low7 = x & 0x7f * ones;
    uint64_t from_a = low7 + (0x80 - 'A') * ones;
    uint64_t past_z = low7 + (0x7f - 'Z') * ones;
    uint64_t upper = (from_a ^ past_z) & ~x & 0x80 * ones;
    return x | upper >> 2;
}

static inline uint64_t chars_load8(const char *p)
{
    uint64_t x;
    memcpy(&x, p, 8);
    return x;
}

static inline uint32_t chars_load4(const char *p)
{
    uint32_t x;
    memcpy(&x, p, 4);
    return x;
}

/* memcpy for the lengths of names and values: mostly short, so that a call would cost more than
 * the copy. Blocks overlap at the end. */
static inline void chars_copy(char *to, const char *from, size_t n)
{
    if (n > 64) {
        memcpy(to, from, n);
    } else if (n >= 16) {
        for (size_t i = 0; i + 16 < n; i += 16)
            memcpy(to + i, from + i, 16);
        memcpy(to + n - 16, from + n - 16, 16);
    } else if (n >= 8) {
        memcpy(to, from, 8);
        memcpy(to + n - 8, from + n - 8, 8);
    } else if (n >= 4) {
        memcpy(to, from, 4);
        memcpy(to + n - 4, from + n - 4, 4);
    } else {
        for (size_t i = 0; i < n; i++)
            to[i] = from[i];
    }
}

/* The same for equality. */
static inline bool chars_eq(const char *a, const char *b, size_t n)
{
    if (n >= 8) {
        for (size_t i = 0; i + 8 < n; i += 8)
            if (chars_load8(a + i) != chars_load8(b + i))
                return false;
        return chars_load8(a + n - 8) == chars_load8(b + n - 8);
    }
    if (n >= 4)
        return chars_load4(a) == chars_load4(b) && chars_load4(a + n - 4) == chars_load4(b + n - 4);
    for (size_t i = 0; i < n; i++)
        if (a[i] != b[i])
            return false;
    return true;
}

/* Copies in blocks of sixteen, so that up to fifteen bytes behind both runs are touched: the
 * caller knows that they are there. */
static inline void chars_copy_loose(char *to, const char *from, size_t n)
{
    for (size_t i = 0; i < n; i += 16)
        memcpy(to + i, from + i, 16);
}

static inline void chars_lower_copy_loose(char *to, const char *from, size_t n)
{
    for (size_t i = 0; i < n; i += 16) {
#ifdef __SSE2__
        __m128i x = _mm_loadu_si128((const __m128i *)(const void *)(from + i));
        __m128i upper = _mm_and_si128(_mm_cmpgt_epi8(x, _mm_set1_epi8('A' - 1)),
                                      _mm_cmplt_epi8(x, _mm_set1_epi8('Z' + 1)));
        x = _mm_or_si128(x, _mm_and_si128(upper, _mm_set1_epi8(0x20)));
        _mm_storeu_si128((__m128i *)(void *)(to + i), x);
#else
        uint64_t x[2] = {chars_lower8(chars_load8(from + i)),
                         chars_lower8(chars_load8(from + i + 8))};
        memcpy(to + i, x, 16);
#endif
    }
}

static inline void chars_lower_copy(char *to, const char *from, size_t n)
{
    uint64_t x;
    if (n >= 8) {
        for (size_t i = 0; i + 8 < n; i += 8) {
            x = chars_lower8(chars_load8(from + i));
            memcpy(to + i, &x, 8);
        }
        x = chars_lower8(chars_load8(from + n - 8));
        memcpy(to + n - 8, &x, 8);
    } else if (n >= 4) {
        x = chars_lower8((uint64_t)chars_load4(from) << 32 | chars_load4(from + n - 4));
        uint32_t first = (uint32_t)(x >> 32), last = (uint32_t)x;
        memcpy(to, &first, 4);
        memcpy(to + n - 4, &last, 4);
    } else {
        for (size_t i = 0; i < n; i++)
            to[i] = (char)(from[i] >= 'A' && from[i] <= 'Z' ? from[i] + 32 : from[i]);
    }
}

#endif
