#include "upstream/upstream_private.h"

static void update(struct breaker *b, uint32_t max)
{
    bool is_open = b->n >= max;
    if (is_open == b->is_open)
        return;
    b->is_open = is_open;
    stat_add(b->open_gauge, is_open ? 1 : -1);
}

void breaker_add(struct breaker *b, uint32_t max)
{
    b->n++;
    update(b, max);
}

void breaker_remove(struct breaker *b, uint32_t max)
{
    b->n--;
    update(b, max);
}
