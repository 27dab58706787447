#include "rollout_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/mem.h"

struct vm_back {
    struct loop_msg msg;
    struct world *world;
    struct pwasm_vm *vm; /* retired; NULL: installed */
    uint64_t ticket;
    unsigned worker;
};

static void run_back(struct loop_msg *m)
{
    struct vm_back *b = container_of(m, struct vm_back, msg);
    if (b->vm)
        rollout_retired(b->world->rollout, b->vm);
    else
        rollout_installed(b->world->rollout, b->ticket, b->worker);
    mem_free(b);
}

static void post_back(struct world *w, struct pwasm_vm *vm, uint64_t ticket, unsigned worker)
{
    struct vm_back *b = MEM_NEW(struct vm_back);
    *b = (struct vm_back){{.run = run_back}, w, vm, ticket, worker};
    loop_post(w->loop, &b->msg);
}

static void install(void *arg, unsigned worker, const char *slot, struct pwasm_vm *vm, bool closed,
                    uint64_t ticket)
{
    struct world *w = arg;
    assert_string_equal(slot, "slot");
    if (w->vms[worker])
        post_back(w, w->vms[worker], 0, worker);
    w->vms[worker] = vm;
    w->is_closed[worker] = closed;
    w->ticket = ticket;
    if (vm && !w->is_silent)
        post_back(w, NULL, ticket, worker);
}

static void on_failed_late(void *arg, const char *slot, const struct error *err)
{
    struct world *w = arg;
    assert_string_equal(slot, "slot");
    w->late.calls++;
    w->late.err = *err;
}

static void on_live_late(void *arg, const char *slot)
{
    struct world *w = arg;
    assert_string_equal(slot, "slot");
    w->live_late++;
}

void on_done(void *arg, const char *slot, const struct error *err)
{
    struct outcome_seen *o = arg;
    assert_string_equal(slot, "slot");
    o->calls++;
    o->is_ok = !err;
    if (err)
        o->err = *err;
}

static void on_turn(struct loop_timer *t)
{
    struct world *w = container_of(t, struct world, timer);
    if (w->is_done(w) || !w->turns_left--)
        loop_stop(w->loop);
    else
        loop_timer_start(&w->timer, TURN_MS);
}

bool run_until(struct world *w, bool (*is_done)(struct world *w), unsigned ms)
{
    w->is_done = is_done;
    w->turns_left = ms / TURN_MS;
    loop_timer_start(&w->timer, 0);
    loop_run(w->loop);
    loop_timer_stop(&w->timer);
    return is_done(w);
}

static bool is_answered(struct world *w)
{
    return w->awaited->calls > 0;
}

bool never(struct world *w)
{
    (void)w;
    return false;
}

void await(struct world *w, struct outcome_seen *o)
{
    w->awaited = o;
    assert_true(run_until(w, is_answered, DEADLINE_MS));
    assert_int_equal(o->calls, 1);
}

void open_world(struct world *w, uint32_t probation_ms)
{
    struct error err;
    *w = (struct world){0};
    fake_counts = (struct fake_counts){0};
    fake_probe_error = 0;
    assert_int_equal(loop_create(&w->loop, &err), 0);
    struct rollout_options o = {.probation_ms = probation_ms,
                                .retry_base_ms = 20,
                                .workers = WORKERS,
                                .allow_loopback = true};
    struct rollout_ops ops = {
        .install = install, .failed_late = on_failed_late, .live_late = on_live_late, .arg = w};
    assert_int_equal(rollout_create(w->loop, &o, &ops, &w->rollout, &err), 0);
    loop_timer_init(&w->timer, w->loop, on_turn);
}

void close_world(struct world *w)
{
    rollout_remove(w->rollout, "slot");
    run_until(w, never, 40);
    rollout_destroy(&w->rollout);
    loop_destroy(&w->loop);
    assert_int_equal(fake_counts.vms, 0);
    assert_int_equal(fake_counts.modules, 0);
}

void push(struct world *w, struct conf_plugin *conf, struct outcome_seen *o)
{
    rollout_push(w->rollout, conf, on_done, o);
    conf_object_unref(conf);
}

struct conf_plugin *plugin(const char *code, const char *configuration,
                           enum conf_fail_policy policy)
{
    char p[128];
    return fake_plugin("slot", "headers", fake_module(p, code), configuration, policy);
}

struct plugin_row last_row;
char last_error[1024], row_digest[65], row_serving[65];

static void keep_row(const struct plugin_row *row, void *arg)
{
    (void)arg;
    last_row = *row;
    snprintf(last_error, sizeof(last_error), "%s", row->last_error);
    snprintf(row_digest, sizeof(row_digest), "%s", row->digest);
    snprintf(row_serving, sizeof(row_serving), "%s", row->serving_digest);
}

void get_row(struct world *w)
{
    last_row = (struct plugin_row){0};
    rollout_each(w->rollout, keep_row, NULL);
}

bool is_row_live(struct world *w)
{
    get_row(w);
    return last_row.state == PLUGIN_LIVE;
}
