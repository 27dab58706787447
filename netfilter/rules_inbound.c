/* Inbound capture, by REDIRECT in nat or by TPROXY in mangle. TPROXY leaves the addresses as they
 * are: packets get a mark, a policy route sends marked ones to lo, and the proxy's transparent
 * socket takes them there. */
#include "netfilter/rules_private.h"

/* Set on what the proxy sends to its own pod; such packets have to pass the inbound side although
 * they arrive on lo. */
#define OWN_POD_MARK "1338"

static void add_tproxy_chains(struct build *b)
{
    const struct netfilter_options *o = b->o;
    struct target tproxy = {TARGET_TPROXY, o->tproxy_mark,
                            rules_number(b, o->inbound_capture_port)};
    ADD(b, MANGLE, ISTIO_DIVERT, DO_WITH(SET_MARK, o->tproxy_mark), ANY);
    ADD(b, MANGLE, ISTIO_DIVERT, DO(ACCEPT), ANY);
    ADD(b, MANGLE, ISTIO_TPROXY, tproxy, not(DST(b->loopback)), TCP);
}

static void capture_port(struct build *b, const char *port)
{
    if (b->o->is_tproxy) {
        ADD(b, MANGLE, ISTIO_INBOUND, JUMP(ISTIO_DIVERT), TCP, DPORT(port),
            CTSTATE("RELATED,ESTABLISHED"));
        ADD(b, MANGLE, ISTIO_INBOUND, JUMP(ISTIO_TPROXY), TCP, DPORT(port));
    } else {
        ADD(b, NAT, ISTIO_INBOUND, JUMP(ISTIO_IN_REDIRECT), TCP, DPORT(port));
    }
}

static void capture_all_ports(struct build *b)
{
    if (b->o->is_tproxy) {
        ADD(b, MANGLE, ISTIO_INBOUND, JUMP(ISTIO_DIVERT), TCP, CTSTATE("RELATED,ESTABLISHED"));
        ADD(b, MANGLE, ISTIO_INBOUND, JUMP(ISTIO_TPROXY), TCP);
    } else {
        ADD(b, NAT, ISTIO_INBOUND, JUMP(ISTIO_IN_REDIRECT), TCP);
    }
}

void rules_add_inbound(struct build *b)
{
    const struct netfilter_options *o = b->o;
    enum table table = o->is_tproxy ? TABLE_MANGLE : TABLE_NAT;

    if (!o->captures_inbound)
        return;
    if (o->is_tproxy)
        add_tproxy_chains(b);
    rule_set_add(b->set, table, "PREROUTING", 0, JUMP(ISTIO_INBOUND),
                 (const struct match[]){TCP, {0}});
    if (!o->captures_all_inbound) {
        for (size_t i = 0; i < o->inbound_ports.n; i++)
            capture_port(b, o->inbound_ports.v[i]);
        return;
    }
    for (size_t i = 0; i < o->inbound_exclude_ports.n; i++)
        rule_set_add(b->set, table, ISTIO_INBOUND, 0, DO(RETURN),
                     (const struct match[]){TCP, DPORT(o->inbound_exclude_ports.v[i]), {0}});
    capture_all_ports(b);
}

static void mark_own_pod(struct build *b, struct match owner)
{
    ADD(b, MANGLE, "OUTPUT", DO_WITH(SET_MARK, OWN_POD_MARK), not(DST(b->loopback)), TCP, OUT("lo"),
        owner);
}

/* The proxy's connection to the application carries the client's address and the mark. The mark
 * is kept with the connection, so that the application's answers find the way back to the proxy;
 * three rules at the top of ISTIO_INBOUND keep what circles on lo from being captured again. */
void rules_add_tproxy_marks(struct build *b)
{
    const struct netfilter_options *o = b->o;
    const char *mark = o->tproxy_mark;

    ADD(b, MANGLE, "PREROUTING", DO(SAVE_MARK), TCP, MARK(mark));
    ADD(b, MANGLE, "OUTPUT", DO(RETURN), TCP, OUT("lo"), MARK(mark));
    for (size_t i = 0; i < o->proxy_uids.n; i++)
        mark_own_pod(b, (struct match){MATCH_UID, false, o->proxy_uids.v[i]});
    for (size_t i = 0; i < o->proxy_gids.n; i++)
        mark_own_pod(b, (struct match){MATCH_GID, false, o->proxy_gids.v[i]});
    ADD(b, MANGLE, "OUTPUT", DO(RESTORE_MARK), TCP, CONNMARK(mark));
    INSERT(b, MANGLE, ISTIO_INBOUND, 1, DO(RETURN), TCP, MARK(mark));
    INSERT(b, MANGLE, ISTIO_INBOUND, 2, DO(RETURN), TCP, SRC(b->inbound_source), IN("lo"));
    INSERT(b, MANGLE, ISTIO_INBOUND, 3, DO(RETURN), TCP, IN("lo"), not(MARK(OWN_POD_MARK)));
}
