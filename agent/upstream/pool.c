/* Requests meet connections here. One request per connection at a time; idle connections are
 * reused last used first, so that the surplus runs into its idle timeout. A request that finds
 * none waits, and one connection is opened for each that waits (within max_connections, but a
 * host without any may always have one). */
#include "upstream/upstream_private.h"

void pool_init(struct pool *p)
{
    list_init(&p->idle);
    list_init(&p->busy);
    list_init(&p->pending);
}

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

static struct h1_client *first_client(const struct list *l)
{
    return list_is_empty(l) ? NULL : container_of(l->next, struct h1_client, node);
}

static struct upstream_request *first_request(const struct list *l)
{
    return list_is_empty(l) ? NULL : container_of(l->next, struct upstream_request, node);
}

void pool_refill(struct upstream_host *h)
{
    struct pool *p = &h->pool;
    while (p->connecting_n < p->pending_n) {
        bool is_first = list_is_empty(&p->idle) && list_is_empty(&p->busy);
        unsigned priority =
            p->connecting_n < p->pending_high_n ? CONF_PRIORITY_HIGH : CONF_PRIORITY_DEFAULT;
        if (!cluster_take_connection(h->cluster, priority, is_first))
            return;
        h1_client_open(h, priority);
    }
}

static void unqueue(struct upstream_request *r)
{
    list_del(&r->node);
    r->host->pool.pending_n--;
    r->host->pool.pending_high_n -= r->priority == CONF_PRIORITY_HIGH;
    breaker_remove(r->cluster, r->priority, BREAKER_PENDING);
    stat_add(r->cluster->stats.upstream_rq_pending_active, -1);
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

static void queue(struct upstream_request *r)
{
    r->state = UPSTREAM_REQUEST_PENDING;
    list_add_tail(find_place(&r->host->pool, r->priority), &r->node);
    r->host->pool.pending_n++;
    r->host->pool.pending_high_n += r->priority == CONF_PRIORITY_HIGH;
    breaker_add(r->cluster, r->priority, BREAKER_PENDING);
    stat_inc(r->cluster->stats.upstream_rq_pending_total);
    stat_add(r->cluster->stats.upstream_rq_pending_active, 1);
}

static void refuse(struct upstream_request *r, enum upstream_reset why, const char *failure)
{
    struct upstreams *u = r->cluster->u;
    r->state = UPSTREAM_REQUEST_FAILED;
    r->pending_reset = why;
    r->pending_failure = failure;
    list_add_tail(&u->failed, &r->node);
    loop_defer(u->loop, &u->fail_task);
}

static void overflow(struct upstream_request *r)
{
    stat_inc(r->cluster->stats.upstream_rq_pending_overflow);
    refuse(r, UPSTREAM_RESET_OVERFLOW, "");
}

static void attach(struct h1_client *c, struct upstream_request *r)
{
    struct upstream_cluster *cluster = r->cluster;
    struct upstream_host *h = r->host;
    r->state = UPSTREAM_REQUEST_ACTIVE;
    r->client = c;
    r->local = &c->conn.local;
    r->is_ready = true;
    breaker_add(cluster, r->priority, BREAKER_REQUESTS);
    stat_inc(cluster->stats.upstream_rq_total);
    stat_add(cluster->stats.upstream_rq_active, 1);
    h->stats.rq_total++;
    h->stats.rq_active++;
    list_del(&c->node);
    list_add_tail(&h->pool.busy, &c->node);
    h1_client_attach(c, r);
}

void upstream_request_start(struct upstream_request *r, struct upstream_cluster *c,
                            struct upstream_host *host)
{
    r->cluster = c;
    r->host = host;
    list_init(&r->node);
    const char *refusal = upstream_refusal(c, true);
    if (refusal) {
        refuse(r, UPSTREAM_RESET_PROTOCOL, refusal);
        return;
    }
    struct h1_client *client = first_client(&host->pool.idle);
    if (client && breaker_is_open(c, r->priority, BREAKER_REQUESTS)) {
        overflow(r);
    } else if (client) {
        attach(client, r);
    } else if (breaker_is_open(c, r->priority, BREAKER_PENDING)) {
        overflow(r);
    } else {
        queue(r);
        pool_refill(host);
    }
}

void pool_put(struct h1_client *c)
{
    struct upstream_host *h = c->host;
    struct upstream_request *r;
    while ((r = first_request(&h->pool.pending))) {
        unqueue(r);
        if (breaker_is_open(h->cluster, r->priority, BREAKER_REQUESTS)) {
            overflow(r);
            continue;
        }
        attach(c, r);
        return;
    }
    if (h->is_removed) {
        h1_client_close(c);
        return;
    }
    list_del(&c->node);
    list_add_head(&h->pool.idle, &c->node);
    h1_client_idle(c);
}

void pool_close_idle(struct upstream_host *h)
{
    list_for_each_safe (it, tmp, &h->pool.idle)
        h1_client_close(container_of(it, struct h1_client, node));
}

void pool_close_all(struct upstream_host *h)
{
    pool_close_idle(h);
    list_for_each_safe (it, tmp, &h->pool.busy)
        h1_client_close(container_of(it, struct h1_client, node));
}

void pool_connect_failed(struct h1_client *c, enum upstream_reset why, const char *failure)
{
    struct upstream_host *h = c->host;
    struct upstream_request *r;
    struct list ejected;
    /* Those that a callback adds meanwhile get their own try. */
    list_init(&ejected);
    while ((r = first_request(&h->pool.pending))) {
        unqueue(r);
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

static void release_active(struct upstream_request *r)
{
    struct h1_client *c = r->client;
    breaker_remove(r->cluster, r->priority, BREAKER_REQUESTS);
    stat_add(r->cluster->stats.upstream_rq_active, -1);
    r->host->stats.rq_active--;
    r->client = NULL;
    r->state = UPSTREAM_REQUEST_ENDED;
    while (r->read_disabled) {
        r->read_disabled--;
        conn_read_enable(&c->conn);
    }
}

void upstream_request_detach(struct upstream_request *r)
{
    if (r->state == UPSTREAM_REQUEST_ACTIVE)
        release_active(r);
}

void upstream_request_finish(struct upstream_request *r)
{
    if (r->state == UPSTREAM_REQUEST_PENDING) {
        unqueue(r);
        stat_inc(r->cluster->stats.upstream_rq_cancelled);
    } else if (r->state == UPSTREAM_REQUEST_FAILED) {
        list_del(&r->node);
    } else if (r->state == UPSTREAM_REQUEST_ACTIVE) {
        struct h1_client *c = r->client;
        bool is_whole = r->is_done && r->request_complete;
        release_active(r);
        if (!is_whole)
            stat_inc(r->cluster->stats.upstream_rq_tx_reset);
        if (h1_client_detach(c) && is_whole)
            pool_put(c);
        else
            h1_client_close(c);
    }
    r->state = UPSTREAM_REQUEST_NONE;
    headers_fini(&r->headers);
    headers_fini(&r->trailers);
    if (r->host)
        upstream_host_unref(r->host);
    r->host = NULL;
    r->cluster = NULL;
}

void upstream_request_read_disable(struct upstream_request *r, bool disable)
{
    struct cluster_stats *s = r->cluster ? &r->cluster->stats : NULL;
    if (disable == !!r->read_disabled || !s)
        return;
    r->read_disabled = disable;
    stat_inc(disable ? s->upstream_flow_control_paused_reading_total
                     : s->upstream_flow_control_resumed_reading_total);
    if (!r->client)
        return;
    if (disable)
        conn_read_disable(&r->client->conn);
    else
        h1_client_resume(r->client);
}
