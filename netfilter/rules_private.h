/* How rules_build.c and its parts put rules together. */
#ifndef NETFILTER_RULES_PRIVATE_H
#define NETFILTER_RULES_PRIVATE_H

#include "netfilter/rules.h"

#define ISTIO_INBOUND "ISTIO_INBOUND"
#define ISTIO_OUTPUT "ISTIO_OUTPUT"
#define ISTIO_OUTPUT_DNS "ISTIO_OUTPUT_DNS"
#define ISTIO_REDIRECT "ISTIO_REDIRECT"
#define ISTIO_IN_REDIRECT "ISTIO_IN_REDIRECT"
#define ISTIO_DIVERT "ISTIO_DIVERT"
#define ISTIO_TPROXY "ISTIO_TPROXY"
#define ISTIO_DROP "ISTIO_DROP"

/* What the parts of the build share: the options seen from one family. */
struct build {
    struct rule_set *set;
    const struct netfilter_options *o;
    const char *loopback;       /* the CIDR that counts as localhost */
    const char *inbound_source; /* where the proxy's inbound side binds: 127.0.0.6/32, ::6/128 */
    const char *host_bits;      /* "32" or "128" */
    const struct words *dns_servers;
    bool has_dns;
};

#define ANY ((struct match){0})
#define IN(v) ((struct match){MATCH_IN_INTERFACE, false, v})
#define OUT(v) ((struct match){MATCH_OUT_INTERFACE, false, v})
#define SRC(v) ((struct match){MATCH_SOURCE, false, v})
#define DST(v) ((struct match){MATCH_DESTINATION, false, v})
#define TCP ((struct match){MATCH_PROTOCOL, false, "tcp"})
#define UDP ((struct match){MATCH_PROTOCOL, false, "udp"})
#define DPORT(v) ((struct match){MATCH_DPORT, false, v})
#define SPORT(v) ((struct match){MATCH_SPORT, false, v})
#define MARK(v) ((struct match){MATCH_MARK, false, v})
#define CONNMARK(v) ((struct match){MATCH_CONNMARK, false, v})
#define CTSTATE(v) ((struct match){MATCH_CTSTATE, false, v})

static inline struct match not(struct match m)
{
    m.is_negated = true;
    return m;
}

#define JUMP(v) ((struct target){TARGET_CHAIN, v, NULL})
#define DO(kind) ((struct target){TARGET_##kind, NULL, NULL})
#define DO_WITH(kind, v) ((struct target){TARGET_##kind, v, NULL})

/* Adds a rule; matches end with MATCH_END and are copied. */
void rule_set_add(struct rule_set *set, enum table table, const char *chain, unsigned position,
                  struct target target, const struct match *matches);

#define ADD(b, table, chain, target, ...)                   \
    rule_set_add((b)->set, TABLE_##table, chain, 0, target, \
                 (const struct match[]){__VA_ARGS__, {0}})
#define INSERT(b, table, chain, position, target, ...)             \
    rule_set_add((b)->set, TABLE_##table, chain, position, target, \
                 (const struct match[]){__VA_ARGS__, {0}})

const char *rules_number(struct build *b, unsigned value);

void rules_add_inbound(struct build *b);
void rules_add_dns(struct build *b);
void rules_add_tproxy_marks(struct build *b);

#endif
