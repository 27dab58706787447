#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/crypto.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/stat.h"
#include "fake_engine.h"
#include "wasm/rollout.h"

enum { WORKERS = 2, TURN_MS = 2, DEADLINE_MS = 10000 };

struct outcome_seen {
    int calls;
    bool is_ok;
    struct error err;
};

/* The workers of a test: what stands in the one slot, and whether they answer at once. */
struct world {
    struct loop *loop;
    struct rollout *rollout;
    struct pwasm_vm *vms[WORKERS];
    bool is_closed[WORKERS];
    bool is_silent; /* installs are not confirmed */
    uint64_t ticket;
    struct outcome_seen late;
    int live_late;
    struct loop_timer timer;
    uint64_t turns_left;
    bool (*is_done)(struct world *w);
    struct outcome_seen *awaited;
};

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

static void on_done(void *arg, const char *slot, const struct error *err)
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

static bool run_until(struct world *w, bool (*is_done)(struct world *w), unsigned ms)
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

static bool never(struct world *w)
{
    (void)w;
    return false;
}

static void await(struct world *w, struct outcome_seen *o)
{
    w->awaited = o;
    assert_true(run_until(w, is_answered, DEADLINE_MS));
    assert_int_equal(o->calls, 1);
}

static void open_world(struct world *w, uint32_t probation_ms)
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

static void close_world(struct world *w)
{
    rollout_remove(w->rollout, "slot");
    run_until(w, never, 40);
    rollout_destroy(&w->rollout);
    loop_destroy(&w->loop);
    assert_int_equal(fake_counts.vms, 0);
    assert_int_equal(fake_counts.modules, 0);
}

static void push(struct world *w, struct conf_plugin *conf, struct outcome_seen *o)
{
    rollout_push(w->rollout, conf, on_done, o);
    conf_object_unref(conf);
}

static struct conf_plugin *plugin(const char *code, const char *configuration,
                                  enum conf_fail_policy policy)
{
    char p[128];
    return fake_plugin("slot", "headers", fake_module(p, code), configuration, policy);
}

static struct plugin_row last_row;
static char last_error[1024], row_digest[65], row_serving[65];

static void keep_row(const struct plugin_row *row, void *arg)
{
    (void)arg;
    last_row = *row;
    snprintf(last_error, sizeof(last_error), "%s", row->last_error);
    snprintf(row_digest, sizeof(row_digest), "%s", row->digest);
    snprintf(row_serving, sizeof(row_serving), "%s", row->serving_digest);
}

static void get_row(struct world *w)
{
    last_row = (struct plugin_row){0};
    rollout_each(w->rollout, keep_row, NULL);
}

static bool is_row_live(struct world *w)
{
    get_row(w);
    return last_row.state == PLUGIN_LIVE;
}

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

/* Answers each request with the bytes of `file`, once it listens. */
struct tiny_server {
    int fd;
    struct addr addr;
    struct str body;
    int requests;
    pthread_t thread;
};

static void *serve(void *arg)
{
    struct tiny_server *t = arg;
    for (int fd; (fd = accept(t->fd, NULL, NULL)) >= 0; close(fd)) {
        char request[2048];
        struct sbuf b = {0};
        if (read(fd, request, sizeof(request)) <= 0)
            continue;
        t->requests++;
        sbuf_printf(&b, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n",
                    t->body.n);
        sbuf_add(&b, t->body.p, t->body.n);
        assert_int_equal(write(fd, b.p, b.n), b.n);
        sbuf_fini(&b);
    }
    return NULL;
}

/* Takes a port without listening on it: connections are refused. */
static void tiny_server_bind(struct tiny_server *t, char url[64])
{
    socklen_t n = sizeof(t->addr.ss);
    addr_from_ip(STR("127.0.0.1"), 0, &t->addr, NULL);
    t->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(t->fd, &t->addr.sa, t->addr.len), 0);
    assert_int_equal(getsockname(t->fd, &t->addr.sa, &n), 0);
    snprintf(url, 64, "http://127.0.0.1:%u/x.wasm", addr_port(&t->addr));
}

static void tiny_server_start(struct tiny_server *t)
{
    assert_int_equal(listen(t->fd, 8), 0);
    assert_int_equal(pthread_create(&t->thread, NULL, serve, t), 0);
}

static void tiny_server_stop(struct tiny_server *t)
{
    shutdown(t->fd, SHUT_RDWR);
    pthread_join(t->thread, NULL);
    close(t->fd);
}

static struct conf_plugin *remote_plugin(const char *url, const char *sha256)
{
    struct conf_plugin *conf = plugin("", "", CONF_FAIL_CLOSED);
    fake_plugin_set_remote(conf, url, sha256);
    return conf;
}

static void test_failed_fetch_is_retried_behind_the_last_good(void **state)
{
    (void)state;
    struct world w;
    struct tiny_server t = {0};
    struct outcome_seen good = {0}, remote = {0};
    char url[64], p[128], digest[65];
    t.body = fake_module(p, "remote");
    sha256_hex(t.body.p, t.body.n, digest);
    open_world(&w, 10);
    push(&w, plugin("good", "", CONF_FAIL_CLOSED), &good);
    await(&w, &good);
    struct pwasm_vm *vm = w.vms[0];
    tiny_server_bind(&t, url);
    push(&w, remote_plugin(url, digest), &remote);
    await(&w, &remote);
    assert_memory_equal(remote.err.text, "fetch: http://127.0.0.1:", 24);
    uint64_t failures = stat_read("wasm.remote_load_fetch_failures");
    run_until(&w, never, 200);
    assert_true(stat_read("wasm.remote_load_fetch_failures") > failures);
    assert_ptr_equal(w.vms[0], vm);
    assert_int_equal(w.live_late, 0);
    tiny_server_start(&t);
    assert_true(run_until(&w, is_row_live, DEADLINE_MS));
    assert_int_equal(w.live_late, 1);
    assert_int_equal(remote.calls, 1);
    assert_string_equal(row_serving, digest);
    tiny_server_stop(&t);
    close_world(&w);
}

static void test_newer_push_stops_the_retries(void **state)
{
    (void)state;
    struct world w;
    struct tiny_server t = {0};
    struct outcome_seen remote = {0}, next = {0};
    char url[64], p[128];
    t.body = fake_module(p, "remote");
    open_world(&w, 10000);
    tiny_server_bind(&t, url);
    push(&w, remote_plugin(url, ""), &remote);
    await(&w, &remote);
    push(&w, plugin("next", "", CONF_FAIL_CLOSED), &next);
    await(&w, &next);
    assert_true(next.is_ok);
    tiny_server_start(&t);
    run_until(&w, never, 300);
    assert_int_equal(t.requests, 0);
    tiny_server_stop(&t);
    close_world(&w);
}

static void test_bytes_of_a_mutable_address_that_fail(void **state)
{
    (void)state;
    struct world w;
    struct tiny_server t = {0};
    struct outcome_seen remote = {0};
    char url[64], p[128];
    t.body = fake_module(p, "bad-compile");
    open_world(&w, 10000);
    tiny_server_bind(&t, url);
    tiny_server_start(&t);
    push(&w, remote_plugin(url, ""), &remote);
    await(&w, &remote);
    assert_string_equal(remote.err.text, "compile: CompileError: bad");
    run_until(&w, never, 300);
    assert_int_equal(t.requests, 1);
    assert_int_equal(fake_counts.compiled, 1);
    tiny_server_stop(&t);
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
        cmocka_unit_test(test_failed_fetch_is_retried_behind_the_last_good),
        cmocka_unit_test(test_newer_push_stops_the_retries),
        cmocka_unit_test(test_bytes_of_a_mutable_address_that_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
