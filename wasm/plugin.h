/* The Proxy-Wasm host: a plugin VM and its contexts on a worker.
 *
 * A pwasm_vm is one engine vm with one instance and the root context of one plugin, for one
 * worker. It is built and started on the stager (pwasm_vm_start: instantiate, _initialize or
 * _start, on_context_create, on_vm_start, on_configure), handed to the worker, which attaches it
 * and puts it in its slot, and handed back for disposal when its last stream is done.
 *
 * A slot is the place of one plugin on one worker (name: ECDS resource, or listener/chain/filter
 * for inline configuration). Filters hold the slot; a swap changes what is in it. Streams keep
 * the vm they began with.
 *
 * Source: proxy-wasm ABI 0.1.0, 0.2.0, 0.2.1 with Envoy's semantics. */
#ifndef WASM_PLUGIN_H
#define WASM_PLUGIN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "conf/plugin.h"
#include "wasm/vm.h"

struct pwasm_vm;
struct pwasm_worker;
struct loop;

/* [main] once, before the first VM: the host function table, shared data, metrics. */
void pwasm_global_init(void);

/* [stager] Builds and starts a plugin VM from compiled code; takes own references. The result is
 * detached. Errors are prefixed by nothing; *stage_r is "start". Logs with the plugin's name. */
int pwasm_vm_start(struct conf_plugin *conf, struct vm_module *module, struct pwasm_vm **vm_r,
                   struct error *err);
/* [stager] Disposes a detached VM (on_done and on_delete of the root have run on the worker). */
void pwasm_vm_destroy(struct pwasm_vm **vm);
const struct conf_plugin *pwasm_vm_conf(const struct pwasm_vm *vm);

/* What happened to a VM on a worker; called on the worker. */
struct pwasm_worker_ops {
    /* vm is detached and idle for good: send it to the stager. */
    void (*on_retired)(struct pwasm_worker *w, struct pwasm_vm *vm);
    /* The VM trapped or was terminated (it is off from now on). text names the function. */
    void (*on_failed)(struct pwasm_worker *w, struct pwasm_vm *vm, const char *text);
    /* FAIL_RELOAD, or a failed VM of any policy that may be replaced: asks for a fresh VM of the
     * same configuration (it comes by pwasm_slot_install). */
    void (*want_vm)(struct pwasm_worker *w, struct conf_plugin *conf);
};

/* [worker] env: the filter environment, handed through to filters/wasm.c; opaque here. */
struct pwasm_worker *pwasm_worker_create(struct loop *loop, const struct pwasm_worker_ops *ops,
                                         void *env);
/* Retires all VMs. */
void pwasm_worker_destroy(struct pwasm_worker **w);
void *pwasm_worker_env(const struct pwasm_worker *w);

/* [worker] Puts vm (detached, ownership passes) in the slot and retires what stood there once its
 * streams are done. vm NULL empties the slot. `closed` states what requests see while a slot is
 * empty: true: 503 (policy closed), false: the plugin is bypassed. */
void pwasm_slot_install(struct pwasm_worker *w, const char *slot, struct pwasm_vm *vm, bool closed);

#endif
