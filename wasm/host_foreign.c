/* Foreign functions: named ones of the host, with bytes in and out. compress, uncompress,
 * declare_property and clear_route_cache are offered; other names of Envoy's answer NotFound, as
 * unknown ones do. */
#include "base/compress.h"
#include "base/err.h"
#include "base/mem.h"
#include "wasm/plugin_private.h"
#include "wasm/protowire.h"

typedef enum pwasm_status foreign_fn(struct pwasm_vm *vm, struct str arg);

enum { FOREIGN_OUT_MAX = 16 << 20 };

static enum pwasm_status give(struct pwasm_vm *vm, int rc, struct sbuf *out)
{
    if (rc == 0)
        pwasm_out_str(vm, (struct str){out->p, out->n});
    sbuf_fini(out);
    return rc == 0 ? PWASM_OK : PWASM_SERIALIZATION_FAILURE;
}

static enum pwasm_status compress_bytes(struct pwasm_vm *vm, struct str arg)
{
    struct sbuf out = {0};
    int rc = compress_zlib(arg, FOREIGN_OUT_MAX, &out);
    return give(vm, rc, &out);
}

static enum pwasm_status uncompress_bytes(struct pwasm_vm *vm, struct str arg)
{
    struct sbuf out = {0};
    int rc = uncompress_zlib(arg, FOREIGN_OUT_MAX, &out);
    return give(vm, rc, &out);
}

static enum pwasm_status clear_route_cache(struct pwasm_vm *vm, struct str arg)
{
    (void)arg;
    struct pwasm_context *c = pwasm_acting(vm);
    if (c->ops)
        c->ops->on_route_change(c);
    return PWASM_OK;
}

/* DeclarePropertyArguments: 1 name, 2 readonly; type, schema and span do not change what guests
 * read back as bytes. */
enum { DECLARE_NAME = 1, DECLARE_READ_ONLY = 2, DECLARED_MAX = 1000 };
static char writable[] = "writable", read_only[] = "read-only";

static enum pwasm_status declare_property(struct pwasm_vm *vm, struct str arg)
{
    struct protowire_field f;
    struct str name = STR("");
    bool is_read_only = false;
    while (protowire_next(&arg, &f))
        if (f.number == DECLARE_NAME && f.type == PROTOWIRE_BYTES)
            name = f.bytes;
        else if (f.number == DECLARE_READ_ONLY)
            is_read_only = f.value != 0;
    if (arg.n || hash_find(&vm->declared, name) || hash_count(&vm->declared) >= DECLARED_MAX)
        return PWASM_BAD_ARGUMENT;
    hash_set(&vm->declared, name, is_read_only ? read_only : writable);
    return PWASM_OK;
}

bool pwasm_is_read_only(const struct pwasm_vm *vm, struct str property)
{
    return hash_find(&vm->declared, property) == read_only;
}

static const struct {
    const char *name;
    foreign_fn *fn;
} functions[] = {
    {"compress", compress_bytes},
    {"uncompress", uncompress_bytes},
    {"declare_property", declare_property},
    {"clear_route_cache", clear_route_cache},
};

static int32_t proxy_call_foreign_function(void *unused, int32_t name, int32_t name_n, int32_t arg,
                                           int32_t arg_n, int32_t out_ptr, int32_t out_len)
{
    (void)unused;
    HOST_ENTER_BYTES(vm, name, name_n, arg, arg_n, out_ptr, out_len);
    struct str name_str, arg_str;
    if (!guest_str(name, name_n, &name_str) || !guest_str(arg, arg_n, &arg_str))
        return -1 - PWASM_INVALID_MEMORY;
    for (size_t i = 0; i < ARRAY_LEN(functions); i++) {
        if (!str_is(name_str, functions[i].name))
            continue;
        enum pwasm_status st = functions[i].fn(vm, arg_str);
        if (st != PWASM_OK)
            return -1 - (int32_t)st;
        if (!out_ptr || !out_len) { /* the result is not wanted */
            vm->out.n = 0;
            vm->out.is_optional = true;
        }
        return (int32_t)vm->out.n;
    }
    return -1 - PWASM_NOT_FOUND;
}

static const struct pwasm_func funcs[] = {
    {"proxy_call_foreign_function", "iiiiii:i", (void *)proxy_call_foreign_function, 4},
};
const struct pwasm_funcs pwasm_funcs_foreign = {funcs, ARRAY_LEN(funcs)};
