/* A tree over the rules of a listener's filter chains, so that a connection is not held against
 * each of them. A branch divides the chains by one step of the match; where few are left, or the
 * steps that remain divide none, chain_match.c weighs them one by one. Steps that divide nothing
 * have no branch. [worker] */
#ifndef PROXY_CHAIN_INDEX_H
#define PROXY_CHAIN_INDEX_H

#include "conf/listener.h"

/* In the order of the match. */
enum chain_step {
    STEP_DESTINATION_PORT,
    STEP_DESTINATION_IP,
    STEP_SERVER_NAME,
    STEP_TRANSPORT_PROTOCOL,
    STEP_APPLICATION_PROTOCOLS,
    STEP_DIRECT_SOURCE_IP,
    STEP_SOURCE_TYPE,
    STEP_SOURCE_IP,
    STEP_SOURCE_PORT,
    STEP_COUNT
};

/* A connection, as the match sees it. */
struct chain_match_input {
    const struct addr *local, *remote;        /* local: restored destination */
    const struct addr *direct_remote;         /* the socket's own peer */
    const char *server_name;                  /* lower case; "" none */
    const char *transport_protocol;           /* "raw_buffer" or "tls" */
    const char *const *application_protocols; /* as the client ordered them */
    size_t application_protocols_n;
};

struct chain_index;

/* The chains that are left for the steps from `step` on. */
struct chain_candidates {
    const struct conf_filter_chain **v;
    size_t n;
    enum chain_step step;
};

/* scan_max: as many chains are not divided further; SIZE_MAX: no tree at all. */
struct chain_index *chain_index_create(const struct conf_listener *l, size_t scan_max);
void chain_index_destroy(struct chain_index **index);
/* Never more than the best branch of each step it stands for. */
struct chain_candidates chain_index_find(const struct chain_index *index,
                                         const struct chain_match_input *in);
/* CONF_SOURCE_SAME_IP_OR_LOOPBACK or CONF_SOURCE_EXTERNAL */
int chain_source_type(const struct chain_match_input *in);

#endif
