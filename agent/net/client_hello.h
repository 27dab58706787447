/* What the first bytes of a connection tell when they are a TLS ClientHello: server name and
 * application protocols. Reads, never answers. [any] Source: RFC 8446 4.1.2 and 5.1, RFC 6066 3,
 * RFC 7301 3.1; Envoy's tls_inspector for the bound. */
#ifndef NET_CLIENT_HELLO_H
#define NET_CLIENT_HELLO_H

#include <stddef.h>
#include <stdint.h>

enum {
    CLIENT_HELLO_MAX = 16384, /* bytes looked at, record headers included */
    CLIENT_HELLO_NAME_MAX = 255,
    CLIENT_HELLO_PROTOCOLS_MAX = 16, /* further ones are not kept */
};

enum client_hello_result {
    CLIENT_HELLO_FOUND,
    CLIENT_HELLO_MORE, /* a beginning of one */
    CLIENT_HELLO_NONE, /* something else, or malformed */
    CLIENT_HELLO_TOO_LARGE,
};

struct client_hello {
    char server_name[CLIENT_HELLO_NAME_MAX + 1];       /* lower case; "" none, or not a host name */
    const char *protocols[CLIENT_HELLO_PROTOCOLS_MAX]; /* into text */
    size_t protocols_n;
    char text[1024];
};

/* p: the connection's first n bytes. *out_r is filled when found, else unspecified. */
enum client_hello_result client_hello_parse(const uint8_t *p, size_t n, struct client_hello *out_r);

#endif
