#include "wasm/context.h"

#include <assert.h>
#include <stdio.h>

#include "base/mem.h"
#include "conf/plugin.h"
#include "wasm/plugin_private.h"

static const char *const export_names[] = {
#define X(id, name, sig) name,
    PWASM_EXPORT_MAP(X)
#undef X
};

/* ---- the table of contexts ---- */

enum { BUCKETS_MIN = 16 };

void pwasm_contexts_init(struct pwasm_vm *vm)
{
    list_init(&vm->contexts);
    vm->buckets_n = BUCKETS_MIN;
    vm->buckets = mem_zalloc(vm->buckets_n * sizeof(*vm->buckets));
    vm->root.id = vm->last_id = PWASM_ROOT_ID;
    vm->root.vm = vm;
    list_init(&vm->root.node);
    vm->current = &vm->root;
}

void pwasm_contexts_fini(struct pwasm_vm *vm)
{
    list_for_each_safe (it, tmp, &vm->contexts) {
        /* Streams that are still there when their worker ends. */
        struct pwasm_context *c = container_of(it, struct pwasm_context, node);
        list_del(&c->node);
        c->vm = NULL;
    }
    mem_free(vm->buckets);
    vm->buckets = NULL;
}

static struct pwasm_context **bucket(struct pwasm_vm *vm, uint32_t id)
{
    return &vm->buckets[id & (vm->buckets_n - 1)];
}

struct pwasm_context *pwasm_context_find(struct pwasm_vm *vm, uint32_t id)
{
    if (id == PWASM_ROOT_ID)
        return &vm->root;
    struct pwasm_context *c = *bucket(vm, id);
    while (c && c->id != id)
        c = c->next;
    return c;
}

static void grow(struct pwasm_vm *vm)
{
    struct pwasm_context **old = vm->buckets;
    uint32_t n = vm->buckets_n;
    vm->buckets_n *= 2;
    vm->buckets = mem_zalloc(vm->buckets_n * sizeof(*vm->buckets));
    for (uint32_t i = 0; i < n; i++)
        for (struct pwasm_context *c = old[i], *next; c; c = next) {
            struct pwasm_context **at = bucket(vm, c->id);
            next = c->next;
            c->next = *at;
            *at = c;
        }
    mem_free(old);
}

static void insert(struct pwasm_vm *vm, struct pwasm_context *c)
{
    if (vm->contexts_n >= vm->buckets_n)
        grow(vm);
    do
        c->id = ++vm->last_id;
    while (c->id <= PWASM_ROOT_ID || pwasm_context_find(vm, c->id)); /* after 2^32 streams */
    struct pwasm_context **at = bucket(vm, c->id);
    c->next = *at;
    *at = c;
    list_add_tail(&vm->contexts, &c->node);
    vm->contexts_n++;
}

static void take_out(struct pwasm_vm *vm, struct pwasm_context *c)
{
    struct pwasm_context **at = bucket(vm, c->id);
    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    list_del(&c->node);
    vm->contexts_n--;
    if (vm->effective == c)
        vm->effective = NULL;
    pwasm_actions_drop(vm, c);
}

/* ---- calls ---- */

static void trace_call(const char *name, const int32_t *args, unsigned n)
{
    char text[128] = "";
    size_t used = 0;
    for (unsigned i = 0; i < n; i++)
        used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%u", i ? ", " : "",
                                 (uint32_t)args[i]);
    log_trace(LOG_WASM, "[host->vm] %s(%s)", name, text);
}

enum { CALL_DEADLINE_MS = 100, START_DEADLINE_MS = 5000 };

uint64_t pwasm_deadline_ns(const struct pwasm_vm *vm)
{
    bool is_start = vm->state == PWASM_STARTING;
    uint64_t ms = is_start ? vm->conf->start_deadline_ms : vm->conf->call_deadline_ms;
    if (!ms)
        ms = is_start ? START_DEADLINE_MS : CALL_DEADLINE_MS;
    return ms * 1000000;
}

bool pwasm_vm_call_func(struct pwasm_vm *vm, struct vm_func *f, const char *name,
                        const int32_t *args, unsigned n, int32_t *result_r, uint64_t deadline_ns)
{
    if (log_is_on(LOG_WASM, LEVEL_TRACE))
        trace_call(name, args, n);
    vm->effective = NULL;
    enum vm_result how = vm_call(f, args, n, result_r, deadline_ns);
    for (int fd = 1; fd <= 2; fd++)
        if (__builtin_expect(vm->stdio[fd - 1].n != 0, 0))
            pwasm_flush_line(vm, fd);
    if (how != VM_OK) {
        pwasm_vm_fail(vm, name, how);
        return false;
    }
    if (log_is_on(LOG_WASM, LEVEL_TRACE))
        log_trace(LOG_WASM, "[host<-vm] %s return: %d", name, result_r ? *result_r : 0);
    return true;
}

bool pwasm_vm_call(struct pwasm_vm *vm, struct pwasm_context *c, enum pwasm_export e,
                   const int32_t *args, int32_t *result_r)
{
    if (vm->state == PWASM_FAILED || vm->state == PWASM_ENDED)
        return false;
    if (!vm->exports[e])
        return true;
    vm->current = c;
    bool ok = pwasm_vm_call_func(vm, vm->exports[e], export_names[e], args, vm->export_params[e],
                                 result_r, pwasm_deadline_ns(vm));
    vm->current = &vm->root;
    if (__builtin_expect(vm->actions != NULL, 0))
        pwasm_actions_run(vm);
    return ok;
}

bool pwasm_context_open(struct pwasm_vm *vm, const struct pwasm_stream_ops *ops,
                        struct pwasm_context *c)
{
    if (vm->contexts_n >= PWASM_CONTEXTS_MAX) {
        log_debug(LOG_WASM, "Plugin %s: too many contexts", vm->conf->name);
        return false;
    }
    c->vm = vm;
    c->ops = ops;
    vm->refs++;
    insert(vm, c);
    int32_t args[] = {(int32_t)c->id, PWASM_ROOT_ID};
    if (pwasm_vm_call(vm, c, PWASM_ON_CONTEXT_CREATE, args, NULL))
        return true;
    take_out(vm, c);
    c->vm = NULL;
    pwasm_vm_unref(vm);
    return false;
}

/* ---- for filters ---- */

const struct conf_plugin *pwasm_context_conf(const struct pwasm_context *c)
{
    return c->vm->conf;
}

bool pwasm_context_has(const struct pwasm_context *c, enum pwasm_export e)
{
    return c->vm && c->vm->exports[e];
}

bool pwasm_context_is_failed(const struct pwasm_context *c)
{
    return !c->vm || c->vm->state == PWASM_FAILED;
}

bool pwasm_context_call(struct pwasm_context *c, enum pwasm_export e, uint32_t a, uint32_t b,
                        uint32_t *result_r)
{
    int32_t args[] = {(int32_t)c->id, (int32_t)a, (int32_t)b}, result = 0;
    *result_r = 0;
    if (!c->vm)
        return false;
    bool ok = pwasm_vm_call(c->vm, c, e, args, &result);
    *result_r = (uint32_t)result;
    return ok;
}

void pwasm_context_close(struct pwasm_context *c, bool is_http)
{
    static const enum pwasm_export orders[2][3] = {{PWASM_ON_DONE, PWASM_ON_LOG, PWASM_ON_DELETE},
                                                   {PWASM_ON_LOG, PWASM_ON_DONE, PWASM_ON_DELETE}};
    struct pwasm_vm *vm = c->vm;
    if (!vm)
        return;
    for (unsigned i = 0; i < ARRAY_LEN(orders[0]); i++) {
        enum pwasm_export e = orders[is_http][i];
        int32_t args[] = {(int32_t)c->id};
        c->is_logging = e == PWASM_ON_LOG || is_http;
        pwasm_vm_call(vm, c, e, args, NULL);
    }
    take_out(vm, c);
    c->vm = NULL;
    pwasm_vm_unref(vm);
}
