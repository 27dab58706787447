#include "proxy/chain.h"

#include <stdio.h>

#include "base/drain.h"
#include "base/mem.h"
#include "base/overload.h"
#include "filters/access_log.h"
#include "filters/registry.h"
#include "proxy/chain_index.h"
#include "proxy/limit.h"
#include "proxy/tcp_tunnel.h"

/* So few chains are weighed one by one. */
enum { CHAINS_SCANNED = 4 };

static bool is_draining(void *arg)
{
    const struct listener_chain *c = arg;
    const struct listener *l = c->listener;
    uint64_t now_us = loop_now_us(l->env->loop);
    return overload_strikes(OVERLOAD_DISABLE_HTTP_KEEPALIVE) ||
           drain_closes(l->conf->direction == CONF_INBOUND, !l->conf->drains_when_modified_only,
                        now_us) ||
           (l->drain_start_us && drain_is_due(l->drain_start_us, now_us)) ||
           (c->is_removed && drain_is_due(c->drain_start_us, now_us));
}

static void log_stream(struct hcm *hcm, struct stream *s)
{
    access_logs_write(hcm->logs, &s->info, s);
}

static void init_tcp(struct listener *l, struct listener_chain *c, const struct conf_tcp_proxy *t)
{
    c->logs = access_logs_create(l->env->logs, t->access_logs, t->access_logs_n);
    c->tunnel_formats = tcp_tunnel_formats_create(t->tunnel);
#define X(kind, field, name) \
    c->tcp_stats.field = stat_define(STAT_##kind, "tcp.%s." name, t->stat_prefix);
    TCP_STAT_MAP(X)
#undef X
}

static void init_http(struct listener *l, struct listener_chain *c, const struct conf_hcm *h)
{
    char prefix[LISTENER_PREFIX_MAX];
    listener_format_prefix(c->owner, prefix);
    c->hcm = hcm_create(h, l->env, prefix, l->conf->buffer_limit, l->find_filter);
    c->hcm->log = log_stream;
    c->hcm->logs = access_logs_create(l->env->logs, h->access_logs, h->access_logs_n);
    c->hcm->is_draining = is_draining;
    c->hcm->draining_arg = c;
}

/* The end of the time that its connections had. */
static void on_drained(struct loop_timer *t)
{
    struct listener_chain *c = container_of(t, struct listener_chain, drain_timer);
    list_for_each_safe (it, tmp, &c->listener->connections) {
        struct downstream *d = container_of(it, struct downstream, node);
        if (d->chain == c)
            d->close(d);
    }
}

static void destroy(struct listener_chain *c)
{
    if (c->hcm) {
        access_logs_destroy(&c->hcm->logs);
    } else {
        access_logs_destroy(&c->logs);
#define X(kind, field, name) stat_release(c->tcp_stats.field);
        TCP_STAT_MAP(X)
#undef X
    }
    tcp_tunnel_formats_destroy(&c->tunnel_formats);
    hcm_destroy(&c->hcm);
    tls_slot_unref(c->tls);
    for (size_t i = 0; i < c->conf->filters_n; i++) {
        const struct net_filter_ops *ops = registry_net_filter(c->conf->filters[i].kind);
        if (ops && ops->worker_fini)
            ops->worker_fini(c->worker_objs[i]);
    }
    mem_free(c->worker_objs);
    limits_fini(c);
    loop_timer_stop(&c->drain_timer);
    conf_object_unref(c->owner);
    mem_free(c);
}

static void run_free(struct loop_task *t)
{
    destroy(container_of(t, struct listener_chain, free_task));
}

static struct listener_chain *create(struct listener *l, struct conf_listener *owner,
                                     const struct conf_filter_chain *conf)
{
    char prefix[LISTENER_PREFIX_MAX], full[LISTENER_PREFIX_MAX + 16];
    struct listener_chain *c = MEM_NEW(struct listener_chain);
    c->listener = l;
    c->owner = conf_object_ref(owner);
    c->conf = conf;
    c->free_task.run = run_free;
    loop_timer_init(&c->drain_timer, l->env->loop, on_drained);
    limits_init(c);
    if (conf->tls) {
        listener_format_prefix(owner, prefix);
        snprintf(full, sizeof(full), "listener.%s", prefix);
        c->tls = tls_slot_create(conf->tls, full);
    }
    const struct conf_net_filter *last = &conf->filters[conf->filters_n - 1];
    if (last->kind == CONF_NET_HCM)
        init_http(l, c, last->hcm);
    else
        init_tcp(l, c, last->tcp_proxy);
    c->worker_objs = mem_zalloc(conf->filters_n * sizeof(*c->worker_objs));
    for (size_t i = 0; i < conf->filters_n; i++) {
        const struct net_filter_ops *ops = registry_net_filter(conf->filters[i].kind);
        if (ops && ops->worker_init)
            ops->worker_init(&conf->filters[i], l->env, &c->worker_objs[i]);
    }
    return c;
}

static void retire(struct listener_chain *c, uint64_t drain_ms)
{
    struct loop *loop = c->listener->env->loop;
    c->is_removed = true;
    c->drain_start_us = loop_now_us(loop);
    if (c->connections_n)
        loop_timer_start(&c->drain_timer, drain_ms);
    else
        loop_defer(loop, &c->free_task);
}

/* Those that l has, by hash. Only a default chain can be another one's twin; one is kept. */
static void index_chains(const struct listener *l, struct hash *by_hash, uint64_t drain_ms)
{
    for (size_t i = 0; i < l->chains_n; i++) {
        struct str key = {(const char *)&l->chains[i]->conf->hash, sizeof(uint64_t)};
        struct listener_chain *twin = hash_set(by_hash, key, l->chains[i]);
        if (twin)
            retire(twin, drain_ms);
    }
}

void chains_set(struct listener *l, struct conf_listener *conf, uint64_t drain_ms)
{
    struct hash by_hash = {0};
    struct hash_entry *e;
    size_t it = 0, n = conf->chains_n + (conf->default_chain ? 1 : 0);
    struct listener_chain **chains = mem_zalloc((n + 1) * sizeof(struct listener_chain *));
    index_chains(l, &by_hash, drain_ms);
    for (size_t i = 0; i < n; i++) {
        const struct conf_filter_chain *c =
            i < conf->chains_n ? &conf->chains[i] : conf->default_chain;
        struct str key = {(const char *)&c->hash, sizeof(c->hash)};
        chains[i] = hash_remove(&by_hash, key);
        if (!chains[i])
            chains[i] = create(l, conf, c);
    }
    while ((e = hash_next(&by_hash, &it)))
        retire(e->value, drain_ms);
    hash_fini(&by_hash);
    chain_index_destroy(&l->index);
    l->index = chain_index_create(conf, CHAINS_SCANNED);
    mem_free(l->chains);
    l->chains = chains;
    l->chains_n = n;
}

void chains_clear(struct listener *l)
{
    for (size_t i = 0; i < l->chains_n; i++)
        destroy(l->chains[i]);
    chain_index_destroy(&l->index);
    mem_free(l->chains);
}

void chain_leave(struct listener_chain *c)
{
    if (--c->connections_n == 0 && c->is_removed)
        loop_defer(c->listener->env->loop, &c->free_task);
}
