/* Route choice: from the request's host, path and headers to a virtual host and a route. Pure
 * functions of immutable configuration. [any] thread.
 * Source: envoy.config.route.v3.RouteConfiguration, RouteMatch, HeaderMatcher. */
#ifndef HTTP_ROUTE_MATCH_H
#define HTTP_ROUTE_MATCH_H

#include <stdbool.h>

#include "conf/route.h"
#include "http/headers.h"

struct route_choice {
    const struct conf_virtual_host *vhost;
    const struct conf_route *route;
};

/* First route that matches in the virtual host of :authority. False: no route; vhost may be set
 * even then, because a host never falls back to another virtual host. */
bool route_match(const struct conf_route_config *rc, const struct headers *h,
                 struct route_choice *choice_r);

/* Virtual host of a Host header: exact name, longest suffix, longest prefix, "*"; or NULL. */
const struct conf_virtual_host *route_match_host(const struct conf_route_config *rc,
                                                 struct str host);
/* Does the path (with its query) match the route's path condition? */
bool route_match_path(const struct conf_route *r, struct str path);
/* Do all header conditions hold? */
bool route_match_headers(const struct conf_header_match *m, size_t n, const struct headers *h);

/* Number of path bytes that a prefix rewrite replaces: the matched prefix, or for exact and regex
 * matches the whole path before the query. */
size_t route_match_prefix_len(const struct conf_route *r, struct str path);

#endif
