/* The rollout with the real probe, engine, host and worker threads. argv[1]: folder of the
 * modules. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <pthread.h>
#include <cmocka.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "wasm/abi.h"
#include "wasm/probe.h"
#include "wasm/rollout.h"

enum { WORKERS = 2, TURN_MS = 2, DEADLINE_MS = 30000, SWAPS = 40 };

struct worker {
    struct world *world;
    struct loop *loop;
    struct pwasm_worker *pwasm;
    pthread_t thread;
};

struct world {
    struct loop *loop;
    struct rollout *rollout;
    struct worker workers[WORKERS];
    struct loop_timer timer;
    int turns_left;
    bool (*is_done)(struct world *w);
    int done, late;
    struct error last;
    bool is_ok;
};

static const char *folder;

/* --- messages between the test and its workers --- */

enum order_kind { INSTALL, STOP, INSTALLED, RETIRED, FAILED, WANTED };

struct order {
    struct loop_msg msg;
    enum order_kind kind;
    struct worker *worker;
    struct pwasm_vm *vm;
    struct conf_plugin *conf;
    char *text;
    bool is_closed;
    uint64_t ticket;
};

static void post(struct worker *k, bool to_worker, struct order o);

static void run_order(struct loop_msg *m)
{
    struct order *o = container_of(m, struct order, msg);
    struct worker *k = o->worker;
    struct rollout *r = k->world->rollout;
    unsigned number = (unsigned)(k - k->world->workers);
    switch (o->kind) {
    case INSTALL:
        pwasm_slot_install(k->pwasm, "slot", o->vm, o->is_closed);
        post(k, false, (struct order){.kind = INSTALLED, .ticket = o->ticket});
        break;
    case STOP:
        pwasm_worker_destroy(&k->pwasm);
        loop_stop(k->loop);
        break;
    case INSTALLED:
        rollout_installed(r, o->ticket, number);
        break;
    case RETIRED:
        rollout_retired(r, o->vm);
        break;
    case FAILED:
        rollout_vm_failed(r, o->vm, o->text);
        break;
    case WANTED:
        rollout_want_vm(r, o->conf, number);
        break;
    }
    mem_free(o->text);
    conf_object_unref(o->conf);
    mem_free(o);
}

static void post(struct worker *k, bool to_worker, struct order given)
{
    struct order *o = MEM_NEW(struct order);
    *o = given;
    o->worker = k;
    o->msg.run = run_order;
    loop_post(to_worker ? k->loop : k->world->loop, &o->msg);
}

static void on_retired(struct pwasm_worker *w, struct pwasm_vm *vm)
{
    post(pwasm_worker_env(w), false, (struct order){.kind = RETIRED, .vm = vm});
}

static void on_failed(struct pwasm_worker *w, struct pwasm_vm *vm, const char *text)
{
    struct order o = {.kind = FAILED, .vm = vm, .text = mem_strdup(text)};
    post(pwasm_worker_env(w), false, o);
}

static void want_vm(struct pwasm_worker *w, struct conf_plugin *conf)
{
    struct order o = {.kind = WANTED, .conf = conf_object_ref(conf)};
    post(pwasm_worker_env(w), false, o);
}

static void install(void *arg, unsigned worker, const char *slot, struct pwasm_vm *vm, bool closed,
                    uint64_t ticket)
{
    struct world *w = arg;
    struct order o = {.kind = INSTALL, .vm = vm, .is_closed = closed, .ticket = ticket};
    assert_string_equal(slot, "slot");
    post(&w->workers[worker], true, o);
}

static void *worker_main(void *arg)
{
    struct worker *k = arg;
    static const struct pwasm_worker_ops ops = {on_retired, on_failed, want_vm};
    k->pwasm = pwasm_worker_create(k->loop, &ops, k);
    loop_run(k->loop);
    return NULL;
}

/* --- the world --- */

static void on_done(void *arg, const char *slot, const struct error *err)
{
    struct world *w = arg;
    (void)slot;
    w->done++;
    w->is_ok = !err;
    if (err)
        w->last = *err;
}

static void on_failed_late(void *arg, const char *slot, const struct error *err)
{
    struct world *w = arg;
    (void)slot;
    w->late++;
    w->last = *err;
}

static void on_turn(struct loop_timer *t)
{
    struct world *w = container_of(t, struct world, timer);
    if (w->is_done(w) || !w->turns_left--)
        loop_stop(w->loop);
    else
        loop_timer_start(&w->timer, TURN_MS);
}

static bool run_until(struct world *w, bool (*is_done)(struct world *w))
{
    w->is_done = is_done;
    w->turns_left = DEADLINE_MS / TURN_MS;
    loop_timer_start(&w->timer, 0);
    loop_run(w->loop);
    return is_done(w);
}

static bool has_answer(struct world *w)
{
    return w->done > 0;
}

static void open_world(struct world *w, uint32_t probation_ms)
{
    struct error err;
    *w = (struct world){0};
    assert_int_equal(loop_create(&w->loop, &err), 0);
    struct rollout_options o = {.probation_ms = probation_ms, .workers = WORKERS};
    struct rollout_ops ops = {.install = install, .failed_late = on_failed_late, .arg = w};
    assert_int_equal(rollout_create(w->loop, &o, &ops, &w->rollout, &err), 0);
    loop_timer_init(&w->timer, w->loop, on_turn);
    for (unsigned i = 0; i < WORKERS; i++) {
        struct worker *k = &w->workers[i];
        k->world = w;
        assert_int_equal(loop_create(&k->loop, &err), 0);
        assert_int_equal(pthread_create(&k->thread, NULL, worker_main, k), 0);
    }
}

/* As the server goes down: workers first, whose last messages find no rollout any more. */
static void close_world(struct world *w)
{
    for (unsigned i = 0; i < WORKERS; i++) {
        post(&w->workers[i], true, (struct order){.kind = STOP});
        pthread_join(w->workers[i].thread, NULL);
        loop_destroy(&w->workers[i].loop);
    }
    rollout_destroy(&w->rollout);
    loop_destroy(&w->loop);
    struct vm_engine_counters c;
    vm_engine_counters(&c);
    assert_int_equal(c.active, 0);
}

static void push(struct world *w, const char *file, const char *configuration,
                 enum conf_fail_policy policy, uint64_t hash)
{
    struct conf_plugin *c = conf_object_create(sizeof(*c), "slot");
    struct arena *a = &c->object.arena;
    c->slot = c->name = "slot";
    c->root_id = c->vm_id = c->pull_policy = c->resource_version = "";
    c->code.uri = c->code.cluster = c->code.sha256 = "";
    c->code.kind = CONF_CODE_FILE;
    c->code.filename = arena_printf(a, "%s/%s.wasm", folder, file);
    c->configuration = str_of(arena_strdup(a, configuration));
    c->fail_policy = policy;
    c->reload_backoff_ms = 10;
    c->memory_max = 1 << 20;
    c->call_deadline_ms = 1000;
    c->start_deadline_ms = 5000;
    c->object.hash = hash;
    w->done = 0;
    rollout_push(w->rollout, c, on_done, w);
    conf_object_unref(c);
}

static enum plugin_state state_now;

static void keep_state(const struct plugin_row *row, void *arg)
{
    (void)arg;
    state_now = row->state;
}

static bool is_live(struct world *w)
{
    rollout_each(w->rollout, keep_state, NULL);
    return state_now == PLUGIN_LIVE;
}

static bool is_late(struct world *w)
{
    return w->late > 0;
}

static bool only_one_generation(struct world *w)
{
    struct vm_engine_counters c;
    (void)w;
    vm_engine_counters(&c);
    return c.active == WORKERS;
}

static void test_swaps(void **state)
{
    (void)state;
    struct world w;
    open_world(&w, 10000);
    for (unsigned i = 0; i < SWAPS; i++) {
        push(&w, "rollout_guest", i % 2 ? "config" : "other config", CONF_FAIL_CLOSED, 100 + i);
        assert_true(run_until(&w, has_answer));
        if (!w.is_ok)
            fail_msg("swap %u: %s", i, w.last.text);
    }
    assert_true(run_until(&w, only_one_generation));
    close_world(&w);
}

static void test_stages(void **state)
{
    (void)state;
    static const struct {
        const char *file, *configuration, *text;
    } rows[] = {
        {"missing_import", "", "probe: Failed to load Wasm module due to a missing import: "},
        {"spin_start", "", "probe: over 2 s of CPU time"},
        {"fill_start", "", "probe: "}, /* starts with more memory than its cap */
        {"rollout_guest", "bad", "start: "},
    };
    struct world w;
    open_world(&w, 10000);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        push(&w, rows[i].file, rows[i].configuration, CONF_FAIL_CLOSED, 10 + i);
        assert_true(run_until(&w, has_answer));
        if (w.is_ok || strncmp(w.last.text, rows[i].text, strlen(rows[i].text)) != 0)
            fail_msg("%s: %s", rows[i].file, w.last.text);
    }
    close_world(&w);
}

static void test_rollback(void **state)
{
    (void)state;
    static const enum conf_fail_policy policies[] = {CONF_FAIL_OPEN, CONF_FAIL_RELOAD};
    for (size_t i = 0; i < ARRAY_LEN(policies); i++) {
        struct world w;
        open_world(&w, 100);
        push(&w, "rollout_guest", "good!", policies[i], 1);
        assert_true(run_until(&w, is_live));
        push(&w, "rollout_guest", "trap", policies[i], 2);
        assert_true(run_until(&w, is_late));
        assert_non_null(strstr(w.last.text, "run: Function: proxy_on_tick failed: "));
        assert_non_null(strstr(w.last.text, "unreachable"));
        push(&w, "rollout_guest", "trap", policies[i], 2);
        assert_true(run_until(&w, has_answer));
        assert_false(w.is_ok);
        assert_true(run_until(&w, only_one_generation));
        push(&w, "rollout_guest", "good!", policies[i], 1);
        assert_true(run_until(&w, has_answer));
        assert_true(w.is_ok);
        assert_true(run_until(&w, is_live));
        close_world(&w);
    }
}

int main(int argc, char **argv)
{
    struct error err;
    struct probe_options o = {.host = pwasm_abi_host(), .cpu_s = 2};
    folder = argc > 1 ? argv[1] : ".";
    log_set_all(getenv("VERBOSE") ? LEVEL_DEBUG : LEVEL_OFF);
    if (probe_start(&o, &err)) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    pwasm_global_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_swaps),
        cmocka_unit_test(test_stages),
        cmocka_unit_test(test_rollback),
    };
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    probe_stop();
    return rc;
}
