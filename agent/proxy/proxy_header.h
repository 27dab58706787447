/* The listener filter proxy_protocol: takes the header off the socket and tells the connection
 * whom it is for. [worker] Source: Envoy's ProxyProtocol listener filter. */
#ifndef PROXY_PROXY_HEADER_H
#define PROXY_PROXY_HEADER_H

#include "proxy/inspect.h"

struct proxy_header_stats; /* of all listeners with the same stat_prefix together, as in Envoy */

/* NULL for a listener without the filter. */
struct proxy_header_stats *proxy_header_stats_create(const struct conf_listener *conf);
void proxy_header_stats_destroy(struct proxy_header_stats **st);

/* INSPECT_DONE: the header is off the socket and d's addresses are those it tells, or there is none
 * and may be none. INSPECT_REFUSE: the connection has to be closed; it is counted. */
enum inspect_result proxy_header_take(struct listener *l, int fd, struct downstream *d);

#endif
