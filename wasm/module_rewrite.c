#include "wasm/module.h"

#include <string.h>

#include "base/mem.h"
#include "wasm/wire.h"

struct rewrite {
    const struct module_caps *caps;
    struct sbuf *out;
    struct error *err;
};

static void put_u32(struct sbuf *b, uint32_t v)
{
    for (; v >= 0x80; v >>= 7)
        sbuf_addc(b, (char)(v | 0x80));
    sbuf_addc(b, (char)v);
}

static int malformed(struct rewrite *r, const char *what)
{
    return error_set(r->err, ERR_INVALID, "malformed module: %s", what);
}

/* Reads limits and writes them with a maximum that is not above cap. */
static int put_limits(struct rewrite *r, struct wire *w, struct sbuf *b, uint32_t cap,
                      const char *what)
{
    struct wire_limits l;
    if (!wire_limits(w, &l))
        return malformed(r, what);
    if (l.flags > 1)
        return error_set(r->err, ERR_UNSUPPORTED, "the module's %s is shared", what);
    if (l.min > cap)
        return error_set(r->err, ERR_LIMIT, "the module's %s starts with %u %s, its limit is %u",
                         what, l.min, strcmp(what, "memory") ? "elements" : "pages of 64 KiB", cap);
    sbuf_addc(b, 1);
    put_u32(b, l.min);
    put_u32(b, l.has_max && l.max < cap ? l.max : cap);
    return 0;
}

static int put_table_type(struct rewrite *r, struct wire *w, struct sbuf *b)
{
    uint8_t type;
    if (!wire_u8(w, &type) || !wire_type_letter(type))
        return malformed(r, "table");
    sbuf_addc(b, (char)type);
    return put_limits(r, w, b, r->caps->table_elements, "table");
}

static int put_memory_type(struct rewrite *r, struct wire *w, struct sbuf *b)
{
    return put_limits(r, w, b, r->caps->memory_pages, "memory");
}

static int put_import(struct rewrite *r, struct wire *w, struct sbuf *b)
{
    const uint8_t *start = w->p;
    struct str module, name;
    uint8_t kind;
    uint32_t type;
    if (!wire_name(w, &module) || !wire_name(w, &name) || !wire_u8(w, &kind))
        return malformed(r, "import");
    bool is_global = kind == WIRE_KIND_GLOBAL && wire_skip(w, 2);
    bool is_func = kind == WIRE_KIND_FUNC && wire_u32(w, &type);
    sbuf_add(b, start, (size_t)(w->p - start));
    if (is_global || is_func)
        return 0;
    if (kind == WIRE_KIND_TABLE)
        return put_table_type(r, w, b);
    if (kind == WIRE_KIND_MEMORY)
        return put_memory_type(r, w, b);
    return malformed(r, "import");
}

/* The section with each of its entries written anew by put_one. */
static int rewrite_section(struct rewrite *r, struct wire_section *s,
                           int (*put_one)(struct rewrite *, struct wire *, struct sbuf *))
{
    struct sbuf body = {0};
    uint32_t n;
    int rc = 0;
    if (!wire_u32(&s->body, &n))
        return malformed(r, "section");
    put_u32(&body, n);
    for (uint32_t i = 0; i < n && rc == 0; i++)
        rc = put_one(r, &s->body, &body);
    if (rc == 0 && s->body.p != s->body.end)
        rc = malformed(r, "section");
    if (rc == 0) {
        sbuf_addc(r->out, (char)s->id);
        put_u32(r->out, (uint32_t)body.n);
        sbuf_add(r->out, body.p, body.n);
    }
    sbuf_fini(&body);
    return rc;
}

static bool is_precompiled(const struct wire_section *s)
{
    return s->id == WIRE_CUSTOM && memmem(s->name.p, s->name.n, "precompiled_", 12);
}

static int put_section(struct rewrite *r, struct wire_section *s)
{
    switch (s->id) {
    case WIRE_IMPORT:
        return rewrite_section(r, s, put_import);
    case WIRE_TABLE:
        return rewrite_section(r, s, put_table_type);
    case WIRE_MEMORY:
        return rewrite_section(r, s, put_memory_type);
    default:
        if (!is_precompiled(s))
            sbuf_add(r->out, s->start, (size_t)(s->body.end - s->start));
        return 0;
    }
}

int module_rewrite(const void *bytes, size_t n, const struct module_caps *caps, struct sbuf *out,
                   struct error *err)
{
    struct rewrite r = {caps, out, err};
    struct wire w;
    struct wire_section s;
    if (!wire_open(&w, bytes, n))
        return error_set(err, ERR_INVALID, "not a WebAssembly module of version 1");
    sbuf_add(out, bytes, (size_t)(w.p - (const uint8_t *)bytes));
    int rc = 0;
    while (rc == 0 && wire_next_section(&w, &s))
        rc = put_section(&r, &s);
    if (rc == 0 && w.p != w.end)
        rc = malformed(&r, "section header");
    if (rc != 0)
        sbuf_fini(out);
    return rc;
}
