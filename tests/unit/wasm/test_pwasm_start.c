/* Ways in which modules start, allocate and name their ABI. argv[1]: folder of pwasm_start-*. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/mem.h"
#include "pwasm_harness.h"

static const char *folder;

static const struct {
    const char *name;
    int answer;          /* of proxy_on_request_headers */
    const char *failure; /* NULL: it starts */
} rows[] = {
    {"plain", 14, NULL},
    {"old_allocator", 14, NULL},
    {"start_function", 14, NULL},
    {"main", 14, NULL},
    {"abi_0_2_0", 14, NULL},
    {"abi_0_1_0", 13, NULL},
    {"no_allocator", 0, "Wasm module is missing malloc function."},
    {"no_abi", 0, "Missing or unknown Proxy-Wasm ABI version"},
    {"restricted", 0, "Function: _initialize failed: Uncaught Error: restricted_callback"},
    {"wrong_signature", 0,
     "Bad function signature for: proxy_on_vm_start, want: i32 i32 -> i32, but the module exports: "
     "i32 i32 -> i64"},
};

static void test_starts(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char path[1024];
        struct plugin_want want = {0};
        struct fake_stream f;
        snprintf(path, sizeof(path), "%s/pwasm_start-%s.wasm", folder, rows[i].name);
        harness_start(path);
        harness_open();
        struct pwasm_vm *vm = harness_vm(&want);
        if (!vm != !!rows[i].failure || (!vm && !strstr(harness_failure, rows[i].failure)))
            fail_msg("%s: %s", rows[i].name, harness_failure);
        if (vm) {
            pwasm_slot_install(harness_worker, "s", vm, true);
            assert_int_equal(fake_enter(&f), PWASM_RUN);
            int answer = fake_call(&f, PWASM_ON_REQUEST_HEADERS);
            if (answer != rows[i].answer)
                fail_msg("%s: answered %d", rows[i].name, answer);
            fake_close(&f, true);
            fake_fini(&f);
        }
        harness_close();
        harness_stop();
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_starts)};
    if (argc < 2)
        return 2;
    folder = argv[1];
    harness_start_engine();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
