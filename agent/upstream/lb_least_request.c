/* LEAST_REQUEST: the least busy of choice_count random hosts; with unequal weights EDF over
 * weight / (active requests + 1), as Envoy does with active_request_bias 1. "Active" is what this
 * worker knows of. */
#include "upstream/lb.h"
#include "upstream/upstream_private.h"

static double weight(const struct upstream_host *h)
{
    return (double)h->weight / (double)(h->stats.rq_active + 1);
}

static struct upstream_host *pick(struct lb *lb, struct lb_hosts *hosts)
{
    struct upstream_host *best = NULL;
    for (unsigned i = 0; i < lb->choice_count; i++) {
        struct upstream_host *h = hosts->v[lb_random_below(&lb->random, hosts->n)];
        if (!best || h->stats.rq_active < best->stats.rq_active)
            best = h;
    }
    return best;
}

const struct lb_ops lb_least_request_ops = {"least_request", weight, pick, false};
