/* Host functions on bodies, TCP data and configuration. */
#include "base/mem.h"
#include "wasm/plugin_private.h"

static bool readable(const struct pwasm_vm *vm, uint32_t type, struct str *s_r)
{
    if (type < PWASM_BUFFER_STREAM_COUNT) {
        const struct buf *b = pwasm_acting(vm)->buffers[type];
        *s_r = b ? buf_str(b) : STR_NULL;
        return b != NULL;
    }
    *s_r = vm->call_buffers[type];
    if (type == PWASM_BUFFER_VM_CONFIG)
        *s_r = vm->conf->vm_configuration;
    else if (type == PWASM_BUFFER_PLUGIN_CONFIG)
        *s_r = vm->conf->configuration;
    else
        return s_r->p != NULL;
    return true;
}

static int32_t proxy_get_buffer_bytes(void *unused, int32_t type, int32_t start, int32_t n,
                                      int32_t out_ptr, int32_t out_len)
{
    (void)unused;
    HOST_ENTER_BYTES(vm, type, start, n, out_ptr, out_len);
    struct str s;
    if ((uint32_t)type >= PWASM_BUFFER_COUNT)
        return -1 - PWASM_BAD_ARGUMENT;
    if (!readable(vm, (uint32_t)type, &s))
        return -1 - PWASM_NOT_FOUND;
    uint64_t from = (uint32_t)start, len = (uint32_t)n;
    if (from >= s.n)
        return 0;
    if (len > s.n - from)
        len = s.n - from;
    return pwasm_out_str(vm, (struct str){s.p + from, len});
}

static int32_t proxy_get_buffer_status(void *unused, int32_t type, int32_t out_len,
                                       int32_t out_flags)
{
    (void)unused;
    HOST_ENTER(vm, type, out_len, out_flags);
    struct str s;
    if ((uint32_t)type >= PWASM_BUFFER_COUNT)
        return PWASM_BAD_ARGUMENT;
    if (!readable(vm, (uint32_t)type, &s))
        return PWASM_NOT_FOUND;
    if (!guest_put_u32(out_len, (uint32_t)s.n) || !guest_put_u32(out_flags, 0))
        return PWASM_INVALID_MEMORY;
    return PWASM_OK;
}

/* Puts bytes in the place of [start, start + n). */
static void splice(struct buf *b, size_t start, size_t n, struct str bytes)
{
    if (start == 0) {
        buf_consume(b, n);
        if (bytes.n)
            buf_prepend(b, bytes.p, bytes.n);
    } else if (start == b->len) {
        buf_adds(b, bytes);
    } else {
        struct buf head = {0};
        buf_move_n(&head, b, start);
        buf_consume(b, n);
        buf_adds(&head, bytes);
        buf_move(&head, b);
        buf_move(b, &head);
    }
}

static int32_t proxy_set_buffer_bytes(void *unused, int32_t type, int32_t start, int32_t n,
                                      int32_t ptr, int32_t size)
{
    (void)unused;
    HOST_ENTER(vm, type, start, n, ptr, size);
    struct str bytes;
    if ((uint32_t)type >= PWASM_BUFFER_STREAM_COUNT) {
        struct str s;
        bool is_there = (uint32_t)type < PWASM_BUFFER_COUNT && readable(vm, (uint32_t)type, &s);
        return is_there || (uint32_t)type >= PWASM_BUFFER_COUNT ? PWASM_BAD_ARGUMENT
                                                                : PWASM_NOT_FOUND;
    }
    struct buf *b = pwasm_acting(vm)->buffers[type];
    if (!b)
        return PWASM_NOT_FOUND;
    if (!guest_str(ptr, size, &bytes))
        return PWASM_INVALID_MEMORY;
    if (b->len + bytes.n > PWASM_BODY_MAX)
        return PWASM_BAD_ARGUMENT;
    size_t from = (uint32_t)start < b->len ? (uint32_t)start : b->len;
    size_t len = (uint32_t)n < b->len - from ? (uint32_t)n : b->len - from;
    splice(b, from, len, bytes);
    return PWASM_OK;
}

/* 0.1.0: inside on_configure the plugin's configuration, else the VM's. */
static int32_t proxy_get_configuration(void *unused, int32_t out_ptr, int32_t out_len)
{
    (void)unused;
    HOST_ENTER_BYTES(vm, out_ptr, out_len);
    return pwasm_out_str(vm,
                         vm->in_configure ? vm->conf->configuration : vm->conf->vm_configuration);
}

static const struct pwasm_func funcs[] = {
    {"proxy_get_buffer_bytes", "iiiii:i", (void *)proxy_get_buffer_bytes, 3},
    {"proxy_get_buffer_status", "iii:i", (void *)proxy_get_buffer_status, PWASM_PLAIN},
    {"proxy_set_buffer_bytes", "iiiii:i", (void *)proxy_set_buffer_bytes, PWASM_PLAIN},
    {"proxy_get_configuration", "ii:i", (void *)proxy_get_configuration, 0},
};
const struct pwasm_funcs pwasm_funcs_buffers = {funcs, ARRAY_LEN(funcs)};
