#include "netfilter/probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "netfilter/origdst.h"

enum { RETRY_MS = 1000, LISTENERS = 2 };

struct probe {
    const struct netfilter_options *o;
    int listen_fd[LISTENERS];
    int client_fd;
};

static socklen_t make_address(int family, const char *v4, const char *v6, uint16_t port,
                              struct sockaddr_storage *ss)
{
    *ss = (struct sockaddr_storage){.ss_family = (sa_family_t)family};
    if (family == AF_INET6) {
        struct sockaddr_in6 *in6 = (void *)ss;
        inet_pton(AF_INET6, v6, &in6->sin6_addr);
        in6->sin6_port = htons(port);
        return sizeof(*in6);
    }
    struct sockaddr_in *in = (void *)ss;
    inet_pton(AF_INET, v4, &in->sin_addr);
    in->sin_port = htons(port);
    return sizeof(*in);
}

static uint16_t port_of(const struct sockaddr_storage *ss)
{
    if (ss->ss_family == AF_INET6)
        return ntohs(((const struct sockaddr_in6 *)ss)->sin6_port);
    return ntohs(((const struct sockaddr_in *)ss)->sin_port);
}

static int open_bound(int family, uint16_t port)
{
    struct sockaddr_storage ss;
    int one = 1;
    socklen_t len = make_address(family, "127.0.0.1", "::1", port, &ss);
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    if (port) {
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
    }
    if (bind(fd, (struct sockaddr *)&ss, len) || (port && listen(fd, 16))) {
        int e = errno;
        close(fd);
        errno = e;
        return -1;
    }
    return fd;
}

static int open_listeners(struct probe *p, struct error *err)
{
    const uint16_t ports[LISTENERS] = {p->o->proxy_port, p->o->inbound_capture_port};
    int opened = 0;
    for (int i = 0; i < LISTENERS; i++) {
        p->listen_fd[i] = open_bound(p->o->host_family, ports[i]);
        if (p->listen_fd[i] >= 0)
            opened++;
        else
            error_set_errno(err, errno, "cannot listen on port %u", ports[i]);
    }
    return opened ? 0 : -(int)err->code;
}

static void start_client(struct probe *p)
{
    struct sockaddr_storage ss;
    socklen_t len = make_address(p->o->host_family, "127.0.0.6", "::6", p->o->probe_port, &ss);

    if (p->client_fd >= 0)
        close(p->client_fd);
    p->client_fd = open_bound(p->o->host_family, 0);
    if (p->client_fd >= 0 && connect(p->client_fd, (struct sockaddr *)&ss, len) &&
        errno != EINPROGRESS)
        log_debug(LOG_MAIN, "probe connection failed at once: errno %d", errno);
}

static bool take_connection(const struct probe *p, int listen_fd)
{
    struct sockaddr_storage dst;
    socklen_t len;
    bool is_ours = false;
    int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);

    if (fd < 0)
        return false;
    if (origdst_get(fd, &dst, &len) == 0)
        is_ours = port_of(&dst) == p->o->probe_port;
    close(fd);
    return is_ours;
}

/* Waits for one second's connection. */
static bool wait_captured(const struct probe *p, uint64_t until_ns)
{
    struct pollfd fds[LISTENERS];
    for (int i = 0; i < LISTENERS; i++)
        fds[i] = (struct pollfd){.fd = p->listen_fd[i], .events = POLLIN};
    for (;;) {
        uint64_t now_ns = clock_mono_ns();
        if (now_ns >= until_ns)
            return false;
        if (poll(fds, LISTENERS, (int)((until_ns - now_ns) / 1000000) + 1) <= 0)
            continue;
        for (int i = 0; i < LISTENERS; i++)
            if ((fds[i].revents & POLLIN) && take_connection(p, fds[i].fd))
                return true;
    }
}

int probe_run(const struct netfilter_options *o, struct error *err)
{
    struct probe p = {.o = o, .listen_fd = {-1, -1}, .client_fd = -1};
    uint64_t deadline_ns = clock_mono_ns() + o->probe_timeout_ms * 1000000ull;
    bool is_captured = false;
    int rc = open_listeners(&p, err);

    while (!rc && !is_captured && clock_mono_ns() < deadline_ns) {
        uint64_t retry_ns = clock_mono_ns() + RETRY_MS * 1000000ull;
        start_client(&p);
        is_captured = wait_captured(&p, retry_ns < deadline_ns ? retry_ns : deadline_ns);
    }
    for (int i = 0; i < LISTENERS; i++)
        if (p.listen_fd[i] >= 0)
            close(p.listen_fd[i]);
    if (p.client_fd >= 0)
        close(p.client_fd);
    if (!rc && !is_captured)
        rc = error_set(err, ERR_TIMEOUT, "a connection to port %u was not captured within %u ms",
                       o->probe_port, o->probe_timeout_ms);
    return rc;
}
