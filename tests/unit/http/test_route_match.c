#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
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

/* ---- query parameters and cookies ---- */

static const struct {
    const char *path, *name, *want; /* NULL: absent */
} queries[] = {
    {"/?a=1", "a", "1"},     {"/?a=1&a=2", "a", "1"}, {"/?b&a=", "a", ""},  {"/?a", "a", ""},
    {"/?ba=1", "a", NULL},   {"/a=1", "a", NULL},     {"/?", "a", NULL},    {"/?&&a==", "a", "="},
    {"/?a=%31", "a", "%31"}, {"/?%61=1", "a", NULL},  {"/?A=1", "a", NULL}, {"?a=?", "a", "?"},
};

static const struct {
    const char *fields[2], *want;
} cookies[] = {
    {{"c=1"}, "1"},     {{"a=b; c=1"}, "1"}, {{"a=b;c=1;c=2"}, "1"}, {{"a=b", "c=1"}, "1"},
    {{"c=\"1\""}, "1"}, {{"c=\"1"}, "\"1"},  {{"c=\""}, "\""},       {{"c=1 ;d"}, "1 "},
    {{"c"}, NULL},      {{"c =1"}, NULL},    {{"xc=1"}, NULL},       {{"c="}, ""},
    {{"c==1;"}, "=1"},  {{";;=;c=1"}, "1"},  {{""}, NULL},           {{"C=1"}, NULL},
};

static void expect(struct str have, const char *want, const char *name)
{
    if ((have.p != NULL) != (want != NULL) || (want && !str_is(have, want)))
        fail_msg("%s: \"%.*s\" instead of %s", name, STR_ARG(have), want ? want : "none");
}

static void test_values(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(queries); i++)
        expect(route_query(str_of(queries[i].path), str_of(queries[i].name)), queries[i].want,
               queries[i].path);
    for (size_t i = 0; i < ARRAY_LEN(cookies); i++) {
        struct headers h = {0};
        for (size_t j = 0; j < 2 && cookies[i].fields[j]; j++)
            headers_add(&h, STR("cookie"), str_of(cookies[i].fields[j]));
        expect(route_cookie(&h, STR("c")), cookies[i].want, cookies[i].fields[0]);
        headers_fini(&h);
    }
}

/* ---- clusters ---- */

static const struct {
    const char *x, *cookie; /* headers; NULL: absent */
    uint64_t random;
    unsigned want; /* weighted cluster */
} picks[] = {
    {NULL, NULL, 0, 0}, {NULL, NULL, 2, 0}, {NULL, NULL, 3, 2}, {NULL, NULL, 6, 2},
    {NULL, NULL, 7, 0}, {"3", NULL, 0, 2},  {"10", NULL, 0, 2}, {"x", NULL, 4, 2},
};

static void test_weights(void **state)
{
    (void)state;
    struct conf_weighted_cluster v[] = {
        {.name = STR("a"), .weight = 3}, {.name = STR("b")}, {.name = STR("c"), .weight = 4}};
    struct conf_weighted w = {.v = v, .n = 3, .total = 7, .header_name = STR("x")};
    const struct conf_route r = {.weighted = &w};
    for (size_t i = 0; i < ARRAY_LEN(picks); i++) {
        const struct route_facts facts = {.random = picks[i].random};
        struct route_choice c = {.route = &r};
        struct headers h = {0};
        if (picks[i].x)
            headers_add(&h, STR("x"), str_of(picks[i].x));
        route_choose_cluster(&h, &facts, NULL, &c);
        if (c.weighted != &v[picks[i].want] || !str_eq(c.cluster, v[picks[i].want].name))
            fail_msg("%zu: %.*s", i, STR_ARG(c.cluster));
        headers_fini(&h);
    }
}

static uint64_t hash_of(const char *text)
{
    return hash_xx64(text, strlen(text), 0);
}

static void test_hash(void **state)
{
    (void)state;
    struct arena arena;
    struct addr peer, local;
    struct conf_hash_policy p[] = {
        {.kind = CONF_HASH_COOKIE,
         .name = STR("c"),
         .makes_cookie = true,
         .ttl_s = 60,
         .path = STR("/p"),
         .attributes = STR("; Secure")},
        {.kind = CONF_HASH_HEADER, .name = STR("x"), .terminal = true},
        {.kind = CONF_HASH_QUERY_PARAMETER, .name = STR("q")},
        {.kind = CONF_HASH_SOURCE_IP},
    };
    struct conf_route r = {.cluster = STR("c"), .hash = p, .hash_n = 4};
    struct headers h = {0};
    arena_init(&arena, 0);
    assert_int_equal(addr_from_ip(STR("10.0.0.1"), 1, &peer, NULL), 0);
    assert_int_equal(addr_from_ip(STR("10.0.0.2"), 2, &local, NULL), 0);
    struct route_facts facts = {.peer = &peer, .local = &local};
    headers_add_id(&h, HDR_PATH, STR("/?q=1"));
    struct route_choice c = {.route = &r};
    route_choose_cluster(&h, &facts, &arena, &c);
    uint64_t query = hash_of("1");
    assert_true(c.has_hash);
    assert_int_equal(c.hash, ((query << 1) | (query >> 63)) ^ hash_of("10.0.0.1"));
    assert_null(c.set_cookie.p);

    /* Values in any order are the same; a terminal policy that has one ends the list. */
    headers_add(&h, STR("x"), STR("b"));
    headers_add(&h, STR("x"), STR("a"));
    c = (struct route_choice){.route = &r};
    route_choose_cluster(&h, &facts, &arena, &c);
    assert_int_equal(c.hash, hash_xx64("b", 1, hash_of("a")));

    /* The cookie is the same for all requests of a connection, and what it will hash to. */
    facts.makes_cookies = true;
    r.hash_n = 1;
    c = (struct route_choice){.route = &r};
    route_choose_cluster(&h, &facts, &arena, &c);
    char text[17], want[100];
    snprintf(text, sizeof(text), "%llx", (unsigned long long)hash_of("10.0.0.1:110.0.0.2:2"));
    snprintf(want, sizeof(want), "c=\"%s\"; Max-Age=60; Path=/p; Secure; HttpOnly", text);
    expect(c.set_cookie, want, "cookie");
    assert_int_equal(c.hash, hash_of(text));
    headers_fini(&h);
    arena_fini(&arena);
}

/* ---- filters ---- */

static void test_overrides(void **state)
{
    (void)state;
    struct conf_filter_override on_weighted[] = {{STR("a"), true}};
    struct conf_filter_override on_route[] = {{STR("a"), false}, {STR("b"), true}};
    struct conf_filter_override on_vhost[] = {{STR("b"), false}, {STR("c"), true}};
    struct conf_filter_override on_config[] = {{STR("c"), false}, {STR("d"), true}};
    const struct conf_weighted_cluster w = {.overrides = {on_weighted, 1}};
    const struct conf_route r = {.overrides = {on_route, 2}};
    const struct conf_virtual_host v = {.overrides = {on_vhost, 2}};
    const struct conf_route_config rc = {.overrides = {on_config, 2}};
    struct route_choice c = {.vhost = &v, .route = &r, .weighted = &w};
    assert_ptr_equal(route_override(&rc, &c, STR("a")), &on_weighted[0]);
    assert_ptr_equal(route_override(&rc, &c, STR("b")), &on_route[1]);
    assert_ptr_equal(route_override(&rc, &c, STR("c")), &on_vhost[1]);
    assert_ptr_equal(route_override(&rc, &c, STR("d")), &on_config[1]);
    assert_null(route_override(&rc, &c, STR("e")));
    c = (struct route_choice){0}; /* no route */
    assert_ptr_equal(route_override(&rc, &c, STR("c")), &on_config[0]);
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
    {CONF_HEADER_STRING, CONF_STRING_EXACT, "a,b", 0, 0, 0, 0, "a", "b", false},
    {CONF_HEADER_STRING, CONF_STRING_EXACT, "b", 0, 0, 0, 0, "a", "b", true},
    {CONF_HEADER_STRING, CONF_STRING_EXACT, "b", 0, 0, true, 0, "a", "b", false},
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
    const struct route_facts facts = {0};
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
    assert_false(route_match(rc, &h, &facts, &c)); /* no path */
    headers_add_id(&h, HDR_PATH, STR("/a/b"));
    assert_true(route_match(rc, &h, &facts, &c));
    assert_ptr_equal(c.route, &routes[1]);
    headers_add(&h, STR("x-v"), STR("2"));
    assert_true(route_match(rc, &h, &facts, &c));
    assert_ptr_equal(c.route, &routes[0]);
    headers_remove(&h, STR("x-v"));
    headers_set_id(&h, HDR_PATH, STR("/b"));
    assert_false(
        route_match(rc, &h, &facts, &c)); /* "*" would have none either, and is not asked */
    assert_ptr_equal(c.vhost, &rc->vhosts[0]);
    rc->vhosts[0].routes_n = 0;
    headers_fini(&h);
    conf_object_unref(rc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hosts),   cmocka_unit_test(test_paths),
        cmocka_unit_test(test_values),  cmocka_unit_test(test_weights),
        cmocka_unit_test(test_hash),    cmocka_unit_test(test_overrides),
        cmocka_unit_test(test_headers), cmocka_unit_test(test_first_route_wins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
