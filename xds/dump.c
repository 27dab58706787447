#include "xds/dump.h"

#include <string.h>

#include "base/mem.h"
#include "proto/json.h"
#include "proto/pb.h"

enum { DEPTH_MAX = 2 * PB_DEPTH_MAX };

static const char redacted[] = "[redacted]";
static const char redacted_base64[] = "W3JlZGFjdGVkXQ==";

/* Fields that Envoy's messages mark as sensitive, and the plugin's variable that holds one. */
static bool is_sensitive(const char *key)
{
    static const char *const keys[] = {
        "private_key", "privateKey",     "password",      "session_ticket_keys",
        "hmac_secret", "hmacSecret",     "token_secret",  "sessionTicketKeys",
        "tokenSecret", "generic_secret", "genericSecret", "ISTIO_META_WASM_IMAGE_PULL_SECRET",
    };
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        if (strcmp(key, keys[i]) == 0)
            return true;
    return false;
}

/* Every text below is replaced; names of files and of other things that are no secret too. */
static void hide(json_t *json, const char *key, unsigned depth)
{
    const char *name;
    json_t *value;
    size_t i;
    void *tmp;
    if (depth > DEPTH_MAX)
        return;
    if (json_is_string(json))
        json_string_set(json, strcmp(key, "inline_bytes") ? redacted : redacted_base64);
    json_array_foreach(json, i, value) hide(value, key, depth + 1);
    json_object_foreach_safe(json, tmp, name, value) hide(value, name, depth + 1);
}

/* A payload of unknown type might hold anything: its type alone is shown. */
static void drop_opaque(json_t *json)
{
    const char *type = json_string_value(json_object_get(json, "@type"));
    if (type && json_object_size(json) == 2 && json_object_get(json, "value") && !pb_find_url(type))
        json_object_del(json, "value");
}

static void redact(json_t *json, unsigned depth)
{
    const char *key;
    json_t *value;
    size_t i;
    void *tmp;
    if (depth > DEPTH_MAX)
        return;
    json_array_foreach(json, i, value) redact(value, depth + 1);
    if (!json_is_object(json))
        return;
    drop_opaque(json);
    const char *named = json_string_value(json_object_get(json, "key"));
    json_t *beside = json_object_get(json, "value"); /* a map that was written as a list */
    if (named && beside && is_sensitive(named))
        hide(beside, "value", depth + 1);
    json_object_foreach_safe(json, tmp, key, value)
    {
        if (is_sensitive(key))
            hide(value, key, depth + 1);
        else
            redact(value, depth + 1);
    }
}

json_t *dump_message(const char *type_url, struct str bytes, bool with_type)
{
    struct error err;
    struct pb_arena arena;
    ProtobufCMessage *msg;
    const ProtobufCMessageDescriptor *desc = pb_find_url(type_url);
    json_t *fields = NULL;
    if (!desc)
        return NULL;
    pb_arena_init(&arena, pb_budget(bytes.n));
    if (!pb_unpack(desc, bytes.p ? bytes.p : "", bytes.n, &arena, &msg, &err))
        fields = pb_to_json(msg, &err);
    pb_arena_fini(&arena);
    if (!fields || !with_type) {
        redact(fields, 0);
        return fields;
    }
    json_t *json = json_pack("{s:s}", "@type", type_url);
    json_object_update(json, fields);
    json_decref(fields);
    redact(json, 0);
    return json;
}

static void find_hcm(const json_t *json, void (*fn)(json_t *hcm, void *arg), void *arg,
                     unsigned depth)
{
    const char *key;
    json_t *value;
    size_t i;
    if (depth > DEPTH_MAX)
        return;
    json_array_foreach(json, i, value) find_hcm(value, fn, arg, depth + 1);
    json_object_foreach((json_t *)json, key, value)
    {
        if (json_is_object(value) && json_object_get(value, "http_filters"))
            fn(value, arg);
        else
            find_hcm(value, fn, arg, depth + 1);
    }
}

void dump_each_hcm(const json_t *listener, void (*fn)(json_t *hcm, void *arg), void *arg)
{
    find_hcm(listener, fn, arg, 0);
}
