#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/regex.h"

static void test_matches(void **state)
{
    (void)state;
    static const struct {
        struct str pattern, text;
        bool is_match, is_found;
    } rows[] = {
        {STR("/api/.*"), STR("/api/x"), true, true},
        {STR("/api/.*"), STR("/v1/api/x"), false, true},
        {STR("/api"), STR("/api/x"), false, true},
        {STR("a|b"), STR("b"), true, true},
        {STR("a|b"), STR("bb"), false, true},
        {STR("^a$"), STR("a"), true, true},
        {STR("(?i)host"), STR("HoSt"), true, true},
        {STR(""), STR(""), true, true},
        {STR(""), STR("x"), false, true},
        {STR(".*"), STR_NULL, true, true},
        {STR(".+"), STR_NULL, false, false},
        {STR("a.b"), STR("a\nb"), false, false},
        {STR("a\\x00b"), STR("a\0b"), true, true},
        {STR("[a-z]{2,3}"), STR("abcd"), false, true},
        {STR("\\d+\\.\\d+"), STR("1.2"), true, true},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct regex *re = NULL;
        struct error err;
        assert_int_equal(regex_create(rows[i].pattern, &re, &err), 0);
        if (regex_match(re, rows[i].text) != rows[i].is_match ||
            regex_search(re, rows[i].text) != rows[i].is_found)
            fail_msg("%s on %s", rows[i].pattern.p, rows[i].text.p);
        regex_destroy(&re);
        assert_null(re);
        regex_destroy(&re);
    }
}

/* Bad syntax, what cannot be matched in linear time, and what would take too much memory. */
static void test_refused(void **state)
{
    (void)state;
    static const char *const patterns[] = {
        "(", "[a", "a**", "\\", "(?<=a)b", "(a)\\1", "((a{100}){100}){100}", "(?P<n>a", "\xff",
    };
    for (size_t i = 0; i < ARRAY_LEN(patterns); i++) {
        struct regex *re = NULL;
        struct error err = {0};
        if (regex_create(str_of(patterns[i]), &re, &err) != -ERR_INVALID)
            fail_msg("%s was taken", patterns[i]);
        assert_null(re);
        assert_int_equal(err.code, ERR_INVALID);
        assert_true(strncmp(err.text, "regex: ", 7) == 0 && err.text[7]);
        assert_int_equal(regex_create(str_of(patterns[i]), &re, NULL), -ERR_INVALID);
    }
}

/* Patterns on which backtracking engines take 2^n steps; the margin is that wide. */
static void test_time_is_linear(void **state)
{
    (void)state;
    static const char *const patterns[] = {"(a|a?)+", "(a*)*b", "(a|aa)+", "(.*a){12}"};
    static char text[20000];
    memset(text, 'a', sizeof(text));
    text[sizeof(text) - 1] = '!';
    uint64_t start_ns = clock_thread_cpu_ns();
    for (size_t i = 0; i < ARRAY_LEN(patterns); i++) {
        struct regex *re = NULL;
        struct error err;
        assert_int_equal(regex_create(str_of(patterns[i]), &re, &err), 0);
        assert_false(regex_match(re, (struct str){text, sizeof(text)}));
        regex_destroy(&re);
    }
    assert_true(clock_thread_cpu_ns() - start_ns < 20ull * 1000 * 1000 * 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matches),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_time_is_linear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
