/* Requests meet connections here. A host has a pool per protocol. A connection takes as many
 * requests as its codec allows at a time (HTTP/1: one); those with room are used last used first,
 * so that the surplus runs into its idle timeout. A request that finds none waits, and connections
 * are opened for those that wait (within max_connections, but a host without any may always have
 * one). */
#include "base/mem.h"
#include "upstream/client_private.h"

bool cluster_take_connection(struct upstream_cluster *c, unsigned priority, bool always)
{
    if (breaker_is_open(c, priority, BREAKER_CONNECTIONS)) {
        stat_inc(c->stats.upstream_cx_overflow);
        if (!always)
            return false;
    }
    breaker_add(c, priority, BREAKER_CONNECTIONS);
    stat_inc(c->stats.upstream_cx_total);
    stat_add(c->stats.upstream_cx_active, 1);
    return true;
}

static struct client *first_client(const struct list *l)
{
    return list_is_empty(l) ? NULL : container_of(l->next, struct client, node);
}

static struct upstream_request *first_request(const struct list *l)
{
    return list_is_empty(l) ? NULL : container_of(l->next, struct upstream_request, node);
}

struct pool *pool_create(struct upstream_host *h, enum pool_kind kind)
{
    struct pool *p = MEM_NEW(struct pool);
    p->host = h;
    p->kind = kind;
    list_init(&p->ready);
    list_init(&p->busy);
    list_init(&p->pending);
    return p;
}

static struct pool *get_pool(struct upstream_host *h, enum pool_kind kind,
                             const struct upstream_request *r)
{
    struct pool *keyed = pool_keyed(h, kind, r);
    if (keyed)
        return keyed;
    if (!h->pools[kind])
        h->pools[kind] = pool_create(h, kind);
    return h->pools[kind];
}

static enum pool_kind choose_pool(const struct upstream_request *r)
{
    if (r->is_raw)
        return POOL_TCP;
    switch (cluster_conf(r->cluster)->http) {
    case CONF_UPSTREAM_HTTP2:
        return POOL_HTTP2;
    case CONF_UPSTREAM_BY_ALPN:
        return POOL_ALPN;
    case CONF_UPSTREAM_AS_CLIENT:
        return r->is_from_http2 ? POOL_HTTP2 : POOL_HTTP1;
    case CONF_UPSTREAM_HTTP1:
        break;
    }
    return POOL_HTTP1;
}

void pools_destroy(struct upstream_host *h)
{
    for (int i = 0; i < POOL_KINDS; i++)
        mem_free(h->pools[i]);
    pools_keyed_destroy(h);
}

void pool_refill(struct pool *p)
{
    while (p->connecting_n < p->pending_n) {
        bool is_first = list_is_empty(&p->ready) && list_is_empty(&p->busy);
        unsigned priority =
            p->connecting_n < p->pending_high_n ? CONF_PRIORITY_HIGH : CONF_PRIORITY_DEFAULT;
        if (!cluster_take_connection(p->host->cluster, priority, is_first))
            return;
        client_open(p, priority);
    }
}

void pool_unqueue(struct upstream_request *r)
{
    struct pool *p = r->pool;
    list_del(&r->node);
    p->pending_n--;
    p->pending_high_n -= r->priority == CONF_PRIORITY_HIGH;
    breaker_remove(r->cluster, r->priority, BREAKER_PENDING);
    stat_add(r->cluster->stats.upstream_rq_pending_active, -1);
    p->host->stats.rq_pending_active--;
}

/* What the request is put in front of: high priority goes before the rest. */
static struct list *find_place(struct pool *p, enum conf_priority priority)
{
    if (priority == CONF_PRIORITY_HIGH && p->pending_high_n < p->pending_n)
        list_for_each (it, &p->pending)
            if (container_of(it, struct upstream_request, node)->priority != priority)
                return it;
    return &p->pending;
}

static void queue(struct pool *p, struct upstream_request *r)
{
    r->state = UPSTREAM_REQUEST_PENDING;
    r->pool = p;
    list_add_tail(find_place(p, r->priority), &r->node);
    p->pending_n++;
    p->pending_high_n += r->priority == CONF_PRIORITY_HIGH;
    breaker_add(r->cluster, r->priority, BREAKER_PENDING);
    stat_inc(r->cluster->stats.upstream_rq_pending_total);
    stat_add(r->cluster->stats.upstream_rq_pending_active, 1);
    p->host->stats.rq_pending_active++;
}

static void overflow(struct upstream_request *r)
{
    stat_inc(r->cluster->stats.upstream_rq_pending_overflow);
    request_refuse(r, UPSTREAM_RESET_OVERFLOW, "");
}

/* Its last request when max_requests_per_connection says so. */
static void count_request(struct client *c)
{
    uint32_t max = cluster_conf(c->host->cluster)->max_requests_per_connection;
    c->active_n++;
    c->requests_n++;
    if (max && c->requests_n >= max && !c->must_close) {
        stat_inc(c->host->cluster->stats.upstream_cx_max_requests);
        c->must_close = true;
    }
}

static void attach(struct client *c, struct upstream_request *r)
{
    struct upstream_cluster *cluster = r->cluster;
    struct upstream_host *h = r->host;
    r->state = UPSTREAM_REQUEST_ACTIVE;
    r->client = c;
    r->local = &c->conn.local;
    r->is_ready = true;
    r->is_http2 = c->codec == &h2_client_codec;
    breaker_add(cluster, r->priority, BREAKER_REQUESTS);
    stat_inc(cluster->stats.upstream_rq_total);
    stat_add(cluster->stats.upstream_rq_active, 1);
    h->stats.rq_total++;
    h->stats.rq_active++;
    loop_timer_stop(&c->timer);
    count_request(c);
    if (!client_has_room(c)) {
        list_del(&c->node);
        list_add_tail(&c->pool->busy, &c->node);
    }
    c->codec->attach(c, r);
}

void upstream_request_start(struct upstream_request *r, struct upstream_cluster *c,
                            struct upstream_host *host)
{
    r->cluster = c;
    r->host = host;
    list_init(&r->node);
    struct pool *p = get_pool(host, choose_pool(r), r);
    struct client *client = first_client(&p->ready);
    if (client && breaker_is_open(c, r->priority, BREAKER_REQUESTS)) {
        overflow(r);
    } else if (client) {
        attach(client, r);
    } else if (breaker_is_open(c, r->priority, BREAKER_PENDING)) {
        overflow(r);
    } else {
        queue(p, r);
        pool_refill(p);
    }
}

void pool_put(struct client *c)
{
    struct pool *p = c->pool;
    struct upstream_request *r;
    while (client_has_room(c) && (r = first_request(&p->pending))) {
        pool_unqueue(r);
        if (breaker_is_open(p->host->cluster, r->priority, BREAKER_REQUESTS))
            overflow(r);
        else
            attach(c, r);
    }
    if (!c->active_n && (c->must_close || p->host->is_removed)) {
        client_close(c);
        return;
    }
    list_del(&c->node);
    if (!client_has_room(c)) {
        list_add_tail(&p->busy, &c->node);
        return;
    }
    list_add_head(&p->ready, &c->node);
    if (!c->active_n)
        client_idle(c);
}

static void drain(struct pool *p)
{
    list_for_each_safe (it, tmp, &p->ready)
        client_drain(container_of(it, struct client, node));
}

static void close_busy(struct pool *p)
{
    list_for_each_safe (it, tmp, &p->busy)
        client_close(container_of(it, struct client, node));
}

static void each_pool(struct upstream_host *h, void (*fn)(struct pool *p))
{
    struct hash_entry *e;
    size_t it = 0;
    for (int i = 0; i < POOL_KINDS; i++)
        if (h->pools[i])
            fn(h->pools[i]);
    while ((e = hash_next(&h->keyed, &it)))
        fn(e->value);
}

void pools_drain(struct upstream_host *h)
{
    each_pool(h, drain);
}

void pools_close_all(struct upstream_host *h)
{
    each_pool(h, drain);
    each_pool(h, close_busy);
}

void pool_connect_failed(struct pool *p, enum upstream_reset why, const char *failure)
{
    struct upstream_request *r;
    struct list ejected;
    /* Those that a callback adds meanwhile get their own try. */
    list_init(&ejected);
    while ((r = first_request(&p->pending))) {
        pool_unqueue(r);
        r->state = UPSTREAM_REQUEST_FAILED;
        list_add_tail(&ejected, &r->node);
    }
    while ((r = first_request(&ejected))) {
        list_del(&r->node);
        r->state = UPSTREAM_REQUEST_ENDED;
        stat_inc(r->cluster->stats.upstream_rq_pending_failure_eject);
        r->ops->on_reset(r, why, failure);
    }
}
