/* istio-iptables on its own, for the namespace tests: the agent without everything else. */
#include <string.h>

#include "netfilter/netfilter.h"

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "istio-clean-iptables") == 0)
        return netfilter_clean_main(argc - 1, argv + 1);
    if (argc > 1 && strcmp(argv[1], "istio-iptables") == 0)
        return netfilter_main(argc - 1, argv + 1);
    return netfilter_main(argc, argv);
}
