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

/* ---- retries ---- */

/* A budget is a share of what is under way, but never below a few. */
static uint64_t retries_max(const struct upstream_cluster *c)
{
    const struct conf_cluster *conf = cluster_conf(c);
    if (!conf->has_retry_budget)
        return conf->max_retries;
    uint64_t share =
        (uint64_t)((double)(c->requests.n + c->pending.n) * conf->retry_budget_percent / 100);
    return share > conf->min_retry_concurrency ? share : conf->min_retry_concurrency;
}

static uint32_t gauge_max(const struct upstream_cluster *c)
{
    uint64_t max = retries_max(c);
    return max < UINT32_MAX ? (uint32_t)max : UINT32_MAX;
}

bool upstream_retry_begin(struct upstream_cluster *c)
{
    if (c->retries.n >= retries_max(c)) {
        stat_inc(c->stats.upstream_rq_retry_overflow);
        return false;
    }
    breaker_add(&c->retries, gauge_max(c));
    stat_inc(c->stats.upstream_rq_retry);
    return true;
}

void upstream_retry_end(struct upstream_cluster *c)
{
    breaker_remove(&c->retries, gauge_max(c));
}
