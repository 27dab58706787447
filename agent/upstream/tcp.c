/* TCP connections to a host of a cluster, for the TCP proxy. */
#include "upstream/upstream_private.h"

static struct upstream_tcp *of(struct conn *conn)
{
    return container_of(conn, struct upstream_tcp, conn);
}

static void on_connected(struct conn *conn)
{
    struct upstream_tcp *u = of(conn);
    loop_timer_stop(&u->connect_timer);
    u->is_connected = true;
    stat_inc(u->cluster->stats.upstream_rq_total);
    stat_add(u->cluster->stats.upstream_rq_active, 1);
    stat_record(u->cluster->stats.upstream_cx_connect_ms,
                (loop_now_us(conn->loop) - u->start_us) / 1000);
    u->user_ops->on_connected(conn);
}

static void count_close(struct upstream_tcp *u)
{
    struct cluster_stats *s = &u->cluster->stats;
    breaker_remove(u->cluster, CONF_PRIORITY_DEFAULT, BREAKER_CONNECTIONS);
    u->host->stats.cx_active--;
    stat_add(s->upstream_cx_active, -1);
    stat_inc(s->upstream_cx_destroy);
    stat_add(s->upstream_cx_rx_bytes_total, (int64_t)u->conn.rx_bytes);
    stat_add(s->upstream_cx_tx_bytes_total, (int64_t)u->conn.tx_bytes);
    if (u->conn.cause == CONN_CONNECT_FAILED) {
        stat_inc(s->upstream_cx_connect_fail);
        stat_inc(s->upstream_rq_pending_failure_eject);
        stat_inc(u->timed_out ? s->upstream_cx_destroy_local : s->upstream_cx_destroy_remote);
        u->host->stats.cx_connect_fail++;
        if (u->timed_out)
            stat_inc(s->upstream_cx_connect_timeout);
        return;
    }
    /* Whoever closed: when the peer was heard to the end, it was the peer. */
    bool is_local = u->conn.cause == CONN_CLOSED_LOCAL && !u->conn.is_eof;
    stat_inc(is_local ? s->upstream_cx_destroy_local : s->upstream_cx_destroy_remote);
    if (u->is_connected) { /* the connection is the request */
        stat_inc(s->upstream_cx_destroy_with_active_rq);
        stat_inc(is_local ? s->upstream_cx_destroy_local_with_active_rq
                          : s->upstream_cx_destroy_remote_with_active_rq);
        stat_add(s->upstream_rq_active, -1);
    }
    stat_record(s->upstream_cx_length_ms, (loop_now_us(u->conn.loop) - u->start_us) / 1000);
}

static void on_close(struct conn *conn)
{
    struct upstream_tcp *u = of(conn);
    loop_timer_stop(&u->connect_timer);
    if (u->timed_out)
        conn->cause = CONN_CONNECT_FAILED;
    count_close(u);
    u->user_ops->on_close(conn); /* may free u */
}

static void on_connect_timeout(struct loop_timer *t)
{
    struct upstream_tcp *u = container_of(t, struct upstream_tcp, connect_timer);
    u->timed_out = true;
    conn_close(&u->conn);
}

void upstream_count_attempts_exceeded(struct upstream_cluster *c)
{
    stat_inc(c->stats.upstream_cx_connect_attempts_exceeded);
}

int upstream_connect(struct upstream_tcp *u, struct upstream_cluster *c, struct upstream_host *host,
                     const struct conn_ops *ops)
{
    const struct conf_cluster *conf = cluster_conf(c);
    if (!cluster_take_connection(c, CONF_PRIORITY_DEFAULT, false)) {
        upstream_host_unref(host);
        return -ERR_LIMIT;
    }
    u->cluster = c;
    u->host = host;
    u->timed_out = u->is_connected = false;
    stat_inc(c->stats.upstream_rq_pending_total);
    u->user_ops = ops;
    u->ops = *ops;
    u->ops.on_connected = on_connected;
    u->ops.on_close = on_close;
    u->start_us = loop_now_us(c->loop);
    host->stats.cx_total++;
    host->stats.cx_active++;
    upstream_conn_init(host, &u->conn, &u->ops, &(struct transport_options){.down = u->down});
    u->conn.high_water = conf->buffer_limit;
    loop_timer_init(&u->connect_timer, c->loop, on_connect_timeout);
    if (conf->connect_timeout_ms)
        loop_timer_start(&u->connect_timer, conf->connect_timeout_ms);
    return 0;
}
