/* Query parameters and cookies, as routes and hash policies see them: what was sent, nothing
 * decoded. Source: Envoy's QueryParamsMulti::parseQueryString, Utility::parseCookieValue. */
#include "http/route_match.h"

struct str route_query(struct str path, struct str name)
{
    ptrdiff_t mark = str_find(path, '?');
    struct str part, rest = {path.p + mark + 1, path.n - (size_t)(mark + 1)};
    if (mark < 0)
        return STR_NULL;
    while (str_next(&rest, '&', &part)) {
        ptrdiff_t eq = str_find(part, '=');
        size_t n = eq < 0 ? part.n : (size_t)eq;
        if (str_eq((struct str){part.p, n}, name))
            return eq < 0 ? STR("") : (struct str){part.p + n + 1, part.n - n - 1};
    }
    return STR_NULL;
}

static struct str unquote(struct str s)
{
    if (s.n >= 2 && s.p[0] == '"' && s.p[s.n - 1] == '"')
        return (struct str){s.p + 1, s.n - 2};
    return s;
}

/* Blanks belong to the value, but not to the front of the name. */
static struct str find_cookie(struct str field, struct str name)
{
    struct str part;
    while (str_next(&field, ';', &part)) {
        while (part.n && part.p[0] == ' ')
            part.p++, part.n--;
        ptrdiff_t eq = str_find(part, '=');
        if (eq >= 0 && str_eq((struct str){part.p, (size_t)eq}, name))
            return unquote((struct str){part.p + eq + 1, part.n - (size_t)eq - 1});
    }
    return STR_NULL;
}

struct str route_cookie(const struct headers *h, struct str name)
{
    for (size_t i = 0; i < h->n; i++) {
        if (!str_is(header_name(h, &h->v[i]), "cookie"))
            continue;
        struct str v = find_cookie(header_value(h, &h->v[i]), name);
        if (v.p)
            return v;
    }
    return STR_NULL;
}

static bool match_value(const struct conf_value_match *m, struct str v)
{
    if (!m->has_string)
        return (v.p != NULL) == m->present;
    return (v.p && conf_string_matches(&m->string, v)) != m->invert;
}

bool route_match_query(const struct conf_value_match *m, size_t n, struct str path)
{
    for (size_t i = 0; i < n; i++)
        if (!match_value(&m[i], route_query(path, m[i].name)))
            return false;
    return true;
}

bool route_match_cookies(const struct conf_value_match *m, size_t n, const struct headers *h)
{
    for (size_t i = 0; i < n; i++)
        if (!match_value(&m[i], route_cookie(h, m[i].name)))
            return false;
    return true;
}
