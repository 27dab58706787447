/* What the bootstrap says of statistics: which are kept, their tags, the buckets of histograms.
 * Owned by the bootstrap. [main], but for conf_stats_rejects.
 * Source: envoy.config.metrics.v3.StatsConfig. */
#ifndef CONF_STATS_H
#define CONF_STATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/stat_tags.h"
#include "conf/string_match.h"

enum conf_stats_kept {
    CONF_STATS_ALL,
    CONF_STATS_NONE,
    CONF_STATS_BUT,  /* all but those of the list */
    CONF_STATS_ONLY, /* those of the list */
};

struct conf_stat_buckets {
    struct conf_string_match match; /* of the histogram's whole name */
    double *bounds;                 /* upper ones, rising */
    size_t n;
};

struct conf_stats {
    struct conf_stat_tags tags;
    enum conf_stats_kept kept;
    struct conf_string_match *list;
    size_t list_n;
    struct conf_stat_buckets *buckets;
    size_t buckets_n;
    uint32_t flush_interval_ms; /* default 5000 */
    bool flush_on_admin;        /* an interval ends when statistics are asked for */
    bool has_version;           /* in place of ours */
    uint64_t version;
};

/* For stat_set_rejects; arg is the struct conf_stats. [any] thread. */
bool conf_stats_rejects(struct str name, void *arg);
/* Of the first setting that matches, else Envoy's default ones. */
const struct conf_stat_buckets *conf_stats_buckets(const struct conf_stats *c, struct str name);
/* Frees the expressions; arrays belong to the bootstrap's arena. */
void conf_stats_fini(struct conf_stats *c);

#endif
