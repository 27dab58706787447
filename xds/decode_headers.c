#include <string.h>

#include "base/regex.h"
#include "xds/decode_private.h"

/* ---- header operations ---- */

static bool has_operator(const char *value)
{
    for (const char *s = value; *s; s++)
        if (*s == '%' && *++s != '%')
            return true;
    return false;
}

/* Header values are substitution formats. One without operators is a text, with "%%" for "%". */
static int set_value(struct decode *d, const char *value, struct conf_header_value_option *o,
                     struct error *err)
{
    char *p = arena_strdup(d->out, value);
    size_t n = 0;
    o->is_format = has_operator(value);
    if (o->is_format) {
        o->value = str_of(p);
        return decode_check_format(value, err) ? error_prefix(err, "value: ") : 0;
    }
    for (const char *s = value; *s; s++) {
        s += *s == '%';
        p[n++] = *s;
    }
    o->value = (struct str){p, n};
    return 0;
}

static bool is_token(const char *name)
{
    static const char specials[] = "!#$%&'*+-.^_`|~";
    if (!*name)
        return false;
    for (const char *p = name; *p; p++)
        if (!(*p >= 'a' && *p <= 'z') && !(*p >= 'A' && *p <= 'Z') && !(*p >= '0' && *p <= '9') &&
            !strchr(specials, *p))
            return false;
    return true;
}

/* Host and pseudo headers decide about routing, so they have rewrites of their own. */
static int check_name(const char *name, struct error *err)
{
    if (name[0] == ':' || str_eq_nocase(str_of(name), STR("host")))
        return error_set(err, ERR_INVALID, ":-prefixed or host headers may not be modified");
    if (!is_token(name))
        return error_set(err, ERR_INVALID, "not a header name: \"%s\"", name);
    return 0;
}

static bool has_control(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] == '\r' || s.p[i] == '\n' || !s.p[i])
            return true;
    return false;
}

static int decode_option(struct decode *d, const Envoy__Config__Core__V3__HeaderValueOption *m,
                         struct conf_header_value_option *o, struct error *err)
{
    const Envoy__Config__Core__V3__HeaderValue *h = m->header;
    if (!h)
        return error_set(err, ERR_INVALID, "header: required");
    if (check_name(h->key, err))
        return error_prefix(err, "header.key: ");
    o->name = decode_lower(d, h->key);
    if (h->raw_value.len)
        o->value =
            (struct str){arena_strndup(d->out, (const char *)h->raw_value.data, h->raw_value.len),
                         h->raw_value.len};
    else if (set_value(d, h->value, o, err))
        return error_prefix(err, "header.");
    o->keep_empty = m->keep_empty_value;
    if (has_control(o->value))
        return error_set(err, ERR_INVALID, "header.value: must not contain line ends or NUL");
    switch (m->append_action) {
    case ENVOY__CONFIG__CORE__V3__HEADER_VALUE_OPTION__HEADER_APPEND_ACTION__ADD_IF_ABSENT:
        o->action = CONF_ADD_IF_ABSENT;
        return 0;
    case ENVOY__CONFIG__CORE__V3__HEADER_VALUE_OPTION__HEADER_APPEND_ACTION__OVERWRITE_IF_EXISTS_OR_ADD:
        o->action = CONF_OVERWRITE_OR_ADD;
        return 0;
    case ENVOY__CONFIG__CORE__V3__HEADER_VALUE_OPTION__HEADER_APPEND_ACTION__APPEND_IF_EXISTS_OR_ADD:
        o->action = pb_bool(m->append, true) ? CONF_APPEND_OR_ADD : CONF_OVERWRITE_OR_ADD;
        return 0;
    case ENVOY__CONFIG__CORE__V3__HEADER_VALUE_OPTION__HEADER_APPEND_ACTION__OVERWRITE_IF_EXISTS:
        o->action = CONF_OVERWRITE_IF_EXISTS;
        return 0;
    default:
        return error_set(err, ERR_INVALID, "append_action: unknown value %d",
                         (int)m->append_action);
    }
}

int decode_header_ops(struct decode *d, const struct decode_header_ops *ops, const char *side,
                      struct conf_header_ops *ops_r, struct error *err)
{
    ops_r->add = DECODE_ARRAY(d, struct conf_header_value_option, ops->add_n);
    ops_r->remove = DECODE_ARRAY(d, struct str, ops->remove_n);
    for (size_t i = 0; i < ops->add_n; i++) {
        if (decode_option(d, ops->add[i], &ops_r->add[ops_r->add_n], err))
            return error_prefix(err, "%sheaders_to_add[%zu].", side, i);
        /* An empty value adds nothing unless it is asked for. */
        ops_r->add_n += ops_r->add[ops_r->add_n].value.n || ops->add[i]->keep_empty_value;
    }
    for (size_t i = 0; i < ops->remove_n; i++) {
        if (check_name(ops->remove[i], err))
            return error_prefix(err, "%sheaders_to_remove[%zu]: ", side, i);
        ops_r->remove[ops_r->remove_n++] = decode_lower(d, ops->remove[i]);
    }
    return 0;
}

/* ---- header matches ---- */

static int set_text(struct decode *d, struct conf_header_match *m, enum conf_string_match_kind kind,
                    const char *text, struct error *err)
{
    m->kind = CONF_HEADER_STRING;
    m->string.kind = kind;
    m->string.text = decode_str(d, text);
    if (!*text && kind != CONF_STRING_EXACT)
        return error_set(err, ERR_INVALID, "header_match_specifier: must not be empty");
    return 0;
}

static int set_regex(struct conf_header_match *m,
                     const Envoy__Type__Matcher__V3__RegexMatcher *regex, struct error *err)
{
    m->kind = CONF_HEADER_STRING;
    m->string.kind = CONF_STRING_REGEX;
    if (regex_create(str_of(regex->regex), &m->string.regex, err))
        return error_prefix(err, "safe_regex_match.regex: ");
    return 0;
}

#define MATCH(x) ENVOY__CONFIG__ROUTE__V3__HEADER_MATCHER__HEADER_MATCH_SPECIFIER_##x

static int decode_header_match(struct decode *d, const Envoy__Config__Route__V3__HeaderMatcher *m,
                               struct conf_header_match *out, struct error *err)
{
    if (m->name[0] != ':' && !is_token(m->name))
        return error_set(err, ERR_INVALID, "name: not a header name: \"%s\"", m->name);
    out->name = decode_lower(d, m->name);
    out->invert = m->invert_match;
    out->treat_missing_as_empty = m->treat_missing_header_as_empty;
    switch (m->header_match_specifier_case) {
    case MATCH(EXACT_MATCH):
        return set_text(d, out, CONF_STRING_EXACT, m->exact_match, err);
    case MATCH(PREFIX_MATCH):
        return set_text(d, out, CONF_STRING_PREFIX, m->prefix_match, err);
    case MATCH(SUFFIX_MATCH):
        return set_text(d, out, CONF_STRING_SUFFIX, m->suffix_match, err);
    case MATCH(CONTAINS_MATCH):
        return set_text(d, out, CONF_STRING_CONTAINS, m->contains_match, err);
    case MATCH(SAFE_REGEX_MATCH):
        return set_regex(out, m->safe_regex_match, err);
    case MATCH(STRING_MATCH):
        out->kind = CONF_HEADER_STRING;
        return decode_string_match(d, m->string_match, &out->string, err)
                   ? error_prefix(err, "string_match.")
                   : 0;
    case MATCH(RANGE_MATCH):
        out->kind = CONF_HEADER_RANGE;
        out->range_start = m->range_match->start;
        out->range_end = m->range_match->end;
        return 0;
    case MATCH(PRESENT_MATCH):
        out->kind = CONF_HEADER_PRESENT;
        out->present = m->present_match;
        return 0;
    default:
        out->kind = CONF_HEADER_PRESENT;
        out->present = true;
        return 0;
    }
}

int decode_header_matches(struct decode *d, Envoy__Config__Route__V3__HeaderMatcher *const *m,
                          size_t n, struct conf_header_match *matches, struct error *err)
{
    for (size_t i = 0; i < n; i++)
        if (decode_header_match(d, m[i], &matches[i], err))
            return error_prefix(err, "headers[%zu].", i);
    return 0;
}
