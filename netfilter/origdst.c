#include "netfilter/origdst.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>

#include "base/err.h"

/* linux/netfilter_ipv4.h and linux/netfilter_ipv6/ip6_tables.h, which clash with netinet/in.h. */
enum { ORIGINAL_DST_V4 = 80, ORIGINAL_DST_V6 = 80 };

int origdst_get(int fd, struct sockaddr_storage *dst_r, socklen_t *len_r)
{
    struct sockaddr_storage local;
    socklen_t len = sizeof(local);

    if (getsockname(fd, (struct sockaddr *)&local, &len))
        return -ERR_IO;
    bool is_v6 = local.ss_family == AF_INET6;
    if (is_v6) {
        const struct sockaddr_in6 *in6 = (const void *)&local;
        is_v6 = !IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr);
    } else if (local.ss_family != AF_INET) {
        return -ERR_NOT_FOUND;
    }
    memset(dst_r, 0, sizeof(*dst_r));
    *len_r = is_v6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    if (getsockopt(fd, is_v6 ? SOL_IPV6 : SOL_IP, is_v6 ? ORIGINAL_DST_V6 : ORIGINAL_DST_V4, dst_r,
                   len_r))
        return errno == ENOENT || errno == ENOPROTOOPT ? -ERR_NOT_FOUND : -ERR_IO;
    return 0;
}
