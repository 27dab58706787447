/* What istio-iptables was asked to do: its flags and environment, checked and split into lists.
 * Everything that later stands in a rule is checked here against a small alphabet, because
 * iptables-restore would take a newline or a blank within it as more rules.
 * [main] thread; strings live in the options' arena, in argv or in the environment. */
#ifndef NETFILTER_OPTIONS_H
#define NETFILTER_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

struct words {
    const char **v;
    size_t n;
};

/* Address ranges of one family, in the order given. */
struct ranges {
    struct words v4, v6;
    bool is_all;       /* "*" */
    bool has_loopback; /* one of them starts at a loopback address */
};

struct netfilter_options {
    struct arena arena;

    uint16_t proxy_port, inbound_capture_port, inbound_tunnel_port;
    struct words proxy_uids, proxy_gids;
    bool is_tproxy;
    const char *tproxy_mark; /* as given; decimal or 0x... */
    const char *tproxy_table;
    uint32_t tproxy_mark_value, tproxy_table_value;

    bool captures_inbound;      /* -b is not empty */
    bool captures_all_inbound;  /* -b '*' */
    struct words inbound_ports; /* otherwise */
    struct words inbound_exclude_ports;
    struct ranges outbound, outbound_exclude;
    struct words outbound_ports, outbound_exclude_ports;
    struct words exclude_interfaces, virtual_interfaces;
    bool captures_all_groups;
    struct words owner_groups; /* the excepted ones if captures_all_groups, else the only ones */
    const char *loopback_v4;   /* CIDR */

    bool drop_invalid, redirect_dns, capture_all_dns, dual_stack;
    bool is_dry_run, skip_apply, run_validation, cleanup_only, force_apply, reconcile;
    const char *force_binary;      /* "", "legacy" or "nft" */
    const char *dry_run_file_path; /* "" for none */
    uint16_t probe_port;
    uint32_t probe_timeout_ms;

    /* Facts of this machine; netfilter_options_detect fills them. */
    bool has_ipv6;
    int host_family; /* AF_INET or AF_INET6, of the address that stands for the pod */
    struct words dns_v4, dns_v6;
};

/* Reads argv[1..] and the environment. *wants_help_r: print netfilter_options_usage and stop. On
 * error the text names the flag or variable. Call netfilter_options_fini in every case. */
int netfilter_options_parse(int argc, char **argv, struct netfilter_options *o, bool *wants_help_r,
                            struct error *err);
/* Finds the pod's address families and, where DNS capture needs them, the name servers. */
int netfilter_options_detect(struct netfilter_options *o, struct error *err);
void netfilter_options_fini(struct netfilter_options *o);
/* The list of flags for --help; mem_free it. */
char *netfilter_options_usage(void);
/* DNS capture is asked for and there is something to capture. */
bool netfilter_options_has_dns(const struct netfilter_options *o);

/* Takes one word more into the list (copied into the arena). */
void words_add(struct arena *arena, struct words *w, struct str word);

#endif
