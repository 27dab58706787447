/* Name resolution by c-ares on an event loop. Answers come from the loop, never from inside
 * dns_resolve. [main] (or any thread that owns its loop and its struct dns). */
#ifndef NET_DNS_H
#define NET_DNS_H

#include <stddef.h>

#include "net/addr.h"
#include "net/loop.h"

struct dns;
struct dns_query;

/* AUTO: IPv6, and IPv4 only when there is none. V4_PREFERRED: the other way round. ALL: both. */
enum dns_family { DNS_AUTO, DNS_V4, DNS_V6, DNS_V4_PREFERRED, DNS_ALL };

enum { DNS_ADDRS_MAX = 1024 }; /* more in one answer are ignored */

/* status 0: addrs holds the n addresses with port 0, in the order of the answer; n may be 0 when
 * the name has none. Negative: -ERR_TIMEOUT, -ERR_IO ... Valid during the call. */
typedef void dns_fn(int status, const struct addr *addrs, size_t n, void *arg);

/* Reads /etc/resolv.conf and /etc/hosts. */
int dns_create(struct loop *loop, struct dns **d_r, struct error *err);
/* Pending queries are forgotten without a callback. */
void dns_destroy(struct dns **d);

/* Asks these servers ("10.0.0.1:53,[::1]:53") instead of those of resolv.conf. */
int dns_set_servers(struct dns *d, const char *servers, struct error *err);

/* A literal address is answered as it is. The query is valid until `done` is called. */
struct dns_query *dns_resolve(struct dns *d, const char *name, enum dns_family family, dns_fn *done,
                              void *arg);
/* No callback follows. Takes NULL, sets NULL. */
void dns_cancel(struct dns_query **q);

#endif
