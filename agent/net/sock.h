/* Sockets: creation and options, all non-blocking and close-on-exec. [any] thread. */
#ifndef NET_SOCK_H
#define NET_SOCK_H

#include <stdbool.h>

#include "net/addr.h"

enum sock_state { SOCK_PREBIND, SOCK_BOUND, SOCK_LISTENING };

/* One more option of a listening socket, set when it has come to that state. */
struct sock_option {
    int level, name;
    int family; /* of the sockets that have it; AF_UNSPEC: all */
    enum sock_state state;
    struct str value;
};

struct sock_setup {
    bool reuse_port, transparent;
    unsigned mode; /* of a Unix socket's file; 0: as the process mask has it */
    const struct sock_option *options;
    size_t options_n;
};

/* A bound socket that does not listen yet: who connects is refused. SO_REUSEADDR and what s says
 * (NULL: nothing). Returns the descriptor or -ERR_x. */
int sock_bind(const struct addr *a, const struct sock_setup *s, struct error *err);
/* The options of s that belong to a state. The error names the first that cannot be set. */
int sock_set_options(int fd, const struct addr *a, const struct sock_setup *s,
                     enum sock_state state, struct error *err);
/* A listening one. */
int sock_listen(const struct addr *a, int backlog, struct error *err);
struct conn_source;
/* Starts a connection, bound first to the address it shall come from, if there is one. Returns the
 * descriptor; connecting goes on in the background. -ERR_x with errno in *errno_r (may be NULL). */
int sock_connect(const struct addr *a, const struct conn_source *from, int *errno_r);
int sock_error(int fd); /* SO_ERROR */
void sock_set_nodelay(int fd);
int sock_local(int fd, struct addr *addr_r);
int sock_peer(int fd, struct addr *addr_r);

#endif
