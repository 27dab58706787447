/* The scope of a request. Source: Envoy's ScopeKeyBuilderImpl, HeaderValueExtractorImpl. */
#include "http/route_match.h"

static bool take_by_key(const struct conf_scope_fragment *f, struct str element,
                        struct str *value_r)
{
    if (!str_starts(element, f->key))
        return false;
    struct str rest = {element.p + f->key.n, element.n - f->key.n};
    if (!rest.n) {
        *value_r = STR("");
        return true;
    }
    if (!str_starts(rest, f->separator))
        return false;
    *value_r = (struct str){rest.p + f->separator.n, rest.n - f->separator.n};
    return true;
}

/* Takes the next element of *s, which p NULL ends. */
static struct str next_element(struct str *s, struct str separator)
{
    struct str element = *s;
    for (size_t i = 0; separator.n && i + separator.n <= s->n; i++)
        if (str_starts((struct str){s->p + i, s->n - i}, separator)) {
            element.n = i;
            *s = (struct str){s->p + i + separator.n, s->n - i - separator.n};
            return element;
        }
    *s = STR_NULL;
    return element;
}

static bool take_fragment(const struct conf_scope_fragment *f, const struct headers *h,
                          struct str *value_r)
{
    struct str rest = headers_get_name(h, f->header);
    for (uint32_t i = 0; rest.p; i++) {
        struct str element = next_element(&rest, f->element_separator);
        if (f->by_key ? take_by_key(f, element, value_r) : i == f->place) {
            if (!f->by_key)
                *value_r = element;
            return true;
        }
    }
    return false;
}

bool route_scope_key(const struct conf_scoped_routes *s, const struct headers *h, struct sbuf *key)
{
    struct str value;
    for (size_t i = 0; i < s->fragments_n; i++) {
        if (!take_fragment(&s->fragments[i], h, &value))
            return false;
        conf_scope_key_add(key, value);
    }
    return true;
}
