#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "proto/json.h"
#include "proto/yaml.h"

static const struct {
    const char *yaml, *json; /* json NULL: refused with this error */
    const char *error;
} cases[] = {
    {"a: 1\nb: text\n", "{\"a\":1,\"b\":\"text\"}", NULL},
    {"[1, -2, 0x10, 0755, +3]", "[1,-2,16,493,3]", NULL},
    {"['1', \"true\", ~, null, '', x]", "[\"1\",\"true\",null,null,\"\",\"x\"]", NULL},
    {"[true, yes, On, false, no, OFF, y, n]", "[true,true,true,false,false,false,true,false]",
     NULL},
    {"[1.5, 1e3, 09, abc1, -, 3000000000, 1.2.3.4]",
     "[\"1.5\",\"1e3\",\"09\",\"abc1\",\"-\",\"3000000000\",\"1.2.3.4\"]", NULL},
    {"a: |\n  two\n  lines\n", "{\"a\":\"two\\nlines\\n\"}", NULL},
    {"{\"json\": [1, {\"k\": \"v\"}]}", "{\"json\":[1,{\"k\":\"v\"}]}", NULL},
    {"a: &x {p: 1}\nb: *x\n", "{\"a\":{\"p\":1},\"b\":{\"p\":1}}", NULL},
    {"base: &x {p: 1, q: 2}\nuse:\n  q: 3\n  <<: *x\n",
     "{\"base\":{\"p\":1,\"q\":2},\"use\":{\"q\":3,\"p\":1}}", NULL},
    {"use:\n  <<: [{p: 1}, {p: 2, q: 2}]\n", "{\"use\":{\"p\":1,\"q\":2}}", NULL},
    {"a:\n", "{\"a\":null}", NULL},
    {"1: a\ntrue: b\n", "{\"1\":\"a\",\"true\":\"b\"}", NULL},
    {"--- \na: 1\n...\n", "{\"a\":1}", NULL},
    {"a: 1\n---\nb: 2\n", NULL, "line 2: more than one document"},
    {"a: 1\nb: 2\na: 3\n", NULL, "line 3: key \"a\" appears twice"},
    {"a: [1\n", NULL, "line 2 column 1: did not find expected ',' or ']'"},
    {"a: *nowhere\n", NULL, "line 1: alias \"nowhere\" without anchor"},
    {"a: \"x\\0y\"\n", NULL, "line 1: NUL in a scalar"},
    {"? [a]\n: b\n", NULL, "line 1: key is not a string"},
    {"<<: 5\n", NULL, "line 1: \"<<\" takes mappings only"},
    {"", NULL, "empty document"},
    {"a: &x [*x]\n", NULL, "line 1: alias \"x\" without anchor"},
    {"a: &x 1\nb: &x 2\nc: *x\n", "{\"a\":1,\"b\":2,\"c\":2}", NULL},
    {"a: !!str 5\nb: ! 5\n", "{\"a\":\"5\",\"b\":\"5\"}", NULL},
};

static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct error err = {0};
        json_t *json;
        int rc = pb_yaml_load(cases[i].yaml, strlen(cases[i].yaml), &json, &err);
        char *text = json ? pb_json_text(json, false, NULL) : NULL;
        if ((rc == 0) != (cases[i].json != NULL) || (json != NULL) != (rc == 0) ||
            (rc == 0 && strcmp(text, cases[i].json) != 0) ||
            (rc != 0 && strcmp(err.text, cases[i].error) != 0))
            fail_msg("%s: %s %s", cases[i].yaml, text ? text : "-", err.text);
        mem_free(text);
        json_decref(json);
    }
}

/* Nine levels of ten aliases each: a billion values if expanded. */
static void test_alias_bomb_is_refused(void **state)
{
    (void)state;
    struct sbuf yaml = {0};
    struct error err;
    json_t *json;
    sbuf_addz(&yaml, "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
    for (int i = 1; i < 9; i++) {
        sbuf_printf(&yaml, "a%d: &a%d [", i, i);
        for (int k = 0; k < 10; k++)
            sbuf_printf(&yaml, "%s*a%d", k ? "," : "", i - 1);
        sbuf_addz(&yaml, "]\n");
    }
    assert_int_equal(pb_yaml_load(yaml.p, yaml.n, &json, &err), -ERR_LIMIT);
    assert_null(json);
    sbuf_fini(&yaml);
}

/* Each anchor nests the one before sixty levels deeper: a value that is shared is deep, too. */
static void test_aliases_do_not_nest(void **state)
{
    (void)state;
    struct sbuf yaml = {0};
    struct error err;
    json_t *json;
    sbuf_addz(&yaml, "a0: &a0 x\n");
    for (int i = 1; i < 3; i++) {
        sbuf_printf(&yaml, "a%d: &a%d ", i, i);
        for (int k = 0; k < 60; k++)
            sbuf_addc(&yaml, '[');
        sbuf_printf(&yaml, "*a%d", i - 1);
        for (int k = 0; k < 60; k++)
            sbuf_addc(&yaml, ']');
        sbuf_addc(&yaml, '\n');
    }
    assert_int_equal(pb_yaml_load(yaml.p, yaml.n, &json, &err), -ERR_LIMIT);
    assert_string_equal(err.text, "line 3: nested deeper than 100 levels");
    sbuf_fini(&yaml);
}

static void test_deep_nesting_is_refused(void **state)
{
    (void)state;
    enum { N = 200000 };
    char *yaml = mem_alloc(N);
    struct error err;
    json_t *json;
    memset(yaml, '[', N);
    assert_true(pb_yaml_load(yaml, N, &json, &err) < 0);
    assert_null(json);
    mem_free(yaml);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_alias_bomb_is_refused),
        cmocka_unit_test(test_aliases_do_not_nest),
        cmocka_unit_test(test_deep_nesting_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
