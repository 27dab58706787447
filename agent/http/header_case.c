#include "http/header_case.h"

#include <ctype.h>
#include <string.h>

void header_case_begin(struct header_case *c, enum conf_header_case conf)
{
    c->names.n = 0;
    c->is_kept = conf >= CONF_CASE_PRESERVE;
    c->is_proper = conf == CONF_CASE_PRESERVE_PROPER;
}

void header_case_note(struct header_case *c, struct str name)
{
    sbuf_add(&c->names, name.p, name.n);
    sbuf_addc(&c->names, 0);
}

void header_case_fini(struct header_case *c)
{
    sbuf_fini(&c->names);
    *c = (struct header_case){0};
}

/* The first of that name, as it was received. */
static const char *find(const struct header_case *c, struct str name)
{
    for (size_t at = 0; at < c->names.n;) {
        struct str one = str_of(c->names.p + at);
        if (str_eq_nocase(one, name))
            return one.p;
        at += one.n + 1;
    }
    return NULL;
}

static void capitalize(char *p, size_t n)
{
    bool is_start = true;
    for (size_t i = 0; i < n; i++) {
        if (is_start && p[i] >= 'a' && p[i] <= 'z')
            p[i] = (char)(p[i] - 'a' + 'A');
        is_start = !isalnum((unsigned char)p[i]);
    }
}

static void apply_to_name(char *p, size_t n, bool is_proper, const struct header_case *received)
{
    const char *as_received = received ? find(received, (struct str){p, n}) : NULL;
    if (as_received)
        memcpy(p, as_received, n);
    else if (is_proper)
        capitalize(p, n);
}

void header_case_apply(struct buf *out, size_t from, enum conf_header_case conf,
                       const struct header_case *received)
{
    bool is_kept = received && received->is_kept;
    bool is_proper = is_kept ? received->is_proper : conf == CONF_CASE_PROPER;
    if (!is_kept && !is_proper)
        return;
    char *p = buf_head(out) + from, *end = buf_head(out) + out->len;
    while ((p = memchr(p, '\n', (size_t)(end - p))) && ++p < end) {
        char *colon = memchr(p, ':', (size_t)(end - p));
        if (!colon || *p == '\r')
            return;
        apply_to_name(p, (size_t)(colon - p), is_proper, is_kept ? received : NULL);
    }
}
