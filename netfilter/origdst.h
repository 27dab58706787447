/* Where a redirected connection was going before netfilter turned it to us. [any] thread. */
#ifndef NETFILTER_ORIGDST_H
#define NETFILTER_ORIGDST_H

#include <sys/socket.h>

/* fd: an accepted TCP connection. The address is looked up in the connection's own family: an
 * IPv4 connection on an IPv6 socket gives AF_INET. 0; -ERR_NOT_FOUND if the connection was not
 * redirected (the kernel does not know it); -ERR_IO otherwise. A transparent (TPROXY) socket
 * needs none of this: its local address is the original destination. */
int origdst_get(int fd, struct sockaddr_storage *dst_r, socklen_t *len_r);

#endif
