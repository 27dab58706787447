/* The network filter connection_limit. It stands before any session, TCP or HTTP: a connection that
 * is one too many is closed, at once or after the filter's delay, and nothing of it is read.
 * Inside proxy/ only. [worker] Source: Envoy's ConnectionLimitFilter. */
#ifndef PROXY_LIMIT_H
#define PROXY_LIMIT_H

#include "proxy/listener.h"

void limits_init(struct listener_chain *c);
void limits_fini(struct listener_chain *c);
/* Counts a connection that goes to its session. False: it must not, and was taken over with tls
 * (NULL: plaintext), to be closed. */
bool limit_enter(struct listener_chain *c, struct accepted *a, struct conn_tls *tls);
/* d is gone. */
void limit_leave(struct downstream *d);

#endif
