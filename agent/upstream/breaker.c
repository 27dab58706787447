/* Circuit breakers: how much of each kind a cluster may have at once, by priority. They count what
 * this worker has; Envoy counts across workers. */
#include "upstream/upstream_private.h"

static const struct {
    const char *open, *remaining;
} names[BREAKER_KINDS] = {
    [BREAKER_CONNECTIONS] = {"cx_open", "remaining_cx"},
    [BREAKER_PENDING] = {"rq_pending_open", "remaining_pending"},
    [BREAKER_REQUESTS] = {"rq_open", "remaining_rq"},
    [BREAKER_RETRIES] = {"rq_retry_open", "remaining_retries"},
};

/* A budget is a share of what is under way, but never below a few. */
static uint64_t retries_max(const struct upstream_cluster *c, unsigned priority)
{
    const struct conf_limits *l = &cluster_conf(c)->limits[priority];
    const struct breaker *b = c->breakers[priority];
    if (!l->has_retry_budget)
        return l->max_retries;
    uint64_t share = (uint64_t)((double)(b[BREAKER_REQUESTS].n + b[BREAKER_PENDING].n) *
                                l->retry_budget_percent / 100);
    return share > l->min_retry_concurrency ? share : l->min_retry_concurrency;
}

static uint64_t find_max(const struct upstream_cluster *c, unsigned priority,
                         enum breaker_kind kind)
{
    const struct conf_limits *l = &cluster_conf(c)->limits[priority];
    switch (kind) {
    case BREAKER_CONNECTIONS:
        return l->max_connections;
    case BREAKER_PENDING:
        return l->max_pending_requests;
    case BREAKER_REQUESTS:
        return l->max_requests;
    default:
        return retries_max(c, priority);
    }
}

bool breaker_is_open(const struct upstream_cluster *c, unsigned priority, enum breaker_kind kind)
{
    return c->breakers[priority][kind].n >= find_max(c, priority, kind);
}

static void set_remaining(struct breaker *b, uint64_t remaining)
{
    if (b->remaining_gauge && remaining != b->remaining)
        stat_add(b->remaining_gauge, (int64_t)remaining - (int64_t)b->remaining);
    b->remaining = remaining;
}

static void update(struct upstream_cluster *c, unsigned priority, enum breaker_kind kind)
{
    struct breaker *b = &c->breakers[priority][kind];
    uint64_t max = find_max(c, priority, kind);
    bool is_open = b->n >= max;
    set_remaining(b, is_open ? 0 : max - b->n);
    if (is_open == b->is_open)
        return;
    b->is_open = is_open;
    stat_add(b->open_gauge, is_open ? 1 : -1);
}

void breaker_add(struct upstream_cluster *c, unsigned priority, enum breaker_kind kind)
{
    c->breakers[priority][kind].n++;
    update(c, priority, kind);
}

void breaker_remove(struct upstream_cluster *c, unsigned priority, enum breaker_kind kind)
{
    c->breakers[priority][kind].n--;
    update(c, priority, kind);
}

void breakers_init(struct upstream_cluster *c)
{
    static const char *const priorities[] = {"default", "high"};
    for (unsigned p = 0; p < CONF_PRIORITIES; p++)
        for (int k = 0; k < BREAKER_KINDS; k++) {
            struct breaker *b = &c->breakers[p][k];
            b->open_gauge = stat_define(STAT_GAUGE, "%scircuit_breakers.%s.%s", c->stats.prefix,
                                        priorities[p], names[k].open);
            if (cluster_conf(c)->limits[p].track_remaining)
                b->remaining_gauge =
                    stat_define(STAT_GAUGE, "%scircuit_breakers.%s.%s", c->stats.prefix,
                                priorities[p], names[k].remaining);
            set_remaining(b, find_max(c, p, (enum breaker_kind)k));
        }
}

void breakers_fini(struct upstream_cluster *c)
{
    for (unsigned p = 0; p < CONF_PRIORITIES; p++)
        for (int k = 0; k < BREAKER_KINDS; k++) {
            struct breaker *b = &c->breakers[p][k];
            if (b->is_open) /* with a limit of 0 */
                stat_add(b->open_gauge, -1);
            set_remaining(b, 0);
            stat_release(b->open_gauge);
            stat_release(b->remaining_gauge);
        }
}

/* ---- retries ---- */

bool upstream_retry_begin(struct upstream_cluster *c, enum conf_priority priority)
{
    if (breaker_is_open(c, priority, BREAKER_RETRIES)) {
        stat_inc(c->stats.upstream_rq_retry_overflow);
        return false;
    }
    breaker_add(c, priority, BREAKER_RETRIES);
    stat_inc(c->stats.upstream_rq_retry);
    return true;
}

void upstream_retry_end(struct upstream_cluster *c, enum conf_priority priority)
{
    breaker_remove(c, priority, BREAKER_RETRIES);
}
