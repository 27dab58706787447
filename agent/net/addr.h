/* Socket addresses as values: IPv4, IPv6, Unix. [any] thread. */
#ifndef NET_ADDR_H
#define NET_ADDR_H

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/err.h"
#include "base/str.h"

struct addr {
    socklen_t len; /* 0: no address */
    union {
        struct sockaddr sa;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_un un;
        struct sockaddr_storage ss;
    };
};

enum { ADDR_TEXT_MAX = 128 };

/* Literal IP (no names, no brackets) and port. */
int addr_from_ip(struct str ip, uint16_t port, struct addr *addr_r, struct error *err);
/* A path, or "@name" for the abstract namespace. */
int addr_from_path(struct str path, struct addr *addr_r, struct error *err);
/* "10.0.0.1:80", "[::1]:80", the path of a Unix address; "-" for none. Returns dst. */
const char *addr_format(const struct addr *a, char dst[ADDR_TEXT_MAX]);
const char *addr_format_ip(const struct addr *a, char dst[ADDR_TEXT_MAX]); /* without the port */
uint16_t addr_port(const struct addr *a);
void addr_set_port(struct addr *a, uint16_t port);
bool addr_eq(const struct addr *a, const struct addr *b);
bool addr_is_same_ip(const struct addr *a, const struct addr *b); /* false: one is no IP address */
/* *p: the address in network order, into a; *bits: 32 or 128. false: no IP address. */
bool addr_ip_bytes(const struct addr *a, const unsigned char **p, unsigned *bits);
bool addr_is_any(const struct addr *a); /* 0.0.0.0 or :: */
bool addr_is_loopback(const struct addr *a);
/* 127.0.0.1 or ::1, which is what Envoy means by a loopback address. */
bool addr_is_localhost(const struct addr *a);
/* Is a inside base/prefix_len (same family)? */
bool addr_in_prefix(const struct addr *a, const struct addr *base, unsigned prefix_len);
/* ::ffff:1.2.3.4 becomes 1.2.3.4, as people read it. */
void addr_unmap(struct addr *a);

#endif
