/* The rules in the order in which Istio's istio-iptables emits them since 1.25; people compare
 * the two, and the order within a chain is what the rules mean.
 *
 * Outbound, nat OUTPUT -> ISTIO_OUTPUT: excluded ports, the proxy's own inbound side (bound to
 * 127.0.0.6), calls of the proxy to its own pod (-> ISTIO_IN_REDIRECT), the application calling
 * itself, the proxy's other traffic, localhost, excluded ranges; the rest -> ISTIO_REDIRECT.
 * Inbound, nat PREROUTING (mangle in TPROXY mode) -> ISTIO_INBOUND: see rules_add_inbound. */
#include "netfilter/rules_private.h"

#include <sys/socket.h>

static void skip_excluded_interfaces(struct build *b)
{
    const struct words *w = &b->o->exclude_interfaces;
    for (size_t i = 0; i < w->n; i++) {
        ADD(b, NAT, "PREROUTING", DO(RETURN), IN(w->v[i]));
        ADD(b, NAT, "OUTPUT", DO(RETURN), OUT(w->v[i]));
    }
    for (size_t i = 0; b->o->is_tproxy && i < w->n; i++) {
        ADD(b, MANGLE, "PREROUTING", DO(RETURN), IN(w->v[i]));
        ADD(b, MANGLE, "OUTPUT", DO(RETURN), OUT(w->v[i]));
    }
}

static void skip_virtual_interfaces(struct build *b)
{
    const struct words *w = &b->o->virtual_interfaces;
    for (size_t i = 0; i < w->n; i++)
        INSERT(b, NAT, "PREROUTING", 1, DO(RETURN), IN(w->v[i]));
}

/* A reset sent for an out-of-window segment would not be translated back and so break the
 * connection at the peer. */
static void drop_invalid(struct build *b)
{
    if (!b->o->drop_invalid)
        return;
    ADD(b, MANGLE, "PREROUTING", JUMP(ISTIO_DROP), CTSTATE("INVALID"));
    ADD(b, MANGLE, ISTIO_DROP, DO(DROP), ANY);
}

static void add_redirect_chains(struct build *b)
{
    const struct netfilter_options *o = b->o;
    ADD(b, NAT, ISTIO_INBOUND, DO(RETURN), TCP, DPORT(rules_number(b, o->inbound_tunnel_port)));
    ADD(b, NAT, ISTIO_REDIRECT, DO_WITH(REDIRECT, rules_number(b, o->proxy_port)), TCP);
    ADD(b, NAT, ISTIO_IN_REDIRECT, DO_WITH(REDIRECT, rules_number(b, o->inbound_capture_port)),
        TCP);
}

static void skip_excluded_outbound_ports(struct build *b)
{
    const struct words *w = &b->o->outbound_exclude_ports;
    for (size_t i = 0; i < w->n; i++) {
        ADD(b, NAT, ISTIO_OUTPUT, DO(RETURN), TCP, DPORT(w->v[i]));
        ADD(b, NAT, ISTIO_OUTPUT, DO(RETURN), UDP, DPORT(w->v[i]));
    }
}

/* The three rules for one user or group of the proxy. */
static void add_owner(struct build *b, struct match owner)
{
    const char *tunnel = rules_number(b, b->o->inbound_tunnel_port);
    struct match not_agent = not(DPORT(tunnel));

    /* The proxy calls its own pod, because the application called a service that leads back to
     * it: such traffic has to pass the inbound side. DNS queries of the agent do not; for groups
     * Istio never made that exception. */
    if (b->has_dns && owner.kind == MATCH_UID)
        not_agent =
            (struct match){MATCH_DPORTS, true, arena_printf(&b->set->arena, "53,%s", tunnel)};
    ADD(b, NAT, ISTIO_OUTPUT, JUMP(ISTIO_IN_REDIRECT), OUT("lo"), not(DST(b->loopback)), TCP,
        not_agent, owner);

    /* The application calls itself by the pod's address: no capture, unless loopback addresses
     * are to be captured expressly. TCP to a name server on localhost is still wanted. */
    if (!b->o->outbound.has_loopback && b->has_dns)
        ADD(b, NAT, ISTIO_OUTPUT, DO(RETURN), OUT("lo"), TCP, not(DPORT("53")), not(owner));
    else if (!b->o->outbound.has_loopback)
        ADD(b, NAT, ISTIO_OUTPUT, DO(RETURN), OUT("lo"), not(owner));

    /* Whatever else the proxy sends would come back to it for ever. */
    ADD(b, NAT, ISTIO_OUTPUT, DO(RETURN), owner);
}

static void add_owners(struct build *b)
{
    const struct netfilter_options *o = b->o;
    for (size_t i = 0; i < o->proxy_uids.n; i++)
        add_owner(b, (struct match){MATCH_UID, false, o->proxy_uids.v[i]});
    for (size_t i = 0; i < o->proxy_gids.n; i++)
        add_owner(b, (struct match){MATCH_GID, false, o->proxy_gids.v[i]});
}

static void add_owner_groups(struct build *b)
{
    const struct words *w = &b->o->owner_groups;
    if (b->o->captures_all_groups) {
        for (size_t i = 0; i < w->n; i++)
            ADD(b, NAT, ISTIO_OUTPUT, DO(RETURN), (struct match){MATCH_GID, false, w->v[i]});
        return;
    }
    struct match *none_of = arena_zalloc(&b->set->arena, (w->n + 1) * sizeof(*none_of));
    for (size_t i = 0; i < w->n; i++)
        none_of[i] = (struct match){MATCH_GID, true, w->v[i]};
    rule_set_add(b->set, TABLE_NAT, ISTIO_OUTPUT, 0, DO(RETURN), none_of);
}

static void capture_outbound_ranges(struct build *b, const struct words *ranges)
{
    const struct words *ifs = &b->o->virtual_interfaces;
    if (b->o->outbound.is_all) {
        ADD(b, NAT, ISTIO_OUTPUT, JUMP(ISTIO_REDIRECT), ANY);
        for (size_t i = 0; i < ifs->n; i++)
            INSERT(b, NAT, "PREROUTING", 1, JUMP(ISTIO_REDIRECT), IN(ifs->v[i]));
        return;
    }
    for (size_t r = 0; r < ranges->n; r++) {
        for (size_t i = 0; i < ifs->n; i++)
            INSERT(b, NAT, "PREROUTING", 1, JUMP(ISTIO_REDIRECT), IN(ifs->v[i]), DST(ranges->v[r]));
        ADD(b, NAT, ISTIO_OUTPUT, JUMP(ISTIO_REDIRECT), DST(ranges->v[r]));
    }
}

static void add_outbound(struct build *b)
{
    const struct netfilter_options *o = b->o;
    bool is_v6 = b->set->family == AF_INET6;
    const struct words *except = is_v6 ? &o->outbound_exclude.v6 : &o->outbound_exclude.v4;

    ADD(b, NAT, "OUTPUT", JUMP(ISTIO_OUTPUT), ANY);
    skip_excluded_outbound_ports(b);
    ADD(b, NAT, ISTIO_OUTPUT, DO(RETURN), OUT("lo"), SRC(b->inbound_source));
    add_owners(b);
    add_owner_groups(b);
    if (b->has_dns)
        rules_add_dns(b);
    ADD(b, NAT, ISTIO_OUTPUT, DO(RETURN), DST(b->loopback));
    for (size_t i = 0; i < except->n; i++)
        ADD(b, NAT, ISTIO_OUTPUT, DO(RETURN), DST(except->v[i]));
    for (size_t i = 0; i < o->outbound_ports.n; i++)
        ADD(b, NAT, ISTIO_OUTPUT, JUMP(ISTIO_REDIRECT), TCP, DPORT(o->outbound_ports.v[i]));
    capture_outbound_ranges(b, is_v6 ? &o->outbound.v6 : &o->outbound.v4);
}

void rule_set_build(struct rule_set *set, int family, const struct netfilter_options *o)
{
    bool is_v6 = family == AF_INET6;
    struct build b = {
        .set = set,
        .o = o,
        .loopback = is_v6 ? "::1/128" : o->loopback_v4,
        .inbound_source = is_v6 ? "::6/128" : "127.0.0.6/32",
        .host_bits = is_v6 ? "128" : "32",
        .dns_servers = is_v6 ? &o->dns_v6 : &o->dns_v4,
        .has_dns = netfilter_options_has_dns(o),
    };
    *set = (struct rule_set){.family = family};
    arena_init(&set->arena, 0);
    skip_excluded_interfaces(&b);
    skip_virtual_interfaces(&b);
    drop_invalid(&b);
    add_redirect_chains(&b);
    rules_add_inbound(&b);
    add_outbound(&b);
    if (o->is_tproxy)
        rules_add_tproxy_marks(&b);
}
