/* struct str: a borrowed run of bytes, not NUL-terminated. struct sbuf: a text being built.
 * Own little helpers instead of the banned C calls. [any] thread. */
#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct str {
    const char *p;
    size_t n;
};

#define STR(lit) ((struct str){(lit), sizeof(lit) - 1})
#define STR_NULL ((struct str){NULL, 0})
/* For printf("%.*s", STR_ARG(s)). */
#define STR_ARG(s) (int)(s).n, (s).p

static inline struct str str_of(const char *z)
{
    return (struct str){z, z ? strlen(z) : 0};
}

static inline bool str_eq(struct str a, struct str b)
{
    return a.n == b.n && (!a.n || memcmp(a.p, b.p, a.n) == 0);
}

static inline bool str_is(struct str a, const char *z)
{
    return str_eq(a, str_of(z));
}

/* ASCII case folding only. */
bool str_eq_nocase(struct str a, struct str b);
bool str_starts(struct str s, struct str prefix);
bool str_ends(struct str s, struct str suffix);
/* Cuts spaces and tabs (RFC 9110 OWS) at both ends. */
struct str str_trim(struct str s);
/* Takes the next token up to sep out of *s; false at the end. */
bool str_next(struct str *s, char sep, struct str *token_r);
/* Offset of c, or -1. */
ptrdiff_t str_find(struct str s, char c);
/* Whole string as a decimal number not above max; false otherwise (also for "" and signs). */
bool str_to_u64(struct str s, uint64_t max, uint64_t *value_r);
static inline char str_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

struct sbuf {
    char *p; /* NUL-terminated once anything was added; NULL before */
    size_t n, cap;
};

void sbuf_add(struct sbuf *b, const void *p, size_t n);
void sbuf_addz(struct sbuf *b, const char *z);
void sbuf_addc(struct sbuf *b, char c);
void sbuf_add_u64(struct sbuf *b, uint64_t value);  /* decimal */
void sbuf_add_double(struct sbuf *b, double value); /* as few digits as read back the same */
void sbuf_printf(struct sbuf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void sbuf_vprintf(struct sbuf *b, const char *fmt, va_list ap);
/* Hands over the text (mem_free it) and empties the builder; "" when nothing was added. */
char *sbuf_take(struct sbuf *b);
void sbuf_fini(struct sbuf *b);

#endif
