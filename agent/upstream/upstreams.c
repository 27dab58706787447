/* The table of clusters of one worker. Only clusters that were used have a runtime. */
#include "base/mem.h"
#include "upstream/upstream_private.h"

static void run_failed(struct loop_task *t)
{
    struct upstreams *u = container_of(t, struct upstreams, fail_task);
    while (!list_is_empty(&u->failed)) {
        struct upstream_request *r = container_of(u->failed.next, struct upstream_request, node);
        list_del(&r->node);
        r->state = UPSTREAM_REQUEST_ENDED;
        r->ops->on_reset(r, r->pending_reset, r->pending_failure);
    }
    if (u->is_destroyed)
        mem_free(u);
}

int upstreams_create(struct loop *loop, struct upstreams **u_r, struct error *err)
{
    (void)err;
    struct upstreams *u = MEM_NEW(struct upstreams);
    u->loop = loop;
    u->fail_task.run = run_failed;
    list_init(&u->failed);
    *u_r = u;
    return 0;
}

void upstreams_destroy(struct upstreams **u_p)
{
    struct upstreams *u = *u_p;
    if (!u)
        return;
    *u_p = NULL;
    size_t it = 0;
    struct hash_entry *e;
    while ((e = hash_next(&u->clusters, &it))) {
        struct upstream_cluster *c = e->value;
        for (size_t i = 0; i < c->hosts_n; i++)
            pools_close_all(c->hosts[i]);
        cluster_drain(c);
        cluster_unref(c);
    }
    hash_fini(&u->clusters);
    headers_fini(&u->scratch);
    snapshot_unref(u->current);
    u->current = NULL;
    u->is_destroyed = true;
    if (!u->fail_task.is_queued)
        mem_free(u);
}

struct loop *upstreams_loop(const struct upstreams *u)
{
    return u->loop;
}

void upstreams_publish(struct upstreams *u, struct snapshot *s)
{
    size_t it = 0;
    struct hash_entry *e;
    snapshot_ref(s);
    snapshot_unref(u->current);
    u->current = s;
    while ((e = hash_next(&u->clusters, &it))) {
        struct upstream_cluster *c = e->value;
        struct conf_cluster_entry *entry = snapshot_cluster(s, str_of(c->name));
        if (entry) {
            c->is_orphan = false;
            cluster_update(c, entry);
        } else {
            hash_remove(&u->clusters, str_of(c->name));
            cluster_drain(c);
            cluster_unref(c);
        }
    }
}

static struct upstream_cluster *add_cluster(struct upstreams *u, struct snapshot *s,
                                            struct str name)
{
    struct conf_cluster_entry *entry = snapshot_cluster(s, name);
    if (!entry)
        return NULL;
    bool is_orphan = false;
    if (u->current && s != u->current) {
        struct conf_cluster_entry *newest = snapshot_cluster(u->current, name);
        is_orphan = !newest;
        if (newest)
            entry = newest;
    }
    struct upstream_cluster *c = cluster_create(u, entry);
    c->is_orphan = is_orphan;
    hash_set(&u->clusters, name, c);
    return c;
}

struct upstream_cluster *upstreams_find(struct upstreams *u, struct snapshot *s, struct str name)
{
    struct upstream_cluster *c = hash_find(&u->clusters, name);
    if (!c)
        return add_cluster(u, s, name);
    if (c->is_orphan && !snapshot_cluster(s, name))
        return NULL;
    return c;
}

void upstreams_each_host(struct upstreams *u,
                         void (*fn)(const struct upstream_host_view *h, void *arg), void *arg)
{
    size_t it = 0;
    struct hash_entry *e;
    while ((e = hash_next(&u->clusters, &it))) {
        const struct upstream_cluster *c = e->value;
        for (size_t i = 0; i < c->hosts_n; i++) {
            const struct upstream_host *h = c->hosts[i];
            struct upstream_host_view view = {c->name,   &h->addr,    h->hostname, h->health,
                                              h->weight, h->priority, &h->stats};
            fn(&view, arg);
        }
    }
}
