/* The filter chains of a listener as a worker runs them. Inside proxy/ only. [worker] */
#ifndef PROXY_CHAIN_H
#define PROXY_CHAIN_H

#include "proxy/listener.h"

/* Makes l's chains those of conf. A chain that l has already, by its hash, is kept; the connections
 * of the others are told to close, and closed after drain_ms. */
void chains_set(struct listener *l, struct conf_listener *conf, uint64_t drain_ms);
/* When no connection is left. */
void chains_clear(struct listener *l);
/* A connection of c is gone. */
void chain_leave(struct listener_chain *c);

#endif
