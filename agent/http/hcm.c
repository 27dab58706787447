#include "http/hcm.h"

#include "base/mem.h"
#include "http/h2_session.h"
#include "http/header_ops.h"

void hcm_stats_init(struct hcm_stats *st, const char *prefix, const char *listener)
{
    for (int i = 0; i < 5; i++)
        st->by_listener[i] = stat_define(STAT_COUNTER, "listener.%s.http.%s.downstream_rq_%dxx",
                                         listener, prefix, i + 1);
    st->by_listener_completed =
        stat_define(STAT_COUNTER, "listener.%s.http.%s.downstream_rq_completed", listener, prefix);
#define X(kind, field, name) st->field = stat_define(STAT_##kind, "http.%s." name, prefix);
    HCM_STAT_MAP(X)
#undef X
}

void hcm_stats_fini(struct hcm_stats *st)
{
    for (int i = 0; i < 5; i++)
        stat_release(st->by_listener[i]);
    stat_release(st->by_listener_completed);
#define X(kind, field, name) stat_release(st->field);
    HCM_STAT_MAP(X)
#undef X
}

struct hcm *hcm_create(const struct conf_hcm *conf, struct filter_env *env, const char *listener,
                       uint64_t buffer_limit,
                       const struct http_filter_ops *(*find_ops)(enum conf_http_filter_kind kind))
{
    struct hcm *h = MEM_NEW(struct hcm);
    h->conf = conf;
    h->env = env;
    h->buffer_limit = buffer_limit;
    h->ops = mem_zalloc(conf->filters_n * sizeof(*h->ops));
    h->worker_objs = mem_zalloc(conf->filters_n * sizeof(*h->worker_objs));
    hcm_stats_init(&h->stats, conf->stat_prefix, listener);
    for (size_t i = 0; i < conf->filters_n; i++) {
        h->ops[i] = find_ops(conf->filters[i].kind);
        if (h->ops[i]->worker_init)
            h->ops[i]->worker_init(&conf->filters[i], env, &h->worker_objs[i]);
    }
    return h;
}

void hcm_count_closed(const struct hcm_stats *st, bool is_local, bool is_active)
{
    stat_inc(st->cx_destroy);
    stat_inc(is_local ? st->cx_destroy_local : st->cx_destroy_remote);
    if (!is_active)
        return;
    stat_inc(st->cx_destroy_active);
    stat_inc(is_local ? st->cx_destroy_local_active : st->cx_destroy_remote_active);
}

struct h2_stats *hcm_h2_stats(struct hcm *hcm)
{
    if (!hcm->h2_stats) {
        hcm->h2_stats = MEM_NEW(struct h2_stats);
        h2_stats_init(hcm->h2_stats, "");
    }
    return hcm->h2_stats;
}

void hcm_destroy(struct hcm **hcm)
{
    struct hcm *h = *hcm;
    if (!h)
        return;
    for (size_t i = 0; i < h->conf->filters_n; i++)
        if (h->ops[i]->worker_fini)
            h->ops[i]->worker_fini(h->worker_objs[i]);
    header_ops_forget(h);
    if (h->h2_stats)
        h2_stats_fini(h->h2_stats);
    mem_free(h->h2_stats);
    hcm_stats_fini(&h->stats);
    mem_free(h->ops);
    mem_free(h->worker_objs);
    mem_free(h);
    *hcm = NULL;
}
