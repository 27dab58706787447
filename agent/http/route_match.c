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

static const struct conf_virtual_host *find_wildcard(const struct conf_route_config *rc,
                                                     struct str host)
{
    for (size_t i = 0; i < rc->suffix_n; i++) {
        const struct conf_wildcard_domain *d = &rc->suffix_domains[i];
        if (host.n > d->text.n && str_ends(host, d->text))
            return d->vhost;
    }
    for (size_t i = 0; i < rc->prefix_n; i++) {
        const struct conf_wildcard_domain *d = &rc->prefix_domains[i];
        if (host.n > d->text.n && str_starts(host, d->text))
            return d->vhost;
    }
    return rc->any_domain;
}

static const struct conf_virtual_host *find_lower(const struct conf_route_config *rc,
                                                  struct str host)
{
    const struct conf_virtual_host *v = hash_find(&rc->exact_domains, host);
    return v ? v : find_wildcard(rc, host);
}

const struct conf_virtual_host *route_match_host(const struct conf_route_config *rc,
                                                 struct str host)
{
    char small[256];
    if (rc->vhosts_n == 1 && rc->any_domain && !hash_count(&rc->exact_domains) && !rc->suffix_n &&
        !rc->prefix_n)
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

static bool contains(struct str s, struct str part, bool ignore_case)
{
    for (size_t i = 0; i + part.n <= s.n; i++)
        if (eq((struct str){s.p + i, part.n}, part, ignore_case))
            return true;
    return false;
}

static bool match_string(const struct conf_string_match *m, struct str s)
{
    switch (m->kind) {
    case CONF_STRING_EXACT:
        return eq(s, m->text, m->ignore_case);
    case CONF_STRING_PREFIX:
        return starts(s, m->text, m->ignore_case);
    case CONF_STRING_SUFFIX:
        return s.n >= m->text.n &&
               eq((struct str){s.p + s.n - m->text.n, m->text.n}, m->text, m->ignore_case);
    case CONF_STRING_CONTAINS:
        return contains(s, m->text, m->ignore_case);
    case CONF_STRING_REGEX:
        return regex_match(m->regex, s);
    }
    return false;
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

/* Values of a repeated header joined by ','. The result points into h or into *joined. */
static struct str get_all(const struct headers *h, struct str name, struct sbuf *joined)
{
    struct str first = STR_NULL;
    size_t n = 0;
    for (size_t i = 0; i < h->n; i++) {
        if (!str_eq(header_name(h, &h->v[i]), name))
            continue;
        struct str v = header_value(h, &h->v[i]);
        if (n == 1)
            sbuf_add(joined, first.p, first.n);
        if (n++ == 0) {
            first = v;
            continue;
        }
        sbuf_addc(joined, ',');
        sbuf_add(joined, v.p, v.n);
    }
    return n > 1 ? (struct str){joined->p, joined->n} : first;
}

static bool to_i64(struct str s, int64_t *v_r)
{
    uint64_t u;
    bool negative = s.n && s.p[0] == '-';
    if (negative)
        s = (struct str){s.p + 1, s.n - 1};
    if (!str_to_u64(s, INT64_MAX, &u))
        return false;
    *v_r = negative ? -(int64_t)u : (int64_t)u;
    return true;
}

static bool match_header(const struct conf_header_match *m, const struct headers *h)
{
    if (m->kind == CONF_HEADER_PRESENT)
        return (headers_find_name(h, m->name) != NULL) == (m->present != m->invert);
    struct sbuf joined = {0};
    int64_t number;
    bool result = false;
    struct str v = get_all(h, m->name, &joined);
    if (!v.p && !m->treat_missing_as_empty)
        return false; /* not even with invert */
    if (!v.p)
        v = STR("");
    if (m->kind == CONF_HEADER_STRING)
        result = match_string(&m->string, v);
    else
        result = to_i64(v, &number) && number >= m->range_start && number < m->range_end;
    sbuf_fini(&joined);
    return result != m->invert;
}

bool route_match_headers(const struct conf_header_match *m, size_t n, const struct headers *h)
{
    for (size_t i = 0; i < n; i++)
        if (!match_header(&m[i], h))
            return false;
    return true;
}

bool route_match(const struct conf_route_config *rc, const struct headers *h,
                 struct route_choice *choice_r)
{
    struct str path = headers_get(h, HDR_PATH);
    *choice_r = (struct route_choice){0};
    const struct conf_virtual_host *v = route_match_host(rc, headers_get(h, HDR_AUTHORITY));
    if (!v || !path.p)
        return false;
    choice_r->vhost = v;
    for (size_t i = 0; i < v->routes_n; i++) {
        const struct conf_route *r = &v->routes[i];
        if (route_match_path(r, path) && route_match_headers(r->headers, r->headers_n, h)) {
            choice_r->route = r;
            return true;
        }
    }
    return false;
}
