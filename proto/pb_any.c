/* Type names, Any and TypedStruct. */
#include "proto/pb.h"

#include <string.h>

#include "proto/json.h"
#include "proto/value.h"
#include "registry.h"
#include "udpa/type/v1/typed_struct.pb-c.h"
#include "xds/type/v3/typed_struct.pb-c.h"

const ProtobufCMessageDescriptor *pb_find(struct str name)
{
    size_t low = 0, high = REGISTRY_COUNT;
    while (low < high) {
        size_t mid = (low + high) / 2;
        const char *s = registry[mid]->name;
        int order = strncmp(name.p, s, name.n);
        if (order == 0 && s[name.n] == '\0')
            return registry[mid];
        if (order > 0)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}

struct str pb_type_name(const char *type_url)
{
    const char *slash = type_url ? strrchr(type_url, '/') : NULL;
    return slash ? str_of(slash + 1) : STR_NULL;
}

const ProtobufCMessageDescriptor *pb_find_url(const char *type_url)
{
    struct str name = pb_type_name(type_url);
    return name.n ? pb_find(name) : NULL;
}

static bool is_typed_struct(struct str name)
{
    return str_is(name, "udpa.type.v1.TypedStruct") || str_is(name, "xds.type.v3.TypedStruct");
}

/* Field 1 of a TypedStruct's bytes, the last one if repeated; "" when malformed. */
static struct str typed_struct_url(const ProtobufCBinaryData *value)
{
    const uint8_t *p = value->data, *end = value->len ? p + value->len : p; /* p may be NULL */
    struct str url = STR("");
    while (p < end) {
        unsigned tag = *p++, shift = 0;
        uint64_t len = 0;
        do {
            if (p == end || shift > 28)
                return STR("");
            len |= (uint64_t)(*p & 127) << shift;
            shift += 7;
        } while (*p++ & 128);
        if ((tag != 0x0a && tag != 0x12) || len > (uint64_t)(end - p))
            return STR("");
        if (tag == 0x0a)
            url = (struct str){(const char *)p, len};
        p += len;
    }
    return url;
}

struct str pb_any_type(const Google__Protobuf__Any *any)
{
    struct str name = any ? pb_type_name(any->type_url) : STR_NULL;
    if (!is_typed_struct(name))
        return name.p ? name : STR("");
    struct str url = typed_struct_url(&any->value);
    for (size_t i = url.n; i > 0; i--)
        if (url.p[i - 1] == '/')
            return (struct str){url.p + i, url.n - i};
    return url;
}

static int unpack_typed_struct(const ProtobufCMessage *typed, struct pb_arena *a,
                               ProtobufCMessage **msg_r, struct error *err)
{
    /* Both packages declare the same two fields, so one C type reads either. */
    const Xds__Type__V3__TypedStruct *ts = (const void *)typed;
    const char *slash = strrchr(ts->type_url, '/');
    struct str name = str_of(slash ? slash + 1 : ts->type_url);
    const ProtobufCMessageDescriptor *desc = pb_find(name);
    if (!desc)
        return error_set(err, ERR_NOT_FOUND, "unknown type \"%s\"", ts->type_url);
    json_t *json = ts->value ? pb_to_json(&ts->value->base, err) : json_object();
    if (!json)
        return error_prefix(err, "value: ");
    int rc = pb_from_json(json, desc, a, a->unknown, msg_r, err);
    json_decref(json);
    return rc;
}

int pb_any_unpack(const Google__Protobuf__Any *any, struct pb_arena *a, ProtobufCMessage **msg_r,
                  struct error *err)
{
    *msg_r = NULL;
    if (!any)
        return error_set(err, ERR_INVALID, "missing");
    const ProtobufCMessageDescriptor *desc = pb_find_url(any->type_url);
    if (!desc)
        return error_set(err, ERR_NOT_FOUND, "unknown type \"%s\"", any->type_url);
    int rc = pb_unpack(desc, any->value.data, any->value.len, a, msg_r, err);
    if (rc || !is_typed_struct(str_of(desc->name)))
        return rc;
    const ProtobufCMessage *typed = *msg_r;
    *msg_r = NULL;
    return unpack_typed_struct(typed, a, msg_r, err);
}

int pb_any_unpack_as(const Google__Protobuf__Any *any, const ProtobufCMessageDescriptor *desc,
                     struct pb_arena *a, ProtobufCMessage **msg_r, struct error *err)
{
    *msg_r = NULL;
    if (any && !str_is(pb_any_type(any), desc->name))
        return error_set(err, ERR_INVALID, "holds \"%.*s\" instead of %s",
                         STR_ARG(pb_any_type(any)), desc->name);
    return pb_any_unpack(any, a, msg_r, err);
}

Google__Protobuf__Any *pb_any_pack(const ProtobufCMessage *msg, struct pb_arena *a)
{
    static const char prefix[] = "type.googleapis.com/";
    size_t name = strlen(msg->descriptor->name), n = protobuf_c_message_get_packed_size(msg);
    ProtobufCMessage *base = pb_new(&google__protobuf__any__descriptor, a);
    Google__Protobuf__Any *any = (void *)base;
    char *url = pb_arena_alloc(a, sizeof(prefix) + name);
    uint8_t *bytes = pb_arena_alloc(a, n);
    if (!any || !url || !bytes)
        return NULL;
    memcpy(url, prefix, sizeof(prefix) - 1);
    memcpy(url + sizeof(prefix) - 1, msg->descriptor->name, name + 1);
    protobuf_c_message_pack(msg, bytes);
    any->type_url = url;
    any->value = (ProtobufCBinaryData){.len = n, .data = bytes};
    return any;
}
