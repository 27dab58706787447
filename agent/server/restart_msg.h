/* What a process and its successor say to each other while one takes over the other's listening
 * sockets: datagrams of one size on a Unix socket of one machine. Descriptors travel beside them.
 * Pure functions. [any] thread. */
#ifndef SERVER_RESTART_MSG_H
#define SERVER_RESTART_MSG_H

#include <stddef.h>
#include <stdint.h>

#include "net/addr.h"

enum restart_kind {
    RESTART_STOP_ADMIN = 1, /* successor: I need the admin's address; answered by DONE */
    RESTART_GET_SOCKET,     /* successor: of this address and worker; answered by SOCKET or NONE */
    RESTART_LIVE,           /* successor: my listeners serve: drain */
    RESTART_TERMINATE,      /* successor: your time is over */
    RESTART_DONE,
    RESTART_SOCKET, /* with the descriptor */
    RESTART_NONE,
    RESTART_KINDS
};

struct restart_msg {
    enum restart_kind kind;
    uint32_t worker;  /* RESTART_GET_SOCKET */
    struct addr addr; /* RESTART_GET_SOCKET */
};

enum { RESTART_WORKERS_MAX = 4096, RESTART_ADDR_MAX = 112, RESTART_MSG_SIZE = 16 + 112 };

void restart_msg_write(const struct restart_msg *m, unsigned char dst[RESTART_MSG_SIZE]);
/* 0, or -ERR_INVALID for anything but a message that restart_msg_write could have made. */
int restart_msg_read(const void *bytes, size_t n, struct restart_msg *m);

#endif
