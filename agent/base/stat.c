#include "base/stat_private.h"

#include "base/mem.h"

pthread_mutex_t stat_mutex = PTHREAD_MUTEX_INITIALIZER;
struct hash stat_by_name;
struct stat_entry *stat_entries[STAT_CHUNKS_MAX * STAT_CHUNK];
struct stat_shard *stat_shards;
uint64_t stat_changes;
stat_id *stat_histograms;
uint32_t stat_histograms_n;

static uint32_t next_id = STAT_FIRST;
static stat_id *free_ids, *free_histograms;
static size_t free_n, free_cap, free_hist_n, free_hist_cap, histograms_cap;
static bool (*rejects)(struct str name, void *arg);
static void *rejects_arg;
static __thread struct stat_shard *own;

/* ---- defining ---- */

static stat_id take_id(uint32_t cells)
{
    if (cells == 1 && free_n)
        return free_ids[--free_n];
    if (cells > 1 && free_hist_n)
        return free_histograms[--free_hist_n];
    if (next_id % STAT_CHUNK + cells > STAT_CHUNK)
        next_id = (next_id / STAT_CHUNK + 1) * STAT_CHUNK; /* a histogram stays in one chunk */
    if (next_id + cells >= STAT_CHUNKS_MAX * STAT_CHUNK)
        return STAT_NONE;
    stat_id id = next_id;
    next_id += cells;
    return id;
}

static void list_histogram(stat_id id)
{
    mem_grow((void **)&stat_histograms, &histograms_cap, stat_histograms_n + 1,
             sizeof(*stat_histograms));
    stat_entries[id]->at = stat_histograms_n;
    stat_histograms[stat_histograms_n++] = id;
}

static void unlist_histogram(const struct stat_entry *e)
{
    stat_id last = stat_histograms[--stat_histograms_n];
    stat_histograms[e->at] = last;
    stat_entries[last]->at = e->at;
}

static stat_id define_locked(enum stat_kind kind, struct str name)
{
    stat_id id = (stat_id)(uintptr_t)hash_find(&stat_by_name, name);
    if (id) {
        stat_entries[id]->refs++;
        return id;
    }
    id = take_id(kind == STAT_HISTOGRAM ? STAT_HISTOGRAM_CELLS : 1);
    if (!id)
        return STAT_NONE;
    struct stat_entry *e = MEM_NEW(struct stat_entry);
    hash_set(&stat_by_name, name, (void *)(uintptr_t)id);
    e->name = hash_key(&stat_by_name, name);
    e->kind = kind;
    e->refs = 1;
    stat_entries[id] = e;
    if (kind == STAT_HISTOGRAM)
        list_histogram(id);
    stat_changes++;
    return id;
}

stat_id stat_define(enum stat_kind kind, const char *fmt, ...)
{
    struct sbuf name = {0};
    stat_id id = STAT_REJECTED;
    va_list ap;
    va_start(ap, fmt);
    sbuf_vprintf(&name, fmt, ap);
    va_end(ap);
    if (!rejects || !rejects((struct str){name.p, name.n}, rejects_arg)) {
        pthread_mutex_lock(&stat_mutex);
        id = define_locked(kind, (struct str){name.p, name.n});
        pthread_mutex_unlock(&stat_mutex);
    }
    sbuf_fini(&name);
    return id;
}

void stat_set_rejects(bool (*fn)(struct str name, void *arg), void *arg)
{
    pthread_mutex_lock(&stat_mutex);
    rejects = fn;
    rejects_arg = arg;
    size_t it = 0;
    struct hash_entry *h;
    while ((h = hash_next(&stat_by_name, &it))) {
        struct stat_entry *e = stat_entries[(stat_id)(uintptr_t)h->value];
        e->is_rejected = fn && fn(str_of(e->name), arg);
    }
    pthread_mutex_unlock(&stat_mutex);
}

static void zero_blocks(_Atomic uint64_t *cell)
{
    for (unsigned b = 0; b < STAT_HIST_BLOCKS; b++) {
        _Atomic uint64_t *bins = stat_block_of(cell + b);
        for (unsigned i = 0; bins && i < STAT_HIST_BLOCK_BINS; i++)
            atomic_store_explicit(&bins[i], 0, memory_order_relaxed);
    }
}

void stat_zero(stat_id id, enum stat_kind kind)
{
    unsigned i = id % STAT_CHUNK;
    for (struct stat_shard *s = stat_shards; s; s = s->next) {
        struct stat_chunk *c = stat_chunk_of(s, id);
        if (!c)
            continue;
        atomic_store_explicit(&c->cell[i], 0, memory_order_relaxed);
        atomic_fetch_and_explicit(&c->zero_used[i / 64], ~(UINT64_C(1) << i % 64),
                                  memory_order_relaxed);
        if (kind != STAT_HISTOGRAM)
            continue;
        atomic_store_explicit(&c->cell[i + 1], 0, memory_order_relaxed);
        zero_blocks(&c->cell[i + 2]);
    }
}

void stat_drop_interval(struct stat_entry *e)
{
    if (!e->interval)
        return;
    stat_packed_fini(&e->interval->before);
    stat_packed_fini(&e->interval->last);
    mem_free(e->interval);
    e->interval = NULL;
}

static void give_id_back(stat_id id, enum stat_kind kind)
{
    bool is_hist = kind == STAT_HISTOGRAM;
    stat_id **ids = is_hist ? &free_histograms : &free_ids;
    size_t *n = is_hist ? &free_hist_n : &free_n;
    mem_grow((void **)ids, is_hist ? &free_hist_cap : &free_cap, *n + 1, sizeof(stat_id));
    (*ids)[(*n)++] = id;
}

void stat_release(stat_id id)
{
    if (id < STAT_FIRST)
        return;
    pthread_mutex_lock(&stat_mutex);
    struct stat_entry *e = stat_entries[id];
    if (--e->refs == 0) {
        stat_zero(id, e->kind);
        if (e->kind == STAT_HISTOGRAM)
            unlist_histogram(e);
        stat_entries[id] = NULL;
        stat_changes++;
        give_id_back(id, e->kind);
        stat_drop_interval(e);
        hash_remove(&stat_by_name, str_of(e->name));
        mem_free(e->text);
        mem_free(e);
    }
    pthread_mutex_unlock(&stat_mutex);
}

/* ---- writing ---- */

static struct stat_shard *own_shard(void)
{
    if (!own) {
        own = mem_zalloc(sizeof(*own));
        pthread_mutex_lock(&stat_mutex);
        own->next = stat_shards;
        stat_shards = own;
        pthread_mutex_unlock(&stat_mutex);
    }
    return own;
}

static struct stat_chunk *own_chunk(stat_id id)
{
    struct stat_shard *s = own ? own : own_shard();
    struct stat_chunk *c = atomic_load_explicit(&s->chunk[id / STAT_CHUNK], memory_order_relaxed);
    if (__builtin_expect(!c, 0)) {
        c = mem_zalloc(sizeof(*c));
        atomic_store_explicit(&s->chunk[id / STAT_CHUNK], c, memory_order_release);
    }
    return c;
}

/* Only the owning thread writes, so a plain load and store is enough. */
static void cell_add(_Atomic uint64_t *cell, uint64_t delta)
{
    uint64_t v = atomic_load_explicit(cell, memory_order_relaxed);
    atomic_store_explicit(cell, v + delta, memory_order_relaxed);
}

/* Main clears bits of a word, so setting one is a locked step: once per stat. */
static void mark_used(struct stat_chunk *c, unsigned i)
{
    _Atomic uint64_t *word = &c->zero_used[i / 64];
    uint64_t bit = UINT64_C(1) << i % 64;
    if (!(atomic_load_explicit(word, memory_order_relaxed) & bit))
        atomic_fetch_or_explicit(word, bit, memory_order_relaxed);
}

void stat_add(stat_id id, int64_t delta)
{
    struct stat_chunk *c = own_chunk(id);
    cell_add(&c->cell[id % STAT_CHUNK], (uint64_t)delta);
    if (delta < 0)
        mark_used(c, id % STAT_CHUNK);
}

void stat_set(stat_id id, uint64_t value)
{
    struct stat_chunk *c = own_chunk(id);
    atomic_store_explicit(&c->cell[id % STAT_CHUNK], value, memory_order_relaxed);
    if (!value)
        mark_used(c, id % STAT_CHUNK);
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
    if (id < STAT_FIRST)
        return;
    _Atomic uint64_t *cell = &own_chunk(id)->cell[id % STAT_CHUNK];
    stat_hist_place(value, &block, &bin);
    _Atomic uint64_t *bins = stat_block_of(cell + 2 + block);
    if (!bins)
        bins = make_block(cell + 2 + block);
    cell_add(cell, 1);
    cell_add(cell + 1, value);
    cell_add(&bins[bin], 1);
}

void stat_set_text(stat_id id, struct str text)
{
    if (id < STAT_FIRST)
        return;
    pthread_mutex_lock(&stat_mutex);
    mem_free(stat_entries[id]->text);
    stat_entries[id]->text = mem_strndup(text.p, text.n);
    pthread_mutex_unlock(&stat_mutex);
}
