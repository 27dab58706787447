/* Facts of this machine that decide which rules are needed: address families, name servers. */
#include "netfilter/options.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdio.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"

enum { RESOLV_CONF_MAX = 64 * 1024 };

static bool is_local_v6(const struct in6_addr *a)
{
    return IN6_IS_ADDR_LOOPBACK(a) || IN6_IS_ADDR_LINKLOCAL(a) || IN6_IS_ADDR_MC_LINKLOCAL(a);
}

static bool is_local_v4(uint32_t a)
{
    return a >> 24 == 127 || a >> 16 == 0xa9fe || a >> 8 == 0xe00000;
}

/* AF_INET or AF_INET6 of an address that stands for the pod; 0 for loopback and link-local ones. */
static int family_of(const struct sockaddr *sa)
{
    if (sa && sa->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const void *)sa;
        return is_local_v4(ntohl(in->sin_addr.s_addr)) ? 0 : AF_INET;
    }
    if (sa && sa->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const void *)sa;
        return is_local_v6(&in6->sin6_addr) ? 0 : AF_INET6;
    }
    return 0;
}

static int detect_families(struct netfilter_options *o, struct error *err)
{
    struct ifaddrs *all;
    bool has_v6 = false;
    int first = 0;

    if (getifaddrs(&all))
        return error_set_errno(err, errno, "cannot list the network addresses");
    for (struct ifaddrs *i = all; i; i = i->ifa_next) {
        int family = family_of(i->ifa_addr);
        has_v6 |= family == AF_INET6;
        first = first ? first : family;
    }
    freeifaddrs(all);
    if (!first)
        return error_set(err, ERR_NOT_FOUND,
                         "no network address found beside loopback and link-local ones");
    o->host_family = first;
    o->has_ipv6 = o->dual_stack ? has_v6 : first == AF_INET6;
    if (has_v6 && !o->has_ipv6)
        log_warn(LOG_MAIN, "there are IPv6 addresses, whose traffic is not captured: set "
                           "ISTIO_DUAL_STACK=true to capture both families");
    return 0;
}

static void take_server(struct netfilter_options *o, struct str line)
{
    struct str address;
    char text[INET6_ADDRSTRLEN];
    unsigned char bytes[16];

    for (size_t i = 0; i < line.n; i++)
        if (line.p[i] == '\t' || line.p[i] == '#' || line.p[i] == ';') {
            line.n = i;
            break;
        }
    if (!str_next(&line, ' ', &address) || !address.n || address.n >= sizeof(text))
        return;
    memcpy(text, address.p, address.n);
    text[address.n] = 0;
    if (inet_pton(AF_INET, text, bytes) == 1)
        words_add(&o->arena, &o->dns_v4, address);
    else if (inet_pton(AF_INET6, text, bytes) == 1)
        words_add(&o->arena, &o->dns_v6, address);
}

static void parse_resolv_conf(struct netfilter_options *o, struct str text)
{
    static const char keyword[] = "nameserver";
    struct str line;
    while (str_next(&text, '\n', &line)) {
        line = str_trim(line);
        if (!str_starts(line, STR("nameserver")) || line.n < sizeof(keyword) ||
            (line.p[sizeof(keyword) - 1] != ' ' && line.p[sizeof(keyword) - 1] != '\t'))
            continue;
        struct str rest = {line.p + sizeof(keyword), line.n - sizeof(keyword)};
        take_server(o, str_trim(rest));
    }
}

static int detect_dns_servers(struct netfilter_options *o, struct error *err)
{
    int fd = open("/etc/resolv.conf", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_set_errno(err, errno, "/etc/resolv.conf");
    char *text = mem_alloc(RESOLV_CONF_MAX);
    size_t n = 0;
    ssize_t got;
    while (n < RESOLV_CONF_MAX && (got = read(fd, text + n, RESOLV_CONF_MAX - n)) > 0)
        n += (size_t)got;
    close(fd);
    parse_resolv_conf(o, (struct str){text, n});
    mem_free(text);
    return 0;
}

int netfilter_options_detect(struct netfilter_options *o, struct error *err)
{
    int rc = detect_families(o, err);
    if (!rc && o->redirect_dns && !o->capture_all_dns)
        rc = detect_dns_servers(o, err);
    return rc;
}
