/* What has to be done to get from the present rules to the wanted ones: nothing, or one text for
 * iptables-restore that removes whatever of ours is there and adds the wanted rules. Each table
 * is replaced in one transaction, so traffic is never without its rules in between (Istio deletes
 * first, behind rules that drop everything). [main] thread, no I/O of its own. */
#ifndef NETFILTER_PLAN_H
#define NETFILTER_PLAN_H

#include "base/str.h"
#include "netfilter/rules.h"
#include "netfilter/state.h"

/* Asks the kernel whether a rule stands in a chain. */
typedef bool plan_exists_fn(void *arg, const char *table, const char *chain, const char *rule);

/* Whether the present rules are not the wanted ones: one of our chains is missing, superfluous or
 * of another length, or a wanted rule does not exist. *reason_r is a static text. */
bool plan_is_needed(const struct rule_set *set, const struct state *s, plan_exists_fn *exists,
                    void *arg, const char **reason_r);
/* Appends the text. wanted may be NULL, which removes only: `ours` then names the rules outside
 * of our chains that go, too. With nothing of ours present it is Istio's text. */
void plan_replace(struct sbuf *b, const struct rule_set *ours, const struct rule_set *wanted,
                  const struct state *s, plan_exists_fn *exists, void *arg);

#endif
