#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "base/mem.h"
#include "base/regex.h"
#include "http/route_match.h"

/* ---- hosts ---- */

enum { VHOSTS_MAX = 12 };

static const char *const domains[VHOSTS_MAX] = {
    "exact.com", "*.foo.com", "*-bar.foo.com", "*.a.foo.com", "foo.*", "foo.bar.*",
    "*",         "10.0.0.1",  "with.port:81",  "UPPER.com",   "[::1]", "*.exact.com",
};

/* Index of the domain that wins. */
static const struct {
    const char *host;
    bool ignore_port;
    int want;
} hosts[] = {
    {"exact.com", false, 0},     {"EXACT.com", false, 0},
    {"x.exact.com", false, 11},  {"x.foo.com", false, 1},
    {"x.a.foo.com", false, 3},   {"x-bar.foo.com", false, 2},
    {"-bar.foo.com", false, 1},  {".foo.com", false, 6},
    {"foo.com", false, 4},       {"foo.bar.com", false, 5},
    {"foo.b", false, 4},         {"foo.", false, 6},
    {"other.org", false, 6},     {"", false, 6},
    {"10.0.0.1", false, 7},      {"10.0.0.1:80", false, 6},
    {"10.0.0.1:80", true, 7},    {"exact.com:443", true, 0},
    {"exact.com:443", false, 6}, {"with.port:81", false, 8},
    {"with.port:81", true, 6},   {"upper.com", false, 9},
    {"[::1]:80", true, 10},      {"[::1]", true, 10},
    {"[::1]:80", false, 6},      {"exact.com:", true, 6},
    {"exact.com:8x", true, 6},
};

static struct conf_route_config *make_hosts(void)
{
    struct conf_route_config *rc = conf_route_config_create("r");
    struct conf_domain d[VHOSTS_MAX];
    size_t bad;
    rc->vhosts_n = VHOSTS_MAX;
    rc->vhosts = arena_zalloc(&rc->object.arena, VHOSTS_MAX * sizeof(*rc->vhosts));
    for (size_t i = 0; i < VHOSTS_MAX; i++)
        d[i] = (struct conf_domain){str_of(domains[i]), &rc->vhosts[i]};
    assert_int_equal(conf_route_config_index(rc, d, VHOSTS_MAX, &bad, NULL), 0);
    return rc;
}

static void test_hosts(void **state)
{
    (void)state;
    struct conf_route_config *rc = make_hosts();
    for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
        rc->ignore_port_in_host_matching = hosts[i].ignore_port;
        const struct conf_virtual_host *v = route_match_host(rc, str_of(hosts[i].host));
        if (v != &rc->vhosts[hosts[i].want])
            fail_msg("%s: %s instead of %s", hosts[i].host, v ? domains[v - rc->vhosts] : "none",
                     domains[hosts[i].want]);
    }
    char big[1000];
    memset(big, 'A', sizeof(big));
    memcpy(big + sizeof(big) - 8, ".foo.COM", 8);
    assert_ptr_equal(route_match_host(rc, (struct str){big, sizeof(big)}), &rc->vhosts[1]);
    conf_object_unref(rc);
}

/* ---- paths ---- */

static const struct {
    enum conf_path_match_kind kind;
    const char *pattern;
    bool case_sensitive;
    const char *path;
    bool want;
    size_t prefix_len;
} paths[] = {
    {CONF_PATH_PREFIX, "/", true, "/anything?x=1", true, 1},
    {CONF_PATH_PREFIX, "/api", true, "/api/v1", true, 4},
    {CONF_PATH_PREFIX, "/api", true, "/apiary", true, 4},
    {CONF_PATH_PREFIX, "/api", true, "/API", false, 0},
    {CONF_PATH_PREFIX, "/api", false, "/API", true, 4},
    {CONF_PATH_PREFIX, "/api?x", true, "/api?x=1", false, 0},
    {CONF_PATH_PREFIX, "/longer", true, "/long", false, 0},
    {CONF_PATH_EXACT, "/a", true, "/a", true, 2},
    {CONF_PATH_EXACT, "/a", true, "/a?b", true, 2},
    {CONF_PATH_EXACT, "/a", true, "/a#b", true, 2},
    {CONF_PATH_EXACT, "/a", true, "/a/", false, 0},
    {CONF_PATH_EXACT, "/a", false, "/A", true, 2},
    {CONF_PATH_SEPARATED_PREFIX, "/a", true, "/a", true, 2},
    {CONF_PATH_SEPARATED_PREFIX, "/a", true, "/a/b?c", true, 2},
    {CONF_PATH_SEPARATED_PREFIX, "/a", true, "/a?c", true, 2},
    {CONF_PATH_SEPARATED_PREFIX, "/a", true, "/ab", false, 0},
    {CONF_PATH_REGEX, "/[0-9]+", true, "/123?q", true, 4},
    {CONF_PATH_REGEX, "/[0-9]+", true, "/123/x", false, 0},
    {CONF_PATH_REGEX, "/a", false, "/A", false, 0}, /* case is the pattern's business */
};

static void test_paths(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        struct conf_route r = {.path_kind = paths[i].kind,
                               .path = str_of(paths[i].pattern),
                               .case_sensitive = paths[i].case_sensitive};
        if (r.path_kind == CONF_PATH_REGEX)
            assert_int_equal(regex_create(r.path, &r.path_regex, NULL), 0);
        struct str path = str_of(paths[i].path);
        bool got = route_match_path(&r, path);
        if (got != paths[i].want ||
            (got && route_match_prefix_len(&r, path) != paths[i].prefix_len))
            fail_msg("%zu: %s on %s: %d", i, paths[i].pattern, paths[i].path, got);
        regex_destroy(&r.path_regex);
    }
}

/* ---- headers ---- */

static const struct {
    enum conf_header_match_kind kind;
    enum conf_string_match_kind string;
    const char *pattern;
    bool ignore_case, present, invert, missing_as_empty;
    const char *value, *second; /* NULL: absent */
    bool want;
} header_cases[] = {
    {CONF_HEADER_PRESENT, 0, "", 0, true, 0, 0, "x", NULL, true},
    {CONF_HEADER_PRESENT, 0, "", 0, true, 0, 0, NULL, NULL, false},
    {CONF_HEADER_PRESENT, 0, "", 0, true, true, 0, "x", NULL, false},
    {CONF_HEADER_PRESENT, 0, "", 0, true, true, 0, NULL, NULL, true},
    {CONF_HEADER_PRESENT, 0, "", 0, false, 0, 0, NULL, NULL, true},
    {CONF_HEADER_PRESENT, 0, "", 0, false, 0, 0, "x", NULL, false},
    {CONF_HEADER_STRING, CONF_STRING_EXACT, "abc", 0, 0, 0, 0, "abc", NULL, true},
    {CONF_HEADER_STRING, CONF_STRING_EXACT, "abc", 0, 0, 0, 0, "ABC", NULL, false},
    {CONF_HEADER_STRING, CONF_STRING_EXACT, "abc", true, 0, 0, 0, "ABC", NULL, true},
    {CONF_HEADER_STRING, CONF_STRING_EXACT, "abc", 0, 0, true, 0, "x", NULL, true},
    {CONF_HEADER_STRING, CONF_STRING_EXACT, "abc", 0, 0, true, 0, NULL, NULL, false},
    {CONF_HEADER_STRING, CONF_STRING_EXACT, "abc", 0, 0, true, true, NULL, NULL, true},
    {CONF_HEADER_STRING, CONF_STRING_EXACT, "", 0, 0, 0, true, NULL, NULL, true},
    {CONF_HEADER_STRING, CONF_STRING_EXACT, "a,b", 0, 0, 0, 0, "a", "b", true},
    {CONF_HEADER_STRING, CONF_STRING_EXACT, "a", 0, 0, 0, 0, "a", "b", false},
    {CONF_HEADER_STRING, CONF_STRING_PREFIX, "ab", 0, 0, 0, 0, "abc", NULL, true},
    {CONF_HEADER_STRING, CONF_STRING_PREFIX, "ab", 0, 0, 0, 0, "a", NULL, false},
    {CONF_HEADER_STRING, CONF_STRING_SUFFIX, "bc", 0, 0, 0, 0, "abc", NULL, true},
    {CONF_HEADER_STRING, CONF_STRING_SUFFIX, "bc", 0, 0, 0, 0, "c", NULL, false},
    {CONF_HEADER_STRING, CONF_STRING_CONTAINS, "b", 0, 0, 0, 0, "abc", NULL, true},
    {CONF_HEADER_STRING, CONF_STRING_CONTAINS, "B", true, 0, 0, 0, "abc", NULL, true},
    {CONF_HEADER_STRING, CONF_STRING_CONTAINS, "abcd", 0, 0, 0, 0, "abc", NULL, false},
    {CONF_HEADER_STRING, CONF_STRING_REGEX, "a+", 0, 0, 0, 0, "aaa", NULL, true},
    {CONF_HEADER_STRING, CONF_STRING_REGEX, "a+", 0, 0, 0, 0, "aab", NULL, false},
    {CONF_HEADER_RANGE, 0, "", 0, 0, 0, 0, "-5", NULL, true},
    {CONF_HEADER_RANGE, 0, "", 0, 0, 0, 0, "9", NULL, true},
    {CONF_HEADER_RANGE, 0, "", 0, 0, 0, 0, "10", NULL, false},
    {CONF_HEADER_RANGE, 0, "", 0, 0, 0, 0, "-6", NULL, false},
    {CONF_HEADER_RANGE, 0, "", 0, 0, 0, 0, "1x", NULL, false},
    {CONF_HEADER_RANGE, 0, "", 0, 0, true, 0, "1x", NULL, true},
};

static void test_headers(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(header_cases); i++) {
        struct headers h = {0};
        struct conf_header_match m = {.name = STR("x-a"),
                                      .kind = header_cases[i].kind,
                                      .present = header_cases[i].present,
                                      .invert = header_cases[i].invert,
                                      .treat_missing_as_empty = header_cases[i].missing_as_empty,
                                      .range_start = -5,
                                      .range_end = 10};
        m.string.kind = header_cases[i].string;
        m.string.text = str_of(header_cases[i].pattern);
        m.string.ignore_case = header_cases[i].ignore_case;
        if (m.string.kind == CONF_STRING_REGEX)
            assert_int_equal(regex_create(m.string.text, &m.string.regex, NULL), 0);
        if (header_cases[i].value)
            headers_add(&h, STR("X-A"), str_of(header_cases[i].value));
        headers_add(&h, STR("x-other"), STR("abc"));
        if (header_cases[i].second)
            headers_add(&h, STR("x-a"), str_of(header_cases[i].second));
        if (route_match_headers(&m, 1, &h) != header_cases[i].want)
            fail_msg("row %zu: '%s' on '%s'", i, header_cases[i].pattern,
                     header_cases[i].value ? header_cases[i].value : "(absent)");
        regex_destroy(&m.string.regex);
        headers_fini(&h);
    }
}

/* ---- the whole ---- */

static void test_first_route_wins(void **state)
{
    (void)state;
    struct conf_route_config *rc = make_hosts();
    struct conf_header_match match = {.name = STR("x-v"), .kind = CONF_HEADER_STRING};
    match.string.text = STR("2");
    struct conf_route routes[] = {
        {.path_kind = CONF_PATH_PREFIX,
         .path = STR("/"),
         .case_sensitive = true,
         .headers = &match,
         .headers_n = 1},
        {.path_kind = CONF_PATH_PREFIX, .path = STR("/a"), .case_sensitive = true},
        {.path_kind = CONF_PATH_EXACT, .path = STR("/a/b"), .case_sensitive = true},
    };
    rc->vhosts[0].routes = routes;
    rc->vhosts[0].routes_n = ARRAY_LEN(routes);
    struct headers h = {0};
    struct route_choice c;
    headers_add_id(&h, HDR_AUTHORITY, STR("exact.com"));
    assert_false(route_match(rc, &h, &c)); /* no path */
    headers_add_id(&h, HDR_PATH, STR("/a/b"));
    assert_true(route_match(rc, &h, &c));
    assert_ptr_equal(c.route, &routes[1]);
    headers_add(&h, STR("x-v"), STR("2"));
    assert_true(route_match(rc, &h, &c));
    assert_ptr_equal(c.route, &routes[0]);
    headers_remove(&h, STR("x-v"));
    headers_set_id(&h, HDR_PATH, STR("/b"));
    assert_false(route_match(rc, &h, &c)); /* "*" would have none either, and is not asked */
    assert_ptr_equal(c.vhost, &rc->vhosts[0]);
    rc->vhosts[0].routes_n = 0;
    headers_fini(&h);
    conf_object_unref(rc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hosts),
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_headers),
        cmocka_unit_test(test_first_route_wins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
