/* Loads the engine at first use, so that commands without guests (istio-iptables, wait, request)
 * start without V8, and forwards vm.h to it. */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/str.h"
#include "wasm/vm_face.h"

enum { TABLE_MAX = 10000, MEMORY_PAGES = 16384 };

static struct vm_engine_options options = {.table_max = TABLE_MAX, .memory_pages = MEMORY_PAGES};
/* Set once, by whichever thread needs the engine first. */
static const struct vm_face *_Atomic face;
static pthread_mutex_t load_lock = PTHREAD_MUTEX_INITIALIZER;

/* Where the library may stand, relative to the program's own folder: beside it as installed, or
 * in wasm/ as in the build folder. */
static const char *const places[] = {"", "wasm/", "../lib/remora/"};

static void *open_beside_program(struct sbuf *tried)
{
    char self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if (n <= 0)
        return NULL;
    while (n > 0 && self[n - 1] != '/')
        n--;
    self[n] = 0;
    void *lib = NULL;
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]) && !lib; i++) {
        struct sbuf path = {0};
        sbuf_printf(&path, "%s%s" VM_FACE_LIBRARY, self, places[i]);
        /* Only a file that is there and cannot be loaded makes a text worth showing. */
        if (access(path.p, R_OK) == 0) {
            lib = dlopen(path.p, RTLD_NOW | RTLD_LOCAL);
            if (!lib)
                sbuf_printf(tried, ": %s", dlerror());
        }
        sbuf_fini(&path);
    }
    return lib;
}

static int load_locked(struct error *err)
{
    struct sbuf tried = {0};
    const char *given = secure_getenv("REMORA_VM_LIB"); /* for tests, which stand elsewhere */
    void *lib = given ? dlopen(given, RTLD_NOW | RTLD_LOCAL) : open_beside_program(&tried);
    if (!lib) {
        int rc = error_set(err, ERR_NOT_FOUND, "cannot load " VM_FACE_LIBRARY "%s",
                           given     ? dlerror()
                           : tried.p ? tried.p
                                     : ": it does not stand beside the program");
        sbuf_fini(&tried);
        return rc;
    }
    sbuf_fini(&tried);
    const struct vm_face *found = dlsym(lib, VM_FACE_SYMBOL);
    if (!found || found->size != sizeof(*found)) {
        dlclose(lib);
        return error_set(err, ERR_INVALID, VM_FACE_LIBRARY " is of another build");
    }
    int rc = found->engine_start(&options, err);
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
