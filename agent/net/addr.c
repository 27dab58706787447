#include "net/addr.h"

#include <arpa/inet.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

int addr_from_ip(struct str ip, uint16_t port, struct addr *a, struct error *err)
{
    char z[INET6_ADDRSTRLEN];
    memset(a, 0, sizeof(*a));
    if (ip.n && ip.n < sizeof(z)) {
        memcpy(z, ip.p, ip.n);
        z[ip.n] = 0;
        if (inet_pton(AF_INET, z, &a->v4.sin_addr) == 1) {
            a->v4.sin_family = AF_INET;
            a->v4.sin_port = htons(port);
            a->len = sizeof(a->v4);
            return 0;
        }
        if (inet_pton(AF_INET6, z, &a->v6.sin6_addr) == 1) {
            a->v6.sin6_family = AF_INET6;
            a->v6.sin6_port = htons(port);
            a->len = sizeof(a->v6);
            return 0;
        }
    }
    return error_set(err, ERR_INVALID, "malformed IP address: %.*s", STR_ARG(ip));
}

int addr_from_path(struct str path, struct addr *a, struct error *err)
{
    memset(a, 0, sizeof(*a));
    if (!path.n || path.n >= sizeof(a->un.sun_path))
        return error_set(err, ERR_INVALID, "Unix socket path must have 1 to %zu bytes: %.*s",
                         sizeof(a->un.sun_path) - 1, STR_ARG(path));
    a->un.sun_family = AF_UNIX;
    memcpy(a->un.sun_path, path.p, path.n);
    a->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path.n);
    if (path.p[0] == '@')
        a->un.sun_path[0] = 0;
    else
        a->len++;
    return 0;
}

const char *addr_format_ip(const struct addr *a, char dst[ADDR_TEXT_MAX])
{
    dst[0] = '-';
    dst[1] = 0;
    if (!a->len)
        return dst;
    if (a->sa.sa_family == AF_INET)
        inet_ntop(AF_INET, &a->v4.sin_addr, dst, ADDR_TEXT_MAX);
    else if (a->sa.sa_family == AF_INET6)
        inet_ntop(AF_INET6, &a->v6.sin6_addr, dst, ADDR_TEXT_MAX);
    else if (a->sa.sa_family == AF_UNIX)
        snprintf(dst, ADDR_TEXT_MAX, "%s%s", a->un.sun_path[0] ? "" : "@",
                 a->un.sun_path[0] ? a->un.sun_path : a->un.sun_path + 1);
    return dst;
}

const char *addr_format(const struct addr *a, char dst[ADDR_TEXT_MAX])
{
    char ip[ADDR_TEXT_MAX];
    addr_format_ip(a, ip);
    if (a->len && a->sa.sa_family == AF_INET)
        snprintf(dst, ADDR_TEXT_MAX, "%.64s:%u", ip, addr_port(a));
    else if (a->len && a->sa.sa_family == AF_INET6)
        snprintf(dst, ADDR_TEXT_MAX, "[%.64s]:%u", ip, addr_port(a));
    else
        memcpy(dst, ip, sizeof(ip));
    return dst;
}

uint16_t addr_port(const struct addr *a)
{
    if (!a->len)
        return 0;
    if (a->sa.sa_family == AF_INET)
        return ntohs(a->v4.sin_port);
    return a->sa.sa_family == AF_INET6 ? ntohs(a->v6.sin6_port) : 0;
}

void addr_set_port(struct addr *a, uint16_t port)
{
    if (a->sa.sa_family == AF_INET)
        a->v4.sin_port = htons(port);
    else if (a->sa.sa_family == AF_INET6)
        a->v6.sin6_port = htons(port);
}

bool addr_ip_bytes(const struct addr *a, const unsigned char **p, unsigned *bits)
{
    if (!a->len)
        return false;
    if (a->sa.sa_family == AF_INET) {
        *p = (const unsigned char *)&a->v4.sin_addr;
        *bits = 32;
        return true;
    }
    *p = (const unsigned char *)&a->v6.sin6_addr;
    *bits = 128;
    return a->sa.sa_family == AF_INET6;
}

bool addr_eq(const struct addr *a, const struct addr *b)
{
    const unsigned char *x, *y;
    unsigned nx, ny;
    if (addr_ip_bytes(a, &x, &nx) && addr_ip_bytes(b, &y, &ny))
        return nx == ny && memcmp(x, y, nx / 8) == 0 && addr_port(a) == addr_port(b);
    return a->len == b->len && memcmp(&a->ss, &b->ss, a->len) == 0;
}

bool addr_is_same_ip(const struct addr *a, const struct addr *b)
{
    const unsigned char *x, *y;
    unsigned nx, ny;
    return addr_ip_bytes(a, &x, &nx) && addr_ip_bytes(b, &y, &ny) && nx == ny &&
           memcmp(x, y, nx / 8) == 0;
}

bool addr_is_any(const struct addr *a)
{
    static const unsigned char zero[16];
    const unsigned char *p;
    unsigned bits;
    return addr_ip_bytes(a, &p, &bits) && memcmp(p, zero, bits / 8) == 0;
}

bool addr_is_loopback(const struct addr *a)
{
    if (!a->len)
        return false;
    if (a->sa.sa_family == AF_INET)
        return (ntohl(a->v4.sin_addr.s_addr) >> 24) == 127;
    return a->sa.sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&a->v6.sin6_addr);
}

bool addr_is_localhost(const struct addr *a)
{
    if (!a->len || a->sa.sa_family != AF_INET)
        return addr_is_loopback(a);
    return ntohl(a->v4.sin_addr.s_addr) == INADDR_LOOPBACK;
}

bool addr_in_prefix(const struct addr *a, const struct addr *base, unsigned prefix_len)
{
    const unsigned char *x, *y;
    unsigned nx, ny;
    if (!addr_ip_bytes(a, &x, &nx) || !addr_ip_bytes(base, &y, &ny) || nx != ny)
        return false;
    if (prefix_len > nx)
        prefix_len = nx;
    if (memcmp(x, y, prefix_len / 8))
        return false;
    unsigned rest = prefix_len % 8;
    return !rest || ((x[prefix_len / 8] ^ y[prefix_len / 8]) >> (8 - rest)) == 0;
}

void addr_unmap(struct addr *a)
{
    if (!a->len || a->sa.sa_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&a->v6.sin6_addr))
        return;
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = a->v6.sin6_port};
    memcpy(&v4.sin_addr, a->v6.sin6_addr.s6_addr + 12, 4);
    memset(a, 0, sizeof(*a));
    a->v4 = v4;
    a->len = sizeof(v4);
}
