/* DNS capture: queries to the resolver go to the agent on 15053. UDP queries of the application
 * and of the agent may use the same source port towards the same server, where NAT would confuse
 * them, so the two live in separate conntrack zones: 1 is agent and resolver, 2 is application
 * and agent. */
#include "netfilter/rules_private.h"

#define AGENT_PORT "15053"
#define AGENT_ZONE "1"
#define APP_ZONE "2"

static const char *server_cidr(struct build *b, size_t i)
{
    return arena_printf(&b->set->arena, "%s/%s", b->dns_servers->v[i], b->host_bits);
}

static void redirect_queries(struct build *b, struct match protocol)
{
    if (b->o->capture_all_dns) {
        ADD(b, NAT, ISTIO_OUTPUT_DNS, DO_WITH(REDIRECT, AGENT_PORT), protocol, DPORT("53"));
        return;
    }
    for (size_t i = 0; i < b->dns_servers->n; i++)
        ADD(b, NAT, ISTIO_OUTPUT_DNS, DO_WITH(REDIRECT, AGENT_PORT), protocol, DPORT("53"),
            DST(server_cidr(b, i)));
}

static void zone_of_agent(struct build *b, struct match owner)
{
    ADD(b, RAW, ISTIO_OUTPUT_DNS, DO_WITH(CT_ZONE, AGENT_ZONE), UDP, DPORT("53"), owner);
    ADD(b, RAW, ISTIO_OUTPUT_DNS, DO_WITH(CT_ZONE, APP_ZONE), UDP, SPORT(AGENT_PORT), owner);
}

static void zones_of_servers(struct build *b)
{
    if (b->o->capture_all_dns) {
        ADD(b, RAW, "PREROUTING", JUMP(ISTIO_INBOUND), ANY);
        ADD(b, RAW, ISTIO_OUTPUT_DNS, DO_WITH(CT_ZONE, APP_ZONE), UDP, DPORT("53"));
        ADD(b, RAW, ISTIO_INBOUND, DO_WITH(CT_ZONE, AGENT_ZONE), UDP, SPORT("53"));
        return;
    }
    if (b->dns_servers->n)
        ADD(b, RAW, "PREROUTING", JUMP(ISTIO_INBOUND), ANY);
    for (size_t i = 0; i < b->dns_servers->n; i++) {
        const char *server = server_cidr(b, i);
        ADD(b, RAW, ISTIO_OUTPUT_DNS, DO_WITH(CT_ZONE, APP_ZONE), UDP, DPORT("53"), DST(server));
        ADD(b, RAW, ISTIO_INBOUND, DO_WITH(CT_ZONE, AGENT_ZONE), UDP, SPORT("53"), SRC(server));
    }
}

void rules_add_dns(struct build *b)
{
    const struct netfilter_options *o = b->o;
    ADD(b, RAW, "OUTPUT", JUMP(ISTIO_OUTPUT_DNS), ANY);
    if (o->capture_all_dns || b->dns_servers->n)
        ADD(b, NAT, ISTIO_OUTPUT, JUMP(ISTIO_OUTPUT_DNS), ANY);
    redirect_queries(b, TCP);
    redirect_queries(b, UDP);
    for (size_t i = 0; i < o->proxy_uids.n; i++)
        zone_of_agent(b, (struct match){MATCH_UID, false, o->proxy_uids.v[i]});
    for (size_t i = 0; i < o->proxy_gids.n; i++)
        zone_of_agent(b, (struct match){MATCH_GID, false, o->proxy_gids.v[i]});
    zones_of_servers(b);
}
