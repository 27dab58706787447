/* All filters, one line each in registry.c. */
#ifndef FILTERS_REGISTRY_H
#define FILTERS_REGISTRY_H

#include "filters/net_filter.h"
#include "http/filter.h"

/* Never NULL. */
const struct http_filter_ops *registry_http_filter(enum conf_http_filter_kind kind);
/* NULL for the terminal ones, which are proxy/'s own (tcp_session.c, http_session.c). */
const struct net_filter_ops *registry_net_filter(enum conf_net_filter_kind kind);

#endif
