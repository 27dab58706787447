/* Scalars from JSON: numbers also as text, bytes as base64, enums by name or number. */
#include "proto/json_private.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base64.h"

/* Whole text as a number; no blanks, no hexadecimal. */
static bool parse_number(const char *s, double *value_r)
{
    char *end;
    if (!*s || strspn(s, "+-0123456789.eE") != strlen(s))
        return false;
    *value_r = strtod(s, &end);
    return !*end;
}

static bool parse_signed(const char *s, int64_t *value_r)
{
    char *end;
    if (!*s || strspn(s, "-0123456789") != strlen(s))
        return false;
    errno = 0;
    *value_r = strtoll(s, &end, 10);
    return !*end && !errno;
}

static int read_signed(struct json_reader *r, const json_t *json, int64_t min, int64_t max,
                       int64_t *value_r)
{
    double d;
    if (json_is_integer(json)) {
        *value_r = json_integer_value(json);
    } else if (!json_is_string(json) || !parse_signed(json_string_value(json), value_r)) {
        if (json_is_real(json))
            d = json_real_value(json);
        else if (!json_is_string(json) || !parse_number(json_string_value(json), &d))
            return json_fail(r, ERR_INVALID, "expected an integer");
        if (d != floor(d))
            return json_fail(r, ERR_INVALID, "expected an integer");
        if (!(d >= -9223372036854775808.0 && d < 9223372036854775808.0))
            return json_fail(r, ERR_INVALID, "out of range");
        *value_r = (int64_t)d;
    }
    if (*value_r < min || *value_r > max)
        return json_fail(r, ERR_INVALID, "out of range");
    return 0;
}

static int read_unsigned64(struct json_reader *r, const json_t *json, uint64_t *value_r)
{
    int64_t v = 0;
    if (json_is_string(json) && str_to_u64(str_of(json_string_value(json)), UINT64_MAX, value_r))
        return 0;
    int rc = read_signed(r, json, 0, INT64_MAX, &v);
    *value_r = (uint64_t)v;
    return rc;
}

static int read_double(struct json_reader *r, const json_t *json, double *value_r)
{
    const char *s = json_string_value(json);
    if (json_is_number(json))
        *value_r = json_number_value(json);
    else if (s && strcmp(s, "NaN") == 0)
        *value_r = NAN;
    else if (s && strcmp(s, "Infinity") == 0)
        *value_r = INFINITY;
    else if (s && strcmp(s, "-Infinity") == 0)
        *value_r = -INFINITY;
    else if (!s || !parse_number(s, value_r) || isinf(*value_r))
        return json_fail(r, ERR_INVALID, "expected a number");
    return 0;
}

static int read_float(struct json_reader *r, const json_t *json, float *value_r)
{
    double d = 0;
    int rc = read_double(r, json, &d);
    if (!rc && !isinf(d) && isinf((float)d))
        return json_fail(r, ERR_INVALID, "out of range");
    *value_r = (float)d;
    return rc;
}

static int read_string(struct json_reader *r, const json_t *json, char **value_r)
{
    if (!json_is_string(json))
        return json_fail(r, ERR_INVALID, "expected a string");
    size_t n = json_string_length(json);
    *value_r = json_alloc(r, n + 1);
    if (!*value_r)
        return -ERR_LIMIT;
    memcpy(*value_r, json_string_value(json), n + 1);
    return 0;
}

static int read_bytes(struct json_reader *r, const json_t *json, ProtobufCBinaryData *value_r)
{
    if (!json_is_string(json))
        return json_fail(r, ERR_INVALID, "expected base64");
    size_t n = json_string_length(json);
    value_r->data = json_alloc(r, n / 4 * 3 + 3);
    if (!value_r->data)
        return -ERR_LIMIT;
    if (!base64_decode(json_string_value(json), n, value_r->data, &value_r->len))
        return json_fail(r, ERR_INVALID, "not base64");
    return 0;
}

static int read_enum(struct json_reader *r, const json_t *json, const ProtobufCEnumDescriptor *e,
                     int *value_r)
{
    int64_t number = 0;
    if (json_is_null(json) && strcmp(e->name, "google.protobuf.NullValue") == 0) {
        *value_r = 0;
        return 0;
    }
    const char *name = json_string_value(json);
    const ProtobufCEnumValue *v =
        name ? protobuf_c_enum_descriptor_get_value_by_name(e, name) : NULL;
    if (name && !v && !parse_signed(name, &number))
        return json_fail(r, ERR_INVALID, "\"%s\" is no value of %s", name, e->name);
    int rc = v ? 0 : read_signed(r, json, INT32_MIN, INT32_MAX, &number);
    *value_r = v ? v->value : (int)number;
    return rc;
}

static int read_bool(struct json_reader *r, const json_t *json, protobuf_c_boolean *value_r)
{
    const char *s = json_string_value(json);
    bool is_true = json_is_true(json) || (s && strcmp(s, "true") == 0);
    if (!is_true && !json_is_false(json) && !(s && strcmp(s, "false") == 0))
        return json_fail(r, ERR_INVALID, "expected true or false");
    *value_r = is_true;
    return 0;
}

int json_read_scalar(struct json_reader *r, const json_t *json, const ProtobufCFieldDescriptor *f,
                     void *at)
{
    int64_t v = 0;
    int rc;
    switch (f->type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
        rc = read_signed(r, json, INT32_MIN, INT32_MAX, &v);
        *(int32_t *)at = (int32_t)v;
        return rc;
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        rc = read_signed(r, json, 0, UINT32_MAX, &v);
        *(uint32_t *)at = (uint32_t)v;
        return rc;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        return read_signed(r, json, INT64_MIN, INT64_MAX, at);
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        return read_unsigned64(r, json, at);
    case PROTOBUF_C_TYPE_FLOAT:
        return read_float(r, json, at);
    case PROTOBUF_C_TYPE_DOUBLE:
        return read_double(r, json, at);
    case PROTOBUF_C_TYPE_BOOL:
        return read_bool(r, json, at);
    case PROTOBUF_C_TYPE_ENUM:
        return read_enum(r, json, f->descriptor, at);
    case PROTOBUF_C_TYPE_BYTES:
        return read_bytes(r, json, at);
    default:
        return read_string(r, json, at);
    }
}
