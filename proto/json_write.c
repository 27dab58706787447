/* JSON from messages: original field names, defaults left out. */
#include "proto/json.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "google/protobuf/field_mask.pb-c.h"
#include "proto/base64.h"
#include "proto/reflect.h"
#include "proto/value.h"

struct writer {
    unsigned depth;
    struct error *err;
};

static json_t *write_message(struct writer *w, const ProtobufCMessage *msg);

/* error_set that fits where a NULL is returned. */
#define fail(w, ...) (error_set((w)->err, __VA_ARGS__), NULL)

static json_t *write_bytes(const ProtobufCBinaryData *b)
{
    char *text = mem_alloc(base64_encoded_size(b->len));
    base64_encode(b->data, b->len, text);
    json_t *json = json_string(text);
    mem_free(text);
    return json;
}

static json_t *write_double(double d)
{
    if (isnan(d))
        return json_string("NaN");
    if (isinf(d))
        return json_string(d > 0 ? "Infinity" : "-Infinity");
    if (d == floor(d) && fabs(d) < 9007199254740992.0)
        return json_integer((json_int_t)d);
    return json_real(d);
}

/* The double with the fewest digits that still reads as the same float. */
static double widen(float f)
{
    char text[32];
    for (int digits = 6; digits < 9; digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, (double)f);
        if (strtof(text, NULL) == f)
            return strtod(text, NULL);
    }
    return (double)f;
}

static json_t *write_int64(uint64_t v, bool is_signed)
{
    char text[24];
    if (is_signed)
        snprintf(text, sizeof(text), "%" PRId64, (int64_t)v);
    else
        snprintf(text, sizeof(text), "%" PRIu64, v);
    return json_string(text);
}

static json_t *write_enum(const ProtobufCEnumDescriptor *e, int value)
{
    const ProtobufCEnumValue *v = protobuf_c_enum_descriptor_get_value(e, value);
    if (strcmp(e->name, "google.protobuf.NullValue") == 0)
        return json_null();
    return v ? json_string(v->name) : json_integer(value);
}

static json_t *write_string(struct writer *w, const char *s)
{
    json_t *json = json_string(s ? s : "");
    return json ? json : fail(w, ERR_INVALID, "string is not UTF-8");
}

static json_t *write_value(struct writer *w, const ProtobufCFieldDescriptor *f, const void *at)
{
    switch (f->type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
        return json_integer(*(const int32_t *)at);
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        return json_integer(*(const uint32_t *)at);
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        return write_int64(*(const uint64_t *)at, true);
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        return write_int64(*(const uint64_t *)at, false);
    case PROTOBUF_C_TYPE_FLOAT:
        return write_double(widen(*(const float *)at));
    case PROTOBUF_C_TYPE_DOUBLE:
        return write_double(*(const double *)at);
    case PROTOBUF_C_TYPE_BOOL:
        return json_boolean(*(const protobuf_c_boolean *)at);
    case PROTOBUF_C_TYPE_ENUM:
        return write_enum(f->descriptor, *(const int *)at);
    case PROTOBUF_C_TYPE_BYTES:
        return write_bytes(at);
    case PROTOBUF_C_TYPE_MESSAGE:
        return *(ProtobufCMessage *const *)at ? write_message(w, *(ProtobufCMessage *const *)at)
                                              : json_object(); /* the absent value of a map entry */
    default:
        return write_string(w, *(char *const *)at);
    }
}

/* A map key is a string in JSON whatever its type. */
static void format_key(const ProtobufCFieldDescriptor *f, const void *at, char *out, size_t cap)
{
    switch (f->type) {
    case PROTOBUF_C_TYPE_BOOL:
        snprintf(out, cap, "%s", *(const protobuf_c_boolean *)at ? "true" : "false");
        break;
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        snprintf(out, cap, "%" PRIu32, *(const uint32_t *)at);
        break;
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        snprintf(out, cap, "%" PRIu64, *(const uint64_t *)at);
        break;
    default:
        snprintf(out, cap, "%" PRId64,
                 reflect_size(f) == 8 ? *(const int64_t *)at : *(const int32_t *)at);
    }
}

static json_t *write_map(struct writer *w, const ProtobufCMessage *msg,
                         const ProtobufCFieldDescriptor *f)
{
    json_t *object = json_object();
    size_t n = reflect_count(msg, f);
    for (size_t i = 0; i < n; i++) {
        const ProtobufCMessage *entry = *(ProtobufCMessage *const *)reflect_elem(msg, f, i);
        const ProtobufCFieldDescriptor *kf = &entry->descriptor->fields[0];
        const ProtobufCFieldDescriptor *vf = &entry->descriptor->fields[1];
        char number[24];
        const char *key = number;
        if (kf->type == PROTOBUF_C_TYPE_STRING)
            key = *(char *const *)reflect_at(entry, kf->offset);
        else
            format_key(kf, reflect_at(entry, kf->offset), number, sizeof(number));
        json_t *value = write_value(w, vf, reflect_at(entry, vf->offset));
        if (!value || json_object_set_new(object, key, value)) {
            json_decref(object);
            return value ? fail(w, ERR_INVALID, "%s: key is not UTF-8", f->name) : NULL;
        }
    }
    return object;
}

static json_t *write_array(struct writer *w, const ProtobufCMessage *msg,
                           const ProtobufCFieldDescriptor *f)
{
    json_t *array = json_array();
    size_t n = reflect_count(msg, f);
    for (size_t i = 0; i < n; i++) {
        json_t *value = write_value(w, f, reflect_elem(msg, f, i));
        if (!value) {
            json_decref(array);
            error_prefix(w->err, "%s[%zu]: ", f->name, i);
            return NULL;
        }
        json_array_append_new(array, value);
    }
    return array;
}

/* Adds the set fields of a message to an object. */
static int write_fields(struct writer *w, const ProtobufCMessage *msg, json_t *object)
{
    for (unsigned i = 0; i < msg->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &msg->descriptor->fields[i];
        if (!reflect_is_set(msg, f))
            continue;
        json_t *value;
        if (f->label != PROTOBUF_C_LABEL_REPEATED)
            value = write_value(w, f, reflect_at(msg, f->offset));
        else if (reflect_is_map(msg->descriptor, f))
            value = write_map(w, msg, f);
        else
            value = write_array(w, msg, f);
        if (!value)
            return -ERR_INVALID;
        json_object_set_new(object, f->name, value);
    }
    return 0;
}

/* Digits of a fraction in groups of three, as other writers print them. */
static void format_nanos(int32_t nanos, char out[16])
{
    int digits = nanos % 1000000 == 0 ? 3 : nanos % 1000 == 0 ? 6 : 9;
    int32_t scale = digits == 3 ? 1000000 : digits == 6 ? 1000 : 1;
    out[0] = '\0';
    if (nanos)
        snprintf(out, 16, ".%0*" PRId32, digits, nanos / scale);
}

static json_t *write_duration(struct writer *w, const ProtobufCMessage *msg)
{
    const Google__Protobuf__Duration *d = (const void *)msg;
    char fraction[16];
    (void)w;
    if (d->nanos <= -1000000000 || d->nanos >= 1000000000)
        return fail(w, ERR_INVALID, "duration out of range");
    format_nanos(d->nanos < 0 ? -d->nanos : d->nanos, fraction);
    return json_sprintf("%s%" PRIu64 "%ss", d->seconds < 0 || d->nanos < 0 ? "-" : "",
                        d->seconds < 0 ? -(uint64_t)d->seconds : (uint64_t)d->seconds, fraction);
}

static json_t *write_timestamp(struct writer *w, const ProtobufCMessage *msg)
{
    const Google__Protobuf__Timestamp *t = (const void *)msg;
    char date[64], fraction[16];
    time_t seconds = t->seconds;
    struct tm tm;
    if (t->seconds < -62135596800 || t->seconds > 253402300799 || t->nanos < 0 ||
        t->nanos > 999999999 || !gmtime_r(&seconds, &tm))
        return fail(w, ERR_INVALID, "time out of range");
    snprintf(date, sizeof(date), "%04d-%02d-%02dT%02d:%02d:%02d", tm.tm_year + 1900, tm.tm_mon + 1,
             tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
    format_nanos(t->nanos, fraction);
    return json_sprintf("%s%sZ", date, fraction);
}

static json_t *write_field_mask(struct writer *w, const ProtobufCMessage *msg)
{
    const Google__Protobuf__FieldMask *mask = (const void *)msg;
    struct sbuf text = {0};
    for (size_t i = 0; i < mask->n_paths; i++) {
        size_t n = strlen(mask->paths[i]) + 1;
        char *name = mem_alloc(n);
        reflect_json_name(mask->paths[i], name, n);
        sbuf_printf(&text, "%s%s", i ? "," : "", name);
        mem_free(name);
    }
    json_t *json = write_string(w, text.p);
    sbuf_fini(&text);
    return json;
}

/* Struct, ListValue and the wrappers are written as their only field. */
static json_t *write_first_field(struct writer *w, const ProtobufCMessage *msg)
{
    const ProtobufCFieldDescriptor *f = &msg->descriptor->fields[0];
    if (f->label != PROTOBUF_C_LABEL_REPEATED)
        return write_value(w, f, reflect_at(msg, f->offset));
    return reflect_is_map(msg->descriptor, f) ? write_map(w, msg, f) : write_array(w, msg, f);
}

static json_t *write_struct_value(struct writer *w, const ProtobufCMessage *msg)
{
    const Google__Protobuf__Value *v = (const void *)msg;
    const ProtobufCFieldDescriptor *f =
        protobuf_c_message_descriptor_get_field(msg->descriptor, v->kind_case);
    return f ? write_value(w, f, reflect_at(msg, f->offset)) : json_null();
}

static json_t *write_any(struct writer *w, const ProtobufCMessage *msg);

typedef json_t *write_fn(struct writer *w, const ProtobufCMessage *msg);

static write_fn *find_writer(const ProtobufCMessageDescriptor *desc)
{
    static const struct {
        const ProtobufCMessageDescriptor *desc;
        write_fn *write;
    } known[] = {
        {&google__protobuf__any__descriptor, write_any},
        {&google__protobuf__duration__descriptor, write_duration},
        {&google__protobuf__timestamp__descriptor, write_timestamp},
        {&google__protobuf__field_mask__descriptor, write_field_mask},
        {&google__protobuf__value__descriptor, write_struct_value},
        {&google__protobuf__struct__descriptor, write_first_field},
        {&google__protobuf__list_value__descriptor, write_first_field},
        {&google__protobuf__double_value__descriptor, write_first_field},
        {&google__protobuf__float_value__descriptor, write_first_field},
        {&google__protobuf__int64_value__descriptor, write_first_field},
        {&google__protobuf__uint64_value__descriptor, write_first_field},
        {&google__protobuf__int32_value__descriptor, write_first_field},
        {&google__protobuf__uint32_value__descriptor, write_first_field},
        {&google__protobuf__bool_value__descriptor, write_first_field},
        {&google__protobuf__string_value__descriptor, write_first_field},
        {&google__protobuf__bytes_value__descriptor, write_first_field},
    };
    if (strncmp(desc->name, "google.protobuf.", 16) != 0)
        return NULL;
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (known[i].desc == desc)
            return known[i].write;
    return NULL;
}

static json_t *write_any_message(struct writer *w, const char *url, const ProtobufCMessage *inner)
{
    json_t *object = json_object();
    json_object_set_new(object, "@type", json_string(url));
    if (find_writer(inner->descriptor)) {
        json_t *value = write_message(w, inner);
        if (value && !json_object_set_new(object, "value", value))
            return object;
    } else if (!write_fields(w, inner, object)) {
        return object;
    }
    json_decref(object);
    return NULL;
}

static json_t *write_any(struct writer *w, const ProtobufCMessage *msg)
{
    const Google__Protobuf__Any *any = (const void *)msg;
    const ProtobufCMessageDescriptor *desc = pb_find_url(any->type_url);
    if (!*any->type_url && !any->value.len)
        return json_object();
    if (!desc) {
        json_t *object = json_object();
        json_object_set_new(object, "@type", write_string(w, any->type_url));
        json_object_set_new(object, "value", write_bytes(&any->value));
        return object;
    }
    struct pb_arena arena;
    ProtobufCMessage *inner;
    json_t *json = NULL;
    pb_arena_init(&arena, pb_budget(any->value.len));
    if (pb_unpack(desc, any->value.data, any->value.len, &arena, &inner, w->err) == 0)
        json = write_any_message(w, any->type_url, inner);
    pb_arena_fini(&arena);
    return json;
}

static json_t *write_message(struct writer *w, const ProtobufCMessage *msg)
{
    if (w->depth >= PB_DEPTH_MAX)
        return fail(w, ERR_LIMIT, "nested deeper than %d messages", PB_DEPTH_MAX);
    w->depth++;
    write_fn *known = find_writer(msg->descriptor);
    json_t *json = known ? known(w, msg) : json_object();
    if (!known && write_fields(w, msg, json)) {
        json_decref(json);
        json = NULL;
    }
    w->depth--;
    return json;
}

json_t *pb_to_json(const ProtobufCMessage *msg, struct error *err)
{
    struct error scratch;
    struct writer w = {.err = err ? err : &scratch};
    return write_message(&w, msg);
}
