/* The probe: good modules pass, hostile ones end in the child. argv[1]: folder of the modules. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "guest_host.h"
#include "wasm/probe.h"

enum { CPU_S = 2, MEMORY_MAX = 300 << 20 };

static const char *folder;

static const struct {
    const char *file;
    int rc;
    const char *text;
} cases[] = {
    {"guest.wasm", 0, ""},
    {"missing_import.wasm", -ERR_NOT_FOUND,
     "Failed to load Wasm module due to a missing import: wasi_snapshot_preview1.proc_raise"},
    {"wrong_import.wasm", -ERR_INVALID,
     "Failed to load Wasm module due to an import type mismatch: env.refuse, want: i32 i64 -> f32, "
     "but host exports: i32 -> i32"},
    {"spin_start.wasm", -ERR_LIMIT, "over 2 s of CPU time"},
    {"fill_start.wasm", -ERR_LIMIT, "over 300 MiB of memory"},
#if !defined(__SANITIZE_ADDRESS__) /* which forbids RLIMIT_DATA */
    {"huge_start.wasm", -ERR_LIMIT,
     "Failed to initialize Wasm module: RangeError: WebAssembly.Instance(): Out of memory: wasm "
     "memory"},
#endif
    {"trap_start.wasm", 0, ""}, /* over the real host it may not trap */
    {"guest.wasm", 0, ""},
};

static void test_verdicts(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char path[1024];
        snprintf(path, sizeof(path), "%s/%s", folder, cases[i].file);
        size_t n;
        void *bytes = guest_host_read(path, &n);
        struct error err = {0};
        int rc = probe_run(bytes, n, &err);
        mem_free(bytes);
        if (rc != cases[i].rc || strcmp(err.text, cases[i].text) != 0)
            fail_msg("row %zu %s: rc %d text \"%s\"", i, cases[i].file, rc, err.text);
    }
}

static void test_what_is_no_module(void **state)
{
    (void)state;
    struct error err = {0};
    assert_int_equal(probe_run("", 0, &err), -ERR_INVALID);
    assert_int_equal(probe_run("\0asm\1\0\0\0\x01", 9, &err), -ERR_INVALID);
    assert_non_null(strstr(err.text, "CompileError"));
}

/* 7 KB that make V8 take half a gigabyte: 2,000 tables of 9,999 elements. */
static void test_many_tables(void **state)
{
    (void)state;
    struct sbuf b = {0};
    sbuf_add(&b, "\0asm\1\0\0\0\x04\xe2\x5d\xd0\x0f", 8 + 3 + 2);
    for (int i = 0; i < 2000; i++)
        sbuf_add(&b, "\x70\x01\x8f\x4e\x8f\x4e", 6);
    struct error err = {0};
    int rc = probe_run(b.p, b.n, &err);
    if (rc != -ERR_LIMIT || !strstr(err.text, "over "))
        fail_msg("rc %d text \"%s\"", rc, err.text);
    sbuf_fini(&b);
}

/* First child process of a process, 0 when it has none. */
static int child_of(int pid)
{
    char path[64];
    int child = 0;
    snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
    FILE *f = fopen(path, "r");
    if (f && fscanf(f, "%d", &child) != 1)
        child = 0;
    if (f)
        fclose(f);
    return child;
}

static void *crash_the_child(void *arg)
{
    (void)arg;
    struct timespec t = {0, 200000000};
    nanosleep(&t, NULL);
    int child = child_of(child_of(getpid()));
    if (child)
        kill(child, SIGALRM);
    return NULL;
}

static void test_a_crash_has_its_signal(void **state)
{
    (void)state;
    char path[1024];
    snprintf(path, sizeof(path), "%s/spin_start.wasm", folder);
    size_t n;
    void *bytes = guest_host_read(path, &n);
    pthread_t thread;
    pthread_create(&thread, NULL, crash_the_child, NULL);
    struct error err = {0};
    assert_int_equal(probe_run(bytes, n, &err), -ERR_LIMIT);
    assert_string_equal(err.text, "killed by signal 14 (Alarm clock)");
    pthread_join(thread, NULL);
    mem_free(bytes);
}

static bool is_alive(int pid)
{
    char path[64], state = 'Z';
    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    FILE *f = fopen(path, "r");
    if (!f)
        return false;
    if (fscanf(f, "%*d %*s %c", &state) != 1)
        state = 'Z';
    fclose(f);
    return state != 'Z' && state != 'X';
}

static int orphan;

static void *kill_the_zygote(void *arg)
{
    (void)arg;
    struct timespec t = {0, 300000000};
    nanosleep(&t, NULL);
    orphan = child_of(child_of(getpid()));
    kill(child_of(getpid()), SIGKILL);
    return NULL;
}

/* Runs last. */
static void test_a_lost_zygote_is_told(void **state)
{
    (void)state;
    char path[1024];
    snprintf(path, sizeof(path), "%s/spin_start.wasm", folder);
    size_t n;
    void *bytes = guest_host_read(path, &n);
    pthread_t thread;
    pthread_create(&thread, NULL, kill_the_zygote, NULL);
    struct error err = {0};
    assert_int_equal(probe_run(bytes, n, &err), -ERR_CLOSED);
    pthread_join(thread, NULL);
    mem_free(bytes);
    assert_int_not_equal(orphan, 0);
    struct timespec t = {0, 10000000};
    for (int i = 0; i < 100 && is_alive(orphan); i++)
        nanosleep(&t, NULL);
    assert_false(is_alive(orphan)); /* it dies with the zygote, long before its own limit */
    probe_stop();
    assert_int_equal(probe_run("x", 1, &err), -ERR_CLOSED);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verdicts),
        cmocka_unit_test(test_what_is_no_module),
        cmocka_unit_test(test_many_tables),
        cmocka_unit_test(test_a_crash_has_its_signal),
        cmocka_unit_test(test_a_lost_zygote_is_told),
    };
    if (argc < 2)
        return 2;
    folder = argv[1];
    struct error err = {0};
    struct probe_options o = {.engine = {.table_max = 10000, .memory_pages = 16384},
                              .host = &guest_host,
                              .cpu_s = CPU_S,
                              .memory_max = MEMORY_MAX,
                              .wall_s = 30};
    if (probe_start(&o, &err) != 0) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    return cmocka_run_group_tests_name("probe", tests, NULL, NULL);
}
