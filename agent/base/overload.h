/* What the process does while a resource runs out. Main sets the levels, workers look at them: a
 * relaxed load each. [any] thread.
 * Source: Envoy's OverloadActionNames. */
#ifndef BASE_OVERLOAD_H
#define BASE_OVERLOAD_H

#include <stdbool.h>
#include <stdint.h>

#define OVERLOAD_ACTION_MAP(X)                                                        \
    X(DISABLE_HTTP_KEEPALIVE, "disable_http_keepalive")                               \
    X(STOP_ACCEPTING_REQUESTS, "stop_accepting_requests")                             \
    X(STOP_ACCEPTING_CONNECTIONS, "stop_accepting_connections")                       \
    X(REJECT_INCOMING_CONNECTIONS, "reject_incoming_connections")                     \
    X(SHRINK_HEAP, "shrink_heap")                                                     \
    X(REDUCE_TIMEOUTS, "reduce_timeouts")                   /* accepted, no effect */ \
    X(RESET_HIGH_MEMORY_STREAM, "reset_high_memory_stream") /* accepted, no effect */

enum overload_action {
#define X(name, text) OVERLOAD_##name,
    OVERLOAD_ACTION_MAP(X)
#undef X
        OVERLOAD_ACTIONS
};

enum { OVERLOAD_FULL = 1000 };

extern uint32_t overload_levels[OVERLOAD_ACTIONS]; /* private; 0 to OVERLOAD_FULL */

static inline uint32_t overload_level(enum overload_action a)
{
    return __atomic_load_n(&overload_levels[a], __ATOMIC_RELAXED);
}

static inline bool overload_is_full(enum overload_action a)
{
    return overload_level(a) == OVERLOAD_FULL;
}

/* Does a partial level strike this time? */
bool overload_strikes_partly(uint32_t level);

static inline bool overload_strikes(enum overload_action a)
{
    uint32_t level = overload_level(a);
    return level && (level == OVERLOAD_FULL || overload_strikes_partly(level));
}

/* ---- downstream connections of the whole process ---- */
void overload_set_connections_max(uint64_t max); /* [main], before threads; 0: no limit */
bool overload_is_full_of_connections(void);
void overload_count_connection(int change);

void overload_set(enum overload_action a, uint32_t level); /* [main] */

#endif
