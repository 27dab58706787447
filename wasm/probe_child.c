/* The process that may die: the engine, one module, and no more rights than that takes. */
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/mem.h"
#include "wasm/probe_private.h"

enum { NOBODY = 65534, STATUS_UNIMPLEMENTED = 12, ERRNO_NOSYS = 52 };
static const uint64_t start_deadline_ns = 5000000000;

#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || \
    __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
enum { IS_SANITIZED = 1 };
#else
enum { IS_SANITIZED = 0 };
#endif

static void set_limit(int what, uint64_t soft, uint64_t hard)
{
    struct rlimit l = {soft, hard};
    setrlimit(what, &l);
}

static void be_first_to_die(void)
{
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    ssize_t n = write(fd, "1000", 4);
    (void)n; /* the limits below hold without it */
    close(fd);
}

static void confine(const struct probe_options *o)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    prctl(PR_SET_DUMPABLE, 0);
    be_first_to_die();
    set_limit(RLIMIT_CORE, 0, 0);
    set_limit(RLIMIT_CPU, o->cpu_s, o->cpu_s + 2);
    /* A backstop to the zygote's watch on resident memory, which has a gap of some milliseconds.
     * Sanitizers map terabytes of data. */
    if (!IS_SANITIZED)
        set_limit(RLIMIT_DATA, o->memory_max * 3 / 2, o->memory_max * 3 / 2);
    setpriority(PRIO_PROCESS, 0, 19);
}

/* After the engine's library is loaded, which an ordinary user may not be able to read. */
static bool drop_root(void)
{
    if (geteuid() != 0)
        return true;
    return setgroups(0, NULL) == 0 && setgid(NOBODY) == 0 && setuid(NOBODY) == 0;
}

/* Nothing to open, connect, start or write from here on: all that the module needs is there. */
static void close_doors(void)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* again: changing the user has cleared it */
    set_limit(RLIMIT_NOFILE, 0, 0);
    set_limit(RLIMIT_NPROC, 0, 0);
    set_limit(RLIMIT_FSIZE, 0, 0);
}

/* Called with whatever the guest's import takes: callers clean up in both C conventions that we
 * run on (System V x86-64, AAPCS64). */
static int32_t unimplemented(void)
{
    return STATUS_UNIMPLEMENTED;
}

static int32_t no_system(void)
{
    return ERRNO_NOSYS;
}

static int32_t no_commit(void *unused, int32_t guest_ptr, int32_t out_ptr, int32_t out_len)
{
    (void)unused;
    (void)guest_ptr;
    (void)out_ptr;
    (void)out_len;
    return STATUS_UNIMPLEMENTED;
}

/* The real host's names and types over functions that do nothing. */
static struct vm_host *stub_host(const struct vm_host *real)
{
    struct vm_host_func *funcs = mem_alloc((real->n + 1) * sizeof(*funcs));
    for (size_t i = 0; i < real->n; i++) {
        bool is_env = strcmp(real->funcs[i].module, "env") == 0;
        funcs[i] = real->funcs[i];
        funcs[i].kind = VM_HOST_PLAIN;
        funcs[i].fn = is_env ? (void *)unimplemented : (void *)no_system;
    }
    struct vm_host *host = MEM_NEW(struct vm_host);
    *host = (struct vm_host){funcs, real->n, no_commit};
    return host;
}

static int try_module(const struct probe_options *o, const void *bytes, size_t n, struct error *err)
{
    struct vm_module *module;
    struct vm *vm;
    struct vm_inst *inst;
    int rc = vm_module_compile(bytes, n, &module, err);
    if (rc == 0)
        rc = vm_create(VM_HEAP_DEFAULT, stub_host(o->host), &vm, err);
    if (rc != 0)
        return rc;
    vm_attach(vm);
    rc = vm_inst_create(vm, module, NULL, start_deadline_ns, &inst, err);
    /* The start section ran over stubs; whether it traps over the real host shows at the start. */
    return rc == -ERR_TRAP ? 0 : rc;
}

static int run(const struct probe_options *o, int module_fd, size_t n, struct error *err)
{
    confine(o);
    vm_engine_configure(&o->engine);
    int rc = vm_engine_start(err);
    if (rc != 0)
        return rc;
    if (!drop_root())
        return error_set(err, ERR_INTERNAL, "the probe child cannot drop its rights");
    const void *bytes = mmap(NULL, n ? n : 1, PROT_READ, MAP_SHARED, module_fd, 0);
    if (bytes == MAP_FAILED)
        return error_set(err, ERR_LIMIT, "the probe child cannot map the module");
    close_doors();
    return try_module(o, bytes, n, err);
}

void probe_child_run(const struct probe_options *o, int module_fd, size_t n, int answer_fd)
{
    struct error err = {0};
    struct probe_answer a = {0};
    int null = open("/dev/null", O_RDWR | O_CLOEXEC); /* V8 prints before it aborts */
    dup2(null, STDOUT_FILENO);
    dup2(null, STDERR_FILENO);
    a.rc = run(o, module_fd, n, &err);
    if (a.rc != 0)
        snprintf(a.text, sizeof(a.text), "%s", err.text);
    _exit(write(answer_fd, &a, sizeof(a)) == (ssize_t)sizeof(a) ? 0 : 1);
}
