#include "base/str.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

bool str_eq_nocase(struct str a, struct str b)
{
    if (a.n != b.n)
        return false;
    for (size_t i = 0; i < a.n; i++)
        if (str_lower(a.p[i]) != str_lower(b.p[i]))
            return false;
    return true;
}

bool str_starts(struct str s, struct str prefix)
{
    return s.n >= prefix.n && (!prefix.n || memcmp(s.p, prefix.p, prefix.n) == 0);
}

bool str_ends(struct str s, struct str suffix)
{
    return s.n >= suffix.n && (!suffix.n || memcmp(s.p + s.n - suffix.n, suffix.p, suffix.n) == 0);
}

struct str str_trim(struct str s)
{
    while (s.n && (s.p[0] == ' ' || s.p[0] == '\t'))
        s.p++, s.n--;
    while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
        s.n--;
    return s;
}

bool str_next(struct str *s, char sep, struct str *token_r)
{
    if (!s->p)
        return false;
    ptrdiff_t at = str_find(*s, sep);
    if (at < 0) {
        *token_r = *s;
        *s = STR_NULL;
    } else {
        *token_r = (struct str){s->p, (size_t)at};
        s->p += at + 1;
        s->n -= (size_t)at + 1;
    }
    return true;
}

ptrdiff_t str_find(struct str s, char c)
{
    const char *at = s.n ? memchr(s.p, c, s.n) : NULL;
    return at ? at - s.p : -1;
}

bool str_to_u64(struct str s, uint64_t max, uint64_t *value_r)
{
    uint64_t v = 0;
    if (!s.n)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        unsigned d = (unsigned)(unsigned char)s.p[i] - '0';
        if (d > 9 || v > (UINT64_MAX - d) / 10)
            return false;
        v = v * 10 + d;
        if (v > max)
            return false;
    }
    *value_r = v;
    return true;
}

static void reserve(struct sbuf *b, size_t more)
{
    mem_grow((void **)&b->p, &b->cap, b->n + more + 1, 1);
}

void sbuf_add(struct sbuf *b, const void *p, size_t n)
{
    reserve(b, n);
    if (n)
        memcpy(b->p + b->n, p, n);
    b->n += n;
    b->p[b->n] = 0;
}

void sbuf_addz(struct sbuf *b, const char *z)
{
    sbuf_add(b, z, strlen(z));
}

void sbuf_addc(struct sbuf *b, char c)
{
    sbuf_add(b, &c, 1);
}

void sbuf_vprintf(struct sbuf *b, const char *fmt, va_list ap)
{
    char few[256];
    bool has_room = b->cap - b->n >= sizeof(few);
    size_t room = has_room ? b->cap - b->n : sizeof(few);
    va_list again;
    va_copy(again, ap);
    int n = vsnprintf(has_room ? b->p + b->n : few, room, fmt, ap);
    if ((size_t)n >= room) {
        reserve(b, (size_t)n);
        vsnprintf(b->p + b->n, (size_t)n + 1, fmt, again);
        b->n += (size_t)n;
    } else if (has_room) {
        b->n += (size_t)n;
    } else {
        sbuf_add(b, few, (size_t)n);
    }
    va_end(again);
}

void sbuf_add_u64(struct sbuf *b, uint64_t value)
{
    char digits[20];
    size_t at = sizeof(digits);
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    sbuf_add(b, digits + at, sizeof(digits) - at);
}

void sbuf_add_double(struct sbuf *b, double value)
{
    char text[32];
    int digits = 15;
    do {
        snprintf(text, sizeof(text), "%.*g", digits, value);
    } while (digits++ < 17 && strtod(text, NULL) != value);
    sbuf_addz(b, text);
}

void sbuf_printf(struct sbuf *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    sbuf_vprintf(b, fmt, ap);
    va_end(ap);
}

char *sbuf_take(struct sbuf *b)
{
    char *p = b->p ? b->p : mem_strdup("");
    *b = (struct sbuf){0};
    return p;
}

void sbuf_fini(struct sbuf *b)
{
    mem_free(b->p);
    *b = (struct sbuf){0};
}
