#include "upstream/lb.h"

#include "base/mem.h"
#include "upstream/upstream_private.h"

enum {
    OVERPROVISIONING = 140, /* percent: a level counts as whole down to 71 % healthy hosts */
    PANIC_THRESHOLD = 50,   /* percent: healthy_panic_threshold's default */
};

uint64_t lb_random_next(struct lb_random *r)
{
    uint64_t z = r->state += 0x9e3779b97f4a7c15u; /* splitmix64 */
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

uint64_t lb_random_below(struct lb_random *r, uint64_t n)
{
    return (uint64_t)(((unsigned __int128)lb_random_next(r) * n) >> 64);
}

static void hosts_add(struct lb_hosts *set, struct upstream_host *h)
{
    mem_grow((void **)&set->v, &set->cap, set->n + 1, sizeof(*set->v));
    if (set->n && set->v[0]->weight != h->weight)
        set->equal_weights = false;
    set->v[set->n++] = h;
}

static void hosts_reset(struct lb_hosts *set)
{
    set->n = 0;
    set->equal_weights = true;
    lb_edf_fini(&set->edf);
}

static void hosts_ready(struct lb *lb, struct lb_hosts *set)
{
    if (!set->n)
        return;
    set->next = lb_random_below(&lb->random, set->n); /* workers shall not start in step */
    if (set->equal_weights || lb->ops->ignores_weights)
        return;
    for (size_t i = 0; i < set->n; i++)
        lb_edf_add(&set->edf, set->v[(set->next + i) % set->n], lb->ops->weight(set->v[i]));
    size_t skip = lb_random_below(&lb->random, set->n);
    while (skip-- > 0) {
        struct upstream_host *h = lb_edf_take(&set->edf);
        lb_edf_add(&set->edf, h, lb->ops->weight(h));
    }
}

static void hosts_fini(struct lb_hosts *set)
{
    mem_free(set->v);
    lb_edf_fini(&set->edf);
}

static unsigned min_u(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* Percent of a level that may take traffic, overprovisioning included. Draining hosts do not
 * count in its size. */
static unsigned availability(const struct lb_level *l, size_t usable)
{
    size_t total = 0;
    for (size_t i = 0; i < l->all.n; i++)
        total += l->all.v[i]->health != CONF_DRAINING;
    return total ? min_u(100, (unsigned)(OVERPROVISIONING * usable / total)) : 0;
}

/* Gives each level its share of `left`, in order of priority. */
static unsigned share(struct lb *lb, unsigned left, unsigned sum, bool degraded)
{
    for (size_t i = 0; i < lb->levels_n; i++) {
        struct lb_level *l = &lb->levels[i];
        unsigned part = availability(l, degraded ? l->degraded.n : l->healthy.n) * 100 / sum;
        part = min_u(part, left);
        left -= part;
        *(degraded ? &l->degraded_load : &l->healthy_load) = part;
    }
    return left;
}

/* Every level is in panic: load goes by the number of hosts. */
static void share_by_count(struct lb *lb)
{
    size_t total = 0;
    unsigned left = 100;
    struct lb_level *last = NULL;
    for (size_t i = 0; i < lb->levels_n; i++)
        total += lb->levels[i].all.n;
    for (size_t i = 0; i < lb->levels_n; i++) {
        struct lb_level *l = &lb->levels[i];
        l->is_panic = true;
        l->degraded_load = 0;
        l->healthy_load = total ? (unsigned)(l->all.n * 100 / total) : 0;
        left -= l->healthy_load;
        if (l->all.n)
            last = l;
    }
    if (last)
        last->healthy_load += left;
}

static void update_loads(struct lb *lb)
{
    unsigned sum = 0;
    for (size_t i = 0; i < lb->levels_n; i++) {
        struct lb_level *l = &lb->levels[i];
        sum += availability(l, l->healthy.n) + availability(l, l->degraded.n);
    }
    sum = min_u(sum, 100);
    if (!sum) {
        share_by_count(lb);
        return;
    }
    unsigned left = share(lb, share(lb, 100, sum, false), sum, true);
    for (size_t i = 0; i < lb->levels_n; i++) {
        struct lb_level *l = &lb->levels[i];
        l->is_panic = sum < 100 && l->all.n &&
                      (l->healthy.n + l->degraded.n) * 100 / l->all.n < PANIC_THRESHOLD;
        if (left && (l->healthy_load || l->degraded_load)) { /* what rounding lost */
            *(l->healthy_load ? &l->healthy_load : &l->degraded_load) += left;
            left = 0;
        }
    }
}

static struct lb_level *get_level(struct lb *lb, uint32_t priority)
{
    size_t old = lb->levels_cap;
    mem_grow((void **)&lb->levels, &lb->levels_cap, priority + 1, sizeof(*lb->levels));
    if (lb->levels_cap > old)
        memset(lb->levels + old, 0, (lb->levels_cap - old) * sizeof(*lb->levels));
    while (lb->levels_n <= priority) {
        struct lb_level *l = &lb->levels[lb->levels_n++];
        hosts_reset(&l->all);
        hosts_reset(&l->healthy);
        hosts_reset(&l->degraded);
    }
    return &lb->levels[priority];
}

static const struct lb_ops *find_ops(enum conf_lb_policy policy)
{
    switch (policy) {
    case CONF_LB_LEAST_REQUEST:
        return &lb_least_request_ops;
    case CONF_LB_RANDOM:
        return &lb_random_ops;
    case CONF_LB_ROUND_ROBIN:
    case CONF_LB_CLUSTER_PROVIDED:
        break;
    }
    return &lb_round_robin_ops;
}

void lb_update(struct lb *lb, const struct conf_cluster *conf, struct upstream_host **hosts,
               size_t n)
{
    lb->ops = find_ops(conf->lb_policy);
    lb->choice_count = conf->choice_count > 1 ? conf->choice_count : 2;
    lb->levels_n = 0;
    for (size_t i = 0; i < n; i++) {
        struct upstream_host *h = hosts[i];
        struct lb_level *l = get_level(lb, h->priority);
        hosts_add(&l->all, h);
        if (h->health == CONF_HEALTHY)
            hosts_add(&l->healthy, h);
        else if (h->health == CONF_DEGRADED)
            hosts_add(&l->degraded, h);
    }
    for (size_t i = 0; i < lb->levels_n; i++) {
        hosts_ready(lb, &lb->levels[i].all);
        hosts_ready(lb, &lb->levels[i].healthy);
        hosts_ready(lb, &lb->levels[i].degraded);
    }
    update_loads(lb);
}

static struct lb_hosts *choose_hosts(struct lb *lb, bool *is_panic_r)
{
    unsigned dice = lb->levels_n > 1 || lb->levels[0].healthy_load < 100
                        ? (unsigned)lb_random_below(&lb->random, 100)
                        : 0;
    unsigned sum = 0;
    for (int degraded = 0; degraded < 2; degraded++) {
        for (size_t i = 0; i < lb->levels_n; i++) {
            struct lb_level *l = &lb->levels[i];
            sum += degraded ? l->degraded_load : l->healthy_load;
            if (dice >= sum)
                continue;
            *is_panic_r = l->is_panic;
            if (l->is_panic)
                return &l->all;
            return degraded ? &l->degraded : &l->healthy;
        }
    }
    return NULL;
}

struct upstream_host *lb_pick(struct lb *lb, bool *is_panic_r)
{
    *is_panic_r = false;
    struct lb_hosts *set = lb->levels_n ? choose_hosts(lb, is_panic_r) : NULL;
    if (!set || !set->n)
        return NULL;
    if (set->n == 1)
        return set->v[0];
    if (set->equal_weights || lb->ops->ignores_weights)
        return lb->ops->pick(lb, set);
    struct upstream_host *h = lb_edf_take(&set->edf);
    lb_edf_add(&set->edf, h, lb->ops->weight(h));
    return h;
}

void lb_fini(struct lb *lb)
{
    for (size_t i = 0; i < lb->levels_cap; i++) {
        hosts_fini(&lb->levels[i].all);
        hosts_fini(&lb->levels[i].healthy);
        hosts_fini(&lb->levels[i].degraded);
    }
    mem_free(lb->levels);
    *lb = (struct lb){0};
}
