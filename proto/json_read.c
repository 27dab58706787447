/* Messages from JSON: objects, repeated fields and maps. Scalars stand in json_scalar.c, types
 * with a form of their own in json_known.c. */
#include "proto/json_private.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int json_fail(struct json_reader *r, enum err code, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    return error_set(r->err, code, "%s%s%s", r->path.text, r->path.n ? ": " : "", text);
}

void *json_alloc(struct json_reader *r, size_t n)
{
    void *p = pb_arena_alloc(r->arena, n);
    if (!p)
        json_fail(r, ERR_LIMIT, "takes more than %zu bytes of memory", r->arena->budget);
    return p;
}

static int read_new_message(struct json_reader *r, const json_t *json,
                            const ProtobufCMessageDescriptor *desc, ProtobufCMessage **msg_r)
{
    *msg_r = json_alloc(r, desc->sizeof_message);
    if (!*msg_r)
        return -ERR_LIMIT;
    protobuf_c_message_init(desc, *msg_r);
    return json_read_message(r, json, *msg_r);
}

int json_read_value(struct json_reader *r, const json_t *json, const ProtobufCFieldDescriptor *f,
                    void *at)
{
    if (f->type == PROTOBUF_C_TYPE_MESSAGE)
        return read_new_message(r, json, f->descriptor, at);
    return json_read_scalar(r, json, f, at);
}

/* Makes room for n elements of a repeated field. */
static int set_count(struct json_reader *r, ProtobufCMessage *msg,
                     const ProtobufCFieldDescriptor *f, size_t n)
{
    void *elems = json_alloc(r, n * reflect_size(f));
    if (!elems)
        return -ERR_LIMIT;
    memset(elems, 0, n * reflect_size(f));
    *(void **)reflect_at(msg, f->offset) = elems;
    *(size_t *)reflect_at(msg, f->quantifier_offset) = n;
    return 0;
}

static int read_array(struct json_reader *r, const json_t *json, ProtobufCMessage *msg,
                      const ProtobufCFieldDescriptor *f, const char *name)
{
    /* A value that is not in a list is taken as its only element, as Envoy takes it. */
    bool is_array = json_is_array(json);
    size_t n = is_array ? json_array_size(json) : 1;
    int rc = n ? set_count(r, msg, f, n) : 0;
    for (size_t i = 0; !rc && i < n; i++) {
        size_t before = reflect_push(&r->path, name, (long)i);
        rc = json_read_value(r, is_array ? json_array_get(json, i) : json, f,
                             reflect_elem(msg, f, i));
        reflect_pop(&r->path, before);
    }
    return rc;
}

static int read_map_entry(struct json_reader *r, const char *key, const json_t *value,
                          const ProtobufCMessageDescriptor *desc, ProtobufCMessage **entry_r)
{
    const ProtobufCFieldDescriptor *kf = &desc->fields[0], *vf = &desc->fields[1];
    ProtobufCMessage *entry = *entry_r = json_alloc(r, desc->sizeof_message);
    if (!entry)
        return -ERR_LIMIT;
    protobuf_c_message_init(desc, entry);
    json_t *key_json;
    if (kf->type == PROTOBUF_C_TYPE_BOOL)
        key_json = strcmp(key, "true") == 0    ? json_true()
                   : strcmp(key, "false") == 0 ? json_false()
                                               : json_null();
    else
        key_json = json_string(key);
    int rc = json_read_scalar(r, key_json, kf, reflect_at(entry, kf->offset));
    json_decref(key_json);
    return rc ? rc : json_read_value(r, value, vf, reflect_at(entry, vf->offset));
}

static int read_map(struct json_reader *r, const json_t *json, ProtobufCMessage *msg,
                    const ProtobufCFieldDescriptor *f)
{
    json_t *object = (json_t *)(uintptr_t)json, *value;
    const char *key;
    size_t i = 0;
    if (!json_is_object(json))
        return json_fail(r, ERR_INVALID, "expected an object");
    int rc = json_object_size(json) ? set_count(r, msg, f, json_object_size(json)) : 0;
    if (rc)
        return rc;
    json_object_foreach(object, key, value)
    {
        size_t before = reflect_push(&r->path, key, -1);
        rc = read_map_entry(r, key, value, f->descriptor, reflect_elem(msg, f, i++));
        reflect_pop(&r->path, before);
        if (rc)
            return rc;
    }
    return 0;
}

static const ProtobufCFieldDescriptor *find_field(const ProtobufCMessageDescriptor *desc,
                                                  const char *key)
{
    const ProtobufCFieldDescriptor *f = protobuf_c_message_descriptor_get_field_by_name(desc, key);
    char name[128];
    for (unsigned i = 0; !f && i < desc->n_fields; i++)
        if (reflect_json_name(desc->fields[i].name, name, sizeof(name)) && strcmp(name, key) == 0)
            f = &desc->fields[i];
    return f;
}

/* null stands for an absent field, except where the type has a value for it. */
static bool takes_null(const ProtobufCFieldDescriptor *f)
{
    const ProtobufCEnumDescriptor *e = f->type == PROTOBUF_C_TYPE_ENUM ? f->descriptor : NULL;
    const ProtobufCMessageDescriptor *m = f->type == PROTOBUF_C_TYPE_MESSAGE ? f->descriptor : NULL;
    return f->label != PROTOBUF_C_LABEL_REPEATED &&
           ((e && strcmp(e->name, "google.protobuf.NullValue") == 0) ||
            (m && strcmp(m->name, "google.protobuf.Value") == 0));
}

static int read_singular(struct json_reader *r, const json_t *json, ProtobufCMessage *msg,
                         const ProtobufCFieldDescriptor *f)
{
    uint32_t *chosen = reflect_is_oneof(f) ? reflect_at(msg, f->quantifier_offset) : NULL;
    if (chosen && *chosen)
        return json_fail(r, ERR_INVALID, "another member of the same oneof is set");
    if (!chosen && reflect_is_set(msg, f))
        return json_fail(r, ERR_INVALID, "set twice");
    int rc = json_read_value(r, json, f, reflect_at(msg, f->offset));
    if (!rc && chosen)
        *chosen = f->id;
    return rc;
}

static int read_member(struct json_reader *r, const char *key, const json_t *value,
                       ProtobufCMessage *msg)
{
    const ProtobufCFieldDescriptor *f = find_field(msg->descriptor, key);
    if (f && json_is_null(value) && !takes_null(f))
        return 0;
    bool is_repeated = f && f->label == PROTOBUF_C_LABEL_REPEATED;
    if (is_repeated && !reflect_is_map(msg->descriptor, f)) {
        if (!reflect_is_set(msg, f))
            return read_array(r, value, msg, f, key);
        is_repeated = false; /* the same name in two spellings; refused below */
    }
    size_t before = reflect_push(&r->path, key, -1);
    int rc = 0;
    if (!f && r->unknown)
        r->unknown->on_unknown(r->unknown->arg, r->path.text);
    else if (!f)
        rc = json_fail(r, ERR_INVALID, "unknown field");
    else if (f->label == PROTOBUF_C_LABEL_REPEATED && reflect_is_set(msg, f))
        rc = json_fail(r, ERR_INVALID, "set twice");
    else if (is_repeated)
        rc = read_map(r, value, msg, f);
    else
        rc = read_singular(r, value, msg, f);
    reflect_pop(&r->path, before);
    return rc;
}

int json_read_object(struct json_reader *r, const json_t *json, ProtobufCMessage *msg,
                     bool skips_type)
{
    json_t *object = (json_t *)(uintptr_t)json, *value;
    const char *key;
    if (!json_is_object(json))
        return json_fail(r, ERR_INVALID, "expected an object");
    json_object_foreach(object, key, value)
    {
        int rc = skips_type && strcmp(key, "@type") == 0 ? 0 : read_member(r, key, value, msg);
        if (rc)
            return rc;
    }
    return 0;
}

int json_read_message(struct json_reader *r, const json_t *json, ProtobufCMessage *msg)
{
    if (r->depth >= PB_DEPTH_MAX)
        return json_fail(r, ERR_LIMIT, "nested deeper than %d messages", PB_DEPTH_MAX);
    r->depth++;
    json_known_fn *known = json_find_known(msg->descriptor);
    int rc = known ? known(r, json, msg) : json_read_object(r, json, msg, false);
    r->depth--;
    return rc;
}

int pb_from_json(const json_t *json, const ProtobufCMessageDescriptor *desc, struct pb_arena *a,
                 const struct pb_unknown *unknown, ProtobufCMessage **msg_r, struct error *err)
{
    struct json_reader r = {.arena = a, .unknown = unknown, .err = err};
    int rc = read_new_message(&r, json, desc, msg_r);
    if (rc)
        *msg_r = NULL;
    return rc;
}
