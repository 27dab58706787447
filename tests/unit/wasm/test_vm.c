/* The engine's face: calls, traps, limits, host functions. argv[1]: folder of the
 * modules; argv[2]: "no-trap-handler" to run with explicit bounds checks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <pthread.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "guest_host.h"

enum { HEAP = 16 << 20, CALL_NS = 200000000 };

static const char *folder;
static struct vm_module *guest;
static struct vm *vm;
static struct vm_inst *inst;
static int arg_of_guest;

static void setup_inst(struct vm **vm_r, struct vm_inst **inst_r, void *arg)
{
    struct error err = {0};
    assert_int_equal(vm_create(HEAP, &guest_host, vm_r, &err), 0);
    vm_attach(*vm_r);
    if (vm_inst_create(*vm_r, guest, arg, CALL_NS, inst_r, &err) != 0)
        fail_msg("%s", err.text);
}

static struct vm_module *compile(const char *file)
{
    char path[1024];
    snprintf(path, sizeof(path), "%s/%s", folder, file);
    struct error err = {0};
    struct vm_module *m = NULL;
    size_t n;
    void *bytes = guest_host_read(path, &n);
    if (vm_module_compile(bytes, n, &m, &err) != 0)
        fail_msg("%s: %s", file, err.text);
    mem_free(bytes);
    return m;
}

static int setup_engine(void **state)
{
    (void)state;
    guest = compile("guest.wasm");
    setup_inst(&vm, &inst, &arg_of_guest);
    return 0;
}

static int teardown_engine(void **state)
{
    (void)state;
    vm_detach(vm);
    vm_destroy(&vm);
    vm_module_unref(&guest);
    return 0;
}

static enum vm_result call(const char *name, int32_t a, int32_t b, int32_t *result_r)
{
    struct vm_func *f = vm_inst_func(inst, name);
    assert_non_null(f);
    int32_t args[2] = {a, b};
    unsigned n = (unsigned)(strchr(vm_func_sig(f), ':') - vm_func_sig(f));
    guest_host_take_signals();
    return vm_call(f, args, n, result_r, CALL_NS);
}

static const struct {
    const char *func;
    int32_t a, b;
    enum vm_result result;
    int32_t value;    /* VM_OK */
    const char *text; /* else: what the error contains */
} calls[] = {
    {"nop", 0, 0, VM_OK, 0, NULL},
    {"add", 2, 3, VM_OK, 5, NULL},
    {"add", INT32_MAX, 1, VM_OK, INT32_MIN, NULL},
    {"add", INT32_MIN, 0, VM_OK, INT32_MIN, NULL},
    {"add", -1, -1, VM_OK, -2, NULL},
    {"trap", 0, 0, VM_TRAPPED, 0, "Uncaught RuntimeError: unreachable"},
    {"out_of_bounds", 0, 0, VM_TRAPPED, 0, "Uncaught RuntimeError: memory access out of bounds"},
    {"divide", 7, 2, VM_OK, 3, NULL},
    {"divide", 7, 0, VM_TRAPPED, 0, "Uncaught RuntimeError: divide by zero"},
    {"recurse", 0, 0, VM_TRAPPED, 0, "Uncaught RangeError: Maximum call stack size exceeded"},
    {"call_sum", 100, 0, VM_OK, 108, NULL},
    {"call_fetch", 0, 0, VM_OK, 0, NULL},
    {"call_fetch", 1, 0, VM_OK, ('b' << 16) | 1, NULL},
    {"call_fetch", 60, 0, VM_OK, (('a' + 60 % 26) << 16) | 60, NULL},
    {"call_fetch", -1, 0, VM_OK, -1, NULL},
    {"call_fetch", -12, 0, VM_OK, -12, NULL},
    {"call_fetch", INT32_MIN, 0, VM_TRAPPED, 0, "Uncaught Error: no such value"},
    {"call_refuse", 1, 0, VM_TRAPPED, 0, "Uncaught Error: restricted_callback"},
    {"call_refuse", 0, 0, VM_TRAPPED, 0, "Uncaught RuntimeError: unreachable"},
    {"spin", 0, 0, VM_TERMINATED, 0, "TerminationException"},
    {"host_loop", 0, 0, VM_TERMINATED, 0, "TerminationException"},
    {"fetch_loop", 0, 0, VM_TERMINATED, 0, "TerminationException"},
    {"fill_loop", 0, 0, VM_TERMINATED, 0, "TerminationException"},
    {"add", 20, 22, VM_OK, 42, NULL},
};

static void test_calls(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
        int32_t value = 0;
        uint64_t start = clock_thread_cpu_ns();
        enum vm_result r = call(calls[i].func, calls[i].a, calls[i].b, &value);
        uint64_t ms = (clock_thread_cpu_ns() - start) / 1000000;
        if (r != calls[i].result || (r == VM_OK && value != calls[i].value))
            fail_msg("row %zu %s: result %d value %d (%s)", i, calls[i].func, r, value,
                     vm_error(inst));
        if (r != VM_OK && !strstr(vm_error(inst), calls[i].text))
            fail_msg("row %zu %s: text %s", i, calls[i].func, vm_error(inst));
        if (ms > 2000)
            fail_msg("row %zu %s: took %d ms of CPU", i, calls[i].func, (int)ms);
    }
}

static void test_backtrace_names_functions(void **state)
{
    (void)state;
    assert_int_equal(call("deep_trap", 0, 0, NULL), VM_TRAPPED);
    const char *text = vm_error(inst);
    const char *head = strstr(text, "\nProxy-Wasm plugin in-VM backtrace:\n  0:  0x");
    assert_non_null(head);
    assert_non_null(strstr(head, " - trap\n  1:  0x"));
    assert_non_null(strstr(head, " - inner\n  2:  0x"));
}

static void test_memory_grows_and_is_bounded(void **state)
{
    (void)state;
    int32_t old;
    size_t before = vm_mem_size(inst);
    assert_non_null(vm_mem(inst, (uint32_t)before - 4, 4));
    assert_null(vm_mem(inst, (uint32_t)before - 4, 5));
    assert_null(vm_mem(inst, 0xffffffff, 2));
    assert_non_null(vm_mem(inst, (uint32_t)before, 0));
    assert_int_equal(call("grow", 1, 0, &old), VM_OK);
    assert_int_equal(old, before / 65536);
    uint8_t *p = vm_mem(inst, (uint32_t)before, 4);
    assert_non_null(p);
    memcpy(p, "\x2a\0\0\0", 4);
    int32_t value;
    assert_int_equal(call("load", (int32_t)before, 0, &value), VM_OK);
    assert_int_equal(value, 42);
    assert_int_equal(call("grow", 1000, 0, &old), VM_OK);
    assert_int_equal(old, -1);
    assert_int_equal(vm_mem_size(inst), before + 65536);
}

/* A guest's allocator may fail, lie, trap, or call the host. */
static void test_allocator_modes(void **state)
{
    (void)state;
    static const struct {
        int32_t mode;
        enum vm_result result;
        int32_t value;
    } rows[] = {{1, VM_OK, -6}, {2, VM_OK, -6}, {3, VM_TRAPPED, 0}, {4, VM_OK, ('b' << 16) | 1}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int32_t value = 0;
        guest_host_seen = (struct guest_host_seen){0};
        assert_int_equal(call("alloc_mode", rows[i].mode, 0, NULL), VM_OK);
        assert_int_equal(call("call_fetch", 1, 0, &value), rows[i].result);
        if (rows[i].result == VM_OK)
            assert_int_equal(value, rows[i].value);
        assert_int_equal(guest_host_seen.notes_in_allocator, rows[i].mode == 4);
        assert_int_equal(call("alloc_mode", 0, 0, NULL), VM_OK);
        assert_int_equal(call("call_note", 0, 0, NULL), VM_OK);
        assert_int_equal(guest_host_seen.notes_in_allocator, rows[i].mode == 4);
        assert_true(guest_host_seen.notes > 0);
    }
}

static void test_signatures(void **state)
{
    (void)state;
    static const char *const sigs[][2] = {{"nop", ":v"},
                                          {"add", "ii:i"},
                                          {"first8", "iiiiiiii:i"},
                                          {"wide", "l:l"},
                                          {"malloc", "i:i"}};
    for (size_t i = 0; i < ARRAY_LEN(sigs); i++) {
        struct vm_func *f = vm_inst_func(inst, sigs[i][0]);
        assert_non_null(f);
        assert_true(vm_func_has_sig(f, sigs[i][1]));
        assert_false(vm_func_has_sig(f, "i:v"));
    }
    assert_null(vm_inst_func(inst, "memory"));
    assert_null(vm_inst_func(inst, "absent"));
    int32_t args[8] = {5, 0, 0, 0, 0, 0, 0, 3}, r;
    assert_int_equal(vm_call(vm_inst_func(inst, "first8"), args, 8, &r, 0), VM_OK);
    assert_int_equal(r, 77);
}

static void test_two_vms_alternate_on_one_thread(void **state)
{
    (void)state;
    struct vm *other;
    struct vm_inst *other_inst, *first_inst = inst;
    int other_arg;
    setup_inst(&other, &other_inst, &other_arg);
    for (int i = 0; i < 1000; i++) {
        int32_t r;
        inst = i & 1 ? other_inst : first_inst;
        assert_int_equal(call("call_sum", i, 0, &r), VM_OK);
        assert_int_equal(r, guest_host_sum(i));
        assert_ptr_equal(guest_host_seen.last_arg,
                         i & 1 ? (void *)&other_arg : (void *)&arg_of_guest);
        if (i % 100 == 1)
            assert_int_equal(call("out_of_bounds", 0, 0, NULL), VM_TRAPPED);
    }
    inst = first_inst;
    vm_detach(other);
    vm_destroy(&other);
    assert_null(other);
}

static void test_calls_survive_collections(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++) {
        int32_t r;
        vm_collect(vm);
        assert_int_equal(call("call_fetch", 30, 0, &r), VM_OK);
        assert_int_equal(r, (('a' + 4) << 16) | 30);
    }
}

static void test_compile_refuses_what_is_no_module(void **state)
{
    (void)state;
    struct error err = {0};
    struct vm_module *m = NULL;
    assert_int_equal(vm_module_compile("hello", 5, &m, &err), -ERR_INVALID);
    assert_non_null(strstr(err.text, "CompileError"));
    assert_null(m);
}

static const struct {
    const char *file;
    int rc;
    const char *text;
} starts[] = {
    {"missing_import.wasm", -ERR_NOT_FOUND,
     "Failed to load Wasm module due to a missing import: wasi_snapshot_preview1.proc_raise"},
    {"wrong_import.wasm", -ERR_INVALID,
     "Failed to load Wasm module due to an import type mismatch: env.refuse, want: i32 i64 -> f32, "
     "but host exports: i32 -> i32"},
    {"trap_start.wasm", -ERR_TRAP,
     "Failed to initialize Wasm module: Uncaught Error: restricted_callback"},
    {"spin_start.wasm", -ERR_TERMINATED,
     "Failed to initialize Wasm module: TerminationException: start deadline exceeded"},
    {"wrong_malloc.wasm", -ERR_INVALID,
     "Bad function signature for: malloc, want: i32 -> i32, but the module exports: i64 -> void"},
    {"imports.wasm", 0, ""},
    {"guest.wasm", 0, ""},
};

/* Instances that fail leave the vm fit for another one. */
static void test_starts(void **state)
{
    (void)state;
    guest_host_take_signals();
    struct vm *one;
    assert_int_equal(vm_create(HEAP, &guest_host, &one, NULL), 0);
    vm_attach(one);
    for (size_t i = 0; i < ARRAY_LEN(starts); i++) {
        struct error err = {0};
        struct vm_inst *made = NULL;
        struct vm_module *m = compile(starts[i].file);
        int rc = vm_inst_create(one, m, NULL, CALL_NS, &made, &err);
        vm_module_unref(&m);
        if (rc != starts[i].rc || strcmp(err.text, starts[i].text) != 0)
            fail_msg("row %zu %s: rc %d text \"%s\"", i, starts[i].file, rc, err.text);
        if (rc == 0)
            assert_int_equal(vm_call(vm_inst_func(made, "nop"), NULL, 0, NULL, CALL_NS), VM_OK);
    }
    vm_detach(one);
    vm_destroy(&one);
}

/* A memory and a table that the guest imports: the host makes them as declared. */
static void test_imported_memory_and_table(void **state)
{
    (void)state;
    guest_host_take_signals();
    struct vm *one;
    struct vm_inst *made;
    struct error err = {0};
    assert_int_equal(vm_create(HEAP, &guest_host, &one, NULL), 0);
    vm_attach(one);
    struct vm_module *m = compile("imports.wasm");
    assert_int_equal(vm_inst_create(one, m, NULL, CALL_NS, &made, &err), 0);
    int32_t r;
    assert_int_equal(vm_mem_size(made), 3 * 65536);
    memcpy(vm_mem(made, 100, 4), "\x07\0\0\0", 4);
    assert_int_equal(vm_call(vm_inst_func(made, "load100"), NULL, 0, &r, CALL_NS), VM_OK);
    assert_int_equal(r, 7);
    assert_int_equal(vm_call(vm_inst_func(made, "grow"), NULL, 0, &r, CALL_NS), VM_OK);
    assert_int_equal(r, 3);
    assert_int_equal(vm_mem_size(made), 4 * 65536);
    assert_int_equal(vm_call(vm_inst_func(made, "grow"), NULL, 0, &r, CALL_NS), VM_OK);
    assert_int_equal(r, -1);
    vm_detach(one);
    vm_destroy(&one);
    vm_module_unref(&m);
}

/* Calls that end about when their deadline does: a late kill must not hit what comes after. */
static void test_late_kills_hit_no_other_call(void **state)
{
    (void)state;
    guest_host_take_signals();
    struct vm_func *work = vm_inst_func(inst, "work"), *add = vm_inst_func(inst, "add");
    unsigned killed = 0, rounds = 600;
    unsigned seed = 3;
    for (unsigned i = 0; i < rounds; i++) {
        int32_t args[2] = {1 + rand_r(&seed) % 16000000, 0}, r;
        enum vm_result was = vm_call(work, args, 1, NULL, 700000);
        assert_int_not_equal(was, VM_TRAPPED);
        killed += was == VM_TERMINATED;
        args[0] = (int32_t)i;
        args[1] = 1;
        assert_int_equal(vm_call(add, args, 2, &r, 0), VM_OK);
        assert_int_equal(r, i + 1);
    }
    assert_true(killed > 0);
    assert_true(killed < rounds);
}

/* Traps make garbage: a small heap must take any number of them. */
static void test_small_heap_survives_traps(void **state)
{
    (void)state;
    guest_host_take_signals();
    struct vm *small;
    struct vm_inst *made;
    struct error err = {0};
    assert_int_equal(vm_create(4 << 20, &guest_host, &small, NULL), 0);
    vm_attach(small);
    assert_int_equal(vm_inst_create(small, guest, NULL, CALL_NS, &made, &err), 0);
    struct vm_func *trap = vm_inst_func(made, "deep_trap");
    struct vm_func *grow = vm_inst_func(made, "grow_table");
    for (int i = 0; i < 5000; i++)
        assert_int_equal(vm_call(trap, NULL, 0, NULL, CALL_NS), VM_TRAPPED);
    int32_t arg = 50, r;
    assert_int_equal(vm_call(grow, &arg, 1, &r, CALL_NS), VM_OK);
    assert_int_equal(r, 4);
    arg = 1000;
    assert_int_equal(vm_call(grow, &arg, 1, &r, CALL_NS), VM_OK);
    assert_int_equal(r, -1);
    vm_detach(small);
    vm_destroy(&small);
}

/* V8 knows only about the main thread's stack unless told. */
static void *recurse_on_small_stack(void *arg)
{
    vm_attach(arg);
    static enum vm_result results[2];
    results[0] = call("recurse", 0, 0, NULL);
    results[1] = call("call_fetch", 60, 0, NULL);
    vm_detach(arg);
    return results;
}

static void test_small_stack(void **state)
{
    (void)state;
    struct vm_inst *mine = inst;
    struct vm *one;
    pthread_attr_t attr;
    pthread_t thread;
    void *results;
    setup_inst(&one, &inst, NULL);
    vm_detach(one);
    guest_host_take_signals();
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, 256 << 10);
    assert_int_equal(pthread_create(&thread, &attr, recurse_on_small_stack, one), 0);
    pthread_join(thread, &results);
    pthread_attr_destroy(&attr);
    inst = mine;
    assert_int_equal(((enum vm_result *)results)[0], VM_TRAPPED);
    assert_int_equal(((enum vm_result *)results)[1], VM_OK);
    vm_destroy(&one);
}

static void put_u32(struct sbuf *b, uint32_t v)
{
    for (; v >= 0x80; v >>= 7)
        sbuf_addc(b, (char)(v | 0x80));
    sbuf_addc(b, (char)v);
}

static void put_section(struct sbuf *out, char id, struct sbuf *body)
{
    sbuf_addc(out, id);
    put_u32(out, (uint32_t)body->n);
    sbuf_add(out, body->p, body->n);
    sbuf_fini(body);
}

/* A module whose n functions are all exported: an object of V8's heap each. */
static void put_exporter(struct sbuf *out, unsigned n)
{
    struct sbuf b = {0};
    sbuf_add(out, "\0asm\1\0\0\0\x01\x04\x01\x60\x00\x00", 8 + 6);
    put_u32(&b, n);
    for (unsigned i = 0; i < n; i++)
        put_u32(&b, 0);
    put_section(out, 3, &b);
    put_u32(&b, n);
    for (unsigned i = 0; i < n; i++) {
        char name[8];
        snprintf(name, sizeof(name), "f%05u", i);
        put_u32(&b, 6);
        sbuf_addz(&b, name);
        sbuf_addc(&b, 0);
        put_u32(&b, i);
    }
    put_section(out, 7, &b);
    put_u32(&b, n);
    for (unsigned i = 0; i < n; i++)
        sbuf_add(&b, "\x02\x00\x0b", 3);
    put_section(out, 10, &b);
}

/* V8 aborts the process when its heap is full: the limit must be noticed before, and the default
 * be enough for the most exports that a module may have. */
static void test_full_heap_fails_the_instance(void **state)
{
    (void)state;
    guest_host_take_signals();
    static const struct {
        size_t heap;
        int rc;
        const char *text;
    } rows[] = {
        {2 << 20, -ERR_TERMINATED,
         "Failed to initialize Wasm module: TerminationException: engine heap limit reached"},
        {VM_HEAP_DEFAULT, 0, ""}};
    struct sbuf bytes = {0};
    put_exporter(&bytes, 20000);
    struct vm_module *m;
    assert_int_equal(vm_module_compile(bytes.p, bytes.n, &m, NULL), 0);
    sbuf_fini(&bytes);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct vm *one;
        struct vm_inst *made;
        struct error err = {0};
        assert_int_equal(vm_create(rows[i].heap, &guest_host, &one, NULL), 0);
        vm_attach(one);
        int rc = vm_inst_create(one, m, NULL, CALL_NS, &made, &err);
        if (rc != rows[i].rc || strcmp(err.text, rows[i].text) != 0)
            fail_msg("row %zu: rc %d text \"%s\"", i, rc, err.text);
        vm_detach(one);
        vm_destroy(&one);
    }
    vm_module_unref(&m);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calls),
        cmocka_unit_test(test_backtrace_names_functions),
        cmocka_unit_test(test_memory_grows_and_is_bounded),
        cmocka_unit_test(test_allocator_modes),
        cmocka_unit_test(test_signatures),
        cmocka_unit_test(test_two_vms_alternate_on_one_thread),
        cmocka_unit_test(test_calls_survive_collections),
        cmocka_unit_test(test_starts),
        cmocka_unit_test(test_imported_memory_and_table),
        cmocka_unit_test(test_late_kills_hit_no_other_call),
        cmocka_unit_test(test_small_heap_survives_traps),
        cmocka_unit_test(test_small_stack),
        cmocka_unit_test(test_full_heap_fails_the_instance),
        cmocka_unit_test(test_compile_refuses_what_is_no_module),
    };
    if (argc < 2)
        return 2;
    folder = argv[1];
    guest_host_start_engine(argc > 2 && strcmp(argv[2], "no-trap-handler") == 0, NULL);
    return cmocka_run_group_tests_name("vm", tests, setup_engine, teardown_engine);
}
