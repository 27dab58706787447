#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "proto/json.h"
#include "proto/support.h"

#define LISTENER "envoy.config.listener.v3.Listener"
#define HCM_URL                                                                        \
    "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3." \
    "HttpConnectionManager"

static const struct {
    const char *name, *json;
    const char *error; /* NULL: accepted */
} cases[] = {
    {"empty", "{}", NULL},
    {"implemented", "{\"name\":\"l\",\"stat_prefix\":\"x\"}", NULL},
    {"harmless with content", "{\"metadata\":{\"filter_metadata\":{\"a\":{}}}}", NULL},
    {"refused", "{\"api_listener\":{}}", "api_listener: not supported"},
    {"inside a list", "{\"filter_chains\":[{},{\"use_proxy_proto\":false}]}",
     "filter_chains[1].use_proxy_proto: not supported"},
    {"inside an any",
     "{\"filter_chains\":[{\"filters\":[{\"name\":\"h\",\"typed_config\":{\"@type\":\"" HCM_URL
     "\",\"early_header_mutation_extensions\":[{}]}}]}]}",
     "filter_chains[0].filters[0].typed_config.early_header_mutation_extensions: not supported"},
    {"inside a typed struct",
     "{\"filter_chains\":[{\"filters\":[{\"name\":\"h\",\"typed_config\":{\"@type\":"
     "\"type.googleapis.com/udpa.type.v1.TypedStruct\",\"type_url\":\"" HCM_URL
     "\",\"value\":{\"early_header_mutation_extensions\":[{}]}}}]}]}",
     "filter_chains[0].filters[0].typed_config.early_header_mutation_extensions: not supported"},
    {"unknown in a typed struct",
     "{\"filter_chains\":[{\"filters\":[{\"name\":\"h\",\"typed_config\":{\"@type\":"
     "\"type.googleapis.com/udpa.type.v1.TypedStruct\",\"type_url\":\"" HCM_URL
     "\",\"value\":{\"foo\":{}}}}]}]}",
     "filter_chains[0].filters[0].typed_config: foo: unknown field"},
    {"typed struct of unknown type",
     "{\"listener_filters\":[{\"typed_config\":{\"@type\":"
     "\"type.googleapis.com/xds.type.v3.TypedStruct\",\"type_url\":\"a/no.such\"}}]}",
     NULL},
    {"inside a map",
     "{\"filter_chains\":[{\"filters\":[{\"typed_config\":{\"@type\":\"" HCM_URL
     "\",\"route_config\":{\"typed_per_filter_config\":{\"k\":{\"@type\":\"" HCM_URL
     "\",\"early_header_mutation_extensions\":[{}]}}}}}]}]}",
     "filter_chains[0].filters[0].typed_config.route_config.typed_per_filter_config.k."
     "early_header_mutation_extensions: not supported"},
};

static ProtobufCMessage *from_json(const char *type, const char *text, struct pb_arena *a)
{
    struct error err;
    ProtobufCMessage *msg;
    json_t *json;
    assert_int_equal(pb_json_load(text, strlen(text), &json, &err), 0);
    if (pb_from_json(json, pb_find(str_of(type)), a, NULL, &msg, &err))
        fail_msg("%s", err.text);
    json_decref(json);
    return msg;
}

static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct pb_arena a;
        struct error err = {0};
        pb_arena_init(&a, PB_ARENA_MIN);
        int rc = support_check(from_json(LISTENER, cases[i].json, &a), NULL, &err);
        if (cases[i].error ? rc == 0 || strcmp(err.text, cases[i].error) != 0 : rc != 0)
            fail_msg("%s: %d \"%s\"", cases[i].name, rc, err.text);
        pb_arena_fini(&a);
    }
}

static void note(void *arg, const char *path)
{
    sbuf_printf(arg, "%s;", path);
}

static void test_undeclared_fields(void **state)
{
    (void)state;
    /* filter_chains { #999: 1 } #100: "x" */
    static const char bytes[] = "\x1a\x03\xb8\x3e\x01\xa2\x06\x01x";
    struct sbuf seen = {0};
    struct pb_unknown unknown = {note, &seen};
    struct pb_arena a;
    struct error err;
    ProtobufCMessage *msg;
    pb_arena_init(&a, PB_ARENA_MIN);
    assert_int_equal(pb_unpack(pb_find(STR(LISTENER)), bytes, sizeof(bytes) - 1, &a, &msg, &err),
                     0);
    assert_int_equal(support_check(msg, &unknown, &err), 0);
    assert_string_equal(seen.p, "#100;filter_chains[0].#999;");
    assert_int_equal(support_check(msg, NULL, &err), -ERR_UNSUPPORTED);
    assert_string_equal(err.text, "#100: unknown field");
    sbuf_fini(&seen);
    pb_arena_fini(&a);
}

static void test_unknown_in_typed_struct_has_outer_path(void **state)
{
    (void)state;
    struct sbuf seen = {0};
    struct pb_unknown unknown = {note, &seen};
    struct pb_arena a;
    struct error err;
    pb_arena_init(&a, PB_ARENA_MIN);
    ProtobufCMessage *msg =
        from_json(LISTENER,
                  "{\"filter_chains\":[{\"filters\":[{\"typed_config\":{\"@type\":"
                  "\"type.googleapis.com/udpa.type.v1.TypedStruct\",\"type_url\":\"" HCM_URL
                  "\",\"value\":{\"foo\":1}}}]}]}",
                  &a);
    assert_int_equal(support_check(msg, &unknown, &err), 0);
    assert_string_equal(seen.p, "filter_chains[0].filters[0].typed_config.foo;");
    sbuf_fini(&seen);
    pb_arena_fini(&a);
}

/* A payload that does not decode is an error with the path of the Any. */
static void test_malformed_payload(void **state)
{
    (void)state;
    struct pb_arena a;
    struct error err;
    pb_arena_init(&a, PB_ARENA_MIN);
    Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;
    any.type_url = (char *)(uintptr_t) "x/envoy.config.core.v3.Node";
    any.value = (ProtobufCBinaryData){.len = 1, .data = (uint8_t *)(uintptr_t) "\x0b"};
    assert_int_equal(support_check(&any.base, NULL, &err), -ERR_INVALID);
    assert_string_equal(err.text, "malformed wire format at byte 0");
    pb_arena_fini(&a);
}

static void test_find(void **state)
{
    (void)state;
    const ProtobufCMessageDescriptor *d = pb_find(STR(LISTENER));
    assert_int_equal(support_find(d, "name"), SUPPORT_IMPLEMENTED);
    assert_int_equal(support_find(d, "metadata"), SUPPORT_HARMLESS);
    assert_int_equal(support_find(d, "api_listener"), SUPPORT_REFUSED);
    assert_int_equal(support_find(d, "no_such_field"), SUPPORT_REFUSED);
    assert_int_equal(support_find(pb_find(STR("envoy.config.core.v3.QuicProtocolOptions")),
                                  "max_concurrent_streams"),
                     SUPPORT_REFUSED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_undeclared_fields),
        cmocka_unit_test(test_unknown_in_typed_struct_has_outer_path),
        cmocka_unit_test(test_malformed_payload),
        cmocka_unit_test(test_find),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
