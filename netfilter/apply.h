/* Brings the firewall of the present network namespace to what the options ask for, or cleans it.
 * [main] thread, blocks. */
#ifndef NETFILTER_APPLY_H
#define NETFILTER_APPLY_H

#include "netfilter/options.h"

/* Applies the rules for each family; does nothing where they are in place already. A failure of
 * IPv6 counts only if the pod has it. */
int apply_rules(const struct netfilter_options *o, struct error *err);
/* Removes all chains named ISTIO_*, the jumps to them, and the plain rules that these options
 * would make, in both families and in both backends (unless one is forced). */
int apply_cleanup(const struct netfilter_options *o, struct error *err);
/* Writes what apply_rules would do on an empty machine to o->dry_run_file_path. */
int apply_dry_run(const struct netfilter_options *o, struct error *err);

#endif
