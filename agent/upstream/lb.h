/* Load balancing inside one cluster, on one worker: priority levels with Envoy's overflow and
 * panic rules, and a policy that picks from the hosts of a level. Owned by the cluster. [worker].
 * Source: envoy.config.cluster.v3.Cluster.LbPolicy, Envoy's load_balancer_base. */
#ifndef UPSTREAM_LB_H
#define UPSTREAM_LB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/cluster.h"

struct lb_context;
struct upstream_host;
struct upstream_cluster;

/* Small fast generator; not for secrets. */
struct lb_random {
    uint64_t state;
};

uint64_t lb_random_next(struct lb_random *r);
/* Uniform in [0, n), n > 0. */
uint64_t lb_random_below(struct lb_random *r, uint64_t n);

/* Earliest deadline first: picks hosts in proportion to their weights. */
struct lb_edf_entry {
    double deadline;
    uint64_t order; /* first in, first out among equals */
    struct upstream_host *host;
};

struct lb_edf {
    struct lb_edf_entry *heap;
    size_t n, cap;
    double now;
    uint64_t order;
};

void lb_edf_add(struct lb_edf *e, struct upstream_host *h, double weight);
/* Takes the next host out; NULL when empty. Add it again with its weight of now. */
struct upstream_host *lb_edf_take(struct lb_edf *e);
void lb_edf_fini(struct lb_edf *e);

/* Hosts of one level that are alike in health. */
struct lb_hosts {
    struct upstream_host **v; /* borrowed from the cluster */
    size_t n, cap;
    bool equal_weights;
    size_t next;       /* rotation */
    struct lb_edf edf; /* unequal weights */
};

struct lb_level {
    struct lb_hosts all, healthy, degraded;
    unsigned healthy_load, degraded_load; /* percent of the cluster's picks */
    bool is_panic;
};

struct lb {
    const struct lb_ops *ops;
    struct lb_level *levels;
    size_t levels_n, levels_cap;
    unsigned choice_count;
    struct lb_random random;
};

struct lb_ops {
    const char *name;
    /* What a host counts in the EDF schedule. */
    double (*weight)(const struct upstream_host *h);
    /* hosts->n > 1 and the weights are equal. */
    struct upstream_host *(*pick)(struct lb *lb, struct lb_hosts *hosts);
    bool ignores_weights;
};

extern const struct lb_ops lb_round_robin_ops, lb_least_request_ops, lb_random_ops;

/* (Re)builds the levels from the hosts and their health as they stand now. */
void lb_update(struct lb *lb, const struct conf_cluster *conf, struct upstream_host **hosts,
               size_t n);
/* NULL: no hosts. *is_panic_r: unhealthy hosts were in the choice. No reference is taken. */
struct upstream_host *lb_pick(struct lb *lb, bool *is_panic_r);
void lb_fini(struct lb *lb);

#endif
