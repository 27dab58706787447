/* Scoped routes: which route configuration, by a key that is made from a request's headers
 * (envoy.config.route.v3.ScopedRouteConfiguration, HttpConnectionManager's ScopedRoutes).
 * Immutable, shared. */
#ifndef CONF_SCOPED_ROUTE_H
#define CONF_SCOPED_ROUTE_H

#include "conf/route.h"
#include "conf/source.h"

struct conf_scope {
    struct conf_object object;
    struct str key;                         /* conf_scope_key_add of its fragments */
    const char *route_name;                 /* of an RDS resource; "" when it stands inside */
    struct conf_route_config *route_config; /* owned reference, or NULL */
};

struct conf_scope *conf_scope_create(const char *name);

/* Appends a fragment to a key, so that no two lists of fragments make the same one. */
void conf_scope_key_add(struct sbuf *key, struct str fragment);

/* One fragment: a header's value, or a part of it. */
struct conf_scope_fragment {
    struct str header;
    struct str element_separator; /* "": the value is one element */
    bool by_key;                  /* else by place */
    uint32_t place;
    struct str key, separator; /* the element "KEY SEPARATOR VALUE" gives VALUE */
};

struct conf_scoped_routes {
    const char *name;
    struct conf_scope_fragment *fragments;
    size_t fragments_n;
    bool is_subscribed;         /* scopes are in the snapshot, else they are these */
    struct conf_scope **scopes; /* owned references */
    size_t scopes_n;
    struct hash by_key;            /* of them */
    struct conf_source source;     /* of the scopes, if it is subscribed */
    struct conf_source rds_source; /* of the route configurations they name */
};

void conf_scoped_routes_fini(struct conf_scoped_routes *s); /* NULL is fine */

#endif
