/* Sums of all threads' cells, on main. */
#include <stdlib.h>

#include "base/mem.h"
#include "base/stat_private.h"

static uint64_t sum_cell(stat_id id)
{
    uint64_t sum = 0;
    for (struct stat_shard *s = stat_shards; s; s = s->next) {
        struct stat_chunk *c = stat_chunk_of(s, id);
        if (c)
            sum += atomic_load_explicit(&c->cell[id % STAT_CHUNK], memory_order_relaxed);
    }
    return sum;
}

static uint64_t highest_cell(stat_id id)
{
    uint64_t highest = 0;
    for (struct stat_shard *s = stat_shards; s; s = s->next) {
        struct stat_chunk *c = stat_chunk_of(s, id);
        uint64_t v = c ? atomic_load_explicit(&c->cell[id % STAT_CHUNK], memory_order_relaxed) : 0;
        highest = v > highest ? v : highest;
    }
    return highest;
}

static uint64_t read_number(stat_id id, const struct stat_entry *e)
{
    return e->kind == STAT_LEVEL ? highest_cell(id) : sum_cell(id);
}

static enum stat_kind shown_kind(const struct stat_entry *e)
{
    return e->kind == STAT_LEVEL ? STAT_GAUGE : e->kind;
}

static bool is_touched(stat_id id)
{
    unsigned i = id % STAT_CHUNK;
    for (struct stat_shard *s = stat_shards; s; s = s->next) {
        struct stat_chunk *c = stat_chunk_of(s, id);
        if (c && (atomic_load_explicit(&c->cell[i], memory_order_relaxed) ||
                  atomic_load_explicit(&c->zero_used[i / 64], memory_order_relaxed) >> i % 64 & 1))
            return true;
    }
    return false;
}

/* All threads' bins together; the count is theirs, so that quantiles fit. */
static void merge(stat_id id, struct stat_hist *h)
{
    *h = (struct stat_hist){.sum = (double)sum_cell(id + 1)};
    for (struct stat_shard *s = stat_shards; s; s = s->next) {
        struct stat_chunk *c = stat_chunk_of(s, id);
        for (unsigned b = 0; c && b < STAT_HIST_BLOCKS; b++) {
            _Atomic uint64_t *bins = stat_block_of(&c->cell[id % STAT_CHUNK + 2 + b]);
            for (unsigned i = 0; bins && i < STAT_HIST_BLOCK_BINS; i++) {
                uint64_t n = atomic_load_explicit(&bins[i], memory_order_relaxed);
                stat_hist_add(h, b, i, n);
                h->count += n;
            }
        }
    }
}

static bool is_used(stat_id id, const struct stat_entry *e)
{
    return e->was_used || e->text || is_touched(id);
}

/* The histograms are the caller's to release. */
static void fill_value(stat_id id, const struct stat_entry *e, struct stat_value *v,
                       struct stat_hist *hist, struct stat_hist *interval)
{
    *v = (struct stat_value){.name = e->name, .kind = shown_kind(e), .text = e->text};
    *hist = *interval = (struct stat_hist){0};
    v->is_used = is_used(id, e);
    if (e->kind != STAT_HISTOGRAM) {
        v->value = read_number(id, e);
        return;
    }
    merge(id, hist);
    v->value = hist->count;
    v->hist = hist;
    if (e->interval)
        stat_hist_unpack(&e->interval->last, interval);
    v->interval = interval->count ? interval : NULL;
}

static void end_interval(stat_id id, struct stat_entry *e)
{
    struct stat_hist now, before, change;
    struct stat_interval *i = e->interval;
    uint64_t count = sum_cell(id);
    if (count == (i ? i->count : 0)) { /* as most of them are */
        if (i)
            stat_packed_fini(&i->last);
        return;
    }
    if (!i)
        i = e->interval = MEM_NEW(struct stat_interval);
    i->count = count;
    merge(id, &now);
    stat_hist_unpack(&i->before, &before);
    stat_hist_difference(&now, &before, &change);
    stat_packed_fini(&i->last);
    stat_packed_fini(&i->before);
    stat_hist_pack(&change, &i->last);
    stat_hist_pack(&now, &i->before);
    stat_hist_fini(&change);
    stat_hist_fini(&before);
    stat_hist_fini(&now);
}

void stat_end_interval(void)
{
    pthread_mutex_lock(&stat_mutex);
    for (size_t i = 0; i < stat_histograms_n; i++)
        end_interval(stat_histograms[i], stat_entries[stat_histograms[i]]);
    pthread_mutex_unlock(&stat_mutex);
}

/* ---- in order ---- */

/* All ids by name, kept from one look to the next: sorting hundreds of thousands is slow. */
static struct {
    stat_id *v;
    size_t n, cap;
    uint64_t changes; /* stat_changes when it was made */
} order;

static int by_entry_name(const void *a, const void *b)
{
    const stat_id *x = a, *y = b;
    return strcmp(stat_entries[*x]->name, stat_entries[*y]->name);
}

/* Those that came since, by name; the caller frees them. */
static stat_id *find_new(size_t *n_r)
{
    stat_id *ids = NULL;
    size_t n = 0, cap = 0, it = 0;
    struct hash_entry *h;
    while ((h = hash_next(&stat_by_name, &it))) {
        stat_id id = (stat_id)(uintptr_t)h->value;
        if (stat_entries[id]->is_ordered)
            continue;
        stat_entries[id]->is_ordered = true;
        mem_grow((void **)&ids, &cap, n + 1, sizeof(*ids));
        ids[n++] = id;
    }
    if (n)
        qsort(ids, n, sizeof(*ids), by_entry_name);
    *n_r = n;
    return ids;
}

/* An id that was given to another stat since does not count as ordered. */
static void drop_gone(void)
{
    size_t n = 0;
    for (size_t i = 0; i < order.n; i++) {
        const struct stat_entry *e = stat_entries[order.v[i]];
        if (e && e->is_ordered)
            order.v[n++] = order.v[i];
    }
    order.n = n;
}

static void update_order(void)
{
    size_t n;
    if (order.changes == stat_changes)
        return;
    order.changes = stat_changes;
    drop_gone();
    stat_id *ids = find_new(&n);
    mem_grow((void **)&order.v, &order.cap, order.n + n + 1, sizeof(*order.v));
    size_t old = order.n, at = order.n += n;
    while (n) /* from the back */
        order.v[--at] =
            old && by_entry_name(&order.v[old - 1], &ids[n - 1]) > 0 ? order.v[--old] : ids[--n];
    mem_free(ids);
}

static bool is_wanted(stat_id id, const struct stat_entry *e, const struct stat_visit *v)
{
    if (e->is_rejected || !(v->kinds & STAT_SET(shown_kind(e))) ||
        (v->used_only && !is_used(id, e)))
        return false;
    return !v->wants || v->wants(str_of(e->name), v->arg);
}

void stat_each(const struct stat_visit *v)
{
    pthread_mutex_lock(&stat_mutex);
    update_order();
    for (size_t i = 0; i < order.n; i++) {
        struct stat_value value;
        struct stat_hist hist, interval;
        const struct stat_entry *e = stat_entries[order.v[i]];
        if (!is_wanted(order.v[i], e, v))
            continue;
        fill_value(order.v[i], e, &value, &hist, &interval);
        v->fn(&value, v->arg);
        stat_hist_fini(&hist);
        stat_hist_fini(&interval);
    }
    pthread_mutex_unlock(&stat_mutex);
}

uint64_t stat_read(const char *name)
{
    pthread_mutex_lock(&stat_mutex);
    stat_id id = (stat_id)(uintptr_t)hash_find(&stat_by_name, str_of(name));
    uint64_t v = id ? read_number(id, stat_entries[id]) : 0;
    pthread_mutex_unlock(&stat_mutex);
    return v;
}

void stat_reset_counters(void)
{
    pthread_mutex_lock(&stat_mutex);
    size_t it = 0;
    struct hash_entry *h;
    while ((h = hash_next(&stat_by_name, &it))) {
        stat_id id = (stat_id)(uintptr_t)h->value;
        struct stat_entry *e = stat_entries[id];
        if (e->kind != STAT_COUNTER)
            continue;
        e->was_used = e->was_used || is_touched(id);
        stat_zero(id, e->kind);
    }
    pthread_mutex_unlock(&stat_mutex);
}
