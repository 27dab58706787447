#include "wasm/glue.h"

#include <assert.h>
#include <stdio.h>

#include "wasm/wire.h"

enum {
    OP_UNREACHABLE = 0x00,
    OP_IF = 0x04,
    OP_END = 0x0b,
    OP_RETURN = 0x0f,
    OP_CALL = 0x10,
    OP_CALL_INDIRECT = 0x11,
    OP_LOCAL_GET = 0x20,
    OP_LOCAL_SET = 0x21,
    OP_LOCAL_TEE = 0x22,
    OP_I32_CONST = 0x41,
    OP_I32_EQZ = 0x45,
    OP_I32_EQ = 0x46,
    OP_I32_LT_S = 0x48,
    OP_I32_SUB = 0x6b,
    BLOCK_VOID = 0x40,
    TYPE_I32 = 0x7f,
    TYPE_FUNC = 0x60,
    TYPE_FUNCREF = 0x70
};

/* Index spaces: types 2k raw and 2k+1 wrapper of function k, then allocator and commit;
 * functions 0..n-1 raw, n begin, n+1 commit, n+2+k wrapper k. */
struct gluing {
    const struct vm_host *host;
    const unsigned *used;
    unsigned n;
};

static void put_u32(struct sbuf *b, uint32_t v)
{
    for (; v >= 0x80; v >>= 7)
        sbuf_addc(b, (char)(v | 0x80));
    sbuf_addc(b, (char)v);
}

static void put_name(struct sbuf *b, const char *name)
{
    put_u32(b, (uint32_t)strlen(name));
    sbuf_addz(b, name);
}

static void put_op(struct sbuf *b, uint8_t op, uint32_t operand)
{
    sbuf_addc(b, (char)op);
    put_u32(b, operand);
}

/* VM_HOST_TRAP as the signed LEB128 operand of i32.const. */
static void put_const_trap(struct sbuf *b)
{
    sbuf_add(b, "\x41\x80\x80\x80\x80\x78", 6);
}

static void put_section(struct sbuf *out, uint8_t id, struct sbuf *body)
{
    sbuf_addc(out, (char)id);
    put_u32(out, (uint32_t)body->n);
    sbuf_add(out, body->p, body->n);
    sbuf_fini(body);
}

static const struct vm_host_func *func_at(const struct gluing *g, unsigned k)
{
    return &g->host->funcs[g->used[k]];
}

static unsigned param_count(const struct vm_host_func *f)
{
    const char *colon = strchr(f->sig, ':');
    assert(colon && (colon[1] == 'i' || colon[1] == 'v') && !colon[2]);
    return (unsigned)(colon - f->sig);
}

static uint8_t value_type(char letter)
{
    switch (letter) {
    case 'i':
        return 0x7f;
    case 'l':
        return 0x7e;
    case 'f':
        return 0x7d;
    default:
        assert(letter == 'd');
        return 0x7c;
    }
}

static void put_type(struct sbuf *b, const char *params, unsigned n, bool has_result)
{
    sbuf_addc(b, TYPE_FUNC);
    put_u32(b, n);
    for (unsigned i = 0; i < n; i++)
        sbuf_addc(b, (char)value_type(params[i]));
    put_u32(b, has_result);
    if (has_result)
        sbuf_addc(b, TYPE_I32);
}

static bool has_result(const struct vm_host_func *f)
{
    return f->sig[param_count(f) + 1] == 'i';
}

static void put_types(const struct gluing *g, struct sbuf *out)
{
    struct sbuf b = {0};
    put_u32(&b, 2 * g->n + 2);
    for (unsigned k = 0; k < g->n; k++) {
        const struct vm_host_func *f = func_at(g, k);
        put_type(&b, f->sig, param_count(f), true);
        put_type(&b, f->sig, param_count(f), has_result(f));
    }
    put_type(&b, "i", 1, true);
    put_type(&b, "iii", 3, true);
    put_section(out, WIRE_TYPE, &b);
}

static void put_import(struct sbuf *b, const char *name, uint32_t type)
{
    put_name(b, GLUE_MODULE);
    put_name(b, name);
    sbuf_addc(b, WIRE_KIND_FUNC);
    put_u32(b, type);
}

static void put_imports(const struct gluing *g, struct sbuf *out)
{
    struct sbuf b = {0};
    put_u32(&b, g->n + 2);
    for (unsigned k = 0; k < g->n; k++) {
        char name[16];
        snprintf(name, sizeof(name), "%u", k);
        put_import(&b, name, 2 * k);
    }
    put_import(&b, GLUE_BEGIN, 2 * g->n);
    put_import(&b, GLUE_COMMIT, 2 * g->n + 1);
    put_section(out, WIRE_IMPORT, &b);
}

static void put_functions(const struct gluing *g, struct sbuf *out)
{
    struct sbuf b = {0};
    put_u32(&b, g->n);
    for (unsigned k = 0; k < g->n; k++)
        put_u32(&b, 2 * k + 1);
    put_section(out, WIRE_FUNCTION, &b);
}

static void put_table(struct sbuf *out)
{
    struct sbuf b = {0};
    put_u32(&b, 1);
    sbuf_addc(&b, TYPE_FUNCREF);
    sbuf_add(&b, "\x01\x01\x01", 3); /* limits with a maximum: one to one */
    put_section(out, WIRE_TABLE, &b);
}

static void put_exports(const struct gluing *g, struct sbuf *out)
{
    struct sbuf b = {0};
    put_u32(&b, g->n + 1);
    for (unsigned k = 0; k < g->n; k++) {
        char name[16];
        snprintf(name, sizeof(name), "%u", k);
        put_name(&b, name);
        sbuf_addc(&b, WIRE_KIND_FUNC);
        put_u32(&b, g->n + 2 + k);
    }
    put_name(&b, GLUE_TABLE);
    sbuf_addc(&b, WIRE_KIND_TABLE);
    put_u32(&b, 0);
    put_section(out, WIRE_EXPORT, &b);
}

static void put_call_host(struct sbuf *b, const struct vm_host_func *f, unsigned k)
{
    for (unsigned i = 0; i < param_count(f); i++)
        put_op(b, OP_LOCAL_GET, i);
    put_op(b, OP_CALL, k);
}

/* if (local == VM_HOST_TRAP) unreachable; */
static void put_trap_check(struct sbuf *b, unsigned local)
{
    put_op(b, OP_LOCAL_GET, local);
    put_const_trap(b);
    sbuf_addc(b, OP_I32_EQ);
    put_op(b, OP_IF, BLOCK_VOID);
    sbuf_addc(b, OP_UNREACHABLE);
    sbuf_addc(b, OP_END);
}

static void put_plain(struct sbuf *b, const struct vm_host_func *f, unsigned k)
{
    unsigned result = param_count(f);
    put_u32(b, 1); /* one group of locals: the result */
    put_u32(b, 1);
    sbuf_addc(b, TYPE_I32);
    put_call_host(b, f, k);
    put_op(b, OP_LOCAL_SET, result);
    put_trap_check(b, result);
    if (has_result(f))
        put_op(b, OP_LOCAL_GET, result);
    sbuf_addc(b, OP_END);
}

static void put_commit(struct sbuf *b, const struct vm_host_func *f, unsigned commit)
{
    put_op(b, OP_LOCAL_GET, f->out_at);
    put_op(b, OP_LOCAL_GET, f->out_at + 1);
    put_op(b, OP_CALL, commit);
}

static void put_bytes(const struct gluing *g, struct sbuf *b, const struct vm_host_func *f,
                      unsigned k)
{
    unsigned length = param_count(f);
    assert(has_result(f) && f->out_at + 1 < length);
    put_u32(b, 1); /* one group of locals: the length */
    put_u32(b, 1);
    sbuf_addc(b, TYPE_I32);
    put_call_host(b, f, k);
    put_op(b, OP_LOCAL_TEE, length);
    put_op(b, OP_I32_CONST, 0);
    sbuf_addc(b, OP_I32_LT_S);
    put_op(b, OP_IF, BLOCK_VOID);
    put_trap_check(b, length);
    sbuf_add(b, "\x41\x7f", 2); /* i32.const -1 */
    put_op(b, OP_LOCAL_GET, length);
    sbuf_addc(b, OP_I32_SUB);
    sbuf_addc(b, OP_RETURN);
    sbuf_addc(b, OP_END);
    put_op(b, OP_LOCAL_GET, length);
    sbuf_addc(b, OP_I32_EQZ);
    put_op(b, OP_IF, BLOCK_VOID);
    put_op(b, OP_I32_CONST, 0);
    put_commit(b, f, g->n + 1);
    sbuf_addc(b, OP_RETURN);
    sbuf_addc(b, OP_END);
    put_op(b, OP_LOCAL_GET, length);
    put_op(b, OP_CALL, g->n);
    put_op(b, OP_I32_CONST, 0);
    put_op(b, OP_CALL_INDIRECT, 2 * g->n);
    put_u32(b, 0); /* table 0 */
    put_commit(b, f, g->n + 1);
    sbuf_addc(b, OP_END);
}

static void put_code(const struct gluing *g, struct sbuf *out)
{
    struct sbuf b = {0};
    put_u32(&b, g->n);
    for (unsigned k = 0; k < g->n; k++) {
        const struct vm_host_func *f = func_at(g, k);
        struct sbuf body = {0};
        if (f->kind == VM_HOST_PLAIN)
            put_plain(&body, f, k);
        else
            put_bytes(g, &body, f, k);
        put_u32(&b, (uint32_t)body.n);
        sbuf_add(&b, body.p, body.n);
        sbuf_fini(&body);
    }
    put_section(out, WIRE_CODE, &b);
}

/* Names show in guests' backtraces: the host function's own name instead of a number. */
static void put_names(const struct gluing *g, struct sbuf *out)
{
    struct sbuf names = {0}, b = {0};
    put_u32(&names, g->n);
    for (unsigned k = 0; k < g->n; k++) {
        put_u32(&names, g->n + 2 + k);
        put_name(&names, func_at(g, k)->name);
    }
    put_name(&b, "name");
    sbuf_addc(&b, 1); /* subsection: function names */
    put_u32(&b, (uint32_t)names.n);
    sbuf_add(&b, names.p, names.n);
    sbuf_fini(&names);
    put_section(out, WIRE_CUSTOM, &b);
}

void glue_build(const struct vm_host *host, const unsigned *used, unsigned n, struct sbuf *out)
{
    struct gluing g = {host, used, n};
    sbuf_add(out, "\0asm\1\0\0\0", 8);
    put_types(&g, out);
    put_imports(&g, out);
    put_functions(&g, out);
    put_table(out);
    put_exports(&g, out);
    put_code(&g, out);
    put_names(&g, out);
}
