#include "proto/yaml.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/mem.h"
#include "base/str.h"

enum {
    DEPTH_MAX = 100,
    VALUES_MAX = 1000000 /* after expanding aliases: what bounds alias bombs */
};

struct converter {
    yaml_document_t *doc;
    size_t values;
    unsigned depth;
    struct error *err;
};

static json_t *convert(struct converter *c, const yaml_node_t *node);

static size_t line_of(const yaml_node_t *node)
{
    return node->start_mark.line + 1;
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

static json_t *convert_scalar(struct converter *c, const yaml_node_t *node)
{
    const char *s = (const char *)node->data.scalar.value;
    if (memchr(s, 0, node->data.scalar.length)) {
        error_set(c->err, ERR_INVALID, "line %zu: NUL in a scalar", line_of(node));
        return NULL;
    }
    bool is_plain = node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    bool is_tagged = node->tag && strcmp((const char *)node->tag, YAML_STR_TAG) != 0;
    json_t *json = is_plain && !is_tagged ? convert_plain(s) : json_string(s);
    if (!json)
        error_set(c->err, ERR_INVALID, "line %zu: scalar is not UTF-8", line_of(node));
    return json;
}

static json_t *convert_sequence(struct converter *c, const yaml_node_t *node)
{
    json_t *array = json_array();
    const yaml_node_item_t *item = node->data.sequence.items.start;
    for (; item < node->data.sequence.items.top; item++) {
        json_t *value = convert(c, yaml_document_get_node(c->doc, *item));
        if (!value) {
            json_decref(array);
            return NULL;
        }
        json_array_append_new(array, value);
    }
    return array;
}

/* "<<": one mapping or a list of them; keys that stand already win. */
static int merge(struct converter *c, json_t *object, const yaml_node_t *node)
{
    json_t *value = convert(c, node);
    int rc = -ERR_INVALID;
    if (!value)
        return rc;
    if (json_is_object(value)) {
        json_object_update_missing(object, value);
        rc = 0;
    } else if (json_is_array(value)) {
        rc = 0;
        for (size_t i = 0; i < json_array_size(value) && !rc; i++)
            rc = json_object_update_missing(object, json_array_get(value, i));
    }
    json_decref(value);
    if (rc)
        error_set(c->err, ERR_INVALID, "line %zu: \"<<\" takes mappings only", line_of(node));
    return rc;
}

static int add_pair(struct converter *c, json_t *object, const yaml_node_t *key,
                    const yaml_node_t *value)
{
    const char *name = (const char *)key->data.scalar.value;
    if (key->type != YAML_SCALAR_NODE || memchr(name, 0, key->data.scalar.length))
        return error_set(c->err, ERR_INVALID, "line %zu: key is not a string", line_of(key));
    if (json_object_get(object, name))
        return error_set(c->err, ERR_DUPLICATE, "line %zu: key \"%s\" appears twice", line_of(key),
                         name);
    json_t *json = convert(c, value);
    if (!json)
        return -ERR_INVALID;
    if (json_object_set_new(object, name, json))
        return error_set(c->err, ERR_INVALID, "line %zu: key is not UTF-8", line_of(key));
    return 0;
}

static bool is_merge_key(const yaml_node_t *key)
{
    return key->type == YAML_SCALAR_NODE && key->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
           strcmp((const char *)key->data.scalar.value, "<<") == 0;
}

/* The second pass adds what is merged, so that explicit keys win wherever they stand. */
static int add_pairs(struct converter *c, json_t *object, const yaml_node_t *node, bool is_merge)
{
    const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
    for (; pair < node->data.mapping.pairs.top; pair++) {
        const yaml_node_t *key = yaml_document_get_node(c->doc, pair->key);
        const yaml_node_t *value = yaml_document_get_node(c->doc, pair->value);
        int rc = 0;
        if (is_merge_key(key) != is_merge)
            continue;
        rc = is_merge ? merge(c, object, value) : add_pair(c, object, key, value);
        if (rc)
            return rc;
    }
    return 0;
}

static json_t *convert_mapping(struct converter *c, const yaml_node_t *node)
{
    json_t *object = json_object();
    if (add_pairs(c, object, node, false) || add_pairs(c, object, node, true)) {
        json_decref(object);
        return NULL;
    }
    return object;
}

static json_t *convert(struct converter *c, const yaml_node_t *node)
{
    json_t *json = NULL;
    if (++c->values > VALUES_MAX) {
        error_set(c->err, ERR_LIMIT, "line %zu: more than %d values", line_of(node), VALUES_MAX);
        return NULL;
    }
    if (++c->depth > DEPTH_MAX) {
        error_set(c->err, ERR_LIMIT, "line %zu: nested deeper than %d levels", line_of(node),
                  DEPTH_MAX);
        return NULL;
    }
    if (node->type == YAML_SCALAR_NODE)
        json = convert_scalar(c, node);
    else if (node->type == YAML_SEQUENCE_NODE)
        json = convert_sequence(c, node);
    else
        json = convert_mapping(c, node);
    c->depth--;
    return json;
}

static int parse_error(const yaml_parser_t *p, struct error *err)
{
    return error_set(err, ERR_INVALID, "line %zu column %zu: %s", p->problem_mark.line + 1,
                     p->problem_mark.column + 1, p->problem ? p->problem : "malformed YAML");
}

/* Whether another document follows. */
static int check_end(yaml_parser_t *p, struct error *err)
{
    yaml_document_t doc;
    if (!yaml_parser_load(p, &doc))
        return parse_error(p, err);
    const yaml_node_t *root = yaml_document_get_root_node(&doc);
    size_t line = root ? line_of(root) : 0;
    yaml_document_delete(&doc);
    if (line)
        return error_set(err, ERR_INVALID, "line %zu: more than one document", line);
    return 0;
}

static int load_document(yaml_parser_t *p, json_t **json_r, struct error *err)
{
    yaml_document_t doc;
    if (!yaml_parser_load(p, &doc))
        return parse_error(p, err);
    struct converter c = {.doc = &doc, .err = err};
    const yaml_node_t *root = yaml_document_get_root_node(&doc);
    *json_r = root ? convert(&c, root) : NULL;
    yaml_document_delete(&doc);
    if (!root)
        return error_set(err, ERR_INVALID, "empty document");
    int rc = *json_r ? check_end(p, err) : (err ? -(int)err->code : -ERR_INVALID);
    if (rc && *json_r) {
        json_decref(*json_r);
        *json_r = NULL;
    }
    return rc;
}

int pb_yaml_load(const char *text, size_t n, json_t **json_r, struct error *err)
{
    struct error scratch;
    yaml_parser_t parser;
    *json_r = NULL;
    if (!yaml_parser_initialize(&parser))
        return error_set(err, ERR_INTERNAL, "no YAML parser");
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, n);
    int rc = load_document(&parser, json_r, err ? err : &scratch);
    yaml_parser_delete(&parser);
    return rc;
}
