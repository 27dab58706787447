/* What the vm_v8_*.cc files share. Only they include this header and V8's. */
#ifndef WASM_VM_V8_H
#define WASM_VM_V8_H

#include <libplatform/libplatform.h>
#include <v8-fast-api-calls.h>
#include <v8.h>

#include <atomic>
#include <mutex>
#include <string>
#include <vector>

extern "C" {
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "wasm/glue.h"
#include "wasm/linkage.h"
#include "wasm/vm_face.h"
#include "wasm/watchdog.h"
}

struct vm_module {
    explicit vm_module(v8::CompiledWasmModule &&m) : code(std::move(m)) {}

    std::atomic<unsigned> refs{1};
    v8::CompiledWasmModule code;
    struct linkage linkage = {};
    /* The glue for the host functions that this module imports; made by the first instance. */
    std::mutex glue_lock;
    const struct vm_host *glue_host = nullptr;
    std::vector<unsigned> glue_used;
    std::vector<v8::CompiledWasmModule> glue; /* none or one */
};

/* What V8's fast calls want to know about one host function; compiled code points to it, so it
 * lives as long as the vm. */
struct vm_fast_func {
    std::vector<v8::CTypeInfo> args;
    v8::CTypeInfo result{v8::CTypeInfo::Type::kInt32};
    v8::CFunctionInfo info;
    v8::CFunction function;

    vm_fast_func(const void *fn, std::vector<v8::CTypeInfo> &&types)
        : args(std::move(types)), info(result, (unsigned)args.size(), args.data()),
          function(fn, &info)
    {
    }
};

struct vm {
    v8::Isolate *isolate = nullptr;
    v8::ArrayBuffer::Allocator *buffers = nullptr;
    v8::Locker *locker = nullptr; /* attached when set */
    v8::Global<v8::Context> context;
    const struct vm_host *host = nullptr;
    std::vector<vm_inst *> insts;
    std::vector<vm_fast_func *> fast_funcs;
    bool is_heap_exhausted = false;
};

struct vm_func {
    vm_inst *inst;
    v8::Global<v8::Function> function;
    const struct linkage_export *type;
};

struct vm_inst {
    struct vm *vm;
    struct vm_module *module;
    void *arg;
    v8::Global<v8::Object> exports;
    v8::Global<v8::WasmMemoryObject> memory;
    uint8_t *mem_base = nullptr;
    size_t mem_size = 0; /* memories only grow: refreshed when a range check fails */
    std::vector<vm_func *> funcs;
    std::string error, trap_text;
    bool is_in_allocator = false;
};

/* The instance whose code runs on this thread, and the vm whose isolate is entered. The library
 * is loaded late, but these few bytes fit into the loader's reserve of static TLS. */
extern thread_local struct vm_inst *vm_v8_running __attribute__((tls_model("initial-exec")));
extern thread_local struct vm *vm_v8_entered __attribute__((tls_model("initial-exec")));

extern v8::Platform *vm_v8_platform;
/* With guard regions a memory never moves. */
extern bool vm_v8_has_guards;
extern std::atomic<uint64_t> vm_v8_terminations;

/* Makes vm's isolate the entered one of this thread; vm is attached. */
static inline void vm_v8_enter(struct vm *vm)
{
    if (__builtin_expect(vm_v8_entered == vm, 1))
        return;
    if (vm_v8_entered)
        vm_v8_entered->isolate->Exit();
    vm->isolate->Enter();
    vm_v8_entered = vm;
}

v8::Local<v8::String> vm_v8_string(v8::Isolate *isolate, const char *text);
/* "RuntimeError: unreachable" of a caught exception. */
std::string vm_v8_exception_text(v8::Isolate *isolate, const v8::TryCatch &caught);
/* Keeps text and backtrace of an uncaught exception in the running instance. */
void vm_v8_on_message(v8::Local<v8::Message> message, v8::Local<v8::Value> exception);
/* Reads base and size of the memory anew. */
void vm_v8_refresh_memory(struct vm_inst *inst);
/* The compiled glue of m for host; made once. Inside an entered isolate and context. */
const v8::CompiledWasmModule *vm_v8_module_glue(struct vm_module *m, const struct vm_host *host,
                                                struct error *err);
void vm_v8_inst_destroy(struct vm_inst *inst);

/* The functions behind vm.h, listed in vm_v8.cc's table. */
int vm_v8_module_compile(const void *bytes, size_t n, struct vm_module **module_r,
                         struct error *err);
struct vm_module *vm_v8_module_ref(struct vm_module *m);
void vm_v8_module_unref(struct vm_module **m);
int vm_v8_inst_create(struct vm *vm, struct vm_module *m, void *arg, uint64_t deadline_ns,
                      struct vm_inst **inst_r, struct error *err);
struct vm_func *vm_v8_inst_func(struct vm_inst *inst, const char *name);
bool vm_v8_func_has_sig(const struct vm_func *f, const char *sig);
const char *vm_v8_func_sig(const struct vm_func *f);
enum vm_result vm_v8_call(struct vm_func *f, const int32_t *args, unsigned n, int32_t *result_r,
                          uint64_t deadline_ns);
const char *vm_v8_error(const struct vm_inst *inst);
struct vm_inst *vm_v8_current(void);
void *vm_v8_current_arg(void);
bool vm_v8_current_in_allocator(void);
bool vm_v8_current_is_killed(void);
void vm_v8_set_trap(const char *text);
uint8_t *vm_v8_mem(struct vm_inst *inst, uint32_t off, uint32_t n);
size_t vm_v8_mem_size(const struct vm_inst *inst);

#endif
