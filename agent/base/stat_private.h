/* What stat.c (defining, writing) and stat_read.c (reading) share. Inside base/ only.
 * Everything here but the cells is guarded by stat_mutex. */
#ifndef BASE_STAT_PRIVATE_H
#define BASE_STAT_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/hash.h"
#include "base/stat.h"

/* Ids are dealt in chunks of 256; a thread allocates a chunk of cells when it first touches one
 * of its ids. A histogram takes cells for count, sum and the addresses of its blocks of bins. */
enum {
    STAT_CHUNK = 256,
    STAT_CHUNKS_MAX = 8192,
    STAT_HISTOGRAM_CELLS = 2 + STAT_HIST_BLOCKS,
};

/* Ids that lead to no entry: of a full table, and of all that are rejected. */
enum { STAT_NONE = 0, STAT_REJECTED = 1, STAT_FIRST = 2 };

struct stat_chunk {
    _Atomic uint64_t cell[STAT_CHUNK];
    /* Bits of cells that are 0 and were written: others are used when they are not 0. */
    _Atomic uint64_t zero_used[STAT_CHUNK / 64];
};

struct stat_shard {
    struct stat_shard *next;
    _Atomic(struct stat_chunk *) chunk[STAT_CHUNKS_MAX];
};

/* There are hundreds of thousands: it fits into 40 bytes. */
struct stat_entry {
    const char *name; /* the key in stat_by_name */
    char *text;
    struct stat_interval *interval; /* histograms that were recorded */
    uint32_t refs;
    uint32_t at;  /* histograms: in stat_histograms */
    uint8_t kind; /* enum stat_kind */
    bool is_rejected;
    bool is_ordered; /* stat_read.c has its id in place */
    bool was_used;   /* before the last reset */
};

struct stat_interval {
    uint64_t count;            /* at its begin, as the cell had it */
    struct stat_packed before; /* likewise */
    struct stat_packed last;   /* what the one before it brought */
};

extern pthread_mutex_t stat_mutex;
extern struct hash stat_by_name; /* name -> id */
extern struct stat_entry *stat_entries[STAT_CHUNKS_MAX * STAT_CHUNK];
extern struct stat_shard *stat_shards;
extern uint64_t stat_changes; /* of stat_by_name */
extern stat_id *stat_histograms;
extern uint32_t stat_histograms_n;

static inline struct stat_chunk *stat_chunk_of(struct stat_shard *s, stat_id id)
{
    return atomic_load_explicit(&s->chunk[id / STAT_CHUNK], memory_order_acquire);
}

/* The bins of a thread's histogram, as its cell says; their memory stays with the id. */
static inline _Atomic uint64_t *stat_block_of(_Atomic uint64_t *cell)
{
    return (_Atomic uint64_t *)(uintptr_t)atomic_load_explicit(cell, memory_order_acquire);
}

/* Zeroes the cells of an id on all threads. */
void stat_zero(stat_id id, enum stat_kind kind);
void stat_drop_interval(struct stat_entry *e);

#endif
