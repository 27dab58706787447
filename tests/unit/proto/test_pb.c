#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "envoy/config/core/v3/base.pb-c.h"
#include "envoy/config/endpoint/v3/endpoint.pb-c.h"
#include "envoy/config/listener/v3/listener.pb-c.h"
#include "google/protobuf/struct.pb-c.h"
#include "proto/json.h"
#include "proto/pb.h"
#include "proto/value.h"
#include "udpa/type/v1/typed_struct.pb-c.h"

#define NODE (&envoy__config__core__v3__node__descriptor)
#define ASSIGNMENT (&envoy__config__endpoint__v3__cluster_load_assignment__descriptor)

struct bytes_case {
    const char *name;
    const ProtobufCMessageDescriptor *desc;
    const char *bytes;
    size_t n;
    int rc;
    const char *text; /* of the error */
};

#define BYTES(s) (s), sizeof(s) - 1

static const struct bytes_case cases[] = {
    {"empty", NODE, BYTES(""), 0, NULL},
    {"id", NODE, BYTES("\x0a\x02ok"), 0, NULL},
    {"unknown field", NODE, BYTES("\xa2\x06\x01x"), 0, NULL},
    {"nul", NODE,
     BYTES("\x0a\x03"
           "a\0b"),
     -ERR_INVALID, "id: string holds NUL or is not UTF-8"},
    {"utf-8 two bytes", NODE, BYTES("\x0a\x02\xc3\xa9"), 0, NULL},
    {"utf-8 overlong", NODE, BYTES("\x0a\x02\xc0\x80"), -ERR_INVALID, "id: string"},
    {"utf-8 surrogate", NODE, BYTES("\x0a\x03\xed\xa0\x80"), -ERR_INVALID, "id: string"},
    {"utf-8 cut", NODE, BYTES("\x0a\x02\xe2\x82"), -ERR_INVALID, "id: string"},
    {"utf-8 after eight", NODE,
     BYTES("\x0a\x09"
           "12345678\xff"),
     -ERR_INVALID, "id: string"},
    {"inner path", NODE, BYTES("\x22\x03\x12\x01\xff"), -ERR_INVALID, "locality.zone: string"},
    {"repeated path", ASSIGNMENT, BYTES("\x12\x00\x12\x02\x0a\x05"), -ERR_INVALID,
     "endpoints[1]: malformed wire format at byte 0"},
    {"group", NODE, BYTES("\x0b\x0c"), -ERR_INVALID, "malformed wire format at byte 0"},
    {"field number 0", NODE, BYTES("\x00\x05"), -ERR_INVALID, "malformed"},
    {"length past end", NODE, BYTES("\x0a\xff\xff\xff\xff\x0fx"), -ERR_INVALID, "malformed"},
    {"length 2^63", NODE, BYTES("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7fx"), -ERR_INVALID,
     "malformed"},
    {"varint cut", NODE, BYTES("\x50\x80\x80"), -ERR_INVALID, "malformed"},
    {"varint of eleven bytes", NODE, BYTES("\xa0\x06\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
     -ERR_INVALID, "malformed"},
    {"wrong wire type", NODE, BYTES("\x08\x05"), -ERR_INVALID, "id: wrong wire type 0"},
    {"wrong wire type of message", NODE, BYTES("\x20\x05"), -ERR_INVALID,
     "locality: wrong wire type 0"},
};

static void test_unpack_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct bytes_case *c = &cases[i];
        struct pb_arena a;
        struct error err = {0};
        ProtobufCMessage *msg;
        pb_arena_init(&a, pb_budget(c->n));
        int rc = pb_unpack(c->desc, c->bytes, c->n, &a, &msg, &err);
        if (rc != c->rc || (msg != NULL) != (rc == 0) ||
            (c->text && strncmp(err.text, c->text, strlen(c->text)) != 0))
            fail_msg("%s: %d \"%s\"", c->name, rc, err.text);
        pb_arena_fini(&a);
    }
}

/* A google.protobuf.Value nested through lists: two messages for each level. */
static size_t nest_lists(uint8_t *out, size_t cap, int levels)
{
    size_t at = cap;
    for (int i = 0; i < levels * 2; i++) {
        size_t len = cap - at;
        uint8_t head[8];
        size_t n = 0;
        head[n++] = i % 2 ? 0x32 : 0x0a; /* list_value = 6, values = 1 */
        for (; len > 127; len >>= 7)
            head[n++] = (uint8_t)(len | 128);
        head[n++] = (uint8_t)len;
        at -= n;
        memcpy(out + at, head, n);
    }
    memmove(out, out + at, cap - at);
    return cap - at;
}

static void test_depth_is_bounded(void **state)
{
    (void)state;
    enum { CAP = 2000000 };
    uint8_t *bytes = mem_alloc(CAP);
    static const struct {
        int levels, rc;
    } rows[] = {{49, 0}, {50, -ERR_LIMIT}, {5000, -ERR_LIMIT}, {200000, -ERR_LIMIT}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct pb_arena a;
        struct error err;
        ProtobufCMessage *msg;
        size_t n = nest_lists(bytes, CAP, rows[i].levels);
        pb_arena_init(&a, pb_budget(n));
        int rc = pb_unpack(&google__protobuf__value__descriptor, bytes, n, &a, &msg, &err);
        if (rc != rows[i].rc)
            fail_msg("%d levels: %d %s", rows[i].levels, rc, err.text);
        pb_arena_fini(&a);
    }
    mem_free(bytes);
}

static void test_memory_is_bounded(void **state)
{
    (void)state;
    enum { N = 1000000 };
    uint8_t *bytes = mem_alloc(N * 2);
    struct error err;
    ProtobufCMessage *msg;
    struct pb_arena a;
    for (size_t i = 0; i < N; i++) {
        bytes[i * 2] = 0x12; /* an empty endpoints entry */
        bytes[i * 2 + 1] = 0;
    }
    pb_arena_init(&a, pb_budget(N * 2));
    assert_int_equal(pb_unpack(ASSIGNMENT, bytes, N * 2, &a, &msg, &err), -ERR_LIMIT);
    assert_null(msg);
    pb_arena_reset(&a, SIZE_MAX);
    assert_int_equal(pb_unpack(ASSIGNMENT, bytes, 2000, &a, &msg, &err), 0);
    Envoy__Config__Endpoint__V3__ClusterLoadAssignment *cla = (void *)msg;
    assert_int_equal(cla->n_endpoints, 1000);
    pb_arena_fini(&a);
    mem_free(bytes);
}

/* One singular message sent many times is merged each time, which grows with the square. */
static void test_merging_is_bounded(void **state)
{
    (void)state;
    enum { N = 200000 };
    struct buf b = {0};
    struct error err;
    ProtobufCMessage *msg;
    struct pb_arena a;
    for (size_t i = 0; i < N; i++)
        buf_add(&b, "\x1a\x02\x0a\x00", 4); /* metadata { fields {} } */
    pb_arena_init(&a, pb_budget(b.len));
    assert_int_equal(pb_unpack(NODE, buf_head(&b), b.len, &a, &msg, &err), -ERR_LIMIT);
    pb_arena_fini(&a);
    buf_consume(&b, b.len);
}

static void test_arena_keeps_blocks(void **state)
{
    (void)state;
    struct pb_arena a;
    pb_arena_init(&a, 1000);
    assert_null(a.blocks);
    void *first = pb_arena_alloc(&a, 10);
    assert_non_null(first);
    assert_null(pb_arena_alloc(&a, 985));
    assert_true(a.is_exceeded);
    assert_non_null(pb_arena_alloc(&a, 984));
    pb_arena_reset(&a, 100);
    assert_ptr_equal(pb_arena_alloc(&a, 100), first);
    assert_false(a.is_exceeded);
    assert_null(pb_arena_alloc(&a, SIZE_MAX));
    pb_arena_fini(&a);
}

static void test_find(void **state)
{
    (void)state;
    static const char *const known[] = {
        "envoy.config.listener.v3.Listener",
        "envoy.config.listener.v3.Listener.DeprecatedV1",
        "envoy.extensions.filters.http.wasm.v3.Wasm",
        "google.protobuf.Any",
        "istio.envoy.config.filter.http.alpn.v2alpha1.FilterConfig",
        "stats.PluginConfig",
        "udpa.type.v1.TypedStruct",
        "xds.type.v3.TypedStruct",
    };
    static const char *const unknown[] = {"", "google.protobuf.An", "google.protobuf.Anyx", "z",
                                          "Any"};
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        const ProtobufCMessageDescriptor *d = pb_find(str_of(known[i]));
        if (!d || strcmp(d->name, known[i]) != 0)
            fail_msg("%s", known[i]);
    }
    for (size_t i = 0; i < ARRAY_LEN(unknown); i++)
        if (pb_find(str_of(unknown[i])))
            fail_msg("%s", unknown[i]);
    assert_ptr_equal(pb_find_url("type.googleapis.com/envoy.config.core.v3.Node"), NODE);
    assert_ptr_equal(pb_find_url("https://a/b/envoy.config.core.v3.Node"), NODE);
    assert_null(pb_find_url("envoy.config.core.v3.Node"));
    assert_null(pb_find_url(""));
}

static Google__Protobuf__Any *typed_struct(struct pb_arena *a, const char *url, const char *json)
{
    struct error err;
    json_t *j;
    ProtobufCMessage *value;
    Udpa__Type__V1__TypedStruct *ts = (void *)pb_new(&udpa__type__v1__typed_struct__descriptor, a);
    assert_int_equal(pb_json_load(json, strlen(json), &j, &err), 0);
    assert_int_equal(pb_from_json(j, &google__protobuf__struct__descriptor, a, NULL, &value, &err),
                     0);
    json_decref(j);
    ts->type_url = pb_arena_strndup(a, url, strlen(url));
    ts->value = (void *)value;
    return pb_any_pack(&ts->base, a);
}

static void test_any(void **state)
{
    (void)state;
    struct pb_arena a;
    struct error err;
    ProtobufCMessage *msg;
    pb_arena_init(&a, PB_ARENA_MIN);
    Envoy__Config__Core__V3__Node node = ENVOY__CONFIG__CORE__V3__NODE__INIT;
    node.id = (char *)(uintptr_t) "sidecar~1";
    Google__Protobuf__Any *any = pb_any_pack(&node.base, &a);
    assert_string_equal(any->type_url, "type.googleapis.com/envoy.config.core.v3.Node");
    assert_int_equal(pb_any_unpack_as(any, NODE, &a, &msg, &err), 0);
    assert_string_equal(((Envoy__Config__Core__V3__Node *)msg)->id, "sidecar~1");
    assert_int_equal(pb_any_unpack_as(any, ASSIGNMENT, &a, &msg, &err), -ERR_INVALID);
    assert_string_equal(err.text, "holds \"envoy.config.core.v3.Node\" instead of "
                                  "envoy.config.endpoint.v3.ClusterLoadAssignment");
    assert_int_equal(pb_any_unpack(NULL, &a, &msg, &err), -ERR_INVALID);
    any->type_url = (char *)(uintptr_t) "type.googleapis.com/no.such.Type";
    assert_int_equal(pb_any_unpack(any, &a, &msg, &err), -ERR_NOT_FOUND);
    assert_string_equal(err.text, "unknown type \"type.googleapis.com/no.such.Type\"");

    any = typed_struct(&a, "type.googleapis.com/envoy.config.core.v3.Node", "{\"id\":\"ts\"}");
    assert_true(str_is(pb_any_type(any), "envoy.config.core.v3.Node"));
    assert_int_equal(pb_any_unpack_as(any, NODE, &a, &msg, &err), 0);
    assert_string_equal(((Envoy__Config__Core__V3__Node *)msg)->id, "ts");
    any = typed_struct(&a, "type.googleapis.com/envoy.config.core.v3.Node", "{\"foo\":1}");
    assert_int_equal(pb_any_unpack(any, &a, &msg, &err), -ERR_INVALID);
    assert_string_equal(err.text, "foo: unknown field");
    any = typed_struct(&a, "type.googleapis.com/no.such", "{}");
    assert_true(str_is(pb_any_type(any), "no.such"));
    assert_int_equal(pb_any_unpack(any, &a, &msg, &err), -ERR_NOT_FOUND);
    pb_arena_fini(&a);
}

static void test_durations(void **state)
{
    (void)state;
    static const struct {
        int64_t seconds;
        int32_t nanos;
        int rc;
        uint64_t ms, ns;
    } rows[] = {
        {0, 0, 0, 0, 0},
        {1, 500000000, 0, 1500, 1500000000},
        {0, 1, 0, 1, 1},
        {0, 1999999, 0, 1, 1999999},
        {-1, 0, -ERR_INVALID, 7, 7},
        {0, -1, -ERR_INVALID, 7, 7},
        {0, 1000000000, -ERR_INVALID, 7, 7},
        {315576000001, 0, -ERR_INVALID, 7, 7},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        Google__Protobuf__Duration d = GOOGLE__PROTOBUF__DURATION__INIT;
        uint64_t ms, ns;
        d.seconds = rows[i].seconds;
        d.nanos = rows[i].nanos;
        int rc_ms = pb_duration_ms(&d, 7, &ms, NULL), rc_ns = pb_duration_ns(&d, 7, &ns, NULL);
        if (rc_ms != rows[i].rc || rc_ns != rows[i].rc || ms != rows[i].ms || ns != rows[i].ns)
            fail_msg("row %zu", i);
    }
    uint64_t v;
    assert_int_equal(pb_duration_ms(NULL, 7, &v, NULL), 0);
    assert_int_equal(v, 7);
    Google__Protobuf__Duration d = GOOGLE__PROTOBUF__DURATION__INIT;
    d.seconds = 315576000000;
    assert_int_equal(pb_duration_ns(&d, 7, &v, NULL), -ERR_LIMIT);
}

static void test_map_takes_the_last(void **state)
{
    (void)state;
    struct pb_arena a;
    struct error err;
    ProtobufCMessage *msg;
    /* { "k": "x" }, { "k": "y" }, { "n": 2.0 } */
    static const char bytes[] = "\x0a\x08\x0a\x01k\x12\x03\x1a\x01x"
                                "\x0a\x08\x0a\x01k\x12\x03\x1a\x01y"
                                "\x0a\x0e\x0a\x01n\x12\x09\x11\0\0\0\0\0\0\0\x40";
    pb_arena_init(&a, PB_ARENA_MIN);
    assert_int_equal(
        pb_unpack(&google__protobuf__struct__descriptor, bytes, sizeof(bytes) - 1, &a, &msg, &err),
        0);
    const Google__Protobuf__Struct *s = (void *)msg;
    assert_string_equal(pb_struct_string(s, "k"), "y");
    assert_null(pb_struct_string(s, "n"));
    assert_true(pb_struct_number(s, "n", 0) == 2.0);
    assert_null(pb_struct_get(s, "absent"));
    assert_null(pb_struct_get(NULL, "k"));
    pb_arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unpack_cases),
        cmocka_unit_test(test_depth_is_bounded),
        cmocka_unit_test(test_memory_is_bounded),
        cmocka_unit_test(test_merging_is_bounded),
        cmocka_unit_test(test_arena_keeps_blocks),
        cmocka_unit_test(test_find),
        cmocka_unit_test(test_any),
        cmocka_unit_test(test_durations),
        cmocka_unit_test(test_map_takes_the_last),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
