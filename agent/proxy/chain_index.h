/* Finds the chains that chain_match.c has to weigh without looking at all of them: by destination
 * port and, where no chain for that port asks for a destination address, by server name. [worker]
 */
#ifndef PROXY_CHAIN_INDEX_H
#define PROXY_CHAIN_INDEX_H

#include "conf/listener.h"

struct chain_index;

/* The chains that are left for the steps from `step` on (of chain_match.c's). */
struct chain_candidates {
    const struct conf_filter_chain **v;
    size_t n;
    unsigned step;
};

struct chain_index *chain_index_create(const struct conf_listener *l);
void chain_index_destroy(struct chain_index **index);
/* server_name: lower case, "" none. Never more than the best branch of each step it stands for. */
struct chain_candidates chain_index_find(const struct chain_index *index, uint16_t port,
                                         const char *server_name);

#endif
