/* Where a redirected connection was going before netfilter turned it to us. [any] thread. */
#ifndef NETFILTER_ORIGDST_H
#define NETFILTER_ORIGDST_H

#include <sys/socket.h>

/* fd: an accepted TCP connection. The address is looked up in the connection's own family: an
 * IPv4 connection on an IPv6 socket gives AF_INET. Once the kernel tracks connections, one that
 * was not redirected gives its local address. 0; -ERR_NOT_FOUND if the kernel does not track this
 * connection; -ERR_IO otherwise. A transparent (TPROXY) socket needs none of this: its local
 * address is the original destination. */
int origdst_get(int fd, struct sockaddr_storage *dst_r, socklen_t *len_r);

#endif
