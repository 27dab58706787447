/* Checks of the words that end up in firewall rules: only what the kernel or iptables would take,
 * and never a blank, a quote or a newline. [any] thread, no state. */
#ifndef NETFILTER_CHECK_H
#define NETFILTER_CHECK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

typedef bool check_fn(struct str word);

bool check_port(struct str word);      /* "80" or "8000:8100" */
bool check_owner(struct str word);     /* user or group: number, range of numbers, or name */
bool check_interface(struct str word); /* at most 15 bytes; a '+' at the end matches any rest */
/* Decimal, or hexadecimal behind 0x. */
bool check_number(struct str word, uint32_t *value_r);

struct cidr {
    char text[64]; /* lower case, shortest form, host bits kept: "2001:db8::1/32" */
    unsigned prefix_len;
    bool is_v6, is_loopback;
};

/* A prefix length is required. */
bool check_cidr(struct str word, struct cidr *cidr_r);

#endif
