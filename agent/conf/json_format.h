/* A JSON format of access logs and local replies (json_format): a tree whose texts are format
 * strings. Immutable, in the arena of what it belongs to. */
#ifndef CONF_JSON_FORMAT_H
#define CONF_JSON_FORMAT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

enum conf_json_kind {
    CONF_JSON_FORMAT,  /* text is a format string */
    CONF_JSON_LITERAL, /* text is JSON: a number, true, false, null */
    CONF_JSON_OBJECT,
    CONF_JSON_LIST,
};

struct conf_json {
    enum conf_json_kind kind;
    struct str key; /* inside an object */
    struct str text;
    struct conf_json *v; /* of an object (sorted by key) or list */
    size_t n;
};

/* What a line or a body looks like; none of both: Envoy's default, or the body as it is. */
struct conf_format {
    const char *text;
    const struct conf_json *json;
    bool omits_empty; /* omit_empty_values */
};

#endif
