/* The address by which this machine is known to others. [any] thread. */
#ifndef NET_LOCAL_IP_H
#define NET_LOCAL_IP_H

#include "net/addr.h"

/* The first IPv4 address that is not loopback, as found at the first call; 127.0.0.1 without one.
 */
const struct addr *local_ip(void);

#endif
