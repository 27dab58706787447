/* The firewall's present rules, as iptables-save prints them. [main] thread; owns its strings. */
#ifndef NETFILTER_STATE_H
#define NETFILTER_STATE_H

#include "base/hash.h"
#include "netfilter/rules.h"

struct state_chain {
    const char *name;
    struct words rules; /* whole lines, "-A CHAIN ..." */
};

struct state_table {
    struct state_chain *chains;
    size_t n, cap;
};

struct state {
    struct arena arena;
    struct state_table tables[TABLE_COUNT];
};

/* Lines that are not understood and other tables are skipped. state_fini frees. */
void state_parse(struct state *s, struct str text);
void state_fini(struct state *s);
const struct state_chain *state_find(const struct state *s, enum table table, const char *chain);
/* Chains named ISTIO_...: ours, whoever made them. */
bool state_is_our_chain(const char *chain);
/* Whether a rule's line jumps to one of our chains. */
bool state_is_our_jump(const char *line);
/* Any of our chains, or a jump to one. */
bool state_has_ours(const struct state *s);
/* Any rule or chain of its own at all. */
bool state_is_empty(const struct state *s);

#endif
