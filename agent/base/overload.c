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
