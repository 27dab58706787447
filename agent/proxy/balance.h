/* connection_balance_config.exact_balance: an accepted connection goes to the worker that has the
 * fewest of its listener, by mailbox, before a byte of it is read. The counts stand in the
 * listener's configuration, which all workers share: they are all of it that changes.
 * Source: Envoy's ExactConnectionBalancerImpl. [worker] unless marked. */
#ifndef PROXY_BALANCE_H
#define PROXY_BALANCE_H

#include "conf/listener.h"
#include "net/loop.h"

struct balance;   /* the workers of a process */
struct listeners; /* of one worker */

struct balance *balance_create(void);     /* [main] */
void balance_destroy(struct balance **b); /* [main] after all workers */
/* [main] Before any listener is published. take gets what other workers accepted for this one: the
 * descriptor is its own then. */
void balance_join(struct balance *b, unsigned worker, struct loop *loop,
                  void (*take)(void *arg, const char *listener, int fd, struct addr *remote),
                  void *arg);
/* [main] The worker's thread has ended: what still comes for it is closed. */
void balance_leave(struct balance *b, unsigned worker);

/* A connection of the listener on a worker came or went; nothing where it is not balanced. */
static inline void balance_add(const struct conf_listener *l, unsigned worker, int change)
{
    if (l->balance)
        __atomic_add_fetch(&l->balance[worker % CONF_BALANCE_WORKERS], (uint32_t)change,
                           __ATOMIC_RELAXED);
}
/* Sends an accepted connection to the worker that has the fewest; false: that is `own`, or the
 * listener is not balanced. */
bool balance_send(struct balance *b, struct conf_listener *l, unsigned own, int fd,
                  const struct addr *remote);

#endif
