#include "wasm/plugin.h"

#include <stdio.h>

#include "base/mem.h"
#include "wasm/metrics.h"
#include "wasm/plugin_private.h"
#include "wasm/shared_data.h"

enum { ENGINE_HEAP_MAX = 32 << 20 };

static const struct {
    const char *name, *sig;
} exports[] = {
#define X(id, name, sig) {name, sig},
    PWASM_EXPORT_MAP(X)
#undef X
};

static stat_id stat_created, stat_active;
static uint64_t last_serial; /* atomic */

void pwasm_global_init(void)
{
    pwasm_abi_init();
    stat_created = stat_define(STAT_COUNTER, "wasm.envoy.wasm.runtime.v8.created");
    stat_active = stat_define(STAT_GAUGE, "wasm.envoy.wasm.runtime.v8.active");
}

const struct conf_plugin *pwasm_vm_conf(const struct pwasm_vm *vm)
{
    return vm->conf;
}

/* ---- what the module exports ---- */

/* "ii:i" as Envoy writes it: "i32 i32 -> i32". */
static void format_sig(const char *sig, char *dst, size_t n)
{
    size_t used = 0;
    dst[0] = 0;
    for (; *sig && used + 8 < n; sig++) {
        const char *word = *sig == ':'   ? "->"
                           : *sig == 'v' ? "void"
                           : *sig == 'l' ? "i64"
                           : *sig == 'f' ? "f32"
                           : *sig == 'd' ? "f64"
                                         : "i32";
        used += (size_t)snprintf(dst + used, n - used, "%s%s", used ? " " : "", word);
    }
}

static int bad_signature(const char *name, const char *want, const struct vm_func *f,
                         struct error *err)
{
    char want_text[128], have_text[128];
    format_sig(want, want_text, sizeof(want_text));
    format_sig(vm_func_sig(f), have_text, sizeof(have_text));
    return error_set(err, ERR_INVALID,
                     "Bad function signature for: %s, want: %s, but the module exports: %s", name,
                     want_text, have_text);
}

static int find_export(struct pwasm_vm *vm, enum pwasm_export e, struct error *err)
{
    const char *sig = exports[e].sig;
    if (vm->abi == PWASM_ABI_0_1_0 &&
        (e == PWASM_ON_REQUEST_HEADERS || e == PWASM_ON_RESPONSE_HEADERS))
        sig = "ii:i"; /* without end_of_stream */
    struct vm_func *f = vm_inst_func(vm->inst, exports[e].name);
    if (!f || !pwasm_is_capable(vm->conf, exports[e].name))
        return 0;
    if (!vm_func_has_sig(f, sig))
        return bad_signature(exports[e].name, sig, f, err);
    vm->exports[e] = f;
    vm->export_params[e] = (uint8_t)strcspn(sig, ":");
    return 0;
}

int pwasm_vm_resolve(struct pwasm_vm *vm, struct error *err)
{
    static const char *const markers[] = {
        [PWASM_ABI_0_1_0] = "proxy_abi_version_0_1_0",
        [PWASM_ABI_0_2_0] = "proxy_abi_version_0_2_0",
        [PWASM_ABI_0_2_1] = "proxy_abi_version_0_2_1",
    };
    for (unsigned i = PWASM_ABI_0_1_0; i <= PWASM_ABI_0_2_1 && !vm->abi; i++)
        if (vm_inst_func(vm->inst, markers[i]))
            vm->abi = (enum pwasm_abi)i;
    if (!vm->abi)
        return error_set(err, ERR_INVALID, "Missing or unknown Proxy-Wasm ABI version");
    if (!vm_inst_func(vm->inst, "malloc") && !vm_inst_func(vm->inst, "proxy_on_memory_allocate"))
        return error_set(err, ERR_INVALID, "Wasm module is missing malloc function.");
    for (unsigned e = 0; e < PWASM_EXPORT_COUNT; e++) {
        int rc = find_export(vm, (enum pwasm_export)e, err);
        if (rc)
            return rc;
    }
    return 0;
}

/* ---- start ---- */

/* The text of what just failed, after pwasm_vm_call gave false. */
static int trapped(struct pwasm_vm *vm, const char *func, struct error *err)
{
    return error_set(err, ERR_TRAP, "Function: %s failed: %s", func, vm_error(vm->inst));
}

static int call_start(struct pwasm_vm *vm, const char *name, const char *sig, bool *found_r,
                      struct error *err)
{
    struct vm_func *f = vm_inst_func(vm->inst, name);
    *found_r = f != NULL;
    if (!f)
        return 0;
    if (!vm_func_has_sig(f, sig))
        return bad_signature(name, sig, f, err);
    int32_t args[2] = {0, 0}, result;
    if (!pwasm_vm_call_func(vm, f, name, args, (unsigned)strcspn(sig, ":"), &result,
                            pwasm_deadline_ns(vm)))
        return trapped(vm, name, err);
    return 0;
}

/* _initialize, then main or __main_void; else _start. Only a few host functions are allowed. */
static int run_module_start(struct pwasm_vm *vm, struct error *err)
{
    bool found;
    int rc = call_start(vm, "_initialize", ":v", &found, err);
    if (rc)
        return rc;
    if (!found)
        return call_start(vm, "_start", ":v", &found, err);
    rc = call_start(vm, "main", "ii:i", &found, err);
    if (!rc && !found)
        rc = call_start(vm, "__main_void", ":i", &found, err);
    return rc;
}

static int run_root_call(struct pwasm_vm *vm, enum pwasm_export e, size_t n, const char *failure,
                         struct error *err)
{
    int32_t args[] = {PWASM_ROOT_ID, (int32_t)n}, result = 1;
    if (!pwasm_vm_call(vm, &vm->root, e, args, &result))
        return trapped(vm, exports[e].name, err);
    if (!result)
        return error_set(err, ERR_INVALID, "%s: %s answered 0", failure, exports[e].name);
    return 0;
}

static int start_root(struct pwasm_vm *vm, struct error *err)
{
    int32_t args[] = {PWASM_ROOT_ID, 0};
    if (!pwasm_vm_call(vm, &vm->root, PWASM_ON_CONTEXT_CREATE, args, NULL))
        return trapped(vm, exports[PWASM_ON_CONTEXT_CREATE].name, err);
    int rc = run_root_call(vm, PWASM_ON_VM_START, vm->conf->vm_configuration.n,
                           "Failed to start base Wasm", err);
    if (rc)
        return rc;
    vm->in_configure = true;
    rc = run_root_call(vm, PWASM_ON_CONFIGURE, vm->conf->configuration.n,
                       "Failed to configure base Wasm plugin", err);
    vm->in_configure = false;
    return rc;
}

static int start(struct pwasm_vm *vm, struct vm_module *module, struct error *err)
{
    vm->in_start = true;
    vm->is_gated = true;
    int rc = vm_inst_create(vm->vm, module, vm, pwasm_deadline_ns(vm), &vm->inst, err);
    if (!rc)
        rc = pwasm_vm_resolve(vm, err);
    if (!rc)
        rc = run_module_start(vm, err);
    vm->in_start = false;
    vm->is_gated = vm->conf->is_restricted;
    return rc ? rc : start_root(vm, err);
}

static char *join_prefix(const char *a, const char *b, const char *c)
{
    struct sbuf text = {0};
    const char *parts[] = {a, b, c};
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        if (parts[i] && *parts[i])
            sbuf_printf(&text, " %s", parts[i]);
    return sbuf_take(&text);
}

static struct pwasm_vm *create(struct conf_plugin *conf)
{
    struct pwasm_vm *vm = MEM_NEW(struct pwasm_vm);
    vm->conf = conf_object_ref(conf);
    vm->serial = __atomic_add_fetch(&last_serial, 1, __ATOMIC_RELAXED);
    vm->actions_end = &vm->actions;
    list_init(&vm->callouts);
    list_init(&vm->grpcs);
    list_init(&vm->node);
    pwasm_contexts_init(vm);
    vm->log_prefix = join_prefix(conf->name, conf->root_id, conf->vm_id);
    vm->root_log_prefix = join_prefix(conf->root_id, conf->vm_id, NULL);
    vm->shared = shared_vm_ref(conf->vm_id);
    return vm;
}

int pwasm_vm_start(struct conf_plugin *conf, struct vm_module *module, struct pwasm_vm **vm_r,
                   struct error *err)
{
    struct pwasm_vm *vm = create(conf);
    int rc = vm_create(ENGINE_HEAP_MAX, pwasm_abi_host(), &vm->vm, err);
    if (rc == 0) {
        stat_inc(stat_created);
        stat_inc(stat_active);
        vm_attach(vm->vm);
        rc = start(vm, module, err);
        vm_detach(vm->vm);
    }
    if (rc) {
        log_error(LOG_WASM, "Plugin %s (%s): Wasm VM failed: %s", conf->name, conf->slot,
                  err ? err->text : err_text(rc));
        pwasm_vm_destroy(&vm);
        return rc;
    }
    log_debug(LOG_WASM, "Thread-Local Wasm created for plugin %s", conf->name);
    *vm_r = vm;
    return 0;
}

void pwasm_vm_destroy(struct pwasm_vm **vm_at)
{
    struct pwasm_vm *vm = *vm_at;
    if (!vm)
        return;
    *vm_at = NULL;
    pwasm_callouts_cancel(vm);
    pwasm_grpcs_cancel(vm);
    pwasm_actions_drop(vm, NULL);
    if (vm->vm) {
        vm_destroy(&vm->vm);
        stat_add(stat_active, -1);
    }
    shared_vm_forget_consumer(vm->serial);
    shared_vm_unref(&vm->shared);
    metrics_release(vm->metrics, vm->metrics_n);
    pwasm_contexts_fini(vm);
    mem_free(vm->out.p);
    mem_free(vm->grpc_status_text);
    hash_fini(&vm->declared);
    mem_free(vm->queues);
    sbuf_fini(&vm->stdio[0]);
    sbuf_fini(&vm->stdio[1]);
    mem_free(vm->log_prefix);
    mem_free(vm->root_log_prefix);
    conf_object_unref(vm->conf);
    mem_free(vm);
}
