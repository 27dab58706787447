/* Filter chain matching. Source: Envoy's FilterChainManagerImpl: destination port, destination
 * IP, server name, transport protocol, application protocols, direct source IP, source type,
 * source IP, source port; at each step the most specific existing branch is taken and there is no
 * backtracking. */
#ifndef PROXY_CHAIN_MATCH_H
#define PROXY_CHAIN_MATCH_H

#include "conf/listener.h"
#include "proxy/chain_index.h"

/* index: l's. NULL: neither a chain nor a default chain. [any] */
const struct conf_filter_chain *chain_match(const struct conf_listener *l,
                                            const struct chain_index *index,
                                            const struct chain_match_input *in);

#endif
