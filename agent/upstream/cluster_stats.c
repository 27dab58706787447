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
}

void cluster_stats_fini(struct cluster_stats *s)
{
#define X(name) stat_release(s->name);
    CLUSTER_COUNTER_MAP(X)
    CLUSTER_GAUGE_MAP(X)
    CLUSTER_HISTOGRAM_MAP(X)
#undef X
    for (int i = 0; i < CODE_CLASSES; i++) {
        stat_release(s->classes[i]);
        for (int j = 0; s->codes[i] && j < 100; j++)
            stat_release(s->codes[i][j]);
        mem_free(s->codes[i]);
    }
    mem_free(s->prefix);
}

static void count_code(struct cluster_stats *s, unsigned status)
{
    unsigned class = status / 100;
    if (class < 1 || class >= CODE_CLASSES)
        return;
    if (!s->codes[class]) {
        s->codes[class] = mem_zalloc(100 * sizeof(stat_id));
        s->classes[class] = stat_define(STAT_COUNTER, "%supstream_rq_%uxx", s->prefix, class);
    }
    stat_id *id = &s->codes[class][status % 100];
    if (!*id)
        *id = stat_define(STAT_COUNTER, "%supstream_rq_%u", s->prefix, status);
    stat_inc(s->classes[class]);
    stat_inc(*id);
}

void upstream_count_status(struct upstream_cluster *c, struct upstream_host *h, unsigned status)
{
    stat_inc(c->stats.upstream_rq_completed);
    count_code(&c->stats, status);
    if (!h)
        return;
    if (status >= 500)
        h->stats.rq_error++;
    else
        h->stats.rq_success++;
}

void upstream_record_time(struct upstream_cluster *c, uint64_t time_ms)
{
    stat_record(c->stats.upstream_rq_time, time_ms);
}

void upstream_count_timeout(struct upstream_cluster *c, struct upstream_host *h)
{
    stat_inc(c->stats.upstream_rq_timeout);
    if (h)
        h->stats.rq_timeout++;
}
