#include "base/overload.h"

uint32_t overload_levels[OVERLOAD_ACTIONS];

bool overload_strikes_partly(uint32_t level)
{
    static __thread uint64_t state = 0x9e3779b97f4a7c15u;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state % OVERLOAD_FULL < level;
}

void overload_set(enum overload_action a, uint32_t level)
{
    __atomic_store_n(&overload_levels[a], level, __ATOMIC_RELAXED);
}

static uint64_t connections_max;
static int64_t connections;

void overload_set_connections_max(uint64_t max)
{
    connections_max = max;
}

bool overload_is_full_of_connections(void)
{
    int64_t n = __atomic_load_n(&connections, __ATOMIC_RELAXED);
    return connections_max && n > 0 && (uint64_t)n >= connections_max;
}

void overload_count_connection(int change)
{
    if (connections_max)
        __atomic_add_fetch(&connections, change, __ATOMIC_RELAXED);
}
