#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
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

static void test_groups(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *text, *groups[4]; /* as they are asked for; NULL: not there */
        unsigned n;
        bool is_found;
    } rows[] = {
        {"^cluster\\.((.+?)\\.)", "cluster.a.b", {"cluster.a.", "a.", "a"}, 2, true},
        {"_rq(_(\\d{3}))$", "x_rq_200", {"_rq_200", "_200", "200"}, 2, true},
        {"(a)|(b)", "xb", {"b", NULL, "b"}, 2, true},
        {"(a)?b", "b", {"b", NULL}, 1, true},
        {"(a*)b", "b", {"b", ""}, 1, true},
        {"ab", "xab", {"ab"}, 0, true},
        {"(((((((((((a)))))))))))", "a", {"a", "a", "a", "a"}, 11, true},
        {"a", "b", {NULL}, 0, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct regex *re = NULL;
        struct error err;
        struct str groups[12];
        assert_int_equal(regex_create(str_of(rows[i].pattern), &re, &err), 0);
        assert_int_equal(regex_groups(re), rows[i].n);
        assert_int_equal(regex_find(re, str_of(rows[i].text), groups, 12), rows[i].is_found);
        for (size_t k = 0; rows[i].is_found && k < 4; k++)
            if (!groups[k].p != !rows[i].groups[k] ||
                (groups[k].p && !str_is(groups[k], rows[i].groups[k])))
                fail_msg("%s on %s: group %zu", rows[i].pattern, rows[i].text, k);
        regex_destroy(&re);
    }
}

/* Bad syntax, what cannot be matched in linear time, and what would take too much memory. */
static void test_refused(void **state)
{
    (void)state;
    static const char *const patterns[] = {
        "(", "[a", "a**", "\\", "(?<=a)b", "(a)\\1", "((a{100}){100}){100}", "(?P<n>a",
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

static const struct {
    const char *pattern, *text, *to, *want; /* NULL: too long */
} replacements[] = {
    {"one", "a one b one", "two", "a two b two"},
    {"^/re/([a-z]*)/([0-9]+)", "/re/ab/12/c", "/\\2/\\1", "/12/ab/c"},
    {"x", "abc", "-", "abc"},
    {"x*", "axb", "-", "-a-b-"},
    {"", "ab", "-", "-a-b-"},
    {"(a)|(b)", "ab", "[\\1\\2]", "[a][b]"},
    {".", "a\\b", "\\\\\\0", "\\a\\\\\\b"},
    {".", "\xc3\xa9", "?", "??"},
    {"a$", "aa", "", "a"},
    {".*", "", "x", "x"},
    {".", "aaaaa", "0123456789012345678901234567890123456789", NULL},
};

static void test_replace(void **state)
{
    (void)state;
    struct regex *re;
    struct error err;
    for (size_t i = 0; i < ARRAY_LEN(replacements); i++) {
        struct sbuf out = {0};
        assert_int_equal(regex_create(str_of(replacements[i].pattern), &re, NULL), 0);
        assert_int_equal(regex_check_substitution(re, str_of(replacements[i].to), NULL), 0);
        bool done =
            regex_replace(re, str_of(replacements[i].text), str_of(replacements[i].to), 100, &out);
        if (done != (replacements[i].want != NULL) ||
            (done && strcmp(out.p ? out.p : "", replacements[i].want) != 0))
            fail_msg("%s: %s", replacements[i].pattern, out.p);
        sbuf_fini(&out);
        regex_destroy(&re);
    }
    assert_int_equal(regex_create(STR("(a)"), &re, NULL), 0);
    assert_int_not_equal(regex_check_substitution(re, STR("\\2"), &err), 0);
    assert_int_not_equal(regex_check_substitution(re, STR("\\x"), &err), 0);
    regex_destroy(&re);
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
        cmocka_unit_test(test_matches),        cmocka_unit_test(test_groups),
        cmocka_unit_test(test_refused),        cmocka_unit_test(test_replace),
        cmocka_unit_test(test_time_is_linear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
