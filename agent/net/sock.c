#include "net/sock.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "net/conn.h"

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

int sock_set_options(int fd, const struct addr *a, const struct sock_setup *s,
                     enum sock_state state, struct error *err)
{
    char text[ADDR_TEXT_MAX];
    for (size_t i = 0; s && i < s->options_n; i++) {
        const struct sock_option *o = &s->options[i];
        if (o->state != state || (o->family != AF_UNSPEC && o->family != a->sa.sa_family))
            continue;
        if (setsockopt(fd, o->level, o->name, o->value.p, (socklen_t)o->value.n))
            return error_set_errno(err, errno, "cannot set socket option %d/%d on '%s'", o->level,
                                   o->name, addr_format(a, text));
    }
    return 0;
}

static int bind_it(int fd, const struct addr *a, const struct sock_setup *s, struct error *err)
{
    bool has_file = a->sa.sa_family == AF_UNIX && a->un.sun_path[0];
    int rc = sock_set_options(fd, a, s, SOCK_PREBIND, err);
    if (rc)
        return rc;
    if (has_file)
        unlink(a->un.sun_path);
    if (bind(fd, &a->sa, a->len) < 0) {
        char text[ADDR_TEXT_MAX];
        return error_set_errno(err, errno, "cannot bind '%s'", addr_format(a, text));
    }
    if (has_file && s && s->mode && chmod(a->un.sun_path, s->mode))
        return error_set_errno(err, errno, "cannot set the mode of '%s'", a->un.sun_path);
    return sock_set_options(fd, a, s, SOCK_BOUND, err);
}

int sock_bind(const struct addr *a, const struct sock_setup *s, struct error *err)
{
    int fd = socket(a->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return fail_listen(fd, a, "open a socket for", err);
    set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (s && s->reuse_port)
        set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    if (s && s->transparent)
        set_option(fd, SOL_IP, IP_TRANSPARENT, 1);
    if (a->sa.sa_family == AF_INET6)
        set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    int rc = bind_it(fd, a, s, err);
    if (rc)
        close(fd);
    return rc ? rc : fd;
}

int sock_listen(const struct addr *a, int backlog, struct error *err)
{
    int fd = sock_bind(a, NULL, err);
    if (fd >= 0 && listen(fd, backlog) < 0)
        return fail_listen(fd, a, "listen on", err);
    return fd;
}

/* What needs a privilege fails the connection: it must not come from elsewhere. */
static bool is_set_up(int fd, const struct conn_source *from)
{
    int one = 1;
    return (!from->mark || !setsockopt(fd, SOL_SOCKET, SO_MARK, &from->mark, sizeof(from->mark))) &&
           (!from->is_foreign || !setsockopt(fd, SOL_IP, IP_TRANSPARENT, &one, sizeof(one)));
}

int sock_connect(const struct addr *a, const struct conn_source *from, int *errno_r)
{
    const struct addr *source = from->addr;
    int fd = socket(a->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        goto fail;
    if (!is_set_up(fd, from))
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
