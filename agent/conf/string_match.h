/* How a text is matched (envoy.type.matcher.v3.StringMatcher). Immutable; [any] thread. */
#ifndef CONF_STRING_MATCH_H
#define CONF_STRING_MATCH_H

#include <stdbool.h>

#include "base/str.h"

struct regex;

enum conf_string_match_kind {
    CONF_STRING_EXACT,
    CONF_STRING_PREFIX,
    CONF_STRING_SUFFIX,
    CONF_STRING_CONTAINS,
    CONF_STRING_REGEX,
};

struct conf_string_match {
    enum conf_string_match_kind kind;
    struct str text;
    bool ignore_case;
    struct regex *regex; /* CONF_STRING_REGEX */
};

bool conf_string_matches(const struct conf_string_match *m, struct str s);

#endif
