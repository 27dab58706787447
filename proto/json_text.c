/* JSON text to and from values. */
#include "proto/json.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { VALUES_MAX = 1000000 };

/* A value costs tens of bytes in memory however short its text is, so they are counted first. */
static size_t count_values(const char *s, size_t n)
{
    size_t count = 1;
    bool is_string = false;
    for (size_t i = 0; i < n; i++) {
        if (is_string && s[i] == '\\')
            i++;
        else if (s[i] == '"')
            is_string = !is_string;
        else if (!is_string && (s[i] == ',' || s[i] == '[' || s[i] == '{'))
            count++;
    }
    return count;
}

int pb_json_load(const char *text, size_t n, json_t **json_r, struct error *err)
{
    json_error_t cause;
    *json_r = NULL;
    if (count_values(text, n) > VALUES_MAX)
        return error_set(err, ERR_LIMIT, "more than %d values", VALUES_MAX);
    *json_r = json_loadb(text, n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &cause);
    if (!*json_r)
        return error_set(err, ERR_INVALID, "line %d column %d: %s", cause.line, cause.column,
                         cause.text);
    return 0;
}

char *pb_json_text(const json_t *json, bool is_pretty, size_t *n_r)
{
    size_t flags = JSON_ENCODE_ANY | JSON_REAL_PRECISION(15);
    flags |= is_pretty ? JSON_INDENT(1) : JSON_COMPACT;
    size_t n = json_dumpb(json, NULL, 0, flags);
    char *text = mem_alloc(n + 1);
    json_dumpb(json, text, n, flags);
    text[n] = '\0';
    if (n_r)
        *n_r = n;
    return text;
}
