/* One connection to a host: how it comes up, idles and ends, whatever it speaks. */
#include "base/mem.h"
#include "upstream/client_private.h"

enum { HEAD_MAX = 80 * 1024, IN_MORE = 16 * 1024, LINGER_MS = 5000 };

static struct client *of(struct conn *conn)
{
    return container_of(conn, struct client, conn);
}

void client_count_bytes(struct client *c)
{
    struct cluster_stats *s = &c->host->cluster->stats;
    stat_add(s->upstream_cx_rx_bytes_total, (int64_t)(c->conn.rx_bytes - c->rx_counted));
    stat_add(s->upstream_cx_tx_bytes_total, (int64_t)(c->conn.tx_bytes - c->tx_counted));
    c->rx_counted = c->conn.rx_bytes;
    c->tx_counted = c->conn.tx_bytes;
}

void client_close(struct client *c)
{
    c->must_close = true;
    loop_timer_stop(&c->timer);
    list_del(&c->node); /* serves nobody any more */
    conn_close(&c->conn);
}

void client_end(struct client *c)
{
    if (!c->conn.out.len) {
        client_close(c);
        return;
    }
    c->must_close = true;
    list_del(&c->node);
    loop_timer_start(&c->timer, LINGER_MS);
    conn_close_after_flush(&c->conn);
}

void client_drain(struct client *c)
{
    c->must_close = true;
    if (c->state != CLIENT_OPEN || !conn_is_open(&c->conn))
        return;
    pool_put(c);
    pool_refill(c->pool);
}

static void end_connecting(struct client *c)
{
    loop_timer_stop(&c->timer);
    c->pool->connecting_n -= c->connecting_n;
    c->connecting_n = 0;
}

static void set_codec(struct client *c, bool is_http2)
{
    struct cluster_stats *s = &c->host->cluster->stats;
    c->codec = is_http2 ? &h2_client_codec : &h1_client_codec;
    stat_inc(is_http2 ? s->upstream_cx_http2_total : s->upstream_cx_http1_total);
}

static void on_age(struct loop_timer *t)
{
    struct client *c = container_of(t, struct client, age_timer);
    stat_inc(c->host->cluster->stats.upstream_cx_max_duration_reached);
    client_drain(c);
}

static void start_age(struct client *c)
{
    uint32_t max_ms = cluster_conf(c->host->cluster)->max_connection_duration_ms;
    if (max_ms)
        loop_timer_start(&c->age_timer, max_ms);
}

static void on_connected(struct conn *conn)
{
    struct client *c = of(conn);
    stat_record(c->host->cluster->stats.upstream_cx_connect_ms,
                (loop_now_us(conn->loop) - c->start_us) / 1000);
    end_connecting(c);
    c->state = CLIENT_OPEN;
    if (c->pool->kind == POOL_ALPN)
        set_codec(c, str_is(conn_alpn(conn), "h2"));
    start_age(c);
    c->conn.ops = &c->codec->conn;
    c->codec->start(c);
    pool_put(c);
    if (c->pool->kind == POOL_ALPN)
        pool_refill(c->pool); /* it may take fewer than was hoped */
}

static void count_close(struct client *c, bool with_request)
{
    struct cluster_stats *s = &c->host->cluster->stats;
    bool is_local = c->conn.cause == CONN_CLOSED_LOCAL;
    breaker_remove(c->host->cluster, c->priority, BREAKER_CONNECTIONS);
    c->host->stats.cx_active--;
    stat_add(s->upstream_cx_active, -1);
    stat_inc(s->upstream_cx_destroy);
    stat_inc(is_local ? s->upstream_cx_destroy_local : s->upstream_cx_destroy_remote);
    if (with_request) {
        stat_inc(s->upstream_cx_destroy_with_active_rq);
        stat_inc(is_local ? s->upstream_cx_destroy_local_with_active_rq
                          : s->upstream_cx_destroy_remote_with_active_rq);
    }
    stat_record(s->upstream_rq_per_cx, c->requests_n);
    stat_record(s->upstream_cx_length_ms, (loop_now_us(c->conn.loop) - c->start_us) / 1000);
    client_count_bytes(c);
}

static void fail_connecting(struct client *c)
{
    struct cluster_stats *s = &c->host->cluster->stats;
    char text[TRANSPORT_FAILURE_MAX];
    stat_inc(s->upstream_cx_connect_fail);
    c->host->stats.cx_connect_fail++;
    if (c->has_timed_out) {
        stat_inc(s->upstream_cx_connect_timeout);
        pool_connect_failed(c->pool, UPSTREAM_RESET_CONNECT_TIMEOUT, "");
        return;
    }
    pool_connect_failed(c->pool, UPSTREAM_RESET_CONNECT_FAILED,
                        upstream_conn_failure(&c->conn, text));
}

void client_on_close(struct conn *conn)
{
    struct client *c = of(conn);
    bool was_connecting = c->state == CLIENT_CONNECTING;
    loop_timer_stop(&c->timer);
    loop_timer_stop(&c->age_timer);
    count_close(c, c->active_n || c->was_cut);
    list_del(&c->node);
    c->state = CLIENT_CLOSED;
    if (was_connecting)
        end_connecting(c);
    else
        c->codec->stop(c);
    if (was_connecting && (conn->cause == CONN_CONNECT_FAILED || c->has_timed_out))
        fail_connecting(c);
    pool_refill(c->pool);
    c->pool->clients_n--;
    c->is_over = true;
    loop_defer(conn->loop, &c->task); /* callers up the stack still look at it */
}

static const struct conn_ops connecting_ops = {
    .on_close = client_on_close,
    .on_connected = on_connected,
};

static void on_timer(struct loop_timer *t)
{
    struct client *c = container_of(t, struct client, timer);
    if (c->state == CLIENT_CONNECTING)
        c->has_timed_out = true;
    else if (!c->must_close) /* else it lingered for its output: client_end */
        stat_inc(c->host->cluster->stats.upstream_cx_idle_timeout);
    client_close(c);
}

static void run_task(struct loop_task *t)
{
    struct client *c = container_of(t, struct client, task);
    if (!c->is_over) {
        c->codec->run(c);
        return;
    }
    if (c->codec_state)
        c->codec->destroy(c);
    upstream_host_unref(c->host);
    mem_free(c);
}

uint32_t client_streams_max(const struct pool *p)
{
    const struct conf_cluster *conf = cluster_conf(p->host->cluster);
    uint32_t max = conf->http2.max_concurrent_streams;
    if (p->kind == POOL_HTTP1 || p->kind == POOL_TCP)
        return 1;
    if (p->streams_max && p->streams_max < max)
        max = p->streams_max;
    if (conf->max_requests_per_connection && conf->max_requests_per_connection < max)
        max = conf->max_requests_per_connection;
    return max;
}

static const struct transport_options transports[] = {
    [POOL_HTTP1] = {.alpn = {"\x08http/1.1", 9}},
    [POOL_HTTP2] = {.alpn = {"\x02h2", 3}},
    [POOL_ALPN] = {.alpn = {"\x02h2\x08http/1.1", 12}},
    [POOL_TCP] = {.alpn = {NULL, 0}},
};

static void init_conn(struct client *c)
{
    const struct pool *p = c->pool;
    const struct conf_cluster *conf = cluster_conf(c->host->cluster);
    struct transport_options o = transports[p->kind];
    struct addr a;
    o.down = p->down;
    o.alpn_override = p->alpn;
    if (p->server_name && conf->auto_san)
        o.name = p->server_name;
    if (p->server_name && conf->auto_sni && addr_from_ip(str_of(p->server_name), 0, &a, NULL))
        o.sni = p->server_name;
    upstream_conn_init(c->host, &c->conn, &connecting_ops, &o);
}

void client_open(struct pool *p, unsigned priority)
{
    struct upstream_host *h = p->host;
    struct upstream_cluster *cluster = h->cluster;
    const struct conf_cluster *conf = cluster_conf(cluster);
    struct client *c = MEM_NEW(struct client);
    c->host = host_ref(h);
    c->pool = p;
    c->priority = priority;
    c->task.run = run_task;
    c->start_us = loop_now_us(cluster->loop);
    p->clients_n++;
    init_conn(c);
    /* The head of a response must fit into what is read ahead. */
    uint64_t head = conf->response_headers_size_max ? conf->response_headers_size_max : HEAD_MAX;
    c->conn.high_water = conf->buffer_limit > head + IN_MORE ? conf->buffer_limit : head + IN_MORE;
    loop_timer_init(&c->timer, cluster->loop, on_timer);
    loop_timer_init(&c->age_timer, cluster->loop, on_age);
    if (conf->connect_timeout_ms)
        loop_timer_start(&c->timer, conf->connect_timeout_ms);
    list_add_tail(&p->busy, &c->node);
    c->connecting_n = client_streams_max(p);
    p->connecting_n += c->connecting_n;
    h->stats.cx_total++;
    h->stats.cx_active++;
    if (p->kind == POOL_TCP)
        c->codec = &tcp_client_codec;
    else if (p->kind != POOL_ALPN)
        set_codec(c, p->kind == POOL_HTTP2);
}

void client_idle(struct client *c)
{
    uint32_t idle_ms = cluster_conf(c->host->cluster)->idle_timeout_ms;
    if (idle_ms)
        loop_timer_start(&c->timer, idle_ms);
}
