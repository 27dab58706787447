/* Restart on the same ports without a refused or reset connection (Envoy's hot restart). Every
 * process offers its listening sockets on a Unix socket of its own, named by --socket-path,
 * --base-id and its epoch; one started with --restart-epoch N asks the process of epoch N-1 for
 * them. That one goes on accepting until the successor's listeners serve; then it drains and ends,
 * when its connections have, or after --parent-shutdown-time-s. [main]
 *
 * Both ends must belong to the same user (or root). Statistics are not handed over. */
#ifndef SERVER_RESTART_H
#define SERVER_RESTART_H

#include "base/err.h"
#include "server/restart_msg.h"

struct server;
struct restart;

/* Called before sockets are opened. Fails when a predecessor is named but not there. The address
 * of the admin is free afterwards. */
int restart_create(struct server *s, struct restart **r_r, struct error *err);
void restart_destroy(struct restart **r);
/* The predecessor's listening socket for a worker, or -1. `arg` is the struct restart. */
int restart_take_socket(void *arg, const struct addr *a, unsigned worker);
/* Everything serves: the predecessor may go. */
void restart_live(struct restart *r);

/* ---- restart_parent.c: the side that has the sockets ---- */
struct restart_parent;

/* Listens for a successor at `at`; -ERR_IO with errno. mode: of a socket in the file system. */
int restart_parent_create(struct server *s, const struct addr *at, unsigned mode,
                          struct restart_parent **p_r);
void restart_parent_destroy(struct restart_parent **p);

/* Sends a message, with descriptor fd unless it is -1. */
bool restart_send(int sock, const struct restart_msg *m, int fd);
/* Is the other end of the socket one of us? */
bool restart_is_ours(int sock);

extern const char restart_version_text[];

#endif
