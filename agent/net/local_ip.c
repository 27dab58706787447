#include "net/local_ip.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <pthread.h>

static struct addr found;

static void find(void)
{
    struct ifaddrs *list, *i;
    addr_from_ip(STR("127.0.0.1"), 0, &found, NULL);
    if (getifaddrs(&list))
        return;
    for (i = list; i && addr_is_loopback(&found); i = i->ifa_next)
        if (i->ifa_addr && i->ifa_addr->sa_family == AF_INET && (i->ifa_flags & IFF_UP)) {
            found.v4 = *(const struct sockaddr_in *)(const void *)i->ifa_addr;
            found.v4.sin_port = 0;
            found.len = sizeof(found.v4);
        }
    freeifaddrs(list);
}

const struct addr *local_ip(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, find);
    return &found;
}
