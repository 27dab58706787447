#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "server/overload.h"

static const struct {
    double from, to, pressure;
    uint32_t level;
} levels[] = {
    {0.9, 0.9, 0.89, 0},       {0.9, 0.9, 0.9, 1000}, {0.9, 0.9, 1.5, 1000}, {0.2, 0.4, 0.2, 0},
    {0.2, 0.4, 0.300001, 500}, {0.2, 0.4, 0.4, 1000}, {0, 1, 0, 0},
};

static void test_levels(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(levels); i++) {
        struct conf_overload_trigger t = {.from = levels[i].from, .to = levels[i].to};
        if (overload_level_of(&t, levels[i].pressure) != levels[i].level)
            fail_msg("row %zu", i);
    }
}

static void test_strikes(void **state)
{
    (void)state;
    unsigned n = 0;
    assert_false(overload_strikes(OVERLOAD_SHRINK_HEAP));
    overload_set(OVERLOAD_SHRINK_HEAP, OVERLOAD_FULL);
    assert_true(overload_strikes(OVERLOAD_SHRINK_HEAP));
    overload_set(OVERLOAD_SHRINK_HEAP, 250);
    for (int i = 0; i < 4000; i++)
        n += overload_strikes(OVERLOAD_SHRINK_HEAP);
    assert_in_range(n, 800, 1200);
    overload_set(OVERLOAD_SHRINK_HEAP, 0);
}

static void put(const char *root, const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", root, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static bool is_near(double a, double b)
{
    return a > b - 0.001 && a < b + 0.001;
}

static void test_cgroup(void **state)
{
    (void)state;
    char root[] = "/tmp/remora-cgroup-XXXXXX", v1[64];
    assert_non_null(mkdtemp(root));
    snprintf(v1, sizeof(v1), "%s/memory", root);
    assert_true(is_near(overload_cgroup_pressure(root, 0), 0));
    mkdir(v1, 0700);
    put(v1, "memory.usage_in_bytes", "600\n");
    put(v1, "memory.limit_in_bytes", "1000\n");
    put(v1, "memory.stat", "cache 5\ntotal_inactive_file 100\n");
    assert_true(is_near(overload_cgroup_pressure(root, 0), 0.5));
    put(v1, "memory.limit_in_bytes", "9223372036854771712\n");
    assert_true(is_near(overload_cgroup_pressure(root, 0), 0));
    put(root, "memory.current", "900\n");
    put(root, "memory.max", "max\n");
    assert_true(is_near(overload_cgroup_pressure(root, 0), 0));
    assert_true(is_near(overload_cgroup_pressure(root, 1800), 0.5));
    put(root, "memory.max", "1000\n");
    assert_true(is_near(overload_cgroup_pressure(root, 1800), 0.9));
    put(root, "memory.stat", "anon 1\ninactive_file 400\nactive_file 2\n");
    assert_true(is_near(overload_cgroup_pressure(root, 0), 0.5));
    assert_true(is_near(overload_cgroup_pressure(root, 500), 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_levels),
        cmocka_unit_test(test_strikes),
        cmocka_unit_test(test_cgroup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
