/* V8 itself: start, platform, isolates and their way between threads. */
#include "wasm/vm_v8.h"

#include <v8-wasm-trap-handler-posix.h>

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <memory>

thread_local struct vm_inst *vm_v8_running __attribute__((tls_model("initial-exec")));
thread_local struct vm *vm_v8_entered __attribute__((tls_model("initial-exec")));

v8::Platform *vm_v8_platform;
bool vm_v8_has_guards;
std::atomic<uint64_t> vm_v8_terminations;

static std::atomic<uint64_t> vms_created, vms_active;

/* C stack kept free below V8's limit for host functions, which run on the guest's stack; and the
 * most that guests get. */
enum { STACK_HOST_BYTES = 192 << 10, STACK_GUEST_BYTES = 1 << 20 };
/* What a heap over its limit gets on top so that termination can unwind instead of aborting. */
enum { HEAP_GRACE_BYTES = 16 << 20 };

static const char engine_flags[] =
    "--turbo-fast-api-calls --no-wasm-dynamic-tiering --single-threaded-gc "
    "--no-experimental-wasm-threads --no-wasm-memory-protection-keys --no-wasm-lazy-compilation";

/* The helper thread compiles for everybody: it must yield to the workers. */
class NiceTask : public v8::Task
{
  public:
    void Run() override
    {
        setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), 19);
        pthread_setname_np(pthread_self(), "v8-helper");
    }
};

static void kill_isolate(void *isolate)
{
    static_cast<v8::Isolate *>(isolate)->TerminateExecution();
}

static void start_threads(void)
{
    /* Signals are the main thread's: the engine's threads take none. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    vm_v8_platform = v8::platform::NewDefaultPlatform(1).release();
    vm_v8_platform->CallOnWorkerThread(std::make_unique<NiceTask>());
    watchdog_open(kill_isolate);
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

static int engine_start(const struct vm_engine_options *o, struct error *err)
{
    (void)err;
    struct sbuf flags = {};
    sbuf_printf(&flags, "%s --wasm-max-table-size=%u --wasm-max-mem-pages=%u %s", engine_flags,
                o->table_max, o->memory_pages, o->extra_flags ? o->extra_flags : "");
    v8::V8::SetFlagsFromString(flags.p, flags.n);
    sbuf_fini(&flags);
    start_threads();
    v8::V8::InitializePlatform(vm_v8_platform);
    /* V8's own SIGSEGV handler passes on what is no guest's fault. */
    vm_v8_has_guards = !o->no_trap_handler && v8::V8::EnableWebAssemblyTrapHandler(true);
    v8::V8::Initialize();
    return 0;
}

static const char *engine_version(void)
{
    return v8::V8::GetVersion();
}

static void engine_counters(struct vm_engine_counters *r)
{
    r->created = vms_created.load(std::memory_order_relaxed);
    r->active = vms_active.load(std::memory_order_relaxed);
    r->terminations = vm_v8_terminations.load(std::memory_order_relaxed);
}

v8::Local<v8::String> vm_v8_string(v8::Isolate *isolate, const char *text)
{
    return v8::String::NewFromUtf8(isolate, text).ToLocalChecked();
}

static size_t on_near_heap_limit(void *data, size_t current, size_t initial)
{
    (void)initial;
    struct vm *vm = static_cast<struct vm *>(data);
    vm->is_heap_exhausted = true;
    vm->isolate->TerminateExecution();
    return current + HEAP_GRACE_BYTES;
}

/* Lowest address of the calling thread's stack that V8 may use. */
static uintptr_t stack_limit(void)
{
    static thread_local uintptr_t lowest;
    if (!lowest) {
        pthread_attr_t attr;
        void *addr = nullptr;
        size_t size = 0;
        if (pthread_getattr_np(pthread_self(), &attr) == 0) {
            pthread_attr_getstack(&attr, &addr, &size);
            pthread_attr_destroy(&attr);
        }
        size_t kept = size / 2 < STACK_HOST_BYTES ? size / 2 : (size_t)STACK_HOST_BYTES;
        lowest = (uintptr_t)addr + kept;
    }
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    uintptr_t wanted = here - STACK_GUEST_BYTES;
    return wanted > lowest ? wanted : lowest;
}

static void attach(struct vm *vm)
{
    assert(!vm->locker);
    /* A Locker may not be taken while its isolate is entered, and its construction is what points
     * V8's "in guest code" flag for the trap handler at this thread. */
    vm->locker = new v8::Locker(vm->isolate);
    vm_v8_enter(vm);
    vm->isolate->SetStackLimit(stack_limit());
}

static void detach(struct vm *vm)
{
    assert(vm->locker && !vm_v8_running);
    vm_v8_enter(vm);
    vm->isolate->Exit();
    vm_v8_entered = nullptr;
    delete vm->locker;
    vm->locker = nullptr;
}

static void run_queued_tasks(struct vm *vm)
{
    while (v8::platform::PumpMessageLoop(vm_v8_platform, vm->isolate))
        ;
}

static void idle(struct vm *vm)
{
    assert(vm->locker && !vm_v8_running);
    vm_v8_enter(vm);
    v8::HandleScope handles(vm->isolate);
    run_queued_tasks(vm);
}

static void collect(struct vm *vm)
{
    idle(vm);
    vm->isolate->LowMemoryNotification();
}

static void configure_isolate(struct vm *vm)
{
    v8::Isolate *isolate = vm->isolate;
    isolate->SetMicrotasksPolicy(v8::MicrotasksPolicy::kExplicit);
    isolate->AddNearHeapLimitCallback(on_near_heap_limit, vm);
    isolate->AddMessageListener(vm_v8_on_message);
    isolate->SetCaptureStackTraceForUncaughtExceptions(true, 20);
}

static int create(size_t heap_max, const struct vm_host *host, struct vm **vm_r, struct error *err)
{
    (void)err;
    struct vm *vm = new struct vm();
    vm->host = host;
    vm->buffers = v8::ArrayBuffer::Allocator::NewDefaultAllocator();
    v8::Isolate::CreateParams params;
    params.array_buffer_allocator = vm->buffers;
    params.allow_atomics_wait = false;
    params.constraints.ConfigureDefaultsFromHeapSize(0, heap_max);
    vm->isolate = v8::Isolate::New(params);
    configure_isolate(vm);
    attach(vm);
    {
        v8::HandleScope scope(vm->isolate);
        vm->context.Reset(vm->isolate, v8::Context::New(vm->isolate));
    }
    detach(vm);
    vms_created++;
    vms_active++;
    *vm_r = vm;
    return 0;
}

static void destroy(struct vm **vm_at)
{
    struct vm *vm = *vm_at;
    *vm_at = nullptr;
    attach(vm);
    run_queued_tasks(vm);
    for (vm_inst *inst : vm->insts)
        vm_v8_inst_destroy(inst);
    vm->context.Reset();
    detach(vm);
    v8::platform::NotifyIsolateShutdown(vm_v8_platform, vm->isolate);
    vm->isolate->Dispose();
    for (vm_fast_func *f : vm->fast_funcs)
        delete f;
    delete vm->buffers;
    delete vm;
    vms_active--;
}

extern "C" {
extern const struct vm_face remora_vm_face __attribute__((visibility("default")));
}

const struct vm_face remora_vm_face = {
    sizeof(struct vm_face),
    engine_start,
    engine_version,
    engine_counters,
    vm_v8_module_compile,
    vm_v8_module_ref,
    vm_v8_module_unref,
    create,
    destroy,
    attach,
    detach,
    idle,
    collect,
    vm_v8_inst_create,
    vm_v8_inst_func,
    vm_v8_func_has_sig,
    vm_v8_func_sig,
    vm_v8_call,
    vm_v8_error,
    vm_v8_current,
    vm_v8_current_arg,
    vm_v8_current_in_allocator,
    vm_v8_current_is_killed,
    vm_v8_set_trap,
    vm_v8_mem,
    vm_v8_mem_size,
};
