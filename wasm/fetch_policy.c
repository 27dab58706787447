#include "wasm/fetch_policy.h"

#include <curl/curl.h>

#include "base/mem.h"

/* --- URLs --- */

static void add_shown(struct sbuf *out, struct str s)
{
    enum { SHOWN_MAX = 512 };
    for (size_t i = 0; i < s.n && i < SHOWN_MAX; i++)
        sbuf_addc(out, s.p[i] > ' ' && s.p[i] < 127 ? s.p[i] : '?');
}

void fetch_policy_format_url(const char *url, struct sbuf *out)
{
    struct str s = str_of(url);
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] == '?' || s.p[i] == '#')
            s.n = i;
    const char *authority = strstr(s.p, "://");
    size_t from = authority ? (size_t)(authority - s.p) + 3 : 0;
    if (from > s.n)
        from = 0;
    struct str rest = {s.p + from, s.n - from};
    ptrdiff_t slash = str_find(rest, '/');
    size_t authority_n = slash < 0 ? rest.n : (size_t)slash;
    for (size_t i = authority_n; i > 0; i--) {
        if (rest.p[i - 1] != '@')
            continue;
        rest = (struct str){rest.p + i, rest.n - i};
        break;
    }
    add_shown(out, (struct str){s.p, from});
    add_shown(out, rest);
}

static int refuse_url(const char *url, const char *why, struct error *err)
{
    struct sbuf b = {0};
    fetch_policy_format_url(url, &b);
    error_set(err, ERR_INVALID, "%s: %s", b.p ? b.p : "", why);
    sbuf_fini(&b);
    return -ERR_INVALID;
}

/* Copies one part; false when it does not fit. */
static bool copy_part(CURLU *u, CURLUPart part, unsigned flags, char *dst, size_t size)
{
    char *text = NULL;
    if (curl_url_get(u, part, &text, flags) != CURLUE_OK)
        return false;
    struct str s = str_of(text);
    bool fits = s.n < size;
    if (fits)
        memcpy(dst, s.p, s.n + 1);
    curl_free(text);
    return fits;
}

/* libcurl has decoded it: what could not stand in a Host header or a log line is refused. */
static bool is_host(const char *s)
{
    for (; *s; s++)
        if (!((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') || (*s >= '0' && *s <= '9') ||
              strchr(".-_:[]", *s)))
            return false;
    return true;
}

static const char *take_parts(CURLU *u, struct fetch_url *r)
{
    char port[8] = "", query[1024] = "";
    if (!copy_part(u, CURLUPART_SCHEME, 0, r->scheme, sizeof(r->scheme)))
        return "only http, https and oci are fetched";
    bool is_http = str_is(str_of(r->scheme), "http");
    bool is_oci = str_is(str_of(r->scheme), "oci");
    if (!is_http && !is_oci && !str_is(str_of(r->scheme), "https"))
        return "only http, https and oci are fetched";
    if (!copy_part(u, CURLUPART_HOST, 0, r->host, sizeof(r->host)) || !r->host[0])
        return "no host";
    if (!is_host(r->host))
        return "not a host name or IP address";
    if (!copy_part(u, CURLUPART_PATH, 0, r->path, sizeof(r->path) - sizeof(query)))
        return "path too long";
    char *raw = NULL;
    if (curl_url_get(u, CURLUPART_QUERY, &raw, 0) == CURLUE_OK) {
        curl_free(raw);
        if (!copy_part(u, CURLUPART_QUERY, 0, query, sizeof(query)))
            return "query too long";
        struct str path = str_of(r->path), q = str_of(query);
        r->path[path.n] = '?';
        memcpy(r->path + path.n + 1, q.p, q.n + 1);
    }
    r->has_port = copy_part(u, CURLUPART_PORT, 0, port, sizeof(port));
    uint64_t number = is_http ? 80 : 443;
    if (r->has_port && (!str_to_u64(str_of(port), 65535, &number) || !number))
        return "bad port";
    r->port = (uint16_t)number;
    return NULL;
}

static void normalise_host(struct fetch_url *r)
{
    struct str s = str_of(r->host);
    if (s.n > 2 && s.p[0] == '[' && s.p[s.n - 1] == ']') {
        memmove(r->host, r->host + 1, s.n - 2);
        r->host[s.n - 2] = 0;
    }
    for (char *c = r->host; *c; c++)
        *c = str_lower(*c);
}

int fetch_policy_parse_url(const char *url, struct fetch_url *r, struct error *err)
{
    *r = (struct fetch_url){0};
    for (const char *c = url; *c; c++)
        if (*c <= ' ' || *c == 127)
            return refuse_url(url, "blank or control character in the address", err);
    CURLU *u = curl_url();
    if (!u)
        return error_set(err, ERR_INTERNAL, "libcurl: no memory");
    const char *why = "not an address";
    char *user = NULL;
    if (curl_url_set(u, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME) == CURLUE_OK) {
        bool has_user = curl_url_get(u, CURLUPART_USER, &user, 0) == CURLUE_OK;
        curl_free(user);
        why = has_user ? "credentials in the address are not accepted" : take_parts(u, r);
    }
    curl_url_cleanup(u);
    if (why)
        return refuse_url(url, why, err);
    normalise_host(r);
    return 0;
}

bool fetch_policy_has_tag(struct str uri)
{
    while (uri.n && uri.p[uri.n - 1] != '/') {
        char c = uri.p[--uri.n];
        if (c == ':' || c == '@')
            return true;
    }
    return false;
}

bool fetch_policy_is_same_origin(const struct fetch_url *a, const struct fetch_url *b)
{
    return a->port == b->port && str_is(str_of(a->scheme), b->scheme) &&
           str_is(str_of(a->host), b->host);
}

/* --- addresses --- */

struct prefix {
    const char *ip;
    unsigned bits;
    const char *what;
};

static const struct prefix never[] = {
    {"169.254.0.0", 16, "link-local"},
    {"fe80::", 10, "link-local"},
    {"100.100.100.200", 32, "metadata"}, /* Alibaba */
    {"192.0.0.192", 32, "metadata"},     /* Oracle */
    {"168.63.129.16", 32, "metadata"},   /* Azure */
    {"fd00:ec2::", 32, "metadata"},      /* AWS */
    {"fd20:ce::254", 128, "metadata"},   /* Google */
    {"0.0.0.0", 8, "unspecified"},
    {"::", 128, "unspecified"},
    {"224.0.0.0", 3, "multicast or reserved"}, /* and 240.0.0.0/4, broadcast */
    {"ff00::", 8, "multicast"},
};

static const struct prefix loopback[] = {{"127.0.0.0", 8, "loopback"}, {"::1", 128, "loopback"}};

static const struct prefix private_ranges[] = {
    {"10.0.0.0", 8, "private"},    {"172.16.0.0", 12, "private"}, {"192.168.0.0", 16, "private"},
    {"100.64.0.0", 10, "private"}, {"fc00::", 7, "private"},
};

static const char *find_prefix(const struct addr *a, const struct prefix *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct addr base;
        if (addr_from_ip(str_of(list[i].ip), 0, &base, NULL) == 0 &&
            base.sa.sa_family == a->sa.sa_family && addr_in_prefix(a, &base, list[i].bits))
            return list[i].what;
    }
    return NULL;
}

/* Which IPv4 address does an IPv6 one carry (mapped, compatible, NAT64, 6to4)? */
static bool get_embedded(const struct addr *a, struct addr *v4_r)
{
    static const struct {
        const char *ip;
        unsigned bits, at;
    } forms[] = {{"::ffff:0:0", 96, 12}, {"::", 96, 12}, {"64:ff9b::", 96, 12}, {"2002::", 16, 2}};
    if (a->sa.sa_family != AF_INET6)
        return false;
    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        struct addr prefix;
        if (addr_from_ip(str_of(forms[i].ip), 0, &prefix, NULL) != 0 ||
            prefix.sa.sa_family != AF_INET6 || !addr_in_prefix(a, &prefix, forms[i].bits))
            continue;
        *v4_r = (struct addr){.len = sizeof(v4_r->v4)};
        v4_r->v4.sin_family = AF_INET;
        memcpy(&v4_r->v4.sin_addr, a->v6.sin6_addr.s6_addr + forms[i].at, 4);
        return true;
    }
    return false;
}

int fetch_policy_check_addr(const struct addr *a, bool allow_loopback, struct error *err)
{
    char text[ADDR_TEXT_MAX];
    struct addr inner;
    if (a->sa.sa_family != AF_INET && a->sa.sa_family != AF_INET6)
        return error_set(err, ERR_DENIED, "refused to connect to an address that is not IP");
    const char *what = find_prefix(a, loopback, ARRAY_LEN(loopback));
    if (what)
        return allow_loopback ? 0
                              : error_set(err, ERR_DENIED, "refused to connect to %s address %s",
                                          what, addr_format_ip(a, text));
    what = find_prefix(a, never, ARRAY_LEN(never));
    if (what)
        return error_set(err, ERR_DENIED, "refused to connect to %s address %s", what,
                         addr_format_ip(a, text));
    return get_embedded(a, &inner) ? fetch_policy_check_addr(&inner, allow_loopback, err) : 0;
}

/* --- rules between hosts --- */

bool fetch_policy_is_insecure(const char *list, const struct fetch_url *url)
{
    struct str rest = str_of(list ? list : ""), token;
    struct sbuf b = {0};
    bool is_literal6 = strchr(url->host, ':') != NULL;
    bool is_found = false;
    sbuf_printf(&b, is_literal6 ? "[%s]:%u" : "%s:%u", url->host, url->port);
    while (!is_found && str_next(&rest, ',', &token)) {
        token = str_trim(token);
        is_found = str_is(token, "*") || str_eq_nocase(token, str_of(url->host)) ||
                   str_eq_nocase(token, (struct str){b.p, b.n});
    }
    sbuf_fini(&b);
    return is_found;
}

static bool is_https(const struct fetch_url *u)
{
    return str_is(str_of(u->scheme), "https");
}

int fetch_policy_check_redirect(const struct fetch_url *from, const struct fetch_url *to,
                                unsigned hop, const char *insecure, struct error *err)
{
    if (hop > FETCH_REDIRECTS_MAX)
        return error_set(err, ERR_LIMIT, "more than %d redirects", FETCH_REDIRECTS_MAX);
    if (!is_https(to) && !str_is(str_of(to->scheme), "http"))
        return error_set(err, ERR_DENIED, "redirected to scheme %s", to->scheme);
    if (is_https(from) && !is_https(to) && !fetch_policy_is_insecure(insecure, to))
        return error_set(err, ERR_DENIED, "redirected from https to plain http on %s", to->host);
    return 0;
}

static const char *forbidden_realm(const char *host)
{
    static const char *const names[] = {"localhost", "metadata", "metadata.google.internal",
                                        "metadata.goog", "instance-data"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_is(str_of(host), names[i]))
            return "internal name";
    if (str_ends(str_of(host), STR(".localhost")))
        return "internal name";
    struct addr a, inner;
    if (addr_from_ip(str_of(host), 0, &a, NULL) != 0)
        return NULL;
    if (get_embedded(&a, &inner))
        a = inner;
    const char *what = find_prefix(&a, never, ARRAY_LEN(never));
    if (!what)
        what = find_prefix(&a, loopback, ARRAY_LEN(loopback));
    if (!what)
        what = find_prefix(&a, private_ranges, ARRAY_LEN(private_ranges));
    return what;
}

int fetch_policy_check_realm(const struct fetch_url *registry, const struct fetch_url *realm,
                             const char *insecure, struct error *err)
{
    bool is_plain = str_is(str_of(realm->scheme), "http");
    if (!is_plain && !is_https(realm))
        return error_set(err, ERR_DENIED, "token server with scheme %s", realm->scheme);
    if (is_plain && is_https(registry) && !fetch_policy_is_insecure(insecure, realm))
        return error_set(err, ERR_DENIED, "token server %s over plain http", realm->host);
    if (str_is(str_of(realm->host), registry->host))
        return 0;
    const char *what = forbidden_realm(realm->host);
    if (what)
        return error_set(err, ERR_DENIED, "token server at %s %s", what, realm->host);
    return 0;
}
