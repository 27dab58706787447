/* What the Proxy-Wasm host's files share: a plugin VM, its worker, its deferred actions. */
#ifndef WASM_PLUGIN_PRIVATE_H
#define WASM_PLUGIN_PRIVATE_H

#include "base/hash.h"
#include "base/log.h"
#include "base/stat.h"
#include "net/loop.h"
#include "wasm/abi.h"
#include "wasm/context.h"

struct pwasm_action;
struct pwasm_metric;
struct shared_vm;

enum { PWASM_ROOT_ID = 1 };

enum pwasm_vm_state {
    PWASM_STARTING, /* on the stager, until it is installed */
    PWASM_RUNNING,
    PWASM_ENDING, /* the slot is done with it and its last stream ended */
    PWASM_ENDED,  /* given back */
    PWASM_FAILED, /* trapped or terminated: never called again */
};

/* Bytes on their way into the guest, between prepare and commit. */
struct pwasm_outgoing {
    char *p;
    size_t n, cap;
    bool is_optional; /* the guest may pass no place for them */
};

struct pwasm_vm {
    struct conf_plugin *conf;
    struct vm *vm;
    struct vm_inst *inst;
    enum pwasm_abi abi;
    enum pwasm_vm_state state;
    /* Not 0: host functions look closer before they do anything. */
    bool is_gated, in_start, in_configure;
    struct vm_func *exports[PWASM_EXPORT_COUNT];
    uint8_t export_params[PWASM_EXPORT_COUNT];

    /* ---- contexts ---- */
    struct pwasm_context root;
    struct pwasm_context *current, *effective;
    struct pwasm_context **buckets;
    struct list contexts; /* of streams */
    uint32_t contexts_n, buckets_n, last_id;

    /* ---- what host functions work on ---- */
    struct pwasm_outgoing out;
    const struct headers *call_maps[PWASM_MAP_COUNT];
    struct str call_buffers[PWASM_BUFFER_COUNT];
    struct pwasm_action *actions, **actions_end;
    struct list callouts, grpcs;
    uint32_t callouts_n; /* of both */
    uint32_t last_callout, last_grpc_call, last_grpc_stream;
    char *grpc_status_text;
    int32_t last_status; /* proxy_get_status */
    const char *last_status_text;
    struct pwasm_metric **metrics;
    size_t metrics_n, metrics_cap;
    struct shared_vm *shared; /* shared data of its vm_id */
    uint32_t *queues;         /* registered at start: consumed once it is installed */
    size_t queues_n, queues_cap;
    struct hash declared; /* properties by declare_property: name -> PROPERTY_x */
    uint64_t log_second;
    uint32_t log_lines, log_dropped;
    char *log_prefix, *root_log_prefix;
    struct sbuf stdio[2]; /* of standard output and error, without its newline yet */

    /* ---- life ---- */
    uint64_t serial;
    struct pwasm_worker *worker;
    struct pwasm_slot *slot; /* NULL once it was replaced */
    struct list node;        /* in the worker's list */
    size_t refs;             /* slot and streams */
    bool is_done_pending, wants_end, has_failed_streams;
    uint32_t tick_ms;
    struct loop_timer tick, done_timer;
};

struct pwasm_worker {
    int refs; /* atomic: messages under way keep it */
    struct loop *loop;
    const struct pwasm_worker_ops *ops;
    const struct pwasm_host_ops *host;
    void *env;
    struct list vms;
    struct loop_task sweep; /* what must not happen below in the call stack */
    struct hash *slots;     /* name -> struct pwasm_slot */
    bool is_closed;
};

/* ---- abi.c ---- */
/* May the module import, or have called, what is named so (capability restriction)? */
bool pwasm_is_capable(const struct conf_plugin *conf, const char *name);

/* ---- plugin.c ---- */
/* Resolves what the module exports. */
int pwasm_vm_resolve(struct pwasm_vm *vm, struct error *err);

/* ---- context.c ---- */
void pwasm_contexts_init(struct pwasm_vm *vm);
void pwasm_contexts_fini(struct pwasm_vm *vm);
struct pwasm_context *pwasm_context_find(struct pwasm_vm *vm, uint32_t id);
/* Opens a stream context in the VM; false: too many, or the guest failed. */
bool pwasm_context_open(struct pwasm_vm *vm, const struct pwasm_stream_ops *ops,
                        struct pwasm_context *c);
/* Calls an export on behalf of c and runs the actions it asked for. */
bool pwasm_vm_call(struct pwasm_vm *vm, struct pwasm_context *c, enum pwasm_export e,
                   const int32_t *args, int32_t *result_r);
/* CPU time of the next call, by the plugin's configuration; never 0. */
uint64_t pwasm_deadline_ns(const struct pwasm_vm *vm);
/* Any function without result checks; `name` for texts. Used at start. */
bool pwasm_vm_call_func(struct pwasm_vm *vm, struct vm_func *f, const char *name,
                        const int32_t *args, unsigned n, int32_t *result_r, uint64_t deadline_ns);
/* The context host functions work for. */
static inline struct pwasm_context *pwasm_acting(const struct pwasm_vm *vm)
{
    return vm->effective ? vm->effective : vm->current;
}

/* ---- actions.c ---- */
enum pwasm_action_kind { PWASM_GO_ON, PWASM_CLOSE, PWASM_REPLY };
void pwasm_action_add(struct pwasm_vm *vm, struct pwasm_context *c, enum pwasm_action_kind kind,
                      enum pwasm_stream which);
/* Takes headers' content; copies the rest. */
void pwasm_action_add_reply(struct pwasm_vm *vm, struct pwasm_context *c, unsigned status,
                            struct str details, struct str body, struct headers *headers,
                            int grpc_status);
void pwasm_actions_run(struct pwasm_vm *vm);
/* Forgets those of c. */
void pwasm_actions_drop(struct pwasm_vm *vm, const struct pwasm_context *c);

/* ---- slot.c ---- */
void pwasm_vm_unref(struct pwasm_vm *vm);
/* The guest failed in function `name`. */
void pwasm_vm_fail(struct pwasm_vm *vm, const char *name, enum vm_result how);
void pwasm_vm_set_tick(struct pwasm_vm *vm, uint32_t period_ms);
/* proxy_done: false when nobody waits for it. */
bool pwasm_vm_done(struct pwasm_vm *vm);
struct pwasm_worker *pwasm_worker_ref(struct pwasm_worker *w);
void pwasm_worker_unref(struct pwasm_worker *w);
/* NULL when it is gone. */
struct pwasm_vm *pwasm_worker_find(struct pwasm_worker *w, uint64_t serial);

/* ---- callouts, in host_call.c ---- */
void pwasm_callouts_start_queued(struct pwasm_vm *vm);
void pwasm_callouts_cancel(struct pwasm_vm *vm);
/* ---- in host_grpc.c ---- */
void pwasm_grpcs_start_queued(struct pwasm_vm *vm);
void pwasm_grpcs_cancel(struct pwasm_vm *vm);

/* ---- log of the guest, in host_root.c ---- */
void pwasm_guest_log(struct pwasm_vm *vm, enum log_level level, struct str text);

/* ---- host_foreign.c ---- */
/* Was it declared so that it can be set once only? */
bool pwasm_is_read_only(const struct pwasm_vm *vm, struct str property);

/* ---- wasi.c ---- */
void pwasm_flush_line(struct pwasm_vm *vm, int fd);

/* ---- host functions: entry, guest memory, bytes that go out ---- */

/* May the running guest call this function now? Else *answer_r is what it gets. */
bool pwasm_gate_slow(struct pwasm_vm *vm, const char *func, int32_t *answer_r);
void pwasm_trace(const char *func, const int64_t *args, size_t n);

/* Head of each host function: finds the VM, refuses what is not allowed at this moment. */
#define HOST_ENTER(vm, ...)                                                          \
    struct pwasm_vm *vm = vm_current_arg();                                          \
    do {                                                                             \
        if (log_is_on(LOG_WASM, LEVEL_TRACE)) {                                      \
            const int64_t traced[] = {0, ##__VA_ARGS__};                             \
            pwasm_trace(__func__, traced + 1, sizeof(traced) / sizeof(*traced) - 1); \
        }                                                                            \
        int32_t answer;                                                              \
        if ((vm->is_gated || vm_current_in_allocator()) &&                           \
            !pwasm_gate_slow(vm, __func__, &answer))                                 \
            return answer;                                                           \
    } while (0)
/* The same for functions that hand out bytes, where statuses are negative. */
#define HOST_ENTER_BYTES(vm, ...)                                                    \
    struct pwasm_vm *vm = vm_current_arg();                                          \
    do {                                                                             \
        if (log_is_on(LOG_WASM, LEVEL_TRACE)) {                                      \
            const int64_t traced[] = {0, ##__VA_ARGS__};                             \
            pwasm_trace(__func__, traced + 1, sizeof(traced) / sizeof(*traced) - 1); \
        }                                                                            \
        int32_t answer;                                                              \
        if ((vm->is_gated || vm_current_in_allocator()) &&                           \
            !pwasm_gate_slow(vm, __func__, &answer))                                 \
            return answer == VM_HOST_TRAP ? answer : -1 - answer;                    \
        vm->out.n = 0;                                                               \
        vm->out.is_optional = false;                                                 \
    } while (0)

/* Bytes of the running guest; false: not inside its memory. */
static inline bool guest_str(int32_t ptr, int32_t n, struct str *s_r)
{
    s_r->n = (uint32_t)n;
    s_r->p = n ? (const char *)vm_mem(vm_current(), (uint32_t)ptr, (uint32_t)n) : "";
    return s_r->p != NULL;
}

static inline bool guest_put_u32(int32_t at, uint32_t value)
{
    uint8_t *p = vm_mem(vm_current(), (uint32_t)at, sizeof(value));
    if (p)
        memcpy(p, &value, sizeof(value));
    return p != NULL;
}

static inline bool guest_put_u64(int32_t at, uint64_t value)
{
    uint8_t *p = vm_mem(vm_current(), (uint32_t)at, sizeof(value));
    if (p)
        memcpy(p, &value, sizeof(value));
    return p != NULL;
}

/* Room for n outgoing bytes. */
char *pwasm_out_reserve(struct pwasm_vm *vm, size_t n);
/* Keeps a copy and returns what the prepare step returns. */
int32_t pwasm_out_str(struct pwasm_vm *vm, struct str s);

#endif
