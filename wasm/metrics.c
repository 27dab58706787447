/* Guests read metrics back and set gauges on any worker, so the value stands here, in one atomic
 * cell for the process; the statistics get the differences. */
#include "wasm/metrics.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/hash.h"
#include "base/mem.h"

enum { METRICS_KEPT = 10000 };

struct pwasm_metric {
    enum stat_kind kind;
    size_t refs;
    stat_id stat;
    _Atomic uint64_t value;
    size_t name_n;
    char name[PWASM_METRIC_NAME_MAX];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct hash by_name;

static struct pwasm_metric *create_locked(enum stat_kind kind, struct str name)
{
    struct pwasm_metric *m = MEM_NEW(struct pwasm_metric);
    m->kind = kind;
    m->name_n = name.n;
    memcpy(m->name, name.p, name.n);
    m->stat = stat_define(kind, "wasmcustom.%.*s", STR_ARG(name));
    hash_set(&by_name, name, m);
    return m;
}

struct pwasm_metric *metric_ref(enum stat_kind kind, struct str name)
{
    char clean[PWASM_METRIC_NAME_MAX];
    if (name.n == 0 || name.n >= sizeof(clean))
        return NULL;
    for (size_t i = 0; i < name.n; i++)
        clean[i] = name.p[i] > ' ' && name.p[i] < 0x7f ? name.p[i] : '_';
    name.p = clean;
    pthread_mutex_lock(&lock);
    struct pwasm_metric *m = hash_find(&by_name, name);
    if (!m)
        m = create_locked(kind, name);
    else if (m->kind != kind)
        m = NULL;
    if (m)
        m->refs++;
    pthread_mutex_unlock(&lock);
    return m;
}

enum stat_kind metric_kind(const struct pwasm_metric *m)
{
    return m->kind;
}

void metric_add(struct pwasm_metric *m, int64_t delta)
{
    atomic_fetch_add_explicit(&m->value, (uint64_t)delta, memory_order_relaxed);
    stat_add(m->stat, delta);
}

void metric_set(struct pwasm_metric *m, uint64_t v)
{
    uint64_t old = atomic_exchange_explicit(&m->value, v, memory_order_relaxed);
    stat_add(m->stat, (int64_t)(v - old));
}

void metric_record(struct pwasm_metric *m, uint64_t v)
{
    stat_record(m->stat, v);
}

uint64_t metric_get(const struct pwasm_metric *m)
{
    return atomic_load_explicit(&m->value, memory_order_relaxed);
}

void metrics_release(struct pwasm_metric **v, size_t n)
{
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < n; i++) {
        struct pwasm_metric *m = v[i];
        /* Values outlive their plugins, as long as there are not too many of them. */
        if (--m->refs > 0 || hash_count(&by_name) <= METRICS_KEPT)
            continue;
        hash_remove(&by_name, (struct str){m->name, m->name_n});
        stat_release(m->stat);
        mem_free(m);
    }
    pthread_mutex_unlock(&lock);
    mem_free(v);
}
