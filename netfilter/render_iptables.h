/* Rules as text for iptables-restore, in the shape in which Istio writes it.
 * [main] thread; the texts are appended to the caller's sbuf. */
#ifndef NETFILTER_RENDER_IPTABLES_H
#define NETFILTER_RENDER_IPTABLES_H

#include "base/str.h"
#include "netfilter/rules.h"

/* One rule without "-A CHAIN": "-p tcp -j RETURN". */
void render_iptables_rule(struct sbuf *b, const struct rule *r);
/* The rules of one table as they are emitted, "-A CHAIN ..." or "-I CHAIN N ...", a line each. */
void render_iptables_rules(struct sbuf *b, const struct rule_set *set, enum table table);
/* Calls fn for each chain of the table that is not built in: first those with rules, in the order
 * of their first rule, then those only jumped to. */
void render_iptables_chains(const struct rule_set *set, enum table table,
                            void (*fn)(void *arg, const char *chain), void *arg);
/* The whole set for `iptables-restore --noflush` on tables without our chains. */
void render_iptables_restore(struct sbuf *b, const struct rule_set *set);

#endif
