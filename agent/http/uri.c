#include "http/uri.h"

#include <string.h>

#include "http/chars.h"

void uri_split_target(struct str target, struct str *path_r, struct str *query_r)
{
    ptrdiff_t hash = str_find(target, '#');
    if (hash >= 0)
        target.n = (size_t)hash;
    ptrdiff_t mark = str_find(target, '?');
    if (path_r)
        *path_r = mark < 0 ? target : (struct str){target.p, (size_t)mark};
    if (query_r)
        *query_r =
            mark < 0 ? STR_NULL : (struct str){target.p + mark + 1, target.n - (size_t)mark - 1};
}

struct str uri_cut_query(struct str target)
{
    struct str path;
    uri_split_target(target, &path, NULL);
    return path;
}

bool uri_has_fragment(struct str target)
{
    return str_find(target, '#') >= 0;
}

/* Length of the host, the port's colon being there when it is shorter than the authority. */
static size_t host_length(struct str authority)
{
    if (authority.n && authority.p[0] == '[') {
        ptrdiff_t close = str_find(authority, ']');
        return close < 0 ? authority.n : (size_t)close + 1;
    }
    ptrdiff_t colon = str_find(authority, ':');
    return colon < 0 ? authority.n : (size_t)colon;
}

struct str uri_cut_port(struct str authority)
{
    return (struct str){authority.p, host_length(authority)};
}

static bool parse_port(struct str digits, uint16_t *port_r)
{
    uint64_t port;
    if (digits.n > 5 || !str_to_u64(digits, 65535, &port))
        return false;
    *port_r = (uint16_t)port;
    return true;
}

uint16_t uri_port(struct str authority)
{
    size_t host = host_length(authority);
    uint16_t port;
    if (host >= authority.n || authority.p[host] != ':')
        return 0;
    struct str digits = {authority.p + host + 1, authority.n - host - 1};
    return parse_port(digits, &port) ? port : 0;
}

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || (str_lower(c) >= 'a' && str_lower(c) <= 'f');
}

/* Between the brackets: hex digits, colons, dots. No zone: it means nothing to a peer. Whether it
 * is an address is for those who connect to it; here only the shape matters. */
static bool is_ip_literal(struct str s)
{
    if (s.n < 4 || s.p[0] != '[' || s.p[s.n - 1] != ']')
        return false;
    for (size_t i = 1; i + 1 < s.n; i++)
        if (!is_hex(s.p[i]) && s.p[i] != ':' && s.p[i] != '.')
            return false;
    return true;
}

bool uri_authority_is_valid(struct str authority)
{
    const char *end = authority.p + authority.n, *host_end;
    uint16_t port;
    if (!authority.n)
        return false;
    if (authority.p[0] == '[') {
        struct str host = uri_cut_port(authority);
        if (!is_ip_literal(host))
            return false;
        host_end = host.p + host.n;
    } else {
        host_end = chars_skip(authority.p, end, CHAR_HOST);
        if (host_end == authority.p)
            return false;
    }
    if (host_end == end)
        return true;
    struct str digits = {host_end + 1, (size_t)(end - host_end) - 1};
    return *host_end == ':' && parse_port(digits, &port);
}

void uri_lower(char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        p[i] = str_lower(p[i]);
}

static bool is_scheme(struct str s)
{
    if (!s.n || str_lower(s.p[0]) < 'a' || str_lower(s.p[0]) > 'z')
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (!(char_is(s.p[i], CHAR_UNRESERVED) && s.p[i] != '_' && s.p[i] != '~') && s.p[i] != '+')
            return false;
    return true;
}

bool uri_parse(struct str text, struct uri *uri_r)
{
    ptrdiff_t colon = str_find(text, ':');
    if (colon < 0)
        return false;
    uri_r->scheme = (struct str){text.p, (size_t)colon};
    struct str rest = {text.p + colon, text.n - (size_t)colon};
    if (!is_scheme(uri_r->scheme) || !str_starts(rest, STR("://")))
        return false;
    rest.p += 3, rest.n -= 3;
    size_t n = 0;
    while (n < rest.n && rest.p[n] != '/' && rest.p[n] != '?' && rest.p[n] != '#')
        n++;
    uri_r->authority = (struct str){rest.p, n};
    uri_r->target = (struct str){rest.p + n, rest.n - n};
    return uri_authority_is_valid(uri_r->authority);
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = str_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte that s, at i, percent-codes, or -1. */
static int coded_byte(struct str s, size_t i)
{
    if (s.p[i] != '%' || s.n - i < 3)
        return -1;
    int high = hex_value(s.p[i + 1]), low = hex_value(s.p[i + 2]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

/* Cuts the last segment of what out holds from `base` on, keeping the leading slash. */
static void drop_segment(struct sbuf *out, size_t base)
{
    while (out->n > base && out->p[out->n - 1] != '/')
        out->n--;
}

/* Ends the segment that began at `segment`: dot segments vanish. */
static void end_segment(struct sbuf *out, size_t base, size_t segment, bool is_last)
{
    struct str s = {out->p + segment, out->n - segment};
    bool is_dot = str_is(s, "."), is_dot_dot = str_is(s, "..");
    if (is_dot || is_dot_dot) {
        out->n = segment;
        if (is_dot_dot && out->n > base + 1) {
            out->n--;
            drop_segment(out, base);
        }
    } else if (!is_last) {
        sbuf_addc(out, '/');
    }
}

/* What has no place in a path is percent-coded. */
static void add_coded(struct sbuf *out, char c)
{
    if (c > ' ' && c < 0x7f && !strchr("\"<>^`{|}", c))
        sbuf_addc(out, c);
    else
        sbuf_printf(out, "%%%02X", (unsigned char)c);
}

bool uri_normalize_path(struct str target, struct sbuf *out)
{
    struct str path = uri_cut_query(target);
    if (!path.n || path.p[0] != '/')
        return false;
    size_t base = out->n;
    sbuf_addc(out, '/');
    size_t segment = out->n;
    for (size_t i = 1; i < path.n; i++) {
        int byte = coded_byte(path, i);
        if (byte == 0 || !path.p[i]) /* NUL, coded or not */
            return false;
        if (path.p[i] == '/' || path.p[i] == '\\') {
            end_segment(out, base, segment, false);
            segment = out->n;
        } else if (byte > 0 && char_is((char)byte, CHAR_UNRESERVED)) {
            sbuf_addc(out, (char)byte);
            i += 2;
        } else {
            add_coded(out, path.p[i]);
        }
    }
    end_segment(out, base, segment, true);
    sbuf_add(out, path.p + path.n, target.n - path.n);
    return true;
}

void uri_merge_slashes(struct str target, struct sbuf *out)
{
    struct str path = uri_cut_query(target);
    for (size_t i = 0; i < path.n; i++)
        if (path.p[i] != '/' || i == 0 || path.p[i - 1] != '/')
            sbuf_addc(out, path.p[i]);
    sbuf_add(out, path.p + path.n, target.n - path.n);
}

bool uri_has_escaped_slashes(struct str target)
{
    struct str path = uri_cut_query(target);
    for (size_t i = 0; i < path.n; i++) {
        int byte = coded_byte(path, i);
        if (byte == '/' || byte == '\\')
            return true;
    }
    return false;
}

void uri_unescape_slashes(struct str target, struct sbuf *out)
{
    struct str path = uri_cut_query(target);
    for (size_t i = 0; i < path.n; i++) {
        int byte = coded_byte(path, i);
        bool is_slash = byte == '/' || byte == '\\';
        sbuf_addc(out, is_slash ? (char)byte : path.p[i]);
        i += is_slash ? 2 : 0;
    }
    sbuf_add(out, path.p + path.n, target.n - path.n);
}
