/* The router: the last HTTP filter. Chooses route, cluster and host, sends the request there and
 * feeds the response back. [worker] Source: envoy.extensions.filters.http.router.v3, Envoy's
 * Router::Filter; texts and details are Envoy's byte for byte. */
#ifndef FILTERS_ROUTER_H
#define FILTERS_ROUTER_H

#include "http/filter.h"

extern const struct http_filter_ops router_filter_ops;

#endif
