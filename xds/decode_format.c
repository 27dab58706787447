/* SubstitutionFormatString: what lines of access logs and bodies of local replies look like. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "xds/decode_private.h"

typedef Envoy__Config__Core__V3__SubstitutionFormatString format_msg;

enum { FORMAT_MAX = 64 * 1024 };

static decode_format_check_fn *check_format;

void decode_set_format_check(decode_format_check_fn *check)
{
    check_format = check;
}

static int check(const struct conf_format *f, struct error *err)
{
    return check_format ? check_format(f, err) : 0;
}

int decode_check_format(const char *format, struct error *err)
{
    const struct conf_format f = {.text = format};
    return check(&f, err);
}

/* ---- JSON ---- */

static void convert(struct decode *d, const Google__Protobuf__Value *v, struct conf_json *out);

static int compare_keys(const void *a, const void *b)
{
    return strcmp(((const struct conf_json *)a)->key.p, ((const struct conf_json *)b)->key.p);
}

static void convert_object(struct decode *d, const Google__Protobuf__Struct *m,
                           struct conf_json *out)
{
    out->kind = CONF_JSON_OBJECT;
    out->n = m->n_fields;
    out->v = DECODE_ARRAY(d, struct conf_json, m->n_fields);
    for (size_t i = 0; i < m->n_fields; i++) {
        convert(d, m->fields[i]->value, &out->v[i]);
        out->v[i].key = decode_str(d, m->fields[i]->key);
    }
    qsort(out->v, out->n, sizeof(*out->v), compare_keys);
}

static void convert_list(struct decode *d, const Google__Protobuf__ListValue *m,
                         struct conf_json *out)
{
    out->kind = CONF_JSON_LIST;
    out->n = m->n_values;
    out->v = DECODE_ARRAY(d, struct conf_json, m->n_values);
    for (size_t i = 0; i < m->n_values; i++)
        convert(d, m->values[i], &out->v[i]);
}

static const char *number_text(struct decode *d, double v)
{
    if (isnan(v) || isinf(v))
        return "null";
    if (v == floor(v) && fabs(v) < 1e15)
        return arena_printf(d->out, "%.0f", v);
    return arena_printf(d->out, "%.17g", v);
}

/* The nesting was bounded when the message was checked. */
static void convert(struct decode *d, const Google__Protobuf__Value *v, struct conf_json *out)
{
    const char *literal = "null";
    switch (v ? v->kind_case : GOOGLE__PROTOBUF__VALUE__KIND__NOT_SET) {
    case GOOGLE__PROTOBUF__VALUE__KIND_STRING_VALUE:
        out->kind = CONF_JSON_FORMAT;
        out->text = decode_str(d, v->string_value);
        return;
    case GOOGLE__PROTOBUF__VALUE__KIND_STRUCT_VALUE:
        convert_object(d, v->struct_value, out);
        return;
    case GOOGLE__PROTOBUF__VALUE__KIND_LIST_VALUE:
        convert_list(d, v->list_value, out);
        return;
    case GOOGLE__PROTOBUF__VALUE__KIND_NUMBER_VALUE:
        literal = number_text(d, v->number_value);
        break;
    case GOOGLE__PROTOBUF__VALUE__KIND_BOOL_VALUE:
        literal = v->bool_value ? "true" : "false";
        break;
    default:
        break;
    }
    out->kind = CONF_JSON_LITERAL;
    out->text = str_of(literal);
}

int decode_json_format(struct decode *d, const Google__Protobuf__Struct *m, struct conf_format *f,
                       struct error *err)
{
    struct conf_json *root = DECODE_NEW(d, struct conf_json);
    convert_object(d, m, root);
    f->json = root;
    return check(f, err);
}

/* ---- text ---- */

int decode_text_format(struct decode *d, const char *text, struct conf_format *f, struct error *err)
{
    f->text = decode_text(d, text);
    return check(f, err);
}

#define FORMAT(x) ENVOY__CONFIG__CORE__V3__SUBSTITUTION_FORMAT_STRING__FORMAT_##x

int decode_format(struct decode *d, const format_msg *m, struct conf_format *f, struct error *err)
{
    struct str text;
    f->omits_empty = m->omit_empty_values;
    switch (m->format_case) {
    case FORMAT(TEXT_FORMAT):
        return decode_text_format(d, m->text_format, f, err) ? error_prefix(err, "text_format: ")
                                                             : 0;
    case FORMAT(TEXT_FORMAT_SOURCE):
        if (decode_data_source(d, m->text_format_source, FORMAT_MAX, &text, err))
            return error_prefix(err, "text_format_source.");
        return decode_text_format(d, arena_strndup(d->out, text.p, text.n), f, err)
                   ? error_prefix(err, "text_format_source: ")
                   : 0;
    case FORMAT(JSON_FORMAT):
        return decode_json_format(d, m->json_format, f, err) ? error_prefix(err, "json_format: ")
                                                             : 0;
    default:
        return error_set(err, ERR_INVALID, "format: required");
    }
}
