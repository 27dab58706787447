#include "wasm/rollout_private.h"

#include "base/log.h"
#include "base/mem.h"
#include "wasm/stager.h"
#include "wasm/vm.h"

enum { RELOAD_BASE_MS = 1000 };

struct start_job {
    struct stager_job job;
    struct version *version;
    unsigned worker, epoch;
    bool is_reload;
    struct conf_plugin *conf;
    struct vm_module *module;
    struct pwasm_vm *vm;
    int rc;
    struct stage_error e;
};

static void on_reload(struct loop_timer *t);

void seats_create(struct version *v)
{
    struct rollout *r = v->slot->rollout;
    v->seats = mem_zalloc(r->workers * sizeof(*v->seats));
    for (unsigned i = 0; i < r->workers; i++) {
        v->seats[i].version = v;
        v->seats[i].worker = i;
        loop_timer_init(&v->seats[i].reload, r->loop, on_reload);
    }
}

void seats_destroy(struct version *v)
{
    seats_release(v);
    mem_free(v->seats);
}

static void free_vm(void *arg)
{
    struct pwasm_vm *vm = arg;
    pwasm_vm_destroy(&vm);
}

static void dispose(struct rollout *r, struct pwasm_vm *vm)
{
    if (vm)
        stager_dispose(r->stager, free_vm, vm);
}

void seats_release(struct version *v)
{
    struct rollout *r = v->slot->rollout;
    v->epoch++;
    v->starting = 0;
    for (unsigned i = 0; i < r->workers; i++) {
        struct seat *seat = &v->seats[i];
        loop_timer_stop(&seat->reload);
        dispose(r, seat->ready);
        seat->ready = NULL;
        seat->is_starting = false;
    }
}

static bool is_up(const struct seat *seat)
{
    return seat->out && !seat->out->is_failed;
}

bool seats_are_up(const struct version *v)
{
    for (unsigned i = 0; i < v->slot->rollout->workers; i++)
        if (!is_up(&v->seats[i]))
            return false;
    return true;
}

bool seats_are_down(const struct version *v)
{
    for (unsigned i = 0; i < v->slot->rollout->workers; i++)
        if (is_up(&v->seats[i]))
            return false;
    return true;
}

/* --- starting --- */

static struct str vm_key(struct pwasm_vm *const *vm)
{
    return (struct str){(const char *)vm, sizeof(*vm)};
}

static void hand_out(struct seat *seat)
{
    struct version *v = seat->version;
    struct rollout *r = v->slot->rollout;
    struct worker_vm *out = MEM_NEW(struct worker_vm);
    *out = (struct worker_vm){.vm = seat->ready, .version = version_ref(v), .worker = seat->worker};
    hash_set(&r->vms, vm_key(&out->vm), out);
    seat->out = out;
    seat->ready = NULL;
    r->ops.install(r->ops.arg, seat->worker, v->slot->name, out->vm,
                   v->conf->fail_policy != CONF_FAIL_OPEN, v->ticket);
}

static void run_start(struct stager_job *job)
{
    struct start_job *s = container_of(job, struct start_job, job);
    s->e.stage = STAGE_START;
    s->rc = pwasm_vm_start(s->conf, s->module, &s->vm, &s->e.err);
}

static void reload_later(struct seat *seat)
{
    const struct conf_plugin *conf = seat->version->conf;
    struct rollout *r = seat->version->slot->rollout;
    uint64_t base = conf->reload_backoff_ms ? conf->reload_backoff_ms : RELOAD_BASE_MS;
    for (unsigned i = 0; i < seat->reload_failures && base < RETRY_MAX_MS; i++)
        base *= 2;
    uint64_t waited = (loop_now_us(r->loop) - seat->started_us) / 1000;
    /* Envoy's wait is uniform in [base, 1.5 base), counted from the last start. */
    uint64_t wait = base + rollout_jitter((uint32_t)(base / 2)) / 2;
    if (waited < wait)
        report_reload(seat->version, RELOAD_BACKOFF);
    loop_timer_start(&seat->reload, waited < wait ? wait - waited : 1);
}

static void on_reload_failed(struct seat *seat, const struct stage_error *e)
{
    struct version *v = seat->version;
    seat->reload_failures++;
    report_reload(v, RELOAD_FAILURE);
    log_error(LOG_WASM, "Plugin %s (%s) failed to reload on worker %u: start: %s", version_name(v),
              v->slot->name, seat->worker, e->err.text);
    reload_later(seat);
}

static void install_all(struct version *v)
{
    slot_take_over(v);
    for (unsigned i = 0; i < v->slot->rollout->workers; i++)
        hand_out(&v->seats[i]);
}

static void take_started(struct start_job *s)
{
    struct version *v = s->version;
    struct seat *seat = &v->seats[s->worker];
    seat->is_starting = false;
    if (s->rc) {
        if (s->is_reload)
            on_reload_failed(seat, &s->e);
        else
            version_fail(v, &s->e);
        return;
    }
    seat->ready = s->vm;
    s->vm = NULL;
    if (s->is_reload) {
        seat->reload_failures = 0;
        report_reload(v, RELOAD_SUCCESS);
        hand_out(seat);
    } else if (--v->starting == 0) {
        install_all(v);
    }
}

static void on_started(struct stager_job *job, bool is_dropped)
{
    struct start_job *s = container_of(job, struct start_job, job);
    struct version *v = s->version;
    if (!is_dropped && s->epoch == v->epoch)
        take_started(s);
    dispose(v->slot->rollout, s->vm);
    vm_module_unref(&s->module);
    conf_object_unref(s->conf);
    mem_free(s);
    version_unref(v);
}

static void start_seat(struct seat *seat, bool is_reload)
{
    struct version *v = seat->version;
    struct rollout *r = v->slot->rollout;
    struct start_job *s = MEM_NEW(struct start_job);
    s->job.run = run_start;
    s->job.done = on_started;
    s->version = version_ref(v);
    s->worker = seat->worker;
    s->epoch = v->epoch;
    s->is_reload = is_reload;
    s->conf = conf_object_ref(v->conf);
    s->module = vm_module_ref(compiled_module(v->code.code));
    seat->is_starting = true;
    seat->started_us = loop_now_us(r->loop);
    stager_add(r->stager, STAGER_WORK, &s->job);
}

void seats_start(struct version *v)
{
    unsigned n = v->slot->rollout->workers;
    v->starting = n;
    for (unsigned i = 0; i < n; i++)
        start_seat(&v->seats[i], false);
}

/* --- what workers say --- */

void rollout_installed(struct rollout *r, uint64_t ticket, unsigned worker)
{
    struct str key = {(const char *)&ticket, sizeof(ticket)};
    struct version *v = r ? hash_find(&r->versions, key) : NULL;
    if (!v || worker >= r->workers || v->slot->serving != v)
        return;
    if (!v->seats[worker].is_installed) {
        v->seats[worker].is_installed = true;
        v->installed++;
    }
    if (v->installed < r->workers)
        return;
    bool is_first = v->state == PLUGIN_STARTING;
    bool is_back = v->state == PLUGIN_FAILED && v->failure.stage == STAGE_RUN && seats_are_up(v);
    if (is_first || is_back)
        version_begin_probation(v);
    if (is_first) {
        bool is_late = v->is_answered && !v->is_rollback;
        v->attempts = 0;
        version_answer(v, NULL);
        slot_forget_rollback(v->slot, v);
        if (is_late && r->ops.live_late)
            r->ops.live_late(r->ops.arg, v->slot->name);
    }
}

void rollout_retired(struct rollout *r, struct pwasm_vm *vm)
{
    if (!r) {
        pwasm_vm_destroy(&vm);
        return;
    }
    struct worker_vm *out = hash_remove(&r->vms, vm_key(&vm));
    dispose(r, vm);
    if (!out)
        return;
    struct version *v = out->version;
    struct seat *seat = &v->seats[out->worker];
    if (seat->out == out)
        seat->out = NULL;
    mem_free(out);
    version_unref(v);
}

static bool is_on_trial(const struct version *v)
{
    return v->state == PLUGIN_PROBATION || v->state == PLUGIN_STARTING ||
           (v->state == PLUGIN_FAILED && v->failure.stage == STAGE_RUN);
}

static bool is_repeated(const struct version *v)
{
    /* A bypassed plugin without any VM left will not trap again. */
    return v->traps >= PROBATION_TRAPS ||
           (v->conf->fail_policy == CONF_FAIL_OPEN && seats_are_down(v));
}

void rollout_vm_failed(struct rollout *r, const struct pwasm_vm *vm, const char *text)
{
    struct pwasm_vm *key = (struct pwasm_vm *)(uintptr_t)vm;
    struct worker_vm *out = r ? hash_find(&r->vms, vm_key(&key)) : NULL;
    if (!out || out->is_failed)
        return;
    struct version *v = out->version;
    struct stage_error e = {.stage = STAGE_RUN};
    out->is_failed = true;
    v->slot->traps++;
    v->traps++;
    error_set(&e.err, ERR_TRAP, "%s", text);
    report_trap(v, out->worker, text);
    if (v->slot->serving != v)
        return;
    bool is_bad = is_on_trial(v) && is_repeated(v);
    if ((is_bad || seats_are_down(v)) && v->state != PLUGIN_FAILED)
        version_fail(v, &e);
    if (is_bad)
        slot_roll_back(v->slot, v);
}

static void on_reload(struct loop_timer *t)
{
    struct seat *seat = container_of(t, struct seat, reload);
    start_seat(seat, true);
}

void rollout_want_vm(struct rollout *r, struct conf_plugin *conf, unsigned worker)
{
    struct slot *slot = r ? hash_find(&r->slots, str_of(conf->slot)) : NULL;
    struct version *v = slot ? slot->serving : NULL;
    if (!v || worker >= r->workers || v->conf->object.hash != conf->object.hash)
        return;
    struct seat *seat = &v->seats[worker];
    if (seat->is_starting || loop_timer_is_on(&seat->reload) || is_up(seat))
        return;
    reload_later(seat);
}
