/* Keeps the endpoints of a STRICT_DNS or LOGICAL_DNS cluster fresh: resolves the names in its
 * load assignment, again every dns_refresh_ms, and hands out conf_endpoints with addresses. A
 * failed resolution keeps the last good addresses. [main]
 * Source: envoy.config.cluster.v3.Cluster.DiscoveryType. */
#ifndef UPSTREAM_DNS_CLUSTER_H
#define UPSTREAM_DNS_CLUSTER_H

#include "conf/cluster.h"
#include "net/dns.h"

struct dns_cluster;

/* Fresh endpoints (the callee takes the reference). Called from the loop: once when every name was
 * asked for the first time (also when nothing was found: n == 0), then whenever addresses change.
 * The dns_cluster may be destroyed inside. */
typedef void dns_cluster_fn(struct conf_endpoints *e, void *arg);

/* Takes its own reference to conf, which has inline_endpoints. */
struct dns_cluster *dns_cluster_create(struct dns *dns, struct loop *loop,
                                       struct conf_cluster *conf, dns_cluster_fn *fn, void *arg);
void dns_cluster_destroy(struct dns_cluster **c);
/* Was fn called at least once? */
bool dns_cluster_is_ready(const struct dns_cluster *c);

#endif
