/* Route choice: from the request's host, path and headers to a virtual host and a route. Pure
 * functions of immutable configuration. [any] thread.
 * Source: envoy.config.route.v3.RouteConfiguration, RouteMatch, HeaderMatcher. */
#ifndef HTTP_ROUTE_MATCH_H
#define HTTP_ROUTE_MATCH_H

#include <stdbool.h>

#include "conf/route.h"
#include "conf/runtime.h"
#include "conf/scoped_route.h"
#include "http/headers.h"
#include "net/addr.h"

/* What is not in the headers. */
struct route_facts {
    uint64_t random;               /* the same for all questions about one request */
    const struct runtime *runtime; /* or NULL */
    const struct addr *peer, *local;
    bool cert_presented, cert_validated;
    /* Cookies for hash policies: only a balancer that hashes asks for them, as in Envoy. */
    bool makes_cookies;
};

struct route_choice {
    const struct conf_virtual_host *vhost;
    const struct conf_route *route;
    bool is_to_https; /* the virtual host wants TLS: the answer is a redirect, route is NULL */
    /* CONF_ACTION_CLUSTER, filled by route_choose_cluster: */
    struct str cluster;                           /* p NULL: none */
    const struct conf_weighted_cluster *weighted; /* or NULL */
    bool has_hash;
    uint64_t hash;         /* for the load balancer */
    struct str set_cookie; /* for the response; p NULL: none */
};

/* First route that matches in the virtual host of :authority. False: no route; vhost may be set
 * even then, because a host never falls back to another virtual host. */
bool route_match(const struct conf_route_config *rc, const struct headers *h,
                 const struct route_facts *facts, struct route_choice *choice_r);

/* Virtual host of a Host header: exact name, longest suffix, longest prefix, "*"; or NULL. */
const struct conf_virtual_host *route_match_host(const struct conf_route_config *rc,
                                                 struct str host);
/* Does the path (with its query) match the route's path condition? */
bool route_match_path(const struct conf_route *r, struct str path);
/* By the share of the requests that is wanted. */
bool route_match_fraction(const struct conf_fraction *f, const struct route_facts *facts);
/* Do all header conditions hold? */
bool route_match_headers(const struct conf_header_match *m, size_t n, const struct headers *h);

/* Number of path bytes that a prefix rewrite replaces: the matched prefix, or for exact and regex
 * matches the whole path before the query. */
size_t route_match_prefix_len(const struct conf_route *r, struct str path);

/* ---- route_values.c ---- */
/* First value of a query parameter of the path, as it is written; p NULL: absent. */
struct str route_query(struct str path, struct str name);
/* Value of a cookie, without quotes; p NULL: absent. */
struct str route_cookie(const struct headers *h, struct str name);
bool route_match_query(const struct conf_value_match *m, size_t n, struct str path);
bool route_match_cookies(const struct conf_value_match *m, size_t n, const struct headers *h);

/* ---- route_scope.c ---- */
/* Appends the key of the request's scope; false: it has none. */
bool route_scope_key(const struct conf_scoped_routes *s, const struct headers *h, struct sbuf *key);

/* ---- route_cluster.c ---- */
/* Hash policies and the cluster of the chosen route; texts live in the arena or the headers. */
void route_choose_cluster(const struct headers *h, const struct route_facts *facts,
                          struct arena *arena, struct route_choice *c);
/* The override that holds here for a filter: of the weighted cluster, the route, the virtual host
 * or the configuration; or NULL. */
const struct conf_filter_override *route_override(const struct conf_route_config *rc,
                                                  const struct route_choice *c, struct str filter);

#endif
