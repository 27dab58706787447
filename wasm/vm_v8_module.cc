/* Compiling modules. V8 shares compiled code between isolates; an isolate is needed only to ask
 * for it, so each compilation gets a passing one and no garbage stays behind. */
#include "wasm/vm_v8.h"

#include <assert.h>

enum { COMPILE_HEAP_BYTES = 32 << 20 };

std::string vm_v8_exception_text(v8::Isolate *isolate, const v8::TryCatch &caught)
{
    if (caught.HasTerminated())
        return "TerminationException";
    if (caught.Exception().IsEmpty())
        return "unknown exception";
    v8::String::Utf8Value text(isolate, caught.Exception());
    return *text ? *text : "unknown exception";
}

static int compile_entered(v8::Isolate *isolate, const void *bytes, size_t n,
                           struct vm_module **module_r, struct error *err)
{
    v8::HandleScope handles(isolate);
    v8::Local<v8::Context> context = v8::Context::New(isolate);
    v8::Context::Scope in_context(context);
    v8::TryCatch caught(isolate);
    v8::Local<v8::WasmModuleObject> object;
    if (!v8::WasmModuleObject::Compile(isolate, {static_cast<const uint8_t *>(bytes), n})
             .ToLocal(&object))
        return error_set(err, ERR_INVALID, "%s", vm_v8_exception_text(isolate, caught).c_str());
    struct linkage linkage;
    int rc = linkage_parse(bytes, n, &linkage, err);
    if (rc != 0)
        return rc;
    *module_r = new vm_module(object->GetCompiledModule());
    (*module_r)->linkage = linkage;
    return 0;
}

int vm_v8_module_compile(const void *bytes, size_t n, struct vm_module **module_r,
                         struct error *err)
{
    v8::ArrayBuffer::Allocator *buffers = v8::ArrayBuffer::Allocator::NewDefaultAllocator();
    v8::Isolate::CreateParams params;
    params.array_buffer_allocator = buffers;
    params.constraints.ConfigureDefaultsFromHeapSize(0, COMPILE_HEAP_BYTES);
    v8::Isolate *isolate = v8::Isolate::New(params);
    int rc;
    {
        if (vm_v8_entered) {
            vm_v8_entered->isolate->Exit();
            vm_v8_entered = nullptr;
        }
        v8::Locker locker(isolate);
        v8::Isolate::Scope entered(isolate);
        rc = compile_entered(isolate, bytes, n, module_r, err);
        while (v8::platform::PumpMessageLoop(vm_v8_platform, isolate))
            ;
    }
    v8::platform::NotifyIsolateShutdown(vm_v8_platform, isolate);
    isolate->Dispose();
    delete buffers;
    return rc;
}

struct vm_module *vm_v8_module_ref(struct vm_module *m)
{
    m->refs.fetch_add(1, std::memory_order_relaxed);
    return m;
}

void vm_v8_module_unref(struct vm_module **m_at)
{
    struct vm_module *m = *m_at;
    *m_at = nullptr;
    if (m->refs.fetch_sub(1, std::memory_order_acq_rel) != 1)
        return;
    linkage_fini(&m->linkage);
    delete m;
}

static int find_host_func(const struct vm_host *host, const struct linkage_import *im)
{
    for (size_t i = 0; i < host->n; i++)
        if (strcmp(host->funcs[i].name, im->name) == 0 &&
            strcmp(host->funcs[i].module, im->module) == 0)
            return (int)i;
    return -1;
}

static int check_import(const struct vm_host *host, int at, const struct linkage_import *im,
                        struct error *err)
{
    if (at < 0)
        return error_set(err, ERR_NOT_FOUND,
                         "Failed to load Wasm module due to a missing import: %s.%s", im->module,
                         im->name);
    const char *have = host->funcs[at].sig;
    if (strcmp(im->sig, have) == 0)
        return 0;
    char want_text[256], have_text[256];
    linkage_format_sig(im->sig, want_text, sizeof(want_text));
    linkage_format_sig(have, have_text, sizeof(have_text));
    return error_set(err, ERR_INVALID,
                     "Failed to load Wasm module due to an import type mismatch: %s.%s, want: %s, "
                     "but host exports: %s",
                     im->module, im->name, want_text, have_text);
}

/* Indices of the host functions that m imports, each once. */
static int collect_used(struct vm_module *m, const struct vm_host *host,
                        std::vector<unsigned> *used_r, struct error *err)
{
    std::vector<bool> is_used(host->n);
    for (size_t i = 0; i < m->linkage.import_count; i++) {
        const struct linkage_import *im = &m->linkage.imports[i];
        if (im->kind == WIRE_KIND_TABLE || im->kind == WIRE_KIND_MEMORY)
            continue;
        int at = im->kind == WIRE_KIND_FUNC ? find_host_func(host, im) : -1;
        int rc = check_import(host, at, im, err);
        if (rc != 0)
            return rc;
        if (!is_used[(size_t)at])
            used_r->push_back((unsigned)at);
        is_used[(size_t)at] = true;
    }
    return 0;
}

const v8::CompiledWasmModule *vm_v8_module_glue(struct vm_module *m, const struct vm_host *host,
                                                struct error *err)
{
    std::lock_guard<std::mutex> locked(m->glue_lock);
    if (!m->glue.empty()) {
        assert(m->glue_host == host);
        return &m->glue[0];
    }
    v8::Isolate *isolate = v8::Isolate::GetCurrent();
    std::vector<unsigned> used;
    if (collect_used(m, host, &used, err) != 0)
        return nullptr;
    struct sbuf bytes = {};
    glue_build(host, used.data(), (unsigned)used.size(), &bytes);
    v8::TryCatch caught(isolate);
    v8::Local<v8::WasmModuleObject> object;
    bool ok =
        v8::WasmModuleObject::Compile(isolate, {reinterpret_cast<uint8_t *>(bytes.p), bytes.n})
            .ToLocal(&object);
    sbuf_fini(&bytes);
    if (!ok) {
        error_set(err, ERR_INTERNAL, "host glue: %s",
                  vm_v8_exception_text(isolate, caught).c_str());
        return nullptr;
    }
    m->glue_used = std::move(used);
    m->glue.push_back(object->GetCompiledModule());
    m->glue_host = host;
    return &m->glue[0];
}
