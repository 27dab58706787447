#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/mem.h"
#include "http/headers.h"

static void expect_map(const struct headers *h, const char *expect)
{
    struct sbuf text = {0};
    size_t live = 0;
    for (size_t i = 0; i < h->n; i++) {
        struct str name = header_name(h, &h->v[i]), value = header_value(h, &h->v[i]);
        sbuf_printf(&text, "%s%.*s=%.*s", i ? " " : "", STR_ARG(name), STR_ARG(value));
        live += name.n + value.n;
        assert_int_equal(h->v[i].id, header_id(name));
    }
    assert_string_equal(text.p ? text.p : "", expect);
    assert_int_equal(headers_byte_size(h), live);
    sbuf_fini(&text);
}

static void test_ids(void **state)
{
    (void)state;
    for (int id = 1; id < HDR_COUNT; id++) {
        struct str name = header_id_name((enum hdr)id);
        assert_int_equal(header_id(name), id);
        struct str longer = {name.p, name.n - 1};
        assert_int_equal(header_id(longer), HDR_OTHER);
    }
    assert_int_equal(header_id(STR("")), HDR_OTHER);
    assert_int_equal(header_id(STR("x-unknown")), HDR_OTHER);
    assert_int_equal(header_id(STR("hosu")), HDR_OTHER);
}

static void test_add_find(void **state)
{
    (void)state;
    struct headers h = {0};
    assert_null(headers_find(&h, HDR_HOST));
    assert_null(headers_get_name(&h, STR("x")).p);
    headers_add(&h, STR("X-A"), STR("1"));
    headers_add(&h, STR("Content-Type"), STR("text/plain"));
    headers_add(&h, STR("x-a"), STR("2"));
    headers_add(&h, STR(":method"), STR("GET"));
    headers_add_id(&h, HDR_PATH, STR("/"));
    headers_add(&h, STR("empty"), STR(""));
    expect_map(&h, ":method=GET :path=/ x-a=1 content-type=text/plain x-a=2 empty=");
    assert_true(str_is(headers_get(&h, HDR_CONTENT_TYPE), "text/plain"));
    assert_true(str_is(headers_get_name(&h, STR("CONTENT-TYPE")), "text/plain"));
    assert_true(str_is(headers_get_name(&h, STR("X-a")), "1"));
    assert_non_null(headers_get_name(&h, STR("empty")).p);
    assert_null(headers_find(&h, HDR_AUTHORITY));
    headers_fini(&h);
    expect_map(&h, "");
}

static void test_set(void **state)
{
    (void)state;
    struct headers h = {0};
    headers_set(&h, STR("a"), STR("1"));
    headers_add(&h, STR("b"), STR("2"));
    headers_add(&h, STR("a"), STR("3"));
    headers_add(&h, STR("A"), STR("4"));
    headers_set(&h, STR("A"), STR("longer than before"));
    expect_map(&h, "a=longer than before b=2");
    headers_set(&h, STR("a"), STR("short"));
    headers_set_id(&h, HDR_SERVER, STR("x"));
    headers_set_id(&h, HDR_METHOD, STR("GET"));
    headers_set_id(&h, HDR_SERVER, STR("y"));
    headers_set_id(&h, HDR_METHOD, STR("POST"));
    expect_map(&h, ":method=POST a=short b=2 server=y");
    headers_set(&h, STR("a"), STR(""));
    expect_map(&h, ":method=POST a= b=2 server=y");
    headers_fini(&h);
}

static void test_remove(void **state)
{
    (void)state;
    struct headers h = {0};
    headers_add(&h, STR("a"), STR("1"));
    headers_add(&h, STR("host"), STR("x"));
    headers_add(&h, STR("a"), STR("2"));
    headers_add(&h, STR("b"), STR("3"));
    headers_add(&h, STR("Host"), STR("y"));
    assert_int_equal(headers_remove(&h, STR("c")), 0);
    assert_int_equal(headers_remove(&h, STR("A")), 2);
    expect_map(&h, "host=x b=3 host=y");
    assert_int_equal(headers_remove_id(&h, HDR_HOST), 2);
    assert_int_equal(headers_remove_id(&h, HDR_HOST), 0);
    assert_null(headers_find(&h, HDR_HOST));
    expect_map(&h, "b=3");
    headers_add(&h, STR("host"), STR("z"));
    assert_true(str_is(headers_get(&h, HDR_HOST), "z"));
    assert_int_equal(headers_remove(&h, STR("HOST")), 1);
    assert_int_equal(headers_remove(&h, STR("b")), 1);
    expect_map(&h, "");
    headers_fini(&h);
}

/* A name that is not well-known but as long as can be, and one that is only so in another case. */
static void test_long_names(void **state)
{
    (void)state;
    char name[300];
    memset(name, 'N', sizeof(name));
    struct headers h = {0};
    struct str s = {name, sizeof(name)};
    headers_add(&h, s, STR("1"));
    assert_true(str_is(headers_get_name(&h, s), "1"));
    headers_set(&h, s, STR("2"));
    assert_int_equal(h.n, 1);
    assert_int_equal(h.bytes[0], 'n');
    assert_int_equal(h.bytes[299], 'n');
    assert_int_equal(headers_remove(&h, s), 1);
    headers_fini(&h);
}

/* Name and value may point into the map, also when it grows or is compacted meanwhile. */
static void test_aliasing(void **state)
{
    (void)state;
    struct headers h = {0};
    headers_add(&h, STR("first"), STR("0123456789"));
    for (int i = 0; i < 12; i++) {
        struct str name = header_name(&h, &h.v[0]), value = header_value(&h, &h.v[0]);
        struct sbuf twice = {0};
        sbuf_add(&twice, value.p, value.n);
        sbuf_add(&twice, value.p, value.n);
        headers_set(&h, name, (struct str){twice.p, twice.n});
        name = header_name(&h, &h.v[0]), value = header_value(&h, &h.v[0]);
        headers_add(&h, name, value);
        assert_true(str_eq(header_value(&h, &h.v[0]), header_value(&h, &h.v[1])));
        assert_int_equal(h.v[1].value_len, 20u << i);
        headers_set(&h, header_name(&h, &h.v[0]), header_value(&h, &h.v[1]));
        assert_int_equal(h.n, 1);
        sbuf_fini(&twice);
    }
    headers_fini(&h);
}

/* However often values change, the map stays about twice the size of what is in it. */
static void test_compaction(void **state)
{
    (void)state;
    struct headers h = {0};
    char value[128];
    memset(value, 'v', sizeof(value));
    headers_add(&h, STR("stays"), STR("here"));
    for (unsigned i = 0; i < 100000; i++) {
        headers_remove(&h, STR("changes"));
        headers_add(&h, STR("changes"), (struct str){value, 1 + i % sizeof(value)});
    }
    assert_int_equal(h.n, 2);
    assert_true(str_is(headers_get_name(&h, STR("stays")), "here"));
    assert_in_range(h.bytes_cap, 1, 4096);
    headers_fini(&h);
}

static void test_clear_keeps_memory(void **state)
{
    (void)state;
    struct headers h = {0}, copy = {0};
    for (int round = 0; round < 3; round++) {
        headers_clear(&h);
        assert_null(headers_find(&h, HDR_DATE));
        for (int i = 0; i < 50; i++)
            headers_add_id(&h, HDR_DATE, STR("Sun, 06 Nov 1994 08:49:37 GMT"));
    }
    const void *entries = h.v, *bytes = h.bytes;
    headers_clear(&h);
    headers_add(&h, STR("a"), STR("b"));
    assert_ptr_equal(h.v, entries);
    assert_ptr_equal(h.bytes, bytes);
    headers_add(&copy, STR("old"), STR("old"));
    headers_copy(&copy, &h);
    expect_map(&copy, "a=b");
    headers_copy(&copy, &copy);
    expect_map(&copy, "a=b");
    headers_fini(&h);
    expect_map(&copy, "a=b");
    headers_fini(&copy);
}

static void test_validity(void **state)
{
    (void)state;
    char text[40];
    for (int c = 0; c < 256; c++) {
        bool is_alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        bool is_tchar = is_alnum || (c && c < 128 && strchr("!#$%&'*+-.^_`|~", c));
        bool is_text = c == '\t' || (c >= 0x20 && c != 0x7f);
        for (size_t at = 0; at < sizeof(text); at++) {
            memset(text, 'x', sizeof(text));
            text[at] = (char)c;
            struct str s = {text, sizeof(text)};
            assert_int_equal(header_name_is_valid(s), is_tchar);
            assert_int_equal(header_value_is_valid(s), is_text);
        }
    }
    assert_false(header_name_is_valid(STR("")));
    assert_true(header_value_is_valid(STR("")));
    assert_true(header_value_is_valid(STR_NULL));
}

static void test_status(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        unsigned status;
    } cases[] = {{"200", 200}, {"999", 999}, {"1000", 0}, {"", 0}, {"abc", 0}, {"-1", 0}};
    struct headers h = {0};
    assert_int_equal(headers_status(&h), 0);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        headers_set_id(&h, HDR_STATUS, str_of(cases[i].value));
        assert_int_equal(headers_status(&h), cases[i].status);
    }
    headers_fini(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ids),        cmocka_unit_test(test_add_find),
        cmocka_unit_test(test_set),        cmocka_unit_test(test_remove),
        cmocka_unit_test(test_long_names), cmocka_unit_test(test_aliasing),
        cmocka_unit_test(test_compaction), cmocka_unit_test(test_clear_keeps_memory),
        cmocka_unit_test(test_validity),   cmocka_unit_test(test_status),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
