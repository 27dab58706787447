#include "base/mem.h"
#include "upstream/upstream_private.h"

/* "://", ":/" and ":" become "_" in stat names. */
static char *make_prefix(const char *cluster)
{
    struct sbuf b = {0};
    sbuf_addz(&b, "cluster.");
    for (const char *p = cluster; *p; p++) {
        if (*p == ':') {
            sbuf_addc(&b, '_');
            if (p[1] == '/')
                p += p[2] == '/' ? 2 : 1;
        } else {
            sbuf_addc(&b, *p);
        }
    }
    sbuf_addc(&b, '.');
    return sbuf_take(&b);
}

void cluster_stats_init(struct cluster_stats *s, const char *cluster)
{
    *s = (struct cluster_stats){.prefix = make_prefix(cluster)};
#define X(name) s->name = stat_define(STAT_COUNTER, "%s" #name, s->prefix);
    CLUSTER_COUNTER_MAP(X)
#undef X
#define X(name) s->name = stat_define(STAT_GAUGE, "%s" #name, s->prefix);
    CLUSTER_GAUGE_MAP(X)
#undef X
#define X(name) s->name = stat_define(STAT_HISTOGRAM, "%s" #name, s->prefix);
    CLUSTER_HISTOGRAM_MAP(X)
#undef X
#define X(name) s->name = stat_define(STAT_LEVEL, "%s" #name, s->prefix);
    CLUSTER_LEVEL_MAP(X)
#undef X
}

static void code_stats_fini(struct code_stats *cs)
{
    stat_release(cs->completed);
    for (int i = 0; i < CODE_CLASSES; i++) {
        stat_release(cs->classes[i]);
        for (int j = 0; cs->codes[i] && j < 100; j++)
            stat_release(cs->codes[i][j]);
        mem_free(cs->codes[i]);
    }
}

void cluster_stats_fini(struct cluster_stats *s)
{
#define X(name) stat_release(s->name);
    CLUSTER_COUNTER_MAP(X)
    CLUSTER_GAUGE_MAP(X)
    CLUSTER_HISTOGRAM_MAP(X)
    CLUSTER_LEVEL_MAP(X)
#undef X
    stat_release(s->upstream_rq_time);
    code_stats_fini(&s->all);
    code_stats_fini(&s->retried);
    mem_free(s->prefix);
}

void cluster_stats_count_hosts(struct cluster_stats *s, struct upstream_host *const *hosts,
                               size_t n)
{
    size_t by_health[CONF_DRAINING + 1] = {0};
    uint32_t weight = 0;
    for (size_t i = 0; i < n; i++) {
        by_health[hosts[i]->health]++;
        weight = hosts[i]->weight > weight ? hosts[i]->weight : weight;
    }
    stat_set(s->membership_total, n);
    stat_set(s->membership_healthy, by_health[CONF_HEALTHY]);
    stat_set(s->membership_degraded, by_health[CONF_DEGRADED]);
    stat_set(s->membership_excluded, by_health[CONF_DRAINING]);
    stat_set(s->max_host_weight, weight);
}

/* more: "" or "retry.". */
static void count_code(const struct cluster_stats *s, struct code_stats *cs, const char *more,
                       unsigned status)
{
    unsigned class = status / 100;
    if (class < 1 || class >= CODE_CLASSES)
        return;
    if (!cs->codes[class]) {
        cs->codes[class] = mem_zalloc(100 * sizeof(stat_id));
        cs->classes[class] =
            stat_define(STAT_COUNTER, "%s%supstream_rq_%uxx", s->prefix, more, class);
    }
    stat_id *id = &cs->codes[class][status % 100];
    if (!*id)
        *id = stat_define(STAT_COUNTER, "%s%supstream_rq_%u", s->prefix, more, status);
    stat_inc(cs->classes[class]);
    stat_inc(*id);
}

static void count_host(struct upstream_host *h, unsigned status)
{
    if (!h)
        return;
    if (status >= 500)
        h->stats.rq_error++;
    else
        h->stats.rq_success++;
}

void upstream_count_status(struct upstream_cluster *c, struct upstream_host *h, unsigned status)
{
    stat_inc(c->stats.upstream_rq_completed);
    count_code(&c->stats, &c->stats.all, "", status);
    count_host(h, status);
}

void upstream_count_retried(struct upstream_cluster *c, struct upstream_host *h, unsigned status)
{
    struct cluster_stats *s = &c->stats;
    if (!s->retried.completed)
        s->retried.completed =
            stat_define(STAT_COUNTER, "%sretry.upstream_rq_completed", s->prefix);
    stat_inc(s->retried.completed);
    count_code(s, &s->retried, "retry.", status);
    count_host(h, status);
}

void upstream_count_retry(struct upstream_cluster *c, enum upstream_retry_event e)
{
    const struct cluster_stats *s = &c->stats;
    const stat_id ids[] = {
        [UPSTREAM_RETRY_SUCCESS] = s->upstream_rq_retry_success,
        [UPSTREAM_RETRY_LIMIT_EXCEEDED] = s->upstream_rq_retry_limit_exceeded,
        [UPSTREAM_RETRY_EXPONENTIAL] = s->upstream_rq_retry_backoff_exponential,
        [UPSTREAM_RETRY_RATELIMITED] = s->upstream_rq_retry_backoff_ratelimited,
        [UPSTREAM_RETRY_ABANDONED] = s->retry_or_shadow_abandoned,
    };
    stat_inc(ids[e]);
}

uint32_t upstream_max_duration_ms(const struct upstream_cluster *c)
{
    return cluster_conf(c)->max_stream_duration_ms;
}

void upstream_count_max_duration(struct upstream_cluster *c)
{
    stat_inc(c->stats.upstream_rq_max_duration_reached);
}

void upstream_count_try_timeout(struct upstream_cluster *c, struct upstream_host *h, bool is_idle)
{
    stat_inc(is_idle ? c->stats.upstream_rq_per_try_idle_timeout
                     : c->stats.upstream_rq_per_try_timeout);
    h->stats.rq_timeout++;
}

void upstream_record_time(struct upstream_cluster *c, uint64_t time_ms)
{
    struct cluster_stats *s = &c->stats;
    if (!s->upstream_rq_time)
        s->upstream_rq_time = stat_define(STAT_HISTOGRAM, "%supstream_rq_time", s->prefix);
    stat_record(s->upstream_rq_time, time_ms);
}

void upstream_count_timeout(struct upstream_cluster *c, struct upstream_host *h)
{
    stat_inc(c->stats.upstream_rq_timeout);
    if (h)
        h->stats.rq_timeout++;
}
