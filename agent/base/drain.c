#include "base/drain.h"

#include "base/overload.h"

static struct {
    uint64_t window_us;
    bool is_immediate;
    uint64_t all_since, inbound_since; /* 0: not */
    bool is_health_failed;
} state;

void drain_init(uint64_t window_us, bool is_immediate)
{
    state.window_us = window_us;
    state.is_immediate = is_immediate;
}

bool drain_begin(bool inbound_only, uint64_t now_us)
{
    uint64_t *since = inbound_only ? &state.inbound_since : &state.all_since;
    if (*since)
        return false;
    __atomic_store_n(since, now_us, __ATOMIC_RELAXED);
    return true;
}

void drain_set_health_failed(bool is_failed)
{
    __atomic_store_n(&state.is_health_failed, is_failed, __ATOMIC_RELAXED);
}

bool drain_is_due(uint64_t start_us, uint64_t now_us)
{
    uint64_t elapsed = now_us > start_us ? now_us - start_us : 0;
    if (state.is_immediate || elapsed >= state.window_us)
        return true;
    return overload_strikes_partly((uint32_t)(elapsed * OVERLOAD_FULL / state.window_us));
}

bool drain_closes(bool is_inbound, bool by_health, uint64_t now_us)
{
    uint64_t all = __atomic_load_n(&state.all_since, __ATOMIC_RELAXED);
    uint64_t inbound = __atomic_load_n(&state.inbound_since, __ATOMIC_RELAXED);
    if (by_health && __atomic_load_n(&state.is_health_failed, __ATOMIC_RELAXED))
        return true;
    return (all && drain_is_due(all, now_us)) ||
           (is_inbound && inbound && drain_is_due(inbound, now_us));
}
