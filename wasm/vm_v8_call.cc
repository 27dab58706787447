/* Calling into guests, and what host functions may ask meanwhile. */
#include "wasm/vm_v8.h"

#include <assert.h>

enum { CALL_ARGS_MAX = 16, BACKTRACE_FRAMES_MAX = 20 };

static void add_backtrace(v8::Isolate *isolate, v8::Local<v8::StackTrace> trace, std::string *text)
{
    if (trace.IsEmpty() || trace->GetFrameCount() == 0)
        return;
    *text += "\nProxy-Wasm plugin in-VM backtrace:";
    for (int i = 0; i < trace->GetFrameCount() && i < BACKTRACE_FRAMES_MAX; i++) {
        v8::Local<v8::StackFrame> frame = trace->GetFrame(isolate, (uint32_t)i);
        v8::String::Utf8Value name(isolate, frame->GetFunctionName());
        /* V8 prints names as in the text format, "$name" or "$func16". */
        const char *shown = *name && **name ? *name + (**name == '$') : "unknown";
        char line[256];
        /* V8 counts columns, here bytes of the module, from one. */
        snprintf(line, sizeof(line), "\n%3d:  0x%x - %s", i, frame->GetColumn() - 1, shown);
        *text += line;
    }
}

void vm_v8_on_message(v8::Local<v8::Message> message, v8::Local<v8::Value> exception)
{
    (void)exception;
    struct vm_inst *inst = vm_v8_running;
    if (!inst)
        return;
    v8::Isolate *isolate = message->GetIsolate();
    v8::HandleScope handles(isolate);
    if (inst->trap_text.empty()) {
        v8::String::Utf8Value text(isolate, message->Get());
        inst->error = *text ? *text : "Uncaught exception";
    } else {
        inst->error = "Uncaught Error: " + inst->trap_text;
    }
    add_backtrace(isolate, message->GetStackTrace(), &inst->error);
}

/* The guest failed: finds out how, and makes the isolate callable again. */
static enum vm_result finish_failed(struct vm_inst *inst, bool was_killed)
{
    v8::Isolate *isolate = inst->vm->isolate;
    bool is_terminated = isolate->IsExecutionTerminating() || was_killed;
    isolate->CancelTerminateExecution();
    if (!is_terminated)
        return VM_TRAPPED;
    vm_v8_terminations++;
    inst->error = "TerminationException";
    inst->error +=
        inst->vm->is_heap_exhausted ? ": engine heap limit reached" : ": call deadline exceeded";
    inst->vm->is_heap_exhausted = false;
    return VM_TERMINATED;
}

static int32_t to_i32(v8::Local<v8::Value> value)
{
    return value->IsInt32() ? value.As<v8::Int32>()->Value() : 0;
}

enum vm_result vm_v8_call(struct vm_func *f, const int32_t *args, unsigned n, int32_t *result_r,
                          uint64_t deadline_ns)
{
    struct vm_inst *inst = f->inst;
    struct vm *vm = inst->vm;
    v8::Isolate *isolate = vm->isolate;
    assert(!vm_v8_running && vm->locker && n <= CALL_ARGS_MAX);
    vm_v8_enter(vm);
    v8::HandleScope handles(isolate);
    v8::Local<v8::Value> values[CALL_ARGS_MAX];
    for (unsigned i = 0; i < n; i++)
        values[i] = v8::Integer::New(isolate, args[i]);
    struct watchdog_slot *slot = deadline_ns ? watchdog_slot() : nullptr;
    vm_v8_running = inst;
    if (slot)
        watchdog_start(slot, isolate, deadline_ns);
    /* The receiver is Undefined: an integer would be boxed, garbage on every call. No TryCatch:
     * the message listener keeps the text, and only failures pay. */
    v8::Local<v8::Value> result;
    bool ok = f->function.Get(isolate)
                  ->Call(vm->context.Get(isolate), v8::Undefined(isolate), (int)n, values)
                  .ToLocal(&result);
    bool was_killed = slot && watchdog_stop(slot);
    vm_v8_running = nullptr;
    inst->is_in_allocator = false;
    if (__builtin_expect(!ok, 0)) {
        enum vm_result failure = finish_failed(inst, was_killed);
        inst->trap_text.clear();
        return failure;
    }
    if (was_killed) /* too late: it had returned already */
        isolate->CancelTerminateExecution();
    if (result_r)
        *result_r = to_i32(result);
    return VM_OK;
}

const char *vm_v8_error(const struct vm_inst *inst)
{
    return inst->error.c_str();
}

struct vm_inst *vm_v8_current(void)
{
    return vm_v8_running;
}

void *vm_v8_current_arg(void)
{
    return vm_v8_running->arg;
}

bool vm_v8_current_in_allocator(void)
{
    return vm_v8_running->is_in_allocator;
}

bool vm_v8_current_is_killed(void)
{
    return watchdog_is_killed(watchdog_slot());
}

void vm_v8_set_trap(const char *text)
{
    vm_v8_running->trap_text = text;
}

/* Reads two fields of heap objects without allocating any: allowed inside fast callbacks. */
void vm_v8_refresh_memory(struct vm_inst *inst)
{
    if (inst->memory.IsEmpty())
        return;
    v8::Isolate *isolate = inst->vm->isolate;
    v8::HandleScope handles(isolate);
    v8::Local<v8::ArrayBuffer> buffer = inst->memory.Get(isolate)->Buffer();
    inst->mem_base = static_cast<uint8_t *>(buffer->GetBackingStore()->Data());
    inst->mem_size = buffer->ByteLength();
}

uint8_t *vm_v8_mem(struct vm_inst *inst, uint32_t off, uint32_t n)
{
    uint64_t end = (uint64_t)off + n;
    if (__builtin_expect(end > inst->mem_size || !vm_v8_has_guards, 0)) {
        vm_v8_refresh_memory(inst);
        if (end > inst->mem_size)
            return nullptr;
    }
    return inst->mem_base + off;
}

size_t vm_v8_mem_size(const struct vm_inst *inst)
{
    vm_v8_refresh_memory(const_cast<struct vm_inst *>(inst));
    return inst->mem_size;
}
