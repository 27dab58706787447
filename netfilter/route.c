#include "netfilter/route.h"

#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/mem.h"

struct request {
    struct nlmsghdr header;
    char body[256];
};

static void *request_init(struct request *r, int type, bool is_removal, size_t body_len)
{
    memset(r, 0, sizeof(*r));
    r->header.nlmsg_len = (uint32_t)NLMSG_LENGTH(body_len);
    r->header.nlmsg_type = (uint16_t)type;
    r->header.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
    if (!is_removal)
        r->header.nlmsg_flags |= NLM_F_CREATE | NLM_F_EXCL;
    return NLMSG_DATA(&r->header);
}

static void request_add(struct request *r, int type, const void *value, size_t n)
{
    struct rtattr *a = (void *)((char *)r + NLMSG_ALIGN(r->header.nlmsg_len));
    a->rta_type = (unsigned short)type;
    a->rta_len = (unsigned short)RTA_LENGTH(n);
    memcpy(RTA_DATA(a), value, n);
    r->header.nlmsg_len = (uint32_t)(NLMSG_ALIGN(r->header.nlmsg_len) + RTA_SPACE(n));
}

/* 0 or an errno value. */
static int transact(const struct request *r)
{
    struct {
        struct nlmsghdr header;
        struct nlmsgerr body;
        char rest[512];
    } answer;
    struct timeval patience = {5, 0};
    int rc = 0;
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

    if (fd < 0)
        return errno;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    if (send(fd, r, r->header.nlmsg_len, 0) < 0) {
        rc = errno;
    } else {
        ssize_t n = recv(fd, &answer, sizeof(answer), 0);
        if (n < (ssize_t)(sizeof(answer.header) + sizeof(answer.body.error)))
            rc = n < 0 ? errno : EPROTO;
        else if (answer.header.nlmsg_type != NLMSG_ERROR)
            rc = EPROTO;
        else
            rc = -answer.body.error;
    }
    close(fd);
    return rc;
}

/* Whether e means that the kernel is in the wanted state already. */
static bool is_done(int e, bool is_removal)
{
    if (is_removal)
        return e == ENOENT || e == ESRCH || e == EADDRNOTAVAIL || e == EAFNOSUPPORT;
    return e == EEXIST;
}

static int finish(const struct request *r, bool is_removal, const char *what, struct error *err)
{
    int e = transact(r);
    if (!e || is_done(e, is_removal))
        return 0;
    return error_set_errno(err, e, "cannot %s %s", is_removal ? "remove" : "add", what);
}

static int change_address(bool is_removal, struct error *err)
{
    static const unsigned char address[16] = {[15] = 6};
    struct request r;
    struct ifaddrmsg *m =
        request_init(&r, is_removal ? RTM_DELADDR : RTM_NEWADDR, is_removal, sizeof(*m));
    *m = (struct ifaddrmsg){
        .ifa_family = AF_INET6, .ifa_prefixlen = 128, .ifa_index = if_nametoindex("lo")};
    request_add(&r, IFA_LOCAL, address, sizeof(address));
    request_add(&r, IFA_ADDRESS, address, sizeof(address));
    return finish(&r, is_removal, "address ::6 on lo", err);
}

static int change_rule(const struct netfilter_options *o, int family, bool is_removal,
                       struct error *err)
{
    struct request r;
    struct fib_rule_hdr *m =
        request_init(&r, is_removal ? RTM_DELRULE : RTM_NEWRULE, is_removal, sizeof(*m));
    *m = (struct fib_rule_hdr){.family = (unsigned char)family, .action = FR_ACT_TO_TBL};
    request_add(&r, FRA_FWMARK, &o->tproxy_mark_value, sizeof(o->tproxy_mark_value));
    request_add(&r, FRA_TABLE, &o->tproxy_table_value, sizeof(o->tproxy_table_value));
    return finish(&r, is_removal, "routing rule for the TPROXY mark", err);
}

static int change_route(const struct netfilter_options *o, int family, bool is_removal,
                        struct error *err)
{
    struct request r;
    uint32_t lo = if_nametoindex("lo");
    struct rtmsg *m =
        request_init(&r, is_removal ? RTM_DELROUTE : RTM_NEWROUTE, is_removal, sizeof(*m));
    *m = (struct rtmsg){.rtm_family = (unsigned char)family,
                        .rtm_protocol = RTPROT_BOOT,
                        .rtm_scope = RT_SCOPE_HOST,
                        .rtm_type = RTN_LOCAL};
    request_add(&r, RTA_TABLE, &o->tproxy_table_value, sizeof(o->tproxy_table_value));
    request_add(&r, RTA_OIF, &lo, sizeof(lo));
    return finish(&r, is_removal, "local route for the TPROXY mark", err);
}

static int change_all(const struct netfilter_options *o, bool is_removal, struct error *err)
{
    static const int families[] = {AF_INET, AF_INET6};
    int rc = 0;

    if (o->has_ipv6)
        rc = change_address(is_removal, err);
    for (size_t i = 0; o->is_tproxy && o->captures_inbound && i < ARRAY_LEN(families); i++) {
        if (families[i] == AF_INET6 && !o->has_ipv6)
            continue;
        if (!rc)
            rc = change_rule(o, families[i], is_removal, err);
        if (!rc)
            rc = change_route(o, families[i], is_removal, err);
    }
    return rc;
}

int route_setup(const struct netfilter_options *o, struct error *err)
{
    return change_all(o, false, err);
}

int route_cleanup(const struct netfilter_options *o, struct error *err)
{
    return change_all(o, true, err);
}
