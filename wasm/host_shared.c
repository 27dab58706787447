/* Host functions on shared data and queues. */
#include "base/mem.h"
#include "conf/plugin.h"
#include "wasm/plugin_private.h"
#include "wasm/shared_data.h"

static int32_t give(struct pwasm_vm *vm, enum pwasm_status st, struct sbuf *value)
{
    int32_t n =
        st == PWASM_OK ? pwasm_out_str(vm, (struct str){value->p, value->n}) : -1 - (int32_t)st;
    sbuf_fini(value);
    return n;
}

static int32_t proxy_get_shared_data(void *unused, int32_t key, int32_t key_n, int32_t out_ptr,
                                     int32_t out_len, int32_t out_cas)
{
    (void)unused;
    HOST_ENTER_BYTES(vm, key, key_n, out_ptr, out_len, out_cas);
    struct str k;
    struct sbuf value = {0};
    uint32_t cas = 0;
    if (!guest_str(key, key_n, &k))
        return -1 - PWASM_INVALID_MEMORY;
    enum pwasm_status st = shared_get(vm->shared, k, &value, &cas);
    if (st == PWASM_OK && !guest_put_u32(out_cas, cas))
        st = PWASM_INVALID_MEMORY;
    return give(vm, st, &value);
}

static int32_t proxy_set_shared_data(void *unused, int32_t key, int32_t key_n, int32_t value,
                                     int32_t value_n, int32_t cas)
{
    (void)unused;
    HOST_ENTER(vm, key, key_n, value, value_n, cas);
    struct str k, v;
    if (!guest_str(key, key_n, &k) || !guest_str(value, value_n, &v))
        return PWASM_INVALID_MEMORY;
    return (int32_t)shared_set(vm->shared, k, v, (uint32_t)cas);
}

/* While the plugin starts another VM may be the consumer, and stays it until this one serves. */
static void consume(struct pwasm_vm *vm, uint32_t id)
{
    if (vm->worker) {
        shared_queue_consume(id, vm->serial, vm->worker);
        return;
    }
    for (size_t i = 0; i < vm->queues_n; i++)
        if (vm->queues[i] == id)
            return;
    mem_grow((void **)&vm->queues, &vm->queues_cap, vm->queues_n + 1, sizeof(*vm->queues));
    vm->queues[vm->queues_n++] = id;
}

static int32_t proxy_register_shared_queue(void *unused, int32_t name, int32_t name_n,
                                           int32_t out_id)
{
    (void)unused;
    HOST_ENTER(vm, name, name_n, out_id);
    struct str s;
    uint32_t id = 0;
    if (!guest_str(name, name_n, &s) || !guest_put_u32(out_id, 0))
        return PWASM_INVALID_MEMORY;
    enum pwasm_status st = shared_queue_register(vm->shared, s, &id);
    if (st == PWASM_OK)
        consume(vm, id);
    guest_put_u32(out_id, id);
    return (int32_t)st;
}

static int32_t proxy_resolve_shared_queue(void *unused, int32_t vm_id, int32_t vm_id_n,
                                          int32_t name, int32_t name_n, int32_t out_id)
{
    (void)unused;
    HOST_ENTER(vm, vm_id, vm_id_n, name, name_n, out_id);
    struct str owner, s;
    uint32_t id = 0;
    if (!guest_str(vm_id, vm_id_n, &owner) || !guest_str(name, name_n, &s) ||
        !guest_put_u32(out_id, 0))
        return PWASM_INVALID_MEMORY;
    if (!owner.n)
        owner = str_of(vm->conf->vm_id);
    enum pwasm_status st = shared_queue_resolve(owner, s, &id);
    guest_put_u32(out_id, id);
    return (int32_t)st;
}

static int32_t proxy_dequeue_shared_queue(void *unused, int32_t id, int32_t out_ptr,
                                          int32_t out_len)
{
    (void)unused;
    HOST_ENTER_BYTES(vm, id, out_ptr, out_len);
    struct sbuf item = {0};
    return give(vm, shared_queue_take((uint32_t)id, &item), &item);
}

static int32_t proxy_enqueue_shared_queue(void *unused, int32_t id, int32_t ptr, int32_t n)
{
    (void)unused;
    HOST_ENTER(vm, id, ptr, n);
    struct str item;
    if (!guest_str(ptr, n, &item))
        return PWASM_INVALID_MEMORY;
    return (int32_t)shared_queue_add((uint32_t)id, item);
}

static const struct pwasm_func funcs[] = {
    {"proxy_get_shared_data", "iiiii:i", (void *)proxy_get_shared_data, 2},
    {"proxy_set_shared_data", "iiiii:i", (void *)proxy_set_shared_data, PWASM_PLAIN},
    {"proxy_register_shared_queue", "iii:i", (void *)proxy_register_shared_queue, PWASM_PLAIN},
    {"proxy_resolve_shared_queue", "iiiii:i", (void *)proxy_resolve_shared_queue, PWASM_PLAIN},
    {"proxy_dequeue_shared_queue", "iii:i", (void *)proxy_dequeue_shared_queue, 1},
    {"proxy_enqueue_shared_queue", "iii:i", (void *)proxy_enqueue_shared_queue, PWASM_PLAIN},
};
const struct pwasm_funcs pwasm_funcs_shared = {funcs, ARRAY_LEN(funcs)};
