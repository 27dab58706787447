/* ROUND_ROBIN: plain rotation from a random start; by EDF when the weights differ. */
#include "upstream/lb.h"
#include "upstream/upstream_private.h"

static double weight(const struct upstream_host *h)
{
    return h->weight;
}

static struct upstream_host *pick(struct lb *lb, struct lb_hosts *hosts)
{
    (void)lb;
    if (hosts->next >= hosts->n)
        hosts->next = 0;
    return hosts->v[hosts->next++];
}

const struct lb_ops lb_round_robin_ops = {"round_robin", weight, pick, false};
