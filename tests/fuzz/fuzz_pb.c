/* Wire bytes of a message; the first byte chooses its type. Held to: whatever is taken can be
 * checked, shown as JSON and written, and what is written is taken again and written alike. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "proto/json.h"
#include "proto/support.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const types[] = {
    "envoy.config.listener.v3.Listener",
    "envoy.config.cluster.v3.Cluster",
    "envoy.config.endpoint.v3.ClusterLoadAssignment",
    "envoy.config.route.v3.RouteConfiguration",
    "envoy.service.discovery.v3.DiscoveryResponse",
    "envoy.service.discovery.v3.DeltaDiscoveryResponse",
    "envoy.config.core.v3.TypedExtensionConfig",
    "envoy.extensions.transport_sockets.tls.v3.Secret",
    "google.protobuf.Struct",
    "google.protobuf.Any",
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

static void check_written(const ProtobufCMessage *msg)
{
    struct buf first = {0}, second = {0};
    struct pb_arena a;
    struct error err;
    ProtobufCMessage *again;
    pb_pack(msg, &first);
    pb_arena_init(&a, pb_budget(first.len));
    /* Writing may be larger than what was read, so the budget may not do. */
    if (pb_unpack(msg->descriptor, buf_str(&first).p, first.len, &a, &again, &err) == 0) {
        pb_pack(again, &second);
        check(str_eq(buf_str(&first), buf_str(&second)));
    } else {
        check(err.code == ERR_LIMIT);
    }
    pb_arena_fini(&a);
    buf_fini(&first);
    buf_fini(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pb_arena a;
    struct error err;
    ProtobufCMessage *msg;
    size_t unknown_chars = 0;
    struct pb_unknown unknown = {on_unknown, &unknown_chars};
    if (size < 1)
        return 0;
    pb_arena_init(&a, 1 << 20);
    a.unknown = &unknown;
    if (pb_unpack(pb_find(str_of(types[data[0] % ARRAY_LEN(types)])), data + 1, size - 1, &a, &msg,
                  &err) == 0) {
        support_check(msg, NULL, &err);
        support_check(msg, &unknown, &err);
        json_decref(pb_to_json(msg, &err));
        check_written(msg);
    }
    pb_arena_fini(&a);
    return 0;
}
