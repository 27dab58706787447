#include "proto/value.h"

#include <string.h>

#define SECONDS_MAX 315576000000ll /* ten thousand years, as google.protobuf.Duration says */

static int check_range(const Google__Protobuf__Duration *d, struct error *err)
{
    if (d->seconds < 0 || d->nanos < 0)
        return error_set(err, ERR_INVALID, "negative duration");
    if (d->seconds > SECONDS_MAX || d->nanos > 999999999)
        return error_set(err, ERR_INVALID, "duration out of range");
    return 0;
}

int pb_duration_ms(const Google__Protobuf__Duration *d, uint64_t def_ms, uint64_t *ms_r,
                   struct error *err)
{
    int rc = d ? check_range(d, err) : 0;
    *ms_r = def_ms;
    if (rc || !d)
        return rc;
    *ms_r = (uint64_t)d->seconds * 1000 + (uint64_t)d->nanos / 1000000;
    if (*ms_r == 0 && d->nanos > 0)
        *ms_r = 1;
    return 0;
}

int pb_duration_ns(const Google__Protobuf__Duration *d, uint64_t def_ns, uint64_t *ns_r,
                   struct error *err)
{
    int rc = d ? check_range(d, err) : 0;
    *ns_r = def_ns;
    if (rc || !d)
        return rc;
    if (d->seconds >= INT64_MAX / 1000000000)
        return error_set(err, ERR_LIMIT, "duration over 292 years");
    *ns_r = (uint64_t)d->seconds * 1000000000 + (uint64_t)d->nanos;
    return 0;
}

/* Every entry type with string keys begins like this one. */
struct string_entry {
    ProtobufCMessage base;
    const char *key;
};

void *pb_map_find(void *entries, size_t n, const char *key)
{
    struct string_entry **e = entries;
    while (n-- > 0)
        if (strcmp(e[n]->key, key) == 0)
            return e[n];
    return NULL;
}

const Google__Protobuf__Value *pb_struct_get(const Google__Protobuf__Struct *s, const char *key)
{
    const Google__Protobuf__Struct__FieldsEntry *e = s ? PB_MAP_FIND(s, fields, key) : NULL;
    return e ? e->value : NULL;
}

static const Google__Protobuf__Value *get_kind(const Google__Protobuf__Struct *s, const char *key,
                                               Google__Protobuf__Value__KindCase kind)
{
    const Google__Protobuf__Value *v = pb_struct_get(s, key);
    return v && v->kind_case == kind ? v : NULL;
}

const char *pb_struct_string(const Google__Protobuf__Struct *s, const char *key)
{
    const Google__Protobuf__Value *v = get_kind(s, key, GOOGLE__PROTOBUF__VALUE__KIND_STRING_VALUE);
    return v ? v->string_value : NULL;
}

const Google__Protobuf__Struct *pb_struct_struct(const Google__Protobuf__Struct *s, const char *key)
{
    const Google__Protobuf__Value *v = get_kind(s, key, GOOGLE__PROTOBUF__VALUE__KIND_STRUCT_VALUE);
    return v ? v->struct_value : NULL;
}

bool pb_struct_bool(const Google__Protobuf__Struct *s, const char *key, bool def)
{
    const Google__Protobuf__Value *v = get_kind(s, key, GOOGLE__PROTOBUF__VALUE__KIND_BOOL_VALUE);
    return v ? v->bool_value : def;
}

double pb_struct_number(const Google__Protobuf__Struct *s, const char *key, double def)
{
    const Google__Protobuf__Value *v = get_kind(s, key, GOOGLE__PROTOBUF__VALUE__KIND_NUMBER_VALUE);
    return v ? v->number_value : def;
}
