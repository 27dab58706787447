/* A worker: one thread, one event loop, its own connections, streams, pools and plugin VMs.
 * [main] calls these functions; what they start runs on the worker by message. */
#ifndef SERVER_WORKER_H
#define SERVER_WORKER_H

#include <stdint.h>

#include "base/err.h"
#include "conf/snapshot.h"
#include "net/loop.h"
#include "wasm/plugin.h"

struct worker;
struct access_log_writer;
struct balance;
struct filter_env;

/* What workers tell main; each runs on main's loop. */
struct worker_events {
    void (*on_applied)(void *arg, unsigned worker, uint64_t generation);
    void (*on_plugin_installed)(void *arg, unsigned worker, uint64_t ticket);
    void (*on_plugin_retired)(void *arg, unsigned worker, struct pwasm_vm *vm);
    void (*on_plugin_failed)(void *arg, unsigned worker, struct pwasm_vm *vm, const char *text);
    void (*on_plugin_wanted)(void *arg, unsigned worker, struct conf_plugin *conf);
    void *arg;
};

struct worker_options {
    unsigned index;
    uint64_t drain_ms;
    struct loop *main_loop;
    struct access_log_writer *logs;
    struct balance *balance; /* shared by all workers; outlives them */
    struct worker_events events;
};

int worker_create(const struct worker_options *o, struct worker **w_r, struct error *err);
/* Puts a snapshot in force. fds: the n descriptors of its listeners (copied). Confirmed by
 * on_applied. */
void worker_apply(struct worker *w, struct snapshot *s, const int *fds, size_t n);
void worker_install_plugin(struct worker *w, const char *slot, struct pwasm_vm *vm, bool closed,
                           uint64_t ticket);
/* Runs ask on the worker, then done on main's loop - also while both are being stopped. */
void worker_ask(struct worker *w, void (*ask)(struct filter_env *env, void *arg),
                void (*done)(void *arg), void *arg);
/* For an ask: has this worker neither listeners nor their connections? */
bool worker_is_idle(struct filter_env *env);
/* No new connections; the old ones go on. */
void worker_stop_listeners(struct worker *w, bool inbound_only);
/* The end has three steps, each for all workers: tell them to close everything; wait for their
 * threads; and, when main's loop has run the messages they left, free them. */
void worker_stop(struct worker *w);
void worker_join(struct worker *w);
void worker_destroy(struct worker **w);

#endif
