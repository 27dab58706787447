#include "wasm/module.h"

#include <string.h>

#include "base/mem.h"
#include "wasm/wire.h"

const struct module_limits module_default_limits = {
    .functions = 100000,
    .exports = 20000,
    .globals = 10000,
    .params = 100,
    .locals = 10000,
    .body_bytes = 512 << 10,
    .tables = 4,
    .table_sum = 100000,
    .data_segments = 100000,
    .element_segments = 10000,
    .element_bytes = 4 << 20,
    .custom_sections = 1000,
};

struct check {
    const struct module_limits *limits;
    struct module_info info;
    struct error *err;
};

static int malformed(struct check *c, const char *what)
{
    return error_set(c->err, ERR_INVALID, "malformed module: %s", what);
}

/* Adds n to *counter unless that passes max. */
static int count(struct check *c, uint32_t *counter, uint32_t n, uint32_t max, const char *what)
{
    if (n > max || *counter > max - n)
        return error_set(c->err, ERR_LIMIT, "%llu %s, the limit is %u",
                         (unsigned long long)*counter + n, what, max);
    *counter += n;
    return 0;
}

static int at_most(struct check *c, uint64_t n, uint32_t max, const char *what)
{
    if (n <= max)
        return 0;
    return error_set(c->err, ERR_LIMIT, "%llu %s, the limit is %u", (unsigned long long)n, what,
                     max);
}

static int check_types(struct check *c, struct wire *w)
{
    uint32_t types, n;
    if (!wire_u32(w, &types))
        return malformed(c, "type section");
    for (uint32_t i = 0; i < types; i++) {
        uint8_t form;
        if (!wire_u8(w, &form) || form != 0x60)
            return malformed(c, "function type");
        for (int results = 0; results < 2; results++) {
            if (!wire_u32(w, &n))
                return malformed(c, "function type");
            int rc = at_most(c, n, c->limits->params, results ? "results" : "parameters");
            if (rc != 0)
                return rc;
            if (!wire_skip(w, n))
                return malformed(c, "function type");
        }
    }
    return 0;
}

static int count_table(struct check *c, const struct wire_limits *l)
{
    int rc = count(c, &c->info.tables, 1, c->limits->tables, "tables");
    if (rc != 0)
        return rc;
    return count(c, &c->info.table_sum, l->min, c->limits->table_sum, "table elements");
}

static int check_import(struct check *c, struct wire *w)
{
    struct str module, name;
    struct wire_limits limits;
    uint8_t kind, byte;
    uint32_t type;
    if (!wire_name(w, &module) || !wire_name(w, &name) || !wire_u8(w, &kind))
        return malformed(c, "import");
    switch (kind) {
    case WIRE_KIND_FUNC:
        if (!wire_u32(w, &type))
            break;
        return count(c, &c->info.functions, 1, c->limits->functions, "functions");
    case WIRE_KIND_TABLE:
        if (!wire_u8(w, &byte) || !wire_limits(w, &limits))
            break;
        return count_table(c, &limits);
    case WIRE_KIND_MEMORY:
        if (!wire_limits(w, &limits))
            break;
        c->info.memory_min_pages = limits.min;
        return 0;
    case WIRE_KIND_GLOBAL:
        if (!wire_skip(w, 2))
            break;
        return count(c, &c->info.globals, 1, c->limits->globals, "globals");
    }
    return malformed(c, "import");
}

static int check_table(struct check *c, struct wire *w)
{
    struct wire_limits limits;
    uint8_t type;
    if (!wire_u8(w, &type) || !wire_limits(w, &limits))
        return malformed(c, "table");
    return count_table(c, &limits);
}

static int check_memory(struct check *c, struct wire *w)
{
    struct wire_limits limits;
    if (!wire_limits(w, &limits))
        return malformed(c, "memory");
    c->info.memory_min_pages = limits.min;
    return 0;
}

static enum module_abi abi_of(struct str name)
{
    if (str_is(name, "proxy_abi_version_0_1_0"))
        return MODULE_ABI_0_1_0;
    if (str_is(name, "proxy_abi_version_0_2_0"))
        return MODULE_ABI_0_2_0;
    if (str_is(name, "proxy_abi_version_0_2_1"))
        return MODULE_ABI_0_2_1;
    return MODULE_ABI_UNKNOWN;
}

static int check_export(struct check *c, struct wire *w)
{
    struct str name;
    uint8_t kind;
    uint32_t index;
    if (!wire_name(w, &name) || !wire_u8(w, &kind) || !wire_u32(w, &index))
        return malformed(c, "export");
    if (kind == WIRE_KIND_FUNC && c->info.abi == MODULE_ABI_UNKNOWN)
        c->info.abi = abi_of(name);
    return count(c, &c->info.exports, 1, c->limits->exports, "exports");
}

/* One function: its size, and the locals it declares in groups. */
static int check_body(struct check *c, struct wire *w)
{
    uint32_t size, groups, n;
    if (!wire_u32(w, &size))
        return malformed(c, "function body");
    int rc = at_most(c, size, c->limits->body_bytes, "bytes of a function's body");
    if (rc != 0)
        return rc;
    struct wire body = *w;
    if (!wire_skip(w, size))
        return malformed(c, "function body");
    body.end = w->p;
    if (!wire_u32(&body, &groups))
        return malformed(c, "function body");
    uint64_t locals = 0;
    for (uint32_t i = 0; i < groups; i++) {
        uint8_t type;
        if (!wire_u32(&body, &n) || !wire_u8(&body, &type))
            return malformed(c, "locals");
        locals += n;
        rc = at_most(c, locals, c->limits->locals, "locals of a function");
        if (rc != 0)
            return rc;
    }
    return 0;
}

static int each(struct check *c, struct wire *w, int (*check_one)(struct check *, struct wire *))
{
    uint32_t n;
    if (!wire_u32(w, &n))
        return malformed(c, "section");
    for (uint32_t i = 0; i < n; i++) {
        int rc = check_one(c, w);
        if (rc != 0)
            return rc;
    }
    return 0;
}

/* A section of which only the number of its entries is counted. */
static int count_entries(struct check *c, struct wire *w, uint32_t *counter, uint32_t max,
                         const char *what)
{
    uint32_t n;
    if (!wire_u32(w, &n))
        return malformed(c, what);
    return count(c, counter, n, max, what);
}

static int check_elements(struct check *c, struct wire *w)
{
    int rc = at_most(c, (uint64_t)(w->end - w->p), c->limits->element_bytes,
                     "bytes of element segments");
    if (rc != 0)
        return rc;
    return count_entries(c, w, &c->info.element_segments, c->limits->element_segments,
                         "element segments");
}

static int check_section(struct check *c, struct wire_section *s)
{
    const struct module_limits *l = c->limits;
    struct wire *w = &s->body;
    switch (s->id) {
    case WIRE_CUSTOM:
        return count(c, &c->info.custom_sections, 1, l->custom_sections, "custom sections");
    case WIRE_TYPE:
        return check_types(c, w);
    case WIRE_IMPORT:
        return each(c, w, check_import);
    case WIRE_FUNCTION:
        return count_entries(c, w, &c->info.functions, l->functions, "functions");
    case WIRE_TABLE:
        return each(c, w, check_table);
    case WIRE_MEMORY:
        return each(c, w, check_memory);
    case WIRE_GLOBAL:
        return count_entries(c, w, &c->info.globals, l->globals, "globals");
    case WIRE_EXPORT:
        return each(c, w, check_export);
    case WIRE_ELEMENT:
        return check_elements(c, w);
    case WIRE_CODE:
        return each(c, w, check_body);
    case WIRE_DATA:
        return count_entries(c, w, &c->info.data_segments, l->data_segments, "data segments");
    case WIRE_START:
    case WIRE_DATA_COUNT:
        return 0;
    default:
        return malformed(c, "unknown section");
    }
}

int module_check(const void *bytes, size_t n, const struct module_limits *limits,
                 struct module_info *info_r, struct error *err)
{
    struct check c = {.limits = limits, .err = err};
    struct wire w;
    struct wire_section s;
    if (!wire_open(&w, bytes, n))
        return error_set(err, ERR_INVALID, "not a WebAssembly module of version 1");
    while (wire_next_section(&w, &s)) {
        int rc = check_section(&c, &s);
        if (rc != 0)
            return rc;
    }
    if (w.p != w.end)
        return malformed(&c, "section header");
    if (c.info.abi == MODULE_ABI_UNKNOWN)
        return error_set(err, ERR_INVALID, "Missing or unknown Proxy-Wasm ABI version");
    if (info_r)
        *info_r = c.info;
    return 0;
}

const char *module_abi_name(enum module_abi abi)
{
    static const char *const names[] = {"unknown", "0.1.0", "0.2.0", "0.2.1"};
    return names[abi];
}
