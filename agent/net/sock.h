/* Sockets: creation and options, all non-blocking and close-on-exec. [any] thread. */
#ifndef NET_SOCK_H
#define NET_SOCK_H

#include <stdbool.h>

#include "net/addr.h"

/* A bound socket that does not listen yet: who connects is refused. SO_REUSEADDR and, with
 * reuse_port, SO_REUSEPORT. Returns the descriptor or -ERR_x. */
int sock_bind(const struct addr *a, bool reuse_port, bool transparent, struct error *err);
/* The same, listening. */
int sock_listen(const struct addr *a, bool reuse_port, bool transparent, int backlog,
                struct error *err);
/* Starts a connection, bound to source first when source->len is not 0. Returns the descriptor;
 * connecting goes on in the background. -ERR_x with errno in *errno_r (may be NULL). */
int sock_connect(const struct addr *a, const struct addr *source, int *errno_r);
int sock_error(int fd); /* SO_ERROR */
void sock_set_nodelay(int fd);
int sock_local(int fd, struct addr *addr_r);
int sock_peer(int fd, struct addr *addr_r);

#endif
