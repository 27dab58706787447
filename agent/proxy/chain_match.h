/* Filter chain matching. Source: Envoy's FilterChainManagerImpl: destination port, destination
 * IP, server name, transport protocol, application protocols, source type, source IP, source
 * port; at each step the most specific existing branch is taken and there is no backtracking. */
#ifndef PROXY_CHAIN_MATCH_H
#define PROXY_CHAIN_MATCH_H

#include "conf/listener.h"
#include "net/addr.h"
#include "proxy/chain_index.h"

struct chain_match_input {
    const struct addr *local, *remote;        /* local: restored destination */
    const char *server_name;                  /* lower case; "" none */
    const char *transport_protocol;           /* "raw_buffer" or "tls" */
    const char *const *application_protocols; /* as the client ordered them */
    size_t application_protocols_n;
};

/* index: l's. NULL: neither a chain nor a default chain. [any] */
const struct conf_filter_chain *chain_match(const struct conf_listener *l,
                                            const struct chain_index *index,
                                            const struct chain_match_input *in);
/* The same by looking at every chain: what the tests hold the index to. */
const struct conf_filter_chain *chain_match_scan(const struct conf_listener *l,
                                                 const struct chain_match_input *in);

#endif
