#include "wasm/linkage.h"

#include "base/mem.h"

/* The sections linkage_parse needs, and the function index space they span. */
struct reading {
    struct linkage *l;
    const char **types;
    size_t type_count;
    uint32_t *func_types; /* imported functions first */
    size_t func_count, func_cap;
};

/* A vector's count; each element takes at least one byte, which bounds it. */
static bool read_count(struct wire *w, uint32_t *count_r)
{
    return wire_u32(w, count_r) && *count_r <= (size_t)(w->end - w->p);
}

static bool read_value_types(struct wire *w, char *dst, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        uint8_t type;
        if (!wire_u8(w, &type))
            return false;
        dst[i] = wire_type_letter(type);
        if (!dst[i])
            return false;
    }
    return true;
}

/* A function type as "params:results", "v" standing for no result. */
static bool read_type(struct reading *r, struct wire *w, const char **sig_r)
{
    uint8_t form;
    uint32_t params, results;
    if (!wire_u8(w, &form) || form != 0x60 || !read_count(w, &params))
        return false;
    struct wire at = *w;
    if (!wire_skip(&at, params) || !read_count(&at, &results))
        return false;
    char *sig = arena_alloc(&r->l->arena, (size_t)params + results + 3);
    if (!read_value_types(w, sig, params))
        return false;
    sig[params] = ':';
    if (!read_value_types(&at, sig + params + 1, results))
        return false;
    if (!results)
        sig[params + 1] = 'v';
    sig[params + 1 + (results ? results : 1)] = 0;
    *w = at;
    *sig_r = sig;
    return true;
}

static bool read_types(struct reading *r, struct wire *w)
{
    uint32_t count;
    if (r->types || !read_count(w, &count))
        return false;
    r->types = arena_alloc(&r->l->arena, (count + 1) * sizeof(*r->types));
    for (; r->type_count < count; r->type_count++)
        if (!read_type(r, w, &r->types[r->type_count]))
            return false;
    return true;
}

static bool add_func(struct reading *r, uint32_t type)
{
    if (type >= r->type_count)
        return false;
    mem_grow((void **)&r->func_types, &r->func_cap, r->func_count + 1, sizeof(*r->func_types));
    r->func_types[r->func_count++] = type;
    return true;
}

static bool read_import(struct reading *r, struct wire *w, struct linkage_import *im)
{
    struct str module, name;
    uint8_t kind, skipped;
    uint32_t type;
    if (!wire_name(w, &module) || !wire_name(w, &name) || !wire_u8(w, &kind))
        return false;
    *im = (struct linkage_import){.kind = (enum wire_kind)kind};
    im->module = arena_strndup(&r->l->arena, module.p, module.n);
    im->name = arena_strndup(&r->l->arena, name.p, name.n);
    switch (kind) {
    case WIRE_KIND_FUNC:
        if (!wire_u32(w, &type) || !add_func(r, type))
            return false;
        im->sig = r->types[type];
        return true;
    case WIRE_KIND_TABLE:
        return wire_u8(w, &im->elem_type) && wire_limits(w, &im->limits);
    case WIRE_KIND_MEMORY:
        return wire_limits(w, &im->limits);
    case WIRE_KIND_GLOBAL:
        return wire_u8(w, &skipped) && wire_u8(w, &skipped);
    default:
        return false;
    }
}

static bool read_imports(struct reading *r, struct wire *w)
{
    uint32_t count;
    if (r->l->imports || !read_count(w, &count))
        return false;
    r->l->imports = arena_zalloc(&r->l->arena, (count + 1) * sizeof(*r->l->imports));
    for (; r->l->import_count < count; r->l->import_count++)
        if (!read_import(r, w, &r->l->imports[r->l->import_count]))
            return false;
    return true;
}

static bool read_functions(struct reading *r, struct wire *w)
{
    uint32_t count, type;
    if (!read_count(w, &count))
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (!wire_u32(w, &type) || !add_func(r, type))
            return false;
    return true;
}

static bool read_exports(struct reading *r, struct wire *w)
{
    uint32_t count;
    if (r->l->exports || !read_count(w, &count))
        return false;
    r->l->exports = arena_zalloc(&r->l->arena, (count + 1) * sizeof(*r->l->exports));
    for (; r->l->export_count < count; r->l->export_count++) {
        struct linkage_export *e = &r->l->exports[r->l->export_count];
        struct str name;
        uint8_t kind;
        uint32_t index;
        if (!wire_name(w, &name) || !wire_u8(w, &kind) || !wire_u32(w, &index))
            return false;
        e->name = arena_strndup(&r->l->arena, name.p, name.n);
        e->kind = (enum wire_kind)kind;
        if (kind != WIRE_KIND_FUNC)
            continue;
        if (index >= r->func_count)
            return false;
        e->sig = r->types[r->func_types[index]];
    }
    return true;
}

static bool read_section(struct reading *r, struct wire_section *s)
{
    switch (s->id) {
    case WIRE_TYPE:
        return read_types(r, &s->body);
    case WIRE_IMPORT:
        return read_imports(r, &s->body);
    case WIRE_FUNCTION:
        return read_functions(r, &s->body);
    case WIRE_EXPORT:
        return read_exports(r, &s->body);
    default:
        return true;
    }
}

int linkage_parse(const void *bytes, size_t n, struct linkage *l_r, struct error *err)
{
    struct reading r = {.l = l_r};
    struct wire w;
    struct wire_section s;
    *l_r = (struct linkage){0};
    arena_init(&l_r->arena, 0);
    bool ok = wire_open(&w, bytes, n);
    while (ok && wire_next_section(&w, &s))
        ok = read_section(&r, &s);
    ok = ok && w.p == w.end;
    mem_free(r.func_types);
    if (ok)
        return 0;
    linkage_fini(l_r);
    return error_set(err, ERR_INVALID, "malformed section in the module");
}

void linkage_fini(struct linkage *l)
{
    arena_fini(&l->arena);
    *l = (struct linkage){0};
}

const struct linkage_export *linkage_find_export(const struct linkage *l, const char *name)
{
    for (size_t i = 0; i < l->export_count; i++)
        if (strcmp(l->exports[i].name, name) == 0)
            return &l->exports[i];
    return NULL;
}

static const char *type_name(char letter)
{
    switch (letter) {
    case 'i':
        return "i32";
    case 'l':
        return "i64";
    case 'f':
        return "f32";
    case 'd':
        return "f64";
    case 'x':
        return "v128";
    case 'r':
        return "funcref";
    default:
        return "externref";
    }
}

static void add_text(char *dst, size_t size, size_t *at, const char *text)
{
    size_t n = strlen(text);
    if (n > size - 1 - *at)
        n = size - 1 - *at;
    memcpy(dst + *at, text, n);
    *at += n;
    dst[*at] = 0;
}

void linkage_format_sig(const char *sig, char *dst, size_t size)
{
    size_t at = 0;
    if (*sig == ':')
        add_text(dst, size, &at, "void");
    for (const char *p = sig; *p; p++) {
        if (*p == ':') {
            add_text(dst, size, &at, " -> ");
            continue;
        }
        if (p != sig && p[-1] != ':')
            add_text(dst, size, &at, " ");
        add_text(dst, size, &at, *p == 'v' ? "void" : type_name(*p));
    }
}
