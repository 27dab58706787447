/* Copies of requests that go to another cluster; nobody waits for the answers
 * (envoy.config.route.v3.RouteAction.RequestMirrorPolicy). Immutable. */
#ifndef CONF_MIRROR_H
#define CONF_MIRROR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

struct conf_mirror {
    struct str cluster, cluster_header; /* the name, or the header that holds it (lower case) */
    uint32_t numerator, denominator;    /* share of the requests */
    struct str host_rewrite;            /* p NULL: none */
    bool keeps_host;                    /* else "-shadow" is put behind the host */
};

struct conf_mirrors {
    struct conf_mirror *v;
    size_t n; /* 0: those of the level above */
};

#endif
