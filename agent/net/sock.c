#include "net/sock.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <unistd.h>

static void set_option(int fd, int level, int name, int value)
{
    setsockopt(fd, level, name, &value, sizeof(value));
}

static int fail_listen(int fd, const struct addr *a, const char *what, struct error *err)
{
    int e = errno;
    char text[ADDR_TEXT_MAX];
    if (fd >= 0)
        close(fd);
    return error_set_errno(err, e, "cannot %s '%s'", what, addr_format(a, text));
}

int sock_bind(const struct addr *a, bool reuse_port, bool transparent, struct error *err)
{
    int fd = socket(a->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return fail_listen(fd, a, "open a socket for", err);
    set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (reuse_port)
        set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    if (transparent)
        set_option(fd, SOL_IP, IP_TRANSPARENT, 1);
    if (a->sa.sa_family == AF_INET6)
        set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    if (a->sa.sa_family == AF_UNIX && a->un.sun_path[0])
        unlink(a->un.sun_path);
    if (bind(fd, &a->sa, a->len) < 0)
        return fail_listen(fd, a, "bind", err);
    return fd;
}

int sock_listen(const struct addr *a, bool reuse_port, bool transparent, int backlog,
                struct error *err)
{
    int fd = sock_bind(a, reuse_port, transparent, err);
    if (fd >= 0 && listen(fd, backlog) < 0)
        return fail_listen(fd, a, "listen on", err);
    return fd;
}

int sock_connect(const struct addr *a, const struct addr *source, int *errno_r)
{
    int fd = socket(a->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        goto fail;
    if (source && source->len) {
        set_option(fd, SOL_IP, IP_BIND_ADDRESS_NO_PORT, 1);
        if (bind(fd, &source->sa, source->len) < 0)
            goto fail;
    }
    if (connect(fd, &a->sa, a->len) < 0 && errno != EINPROGRESS)
        goto fail;
    return fd;
fail:
    if (errno_r)
        *errno_r = errno;
    if (fd >= 0)
        close(fd);
    return -ERR_IO;
}

int sock_error(int fd)
{
    int e = 0;
    socklen_t n = sizeof(e);
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &e, &n) < 0 ? errno : e;
}

void sock_set_nodelay(int fd)
{
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
}

int sock_local(int fd, struct addr *a)
{
    *a = (struct addr){.len = sizeof(a->ss)};
    return getsockname(fd, &a->sa, &a->len) < 0 ? -ERR_IO : 0;
}

int sock_peer(int fd, struct addr *a)
{
    *a = (struct addr){.len = sizeof(a->ss)};
    return getpeername(fd, &a->sa, &a->len) < 0 ? -ERR_IO : 0;
}
