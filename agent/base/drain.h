/* Draining: which connections shall close with their next response. Main starts it, workers ask.
 * Gradual: the chance grows with the time, up to all at the end of the window, so that clients do
 * not come back all at once. [any] thread.
 * Source: Envoy's DrainManagerImpl::drainClose. */
#ifndef BASE_DRAIN_H
#define BASE_DRAIN_H

#include <stdbool.h>
#include <stdint.h>

/* Before threads. */
void drain_init(uint64_t window_us, bool is_immediate);
/* [main] False: this drain runs already. */
bool drain_begin(bool inbound_only, uint64_t now_us);
void drain_set_health_failed(bool is_failed); /* [main] */

/* Shall a connection of the process close now? by_health: a failed health check is a reason. */
bool drain_closes(bool is_inbound, bool by_health, uint64_t now_us);
/* The same for one thing that drains since start_us. */
bool drain_is_due(uint64_t start_us, uint64_t now_us);

#endif
