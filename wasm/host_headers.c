/* Host functions on header maps. A guest names a map by its type; whether it is there, and may be
 * changed, depends on the phase: filters set pwasm_context.maps around their calls. */
#include "base/mem.h"
#include "wasm/pairs.h"
#include "wasm/plugin_private.h"

/* What the type stands for now, for reading; NULL: not available. */
static const struct headers *readable(const struct pwasm_vm *vm, uint32_t type)
{
    if (type < PWASM_MAP_STREAM_COUNT)
        return pwasm_acting(vm)->maps[type];
    return type < PWASM_MAP_COUNT ? vm->call_maps[type] : NULL;
}

static struct headers *changeable(const struct pwasm_vm *vm, uint32_t type)
{
    struct pwasm_context *c = pwasm_acting(vm);
    return type < PWASM_MAP_STREAM_COUNT && !c->is_logging ? c->maps[type] : NULL;
}

/* A change of the request's headers voids the choice of route, as in Envoy for all ABIs. */
static void on_change(const struct pwasm_vm *vm, uint32_t type)
{
    struct pwasm_context *c = pwasm_acting(vm);
    if (type == PWASM_MAP_REQ_HEADERS && c->ops)
        c->ops->on_route_change(c);
}

/* Only what ends a response: an interim status in its place would shift all responses behind. */
static bool is_final_status(struct str value)
{
    uint64_t code;
    return str_to_u64(value, 999, &code) && code >= 200;
}

typedef void change_fn(struct headers *h, struct str name, struct str value);

static int32_t change(struct pwasm_vm *vm, uint32_t type, struct str name, struct str value,
                      change_fn *fn)
{
    struct headers *h = changeable(vm, type);
    if (!h)
        return PWASM_BAD_ARGUMENT;
    if (headers_byte_size(h) + name.n + value.n > PWASM_HEADERS_BYTES_MAX ||
        h->n >= 4 * PWASM_PAIRS_MAX)
        return PWASM_BAD_ARGUMENT;
    char small[64];
    char *lower = name.n <= sizeof(small) ? small : mem_alloc(name.n);
    for (size_t i = 0; i < name.n; i++)
        lower[i] = str_lower(name.p[i]);
    name.p = lower;
    bool is_header =
        pairs_is_header(name, value) && (!str_is(name, ":status") || is_final_status(value));
    if (is_header)
        fn(h, name, value);
    if (lower != small)
        mem_free(lower);
    if (!is_header)
        return PWASM_BAD_ARGUMENT;
    on_change(vm, type);
    return PWASM_OK;
}

static int32_t proxy_add_header_map_value(void *unused, int32_t type, int32_t key, int32_t key_n,
                                          int32_t value, int32_t value_n)
{
    (void)unused;
    HOST_ENTER(vm, type, key, key_n, value, value_n);
    struct str k, v;
    if (!guest_str(key, key_n, &k) || !guest_str(value, value_n, &v))
        return PWASM_INVALID_MEMORY;
    return change(vm, (uint32_t)type, k, v, headers_add);
}

static int32_t proxy_replace_header_map_value(void *unused, int32_t type, int32_t key,
                                              int32_t key_n, int32_t value, int32_t value_n)
{
    (void)unused;
    HOST_ENTER(vm, type, key, key_n, value, value_n);
    struct str k, v;
    if (!guest_str(key, key_n, &k) || !guest_str(value, value_n, &v))
        return PWASM_INVALID_MEMORY;
    return change(vm, (uint32_t)type, k, v, headers_set);
}

static int32_t proxy_remove_header_map_value(void *unused, int32_t type, int32_t key, int32_t key_n)
{
    (void)unused;
    HOST_ENTER(vm, type, key, key_n);
    struct str k;
    if (!guest_str(key, key_n, &k))
        return PWASM_INVALID_MEMORY;
    struct headers *h = changeable(vm, (uint32_t)type);
    if (!h)
        return PWASM_BAD_ARGUMENT;
    headers_remove(h, k);
    on_change(vm, (uint32_t)type);
    return PWASM_OK;
}

static int32_t proxy_get_header_map_value(void *unused, int32_t type, int32_t key, int32_t key_n,
                                          int32_t out_ptr, int32_t out_len)
{
    (void)unused;
    HOST_ENTER_BYTES(vm, type, key, key_n, out_ptr, out_len);
    if ((uint32_t)type >= PWASM_MAP_COUNT)
        return -1 - PWASM_BAD_ARGUMENT;
    struct str k;
    if (!guest_str(key, key_n, &k))
        return -1 - PWASM_INVALID_MEMORY;
    const struct headers *h = readable(vm, (uint32_t)type);
    struct str value = h ? headers_get_name(h, k) : STR_NULL;
    if (value.p)
        return pwasm_out_str(vm, value);
    if (vm->abi == PWASM_ABI_0_1_0)
        return 0;
    bool is_absent = h || pwasm_acting(vm)->is_logging;
    return -1 - (is_absent ? PWASM_NOT_FOUND : PWASM_BAD_ARGUMENT);
}

static int32_t proxy_get_header_map_pairs(void *unused, int32_t type, int32_t out_ptr,
                                          int32_t out_len)
{
    (void)unused;
    HOST_ENTER_BYTES(vm, type, out_ptr, out_len);
    if ((uint32_t)type >= PWASM_MAP_COUNT)
        return -1 - PWASM_BAD_ARGUMENT;
    const struct headers *h = readable(vm, (uint32_t)type);
    size_t n = h ? pairs_size(h) : 0;
    if (n)
        pairs_encode(h, pwasm_out_reserve(vm, n));
    return (int32_t)n;
}

static int32_t proxy_set_header_map_pairs(void *unused, int32_t type, int32_t ptr, int32_t n)
{
    (void)unused;
    HOST_ENTER(vm, type, ptr, n);
    struct str bytes;
    if ((uint32_t)type >= PWASM_MAP_COUNT)
        return PWASM_BAD_ARGUMENT;
    if (!guest_str(ptr, n, &bytes))
        return PWASM_INVALID_MEMORY;
    struct headers *h = changeable(vm, (uint32_t)type);
    if (!h)
        return PWASM_BAD_ARGUMENT;
    unsigned status = headers_status(h);
    headers_clear(h);
    if (!pairs_decode(bytes, h))
        log_debug(LOG_WASM, "Plugin %s: a malformed header map counts as empty", vm->conf->name);
    struct str code = headers_get(h, HDR_STATUS);
    if (code.p && !is_final_status(code) && headers_status(h) != status)
        headers_remove_id(h, HDR_STATUS);
    on_change(vm, (uint32_t)type);
    return PWASM_OK;
}

static int32_t proxy_get_header_map_size(void *unused, int32_t type, int32_t out_size)
{
    (void)unused;
    HOST_ENTER(vm, type, out_size);
    const struct headers *h = changeable(vm, (uint32_t)type);
    if (!h)
        return PWASM_BAD_ARGUMENT;
    return guest_put_u32(out_size, (uint32_t)headers_byte_size(h)) ? PWASM_OK
                                                                   : PWASM_INVALID_MEMORY;
}

static const struct pwasm_func funcs[] = {
    {"proxy_add_header_map_value", "iiiii:i", (void *)proxy_add_header_map_value, PWASM_PLAIN},
    {"proxy_replace_header_map_value", "iiiii:i", (void *)proxy_replace_header_map_value,
     PWASM_PLAIN},
    {"proxy_remove_header_map_value", "iii:i", (void *)proxy_remove_header_map_value, PWASM_PLAIN},
    {"proxy_get_header_map_value", "iiiii:i", (void *)proxy_get_header_map_value, 3},
    {"proxy_get_header_map_pairs", "iii:i", (void *)proxy_get_header_map_pairs, 1},
    {"proxy_set_header_map_pairs", "iii:i", (void *)proxy_set_header_map_pairs, PWASM_PLAIN},
    {"proxy_get_header_map_size", "ii:i", (void *)proxy_get_header_map_size, PWASM_PLAIN},
};
const struct pwasm_funcs pwasm_funcs_headers = {funcs, ARRAY_LEN(funcs)};
