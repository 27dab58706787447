/* The upstream of a TCP session: which cluster and host, how often, and a connection to it. */
#include "filters/net_filter.h"
#include "http/hold.h"
#include "proxy/tcp_session.h"

static struct tcp_session *of(struct conn *c)
{
    return container_of(c, struct tcp_session, up.conn);
}

/* ---- a connection of its own ---- */

static void on_connected(struct conn *c)
{
    tcp_up_connected(of(c), &c->local);
}

static void on_data(struct conn *c)
{
    struct buf data = {0};
    buf_move(&data, &c->in);
    tcp_up_data(of(c), &data);
}

static void on_eof(struct conn *c)
{
    tcp_up_eof(of(c));
}

static void on_close(struct conn *c)
{
    struct tcp_session *s = of(c);
    if (c->cause == CONN_CONNECT_FAILED) {
        if (tcp_upstream_try_again(s))
            return;
        s->info.flags |= FLAG_UPSTREAM_CONNECTION_FAILURE;
        s->info.upstream_failure = s->up.timed_out ? "delayed connect error: Connection timed out"
                                                   : upstream_conn_failure(c, s->failure);
    }
    tcp_up_closed(s, c->cause);
}

static void on_high_water(struct conn *c)
{
    tcp_up_water(of(c), true);
}

static void on_low_water(struct conn *c)
{
    tcp_up_water(of(c), false);
}

static const struct conn_ops conn_ops = {
    .on_data = on_data,
    .on_eof = on_eof,
    .on_close = on_close,
    .on_high_water = on_high_water,
    .on_low_water = on_low_water,
    .on_connected = on_connected,
};

static void write_up(struct tcp_session *s, struct buf *data, bool end)
{
    tcp_session_write(&s->up.conn, data, end);
}

static void read_disable(struct tcp_session *s, bool disable)
{
    if (disable)
        conn_read_disable(&s->up.conn);
    else
        conn_read_enable(&s->up.conn);
}

static void close_up(struct tcp_session *s, bool after_flush)
{
    if (after_flush)
        conn_close_after_flush(&s->up.conn);
    else
        conn_close(&s->up.conn);
}

static const struct tcp_up_ops up_ops = {write_up, read_disable, close_up};

static int connect_to(struct tcp_session *s, struct upstream_cluster *c, struct upstream_host *host)
{
    s->up.down = &s->down.info;
    s->up_ops = &up_ops;
    return upstream_connect(&s->up, c, host, &conn_ops);
}

/* ---- which ---- */

static void fail(struct tcp_session *s, uint32_t flag)
{
    s->info.flags |= flag;
    conn_close(&s->conn);
}

void tcp_upstream_connect(struct tcp_session *s)
{
    struct filter_env *env = s->down.listener->env;
    struct upstream_cluster *c =
        upstreams_find(env->upstreams, s->hold->snapshot, str_of(s->cluster));
    if (!c) {
        stat_inc(s->stats->no_route);
        fail(s, FLAG_NO_CLUSTER_FOUND);
        return;
    }
    s->info.upstream_cluster = s->cluster;
    struct lb_context ctx = {.original_dst = s->down.info.is_restored ? &s->down.info.local : NULL};
    struct upstream_host *host = upstream_pick(c, &ctx);
    if (!host) {
        fail(s, FLAG_NO_HEALTHY_UPSTREAM);
        return;
    }
    s->info.upstream_remote = *upstream_host_addr(host);
    s->info.attempts++;
    s->up.cluster = c;
    if (s->conf->tunnel) {
        s->has_upstream = true; /* first: the request may be ready at once */
        tcp_tunnel_connect(s, c, host);
    } else if (connect_to(s, c, host)) {
        s->info.upstream_remote.len = 0; /* nobody was tried */
        s->info.attempts--;
        fail(s, FLAG_UPSTREAM_OVERFLOW);
    } else {
        s->has_upstream = true;
    }
}

bool tcp_upstream_try_again(struct tcp_session *s)
{
    if (!conn_is_open(&s->conn))
        return false;
    if (s->info.attempts >= s->conf->max_connect_attempts) {
        s->info.flags |= FLAG_UPSTREAM_RETRY_LIMIT_EXCEEDED;
        upstream_count_attempts_exceeded(s->up.cluster);
        return false;
    }
    if (s->up.host)
        upstream_host_unref(s->up.host);
    s->up.host = NULL;
    s->has_upstream = false;
    tcp_upstream_connect(s);
    return true;
}
