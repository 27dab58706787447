/* Types of google.protobuf whose JSON is not an object of their fields. */
#include "proto/json_private.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "google/protobuf/field_mask.pb-c.h"
#include "proto/value.h"

/* Up to nine digits after the point, as nanoseconds; returns what follows, NULL when there are
 * none or more. */
static const char *read_fraction(const char *s, int32_t *nanos_r)
{
    int digits = 0;
    *nanos_r = 0;
    for (; *s >= '0' && *s <= '9'; s++, digits++) {
        if (digits == 9)
            return NULL;
        *nanos_r = *nanos_r * 10 + (*s - '0');
    }
    for (int i = digits; i < 9; i++)
        *nanos_r *= 10;
    return digits ? s : NULL;
}

static int read_duration(struct json_reader *r, const json_t *json, ProtobufCMessage *msg)
{
    Google__Protobuf__Duration *d = (void *)msg;
    if (json_is_object(json))
        return json_read_object(r, json, msg, false);
    const char *s = json_string_value(json);
    if (!s)
        return json_fail(r, ERR_INVALID, "expected a duration such as \"0.5s\"");
    bool is_negative = *s == '-';
    s += is_negative;
    int digits = 0;
    for (; *s >= '0' && *s <= '9' && digits < 13; s++, digits++)
        d->seconds = d->seconds * 10 + (*s - '0');
    const char *rest = digits && *s == '.' ? read_fraction(s + 1, &d->nanos) : s;
    if (!digits || !rest || strcmp(rest, "s") != 0 || d->seconds > 315576000000)
        return json_fail(r, ERR_INVALID, "expected a duration such as \"0.5s\"");
    if (is_negative) {
        d->seconds = -d->seconds;
        d->nanos = -d->nanos;
    }
    return 0;
}

/* "Z" or "+hh:mm" or "-hh:mm", in seconds. */
static bool read_zone(const char *s, int64_t *offset_r)
{
    int hours, minutes, used = 0;
    *offset_r = 0;
    if (strcmp(s, "Z") == 0)
        return true;
    if ((*s != '+' && *s != '-') || sscanf(s + 1, "%2d:%2d%n", &hours, &minutes, &used) != 2 ||
        used != 5 || s[6] || hours > 23 || minutes > 59)
        return false;
    *offset_r = (hours * 3600 + minutes * 60) * (*s == '-' ? -1 : 1);
    return true;
}

/* RFC 3339. */
static int read_timestamp(struct json_reader *r, const json_t *json, ProtobufCMessage *msg)
{
    Google__Protobuf__Timestamp *t = (void *)msg;
    if (json_is_object(json))
        return json_read_object(r, json, msg, false);
    const char *s = json_string_value(json);
    struct tm tm = {0};
    int64_t zone;
    const char *rest = s ? strptime(s, "%Y-%m-%dT%H:%M:%S", &tm) : NULL;
    if (rest && *rest == '.')
        rest = read_fraction(rest + 1, &t->nanos);
    if (!rest || !read_zone(rest, &zone) || tm.tm_year < -1899)
        return json_fail(r, ERR_INVALID, "expected a time such as \"2024-01-31T12:00:00Z\"");
    t->seconds = timegm(&tm) - zone;
    return 0;
}

/* "a.bC,d" becomes the paths a.b_c and d. */
static int read_field_mask(struct json_reader *r, const json_t *json, ProtobufCMessage *msg)
{
    Google__Protobuf__FieldMask *mask = (void *)msg;
    if (json_is_object(json))
        return json_read_object(r, json, msg, false);
    if (!json_is_string(json))
        return json_fail(r, ERR_INVALID, "expected field paths");
    struct str rest = str_of(json_string_value(json)), path;
    size_t n = rest.n ? 1 : 0;
    for (size_t i = 0; i < rest.n; i++)
        n += rest.p[i] == ',';
    mask->paths = json_alloc(r, n * sizeof(char *));
    while (mask->paths && mask->n_paths < n && str_next(&rest, ',', &path)) {
        char *out = json_alloc(r, path.n * 2 + 1);
        if (!out)
            return -ERR_LIMIT;
        mask->paths[mask->n_paths++] = out;
        for (size_t i = 0; i < path.n; i++) {
            if (path.p[i] == '_')
                return json_fail(r, ERR_INVALID, "expected field paths in camelCase");
            if (path.p[i] >= 'A' && path.p[i] <= 'Z')
                *out++ = '_';
            *out++ = str_lower(path.p[i]);
        }
        *out = '\0';
    }
    return mask->paths ? 0 : -ERR_LIMIT;
}

/* Wrappers: the JSON value is that of their one field. */
static int read_first_field(struct json_reader *r, const json_t *json, ProtobufCMessage *msg)
{
    const ProtobufCFieldDescriptor *f = &msg->descriptor->fields[0];
    return json_read_value(r, json, f, reflect_at(msg, f->offset));
}

static int read_struct(struct json_reader *r, const json_t *json, ProtobufCMessage *msg)
{
    Google__Protobuf__Struct *s = (void *)msg;
    json_t *object = (json_t *)(uintptr_t)json, *value;
    const char *key;
    if (!json_is_object(json))
        return json_fail(r, ERR_INVALID, "expected an object");
    s->fields = json_alloc(r, json_object_size(json) * sizeof(*s->fields));
    if (!s->fields)
        return -ERR_LIMIT;
    json_object_foreach(object, key, value)
    {
        size_t before = reflect_push(&r->path, key, -1), n = strlen(key);
        Google__Protobuf__Struct__FieldsEntry *e = json_alloc(r, sizeof(*e) + n + 1);
        Google__Protobuf__Value *v = e ? json_alloc(r, sizeof(*v)) : NULL;
        if (!v)
            return -ERR_LIMIT;
        google__protobuf__struct__fields_entry__init(e);
        google__protobuf__value__init(v);
        e->key = memcpy(e + 1, key, n + 1);
        e->value = v;
        s->fields[s->n_fields++] = e;
        int rc = json_read_message(r, value, &v->base);
        reflect_pop(&r->path, before);
        if (rc)
            return rc;
    }
    return 0;
}

static int read_list(struct json_reader *r, const json_t *json, ProtobufCMessage *msg)
{
    Google__Protobuf__ListValue *l = (void *)msg;
    size_t n = json_array_size(json);
    if (!json_is_array(json))
        return json_fail(r, ERR_INVALID, "expected a list");
    l->values = json_alloc(r, n * sizeof(*l->values));
    for (size_t i = 0; i < n && l->values; i++) {
        Google__Protobuf__Value *v = json_alloc(r, sizeof(*v));
        if (!v)
            return -ERR_LIMIT;
        google__protobuf__value__init(v);
        l->values[l->n_values++] = v;
        int rc = json_read_message(r, json_array_get(json, i), &v->base);
        if (rc)
            return rc;
    }
    return l->values ? 0 : -ERR_LIMIT;
}

static int read_value(struct json_reader *r, const json_t *json, ProtobufCMessage *msg)
{
    Google__Protobuf__Value *v = (void *)msg;
    const ProtobufCFieldDescriptor *f;
    switch (json_typeof(json)) {
    case JSON_NULL:
        v->kind_case = GOOGLE__PROTOBUF__VALUE__KIND_NULL_VALUE;
        v->null_value = GOOGLE__PROTOBUF__NULL_VALUE__NULL_VALUE;
        return 0;
    case JSON_TRUE:
    case JSON_FALSE:
        v->kind_case = GOOGLE__PROTOBUF__VALUE__KIND_BOOL_VALUE;
        v->bool_value = json_is_true(json);
        return 0;
    case JSON_INTEGER:
    case JSON_REAL:
        v->kind_case = GOOGLE__PROTOBUF__VALUE__KIND_NUMBER_VALUE;
        v->number_value = json_number_value(json);
        return 0;
    case JSON_STRING:
        v->kind_case = GOOGLE__PROTOBUF__VALUE__KIND_STRING_VALUE;
        break;
    case JSON_OBJECT:
        v->kind_case = GOOGLE__PROTOBUF__VALUE__KIND_STRUCT_VALUE;
        break;
    case JSON_ARRAY:
        v->kind_case = GOOGLE__PROTOBUF__VALUE__KIND_LIST_VALUE;
        break;
    }
    f = protobuf_c_message_descriptor_get_field(msg->descriptor, v->kind_case);
    return json_read_value(r, json, f, reflect_at(msg, f->offset));
}

/* {"@type": URL, fields...}; types with a JSON form of their own stand under "value". */
static int read_any(struct json_reader *r, const json_t *json, ProtobufCMessage *msg)
{
    Google__Protobuf__Any *any = (void *)msg;
    const char *url = json_string_value(json_object_get(json, "@type"));
    if (json_is_object(json) && json_object_size(json) == 0)
        return 0;
    if (!url)
        return json_fail(r, ERR_INVALID, "expected an object with \"@type\"");
    const ProtobufCMessageDescriptor *desc = pb_find_url(url);
    if (!desc)
        return json_fail(r, ERR_NOT_FOUND, "unknown type \"%s\"", url);
    ProtobufCMessage *inner = json_alloc(r, desc->sizeof_message);
    if (!inner)
        return -ERR_LIMIT;
    protobuf_c_message_init(desc, inner);
    int rc;
    if (json_find_known(desc)) {
        const json_t *value = json_object_get(json, "value");
        rc = value ? json_read_message(r, value, inner)
                   : json_fail(r, ERR_INVALID, "expected \"value\"");
    } else {
        rc = json_read_object(r, json, inner, true);
    }
    if (rc)
        return rc;
    any->value.len = protobuf_c_message_get_packed_size(inner);
    any->value.data = json_alloc(r, any->value.len);
    any->type_url = pb_arena_strndup(r->arena, url, strlen(url));
    if (!any->value.data || !any->type_url)
        return json_fail(r, ERR_LIMIT, "takes too much memory");
    protobuf_c_message_pack(inner, any->value.data);
    return 0;
}

json_known_fn *json_find_known(const ProtobufCMessageDescriptor *desc)
{
    static const struct {
        const ProtobufCMessageDescriptor *desc;
        json_known_fn *read;
    } known[] = {
        {&google__protobuf__any__descriptor, read_any},
        {&google__protobuf__duration__descriptor, read_duration},
        {&google__protobuf__timestamp__descriptor, read_timestamp},
        {&google__protobuf__field_mask__descriptor, read_field_mask},
        {&google__protobuf__struct__descriptor, read_struct},
        {&google__protobuf__value__descriptor, read_value},
        {&google__protobuf__list_value__descriptor, read_list},
        {&google__protobuf__double_value__descriptor, read_first_field},
        {&google__protobuf__float_value__descriptor, read_first_field},
        {&google__protobuf__int64_value__descriptor, read_first_field},
        {&google__protobuf__uint64_value__descriptor, read_first_field},
        {&google__protobuf__int32_value__descriptor, read_first_field},
        {&google__protobuf__uint32_value__descriptor, read_first_field},
        {&google__protobuf__bool_value__descriptor, read_first_field},
        {&google__protobuf__string_value__descriptor, read_first_field},
        {&google__protobuf__bytes_value__descriptor, read_first_field},
    };
    if (strncmp(desc->name, "google.protobuf.", 16) != 0)
        return NULL;
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (known[i].desc == desc)
            return known[i].read;
    return NULL;
}
