/* The engine: WebAssembly on V8 behind a plain C face. Only vm_v8*.cc include V8's headers;
 * they stand in libremora-vm.so, which vm_engine_start loads (vm_load.c).
 *
 * A module is compiled code, shared by all threads. A vm is one V8 isolate with its context and
 * its host glue. An inst is one instance of a module in a vm (1:1 today, apart on purpose).
 *
 * Threads: a vm is built by one thread (the stager, between vm_attach and vm_detach), then
 * attached by the worker that runs it and stays attached there until the worker gives it back
 * with vm_detach for disposal on the stager. Attaching takes v8::Locker before Isolate::Enter and
 * sets the stack limit from the calling thread's stack: without the Locker the first guest
 * out-of-bounds access kills the process. Isolates are switched lazily: calls may alternate
 * between attached vms of one thread.
 *
 * Source: proxy-wasm ABI; V8 10.2 embedding as measured (Fast API callbacks must never re-enter
 * V8, hence the two-step host calls below). */
#ifndef WASM_VM_H
#define WASM_VM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct vm_module;
struct vm;
struct vm_inst;
struct vm_func;

#ifdef __cplusplus
extern "C" {
#endif

union vm_val {
    int32_t i32;
    int64_t i64;
    float f32;
    double f64;
};

struct vm_engine_options {
    unsigned table_max;    /* elements of any one table, process-wide backstop; 0: 10,000 */
    unsigned memory_pages; /* 64 KiB pages of any one memory, process-wide; 0: 16,384 (1 GiB) */
    /* Explicit bounds checks instead of guard regions: where address space is limited (RLIMIT_AS;
     * a memory reserves 10 GiB with guards), and where V8 has no trap handler (then by itself). */
    bool no_trap_handler;
    const char *extra_flags; /* more V8 flags, for tests and diagnosis; NULL: none */
};

/* [main] What the engine starts with. o is copied, its texts kept. */
void vm_engine_configure(const struct vm_engine_options *o);
/* [any] Loads and starts the engine, once per process, after any fork; vm_module_compile does so
 * at its first call, so that a process without plugins pays nothing. */
int vm_engine_start(struct error *err);
const char *vm_engine_version(void); /* "not loaded" before the start */

/* A host function offered to guests. fn is called straight from compiled code:
 *   R fn(void *unused, params...)   with C types int32_t, int64_t, float, double by sig.
 * It must not call any vm_* function except vm_current* and the memory accessors.
 *
 * VM_HOST_PLAIN: fn does all. If it returns VM_HOST_TRAP the guest traps with the text set by
 *   vm_set_trap (sig must then have result i; a function without result is given with sig
 *   "...:v" but its fn still returns int32_t, dropped unless it is VM_HOST_TRAP).
 * VM_HOST_BYTES: the function hands bytes to the guest through (out_ptr*, out_len*), which are
 *   the parameters out_at and out_at + 1 of sig. fn is the prepare step with the same parameters:
 *   it keeps a copy of the value and returns its length >= 0, or -1 - status to return `status`
 *   to the guest, or VM_HOST_TRAP. For length > 0 the glue calls the guest's allocator; then it
 *   calls commit(unused, guest_ptr, out_ptr, out_len), whose result goes to the guest (length 0:
 *   commit with guest_ptr 0 and no allocation). */
enum vm_host_kind { VM_HOST_PLAIN, VM_HOST_BYTES };
enum { VM_HOST_TRAP = INT32_MIN };

struct vm_host_func {
    const char *module, *name;
    const char *sig; /* "iil:i": i=i32 l=i64 f=f32 d=f64; result i or v */
    enum vm_host_kind kind;
    unsigned out_at;
    void *fn;
};

struct vm_host {
    const struct vm_host_func *funcs;
    size_t n;
    int32_t (*commit)(void *unused, int32_t guest_ptr, int32_t out_ptr, int32_t out_len);
};

/* [any] thread without an attached vm, or the stager. Starts the engine. Compiles eagerly; bytes
 * may be freed after. Errors: ERR_INVALID with V8's text. */
int vm_module_compile(const void *bytes, size_t n, struct vm_module **module_r, struct error *err);
struct vm_module *vm_module_ref(struct vm_module *m);
void vm_module_unref(struct vm_module **m);

/* What plugins get unless told otherwise; the probe tries modules with the same. */
enum { VM_HEAP_DEFAULT = 16 << 20 };

/* heap_max: bytes of V8's own heap (objects, not linear memory). The vm is not attached yet. The
 * glue to `host` is made with each instance, for the functions its module imports. host must
 * outlive the vm and the modules instantiated in it. */
int vm_create(size_t heap_max, const struct vm_host *host, struct vm **vm_r, struct error *err);
/* Disposes isolate and instances: milliseconds, so never on a worker. Must be detached. */
void vm_destroy(struct vm **vm);
void vm_attach(struct vm *vm);
void vm_detach(struct vm *vm);
/* [the attaching thread] Runs what V8 has queued for this vm: above all it gives back the baseline
 * code that better code has replaced meanwhile. Some seconds after the first calls, then now and
 * then when there is time; 0.1 us when nothing waits. */
void vm_idle(struct vm *vm);
/* Full collection of V8's heap in an attached vm: milliseconds. */
void vm_collect(struct vm *vm);

/* Links and instantiates m in an attached vm; its start section runs. The guest's allocator
 * ("malloc", else "proxy_on_memory_allocate") is wired to the glue when exported.
 * `arg` is what vm_current_arg returns inside host functions called by this instance.
 * deadline_ns: CPU time for the start section. Errors: ERR_NOT_FOUND missing import
 * ("Failed to load Wasm module due to a missing import: M.F"), ERR_INVALID, ERR_TRAP. */
int vm_inst_create(struct vm *vm, struct vm_module *m, void *arg, uint64_t deadline_ns,
                   struct vm_inst **inst_r, struct error *err);

/* NULL when not exported as a function. Owned by the instance. */
struct vm_func *vm_inst_func(struct vm_inst *inst, const char *name);
/* Does its type equal sig ("ii:i")? */
bool vm_func_has_sig(const struct vm_func *f, const char *sig);
/* Its type in that form. */
const char *vm_func_sig(const struct vm_func *f);

enum vm_result { VM_OK, VM_TRAPPED, VM_TERMINATED };

/* Calls an all-i32 function; result_r may be NULL. Returns VM_TRAPPED or VM_TERMINATED when the
 * guest failed; vm_error then holds the text. deadline_ns is CPU time of this thread (0: none),
 * watched by the watchdog thread. Nested calls (from a host function) are a programmer error. */
enum vm_result vm_call(struct vm_func *f, const int32_t *args, unsigned n, int32_t *result_r,
                       uint64_t deadline_ns);
/* Text of the last failure in Envoy's wording ("Uncaught RuntimeError: unreachable",
 * "TerminationException") with the in-VM backtrace behind it. */
const char *vm_error(const struct vm_inst *inst);

/* Inside host functions: the instance whose guest code is running on this thread. */
struct vm_inst *vm_current(void);
void *vm_current_arg(void);
/* Is the guest's allocator running (called by the glue)? Most host calls are refused then. */
bool vm_current_in_allocator(void);
/* Has the running call been killed by its deadline? Long host functions ask now and then. */
bool vm_current_is_killed(void);
/* Makes the running host function's VM_HOST_TRAP carry this text. */
void vm_set_trap(const char *text);

/* Linear memory. NULL when [off, off + n) is not inside. The pointer holds until the next call
 * into the guest. */
uint8_t *vm_mem(struct vm_inst *inst, uint32_t off, uint32_t n);
size_t vm_mem_size(const struct vm_inst *inst);

struct vm_engine_counters {
    uint64_t created, active; /* vms */
    uint64_t terminations;
};
void vm_engine_counters(struct vm_engine_counters *r);

#ifdef __cplusplus
}
#endif
#endif
