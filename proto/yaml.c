/* Values are built from the parser's events and not from libyaml's document tree, which reads on
 * to the end, in quadratic time, however deeply the text nests. An alias shares its anchor's value,
 * and counts and nests as if it were written out. */
#include "proto/yaml.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/str.h"

enum { DEPTH_MAX = 100, VALUES_MAX = 1000000 };

struct value {
    json_t *json;
    size_t size;     /* values in it, itself included */
    unsigned height; /* levels in it; 1 for a scalar */
};

struct reader {
    yaml_parser_t parser;
    struct hash anchors; /* name -> struct value, which owns a reference */
    size_t values;
    struct error *err;
};

static int read_node(struct reader *r, const yaml_event_t *e, unsigned depth, struct value *v_r);

static size_t line_of(const yaml_event_t *e)
{
    return e->start_mark.line + 1;
}

static bool is_one_of(const char *s, const char *const *words)
{
    for (; *words; words++)
        if (strcmp(s, *words) == 0)
            return true;
    return false;
}

static json_t *convert_plain(const char *s)
{
    /* yaml-cpp, which Envoy reads with, takes YAML 1.1's words for booleans. */
    static const char *const null_words[] = {"", "~", "null", "Null", "NULL", NULL};
    static const char *const true_words[] = {"y",    "Y",    "yes", "Yes", "YES", "true",
                                             "True", "TRUE", "on",  "On",  "ON",  NULL};
    static const char *const false_words[] = {"n",     "N",     "no",  "No",  "NO",  "false",
                                              "False", "FALSE", "off", "Off", "OFF", NULL};
    if (is_one_of(s, null_words))
        return json_null();
    if (is_one_of(s, true_words))
        return json_true();
    if (is_one_of(s, false_words))
        return json_false();
    if (strspn(s, "+-0123456789abcdefABCDEFxX") == strlen(s) && strpbrk(s, "0123456789")) {
        char *end;
        errno = 0;
        long long v = strtoll(s, &end, 0); /* with 0x and octal 0, as Envoy's */
        if (!*end && !errno)
            /* Large ones as text, which keeps them exact: proto3 JSON takes both. */
            return v >= INT32_MIN && v <= INT32_MAX ? json_integer(v) : json_sprintf("%lld", v);
    }
    return json_string(s);
}

/* The next event; the caller deletes it. */
static int next(struct reader *r, yaml_event_t *e)
{
    const yaml_parser_t *p = &r->parser;
    if (yaml_parser_parse(&r->parser, e))
        return 0;
    return error_set(r->err, ERR_INVALID, "line %zu column %zu: %s", p->problem_mark.line + 1,
                     p->problem_mark.column + 1, p->problem ? p->problem : "malformed YAML");
}

static int count(struct reader *r, const yaml_event_t *e, size_t values, unsigned depth)
{
    r->values += values;
    if (r->values > VALUES_MAX)
        return error_set(r->err, ERR_LIMIT, "line %zu: more than %d values", line_of(e),
                         VALUES_MAX);
    if (depth > DEPTH_MAX)
        return error_set(r->err, ERR_LIMIT, "line %zu: nested deeper than %d levels", line_of(e),
                         DEPTH_MAX);
    return 0;
}

static int read_scalar(struct reader *r, const yaml_event_t *e, struct value *v)
{
    const char *s = (const char *)e->data.scalar.value;
    if (memchr(s, 0, e->data.scalar.length))
        return error_set(r->err, ERR_INVALID, "line %zu: NUL in a scalar", line_of(e));
    bool is_plain = e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && !e->data.scalar.tag;
    v->json = is_plain ? convert_plain(s) : json_string(s);
    if (!v->json)
        return error_set(r->err, ERR_INVALID, "line %zu: scalar is not UTF-8", line_of(e));
    return 0;
}

static void grow(struct value *v, const struct value *inner)
{
    v->size += inner->size;
    if (v->height <= inner->height)
        v->height = inner->height + 1;
}

static int read_sequence(struct reader *r, unsigned depth, struct value *v)
{
    v->json = json_array();
    for (;;) {
        yaml_event_t e;
        struct value inner = {0};
        int rc = next(r, &e);
        if (rc)
            return rc;
        bool is_end = e.type == YAML_SEQUENCE_END_EVENT;
        if (!is_end)
            rc = read_node(r, &e, depth + 1, &inner);
        yaml_event_delete(&e);
        if (rc || is_end)
            return rc;
        json_array_append_new(v->json, inner.json);
        grow(v, &inner);
    }
}

/* "<<": one mapping or a list of them. */
static int merge(struct reader *r, const yaml_event_t *key, json_t *object, json_t *from)
{
    int rc = json_object_update_missing(object, from);
    for (size_t i = 0; json_is_array(from) && i < json_array_size(from); i++) {
        rc = json_object_update_missing(object, json_array_get(from, i));
        if (rc)
            break;
    }
    if (rc)
        return error_set(r->err, ERR_INVALID, "line %zu: \"<<\" takes mappings only", line_of(key));
    return 0;
}

static bool is_merge_key(const yaml_event_t *key)
{
    return key->type == YAML_SCALAR_EVENT && key->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
           strcmp((const char *)key->data.scalar.value, "<<") == 0;
}

/* Adds the value of a key, or what "<<" brings to `merged`, which is added at the end: keys that
 * are written out win wherever they stand. */
static int read_pair(struct reader *r, const yaml_event_t *key, unsigned depth, struct value *v,
                     json_t *merged)
{
    const char *name = (const char *)key->data.scalar.value;
    struct value inner = {0};
    yaml_event_t e;
    if (key->type != YAML_SCALAR_EVENT || memchr(name, 0, key->data.scalar.length))
        return error_set(r->err, ERR_INVALID, "line %zu: key is not a string", line_of(key));
    if (json_object_get(v->json, name))
        return error_set(r->err, ERR_DUPLICATE, "line %zu: key \"%s\" appears twice", line_of(key),
                         name);
    int rc = next(r, &e);
    if (rc)
        return rc;
    rc = read_node(r, &e, depth + 1, &inner);
    yaml_event_delete(&e);
    if (rc)
        return rc;
    grow(v, &inner);
    if (is_merge_key(key)) {
        rc = merge(r, key, merged, inner.json);
        json_decref(inner.json);
        return rc;
    }
    if (json_object_set_new(v->json, name, inner.json))
        return error_set(r->err, ERR_INVALID, "line %zu: key is not UTF-8", line_of(key));
    return 0;
}

static int read_mapping(struct reader *r, unsigned depth, struct value *v)
{
    json_t *merged = json_object();
    bool is_end = false;
    int rc = 0;
    v->json = json_object();
    while (!rc && !is_end) {
        yaml_event_t e;
        rc = next(r, &e);
        if (rc)
            break;
        is_end = e.type == YAML_MAPPING_END_EVENT;
        if (!is_end)
            rc = read_pair(r, &e, depth, v, merged);
        yaml_event_delete(&e);
    }
    if (!rc)
        json_object_update_missing(v->json, merged);
    json_decref(merged);
    return rc;
}

static int read_alias(struct reader *r, const yaml_event_t *e, unsigned depth, struct value *v)
{
    struct str name = str_of((const char *)e->data.alias.anchor);
    const struct value *anchor = hash_find(&r->anchors, name);
    if (!anchor)
        return error_set(r->err, ERR_INVALID, "line %zu: alias \"%s\" without anchor", line_of(e),
                         name.p);
    int rc = count(r, e, anchor->size, depth + anchor->height);
    if (rc)
        return rc;
    *v = *anchor;
    json_incref(v->json);
    return 0;
}

static void set_anchor(struct reader *r, const yaml_char_t *name, const struct value *v)
{
    struct value *copy = mem_dup(v, sizeof(*v));
    json_incref(copy->json);
    struct value *old = hash_set(&r->anchors, str_of((const char *)name), copy);
    if (old)
        json_decref(old->json);
    mem_free(old);
}

/* Reads what begins with event e. v_r->json is NULL after an error. */
static int read_node(struct reader *r, const yaml_event_t *e, unsigned depth, struct value *v_r)
{
    const yaml_char_t *anchor = NULL;
    int rc = count(r, e, 1, depth);
    *v_r = (struct value){.size = 1, .height = 1};
    if (rc)
        return rc;
    if (e->type == YAML_ALIAS_EVENT)
        return read_alias(r, e, depth, v_r);
    if (e->type == YAML_SCALAR_EVENT) {
        anchor = e->data.scalar.anchor;
        rc = read_scalar(r, e, v_r);
    } else if (e->type == YAML_SEQUENCE_START_EVENT) {
        anchor = e->data.sequence_start.anchor;
        rc = read_sequence(r, depth, v_r);
    } else {
        anchor = e->data.mapping_start.anchor;
        rc = read_mapping(r, depth, v_r);
    }
    if (rc) {
        json_decref(v_r->json);
        v_r->json = NULL;
    } else if (anchor) {
        set_anchor(r, anchor, v_r);
    }
    return rc;
}

/* The stream: its start, one document, its end. */
static int read_stream(struct reader *r, struct value *v)
{
    bool is_end = false;
    int rc = 0;
    while (!rc && !is_end) {
        yaml_event_t e;
        rc = next(r, &e);
        if (rc)
            break;
        is_end = e.type == YAML_STREAM_END_EVENT;
        if (e.type == YAML_DOCUMENT_START_EVENT && v->json)
            rc = error_set(r->err, ERR_INVALID, "line %zu: more than one document", line_of(&e));
        else if (e.type != YAML_STREAM_START_EVENT && e.type != YAML_DOCUMENT_START_EVENT &&
                 e.type != YAML_DOCUMENT_END_EVENT && !is_end)
            rc = read_node(r, &e, 1, v);
        yaml_event_delete(&e);
    }
    if (!rc && !v->json)
        rc = error_set(r->err, ERR_INVALID, "empty document");
    return rc;
}

static void drop_anchors(struct reader *r)
{
    struct hash_entry *entry;
    size_t it = 0;
    while ((entry = hash_next(&r->anchors, &it))) {
        struct value *v = entry->value;
        json_decref(v->json);
        mem_free(v);
    }
    hash_fini(&r->anchors);
}

int pb_yaml_load(const char *text, size_t n, json_t **json_r, struct error *err)
{
    struct reader r = {.err = err};
    struct value v = {0};
    *json_r = NULL;
    if (!yaml_parser_initialize(&r.parser))
        return error_set(err, ERR_INTERNAL, "no YAML parser");
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, n);
    int rc = read_stream(&r, &v);
    yaml_parser_delete(&r.parser);
    drop_anchors(&r);
    if (rc)
        json_decref(v.json);
    else
        *json_r = v.json;
    return rc;
}
