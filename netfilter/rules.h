/* The rules of one address family, in Istio's emission order, independent of the tool that
 * applies them. A rule is a list of matches and a target; renderers turn it into text.
 * [main] thread; everything lives in the rule set's arena, or in the options it was built from,
 * which must outlive it. */
#ifndef NETFILTER_RULES_H
#define NETFILTER_RULES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "netfilter/options.h"

/* Tables in the order in which they are rendered. */
enum table { TABLE_FILTER, TABLE_MANGLE, TABLE_NAT, TABLE_RAW, TABLE_COUNT };

enum match_kind {
    MATCH_END,
    MATCH_IN_INTERFACE,
    MATCH_OUT_INTERFACE,
    MATCH_SOURCE,      /* CIDR */
    MATCH_DESTINATION, /* CIDR */
    MATCH_PROTOCOL,    /* tcp, udp */
    MATCH_DPORT,
    MATCH_SPORT,
    MATCH_DPORTS, /* comma list */
    MATCH_UID,
    MATCH_GID,
    MATCH_CTSTATE,
    MATCH_MARK,
    MATCH_CONNMARK
};

struct match {
    enum match_kind kind;
    bool is_negated;
    const char *value;
};

enum target_kind {
    TARGET_RETURN,
    TARGET_ACCEPT,
    TARGET_DROP,
    TARGET_CHAIN,    /* value: chain name */
    TARGET_REDIRECT, /* value: port */
    TARGET_SET_MARK, /* value: mark */
    TARGET_TPROXY,   /* value: mark, port */
    TARGET_CT_ZONE,  /* value: zone */
    TARGET_SAVE_MARK,
    TARGET_RESTORE_MARK
};

struct target {
    enum target_kind kind;
    const char *value, *port;
};

struct rule {
    enum table table;
    const char *chain;
    unsigned position;           /* 0: append; else insert there, 1 is the top */
    const struct match *matches; /* ends with MATCH_END */
    struct target target;
};

struct rule_set {
    struct arena arena;
    int family; /* AF_INET or AF_INET6 */
    struct rule *rules;
    size_t n, cap;
};

/* Builds the rules that o asks for in this family. rule_set_fini frees them. */
void rule_set_build(struct rule_set *set, int family, const struct netfilter_options *o);
void rule_set_fini(struct rule_set *set);
/* Chains that come with the kernel's tables; all others are ours to create. */
bool rules_is_builtin_chain(const char *chain);
const char *rules_table_name(enum table table);

#endif
