/* Proto3 JSON text; the first byte chooses the message type and whether unknown fields are let
 * through. Held to: what is taken can be written as JSON, and that is taken again and encodes to
 * the same bytes. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "proto/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const types[] = {
    "envoy.config.bootstrap.v3.Bootstrap",
    "envoy.config.listener.v3.Listener",
    "envoy.config.cluster.v3.Cluster",
    "envoy.config.route.v3.RouteConfiguration",
    "envoy.service.discovery.v3.DiscoveryResponse",
    "google.protobuf.Struct",
    "google.protobuf.Any",
    "google.protobuf.FieldMask",
};

static void check(bool ok)
{
    if (!ok)
        abort();
}

static void on_unknown(void *arg, const char *path)
{
    *(size_t *)arg += strlen(path);
}

/* Struct's map keeps the order of a JSON object, so equal messages have equal bytes. */
static void check_again(const ProtobufCMessage *msg)
{
    struct error err;
    struct buf first = {0}, second = {0};
    struct pb_arena a;
    ProtobufCMessage *again;
    json_t *json = pb_to_json(msg, &err);
    if (!json)
        return; /* a duration or time out of range is taken by JSON's object form */
    pb_arena_init(&a, 16 << 20);
    if (pb_from_json(json, msg->descriptor, &a, NULL, &again, &err) == 0) {
        pb_pack(msg, &first);
        pb_pack(again, &second);
        check(first.len == second.len);
    }
    json_decref(json);
    pb_arena_fini(&a);
    buf_fini(&first);
    buf_fini(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pb_arena a;
    struct error err;
    ProtobufCMessage *msg;
    json_t *json;
    size_t unknown_chars = 0;
    struct pb_unknown unknown = {on_unknown, &unknown_chars};
    if (size < 1 || pb_json_load((const char *)data + 1, size - 1, &json, &err))
        return 0;
    pb_arena_init(&a, 1 << 20);
    const ProtobufCMessageDescriptor *desc = pb_find(str_of(types[data[0] / 2 % ARRAY_LEN(types)]));
    if (pb_from_json(json, desc, &a, data[0] & 1 ? &unknown : NULL, &msg, &err) == 0)
        check_again(msg);
    json_decref(json);
    pb_arena_fini(&a);
    return 0;
}
