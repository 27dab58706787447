#include "conf/string_match.h"

#include "base/regex.h"

static bool eq(struct str a, struct str b, bool ignore_case)
{
    return ignore_case ? str_eq_nocase(a, b) : str_eq(a, b);
}

static bool contains(struct str s, struct str part, bool ignore_case)
{
    for (size_t i = 0; i + part.n <= s.n; i++)
        if (eq((struct str){s.p + i, part.n}, part, ignore_case))
            return true;
    return false;
}

bool conf_string_matches(const struct conf_string_match *m, struct str s)
{
    size_t n = m->text.n;
    switch (m->kind) {
    case CONF_STRING_EXACT:
        return eq(s, m->text, m->ignore_case);
    case CONF_STRING_PREFIX:
        return s.n >= n && eq((struct str){s.p, n}, m->text, m->ignore_case);
    case CONF_STRING_SUFFIX:
        return s.n >= n && eq((struct str){s.p + s.n - n, n}, m->text, m->ignore_case);
    case CONF_STRING_CONTAINS:
        return contains(s, m->text, m->ignore_case);
    case CONF_STRING_REGEX:
        return regex_match(m->regex, s);
    }
    return false;
}
