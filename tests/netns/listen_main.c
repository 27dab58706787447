/* Listens on the given ports, IPv4 and IPv6 apart, and answers each connection with one line:
 * "PORT ADDRESS ADDRESS-PORT PEER", where PORT is the port that accepted and ADDRESS the original
 * destination ("-" if the connection was not redirected). With -t the sockets are transparent and
 * the local address is the original destination. Prints "ready" once it listens. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "netfilter/origdst.h"

enum { SOCKETS_MAX = 32 };

static int open_listener(int family, uint16_t port, bool is_transparent)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    bool is_v6 = family == AF_INET6;
    const void *sa = is_v6 ? (const void *)&in6 : (const void *)&in;
    int one = 1, fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (is_v6)
        setsockopt(fd, SOL_IPV6, IPV6_V6ONLY, &one, sizeof(one));
    if (is_transparent && setsockopt(fd, is_v6 ? SOL_IPV6 : SOL_IP,
                                     is_v6 ? IPV6_TRANSPARENT : IP_TRANSPARENT, &one, sizeof(one)))
        perror("transparent");
    if (bind(fd, sa, is_v6 ? sizeof(in6) : sizeof(in)) || listen(fd, 64)) {
        perror("listen");
        _exit(1);
    }
    return fd;
}

static void format(const struct sockaddr_storage *ss, char text[INET6_ADDRSTRLEN], unsigned *port)
{
    const struct sockaddr_in6 *in6 = (const void *)ss;
    const struct sockaddr_in *in = (const void *)ss;
    if (ss->ss_family == AF_INET6)
        inet_ntop(AF_INET6, &in6->sin6_addr, text, INET6_ADDRSTRLEN);
    else
        inet_ntop(AF_INET, &in->sin_addr, text, INET6_ADDRSTRLEN);
    *port = ntohs(ss->ss_family == AF_INET6 ? in6->sin6_port : in->sin_port);
}

static void answer(int listen_fd, unsigned listen_port, bool is_transparent)
{
    struct sockaddr_storage peer, dst;
    socklen_t peer_len = sizeof(peer), dst_len = sizeof(dst);
    char peer_text[INET6_ADDRSTRLEN], dst_text[INET6_ADDRSTRLEN] = "-", line[256];
    unsigned peer_port, dst_port = 0;
    int fd = accept(listen_fd, (struct sockaddr *)&peer, &peer_len);

    if (fd < 0)
        return;
    if (is_transparent && getsockname(fd, (struct sockaddr *)&dst, &dst_len) == 0)
        format(&dst, dst_text, &dst_port);
    else if (!is_transparent && origdst_get(fd, &dst, &dst_len) == 0)
        format(&dst, dst_text, &dst_port);
    if (!is_transparent && dst_port == listen_port) {
        dst_port = 0; /* tracked, but not redirected */
        dst_text[0] = '-';
        dst_text[1] = 0;
    }
    format(&peer, peer_text, &peer_port);
    int n =
        snprintf(line, sizeof(line), "%u %s %u %s\n", listen_port, dst_text, dst_port, peer_text);
    if (write(fd, line, (size_t)n) < 0)
        perror("write");
    close(fd);
}

int main(int argc, char **argv)
{
    struct pollfd fds[SOCKETS_MAX];
    unsigned ports[SOCKETS_MAX];
    bool is_transparent = argc > 1 && strcmp(argv[1], "-t") == 0;
    nfds_t n = 0;

    for (int i = is_transparent ? 2 : 1; i < argc && n + 2 <= SOCKETS_MAX; i++) {
        uint64_t port;
        if (!str_to_u64(str_of(argv[i]), UINT16_MAX, &port))
            return 2;
        for (int v6 = 0; v6 < 2; v6++) {
            int fd = open_listener(v6 ? AF_INET6 : AF_INET, (uint16_t)port, is_transparent);
            ports[n] = (unsigned)port;
            fds[n++] = (struct pollfd){.fd = fd, .events = POLLIN};
        }
    }
    puts("ready");
    fflush(stdout);
    while (poll(fds, n, -1) > 0)
        for (nfds_t i = 0; i < n; i++)
            if (fds[i].revents & POLLIN)
                answer(fds[i].fd, ports[i], is_transparent);
    return 1;
}
