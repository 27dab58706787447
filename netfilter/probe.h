/* --run-validation: checks that a connection of this user is really captured. [main] thread. */
#ifndef NETFILTER_PROBE_H
#define NETFILTER_PROBE_H

#include "netfilter/options.h"

/* Listens on the two capture ports on loopback and connects to 127.0.0.6 (or ::6) on the probe
 * port, again each second until o->probe_timeout_ms: 0 once a connection arrives whose original
 * destination has the probe port. It has to run as the proxy's user, for whom the rules lead
 * calls to the own pod to the inbound port. */
int probe_run(const struct netfilter_options *o, struct error *err);

#endif
