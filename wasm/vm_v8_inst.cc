/* Linking: the glue instance of a guest, its imports, the guest's instance and its exports. */
#include "wasm/vm_v8.h"

#include <assert.h>

#include <utility>

using v8::Local;

/* One instantiation under way; all inside the vm's entered isolate and context. */
struct linking {
    struct vm *vm;
    struct vm_module *module;
    struct vm_inst *inst;
    v8::Isolate *isolate;
    Local<v8::Context> context;
    Local<v8::Object> glue; /* its exports */
    struct error *err;
};

/* Reached only if V8 did not take the fast path, which it decides when the glue is linked. */
static void on_slow_call(const v8::FunctionCallbackInfo<v8::Value> &info)
{
    info.GetIsolate()->ThrowException(v8::Exception::Error(
        vm_v8_string(info.GetIsolate(), "host function was not linked as a fast call")));
}

static int32_t on_allocator_begin(void *unused, int32_t n)
{
    (void)unused;
    vm_v8_running->is_in_allocator = true;
    return n;
}

static int32_t on_commit(void *unused, int32_t guest_ptr, int32_t out_ptr, int32_t out_len)
{
    struct vm_inst *inst = vm_v8_running;
    inst->is_in_allocator = false;
    return inst->vm->host->commit(unused, guest_ptr, out_ptr, out_len);
}

static v8::CTypeInfo fast_type(char letter)
{
    switch (letter) {
    case 'l':
        return v8::CTypeInfo(v8::CTypeInfo::Type::kInt64);
    case 'f':
        return v8::CTypeInfo(v8::CTypeInfo::Type::kFloat32);
    case 'd':
        return v8::CTypeInfo(v8::CTypeInfo::Type::kFloat64);
    default:
        return v8::CTypeInfo(v8::CTypeInfo::Type::kInt32);
    }
}

static Local<v8::Function> fast_function(struct linking *k, const char *sig, const void *fn)
{
    std::vector<v8::CTypeInfo> types;
    types.push_back(v8::CTypeInfo(v8::CTypeInfo::Type::kV8Value)); /* the receiver, unused */
    const char *p = sig;
    for (; *p != ':'; p++)
        types.push_back(fast_type(*p));
    struct vm_fast_func *fast = new vm_fast_func(fn, std::move(types));
    k->vm->fast_funcs.push_back(fast);
    return v8::FunctionTemplate::New(
               k->isolate, on_slow_call, Local<v8::Value>(), Local<v8::Signature>(), (int)(p - sig),
               v8::ConstructorBehavior::kThrow, v8::SideEffectType::kHasSideEffect, &fast->function)
        ->GetFunction(k->context)
        .ToLocalChecked();
}

/* Without a prototype, so that no import name finds what it did not put there. */
static Local<v8::Object> empty_object(struct linking *k)
{
    return v8::Object::New(k->isolate, v8::Null(k->isolate), nullptr, nullptr, 0);
}

static void set(struct linking *k, Local<v8::Object> object, const char *name,
                Local<v8::Value> value)
{
    /* CreateDataProperty, not Set: "__proto__" is a name like any other. */
    object->CreateDataProperty(k->context, vm_v8_string(k->isolate, name), value).Check();
}

static Local<v8::Value> get(struct linking *k, Local<v8::Object> object, const char *name)
{
    return object->Get(k->context, vm_v8_string(k->isolate, name)).ToLocalChecked();
}

/* new WebAssembly.CLASS(args...); empty with an exception pending when it fails. */
static v8::MaybeLocal<v8::Object> construct(struct linking *k, const char *name, int n,
                                            Local<v8::Value> *args)
{
    Local<v8::Object> wasm = get(k, k->context->Global(), "WebAssembly").As<v8::Object>();
    return get(k, wasm, name).As<v8::Function>()->NewInstance(k->context, n, args);
}

static v8::MaybeLocal<v8::Object> instantiate(struct linking *k, const v8::CompiledWasmModule &code,
                                              Local<v8::Object> imports)
{
    Local<v8::WasmModuleObject> module;
    if (!v8::WasmModuleObject::FromCompiledModule(k->isolate, code).ToLocal(&module))
        return v8::MaybeLocal<v8::Object>();
    Local<v8::Value> args[2] = {module, imports};
    Local<v8::Object> instance;
    Local<v8::Value> exports;
    /* When a start section fails, NewInstance may still give an object, with the exception
     * pending: then this Get is what comes back empty. */
    if (!construct(k, "Instance", 2, args).ToLocal(&instance) ||
        !instance->Get(k->context, vm_v8_string(k->isolate, "exports")).ToLocal(&exports) ||
        !exports->IsObject())
        return v8::MaybeLocal<v8::Object>();
    return exports.As<v8::Object>();
}

static int fail(struct linking *k, const v8::TryCatch &caught, const char *what, enum err code)
{
    return error_set(k->err, code, "%s%s", what, vm_v8_exception_text(k->isolate, caught).c_str());
}

static int link_glue(struct linking *k)
{
    const v8::CompiledWasmModule *code = vm_v8_module_glue(k->module, k->vm->host, k->err);
    if (!code)
        return k->err ? -k->err->code : -ERR_INVALID;
    v8::TryCatch caught(k->isolate);
    Local<v8::Object> raw = empty_object(k);
    const std::vector<unsigned> &used = k->module->glue_used;
    for (size_t i = 0; i < used.size(); i++) {
        const struct vm_host_func *f = &k->vm->host->funcs[used[i]];
        set(k, raw, std::to_string(i).c_str(), fast_function(k, f->sig, f->fn));
    }
    set(k, raw, GLUE_BEGIN, fast_function(k, "i:i", (const void *)on_allocator_begin));
    set(k, raw, GLUE_COMMIT, fast_function(k, "iii:i", (const void *)on_commit));
    Local<v8::Object> imports = empty_object(k);
    set(k, imports, GLUE_MODULE, raw);
    if (!instantiate(k, *code, imports).ToLocal(&k->glue))
        return fail(k, caught, "host glue: ", ERR_INTERNAL);
    return 0;
}

static Local<v8::Value> glue_function(struct linking *k, const struct linkage_import *im)
{
    const std::vector<unsigned> &used = k->module->glue_used;
    for (size_t i = 0; i < used.size(); i++) {
        const struct vm_host_func *f = &k->vm->host->funcs[used[i]];
        if (strcmp(f->name, im->name) == 0 && strcmp(f->module, im->module) == 0)
            return get(k, k->glue, std::to_string(i).c_str());
    }
    assert(!"an import that vm_v8_module_glue has accepted");
    return v8::Undefined(k->isolate);
}

/* A memory or table made to the size that the module declares for it. */
static v8::MaybeLocal<v8::Object> sized_import(struct linking *k, const struct linkage_import *im)
{
    Local<v8::Object> o = empty_object(k);
    set(k, o, "initial", v8::Integer::NewFromUnsigned(k->isolate, im->limits.min));
    if (im->limits.has_max)
        set(k, o, "maximum", v8::Integer::NewFromUnsigned(k->isolate, im->limits.max));
    if (im->kind == WIRE_KIND_TABLE)
        set(k, o, "element",
            vm_v8_string(k->isolate, im->elem_type == 0x6f ? "externref" : "anyfunc"));
    Local<v8::Value> args[1] = {o};
    return construct(k, im->kind == WIRE_KIND_TABLE ? "Table" : "Memory", 1, args);
}

static int make_imports(struct linking *k, Local<v8::Object> imports)
{
    v8::TryCatch caught(k->isolate);
    for (size_t i = 0; i < k->module->linkage.import_count; i++) {
        const struct linkage_import *im = &k->module->linkage.imports[i];
        Local<v8::Value> value;
        if (im->kind == WIRE_KIND_FUNC) {
            value = glue_function(k, im);
        } else {
            Local<v8::Object> made;
            if (!sized_import(k, im).ToLocal(&made))
                return fail(k, caught, "Failed to load Wasm module: ", ERR_LIMIT);
            if (made->IsWasmMemoryObject())
                k->inst->memory.Reset(k->isolate, made.As<v8::WasmMemoryObject>());
            value = made;
        }
        Local<v8::Value> group = get(k, imports, im->module);
        if (!group->IsObject()) {
            group = empty_object(k);
            set(k, imports, im->module, group);
        }
        set(k, group.As<v8::Object>(), im->name, value);
    }
    return 0;
}

/* V8 names the constructor in what it throws itself; a start section's own failure stands bare. */
static enum err link_failure_code(const std::string &text)
{
    if (text.find("WebAssembly.Instance()") == std::string::npos)
        return ERR_TRAP;
    return text.compare(0, 10, "RangeError") == 0 ? ERR_LIMIT : ERR_INVALID;
}

/* Runs the start section, with host functions at hand and a deadline. */
static int link_guest(struct linking *k, Local<v8::Object> imports, uint64_t deadline_ns)
{
    v8::TryCatch caught(k->isolate);
    struct watchdog_slot *slot = deadline_ns ? watchdog_slot() : nullptr;
    vm_v8_refresh_memory(k->inst);
    vm_v8_running = k->inst;
    if (slot)
        watchdog_start(slot, k->isolate, deadline_ns);
    Local<v8::Object> exports;
    bool ok = instantiate(k, k->module->code, imports).ToLocal(&exports);
    bool was_killed = slot && watchdog_stop(slot);
    vm_v8_running = nullptr;
    k->inst->is_in_allocator = false;
    if (was_killed || k->vm->is_heap_exhausted || caught.HasTerminated()) {
        k->isolate->CancelTerminateExecution();
        vm_v8_terminations++;
        return error_set(k->err, ERR_TERMINATED,
                         "Failed to initialize Wasm module: TerminationException: %s",
                         was_killed ? "start deadline exceeded" : "engine heap limit reached");
    }
    if (!ok && !k->inst->trap_text.empty())
        return error_set(k->err, ERR_TRAP, "Failed to initialize Wasm module: Uncaught Error: %s",
                         k->inst->trap_text.c_str());
    if (!ok)
        return fail(k, caught, "Failed to initialize Wasm module: ",
                    link_failure_code(vm_v8_exception_text(k->isolate, caught)));
    k->inst->exports.Reset(k->isolate, exports);
    return 0;
}

static void find_memory(struct linking *k)
{
    Local<v8::Object> exports = k->inst->exports.Get(k->isolate);
    for (size_t i = 0; i < k->module->linkage.export_count; i++) {
        const struct linkage_export *e = &k->module->linkage.exports[i];
        if (e->kind != WIRE_KIND_MEMORY)
            continue;
        Local<v8::Value> memory = get(k, exports, e->name);
        if (memory->IsWasmMemoryObject())
            k->inst->memory.Reset(k->isolate, memory.As<v8::WasmMemoryObject>());
        break;
    }
    vm_v8_refresh_memory(k->inst);
}

/* Puts the guest's allocator into the glue's table. Without one the slot stays null and a host
 * function that needs it traps. */
static int wire_allocator(struct linking *k)
{
    static const char *const names[] = {"malloc", "proxy_on_memory_allocate"};
    for (const char *name : names) {
        const struct linkage_export *e = linkage_find_export(&k->module->linkage, name);
        if (!e || e->kind != WIRE_KIND_FUNC)
            continue;
        if (strcmp(e->sig, "i:i") != 0) {
            char have[256];
            linkage_format_sig(e->sig, have, sizeof(have));
            return error_set(k->err, ERR_INVALID,
                             "Bad function signature for: %s, want: i32 -> i32, but the module "
                             "exports: %s",
                             name, have);
        }
        v8::TryCatch caught(k->isolate);
        Local<v8::Object> table = get(k, k->glue, GLUE_TABLE).As<v8::Object>();
        Local<v8::Value> args[2] = {v8::Integer::New(k->isolate, 0),
                                    get(k, k->inst->exports.Get(k->isolate), name)};
        if (get(k, table, "set").As<v8::Function>()->Call(k->context, table, 2, args).IsEmpty())
            return fail(k, caught, "host glue: ", ERR_INTERNAL);
        return 0;
    }
    return 0;
}

static int link_all(struct linking *k, uint64_t deadline_ns)
{
    int rc = link_glue(k);
    if (rc != 0)
        return rc;
    Local<v8::Object> imports = empty_object(k);
    rc = make_imports(k, imports);
    if (rc == 0)
        rc = link_guest(k, imports, deadline_ns);
    if (rc != 0)
        return rc;
    find_memory(k);
    return wire_allocator(k);
}

int vm_v8_inst_create(struct vm *vm, struct vm_module *m, void *arg, uint64_t deadline_ns,
                      struct vm_inst **inst_r, struct error *err)
{
    assert(vm->locker && !vm_v8_running);
    vm_v8_enter(vm);
    struct vm_inst *inst = new vm_inst();
    inst->vm = vm;
    inst->module = vm_v8_module_ref(m);
    inst->arg = arg;
    v8::HandleScope handles(vm->isolate);
    Local<v8::Context> context = vm->context.Get(vm->isolate);
    v8::Context::Scope in_context(context);
    struct linking k = {vm, m, inst, vm->isolate, context, {}, err};
    int rc = link_all(&k, deadline_ns);
    if (rc != 0) {
        vm_v8_inst_destroy(inst);
        return rc;
    }
    vm->insts.push_back(inst);
    *inst_r = inst;
    return 0;
}

void vm_v8_inst_destroy(struct vm_inst *inst)
{
    for (vm_func *f : inst->funcs)
        delete f;
    vm_v8_module_unref(&inst->module);
    delete inst;
}

struct vm_func *vm_v8_inst_func(struct vm_inst *inst, const char *name)
{
    const struct linkage_export *e = linkage_find_export(&inst->module->linkage, name);
    if (!e || e->kind != WIRE_KIND_FUNC)
        return nullptr;
    vm_v8_enter(inst->vm);
    v8::Isolate *isolate = inst->vm->isolate;
    v8::HandleScope handles(isolate);
    Local<v8::Context> context = inst->vm->context.Get(isolate);
    Local<v8::Value> value =
        inst->exports.Get(isolate)->Get(context, vm_v8_string(isolate, name)).ToLocalChecked();
    struct vm_func *f = new vm_func();
    f->inst = inst;
    f->type = e;
    f->function.Reset(isolate, value.As<v8::Function>());
    inst->funcs.push_back(f);
    return f;
}

bool vm_v8_func_has_sig(const struct vm_func *f, const char *sig)
{
    return strcmp(f->type->sig, sig) == 0;
}

const char *vm_v8_func_sig(const struct vm_func *f)
{
    return f->type->sig;
}
