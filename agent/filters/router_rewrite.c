/* Rewritten paths and hosts, and where redirects point to. Source: Envoy's RouteEntryImplBase
 * (finalizePathHeader, finalizeHostHeader), Http::Utility::newUri, updateAuthority. */
#include <stdio.h>

#include "base/regex.h"
#include "filters/router_private.h"
#include "http/uri.h"

enum { REWRITTEN_MAX = 64 * 1024 };

/* ---- path ---- */

static struct str join(struct router_stream *r, struct str a, struct str b)
{
    char *to = arena_alloc(&r->s->arena, a.n + b.n + 1);
    memcpy(to, a.p, a.n);
    if (b.n)
        memcpy(to + a.n, b.p, b.n);
    return (struct str){to, a.n + b.n};
}

static struct str substitute(struct router_stream *r, const struct conf_substitute *sub,
                             struct str text)
{
    struct sbuf out = {0};
    struct str to = STR_NULL;
    if (regex_replace(sub->regex, text, sub->to, REWRITTEN_MAX, &out))
        to = (struct str){arena_strndup(&r->s->arena, out.p ? out.p : "", out.n), out.n};
    sbuf_fini(&out);
    return to;
}

/* The query stays. p NULL: nothing to rewrite. */
static struct str new_path(struct router_stream *r, struct str path, struct str prefix,
                           const struct conf_substitute *regex)
{
    const struct conf_route *route = r->choice.route;
    size_t cut;
    if (!path.p)
        return STR_NULL;
    if (regex->regex) {
        struct str bare = uri_cut_query(path), to = substitute(r, regex, bare);
        return to.p ? join(r, to, (struct str){path.p + bare.n, path.n - bare.n}) : STR_NULL;
    }
    if (!prefix.p || !route_match_path(route, path))
        return STR_NULL; /* a filter changed the path after the choice */
    cut = route_match_prefix_len(route, path);
    return join(r, prefix, (struct str){path.p + cut, path.n - cut});
}

void router_rewrite_path(struct router_stream *r, struct headers *h)
{
    const struct conf_route *route = r->choice.route;
    struct str to = STR_NULL, path = headers_get(h, HDR_PATH);
    if (route->prefix_rewrite.p || route->regex_rewrite.regex)
        to = new_path(r, path, route->prefix_rewrite, &route->regex_rewrite);
    if (!to.p)
        return;
    if (!router_options(r)->suppress_envoy_headers)
        headers_set_id(h, HDR_X_ENVOY_ORIGINAL_PATH, path);
    headers_set_id(h, HDR_PATH, to);
}

/* ---- host ---- */

static void set_host(struct router_stream *r, struct headers *h, struct str to)
{
    struct str old = headers_get(h, HDR_AUTHORITY), name = STR("x-forwarded-host");
    if (!to.n)
        return;
    old = (struct str){arena_strndup(&r->s->arena, old.p ? old.p : "", old.n), old.n};
    if (r->choice.route->append_x_forwarded_host && old.n) {
        struct str have = headers_get_name(h, name);
        headers_set(h, name, have.n ? join(r, have, join(r, STR(","), old)) : old);
    }
    if (!router_options(r)->suppress_envoy_headers)
        headers_set(h, STR("x-envoy-original-host"), old);
    headers_set_id(h, HDR_AUTHORITY, to);
}

void router_rewrite_host(struct router_stream *r, struct headers *h)
{
    const struct conf_route *route = r->choice.route;
    if (r->choice.weighted && r->choice.weighted->host_rewrite.p)
        headers_set_id(h, HDR_AUTHORITY, r->choice.weighted->host_rewrite);
    switch (route->host_kind) {
    case CONF_HOST_LITERAL:
        set_host(r, h, route->host_rewrite);
        return;
    case CONF_HOST_HEADER: {
        struct str v = headers_get_name(h, route->host_rewrite);
        set_host(r, h, join(r, STR(""), v));
        return;
    }
    case CONF_HOST_PATH_REGEX:
        set_host(r, h,
                 substitute(r, &route->host_path_regex, uri_cut_query(headers_get(h, HDR_PATH))));
        return;
    case CONF_HOST_KEEP:
    case CONF_HOST_AUTO: /* known with the host */
        return;
    }
}

void router_rewrite_auto_host(struct router_stream *r, struct headers *h,
                              const struct upstream_host *host)
{
    const char *name = upstream_host_name(host);
    if (r->choice.route->host_kind != CONF_HOST_AUTO || !*name ||
        str_is(headers_get(h, HDR_AUTHORITY), name))
        return;
    set_host(r, h, str_of(name));
}

/* ---- redirects ---- */

/* The request's host. Its port goes when another is given, or when it was the default of the
 * scheme that is left. */
static struct str redirect_host(const struct headers *h, struct str scheme, bool has_new_port)
{
    struct str host = headers_get(h, HDR_AUTHORITY);
    struct str proto = headers_get(h, HDR_X_FORWARDED_PROTO);
    struct str bare = uri_cut_port(host), port = {host.p + bare.n, host.n - bare.n};
    bool cut = has_new_port;
    if (!str_eq(scheme, proto))
        cut = cut || (str_is(proto, "https") && str_is(port, ":443")) ||
              (str_is(proto, "http") && str_is(port, ":80"));
    return cut ? bare : host;
}

static struct str redirect_path(struct router_stream *r, const struct headers *h,
                                const struct conf_redirect *to)
{
    struct str path = headers_get(h, HDR_PATH), rewritten;
    if (to->path.p) {
        size_t bare = uri_cut_query(path).n;
        if (str_find(to->path, '?') >= 0) /* its own query wins and stays */
            return to->path;
        path = join(r, to->path, (struct str){path.p + bare, path.n - bare});
    } else {
        rewritten = new_path(r, path, to->prefix_rewrite, &to->regex_rewrite);
        path = rewritten.p ? rewritten : path;
    }
    return to->strip_query ? uri_cut_query(path) : path;
}

struct str router_redirect_uri(struct router_stream *r, const struct headers *h)
{
    static const struct conf_redirect nothing; /* a direct response that has to tell where */
    const struct conf_redirect *to = r->choice.route->redirect;
    to = to ? to : &nothing;
    char port[8] = "";
    struct str scheme = to->scheme.p ? to->scheme
                        : to->https  ? STR("https")
                                     : headers_get(h, HDR_X_FORWARDED_PROTO);
    if (to->port)
        snprintf(port, sizeof(port), ":%u", to->port);
    struct str host = to->host.p ? to->host : redirect_host(h, scheme, to->port);
    struct str path = redirect_path(r, h, to);
    return str_of(arena_printf(&r->s->arena, "%.*s://%.*s%s%.*s", STR_ARG(scheme), STR_ARG(host),
                               port, STR_ARG(path)));
}

struct str router_https_uri(struct router_stream *r, const struct headers *h)
{
    struct str host = headers_get(h, HDR_AUTHORITY), path = headers_get(h, HDR_PATH);
    return str_of(arena_printf(&r->s->arena, "https://%.*s%.*s", STR_ARG(host), STR_ARG(path)));
}
