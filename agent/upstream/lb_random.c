/* RANDOM: uniform, whatever the weights (as in Envoy). */
#include "upstream/lb.h"
#include "upstream/upstream_private.h"

static double weight(const struct upstream_host *h)
{
    (void)h;
    return 1;
}

static struct upstream_host *pick(struct lb *lb, struct lb_hosts *hosts)
{
    return hosts->v[lb_random_below(&lb->random, hosts->n)];
}

const struct lb_ops lb_random_ops = {"random", weight, pick, true};
