/* All listeners of one worker: accepting, restoring original destinations, handing over to the
 * listener that is named by them, and following snapshots. [worker] */
#ifndef PROXY_LISTENERS_H
#define PROXY_LISTENERS_H

#include "proxy/listener.h"

struct listeners;

struct balance;

/* balance: the workers that connections may be handed to, this one among them; or NULL. */
struct listeners *listeners_create(struct filter_env *env, struct balance *balance);
/* Closes all connections; the loop must run on until listeners_is_idle. */
void listeners_shutdown(struct listeners *ls);
bool listeners_is_idle(const struct listeners *ls);
void listeners_destroy(struct listeners **ls);

/* Follows the snapshot that was just put in force (env->current). fds: the listening
 * descriptors of the snapshot's listeners, in order; -1 for those that do not bind; they stay
 * main's. New and changed listeners start, replaced and removed ones drain for drain_ms, then
 * close. */
void listeners_apply(struct listeners *ls, const int *fds, uint64_t drain_ms);
/* Stops accepting, for good (inbound_only: by traffic_direction). Connections go on. */
void listeners_stop(struct listeners *ls, bool inbound_only);

#endif
