#include "server/worker.h"

#include <pthread.h>
#include <stdio.h>

#include "base/log.h"
#include "base/mem.h"
#include "http/hold.h"
#include "proxy/listeners.h"
#include "upstream/upstream.h"

enum { SHUTDOWN_GRACE_MS = 100 };

struct worker {
    struct worker_options o;
    pthread_t thread;
    struct loop *loop;
    struct filter_env env;
    struct listeners *listeners;
    struct pwasm_worker *wasm;
    struct loop_timer stop_timer;
};

/* ---- messages to main ---- */

struct report {
    struct loop_msg msg;
    struct worker *worker;
    enum { APPLIED, INSTALLED, RETIRED, FAILED, WANTED } kind;
    uint64_t number;
    struct pwasm_vm *vm;
    struct conf_plugin *conf;
    char *text;
};

static void run_report(struct loop_msg *m)
{
    struct report *r = container_of(m, struct report, msg);
    const struct worker_events *e = &r->worker->o.events;
    unsigned index = r->worker->o.index;
    switch (r->kind) {
    case APPLIED:
        e->on_applied(e->arg, index, r->number);
        break;
    case INSTALLED:
        e->on_plugin_installed(e->arg, index, r->number);
        break;
    case RETIRED:
        e->on_plugin_retired(e->arg, index, r->vm);
        break;
    case FAILED:
        e->on_plugin_failed(e->arg, index, r->vm, r->text);
        break;
    case WANTED:
        e->on_plugin_wanted(e->arg, index, r->conf);
        conf_object_unref(r->conf);
        break;
    }
    mem_free(r->text);
    mem_free(r);
}

static void report(struct worker *w, struct report *r)
{
    r->worker = w;
    r->msg.run = run_report;
    loop_post(w->o.main_loop, &r->msg);
}

static struct worker *of_env(struct pwasm_worker *pw)
{
    struct filter_env *env = pwasm_worker_env(pw);
    return container_of(env, struct worker, env);
}

static void on_retired(struct pwasm_worker *pw, struct pwasm_vm *vm)
{
    struct report *r = MEM_NEW(struct report);
    r->kind = RETIRED;
    r->vm = vm;
    report(of_env(pw), r);
}

static void on_failed(struct pwasm_worker *pw, struct pwasm_vm *vm, const char *text)
{
    struct report *r = MEM_NEW(struct report);
    r->kind = FAILED;
    r->vm = vm;
    r->text = mem_strdup(text);
    report(of_env(pw), r);
}

static void want_vm(struct pwasm_worker *pw, struct conf_plugin *conf)
{
    struct report *r = MEM_NEW(struct report);
    r->kind = WANTED;
    r->conf = conf_object_ref(conf);
    report(of_env(pw), r);
}

static const struct pwasm_worker_ops wasm_ops = {on_retired, on_failed, want_vm};

/* ---- messages to the worker ---- */

struct order {
    struct loop_msg msg;
    struct worker *worker;
    struct snapshot *snapshot;
    int *fds;
    char *slot;
    struct pwasm_vm *vm;
    bool closed, inbound_only;
    uint64_t ticket;
};

static void run_apply(struct loop_msg *m)
{
    struct order *o = container_of(m, struct order, msg);
    struct worker *w = o->worker;
    struct report *r = MEM_NEW(struct report);
    r->kind = APPLIED;
    r->number = o->snapshot->generation;
    hold_switch(&w->env, o->snapshot);
    upstreams_publish(w->env.upstreams, o->snapshot);
    listeners_apply(w->listeners, o->fds, w->o.drain_ms);
    snapshot_unref(o->snapshot);
    mem_free(o->fds);
    mem_free(o);
    report(w, r);
}

void worker_apply(struct worker *w, struct snapshot *s, const int *fds, size_t n)
{
    struct order *o = MEM_NEW(struct order);
    o->worker = w;
    o->snapshot = snapshot_ref(s);
    o->fds = mem_dup(fds, n * sizeof(int));
    o->msg.run = run_apply;
    loop_post(w->loop, &o->msg);
}

static void run_install(struct loop_msg *m)
{
    struct order *o = container_of(m, struct order, msg);
    pwasm_slot_install(o->worker->wasm, o->slot, o->vm, o->closed);
    struct report *r = MEM_NEW(struct report);
    r->kind = INSTALLED;
    r->number = o->ticket;
    report(o->worker, r);
    mem_free(o->slot);
    mem_free(o);
}

void worker_install_plugin(struct worker *w, const char *slot, struct pwasm_vm *vm, bool closed,
                           uint64_t ticket)
{
    struct order *o = MEM_NEW(struct order);
    o->worker = w;
    o->slot = mem_strdup(slot);
    o->vm = vm;
    o->closed = closed;
    o->ticket = ticket;
    o->msg.run = run_install;
    loop_post(w->loop, &o->msg);
}

/* One message that goes there and back. */
struct question {
    struct loop_msg msg;
    struct worker *worker;
    void (*ask)(struct filter_env *env, void *arg);
    void (*done)(void *arg);
    void *arg;
};

static void run_done(struct loop_msg *m)
{
    struct question *q = container_of(m, struct question, msg);
    q->done(q->arg);
    mem_free(q);
}

static void run_ask(struct loop_msg *m)
{
    struct question *q = container_of(m, struct question, msg);
    q->ask(&q->worker->env, q->arg);
    q->msg.run = run_done;
    loop_post(q->worker->o.main_loop, &q->msg);
}

void worker_ask(struct worker *w, void (*ask)(struct filter_env *env, void *arg),
                void (*done)(void *arg), void *arg)
{
    struct question *q = MEM_NEW(struct question);
    *q = (struct question){.msg.run = run_ask, .worker = w, .ask = ask, .done = done, .arg = arg};
    loop_post(w->loop, &q->msg);
}

bool worker_is_idle(struct filter_env *env)
{
    return listeners_is_idle(container_of(env, struct worker, env)->listeners);
}

static void run_stop_listeners(struct loop_msg *m)
{
    struct order *o = container_of(m, struct order, msg);
    listeners_stop(o->worker->listeners, o->inbound_only);
    mem_free(o);
}

void worker_stop_listeners(struct worker *w, bool inbound_only)
{
    struct order *o = MEM_NEW(struct order);
    o->worker = w;
    o->inbound_only = inbound_only;
    o->msg.run = run_stop_listeners;
    loop_post(w->loop, &o->msg);
}

/* ---- the thread ---- */

static void on_stop(struct loop_timer *t)
{
    loop_stop(t->loop);
}

static void run_stop(struct loop_msg *m)
{
    struct order *o = container_of(m, struct order, msg);
    struct worker *w = o->worker;
    mem_free(o);
    listeners_shutdown(w->listeners);
    /* Connections close from the loop; SIGTERM ends at once all the same, as Envoy does. */
    loop_timer_start(&w->stop_timer, listeners_is_idle(w->listeners) ? 0 : SHUTDOWN_GRACE_MS);
}

static void *run_worker(void *arg)
{
    struct worker *w = arg;
    char name[16];
    snprintf(name, sizeof(name), "worker_%u", w->o.index % 1000);
    pthread_setname_np(pthread_self(), name);
    loop_run(w->loop);
    pwasm_worker_destroy(&w->wasm); /* VMs leave by the thread that entered them */
    buf_pool_drain();
    return NULL;
}

static void destroy_parts(struct worker *w)
{
    if (w->env.current)
        hold_switch(&w->env, NULL);
    upstreams_destroy(&w->env.upstreams);
    listeners_destroy(&w->listeners);
    loop_destroy(&w->loop);
    mem_free(w);
}

int worker_create(const struct worker_options *o, struct worker **w_r, struct error *err)
{
    struct worker *w = MEM_NEW(struct worker);
    w->o = *o;
    int rc = loop_create(&w->loop, err);
    if (!rc)
        rc = upstreams_create(w->loop, &w->env.upstreams, err);
    if (rc) {
        destroy_parts(w);
        return rc;
    }
    w->env.loop = w->loop;
    w->env.worker_index = o->index;
    w->env.logs = o->logs;
    w->wasm = w->env.wasm = pwasm_worker_create(w->loop, &wasm_ops, &w->env);
    w->listeners = listeners_create(&w->env, o->balance);
    loop_timer_init(&w->stop_timer, w->loop, on_stop);
    if (pthread_create(&w->thread, NULL, run_worker, w)) {
        destroy_parts(w);
        return error_set(err, ERR_IO, "cannot start worker %u", o->index);
    }
    *w_r = w;
    return 0;
}

void worker_stop(struct worker *w)
{
    struct order *o = MEM_NEW(struct order);
    o->worker = w;
    o->msg.run = run_stop;
    loop_post(w->loop, &o->msg);
}

void worker_join(struct worker *w)
{
    pthread_join(w->thread, NULL);
}

void worker_destroy(struct worker **worker)
{
    if (*worker)
        destroy_parts(*worker);
    *worker = NULL;
}
