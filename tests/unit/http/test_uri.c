#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/mem.h"
#include "http/uri.h"

static void test_split(void **state)
{
    (void)state;
    static const struct {
        const char *target, *path, *query; /* query NULL: none */
    } rows[] = {
        {"/", "/", NULL},        {"/a?b", "/a", "b"},    {"/a?", "/a", ""},
        {"/a?b?c", "/a", "b?c"}, {"/a#b?c", "/a", NULL}, {"/a?b#c", "/a", "b"},
        {"*", "*", NULL},        {"", "", NULL},         {"?x", "", "x"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct str path, query;
        uri_split_target(str_of(rows[i].target), &path, &query);
        assert_true(str_is(path, rows[i].path));
        assert_int_equal(query.p == NULL, rows[i].query == NULL);
        assert_true(str_eq(query, str_of(rows[i].query)));
        assert_true(str_is(uri_cut_query(str_of(rows[i].target)), rows[i].path));
    }
    assert_true(uri_has_fragment(STR("/a#")));
    assert_false(uri_has_fragment(STR("/a?b")));
}

static void test_authority(void **state)
{
    (void)state;
    static const struct {
        const char *authority;
        bool is_valid;
        const char *host;
        unsigned port;
    } rows[] = {
        {"a", true, "a", 0},
        {"a.example.com:8080", true, "a.example.com", 8080},
        {"a_b-c~d", true, "a_b-c~d", 0},
        {"127.0.0.1:1", true, "127.0.0.1", 1},
        {"[::1]", true, "[::1]", 0},
        {"[::ffff:1.2.3.4]:65535", true, "[::ffff:1.2.3.4]", 65535},
        {"a%41", true, "a%41", 0},
        {"", false, "", 0},
        {":80", false, "", 80},
        {"a:", false, "a", 0},
        {"a:x", false, "a", 0},
        {"a:65536", false, "a", 0},
        {"a:000001", false, "a", 0},
        {"a:+1", false, "a", 0},
        {"a:1:2", false, "a", 0},
        {"::1", false, "", 0},
        {"u@a", false, "u@a", 0},
        {"u:p@a", false, "u", 0},
        {"a/b", false, "a/b", 0},
        {"a b", false, "a b", 0},
        {"a?b", false, "a?b", 0},
        {"a\\b", false, "a\\b", 0},
        {"a\x80", false, "a\x80", 0},
        {"[]", false, "[]", 0},
        {"[::1", false, "[::1", 0},
        {"[::1]x", false, "[::1]", 0},
        {"[::1]80", false, "[::1]", 0},
        {"[fe80::1%25eth0]", false, "[fe80::1%25eth0]", 0},
        {"[v1.x]", false, "[v1.x]", 0},
        {"a]", false, "a]", 0},
        {"a[b", false, "a[b", 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct str a = str_of(rows[i].authority);
        if (uri_authority_is_valid(a) != rows[i].is_valid)
            fail_msg("validity of %s", rows[i].authority);
        if (!str_is(uri_cut_port(a), rows[i].host) || uri_port(a) != rows[i].port)
            fail_msg("parts of %s", rows[i].authority);
    }
    char host[] = "WWW.Example.COM";
    uri_lower(host, sizeof(host) - 1);
    assert_string_equal(host, "www.example.com");
}

static void test_parse(void **state)
{
    (void)state;
    static const struct {
        const char *text, *scheme, *authority, *target; /* scheme NULL: refused */
    } rows[] = {
        {"http://a/b?c", "http", "a", "/b?c"},
        {"https://[::1]:443", "https", "[::1]:443", ""},
        {"x+y-1.z://a?q", "x+y-1.z", "a", "?q"},
        {"http:/a", NULL, NULL, NULL},
        {"http:a", NULL, NULL, NULL},
        {"://a", NULL, NULL, NULL},
        {"1x://a", NULL, NULL, NULL},
        {"h_p://a", NULL, NULL, NULL},
        {"http://", NULL, NULL, NULL},
        {"http:///a", NULL, NULL, NULL},
        {"http://u@a/", NULL, NULL, NULL},
        {"a", NULL, NULL, NULL},
        {"", NULL, NULL, NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct uri uri;
        bool ok = uri_parse(str_of(rows[i].text), &uri);
        if (ok != (rows[i].scheme != NULL))
            fail_msg("%s", rows[i].text);
        if (ok &&
            (!str_is(uri.scheme, rows[i].scheme) || !str_is(uri.authority, rows[i].authority) ||
             !str_is(uri.target, rows[i].target)))
            fail_msg("parts of %s", rows[i].text);
    }
}

static void test_normalize(void **state)
{
    (void)state;
    static const struct {
        const char *target, *expect; /* NULL: refused */
    } rows[] = {
        {"/", "/"},
        {"/a/b", "/a/b"},
        {"/a/./b", "/a/b"},
        {"/a/../b", "/b"},
        {"/a/b/..", "/a/"},
        {"/a/b/.", "/a/b/"},
        {"/..", "/"},
        {"/../../a", "/a"},
        {"/.", "/"},
        {"/a//b", "/a//b"},
        {"/a//../b", "/a/b"},
        {"/...", "/..."},
        {"/.a/..b", "/.a/..b"},
        {"/a/%2e%2E/b", "/b"},
        {"/a/.%2e/b", "/b"},
        {"/%61%7e%2d", "/a~-"},
        {"/%2f%5C%20", "/%2f%5C%20"},
        {"/a\\b\\..\\c", "/a/c"},
        {"/a?b/../c%2e", "/a?b/../c%2e"},
        {"/a/..?x=/..", "/?x=/.."},
        {"/%", "/%"},
        {"/%4", "/%4"},
        {"/%zz", "/%zz"},
        {"/%252e", "/%252e"},
        {"/%00", NULL},
        {"", NULL},
        {"*", NULL},
        {"a/b", NULL},
        {"?a", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct sbuf out = {0};
        sbuf_addz(&out, "before"); /* what stands in out already is not touched by ".." */
        bool ok = uri_normalize_path(str_of(rows[i].target), &out);
        if (ok != (rows[i].expect != NULL) || (ok && strcmp(out.p + 6, rows[i].expect) != 0))
            fail_msg("%s became %s", rows[i].target, out.p + 6);
        sbuf_fini(&out);
    }
}

static void test_slashes(void **state)
{
    (void)state;
    static const struct {
        const char *target, *merged, *unescaped;
        bool has_escaped;
    } rows[] = {
        {"/", "/", "/", false},
        {"//a///b//?c//d", "/a/b/?c//d", "//a///b//?c//d", false},
        {"/a%2Fb%2f", "/a%2Fb%2f", "/a/b/", true},
        {"/a%5Cb%5c", "/a%5Cb%5c", "/a\\b\\", true},
        {"/a?b=%2F", "/a?b=%2F", "/a?b=%2F", false},
        {"/%2", "/%2", "/%2", false},
        {"/%252F", "/%252F", "/%252F", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct sbuf merged = {0}, unescaped = {0};
        struct str target = str_of(rows[i].target);
        uri_merge_slashes(target, &merged);
        uri_unescape_slashes(target, &unescaped);
        assert_string_equal(merged.p, rows[i].merged);
        assert_string_equal(unescaped.p, rows[i].unescaped);
        assert_int_equal(uri_has_escaped_slashes(target), rows[i].has_escaped);
        sbuf_fini(&merged);
        sbuf_fini(&unescaped);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_split),   cmocka_unit_test(test_authority),
        cmocka_unit_test(test_parse),   cmocka_unit_test(test_normalize),
        cmocka_unit_test(test_slashes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
