/* Loads the engine at first use, so that commands without guests (istio-iptables, wait, request)
 * start without V8, and forwards vm.h to it. */
#include <pthread.h>

#include "base/dynlib.h"
#include "wasm/vm_face.h"

enum { TABLE_MAX = 10000, MEMORY_PAGES = 16384 };

static struct vm_engine_options options = {.table_max = TABLE_MAX, .memory_pages = MEMORY_PAGES};
/* Set once, by whichever thread needs the engine first. */
static const struct vm_face *_Atomic face;
static pthread_mutex_t load_lock = PTHREAD_MUTEX_INITIALIZER;

static int load_locked(struct error *err)
{
    const struct vm_face *found =
        dynlib_load(VM_FACE_LIBRARY, "wasm/", "REMORA_VM_LIB", VM_FACE_SYMBOL, sizeof(*found), err);
    int rc = found ? found->engine_start(&options, err) : -(int)err->code;
    if (rc == 0)
        face = found; /* never unloaded: V8 cannot be started twice */
    return rc;
}

void vm_engine_configure(const struct vm_engine_options *o)
{
    options = *o;
    if (!options.table_max)
        options.table_max = TABLE_MAX;
    if (!options.memory_pages)
        options.memory_pages = MEMORY_PAGES;
}

int vm_engine_start(struct error *err)
{
    pthread_mutex_lock(&load_lock);
    int rc = face ? 0 : load_locked(err);
    pthread_mutex_unlock(&load_lock);
    return rc;
}

const char *vm_engine_version(void)
{
    return face ? face->engine_version() : "not loaded";
}

void vm_engine_counters(struct vm_engine_counters *r)
{
    if (face)
        face->engine_counters(r);
    else
        *r = (struct vm_engine_counters){0};
}

int vm_module_compile(const void *bytes, size_t n, struct vm_module **module_r, struct error *err)
{
    int rc = vm_engine_start(err);
    return rc ? rc : face->module_compile(bytes, n, module_r, err);
}

struct vm_module *vm_module_ref(struct vm_module *m)
{
    return face->module_ref(m);
}

void vm_module_unref(struct vm_module **m)
{
    if (*m)
        face->module_unref(m);
}

int vm_create(size_t heap_max, const struct vm_host *host, struct vm **vm_r, struct error *err)
{
    return face->create(heap_max, host, vm_r, err);
}

void vm_destroy(struct vm **vm)
{
    if (*vm)
        face->destroy(vm);
}

void vm_attach(struct vm *vm)
{
    face->attach(vm);
}

void vm_detach(struct vm *vm)
{
    face->detach(vm);
}

void vm_idle(struct vm *vm)
{
    face->idle(vm);
}

void vm_collect(struct vm *vm)
{
    face->collect(vm);
}

int vm_inst_create(struct vm *vm, struct vm_module *m, void *arg, uint64_t deadline_ns,
                   struct vm_inst **inst_r, struct error *err)
{
    return face->inst_create(vm, m, arg, deadline_ns, inst_r, err);
}

struct vm_func *vm_inst_func(struct vm_inst *inst, const char *name)
{
    return face->inst_func(inst, name);
}

bool vm_func_has_sig(const struct vm_func *f, const char *sig)
{
    return face->func_has_sig(f, sig);
}

const char *vm_func_sig(const struct vm_func *f)
{
    return face->func_sig(f);
}

enum vm_result vm_call(struct vm_func *f, const int32_t *args, unsigned n, int32_t *result_r,
                       uint64_t deadline_ns)
{
    return face->call(f, args, n, result_r, deadline_ns);
}

const char *vm_error(const struct vm_inst *inst)
{
    return face->error(inst);
}

struct vm_inst *vm_current(void)
{
    return face->current();
}

void *vm_current_arg(void)
{
    return face->current_arg();
}

bool vm_current_in_allocator(void)
{
    return face->current_in_allocator();
}

bool vm_current_is_killed(void)
{
    return face->current_is_killed();
}

void vm_set_trap(const char *text)
{
    face->set_trap(text);
}

uint8_t *vm_mem(struct vm_inst *inst, uint32_t off, uint32_t n)
{
    return face->mem(inst, off, n);
}

size_t vm_mem_size(const struct vm_inst *inst)
{
    return face->mem_size(inst);
}
