/* The commands istio-iptables and istio-clean-iptables: they set up, check or remove the rules
 * that lead a pod's traffic to the sidecar. [main] thread; they end the process' work and use
 * nothing but agent/base. */
#ifndef NETFILTER_NETFILTER_H
#define NETFILTER_NETFILTER_H

/* Exit statuses. */
enum { NETFILTER_OK = 0, NETFILTER_FAILED = 1, NETFILTER_NOT_VALID = 126 };

/* argv[0] is the command's name, flags follow. Returns the exit status. */
int netfilter_main(int argc, char **argv);
/* The same as netfilter_main with --cleanup-only. */
int netfilter_clean_main(int argc, char **argv);

#endif
