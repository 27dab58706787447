#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/crypto.h"
#include "base/log.h"
#include "base/stat.h"
#include "rollout_world.h"

static void test_inline_code_goes_live(void **state)
{
    (void)state;
    struct world w;
    struct outcome_seen o = {0};
    char p[128], digest[65];
    struct str code = fake_module(p, "one");
    sha256_hex(code.p, code.n, digest);
    open_world(&w, 30);
    push(&w, plugin("one", "", CONF_FAIL_CLOSED), &o);
    assert_int_equal(o.calls, 0); /* never from inside the push */
    assert_true(w.is_closed[0] && w.is_closed[1]);
    await(&w, &o);
    assert_true(o.is_ok);
    assert_true(rollout_is_live(w.rollout, "slot"));
    get_row(&w);
    assert_int_equal(last_row.state, PLUGIN_PROBATION);
    assert_string_equal(row_digest, digest);
    assert_int_equal(last_row.vms, WORKERS);
    assert_true(run_until(&w, is_row_live, DEADLINE_MS));
    assert_int_equal(fake_counts.compiled, 1);
    close_world(&w);
}

static void test_failures_name_their_stage(void **state)
{
    (void)state;
    static const struct {
        const char *code, *configuration, *text;
    } rows[] = {
        {"bad-probe", "", "probe: over 512 MiB"},
        {"no-abi", "", "probe: Missing or unknown Proxy-Wasm ABI version"},
        {"bad-compile", "", "compile: CompileError: bad"},
        {"fine", "bad-start", "start: on_configure returned false"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct world w;
        struct outcome_seen good = {0}, bad = {0}, again = {0};
        open_world(&w, 10000);
        push(&w, plugin("good", "", CONF_FAIL_CLOSED), &good);
        await(&w, &good);
        struct pwasm_vm *vm = w.vms[0];
        push(&w, plugin(rows[i].code, rows[i].configuration, CONF_FAIL_CLOSED), &bad);
        await(&w, &bad);
        assert_false(bad.is_ok);
        assert_string_equal(bad.err.text, rows[i].text);
        assert_ptr_equal(w.vms[0], vm); /* the last good one stays */
        assert_true(rollout_is_live(w.rollout, "slot"));
        get_row(&w);
        assert_int_equal(last_row.state, PLUGIN_FAILED);
        assert_string_equal(last_error, rows[i].text);
        push(&w, plugin(rows[i].code, rows[i].configuration, CONF_FAIL_CLOSED), &again);
        await(&w, &again);
        assert_string_equal(again.err.text, rows[i].text);
        close_world(&w);
    }
}

static void test_bad_bytes_are_not_tried_again(void **state)
{
    (void)state;
    struct world w;
    struct outcome_seen one = {0}, two = {0};
    open_world(&w, 10000);
    uint64_t before = stat_read("wasm.remote_load_cache_negative_hits");
    push(&w, plugin("bad-probe", "1", CONF_FAIL_OPEN), &one);
    await(&w, &one);
    push(&w, plugin("bad-probe", "2", CONF_FAIL_OPEN), &two);
    await(&w, &two);
    assert_string_equal(two.err.text, "probe: over 512 MiB");
    assert_int_equal(fake_counts.probed, 1);
    assert_int_equal(stat_read("wasm.remote_load_cache_negative_hits"), before + 1);
    close_world(&w);
}

static void test_passing_trouble_is_tried_again(void **state)
{
    (void)state;
    struct world w;
    struct outcome_seen o = {0};
    open_world(&w, 10);
    fake_probe_error = ERR_IO;
    push(&w, plugin("fine", "", CONF_FAIL_OPEN), &o);
    await(&w, &o);
    assert_string_equal(o.err.text, "probe: probe error");
    fake_probe_error = 0;
    assert_true(run_until(&w, is_row_live, DEADLINE_MS));
    assert_int_equal(o.calls, 1);
    close_world(&w);
}

static void test_newer_push_supersedes(void **state)
{
    (void)state;
    struct world w;
    struct outcome_seen o[8] = {{0}};
    char text[16], p[128], digest[65];
    open_world(&w, 10000);
    for (int i = 0; i < 8; i++) {
        snprintf(text, sizeof(text), "module-%d", i);
        push(&w, plugin(text, "slow-start", CONF_FAIL_CLOSED), &o[i]);
        run_until(&w, never, (unsigned)i * 10);
    }
    await(&w, &o[7]);
    assert_true(o[7].is_ok);
    struct str code = fake_module(p, "module-7");
    sha256_hex(code.p, code.n, digest);
    run_until(&w, never, 300);
    get_row(&w);
    assert_string_equal(row_serving, digest);
    for (int i = 0; i < 7; i++) {
        assert_int_equal(o[i].calls, 1);
        assert_true(o[i].is_ok || o[i].err.code == ERR_CLOSED);
    }
    assert_int_equal(last_row.vms, WORKERS);
    assert_int_equal(fake_counts.vms, WORKERS);
    close_world(&w);
}

static void test_equal_push_gets_the_same_outcome(void **state)
{
    (void)state;
    struct world w;
    struct outcome_seen one = {0}, two = {0}, three = {0};
    open_world(&w, 10000);
    push(&w, plugin("same", "", CONF_FAIL_CLOSED), &one);
    push(&w, plugin("same", "", CONF_FAIL_CLOSED), &two);
    await(&w, &one);
    await(&w, &two);
    push(&w, plugin("same", "", CONF_FAIL_CLOSED), &three);
    await(&w, &three);
    assert_true(one.is_ok && two.is_ok && three.is_ok);
    assert_int_equal(fake_counts.compiled, 1);
    assert_int_equal(fake_counts.vms, WORKERS);
    close_world(&w);
}

static void test_code_is_shared(void **state)
{
    (void)state;
    struct world w;
    struct outcome_seen one = {0}, two = {0};
    open_world(&w, 10000);
    push(&w, plugin("same", "configuration 1", CONF_FAIL_CLOSED), &one);
    await(&w, &one);
    push(&w, plugin("same", "configuration 2", CONF_FAIL_CLOSED), &two);
    await(&w, &two);
    assert_true(two.is_ok);
    assert_int_equal(fake_counts.compiled, 1);
    assert_int_equal(fake_counts.modules, 1);
    run_until(&w, never, 40);
    assert_int_equal(fake_counts.vms, WORKERS); /* the old ones are gone */
    close_world(&w);
}

static void test_not_live_before_every_worker(void **state)
{
    (void)state;
    struct world w;
    struct outcome_seen o = {0};
    open_world(&w, 10000);
    w.is_silent = true;
    push(&w, plugin("one", "", CONF_FAIL_CLOSED), &o);
    run_until(&w, never, 100);
    rollout_installed(w.rollout, w.ticket, 0);
    rollout_installed(w.rollout, w.ticket, 0);
    rollout_installed(w.rollout, w.ticket + 5, 1);
    rollout_installed(w.rollout, w.ticket, WORKERS);
    run_until(&w, never, 20);
    assert_int_equal(o.calls, 0);
    assert_false(rollout_is_live(w.rollout, "slot"));
    rollout_installed(w.rollout, w.ticket, 1);
    await(&w, &o);
    assert_true(o.is_ok);
    close_world(&w);
}

static void fail_all(struct world *w)
{
    for (unsigned i = 0; i < WORKERS; i++)
        rollout_vm_failed(w->rollout, w->vms[i], "Uncaught RuntimeError: unreachable");
}

static void test_rollback_in_probation(void **state)
{
    (void)state;
    static const struct {
        enum conf_fail_policy policy;
        bool is_rolled_back;
    } rows[] = {{CONF_FAIL_OPEN, true}, {CONF_FAIL_CLOSED, false}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct world w;
        struct outcome_seen good = {0}, bad = {0};
        char p[128], digest[65];
        struct str code = fake_module(p, "good");
        sha256_hex(code.p, code.n, digest);
        open_world(&w, 30);
        push(&w, plugin("good", "", rows[i].policy), &good);
        await(&w, &good);
        assert_true(run_until(&w, is_row_live, DEADLINE_MS));
        push(&w, plugin("worse", "", rows[i].policy), &bad);
        await(&w, &bad);
        assert_true(bad.is_ok);
        fail_all(&w);
        run_until(&w, never, 100);
        get_row(&w);
        assert_int_equal(last_row.state, PLUGIN_FAILED);
        assert_string_equal(last_row.stage, "run");
        assert_string_equal(last_error, "run: Uncaught RuntimeError: unreachable");
        assert_int_equal(last_row.traps, WORKERS);
        assert_int_equal(w.late.calls, 1);
        assert_string_equal(w.late.err.text, "run: Uncaught RuntimeError: unreachable");
        assert_int_equal(strcmp(row_serving, digest) == 0, rows[i].is_rolled_back);
        close_world(&w);
    }
}

static bool is_reloaded(struct world *w)
{
    return w->vms[0] != (struct pwasm_vm *)w->awaited;
}

/* One trap is an accident; the third in probation is not. */
static void test_reload_is_rolled_back_when_traps_repeat(void **state)
{
    (void)state;
    struct world w;
    struct outcome_seen good = {0}, bad = {0};
    char p[128], digest[65];
    struct str code = fake_module(p, "good");
    sha256_hex(code.p, code.n, digest);
    open_world(&w, 50);
    push(&w, plugin("good", "", CONF_FAIL_RELOAD), &good);
    await(&w, &good);
    assert_true(run_until(&w, is_row_live, DEADLINE_MS));
    struct conf_plugin *conf = plugin("worse", "", CONF_FAIL_RELOAD);
    conf->reload_backoff_ms = 1;
    rollout_push(w.rollout, conf, on_done, &bad);
    await(&w, &bad);
    uint64_t traps = stat_read("wasm.headers.traps");
    for (int i = 0; i < 3; i++) {
        get_row(&w);
        assert_string_not_equal(row_serving, digest);
        assert_int_equal(stat_read("wasm.headers.rollout.serving"), 1);
        w.awaited = (struct outcome_seen *)w.vms[0];
        rollout_vm_failed(w.rollout, w.vms[0], "trap");
        rollout_want_vm(w.rollout, conf, 0);
        assert_true(run_until(&w, is_reloaded, DEADLINE_MS));
    }
    run_until(&w, never, 100);
    get_row(&w);
    assert_string_equal(row_serving, digest);
    assert_string_equal(last_error, "run: trap");
    assert_int_equal(stat_read("wasm.headers.traps"), traps + 3);
    assert_int_equal(w.late.calls, 1);
    conf_object_unref(conf);
    close_world(&w);
}

static void test_no_rollback_after_probation(void **state)
{
    (void)state;
    struct world w;
    struct outcome_seen good = {0}, next = {0};
    open_world(&w, 20);
    push(&w, plugin("good", "", CONF_FAIL_OPEN), &good);
    await(&w, &good);
    assert_true(run_until(&w, is_row_live, DEADLINE_MS));
    push(&w, plugin("next", "", CONF_FAIL_OPEN), &next);
    await(&w, &next);
    assert_true(run_until(&w, is_row_live, DEADLINE_MS));
    struct pwasm_vm *vm = w.vms[0];
    fail_all(&w);
    run_until(&w, never, 60);
    assert_ptr_equal(w.vms[0], vm);
    close_world(&w);
}

static bool has_fresh_vm(struct world *w)
{
    return w->vms[0] && w->vms[0] != (struct pwasm_vm *)w->awaited;
}

static void test_reload_after_a_trap(void **state)
{
    (void)state;
    struct world w;
    struct outcome_seen o = {0};
    open_world(&w, 10000);
    struct conf_plugin *conf = plugin("one", "", CONF_FAIL_RELOAD);
    conf->reload_backoff_ms = 40;
    rollout_push(w.rollout, conf, on_done, &o);
    await(&w, &o);
    uint64_t before = stat_read("wasm.headers.vm_reload_success");
    w.awaited = (struct outcome_seen *)w.vms[0];
    rollout_vm_failed(w.rollout, w.vms[0], "trap");
    rollout_want_vm(w.rollout, conf, 0);
    rollout_want_vm(w.rollout, conf, 0); /* once is enough */
    rollout_want_vm(w.rollout, conf, 1); /* this one is up */
    assert_true(run_until(&w, has_fresh_vm, DEADLINE_MS));
    run_until(&w, never, 150);
    assert_int_equal(stat_read("wasm.headers.vm_reload_success"), before + 1);
    assert_int_equal(fake_counts.vms, WORKERS);
    conf_object_unref(conf);
    close_world(&w);
}

static void test_remove_while_starting(void **state)
{
    (void)state;
    struct world w;
    struct outcome_seen o = {0};
    open_world(&w, 10000);
    push(&w, plugin("one", "slow-start", CONF_FAIL_CLOSED), &o);
    run_until(&w, never, 20);
    rollout_remove(w.rollout, "slot");
    await(&w, &o);
    assert_int_equal(o.err.code, ERR_CLOSED);
    assert_null(w.vms[0]);
    assert_false(w.is_closed[0]);
    run_until(&w, never, 200);
    get_row(&w);
    assert_null(last_row.slot);
    close_world(&w);
}

static void test_destroy_with_work_under_way(void **state)
{
    (void)state;
    for (unsigned ms = 0; ms < 120; ms += 10) {
        struct world w;
        struct outcome_seen o = {0};
        open_world(&w, 10000);
        w.is_silent = true;
        push(&w, plugin("one", "slow-start", CONF_FAIL_CLOSED), &o);
        run_until(&w, never, ms);
        for (unsigned i = 0; i < WORKERS; i++)
            if (w.vms[i])
                rollout_retired(w.rollout, w.vms[i]);
        rollout_destroy(&w.rollout);
        assert_int_equal(o.calls, 1);
        assert_int_equal(o.err.code, ERR_CLOSED);
        loop_destroy(&w.loop);
        assert_int_equal(fake_counts.vms, 0);
        assert_int_equal(fake_counts.modules, 0);
    }
}

/* Workers give their VMs back by messages, the last of which may come after the end. */
static void test_vms_that_come_back_late(void **state)
{
    (void)state;
    struct world w;
    struct outcome_seen o = {0};
    open_world(&w, 10000);
    struct conf_plugin *conf = plugin("one", "", CONF_FAIL_RELOAD);
    rollout_push(w.rollout, conf, on_done, &o);
    await(&w, &o);
    rollout_destroy(&w.rollout);
    assert_null(w.rollout);
    rollout_installed(w.rollout, w.ticket, 0);
    rollout_vm_failed(w.rollout, w.vms[0], "trap");
    rollout_want_vm(w.rollout, conf, 0);
    for (unsigned i = 0; i < WORKERS; i++)
        rollout_retired(w.rollout, w.vms[i]);
    conf_object_unref(conf);
    loop_destroy(&w.loop);
    assert_int_equal(fake_counts.vms, 0);
    assert_int_equal(fake_counts.modules, 0);
}

static void test_local_file(void **state)
{
    (void)state;
    struct world w;
    struct outcome_seen missing = {0}, there = {0};
    char path[] = "/tmp/remora-rollout-XXXXXX", p[128];
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    struct str code = fake_module(p, "file");
    assert_int_equal(write(fd, code.p, code.n), code.n);
    close(fd);
    open_world(&w, 10000);
    struct conf_plugin *conf = plugin("", "", CONF_FAIL_OPEN);
    conf->code.kind = CONF_CODE_FILE;
    conf->code.filename = "/nonexistent/plugin.wasm";
    push(&w, conf, &missing);
    await(&w, &missing);
    assert_string_equal(missing.err.text,
                        "fetch: /nonexistent/plugin.wasm: No such file or directory");
    assert_false(w.is_closed[0]);
    conf = plugin("", "2", CONF_FAIL_OPEN);
    conf->code.kind = CONF_CODE_FILE;
    conf->code.filename = arena_strdup(&conf->object.arena, path);
    push(&w, conf, &there);
    await(&w, &there);
    assert_true(there.is_ok);
    unlink(path);
    close_world(&w);
}

int main(void)
{
    log_set_all(getenv("VERBOSE") ? LEVEL_DEBUG : LEVEL_OFF);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_inline_code_goes_live),
        cmocka_unit_test(test_failures_name_their_stage),
        cmocka_unit_test(test_bad_bytes_are_not_tried_again),
        cmocka_unit_test(test_passing_trouble_is_tried_again),
        cmocka_unit_test(test_newer_push_supersedes),
        cmocka_unit_test(test_equal_push_gets_the_same_outcome),
        cmocka_unit_test(test_code_is_shared),
        cmocka_unit_test(test_not_live_before_every_worker),
        cmocka_unit_test(test_rollback_in_probation),
        cmocka_unit_test(test_reload_is_rolled_back_when_traps_repeat),
        cmocka_unit_test(test_no_rollback_after_probation),
        cmocka_unit_test(test_reload_after_a_trap),
        cmocka_unit_test(test_remove_while_starting),
        cmocka_unit_test(test_destroy_with_work_under_way),
        cmocka_unit_test(test_vms_that_come_back_late),
        cmocka_unit_test(test_local_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
