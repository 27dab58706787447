#include "server/hosts.h"

#include "base/arena.h"
#include "base/mem.h"
#include "http/filter.h"
#include "server/server.h"

/* What one worker said. */
struct part {
    struct gather *gather;
    struct arena arena;
    struct worker_host {
        const char *cluster;
        struct host host;
    } * v;
    size_t n, cap;
};

struct gather {
    struct hosts hosts;
    void (*done)(const struct hosts *h, void *arg);
    void *arg;
    unsigned parts_n, missing;
    struct part parts[];
};

/* ---- on the worker ---- */

static void add_host(const struct upstream_host_view *view, void *arg)
{
    struct part *p = arg;
    mem_grow((void **)&p->v, &p->cap, p->n + 1, sizeof(*p->v));
    p->v[p->n++] = (struct worker_host){
        .cluster = arena_strdup(&p->arena, view->cluster),
        .host = {.addr = *view->addr,
                 .hostname = arena_strdup(&p->arena, view->hostname ? view->hostname : ""),
                 .health = view->health,
                 .weight = view->weight,
                 .priority = view->priority,
                 .region = "",
                 .zone = "",
                 .sub_zone = "",
                 .stats = *view->stats},
    };
}

static void ask(struct filter_env *env, void *arg)
{
    upstreams_each_host(env->upstreams, add_host, arg);
}

/* ---- on main ---- */

static void append(struct host_list *l, const struct host *h)
{
    mem_grow((void **)&l->v, &l->cap, l->n + 1, sizeof(*l->v));
    l->v[l->n++] = *h;
}

static void add_cluster(struct hosts *hosts, const struct conf_cluster_entry *e)
{
    struct host_list *l = MEM_NEW(struct host_list);
    hash_set(&hosts->by_cluster, str_of(e->cluster->object.name), l);
    for (size_t i = 0; e->endpoints && i < e->endpoints->n; i++) {
        const struct conf_endpoint *p = &e->endpoints->v[i];
        struct host h = {.addr = p->address,
                         .hostname = p->hostname,
                         .health = p->health,
                         .weight = p->weight,
                         .priority = p->priority,
                         .region = p->region,
                         .zone = p->zone,
                         .sub_zone = p->sub_zone};
        if (p->address.len)
            append(l, &h);
    }
}

static void add_stats(struct upstream_host_stats *to, const struct upstream_host_stats *from)
{
    to->cx_active += from->cx_active;
    to->cx_connect_fail += from->cx_connect_fail;
    to->cx_total += from->cx_total;
    to->rq_active += from->rq_active;
    to->rq_error += from->rq_error;
    to->rq_success += from->rq_success;
    to->rq_timeout += from->rq_timeout;
    to->rq_total += from->rq_total;
    to->rq_pending_active += from->rq_pending_active;
}

static void merge(struct hosts *hosts, const struct worker_host *w)
{
    struct host_list *l = hash_find(&hosts->by_cluster, str_of(w->cluster));
    if (!l)
        return; /* the cluster is gone */
    for (size_t i = 0; i < l->n; i++)
        if (addr_eq(&l->v[i].addr, &w->host.addr)) {
            add_stats(&l->v[i].stats, &w->host.stats);
            return;
        }
    append(l, &w->host);
}

static void finish(struct gather *g)
{
    size_t it = 0;
    struct hash_entry *e;
    while ((e = hash_next(&g->hosts.snapshot->clusters, &it)))
        add_cluster(&g->hosts, e->value);
    for (unsigned i = 0; i < g->parts_n; i++)
        for (size_t k = 0; k < g->parts[i].n; k++)
            merge(&g->hosts, &g->parts[i].v[k]);
    g->done(&g->hosts, g->arg);
    for (unsigned i = 0; i < g->parts_n; i++) {
        arena_fini(&g->parts[i].arena);
        mem_free(g->parts[i].v);
    }
    it = 0;
    while ((e = hash_next(&g->hosts.by_cluster, &it))) {
        struct host_list *l = e->value;
        mem_free(l->v);
        mem_free(l);
    }
    hash_fini(&g->hosts.by_cluster);
    snapshot_unref(g->hosts.snapshot);
    mem_free(g);
}

static void on_part(void *arg)
{
    struct part *p = arg;
    if (--p->gather->missing == 0)
        finish(p->gather);
}

void hosts_gather(struct server *s, void (*done)(const struct hosts *h, void *arg), void *arg)
{
    struct gather *g = mem_zalloc(sizeof(*g) + s->workers_n * sizeof(g->parts[0]));
    g->hosts.snapshot = snapshot_ref(publish_current(s->publish));
    g->done = done;
    g->arg = arg;
    g->parts_n = g->missing = s->workers_n;
    for (unsigned i = 0; i < s->workers_n; i++) {
        g->parts[i].gather = g;
        arena_init(&g->parts[i].arena, 0);
        worker_ask(s->workers[i], ask, on_part, &g->parts[i]);
    }
}
