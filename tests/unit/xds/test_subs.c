/* Subscriptions: counts, what the stream was told, what is held. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/err.h"
#include "base/mem.h"
#include "xds/subs.h"

static void test_counts(void **state)
{
    struct subs s;
    (void)state;
    subs_init(&s);
    assert_true(subs_is_empty(&s));
    assert_false(subs_has_changes(&s));
    assert_int_equal(subs_want(&s, "a"), 0);
    assert_int_equal(subs_want(&s, "a"), 0);
    subs_unwant(&s, "a");
    assert_true(subs_is_wanted(&s, "a") && !subs_is_empty(&s));
    subs_unwant(&s, "a");
    subs_unwant(&s, "a"); /* once too often: nothing happens */
    assert_false(subs_is_wanted(&s, "a"));
    assert_true(subs_is_empty(&s) && !hash_count(&s.names));
    subs_fini(&s);
}

static void test_changes(void **state)
{
    struct subs s;
    (void)state;
    subs_init(&s);
    subs_want(&s, "a");
    assert_true(subs_has_changes(&s));
    subs_mark_sent(&s);
    assert_false(subs_has_changes(&s));
    /* One for another: the number stays the same. */
    subs_unwant(&s, "a");
    subs_want(&s, "b");
    assert_true(subs_has_changes(&s));
    subs_unwant(&s, "b");
    subs_want(&s, "a");
    assert_false(subs_has_changes(&s));
    s.is_all = true;
    assert_true(subs_has_changes(&s) && subs_is_wanted(&s, "any"));
    subs_mark_sent(&s);
    assert_true(s.is_named);
    subs_reset_stream(&s);
    assert_true(subs_has_changes(&s) && !s.is_named);
    subs_fini(&s);
}

static void test_names_are_kept_while_something_speaks_of_them(void **state)
{
    struct subs s;
    (void)state;
    subs_init(&s);
    subs_want(&s, "a");
    subs_mark_sent(&s);
    subs_set_held(&s, "a", "");
    subs_unwant(&s, "a");
    assert_int_equal(hash_count(&s.names), 1); /* told, held */
    subs_mark_sent(&s);
    assert_int_equal(hash_count(&s.names), 1); /* held */
    subs_drop_held(&s, "a");
    subs_drop_held(&s, "a");
    assert_int_equal(hash_count(&s.names), 0);
    subs_want(&s, "b");
    subs_mark_sent(&s);
    subs_unwant(&s, "b");
    subs_reset_stream(&s);
    assert_int_equal(hash_count(&s.names), 0);
    subs_fini(&s);
}

static void test_order(void **state)
{
    static const char *const wanted[] = {"z", "a", "m"};
    struct subs s;
    size_t i = 0;
    (void)state;
    subs_init(&s);
    for (size_t k = 0; k < ARRAY_LEN(wanted); k++)
        subs_want(&s, wanted[k]);
    subs_want(&s, "a");
    list_for_each (it, &s.list)
        assert_string_equal(container_of(it, struct sub, node)->name, wanted[i++]);
    assert_int_equal(i, ARRAY_LEN(wanted));
    subs_fini(&s);
}

static void test_limit(void **state)
{
    struct subs s;
    char name[] = "name-0000000";
    (void)state;
    subs_init(&s);
    for (unsigned i = 0; i < SUBS_NAMES_MAX; i++) {
        for (unsigned k = 0, v = i; k < 7; k++, v /= 10)
            name[11 - k] = (char)('0' + v % 10);
        assert_int_equal(subs_want(&s, name), 0);
    }
    assert_int_equal(subs_want(&s, "one more"), -ERR_LIMIT);
    assert_int_equal(subs_want(&s, name), 0);
    subs_set_held(&s, "one more", "v"); /* not noted, and no harm */
    assert_false(subs_is_wanted(&s, "one more"));
    subs_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_changes),
        cmocka_unit_test(test_names_are_kept_while_something_speaks_of_them),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
