#include "wasm/abi.h"

#include <stdio.h>

#include "base/mem.h"
#include "wasm/plugin_private.h"

static struct vm_host host;

static const struct pwasm_funcs *const env_tables[] = {
    &pwasm_funcs_headers, &pwasm_funcs_buffers, &pwasm_funcs_stream,
    &pwasm_funcs_call,    &pwasm_funcs_root,    &pwasm_funcs_shared,
    &pwasm_funcs_metrics, &pwasm_funcs_foreign, &pwasm_funcs_grpc,
};

static int32_t commit(void *unused, int32_t guest_ptr, int32_t out_ptr, int32_t out_len)
{
    (void)unused;
    struct pwasm_vm *vm = vm_current_arg();
    uint32_t n = (uint32_t)vm->out.n;
    if (vm->out.is_optional)
        return PWASM_OK;
    if (n) {
        uint8_t *dst = guest_ptr ? vm_mem(vm_current(), (uint32_t)guest_ptr, n) : NULL;
        if (!dst)
            return PWASM_INVALID_MEMORY;
        memcpy(dst, vm->out.p, n);
    }
    if (!guest_put_u32(out_ptr, (uint32_t)guest_ptr) || !guest_put_u32(out_len, n))
        return PWASM_INVALID_MEMORY;
    return PWASM_OK;
}

static bool is_bytes(const struct pwasm_func *f)
{
    return f->out_at != PWASM_PLAIN;
}

static void add_table(struct vm_host_func **dst, const char *module, const struct pwasm_funcs *t)
{
    for (size_t i = 0; i < t->n; i++)
        *(*dst)++ = (struct vm_host_func){module,
                                          t->v[i].name,
                                          t->v[i].sig,
                                          is_bytes(&t->v[i]) ? VM_HOST_BYTES : VM_HOST_PLAIN,
                                          is_bytes(&t->v[i]) ? (unsigned)t->v[i].out_at : 0,
                                          t->v[i].fn};
}

void pwasm_abi_init(void)
{
    if (host.n)
        return;
    size_t n = 2 * pwasm_funcs_wasi.n;
    for (size_t i = 0; i < ARRAY_LEN(env_tables); i++)
        n += env_tables[i]->n;
    struct vm_host_func *funcs = mem_alloc(n * sizeof(*funcs)), *end = funcs;
    for (size_t i = 0; i < ARRAY_LEN(env_tables); i++)
        add_table(&end, "env", env_tables[i]);
    add_table(&end, "wasi_snapshot_preview1", &pwasm_funcs_wasi);
    add_table(&end, "wasi_unstable", &pwasm_funcs_wasi);
    host = (struct vm_host){funcs, n, commit};
}

const struct vm_host *pwasm_abi_host(void)
{
    pwasm_abi_init(); /* the probe's zygote is forked with it, before anything else */
    return &host;
}

/* ---- what may be called when ---- */

/* While the module starts. WASI functions that only answer an error are harmless too; those that
 * act, and sched_yield, proc_exit, path_open, fd_read, fd_seek, fd_close, are not in the list. */
static const char *const start_list[] = {
    "emscripten_notify_memory_growth",
    "proxy_log",
    "fd_write",
    "args_get",
    "args_sizes_get",
    "environ_get",
    "environ_sizes_get",
    "clock_time_get",
    "clock_res_get",
    "random_get",
    "poll_oneoff",
    "fd_fdstat_get",
    "fd_fdstat_set_flags",
};
static const char *const start_refused_wasi[] = {"sched_yield", "proc_exit", "path_open",
                                                 "fd_read",     "fd_seek",   "fd_close"};
static const char *const allocator_list[] = {"proxy_log", "fd_write", "clock_time_get",
                                             "poll_oneoff"};

static bool is_in(const char *name, const char *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i], name) == 0)
            return true;
    return false;
}

/* Functions of wasi.c are named wasi_NAME, so that they do not collide with libc's. */
static bool cut_wasi(const char **name)
{
    if (strncmp(*name, "wasi_", 5) != 0)
        return false;
    *name += 5;
    return true;
}

static bool is_start_call(const char *name, bool is_wasi)
{
    if (is_in(name, start_list, ARRAY_LEN(start_list)))
        return true;
    return is_wasi && !is_in(name, start_refused_wasi, ARRAY_LEN(start_refused_wasi));
}

bool pwasm_is_capable(const struct conf_plugin *conf, const char *name)
{
    return !conf->is_restricted || conf->capabilities_n == 0 ||
           is_in(name, conf->capabilities, conf->capabilities_n);
}

enum { WASI_ENOTCAPABLE = 76 };

bool pwasm_gate_slow(struct pwasm_vm *vm, const char *func, int32_t *answer_r)
{
    const char *name = func;
    bool is_wasi = cut_wasi(&name);
    if (vm_current_in_allocator() ? !is_in(name, allocator_list, ARRAY_LEN(allocator_list))
                                  : vm->in_start && !is_start_call(name, is_wasi)) {
        vm_set_trap("restricted_callback");
        *answer_r = VM_HOST_TRAP;
        return false;
    }
    if (!pwasm_is_capable(vm->conf, name)) {
        if (is_wasi)
            log_error(LOG_WASM, "Attempted call to restricted WASI capability: %s", name);
        else
            log_error(LOG_WASM, "Attempted call to restricted proxy-wasm capability: %s", name);
        *answer_r = is_wasi ? WASI_ENOTCAPABLE : PWASM_INTERNAL_FAILURE;
        return false;
    }
    return true;
}

void pwasm_trace(const char *func, const int64_t *args, size_t n)
{
    char text[256];
    size_t used = 0;
    bool is_wasi = cut_wasi(&func);
    text[0] = 0;
    for (size_t i = 0; i < n && used < sizeof(text) - 24; i++)
        used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%llu", i ? ", " : "",
                                 (unsigned long long)(args[i] & 0xffffffff));
    log_trace(LOG_WASM, "[vm->host] %s.%s(%s)", is_wasi ? "wasi_snapshot_preview1" : "env", func,
              text);
}

/* ---- bytes on their way out ---- */

char *pwasm_out_reserve(struct pwasm_vm *vm, size_t n)
{
    if (n > vm->out.cap) {
        vm->out.cap = n < 1024 ? 1024 : n;
        vm->out.p = mem_realloc(vm->out.p, vm->out.cap);
    }
    vm->out.n = n;
    return vm->out.p;
}

int32_t pwasm_out_str(struct pwasm_vm *vm, struct str s)
{
    if (s.n > INT32_MAX)
        return -1 - PWASM_INTERNAL_FAILURE;
    if (s.n)
        memcpy(pwasm_out_reserve(vm, s.n), s.p, s.n);
    vm->out.n = s.n;
    return (int32_t)s.n;
}
