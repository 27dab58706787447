/* VMs travel: built on a stager thread, run on a worker beside other VMs, given back for disposal,
 * with everything in between that could upset the engine: out-of-bounds accesses, recursion,
 * terminations, compacting collections, moves to a second worker.
 *
 * argv: guest.wasm [cycles]; environment HANDOVER_CYCLES for long runs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "guest_host.h"

enum { HEAP = 16 << 20, MS = 1000000, HELD = 4, BOX_SIZE = 8, FRESH_MODULE_EVERY = 50 };

struct guest {
    struct vm *vm;
    struct vm_inst *inst;
    struct vm_module *module;
    unsigned cycle;
    int arg;
};

/* A bounded queue between threads; NULL ends it. */
struct box {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct guest *slots[BOX_SIZE];
    unsigned head, count;
};

#define BOX_INIT                                                       \
    {                                                                  \
        PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, {0}, 0, 0 \
    }

static struct box to_first = BOX_INIT, to_second = BOX_INIT, to_stager = BOX_INIT;
static const char *guest_path;
static unsigned cycles;
static char *bytes;
static size_t bytes_n;

static void box_put(struct box *b, struct guest *g)
{
    pthread_mutex_lock(&b->lock);
    while (b->count == BOX_SIZE)
        pthread_cond_wait(&b->changed, &b->lock);
    b->slots[(b->head + b->count++) % BOX_SIZE] = g;
    pthread_cond_broadcast(&b->changed);
    pthread_mutex_unlock(&b->lock);
}

static struct guest *box_take(struct box *b)
{
    pthread_mutex_lock(&b->lock);
    while (b->count == 0)
        pthread_cond_wait(&b->changed, &b->lock);
    struct guest *g = b->slots[b->head];
    b->head = (b->head + 1) % BOX_SIZE;
    b->count--;
    pthread_cond_broadcast(&b->changed);
    pthread_mutex_unlock(&b->lock);
    return g;
}

/* Checks run on threads that cmocka does not watch: failing ends the process with a word. */
static void check(bool ok, const struct guest *g, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "cycle %u: %s: %s\n", g->cycle, what, g->inst ? vm_error(g->inst) : "");
    abort();
}

static void expect(struct guest *g, const char *func, int32_t a, uint64_t limit_ns,
                   enum vm_result want, int32_t value)
{
    int32_t r = 0;
    struct vm_func *f = vm_inst_func(g->inst, func);
    check(f != NULL, g, func);
    check(vm_call(f, &a, vm_func_sig(f)[0] == 'i', &r, limit_ns) == want, g, func);
    check(want != VM_OK || r == value, g, func);
}

static void ordinary_calls(struct guest *g)
{
    for (int i = 0; i < 20; i++) {
        expect(g, "call_fetch", 20, 100 * MS, VM_OK, ('a' + 20) << 16 | 20);
        expect(g, "call_sum", i, 0, VM_OK, guest_host_sum(i));
        check(guest_host_seen.last_arg == &g->arg, g, "arg of another instance");
    }
}

static void mistreat(struct guest *g, struct guest *const *others)
{
    for (int i = 0; i < 5; i++)
        expect(g, "out_of_bounds", 0, 100 * MS, VM_TRAPPED, 0);
    expect(g, "recurse", 0, 0, VM_TRAPPED, 0);
    ordinary_calls(g);
    if (g->cycle % 4 == 0)
        expect(g, g->cycle % 8 ? "spin" : "host_loop", 0, 2 * MS, VM_TERMINATED, 0);
    if (g->cycle % 2 == 0)
        vm_collect(g->vm);
    expect(g, "trap", 0, 0, VM_TRAPPED, 0);
    for (int i = 0; i < HELD; i++)
        if (others[i])
            ordinary_calls(others[i]);
    expect(g, "out_of_bounds", 0, 0, VM_TRAPPED, 0);
    ordinary_calls(g);
}

struct worker {
    struct box *in, *out;
};

/* Holds up to HELD attached vms at a time, the oldest leaves when a new one comes. */
static void *work(void *arg)
{
    struct worker *w = arg;
    struct guest *held[HELD] = {0};
    unsigned at = 0;
    for (struct guest *g; (g = box_take(w->in)); at = (at + 1) % HELD) {
        if (held[at]) {
            ordinary_calls(held[at]);
            vm_detach(held[at]->vm);
            box_put(w->out, held[at]);
            held[at] = NULL;
        }
        vm_attach(g->vm);
        mistreat(g, held);
        vm_idle(g->vm);
        held[at] = g;
    }
    for (int i = 0; i < HELD; i++) {
        if (!held[i])
            continue;
        vm_detach(held[i]->vm);
        box_put(w->out, held[i]);
    }
    box_put(w->out, NULL);
    return NULL;
}

/* The guest with a custom section that makes it another module. */
static struct vm_module *fresh_module(unsigned version)
{
    char *mine = mem_alloc(bytes_n + 7);
    memcpy(mine, bytes, bytes_n);
    const char tail[7] = {0, 5, 1, 'v', (char)version, (char)(version >> 8), (char)(version >> 16)};
    memcpy(mine + bytes_n, tail, sizeof(tail));
    struct vm_module *m = NULL;
    struct error err = {0};
    if (vm_module_compile(mine, bytes_n + 7, &m, &err) != 0) {
        fprintf(stderr, "compile: %s\n", err.text);
        abort();
    }
    mem_free(mine);
    return m;
}

static void dispose(struct guest *g)
{
    vm_destroy(&g->vm);
    vm_module_unref(&g->module);
    mem_free(g);
}

static struct guest *build(unsigned cycle, struct vm_module *m)
{
    struct guest *g = MEM_NEW(struct guest);
    struct error err = {0};
    g->cycle = cycle;
    g->module = vm_module_ref(m);
    check(vm_create(HEAP, &guest_host, &g->vm, &err) == 0, g, err.text);
    vm_attach(g->vm);
    check(vm_inst_create(g->vm, m, &g->arg, 500 * MS, &g->inst, &err) == 0, g, err.text);
    expect(g, "nop", 0, 0, VM_OK, 0);
    vm_detach(g->vm);
    return g;
}

static void *stage(void *arg)
{
    (void)arg;
    struct vm_module *m = NULL;
    for (unsigned i = 0; i < cycles; i++) {
        if (i % FRESH_MODULE_EVERY == 0) {
            vm_module_unref(&m);
            m = fresh_module(i);
        }
        box_put(&to_first, build(i, m));
        for (;;) {
            pthread_mutex_lock(&to_stager.lock);
            bool is_empty = to_stager.count == 0;
            pthread_mutex_unlock(&to_stager.lock);
            if (is_empty)
                break;
            dispose(box_take(&to_stager));
        }
    }
    vm_module_unref(&m);
    box_put(&to_first, NULL);
    for (struct guest *g; (g = box_take(&to_stager));)
        dispose(g);
    return NULL;
}

static void test_vms_travel_between_threads(void **state)
{
    (void)state;
    guest_host_take_signals();
    struct vm_engine_counters before, after;
    vm_engine_counters(&before);
    struct worker first = {&to_first, &to_second}, second = {&to_second, &to_stager};
    pthread_t threads[3];
    pthread_create(&threads[0], NULL, stage, NULL);
    pthread_create(&threads[1], NULL, work, &first);
    pthread_create(&threads[2], NULL, work, &second);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    vm_engine_counters(&after);
    assert_int_equal(after.created - before.created, cycles);
    assert_int_equal(after.active, before.active);
    assert_int_equal(after.terminations - before.terminations, 2 * ((cycles + 3) / 4));
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vms_travel_between_threads),
    };
    const char *wanted = getenv("HANDOVER_CYCLES");
    if (argc < 2)
        return 2;
    guest_path = argv[1];
    if (!wanted)
        wanted = argc > 2 ? argv[2] : "300";
    cycles = (unsigned)strtoul(wanted, NULL, 10);
    bytes = guest_host_read(guest_path, &bytes_n);
    guest_host_start_engine(false, "--compact-on-every-full-gc --stress-compaction");
    return cmocka_run_group_tests_name("handover", tests, NULL, NULL);
}
