/* RouteMatch: which requests a route takes. */
#include <string.h>

#include "base/regex.h"
#include "xds/decode_route_private.h"

typedef Envoy__Config__Route__V3__RouteMatch match_msg;

#define PATH(x) ENVOY__CONFIG__ROUTE__V3__ROUTE_MATCH__PATH_SPECIFIER_##x
#define QUERY(x) \
    ENVOY__CONFIG__ROUTE__V3__QUERY_PARAMETER_MATCHER__QUERY_PARAMETER_MATCH_SPECIFIER_##x

static int set_path(struct decode *d, const match_msg *m, struct conf_route *r, struct error *err)
{
    r->case_sensitive = pb_bool(m->case_sensitive, true);
    switch (m->path_specifier_case) {
    case PATH(PREFIX):
        r->path_kind = CONF_PATH_PREFIX;
        r->path = decode_str(d, m->prefix);
        return 0;
    case PATH(PATH):
        r->path_kind = CONF_PATH_EXACT;
        r->path = decode_str(d, m->path);
        return 0;
    case PATH(PATH_SEPARATED_PREFIX):
        r->path_kind = CONF_PATH_SEPARATED_PREFIX;
        r->path = decode_str(d, m->path_separated_prefix);
        if (r->path.n < 2 || r->path.p[0] != '/' || r->path.p[r->path.n - 1] == '/' ||
            strpbrk(r->path.p, "?#"))
            return error_set(err, ERR_INVALID,
                             "path_separated_prefix: must start with /, must not end with it nor "
                             "contain ? or #");
        return 0;
    case PATH(SAFE_REGEX):
        r->path_kind = CONF_PATH_REGEX;
        if (regex_create(str_of(m->safe_regex->regex), &r->path_regex, err))
            return error_prefix(err, "safe_regex.regex: ");
        return 0;
    case PATH(CONNECT_MATCHER):
        r->path_kind = CONF_PATH_CONNECT;
        return 0;
    case PATH(PATH_MATCH_POLICY):
        return error_set(err, ERR_UNSUPPORTED, "path_match_policy: not supported");
    default:
        return error_set(err, ERR_INVALID, "path_specifier: required");
    }
}

static int set_query(struct decode *d, const match_msg *m, struct conf_route *r, struct error *err)
{
    r->query = DECODE_ARRAY(d, struct conf_value_match, m->n_query_parameters);
    for (size_t i = 0; i < m->n_query_parameters; i++) {
        const Envoy__Config__Route__V3__QueryParameterMatcher *q = m->query_parameters[i];
        struct conf_value_match *to = &r->query[r->query_n++];
        to->name = decode_str(d, q->name);
        to->present =
            q->query_parameter_match_specifier_case != QUERY(PRESENT_MATCH) || q->present_match;
        to->has_string = q->query_parameter_match_specifier_case == QUERY(STRING_MATCH);
        if (!to->name.n || to->name.n > 1024)
            return error_set(err, ERR_INVALID,
                             "query_parameters[%zu].name: must have 1 to 1024 bytes", i);
        if (to->has_string && decode_string_match(d, q->string_match, &to->string, err))
            return error_prefix(err, "query_parameters[%zu].string_match.", i);
    }
    return 0;
}

static int set_cookies(struct decode *d, const match_msg *m, struct conf_route *r,
                       struct error *err)
{
    r->cookies = DECODE_ARRAY(d, struct conf_value_match, m->n_cookies);
    for (size_t i = 0; i < m->n_cookies; i++) {
        const Envoy__Config__Route__V3__CookieMatcher *c = m->cookies[i];
        struct conf_value_match *to = &r->cookies[r->cookies_n++];
        to->name = decode_str(d, c->name);
        to->invert = c->invert_match;
        to->has_string = to->present = true;
        if (!to->name.n)
            return error_set(err, ERR_INVALID, "cookies[%zu].name: must not be empty", i);
        if (!c->string_match)
            return error_set(err, ERR_INVALID, "cookies[%zu].string_match: required", i);
        if (decode_string_match(d, c->string_match, &to->string, err))
            return error_prefix(err, "cookies[%zu].string_match.", i);
    }
    return 0;
}

uint32_t decode_denominator(const Envoy__Type__V3__FractionalPercent *p)
{
    switch (p->denominator) {
    case ENVOY__TYPE__V3__FRACTIONAL_PERCENT__DENOMINATOR_TYPE__TEN_THOUSAND:
        return 10000;
    case ENVOY__TYPE__V3__FRACTIONAL_PERCENT__DENOMINATOR_TYPE__MILLION:
        return 1000000;
    default:
        return 100;
    }
}

static int set_fraction(struct decode *d,
                        const Envoy__Config__Core__V3__RuntimeFractionalPercent *m,
                        struct conf_route *r, struct error *err)
{
    r->has_fraction = m != NULL;
    if (!m)
        return 0;
    if (!m->default_value)
        return error_set(err, ERR_INVALID, "runtime_fraction.default_value: required");
    r->fraction =
        (struct conf_fraction){m->default_value->numerator, decode_denominator(m->default_value),
                               decode_str(d, m->runtime_key)};
    return 0;
}

static enum conf_tristate tristate(const Google__Protobuf__BoolValue *v)
{
    return !v ? CONF_ANY : v->value ? CONF_YES : CONF_NO;
}

int decode_match(struct decode *d, const match_msg *m, struct conf_route *r, struct error *err)
{
    if (!m)
        return error_set(err, ERR_INVALID, "match: required");
    r->headers = DECODE_ARRAY(d, struct conf_header_match, m->n_headers);
    r->headers_n = m->n_headers;
    r->only_grpc = m->grpc != NULL;
    if (m->tls_context) {
        r->cert_presented = tristate(m->tls_context->presented);
        r->cert_validated = tristate(m->tls_context->validated);
    }
    if (set_path(d, m, r, err) ||
        decode_header_matches(d, m->headers, m->n_headers, r->headers, err) ||
        set_query(d, m, r, err) || set_cookies(d, m, r, err) ||
        set_fraction(d, m->runtime_fraction, r, err))
        return error_prefix(err, "match.");
    return 0;
}
