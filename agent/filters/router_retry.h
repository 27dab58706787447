/* Whether and when a request is tried again: decisions only, pure but for the dice. The router
 * carries them out. One per stream, in its arena. [worker]
 * Source: Envoy's RetryStateImpl. */
#ifndef FILTERS_ROUTER_RETRY_H
#define FILTERS_ROUTER_RETRY_H

#include "base/arena.h"
#include "conf/retry.h"
#include "http/headers.h"
#include "upstream/lb.h"
#include "upstream/upstream.h"

enum { RETRY_CODES_MAX = 32 }; /* of a request's own list; what goes beyond is ignored */

struct retry_state {
    const struct conf_retry_policy *policy; /* NULL: the request's headers alone */
    uint32_t on;                            /* CONF_RETRY_x; 0: never */
    uint32_t left;
    uint32_t interval_ms; /* of the next backoff */
    uint16_t codes[RETRY_CODES_MAX];
    unsigned codes_n;
    struct str header_names; /* x-envoy-retriable-header-names */
};

/* Reads the policy and the request's own wishes, and takes those headers away. */
void retry_init(struct retry_state *st, const struct conf_retry_policy *policy,
                struct headers *request, struct arena *a);
bool retry_wants_response(const struct retry_state *st, const struct headers *response);
/* request_started: something of the request went out. */
bool retry_wants_reset(const struct retry_state *st, enum upstream_reset why, bool request_started);

struct retry_delay {
    uint32_t ms;
    bool is_ratelimited;
};
/* How long to wait; response NULL: none came. */
struct retry_delay retry_backoff(struct retry_state *st, const struct headers *response,
                                 uint64_t wall_s, struct lb_random *random);

#endif
