/* Statistics under Envoy's names. A stat is an id into per-thread arrays that are allocated at
 * first use and summed at scrape, so that writing one costs no lock and no shared cache line.
 * Names are interned: defining a name again gives the same id with one more reference.
 *
 * Owner of an id: whoever defined it, until stat_release. [any] thread may define and release
 * (a mutex inside; config path). stat_add, stat_set, stat_record: [any] thread, wait-free.
 * Reading: [main]. */
#ifndef BASE_STAT_H
#define BASE_STAT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/stat_hist.h"
#include "base/str.h"

enum stat_kind {
    STAT_COUNTER,
    STAT_GAUGE,
    STAT_HISTOGRAM,
    STAT_TEXT,
    STAT_LEVEL, /* a gauge that each thread sets to the same; shown as STAT_GAUGE */
};

/* Sets of kinds. */
#define STAT_SET(kind) (1u << (kind))
enum { STAT_ALL = (1 << (STAT_TEXT + 1)) - 1 };

typedef uint32_t stat_id;

struct stat_value {
    const char *name;
    enum stat_kind kind;
    bool is_used;     /* incremented, set or recorded at least once */
    uint64_t value;   /* counter, gauge; histogram: number of samples */
    const char *text; /* STAT_TEXT only */
    /* STAT_HISTOGRAM only */
    const struct stat_hist *hist;
    const struct stat_hist *interval; /* of the last interval; NULL: no samples */
};

/* Which stats are not kept: asked when one is defined. Those cost no memory and are never shown.
 * [main], while no other thread defines; ones that are there already are shown no longer. rejects
 * NULL: all are kept. It is called on [any] thread. */
void stat_set_rejects(bool (*rejects)(struct str name, void *arg), void *arg);

/* The id of a stat that is rejected, or has no place any more, takes writes like any other. */
stat_id stat_define(enum stat_kind kind, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void stat_release(stat_id id);

void stat_add(stat_id id, int64_t delta); /* counter (delta >= 0) or gauge */
/* Gauge: [main] only, not mixed with stat_add; level: [any]. */
void stat_set(stat_id id, uint64_t value);
void stat_record(stat_id id, uint64_t value);
void stat_set_text(stat_id id, struct str text); /* [main] */

static inline void stat_inc(stat_id id)
{
    stat_add(id, 1);
}

/* Which stats stat_each is to look at, and what for. */
struct stat_visit {
    unsigned kinds; /* STAT_SET, STAT_ALL */
    bool used_only;
    bool (*wants)(struct str name, void *arg); /* NULL: all of them */
    void (*fn)(const struct stat_value *v, void *arg);
    void *arg; /* of both */
};

/* In the order of their names. */
void stat_each(const struct stat_visit *v);
/* Sum of one counter or gauge; 0 when unknown. */
uint64_t stat_read(const char *name);
/* Ends an interval of the histograms; at each stats_flush_interval. */
void stat_end_interval(void);
/* Zeroes counters, and nothing else (POST /reset_counters). */
void stat_reset_counters(void);

#endif
