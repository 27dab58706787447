/* Listening sockets. They belong to (address, worker), are opened here on main, outlive listener
 * versions and close only when no listener has the address: closing a SO_REUSEPORT socket resets
 * its accept queue. [main] */
#ifndef PROXY_SOCKETS_H
#define PROXY_SOCKETS_H

#include <stdbool.h>

#include "conf/snapshot.h"

struct sockets;

struct sockets *sockets_create(unsigned workers);
/* Whom to ask for a socket first: a listening one for the address and worker, or -1. */
void sockets_set_source(struct sockets *s,
                        int (*take)(void *arg, const struct addr *a, unsigned worker), void *arg);
void sockets_destroy(struct sockets **s);

/* Opens what listener l needs and reserves it until sockets_release, because a listener that warms
 * is in no snapshot yet. err names the address; nothing is kept of a failed one. */
int sockets_open(struct sockets *s, const struct conf_listener *l, struct error *err);
/* Until this is called, with the listener's publishing, whoever connects is refused. */
void sockets_listen(struct sockets *s, const struct conf_listener *l);
void sockets_release(struct sockets *s, const struct conf_listener *l);
/* The descriptor for a worker, or -1 when it is not open. */
int sockets_fd(const struct sockets *s, const struct conf_socket *c, unsigned worker);
/* The same for another process, which goes on with it; -1: no such address or worker. */
int sockets_hand_over(struct sockets *s, const struct addr *a, unsigned worker);
/* Closes what l binds, whoever else has it: whoever connects is refused. */
void sockets_close(struct sockets *s, const struct conf_listener *l);
/* Closes the addresses that nobody reserves and no listener of the snapshot has, after every worker
 * has let go of them. */
void sockets_close_unused(struct sockets *s, const struct snapshot *snapshot);

#endif
