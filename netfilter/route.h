/* What capture needs beside rules, set through netlink: the address ::6 on lo, from which the
 * proxy's inbound side calls the application over IPv6 (127.0.0.6 needs no address of its own),
 * and in TPROXY mode the policy route that leads marked packets to lo. [main] thread. */
#ifndef NETFILTER_ROUTE_H
#define NETFILTER_ROUTE_H

#include "netfilter/options.h"

/* What exists already is left as it is. */
int route_setup(const struct netfilter_options *o, struct error *err);
/* Removes the same; what is not there is no error. */
int route_cleanup(const struct netfilter_options *o, struct error *err);

#endif
