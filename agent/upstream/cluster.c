/* One cluster on one worker: its hosts, kept by address across changes of the endpoints. */
#include "base/crypto.h"
#include "base/mem.h"
#include "http/h2_session.h"
#include "upstream/upstream_private.h"

struct str host_key(const struct addr *a, char dst[HOST_KEY_MAX])
{
    size_t n = 0;
    if (a->sa.sa_family == AF_INET) {
        memcpy(dst, &a->v4.sin_port, 2);
        memcpy(dst + 2, &a->v4.sin_addr, 4);
        n = 6;
    } else if (a->sa.sa_family == AF_INET6) {
        memcpy(dst, &a->v6.sin6_port, 2);
        memcpy(dst + 2, &a->v6.sin6_addr, 16);
        memcpy(dst + 18, &a->v6.sin6_scope_id, 4);
        n = 22;
    } else { /* Unix: at most 108 bytes, and never one of the lengths above */
        n = a->len < HOST_KEY_MAX - 32 ? a->len : HOST_KEY_MAX - 32;
        memset(dst, 0, 32);
        memcpy(dst + 32, &a->ss, n);
        n += 32;
    }
    return (struct str){dst, n};
}

struct upstream_host *host_ref(struct upstream_host *h)
{
    h->refs++;
    return h;
}

struct upstream_host *upstream_host_ref(struct upstream_host *h)
{
    return host_ref(h);
}

void upstream_host_unref(struct upstream_host *h)
{
    if (--h->refs)
        return;
    struct upstream_cluster *c = h->cluster;
    pools_destroy(h);
    tls_sessions_destroy(&h->tls_sessions);
    tls_slot_unref(h->tls);
    mem_free(h->hostname);
    mem_free(h);
    cluster_unref(c);
}

const struct addr *upstream_host_addr(const struct upstream_host *h)
{
    return &h->addr;
}

const char *upstream_host_name(const struct upstream_host *h)
{
    return h->hostname ? h->hostname : "";
}

struct upstream_host *host_create(struct upstream_cluster *c, const struct addr *a,
                                  const char *hostname, struct tls_slot *tls)
{
    struct upstream_host *h = MEM_NEW(struct upstream_host);
    h->tls = tls_slot_ref(tls);
    h->refs = 1;
    h->cluster = c;
    c->refs++;
    h->addr = *a;
    h->hostname = mem_strdup(hostname);
    h->weight = 1;
    h->health = CONF_HEALTHY;
    return h;
}

void host_remove(struct upstream_host *h)
{
    h->is_removed = true;
    pools_drain(h);
    upstream_host_unref(h);
}

static void set_host(struct upstream_host *h, const struct conf_endpoint *e)
{
    h->weight = e->weight ? e->weight : 1;
    h->health = e->health;
    h->priority = e->priority < UPSTREAM_PRIORITIES_MAX ? e->priority : UPSTREAM_PRIORITIES_MAX - 1;
    if (strcmp(h->hostname, e->hostname ? e->hostname : "") != 0) {
        mem_free(h->hostname);
        h->hostname = mem_strdup(e->hostname ? e->hostname : "");
    }
}

static void add_host(struct upstream_cluster *c, struct upstream_host *h)
{
    mem_grow((void **)&c->hosts, &c->hosts_cap, c->hosts_n + 1, sizeof(*c->hosts));
    c->hosts[c->hosts_n++] = h;
}

/* Makes the host list that of `e`. Addresses that stay keep their host and its connections; the
 * second of two equal addresses is ignored. */
static void update_hosts(struct upstream_cluster *c, const struct conf_endpoints *e)
{
    struct hash by_addr = {0};
    char key[HOST_KEY_MAX];
    struct upstream_host **old = c->hosts;
    size_t old_n = c->hosts_n;
    c->hosts = NULL;
    c->hosts_n = c->hosts_cap = 0;
    for (size_t i = 0; i < old_n; i++) {
        old[i]->is_kept = false;
        hash_set(&by_addr, host_key(&old[i]->addr, key), old[i]);
    }
    for (size_t i = 0; e && i < e->n; i++) {
        const struct conf_endpoint *ep = &e->v[i];
        if (!ep->address.len)
            continue; /* a name that is still to be resolved */
        struct str k = host_key(&ep->address, key);
        struct upstream_host *h = hash_find(&by_addr, k);
        struct tls_slot *tls = transports_choose(c, ep);
        if (h && h->is_kept)
            continue;
        if (!h || h->tls != tls) {
            h = host_create(c, &ep->address, "", tls);
            hash_set(&by_addr, k, h);
        }
        h->is_kept = true;
        set_host(h, ep);
        add_host(c, h);
    }
    lb_update(&c->lb, cluster_conf(c), c->hosts, c->hosts_n);
    cluster_stats_count_hosts(&c->stats, c->hosts, c->hosts_n);
    for (size_t i = 0; i < old_n; i++)
        if (!old[i]->is_kept)
            host_remove(old[i]);
    mem_free(old);
    hash_fini(&by_addr);
}

static bool is_original_dst(const struct upstream_cluster *c)
{
    return cluster_conf(c)->type == CONF_CLUSTER_ORIGINAL_DST;
}

struct upstream_cluster *cluster_create(struct upstreams *u, struct conf_cluster_entry *e)
{
    struct upstream_cluster *c = MEM_NEW(struct upstream_cluster);
    c->refs = 1;
    c->u = u;
    c->loop = u->loop;
    c->name = mem_strdup(e->cluster->object.name);
    c->entry = conf_object_ref(e);
    crypto_random(&c->lb.random.state, sizeof(c->lb.random.state));
    loop_timer_init(&c->cleanup_timer, u->loop, lb_original_dst_on_timer);
    cluster_stats_init(&c->stats, c->name);
    breakers_init(c);
    transports_update(c);
    if (!is_original_dst(c))
        update_hosts(c, e->endpoints);
    return c;
}

static void remove_all_hosts(struct upstream_cluster *c)
{
    loop_timer_stop(&c->cleanup_timer);
    hash_fini(&c->original_dst);
    lb_update(&c->lb, cluster_conf(c), NULL, 0);
    while (c->hosts_n)
        host_remove(c->hosts[--c->hosts_n]);
}

void cluster_update(struct upstream_cluster *c, struct conf_cluster_entry *e)
{
    struct conf_cluster_entry *old = c->entry;
    bool was_original_dst = is_original_dst(c);
    if (old == e)
        return;
    c->entry = conf_object_ref(e);
    struct tls_slot *was_tls = transports_choose(c, NULL);
    transports_update(c);
    if (was_original_dst != is_original_dst(c) ||
        (was_original_dst && was_tls != transports_choose(c, NULL)))
        remove_all_hosts(c);
    if (!is_original_dst(c))
        update_hosts(c, e->endpoints);
    conf_object_unref(old);
}

void cluster_drain(struct upstream_cluster *c)
{
    c->is_drained = true;
    c->refs++; /* the hosts' references may be the last ones */
    remove_all_hosts(c);
    cluster_unref(c);
}

void cluster_unref(struct upstream_cluster *c)
{
    if (--c->refs)
        return;
    loop_timer_stop(&c->cleanup_timer);
    lb_fini(&c->lb);
    mem_free(c->hosts);
    hash_fini(&c->original_dst);
    breakers_fini(c);
    transports_destroy(c);
    cluster_stats_fini(&c->stats);
    if (c->h2_stats)
        h2_stats_fini(c->h2_stats);
    mem_free(c->h2_stats);
    conf_object_unref(c->entry);
    mem_free(c->name);
    mem_free(c);
}

const struct conf_cluster *upstream_cluster_conf(const struct upstream_cluster *c)
{
    return cluster_conf(c);
}

struct upstream_host *upstream_pick(struct upstream_cluster *c, const struct lb_context *ctx)
{
    struct upstream_host *h;
    bool is_panic = false;
    if (is_original_dst(c))
        h = lb_original_dst_pick(c, ctx);
    else
        h = lb_pick(&c->lb, &is_panic);
    if (is_panic)
        stat_inc(c->stats.lb_healthy_panic);
    if (!h) {
        stat_inc(c->stats.upstream_cx_none_healthy);
        return NULL;
    }
    return host_ref(h);
}
