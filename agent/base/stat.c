#include "base/stat.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/mem.h"

/* Ids are dealt in chunks of 256; a thread allocates a chunk of cells when it first touches one
 * of its ids. A histogram takes cells for count, sum and the addresses of its blocks of bins. */
enum { CHUNK = 256, CHUNKS_MAX = 8192, HISTOGRAM_CELLS = 2 + STAT_HIST_BLOCKS };

struct chunk {
    _Atomic uint64_t cell[CHUNK];
};

struct shard {
    struct shard *next;
    _Atomic(struct chunk *) chunk[CHUNKS_MAX];
};

struct stat_entry {
    char *name, *text;
    enum stat_kind kind;
    uint32_t cells;
    unsigned refs;
    struct stat_interval *interval; /* histograms that were recorded */
};

struct stat_interval {
    struct stat_hist before; /* at its begin */
    double values[STAT_QUANTILES];
    bool has_values;
};

const double stat_quantiles[STAT_QUANTILES] = {0,    0.25, 0.5,   0.75,  0.9,
                                               0.95, 0.99, 0.995, 0.999, 1};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct hash by_name;
static struct stat_entry *entries[CHUNKS_MAX * CHUNK];
static uint32_t next_id = 1;
static stat_id *free_ids, *free_histograms;
static size_t free_n, free_cap, free_hist_n, free_hist_cap;
static struct shard *shards;
static __thread struct shard *own;

static struct shard *own_shard(void)
{
    if (!own) {
        own = mem_zalloc(sizeof(*own));
        pthread_mutex_lock(&mutex);
        own->next = shards;
        shards = own;
        pthread_mutex_unlock(&mutex);
    }
    return own;
}

static _Atomic uint64_t *own_cell(stat_id id)
{
    struct shard *s = own ? own : own_shard();
    struct chunk *c = atomic_load_explicit(&s->chunk[id / CHUNK], memory_order_relaxed);
    if (__builtin_expect(!c, 0)) {
        c = mem_zalloc(sizeof(*c));
        atomic_store_explicit(&s->chunk[id / CHUNK], c, memory_order_release);
    }
    return &c->cell[id % CHUNK];
}

/* Only the owning thread writes, so a plain load and store is enough. */
static void cell_add(_Atomic uint64_t *cell, uint64_t delta)
{
    uint64_t v = atomic_load_explicit(cell, memory_order_relaxed);
    atomic_store_explicit(cell, v + delta, memory_order_relaxed);
}

static stat_id take_id(uint32_t cells)
{
    if (cells == 1 && free_n)
        return free_ids[--free_n];
    if (cells > 1 && free_hist_n)
        return free_histograms[--free_hist_n];
    if (next_id % CHUNK + cells > CHUNK)
        next_id = (next_id / CHUNK + 1) * CHUNK; /* a histogram stays in one chunk */
    if (next_id + cells >= CHUNKS_MAX * CHUNK)
        return 0; /* the table is full: id 0 is counted and never shown */
    stat_id id = next_id;
    next_id += cells;
    return id;
}

stat_id stat_define(enum stat_kind kind, const char *fmt, ...)
{
    struct sbuf name = {0};
    va_list ap;
    va_start(ap, fmt);
    sbuf_vprintf(&name, fmt, ap);
    va_end(ap);

    pthread_mutex_lock(&mutex);
    stat_id id = (stat_id)(uintptr_t)hash_find(&by_name, (struct str){name.p, name.n});
    if (id) {
        entries[id]->refs++;
    } else if ((id = take_id(kind == STAT_HISTOGRAM ? HISTOGRAM_CELLS : 1))) {
        struct stat_entry *e = MEM_NEW(struct stat_entry);
        e->name = mem_strdup(name.p);
        e->kind = kind;
        e->refs = 1;
        e->cells = kind == STAT_HISTOGRAM ? HISTOGRAM_CELLS : 1;
        entries[id] = e;
        hash_set(&by_name, (struct str){name.p, name.n}, (void *)(uintptr_t)id);
    }
    pthread_mutex_unlock(&mutex);
    sbuf_fini(&name);
    return id;
}

/* The bins of a thread's histogram, as its cell says; their memory stays with the id. */
static _Atomic uint64_t *block_of(_Atomic uint64_t *cell)
{
    return (_Atomic uint64_t *)(uintptr_t)atomic_load_explicit(cell, memory_order_acquire);
}

static void zero_blocks(_Atomic uint64_t *cell)
{
    for (unsigned b = 0; b < STAT_HIST_BLOCKS; b++) {
        _Atomic uint64_t *bins = block_of(cell + b);
        for (unsigned i = 0; bins && i < STAT_HIST_BLOCK_BINS; i++)
            atomic_store_explicit(&bins[i], 0, memory_order_relaxed);
    }
}

static void zero_cells(stat_id id, uint32_t n)
{
    for (struct shard *s = shards; s; s = s->next) {
        struct chunk *c = atomic_load_explicit(&s->chunk[id / CHUNK], memory_order_acquire);
        if (!c)
            continue;
        _Atomic uint64_t *cell = &c->cell[id % CHUNK];
        atomic_store_explicit(cell, 0, memory_order_relaxed);
        if (n == 1)
            continue;
        atomic_store_explicit(cell + 1, 0, memory_order_relaxed);
        zero_blocks(cell + 2);
    }
}

static void drop_interval(struct stat_entry *e)
{
    if (e->interval)
        stat_hist_fini(&e->interval->before);
    mem_free(e->interval);
    e->interval = NULL;
}

void stat_release(stat_id id)
{
    if (!id)
        return;
    pthread_mutex_lock(&mutex);
    struct stat_entry *e = entries[id];
    if (--e->refs == 0) {
        hash_remove(&by_name, str_of(e->name));
        zero_cells(id, e->cells);
        entries[id] = NULL;
        bool is_hist = e->cells > 1;
        stat_id **ids = is_hist ? &free_histograms : &free_ids;
        size_t *n = is_hist ? &free_hist_n : &free_n;
        mem_grow((void **)ids, is_hist ? &free_hist_cap : &free_cap, *n + 1, sizeof(stat_id));
        (*ids)[(*n)++] = id;
        drop_interval(e);
        mem_free(e->name);
        mem_free(e->text);
        mem_free(e);
    }
    pthread_mutex_unlock(&mutex);
}

void stat_add(stat_id id, int64_t delta)
{
    cell_add(own_cell(id), (uint64_t)delta);
}

void stat_set(stat_id id, uint64_t value)
{
    atomic_store_explicit(own_cell(id), value, memory_order_relaxed);
}

static _Atomic uint64_t *make_block(_Atomic uint64_t *cell)
{
    uint64_t *bins = mem_zalloc(STAT_HIST_BLOCK_BINS * sizeof(*bins));
    atomic_store_explicit(cell, (uint64_t)(uintptr_t)bins, memory_order_release);
    return (_Atomic uint64_t *)bins;
}

void stat_record(stat_id id, uint64_t value)
{
    unsigned block, bin;
    if (!id)
        return;
    _Atomic uint64_t *cell = own_cell(id);
    stat_hist_place(value, &block, &bin);
    _Atomic uint64_t *bins = block_of(cell + 2 + block);
    if (!bins)
        bins = make_block(cell + 2 + block);
    cell_add(cell, 1);
    cell_add(cell + 1, value);
    cell_add(&bins[bin], 1);
}

void stat_set_text(stat_id id, struct str text)
{
    if (!id)
        return;
    pthread_mutex_lock(&mutex);
    mem_free(entries[id]->text);
    entries[id]->text = mem_strndup(text.p, text.n);
    pthread_mutex_unlock(&mutex);
}

static uint64_t sum_cell(stat_id id)
{
    uint64_t sum = 0;
    for (struct shard *s = shards; s; s = s->next) {
        struct chunk *c = atomic_load_explicit(&s->chunk[id / CHUNK], memory_order_acquire);
        if (c)
            sum += atomic_load_explicit(&c->cell[id % CHUNK], memory_order_relaxed);
    }
    return sum;
}

static bool is_touched(stat_id id)
{
    for (struct shard *s = shards; s; s = s->next) {
        struct chunk *c = atomic_load_explicit(&s->chunk[id / CHUNK], memory_order_acquire);
        if (c && atomic_load_explicit(&c->cell[id % CHUNK], memory_order_relaxed))
            return true;
    }
    return false;
}

/* All threads' bins together; the count is theirs, so that quantiles fit. */
static void merge(stat_id id, struct stat_hist *h)
{
    *h = (struct stat_hist){.sum = (double)sum_cell(id + 1)};
    for (struct shard *s = shards; s; s = s->next) {
        struct chunk *c = atomic_load_explicit(&s->chunk[id / CHUNK], memory_order_acquire);
        for (unsigned b = 0; c && b < STAT_HIST_BLOCKS; b++) {
            _Atomic uint64_t *bins = block_of(&c->cell[id % CHUNK + 2 + b]);
            for (unsigned i = 0; bins && i < STAT_HIST_BLOCK_BINS; i++) {
                uint64_t n = atomic_load_explicit(&bins[i], memory_order_relaxed);
                stat_hist_add(h, b, i, n);
                h->count += n;
            }
        }
    }
}

/* hist is the caller's to release. */
static void fill_value(stat_id id, const struct stat_entry *e, struct stat_value *v,
                       struct stat_hist *hist)
{
    *v = (struct stat_value){.name = e->name, .kind = e->kind, .text = e->text};
    *hist = (struct stat_hist){0};
    v->is_used = is_touched(id) || e->text;
    if (e->kind != STAT_HISTOGRAM) {
        v->value = sum_cell(id);
        return;
    }
    merge(id, hist);
    v->value = hist->count;
    v->hist = hist;
    v->interval = e->interval && e->interval->has_values ? e->interval->values : NULL;
}

static void end_interval(stat_id id, struct stat_entry *e)
{
    struct stat_hist now, change;
    if (!is_touched(id) && !e->interval)
        return;
    if (!e->interval)
        e->interval = MEM_NEW(struct stat_interval);
    struct stat_interval *i = e->interval;
    merge(id, &now);
    stat_hist_difference(&now, &i->before, &change);
    i->has_values = change.count > 0;
    for (size_t q = 0; i->has_values && q < STAT_QUANTILES; q++)
        i->values[q] = stat_hist_quantile(&change, stat_quantiles[q]);
    stat_hist_fini(&change);
    stat_hist_fini(&i->before);
    i->before = now;
}

void stat_end_interval(void)
{
    pthread_mutex_lock(&mutex);
    size_t it = 0;
    struct hash_entry *h;
    while ((h = hash_next(&by_name, &it))) {
        stat_id id = (stat_id)(uintptr_t)h->value;
        if (entries[id]->kind == STAT_HISTOGRAM)
            end_interval(id, entries[id]);
    }
    pthread_mutex_unlock(&mutex);
}

static int by_entry_name(const void *a, const void *b)
{
    const stat_id *x = a, *y = b;
    return strcmp(entries[*x]->name, entries[*y]->name);
}

void stat_each(void (*fn)(const struct stat_value *v, void *arg), void *arg)
{
    pthread_mutex_lock(&mutex);
    stat_id *ids = mem_alloc(sizeof(*ids) * (by_name.used + 1));
    size_t n = 0, it = 0;
    struct hash_entry *h;
    while ((h = hash_next(&by_name, &it)))
        ids[n++] = (stat_id)(uintptr_t)h->value;
    qsort(ids, n, sizeof(*ids), by_entry_name);
    for (size_t i = 0; i < n; i++) {
        struct stat_value v;
        struct stat_hist hist;
        fill_value(ids[i], entries[ids[i]], &v, &hist);
        fn(&v, arg);
        stat_hist_fini(&hist);
    }
    mem_free(ids);
    pthread_mutex_unlock(&mutex);
}

uint64_t stat_read(const char *name)
{
    pthread_mutex_lock(&mutex);
    stat_id id = (stat_id)(uintptr_t)hash_find(&by_name, str_of(name));
    uint64_t v = id ? sum_cell(id) : 0;
    pthread_mutex_unlock(&mutex);
    return v;
}

void stat_reset_counters(void)
{
    pthread_mutex_lock(&mutex);
    size_t it = 0;
    struct hash_entry *h;
    while ((h = hash_next(&by_name, &it))) {
        stat_id id = (stat_id)(uintptr_t)h->value;
        if (entries[id]->kind == STAT_COUNTER || entries[id]->kind == STAT_HISTOGRAM)
            zero_cells(id, entries[id]->cells);
        drop_interval(entries[id]);
    }
    pthread_mutex_unlock(&mutex);
}
