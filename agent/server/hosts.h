/* Upstream hosts with their statistics, as all workers together see them: for /clusters. [main]
 * Counters are plain fields of each worker, so they are fetched by message. */
#ifndef SERVER_HOSTS_H
#define SERVER_HOSTS_H

#include "base/hash.h"
#include "upstream/upstream.h"

struct server;

struct host {
    struct addr addr;
    const char *hostname;
    enum conf_health health;
    uint32_t weight, priority;
    const char *region, *zone, *sub_zone;
    struct upstream_host_stats stats;
};

/* Hosts of one cluster: those that the configuration names, and those that workers found
 * (ORIGINAL_DST). */
struct host_list {
    struct host *v;
    size_t n, cap;
};

struct hosts {
    struct hash by_cluster; /* name -> struct host_list; one per cluster of the snapshot */
    struct snapshot *snapshot;
};

/* Asks the workers; done runs later, from the loop, and hosts are valid during it. */
void hosts_gather(struct server *s, void (*done)(const struct hosts *h, void *arg), void *arg);

#endif
