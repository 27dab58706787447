/* Lookups of runtime values: layers, types, shares. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/str.h"
#include "conf/runtime.h"

static struct runtime *make(void)
{
    const struct runtime_fraction share = {5, 1000000};
    struct runtime *r = runtime_create();
    assert_true(runtime_add_layer(r, "first"));
    runtime_set(r, STR("a"), "1", NULL);
    runtime_set(r, STR("b"), "true", NULL);
    runtime_set(r, STR("t"), "text", NULL);
    runtime_set(r, STR("half"), "0.5", NULL);
    runtime_set(r, STR("low"), "-1", NULL);
    runtime_set(r, STR("zero"), "0", NULL);
    runtime_set(r, STR("loud"), "True", NULL);
    assert_true(runtime_add_layer(r, "second"));
    runtime_set(r, STR("a"), "30", NULL);
    runtime_set(r, STR("share"), "{}", &share);
    return r;
}

static void test_lookups(void **state)
{
    (void)state;
    struct runtime *r = make();
    static const struct {
        const char *key;
        uint64_t integer;
        bool boolean;
    } rows[] = {
        {"zero", 0, false},  {"loud", 9, true},  {"a", 30, true},   {"b", 9, true},
        {"t", 9, false},     {"half", 9, false}, {"low", 9, false}, {"none", 9, false},
        {"share", 9, false}, {"", 9, false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        print_message("%s\n", rows[i].key);
        assert_int_equal(runtime_integer(r, str_of(rows[i].key), 9), rows[i].integer);
        assert_int_equal(runtime_boolean(r, str_of(rows[i].key), false), rows[i].boolean);
    }
    assert_string_equal(runtime_text(r, STR("t"), ""), "text");
    assert_true(runtime_double(r, STR("half"), 0) > 0.4);
    assert_int_equal(runtime_integer(NULL, STR("a"), 4), 4);
    conf_object_unref(r);
}

static void test_shares(void **state)
{
    (void)state;
    struct runtime *r = make();
    const struct runtime_fraction def = {1, 10000};
    struct runtime_fraction f = runtime_share(r, STR("share"), def);
    assert_int_equal(f.numerator, 5);
    assert_int_equal(f.denominator, 1000000);
    f = runtime_share(r, STR("a"), def);
    assert_int_equal(f.numerator, 30);
    assert_int_equal(f.denominator, 100);
    f = runtime_share(r, STR("low"), def);
    assert_int_equal(f.denominator, 10000);
    conf_object_unref(r);
}

static void test_layers(void **state)
{
    (void)state;
    struct runtime *r = make();
    const struct runtime_value *v = runtime_find(r, STR("a"));
    assert_string_equal(v->layers[0], "1");
    assert_string_equal(v->layers[1], "30");
    assert_null(runtime_find(r, STR("b"))->layers[1]);
    while (r->layers_n < RUNTIME_LAYERS_MAX)
        assert_true(runtime_add_layer(r, "x"));
    assert_false(runtime_add_layer(r, "x"));
    conf_object_unref(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lookups),
        cmocka_unit_test(test_shares),
        cmocka_unit_test(test_layers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
