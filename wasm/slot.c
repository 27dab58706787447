/* Slots and the life of VMs on a worker.
 *
 * A VM is referenced by its slot and by each stream that began with it. When the last reference
 * goes, its root context says goodbye (proxy_on_done, perhaps waiting for proxy_done, then
 * proxy_on_delete) and the VM goes back to the stager. A VM that failed is taken out of its slot
 * at once and goes back without being called again. Endings happen from the loop, so that nobody
 * below in the call stack works with the VM. */
#include <assert.h>

#include "base/hash.h"
#include "base/mem.h"
#include "conf/plugin.h"
#include "wasm/plugin_private.h"
#include "wasm/shared_data.h"

enum { DONE_WAIT_MS = 10000 }; /* a root that never says proxy_done */

struct pwasm_slot {
    struct pwasm_worker *worker; /* NULL: it is gone */
    char *name;
    size_t refs;
    struct pwasm_vm *vm;
    bool is_closed, is_known; /* something was installed, even if nothing */
};

static void run_sweep(struct loop_task *t);

/* ---- worker ---- */

struct pwasm_worker *pwasm_worker_create(struct loop *loop, const struct pwasm_worker_ops *ops,
                                         void *env)
{
    struct pwasm_worker *w = MEM_NEW(struct pwasm_worker);
    w->refs = 1;
    w->loop = loop;
    w->ops = ops;
    w->env = env;
    w->slots = MEM_NEW(struct hash);
    list_init(&w->vms);
    w->sweep.run = run_sweep;
    return w;
}

struct pwasm_worker *pwasm_worker_ref(struct pwasm_worker *w)
{
    __atomic_add_fetch(&w->refs, 1, __ATOMIC_RELAXED);
    return w;
}

void pwasm_worker_unref(struct pwasm_worker *w)
{
    if (__atomic_sub_fetch(&w->refs, 1, __ATOMIC_ACQ_REL) == 0)
        mem_free(w);
}

void *pwasm_worker_env(const struct pwasm_worker *w)
{
    return w->env;
}

static void start_queued(struct pwasm_vm *vm)
{
    pwasm_callouts_start_queued(vm);
    pwasm_grpcs_start_queued(vm);
}

void pwasm_worker_set_host_ops(struct pwasm_worker *w, const struct pwasm_host_ops *ops)
{
    bool is_first = !w->host;
    w->host = ops;
    if (is_first)
        list_for_each_safe (it, tmp, &w->vms)
            start_queued(container_of(it, struct pwasm_vm, node));
}

struct pwasm_vm *pwasm_worker_find(struct pwasm_worker *w, uint64_t serial)
{
    if (!w->is_closed)
        list_for_each (it, &w->vms) {
            struct pwasm_vm *vm = container_of(it, struct pwasm_vm, node);
            if (vm->serial == serial)
                return vm;
        }
    return NULL;
}

/* ---- the end of a VM ---- */

static void give_back(struct pwasm_vm *vm)
{
    struct pwasm_worker *w = vm->worker;
    loop_timer_stop(&vm->tick);
    loop_timer_stop(&vm->done_timer);
    pwasm_callouts_cancel(vm);
    pwasm_grpcs_cancel(vm);
    pwasm_actions_drop(vm, NULL);
    shared_vm_forget_consumer(vm->serial);
    list_del(&vm->node);
    vm->state = PWASM_ENDED;
    vm_detach(vm->vm);
    vm->worker = NULL;
    w->ops->on_retired(w, vm);
}

static void finish(struct pwasm_vm *vm)
{
    int32_t args[] = {PWASM_ROOT_ID};
    vm->is_done_pending = false;
    pwasm_vm_call(vm, &vm->root, PWASM_ON_DELETE, args, NULL);
    give_back(vm);
}

/* true: the root waits for proxy_done. */
static bool say_done(struct pwasm_vm *vm)
{
    int32_t args[] = {PWASM_ROOT_ID}, result = 1;
    vm->state = PWASM_ENDING;
    vm->is_done_pending = true; /* proxy_done may come from inside */
    bool ok = pwasm_vm_call(vm, &vm->root, PWASM_ON_DONE, args, &result);
    if (!ok || result)
        vm->is_done_pending = false;
    return vm->is_done_pending;
}

static void end(struct pwasm_vm *vm)
{
    if (vm->state == PWASM_RUNNING && say_done(vm))
        loop_timer_start(&vm->done_timer, DONE_WAIT_MS);
    else
        finish(vm);
}

/* Asks for a visit of the sweep at the end of this turn of the loop. */
static void sweep_later(struct pwasm_worker *w)
{
    if (w->sweep.is_queued)
        return;
    pwasm_worker_ref(w);
    loop_defer(w->loop, &w->sweep);
}

static void fail_streams(struct pwasm_vm *vm);

static void run_sweep(struct loop_task *t)
{
    struct pwasm_worker *w = container_of(t, struct pwasm_worker, sweep);
    list_for_each_safe (it, tmp, &w->vms) {
        struct pwasm_vm *vm = container_of(it, struct pwasm_vm, node);
        if (vm->has_failed_streams)
            fail_streams(vm);
        if (vm->wants_end) {
            vm->wants_end = false;
            end(vm);
        }
    }
    pwasm_worker_unref(w);
}

static void on_done_timeout(struct loop_timer *t)
{
    struct pwasm_vm *vm = container_of(t, struct pwasm_vm, done_timer);
    log_warn(LOG_WASM, "Plugin %s never called proxy_done", vm->conf->name);
    finish(vm);
}

bool pwasm_vm_done(struct pwasm_vm *vm)
{
    if (!vm->is_done_pending)
        return false;
    vm->is_done_pending = false;
    if (loop_timer_is_on(&vm->done_timer)) {
        loop_timer_stop(&vm->done_timer);
        vm->wants_end = true;
        sweep_later(vm->worker);
    }
    return true;
}

void pwasm_vm_unref(struct pwasm_vm *vm)
{
    assert(vm->refs > 0);
    if (--vm->refs > 0)
        return;
    vm->wants_end = true;
    sweep_later(vm->worker);
}

static void leave_slot(struct pwasm_vm *vm)
{
    struct pwasm_slot *slot = vm->slot;
    if (!slot)
        return;
    slot->vm = NULL;
    vm->slot = NULL;
    pwasm_vm_unref(vm);
}

/* ---- failure ---- */

/* Streams that wait for the guest would wait for ever. */
static void fail_streams(struct pwasm_vm *vm)
{
    vm->has_failed_streams = false;
    list_for_each_safe (it, tmp, &vm->contexts) {
        struct pwasm_context *c = container_of(it, struct pwasm_context, node);
        c->ops->on_vm_failed(c);
    }
}

/* Counters of plugins that failed outlive their VMs: the name stays defined. */
static void count_failure(const struct pwasm_vm *vm, enum vm_result how)
{
    const char *what = how == VM_TERMINATED ? "deadline_exceeded" : "traps";
    stat_inc(stat_define(STAT_COUNTER, "wasm.%s.%s", vm->conf->name, what));
}

void pwasm_vm_fail(struct pwasm_vm *vm, const char *name, enum vm_result how)
{
    struct pwasm_worker *w = vm->worker;
    log_error(LOG_WASM, "Function: %s failed: %s", name, vm_error(vm->inst));
    count_failure(vm, how);
    vm->state = PWASM_FAILED;
    if (!w)
        return; /* at start: pwasm_vm_start reports it */
    log_error(LOG_WASM, "Plugin %s (%s): VM is off after %s", vm->conf->name, vm->conf->slot, name);
    loop_timer_stop(&vm->tick);
    vm->has_failed_streams = true;
    sweep_later(w);
    bool serves = vm->slot != NULL;
    if (serves)
        vm->slot->is_closed = vm->conf->fail_policy != CONF_FAIL_OPEN;
    leave_slot(vm);
    struct error text;
    error_set(&text, ERR_TRAP, "Function: %s failed: %s", name, vm_error(vm->inst));
    w->ops->on_failed(w, vm, text.text);
    if (serves && vm->conf->fail_policy == CONF_FAIL_RELOAD)
        w->ops->want_vm(w, vm->conf);
}

/* ---- ticks ---- */

static void on_tick(struct loop_timer *t)
{
    struct pwasm_vm *vm = container_of(t, struct pwasm_vm, tick);
    int32_t args[] = {PWASM_ROOT_ID};
    if (pwasm_vm_call(vm, &vm->root, PWASM_ON_TICK, args, NULL) && vm->tick_ms &&
        vm->state != PWASM_ENDED)
        loop_timer_start(&vm->tick, vm->tick_ms);
}

void pwasm_vm_set_tick(struct pwasm_vm *vm, uint32_t period_ms)
{
    vm->tick_ms = period_ms;
    if (!vm->worker)
        return; /* at start: the timer starts when it is installed */
    if (period_ms)
        loop_timer_start(&vm->tick, period_ms);
    else
        loop_timer_stop(&vm->tick);
}

/* ---- slots ---- */

struct pwasm_slot *pwasm_slot_get(struct pwasm_worker *w, const char *name)
{
    struct pwasm_slot *slot = hash_find(w->slots, str_of(name));
    if (!slot) {
        slot = MEM_NEW(struct pwasm_slot);
        slot->worker = w;
        slot->name = mem_strdup(name);
        hash_set(w->slots, str_of(name), slot);
    }
    slot->refs++;
    return slot;
}

void pwasm_slot_unref(struct pwasm_slot **slot_at)
{
    struct pwasm_slot *slot = *slot_at;
    *slot_at = NULL;
    if (!slot || --slot->refs > 0)
        return;
    if (slot->worker && slot->is_known) {
        slot->refs = 0; /* kept: what was installed outlives the listeners that use it */
        return;
    }
    if (slot->worker)
        hash_remove(slot->worker->slots, str_of(slot->name));
    mem_free(slot->name);
    mem_free(slot);
}

static void install(struct pwasm_slot *slot, struct pwasm_vm *vm)
{
    struct pwasm_worker *w = slot->worker;
    vm->worker = w;
    vm->slot = slot;
    vm->refs = 1;
    vm->state = PWASM_RUNNING;
    loop_timer_init(&vm->tick, w->loop, on_tick);
    loop_timer_init(&vm->done_timer, w->loop, on_done_timeout);
    list_add_tail(&w->vms, &vm->node);
    vm_attach(vm->vm);
    slot->vm = vm;
    if (vm->tick_ms)
        loop_timer_start(&vm->tick, vm->tick_ms);
    start_queued(vm);
    for (size_t i = 0; i < vm->queues_n; i++)
        shared_queue_consume(vm->queues[i], vm->serial, w);
}

void pwasm_slot_install(struct pwasm_worker *w, const char *name, struct pwasm_vm *vm, bool closed)
{
    struct pwasm_slot *slot = pwasm_slot_get(w, name);
    struct pwasm_vm *old = slot->vm;
    slot->is_known = true;
    slot->is_closed = closed;
    slot->vm = NULL;
    if (vm)
        install(slot, vm);
    if (old) {
        old->slot = NULL;
        pwasm_vm_unref(old);
    }
    pwasm_slot_unref(&slot);
}

enum pwasm_entry pwasm_slot_enter(struct pwasm_slot *slot, const struct pwasm_stream_ops *ops,
                                  struct pwasm_context *c)
{
    struct pwasm_vm *vm = slot->vm;
    if (vm) {
        bool is_open = vm->conf->fail_policy == CONF_FAIL_OPEN;
        if (pwasm_context_open(vm, ops, c))
            return PWASM_RUN;
        return is_open ? PWASM_BYPASS : PWASM_REFUSE;
    }
    if (!slot->is_known)
        return PWASM_NO_CONFIG;
    return slot->is_closed ? PWASM_REFUSE : PWASM_BYPASS;
}

bool pwasm_slot_has(const struct pwasm_slot *slot, enum pwasm_export e)
{
    return slot->vm && slot->vm->exports[e];
}

/* ---- end of the worker ---- */

static void end_now(struct pwasm_vm *vm)
{
    vm->slot = NULL;
    if (vm->state == PWASM_RUNNING)
        say_done(vm);
    list_for_each_safe (it, tmp, &vm->contexts) {
        struct pwasm_context *c = container_of(it, struct pwasm_context, node);
        list_del(&c->node);
        c->vm = NULL;
    }
    finish(vm);
}

void pwasm_worker_destroy(struct pwasm_worker **worker)
{
    struct pwasm_worker *w = *worker;
    if (!w)
        return;
    *worker = NULL;
    w->is_closed = true;
    list_for_each_safe (it, tmp, &w->vms)
        end_now(container_of(it, struct pwasm_vm, node));
    size_t it = 0;
    for (struct hash_entry *e; (e = hash_next(w->slots, &it));) {
        struct pwasm_slot *slot = e->value;
        slot->worker = NULL;
        slot->vm = NULL;
        if (slot->refs == 0) {
            mem_free(slot->name);
            mem_free(slot);
        }
    }
    hash_fini(w->slots);
    mem_free(w->slots);
    pwasm_worker_unref(w);
}
