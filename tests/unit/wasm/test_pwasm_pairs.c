/* Serialized header maps and properties of the node, byte by byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/mem.h"
#include "wasm/node.h"
#include "wasm/pairs.h"

#define BYTES(lit)             \
    {                          \
        (lit), sizeof(lit) - 1 \
    }

static const struct {
    const char *name;
    struct str bytes;
    bool is_valid;
    const char *text; /* "name=value;" of each */
} rows[] = {
    {"nothing", BYTES(""), true, ""},
    {"no pair", BYTES("\0\0\0\0"), true, ""},
    {"one", BYTES("\1\0\0\0\1\0\0\0\2\0\0\0a\0bc\0"), true, "a=bc;"},
    {"upper case", BYTES("\1\0\0\0\1\0\0\0\1\0\0\0A\0B\0"), true, "a=B;"},
    {"twice", BYTES("\2\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0a\0b\0a\0c\0"), true, "a=b;a=c;"},
    {"empty value", BYTES("\1\0\0\0\1\0\0\0\0\0\0\0a\0\0"), true, "a=;"},
    {"pseudo", BYTES("\1\0\0\0\5\0\0\0\2\0\0\0:path\0/a\0"), true, ":path=/a;"},
    {"short count", BYTES("\1\0\0"), false, ""},
    {"no lengths", BYTES("\1\0\0\0"), false, ""},
    {"more counted than there", BYTES("\2\0\0\0\1\0\0\0\1\0\0\0a\0b\0"), false, ""},
    {"bytes behind", BYTES("\1\0\0\0\1\0\0\0\1\0\0\0a\0b\0x"), false, ""},
    {"no terminator of the name", BYTES("\1\0\0\0\1\0\0\0\1\0\0\0aXb\0"), false, ""},
    {"no terminator of the value", BYTES("\1\0\0\0\1\0\0\0\1\0\0\0a\0bX"), false, ""},
    {"length beyond",
     BYTES("\1\0\0\0\1\0\0\0\xff\xff\xff\xff"
           "a\0b\0"),
     false, ""},
    {"huge count", BYTES("\xff\xff\xff\xff"), false, ""},
    {"empty name", BYTES("\1\0\0\0\0\0\0\0\1\0\0\0\0b\0"), false, ""},
    {"name with a blank", BYTES("\1\0\0\0\3\0\0\0\1\0\0\0a b\0c\0"), false, ""},
    {"split value", BYTES("\1\0\0\0\1\0\0\0\3\0\0\0a\0b\r\n\0"), false, ""},
    {"unknown pseudo", BYTES("\1\0\0\0\2\0\0\0\1\0\0\0:a\0b\0"), false, ""},
    {"path with a blank", BYTES("\1\0\0\0\5\0\0\0\3\0\0\0:path\0/ a\0"), false, ""},
    {"second pair is bad", BYTES("\2\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0a\0b\0a\0\n\0"), false,
     ""},
};

static void test_decode(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct headers h = {0};
        struct sbuf text = {0};
        bool ok = pairs_decode(rows[i].bytes, &h);
        for (size_t k = 0; k < h.n; k++)
            sbuf_printf(&text, "%.*s=%.*s;", STR_ARG(header_name(&h, &h.v[k])),
                        STR_ARG(header_value(&h, &h.v[k])));
        if (ok != rows[i].is_valid || strcmp(text.p ? text.p : "", rows[i].text) != 0)
            fail_msg("%s: %d \"%s\"", rows[i].name, ok, text.p ? text.p : "");
        sbuf_fini(&text);
        headers_fini(&h);
    }
}

static void test_encode(void **state)
{
    (void)state;
    static const char want[] = "\2\0\0\0\1\0\0\0\2\0\0\0\1\0\0\0\0\0\0\0a\0bc\0d\0";
    struct headers h = {0};
    char bytes[sizeof(want)];
    assert_int_equal(pairs_size(&h), 0);
    headers_add(&h, STR("a"), STR("bc"));
    headers_add(&h, STR("d"), STR(""));
    assert_int_equal(pairs_size(&h), sizeof(want));
    pairs_encode(&h, bytes);
    assert_memory_equal(bytes, want, sizeof(want));
    headers_fini(&h);
}

static void test_bounds(void **state)
{
    (void)state;
    struct headers h = {0};
    struct sbuf s = {0};
    uint32_t n = 1025, lengths[] = {1, 0};
    sbuf_add(&s, &n, sizeof(n));
    for (uint32_t i = 0; i < n; i++)
        sbuf_add(&s, lengths, sizeof(lengths));
    for (uint32_t i = 0; i < n; i++)
        sbuf_add(&s, "a\0", 3);
    assert_false(pairs_decode((struct str){s.p, s.n}, &h));
    /* One less is taken. */
    n = 1024;
    s.n = 0;
    sbuf_add(&s, &n, sizeof(n));
    for (uint32_t i = 0; i < n; i++)
        sbuf_add(&s, lengths, sizeof(lengths));
    for (uint32_t i = 0; i < n; i++)
        sbuf_add(&s, "a\0", 3);
    assert_true(pairs_decode((struct str){s.p, s.n}, &h));
    assert_int_equal(h.n, n);
    sbuf_fini(&s);
    headers_fini(&h);
}

/* id "id", cluster "cl", metadata {S: "x", N: 1.5, B: true, M: {K: "v"}, L: ["l"], Z: null},
 * locality {zone: "z"} */
static const char node[] =
    "\012\002\151\144\022\002\143\154\032\115"
    "\012\010\012\001\123\022\003\032\001\170"
    "\012\016\012\001\116\022\011\021\000\000\000\000\000\000\370\077"
    "\012\007\012\001\102\022\002\040\001"
    "\012\021\012\001\115\022\014\052\012\012\010\012\001\113\022\003\032\001\166"
    "\012\014\012\001\114\022\007\062\005\012\003\032\001\154"
    "\012\007\012\001\132\022\002\010\000"
    "\042\003\022\001\172";

static const struct {
    struct pwasm_path path;
    enum pwasm_status status;
    struct str value;
} properties[] = {
    {{{STR("node"), STR("id")}, 2}, PWASM_OK, BYTES("id")},
    {{{STR("node"), STR("cluster")}, 2}, PWASM_OK, BYTES("cl")},
    {{{STR("node"), STR("locality"), STR("zone")}, 3}, PWASM_OK, BYTES("z")},
    {{{STR("node"), STR("locality"), STR("region")}, 3}, PWASM_OK, BYTES("")},
    {{{STR("node"), STR("metadata"), STR("S")}, 3}, PWASM_OK, BYTES("x")},
    {{{STR("node"), STR("metadata"), STR("N")}, 3}, PWASM_OK, BYTES("\0\0\0\0\0\0\xf8\x3f")},
    {{{STR("node"), STR("metadata"), STR("B")}, 3}, PWASM_OK, BYTES("\1")},
    {{{STR("node"), STR("metadata"), STR("M"), STR("K")}, 4}, PWASM_OK, BYTES("v")},
    {{{STR("node"), STR("metadata"), STR("M")}, 3},
     PWASM_OK,
     BYTES("\1\0\0\0\1\0\0\0\1\0\0\0K\0v\0")},
    {{{STR("node"), STR("metadata"), STR("L")}, 3},
     PWASM_OK,
     BYTES("\1\0\0\0\1\0\0\0\0\0\0\0l\0\0")},
    {{{STR("node"), STR("metadata"), STR("Z")}, 3}, PWASM_SERIALIZATION_FAILURE, BYTES("")},
    {{{STR("node"), STR("metadata"), STR("none")}, 3}, PWASM_NOT_FOUND, BYTES("")},
    {{{STR("node"), STR("metadata"), STR("S"), STR("x")}, 4}, PWASM_NOT_FOUND, BYTES("")},
    {{{STR("node"), STR("id"), STR("x")}, 3}, PWASM_NOT_FOUND, BYTES("")},
    {{{STR("node"), STR("none")}, 2}, PWASM_NOT_FOUND, BYTES("")},
};

static void test_node(void **state)
{
    (void)state;
    pwasm_node_set((struct str){node, sizeof(node) - 1});
    for (size_t i = 0; i < ARRAY_LEN(properties); i++) {
        struct sbuf out = {0};
        enum pwasm_status st = pwasm_node_property(&properties[i].path, 1, &out);
        struct str got = {out.p, out.n};
        if (st != properties[i].status || (!st && !str_eq(got, properties[i].value)))
            fail_msg("row %zu: status %d, %zu bytes", i, st, got.n);
        sbuf_fini(&out);
    }
    pwasm_node_set(STR(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decode),
        cmocka_unit_test(test_encode),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_node),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
