/* The engine: nanoseconds per call into a guest, alone, with a deadline, with host functions; and
 * milliseconds to compile, build and dispose. Medians of interleaved rounds.
 * usage: bench_vm guest.wasm [ROUNDS] (guest.wasm and its host are those of tests/unit/wasm) */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "guest_host.h"

enum { CALLS = 100000, ROUNDS_MAX = 101, HEAP = 16 << 20, DEADLINE_NS = 100000000 };

static const struct row {
    const char *what, *func;
    uint64_t deadline_ns;
} rows[] = {
    {"empty function", "nop", 0},
    {"empty function, deadline", "nop", DEADLINE_NS},
    {"two numbers added, deadline", "add", DEADLINE_NS},
    {"one host call", "call_sum", DEADLINE_NS},
    {"60 bytes fetched through the allocator", "call_fetch", DEADLINE_NS},
    {"trap with backtrace", "deep_trap", DEADLINE_NS},
};

static double samples[ARRAY_LEN(rows)][ROUNDS_MAX];

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double round_of(struct vm_inst *inst, const struct row *row)
{
    struct vm_func *f = vm_inst_func(inst, row->func);
    int32_t args[2] = {60, 5}, r;
    const char *sig = vm_func_sig(f);
    unsigned n = 0, calls = row->func[0] == 'd' ? CALLS / 100 : CALLS;
    while (sig[n] != ':')
        n++;
    uint64_t start = clock_mono_ns();
    for (unsigned i = 0; i < calls; i++)
        vm_call(f, args, n, &r, row->deadline_ns);
    return (double)(clock_mono_ns() - start) / calls;
}

static double ms_since(uint64_t *since_ns)
{
    uint64_t now = clock_mono_ns();
    double ms = (double)(now - *since_ns) / 1e6;
    *since_ns = now;
    return ms;
}

int main(int argc, char **argv)
{
    unsigned rounds = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 11;
    if (argc < 2 || rounds < 1 || rounds > ROUNDS_MAX)
        return 2;
    size_t n;
    struct error err = {0};
    struct vm_module *module;
    struct vm *vm;
    struct vm_inst *inst;
    void *bytes = guest_host_read(argv[1], &n);
    uint64_t t = clock_mono_ns();
    guest_host_start_engine(false, NULL);
    printf("start of the engine %32.2f ms\n", ms_since(&t));
    if (vm_module_compile(bytes, n, &module, &err) != 0)
        return 1;
    printf("compilation of %5zu bytes %26.2f ms\n", n, ms_since(&t));
    if (vm_create(HEAP, &guest_host, &vm, &err) != 0)
        return 1;
    vm_attach(vm);
    printf("a vm %47.2f ms\n", ms_since(&t));
    if (vm_inst_create(vm, module, NULL, 0, &inst, &err) != 0)
        return 1;
    printf("its instance %39.2f ms\n", ms_since(&t));
    for (unsigned i = 0; i < rounds; i++)
        for (size_t k = 0; k < ARRAY_LEN(rows); k++)
            samples[k][i] = round_of(inst, &rows[k]);
    for (size_t k = 0; k < ARRAY_LEN(rows); k++) {
        qsort(samples[k], rounds, sizeof(double), by_value);
        printf("%-44s %7.1f ns\n", rows[k].what, samples[k][rounds / 2]);
    }
    t = clock_mono_ns();
    vm_detach(vm);
    vm_destroy(&vm);
    printf("disposal %43.2f ms\n", ms_since(&t));
    vm_module_unref(&module);
    mem_free(bytes);
    return 0;
}
