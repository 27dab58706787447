#include "http/route_match.h"

#include "base/mem.h"
#include "base/regex.h"

/* ---- host ---- */

static struct str cut_port(struct str host)
{
    size_t i = host.n;
    while (i && host.p[i - 1] >= '0' && host.p[i - 1] <= '9')
        i--;
    if (!i || i == host.n || host.p[i - 1] != ':')
        return host;
    struct str name = {host.p, i - 1};
    /* A bare IPv6 address has colons of its own; with a port it is in brackets. */
    if (str_find(name, ':') >= 0 && name.p[name.n - 1] != ']')
        return host;
    return name;
}

/* By length, longest first: as many look-ups as there are lengths, however many domains. */
static const struct conf_virtual_host *find_wildcard(const struct conf_wildcards *w,
                                                     struct str host, bool is_suffix)
{
    for (size_t i = 0; i < w->lengths_n; i++) {
        size_t n = w->lengths[i];
        if (n >= host.n) /* the star stands for at least one character */
            continue;
        const char *from = is_suffix ? host.p + host.n - n : host.p;
        const struct conf_virtual_host *v = hash_find(&w->domains, (struct str){from, n});
        if (v)
            return v;
    }
    return NULL;
}

static const struct conf_virtual_host *find_lower(const struct conf_route_config *rc,
                                                  struct str host)
{
    const struct conf_virtual_host *v = hash_find(&rc->exact_domains, host);
    if (!v)
        v = find_wildcard(&rc->suffixes, host, true);
    if (!v)
        v = find_wildcard(&rc->prefixes, host, false);
    return v ? v : rc->any_domain;
}

const struct conf_virtual_host *route_match_host(const struct conf_route_config *rc,
                                                 struct str host)
{
    char small[256];
    if (rc->vhosts_n == 1 && rc->any_domain && !hash_count(&rc->exact_domains) &&
        !rc->suffixes.lengths_n && !rc->prefixes.lengths_n)
        return rc->any_domain;
    if (rc->ignore_port_in_host_matching)
        host = cut_port(host);
    size_t i = 0;
    while (i < host.n && host.p[i] == str_lower(host.p[i]))
        i++;
    if (i == host.n)
        return find_lower(rc, host);
    char *lower = host.n <= sizeof(small) ? small : mem_alloc(host.n);
    for (i = 0; i < host.n; i++)
        lower[i] = str_lower(host.p[i]);
    const struct conf_virtual_host *v = find_lower(rc, (struct str){lower, host.n});
    if (lower != small)
        mem_free(lower);
    return v;
}

/* ---- strings ---- */

static bool eq(struct str a, struct str b, bool ignore_case)
{
    return ignore_case ? str_eq_nocase(a, b) : str_eq(a, b);
}

static bool starts(struct str s, struct str prefix, bool ignore_case)
{
    return s.n >= prefix.n && eq((struct str){s.p, prefix.n}, prefix, ignore_case);
}

/* ---- path ---- */

static struct str cut_at(struct str s, const char *stops)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] == stops[0] || (stops[1] && s.p[i] == stops[1]))
            return (struct str){s.p, i};
    return s;
}

bool route_match_path(const struct conf_route *r, struct str path)
{
    struct str p = cut_at(path, "?#");
    bool nocase = !r->case_sensitive;
    switch (r->path_kind) {
    case CONF_PATH_PREFIX:
        return starts(cut_at(path, "?"), r->path, nocase);
    case CONF_PATH_EXACT:
        return eq(p, r->path, nocase);
    case CONF_PATH_SEPARATED_PREFIX:
        return starts(p, r->path, nocase) && (p.n == r->path.n || p.p[r->path.n] == '/');
    case CONF_PATH_REGEX:
        return regex_match(r->path_regex, p);
    case CONF_PATH_CONNECT:
        return true; /* the method decides */
    }
    return false;
}

size_t route_match_prefix_len(const struct conf_route *r, struct str path)
{
    if (r->path_kind == CONF_PATH_PREFIX || r->path_kind == CONF_PATH_SEPARATED_PREFIX)
        return r->path.n;
    return cut_at(path, "?#").n;
}

/* ---- headers ---- */

static bool to_i64(struct str s, int64_t *v_r)
{
    uint64_t u;
    bool negative = s.n && s.p[0] == '-';
    if (s.n && (negative || s.p[0] == '+'))
        s = (struct str){s.p + 1, s.n - 1};
    if (!str_to_u64(s, INT64_MAX, &u))
        return false;
    *v_r = negative ? -(int64_t)u : (int64_t)u;
    return true;
}

static bool match_value(const struct conf_header_match *m, struct str v)
{
    int64_t number;
    if (m->kind == CONF_HEADER_STRING)
        return conf_string_matches(&m->string, v);
    return to_i64(v, &number) && number >= m->range_start && number < m->range_end;
}

/* A repeated header matches when one of its values does: a second one cannot hide the first, nor
 * get around an inverted match. */
static bool match_header(const struct conf_header_match *m, const struct headers *h)
{
    if (m->kind == CONF_HEADER_PRESENT)
        return (headers_find_name(h, m->name) != NULL) == (m->present != m->invert);
    bool is_there = false, matches = false;
    for (size_t i = 0; i < h->n && !matches; i++)
        if (str_eq(header_name(h, &h->v[i]), m->name)) {
            is_there = true;
            matches = match_value(m, header_value(h, &h->v[i]));
        }
    if (!is_there && !m->treat_missing_as_empty)
        return false; /* not even with invert */
    if (!is_there)
        matches = match_value(m, STR(""));
    return matches != m->invert;
}

bool route_match_headers(const struct conf_header_match *m, size_t n, const struct headers *h)
{
    for (size_t i = 0; i < n; i++)
        if (!match_header(&m[i], h))
            return false;
    return true;
}

bool route_match_fraction(const struct conf_fraction *f, const struct route_facts *facts)
{
    struct runtime_fraction share = {f->numerator, f->denominator};
    if (f->runtime_key.n)
        share = runtime_share(facts->runtime, f->runtime_key, share);
    return facts->random % share.denominator < share.numerator;
}

static bool is_grpc(const struct headers *h)
{
    struct str type = headers_get(h, HDR_CONTENT_TYPE);
    return str_starts(type, STR("application/grpc")) && (type.n == 16 || type.p[16] == '+');
}

static bool match_certificate(const struct conf_route *r, const struct route_facts *facts)
{
    return (!r->cert_presented || (r->cert_presented == CONF_YES) == facts->cert_presented) &&
           (!r->cert_validated || (r->cert_validated == CONF_YES) == facts->cert_validated);
}

/* The cheap and telling ones first. */
static bool match_route(const struct conf_route *r, const struct headers *h, struct str path,
                        const struct route_facts *facts)
{
    bool wants_connect = r->path_kind == CONF_PATH_CONNECT;
    if (wants_connect ? !str_is(headers_get(h, HDR_METHOD), "CONNECT") : !path.p)
        return false;
    return route_match_path(r, path) && (!r->only_grpc || is_grpc(h)) &&
           match_certificate(r, facts) && route_match_headers(r->headers, r->headers_n, h) &&
           route_match_query(r->query, r->query_n, headers_get(h, HDR_PATH)) &&
           route_match_cookies(r->cookies, r->cookies_n, h) &&
           (!r->has_fraction || route_match_fraction(&r->fraction, facts));
}

static const struct conf_virtual_host *find_vhost(const struct conf_route_config *rc,
                                                  const struct headers *h)
{
    struct str host = rc->vhost_header[0] ? headers_get_name(h, str_of(rc->vhost_header))
                                          : headers_get(h, HDR_AUTHORITY);
    return rc->vhost_header[0] && !host.p ? NULL : route_match_host(rc, host);
}

static bool needs_https(const struct conf_virtual_host *v, const struct headers *h)
{
    if (v->require_tls == CONF_TLS_NONE || str_is(headers_get(h, HDR_X_FORWARDED_PROTO), "https"))
        return false;
    return v->require_tls == CONF_TLS_ALL || !str_is(headers_get(h, HDR_X_ENVOY_INTERNAL), "true");
}

bool route_match(const struct conf_route_config *rc, const struct headers *h,
                 const struct route_facts *facts, struct route_choice *choice_r)
{
    struct str path = headers_get(h, HDR_PATH);
    *choice_r = (struct route_choice){0};
    const struct conf_virtual_host *v = find_vhost(rc, h);
    if (!v)
        return false;
    choice_r->vhost = v;
    choice_r->is_to_https = needs_https(v, h);
    if (choice_r->is_to_https)
        return true;
    if (rc->ignore_path_parameters)
        path = cut_at(path, ";");
    for (size_t i = 0; i < v->routes_n; i++) {
        const struct conf_route *r = &v->routes[i];
        if (match_route(r, h, path, facts)) {
            choice_r->route = r;
            return true;
        }
    }
    return false;
}
