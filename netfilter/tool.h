/* The iptables programs of one address family and backend: which of legacy and nft to use, and
 * running them. [main] thread. */
#ifndef NETFILTER_TOOL_H
#define NETFILTER_TOOL_H

#include <stdbool.h>

#include "netfilter/exec.h"

struct tool {
    int family; /* AF_INET or AF_INET6 */
    char iptables[EXEC_PATH_MAX], save[EXEC_PATH_MAX], restore[EXEC_PATH_MAX];
    bool waits_for_lock; /* the legacy programs need to be told so */
};

/* The programs iptables-BACKEND (ip6tables-BACKEND), if they run; backend "" is the system's
 * choice. err tells what is missing. */
int tool_open(int family, const char *backend, struct tool *t, struct error *err);
/* Takes the backend where rules exist already: legacy with rules, else nft if the kernel takes
 * rules from it, else legacy, else the system's choice. force: NULL, "", "legacy" or "nft". */
int tool_detect(int family, const char *force, struct tool *t, struct error *err);
/* iptables-save: *text_r is mem_free'd by the caller. */
int tool_save(const struct tool *t, char **text_r, struct error *err);
/* iptables-restore --noflush; err carries what the program said. */
int tool_restore(const struct tool *t, const char *text, struct error *err);
/* iptables -t TABLE -C CHAIN RULE: whether the rule exists. RULE is split at blanks. */
bool tool_has_rule(const struct tool *t, const char *table, const char *chain, const char *rule);

#endif
