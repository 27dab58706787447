#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "proto/json.h"

#define LISTENER "envoy.config.listener.v3.Listener"
#define CLUSTER "envoy.config.cluster.v3.Cluster"
#define STRUCT "google.protobuf.Struct"

/* JSON of a type, and what comes out when it is read and written again. */
static const struct {
    const char *type, *in, *out; /* out NULL: refused with this error */
    const char *error;
} cases[] = {
    {LISTENER, "{}", "{}", NULL},
    {LISTENER, "{\"name\":\"\",\"address\":null}", "{}", NULL},
    {LISTENER, "{\"statPrefix\":\"x\",\"stat_prefix\":\"y\"}", NULL, "stat_prefix: set twice"},
    {LISTENER, "{\"statPrefix\":\"x\"}", "{\"stat_prefix\":\"x\"}", NULL},
    {LISTENER, "{\"trafficDirection\":\"INBOUND\"}", "{\"traffic_direction\":\"INBOUND\"}", NULL},
    {LISTENER, "{\"traffic_direction\":2}", "{\"traffic_direction\":\"OUTBOUND\"}", NULL},
    {LISTENER, "{\"traffic_direction\":99}", "{\"traffic_direction\":99}", NULL},
    {LISTENER, "{\"traffic_direction\":\"UP\"}", NULL,
     "traffic_direction: \"UP\" is no value of envoy.config.core.v3.TrafficDirection"},
    {LISTENER, "{\"use_original_dst\":false}", "{\"use_original_dst\":false}", NULL},
    {LISTENER, "{\"use_original_dst\":\"true\"}", "{\"use_original_dst\":true}", NULL},
    {LISTENER, "{\"use_original_dst\":1}", NULL, "use_original_dst: expected true or false"},
    {LISTENER, "{\"tcp_backlog_size\":\"7\"}", "{\"tcp_backlog_size\":7}", NULL},
    {LISTENER, "{\"tcp_backlog_size\":1e3}", "{\"tcp_backlog_size\":1000}", NULL},
    {LISTENER, "{\"tcp_backlog_size\":1.5}", NULL, "tcp_backlog_size: expected an integer"},
    {LISTENER, "{\"tcp_backlog_size\":-1}", NULL, "tcp_backlog_size: out of range"},
    {LISTENER, "{\"tcp_backlog_size\":4294967296}", NULL, "tcp_backlog_size: out of range"},
    {LISTENER, "{\"listener_filters_timeout\":\"0.5s\"}",
     "{\"listener_filters_timeout\":\"0.500s\"}", NULL},
    {LISTENER, "{\"listener_filters_timeout\":{\"nanos\":500000000}}",
     "{\"listener_filters_timeout\":\"0.500s\"}", NULL},
    {LISTENER, "{\"listener_filters_timeout\":\"-1.000000001s\"}",
     "{\"listener_filters_timeout\":\"-1.000000001s\"}", NULL},
    {LISTENER, "{\"listener_filters_timeout\":\"0s\"}", "{\"listener_filters_timeout\":\"0s\"}",
     NULL},
    {LISTENER, "{\"listener_filters_timeout\":\"1\"}", NULL,
     "listener_filters_timeout: expected a duration such as \"0.5s\""},
    {LISTENER, "{\"listener_filters_timeout\":\"1.s\"}", NULL,
     "listener_filters_timeout: expected a duration such as \"0.5s\""},
    {LISTENER, "{\"listener_filters_timeout\":\"99999999999999999s\"}", NULL,
     "listener_filters_timeout: expected a duration such as \"0.5s\""},
    {LISTENER, "{\"filter_chains\":[{\"filters\":[{},{\"foo\":1}]}]}", NULL,
     "filter_chains[0].filters[1].foo: unknown field"},
    {LISTENER, "{\"filter_chains\":{}}", "{\"filter_chains\":[{}]}", NULL},
    {LISTENER, "{\"filter_chains\":[]}", "{}", NULL},
    {LISTENER, "{\"filter_chains\":[5]}", NULL, "filter_chains[0]: expected an object"},
    {LISTENER, "[]", NULL, "expected an object"},
    {LISTENER, "{\"name\":5}", NULL, "name: expected a string"},
    {LISTENER, "{\"address\":{\"socket_address\":{\"port_value\":1,\"named_port\":\"x\"}}}", NULL,
     "address.socket_address.named_port: another member of the same oneof is set"},
    {LISTENER, "{\"address\":{\"socket_address\":{\"port_value\":0}}}",
     "{\"address\":{\"socket_address\":{\"port_value\":0}}}", NULL},
    {CLUSTER, "{\"metadata\":{\"filter_metadata\":{\"istio\":{\"a\":[1,2.5,null,true,{}]}}}}",
     "{\"metadata\":{\"filter_metadata\":{\"istio\":{\"a\":[1,2.5,null,true,{}]}}}}", NULL},
    {CLUSTER, "{\"metadata\":{\"filter_metadata\":[]}}", NULL,
     "metadata.filter_metadata: expected an object"},
    {CLUSTER, "{\"metadata\":{\"filter_metadata\":{\"x\":5}}}", NULL,
     "metadata.filter_metadata.x: expected an object"},
    {CLUSTER,
     "{\"typed_extension_protocol_options\":{\"k\":{\"@type\":\"type.googleapis.com/"
     "envoy.config.core.v3.Node\",\"id\":\"x\"}}}",
     "{\"typed_extension_protocol_options\":{\"k\":{\"@type\":\"type.googleapis.com/"
     "envoy.config.core.v3.Node\",\"id\":\"x\"}}}",
     NULL},
    {"google.protobuf.Any",
     "{\"@type\":\"type.googleapis.com/google.protobuf.Duration\",\"value\":\"1s\"}",
     "{\"@type\":\"type.googleapis.com/google.protobuf.Duration\",\"value\":\"1s\"}", NULL},
    {"google.protobuf.Any", "{\"@type\":\"type.googleapis.com/google.protobuf.Duration\"}", NULL,
     "expected \"value\""},
    {"google.protobuf.Any", "{}", "{}", NULL},
    {"google.protobuf.Any", "{\"@type\":\"x/no.such\"}", NULL, "unknown type \"x/no.such\""},
    {"google.protobuf.Any", "{\"id\":\"x\"}", NULL, "expected an object with \"@type\""},
    {"google.protobuf.Any",
     "{\"@type\":\"type.googleapis.com/envoy.config.core.v3.Node\",\"bar\":1}", NULL,
     "bar: unknown field"},
    {"google.protobuf.BytesValue", "\"AQID\"", "\"AQID\"", NULL},
    {"google.protobuf.BytesValue", "\"_-8\"", "\"/+8=\"", NULL},
    {"google.protobuf.BytesValue", "\"A\"", NULL, "not base64"},
    {"google.protobuf.BytesValue", "\"A===\"", NULL, "not base64"},
    {"google.protobuf.UInt64Value", "\"18446744073709551615\"", "\"18446744073709551615\"", NULL},
    {"google.protobuf.Int64Value", "-9223372036854775808", "\"-9223372036854775808\"", NULL},
    {"google.protobuf.Int64Value", "\"9223372036854775808\"", NULL, "out of range"},
    {"google.protobuf.FloatValue", "0.1", "0.1", NULL},
    {"google.protobuf.FloatValue", "1e39", NULL, "out of range"},
    {"google.protobuf.DoubleValue", "\"-Infinity\"", "\"-Infinity\"", NULL},
    {"google.protobuf.DoubleValue", "\"1.25\"", "1.25", NULL},
    {"google.protobuf.DoubleValue", "\"0x10\"", NULL, "expected a number"},
    {"google.protobuf.Timestamp", "\"2024-02-29T12:00:00.5Z\"", "\"2024-02-29T12:00:00.500Z\"",
     NULL},
    {"google.protobuf.Timestamp", "\"2024-01-01T01:30:00+01:30\"", "\"2024-01-01T00:00:00Z\"",
     NULL},
    {"google.protobuf.Timestamp", "\"2024-01-01\"", NULL,
     "expected a time such as \"2024-01-31T12:00:00Z\""},
    {"google.protobuf.FieldMask", "\"a.bC,d\"", "\"a.bC,d\"", NULL},
    {"google.protobuf.FieldMask", "\"a_b\"", NULL, "expected field paths in camelCase"},
    {"google.protobuf.Value", "null", "null", NULL},
    {STRUCT, "{\"a\":null}", "{\"a\":null}", NULL},
};

static char *read_and_write(const char *type, const char *in, struct error *err)
{
    struct pb_arena a;
    ProtobufCMessage *msg;
    json_t *json;
    char *text = NULL;
    pb_arena_init(&a, pb_budget(strlen(in)));
    assert_int_equal(pb_json_load(in, strlen(in), &json, err), 0);
    int rc = pb_from_json(json, pb_find(str_of(type)), &a, NULL, &msg, err);
    assert_true((msg != NULL) == (rc == 0));
    json_decref(json);
    if (rc == 0) {
        json = pb_to_json(msg, err);
        assert_non_null(json);
        text = pb_json_text(json, false, NULL);
        json_decref(json);
    }
    pb_arena_fini(&a);
    return text;
}

static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct error err = {0};
        char *text = read_and_write(cases[i].type, cases[i].in, &err);
        if (cases[i].out ? !text || strcmp(text, cases[i].out) != 0
                         : text || strcmp(err.text, cases[i].error) != 0)
            fail_msg("%s: %s %s", cases[i].in, text ? text : "-", err.text);
        mem_free(text);
    }
}

static void note(void *arg, const char *path)
{
    sbuf_printf(arg, "%s;", path);
}

static void test_unknown_fields_are_told(void **state)
{
    (void)state;
    static const char in[] =
        "{\"foo\":{\"x\":[]},\"filter_chains\":[{\"bar\":null}],\"name\":\"n\"}";
    struct sbuf seen = {0};
    struct pb_unknown unknown = {note, &seen};
    struct pb_arena a;
    ProtobufCMessage *msg;
    json_t *json;
    pb_arena_init(&a, PB_ARENA_MIN);
    assert_int_equal(pb_json_load(in, sizeof(in) - 1, &json, NULL), 0);
    assert_int_equal(pb_from_json(json, pb_find(STR(LISTENER)), &a, &unknown, &msg, NULL), 0);
    assert_string_equal(seen.p, "foo;filter_chains[0].bar;");
    json_decref(json);
    sbuf_fini(&seen);
    pb_arena_fini(&a);
}

static char *repeat(const char *head, int n, const char *tail)
{
    struct sbuf b = {0};
    for (int i = 0; i < n; i++)
        sbuf_addz(&b, head);
    for (int i = 0; i < n; i++)
        sbuf_addz(&b, tail);
    return sbuf_take(&b);
}

static void test_depth_is_bounded(void **state)
{
    (void)state;
    static const struct {
        int levels, rc;
    } rows[] = {{40, 0}, {1000, -ERR_LIMIT}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char *in = repeat("[", rows[i].levels, "]");
        struct error err;
        struct pb_arena a;
        ProtobufCMessage *msg;
        json_t *json;
        pb_arena_init(&a, PB_ARENA_MIN);
        assert_int_equal(pb_json_load(in, strlen(in), &json, &err), 0);
        assert_int_equal(
            pb_from_json(json, pb_find(STR("google.protobuf.ListValue")), &a, NULL, &msg, &err),
            rows[i].rc);
        json_decref(json);
        pb_arena_fini(&a);
        mem_free(in);
    }
}

static void test_text_is_bounded(void **state)
{
    (void)state;
    struct error err;
    json_t *json;
    char *in = repeat("{},", 1000001, "");
    in[0] = '[';
    assert_int_equal(pb_json_load(in, strlen(in), &json, &err), -ERR_LIMIT);
    mem_free(in);
    in = repeat("[", 100000, "]");
    assert_int_equal(pb_json_load(in, strlen(in), &json, &err), -ERR_INVALID);
    mem_free(in);
    assert_int_equal(pb_json_load("{\"a\":1,\n\"a\":2}", 14, &json, &err), -ERR_INVALID);
    assert_memory_equal(err.text, "line 2 ", 7);
    assert_int_equal(pb_json_load("\"\\u0000\"", 8, &json, &err), -ERR_INVALID);
}

static void test_memory_is_bounded(void **state)
{
    (void)state;
    struct error err;
    struct pb_arena a;
    ProtobufCMessage *msg;
    json_t *json;
    char *in = repeat("{},", 1000, "");
    struct sbuf b = {0};
    sbuf_printf(&b, "{\"filter_chains\":[%s{}]}", in);
    assert_int_equal(pb_json_load(b.p, b.n, &json, &err), 0);
    pb_arena_init(&a, 10000);
    assert_int_equal(pb_from_json(json, pb_find(STR(LISTENER)), &a, NULL, &msg, &err), -ERR_LIMIT);
    pb_arena_fini(&a);
    json_decref(json);
    sbuf_fini(&b);
    mem_free(in);
}

static void test_unknown_any_is_shown(void **state)
{
    (void)state;
    Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;
    any.type_url = (char *)(uintptr_t) "x/no.such";
    any.value = (ProtobufCBinaryData){.len = 2, .data = (uint8_t *)(uintptr_t) "hi"};
    json_t *json = pb_to_json(&any.base, NULL);
    char *text = pb_json_text(json, false, NULL);
    assert_string_equal(text, "{\"@type\":\"x/no.such\",\"value\":\"aGk=\"}");
    mem_free(text);
    json_decref(json);
    struct error err;
    any.type_url = (char *)(uintptr_t) "x/envoy.config.core.v3.Node";
    any.value.data = (uint8_t *)(uintptr_t) "\x0b\x0c";
    assert_null(pb_to_json(&any.base, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_unknown_fields_are_told),
        cmocka_unit_test(test_depth_is_bounded),
        cmocka_unit_test(test_text_is_bounded),
        cmocka_unit_test(test_memory_is_bounded),
        cmocka_unit_test(test_unknown_any_is_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
