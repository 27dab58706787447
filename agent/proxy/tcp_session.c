/* A TCP session: a downstream connection, the network filters of its chain, and the upstream of the
 * terminal tcp_proxy (tcp_upstream.c: a connection; tcp_tunnel.c: an HTTP request). Source: Envoy's
 * TcpProxy filter.
 *
 * Bytes from the client pass the filters first to last and go to the upstream; bytes from the
 * upstream pass them last to first. Reading from the client starts once the upstream is
 * connected. Half closes are passed on in both directions. */
#include "proxy/tcp_session.h"

#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "filters/access_log.h"
#include "filters/registry.h"
#include "http/hold.h"

enum { FROM_CLIENT, TO_CLIENT };

static struct tcp_session *of_down(struct conn *c)
{
    return container_of(c, struct tcp_session, conn);
}

static void touch(struct tcp_session *s)
{
    if (s->conf->idle_timeout_ms)
        loop_timer_start(&s->idle_timer, s->conf->idle_timeout_ms);
}

/* ---- the end ---- */

static void run_free(struct loop_task *t)
{
    struct tcp_session *s = container_of(t, struct tcp_session, free_task);
    for (size_t i = 0; i < s->filters_n; i++) {
        struct net_filter *f = &s->filters[i];
        if (!f->is_skipped && f->ops->on_complete)
            f->ops->on_complete(f);
        if (!f->is_skipped && f->ops->session_fini)
            f->ops->session_fini(f);
        buf_fini(&f->held[0]);
        buf_fini(&f->held[1]);
    }
    access_logs_write(s->logs, &s->info, NULL);
    access_logs_write(s->down.listener->logs, &s->info, NULL);
    s->down.is_logged = true;
    if (s->up.host)
        upstream_host_unref(s->up.host);
    tcp_tunnel_destroy(&s->tunnel);
    hold_release(s->down.listener->env, s->hold);
    downstream_fini(&s->down);
    mem_free(s->filters);
    mem_free(s);
}

static void end_if_both_closed(struct tcp_session *s)
{
    if (!s->is_down_closed || (s->has_upstream && !s->is_up_closed) || s->free_task.is_queued)
        return;
    s->info.end_us = loop_now_us(s->conn.loop);
    loop_timer_stop(&s->idle_timer);
    loop_timer_stop(&s->duration_timer);
    loop_defer(s->conn.loop, &s->free_task);
}

static void close_both(struct tcp_session *s)
{
    conn_close_after_flush(&s->conn);
    if (s->has_upstream)
        s->up_ops->close(s, false);
}

/* Both peers have ended; what they said last may still be on its way. */
static void end_both(struct tcp_session *s)
{
    conn_close_after_flush(&s->conn);
    if (s->has_upstream)
        s->up_ops->close(s, true);
}

static void close_now(struct downstream *d)
{
    struct tcp_session *s = container_of(d, struct tcp_session, down);
    conn_close(&s->conn);
    if (s->has_upstream)
        s->up_ops->close(s, false);
}

static void on_idle(struct loop_timer *t)
{
    struct tcp_session *s = container_of(t, struct tcp_session, idle_timer);
    stat_inc(s->stats->idle_timeout);
    s->info.termination_details = "tcp_session_idle_timeout";
    close_now(&s->down);
}

static void on_duration(struct loop_timer *t)
{
    struct tcp_session *s = container_of(t, struct tcp_session, duration_timer);
    stat_inc(s->stats->max_duration);
    s->info.flags |= FLAG_DURATION_TIMEOUT;
    s->info.termination_details = "max_connection_duration_reached";
    close_now(&s->down);
}

/* ---- bytes through the filters ---- */

void tcp_session_write(struct conn *to, struct buf *data, bool end)
{
    buf_move(&to->out, data);
    if (end)
        conn_shutdown_write(to);
    else
        conn_flush(to);
}

static void deliver(struct tcp_session *s, int dir, struct buf *data, bool end)
{
    if (dir == FROM_CLIENT && !s->has_upstream)
        buf_fini(data);
    else if (dir == FROM_CLIENT)
        s->up_ops->write(s, data, end);
    else
        tcp_session_write(&s->conn, data, end);
}

/* Shows data to the filter; true: it goes on. */
static bool show(struct net_filter *f, int dir, struct buf *data, bool end)
{
    if (f->is_skipped) /* it may have no ops at all */
        return true;
    enum net_status (*fn)(struct net_filter *, struct buf *, bool) =
        dir == FROM_CLIENT ? f->ops->on_data : f->ops->on_write;
    if (!fn)
        return true;
    if (f->held[dir].len) {
        buf_move(&f->held[dir], data);
        buf_move(data, &f->held[dir]);
    }
    f->in_callback = true;
    enum net_status st = fn(f, data, end);
    f->in_callback = false;
    if (st == NET_CONTINUE || f->go_on_pending[dir]) {
        f->go_on_pending[dir] = false;
        f->is_stopped[dir] = false;
        return true;
    }
    f->is_stopped[dir] = true;
    f->end_held[dir] = f->end_held[dir] || end;
    buf_move(&f->held[dir], data);
    return false;
}

static void pass_from(struct tcp_session *s, int dir, int i, struct buf *data, bool end)
{
    int step = dir == FROM_CLIENT ? 1 : -1;
    for (; i >= 0 && i < (int)s->filters_n; i += step)
        if (!show(&s->filters[i], dir, data, end))
            return;
    deliver(s, dir, data, end);
}

static void pass(struct tcp_session *s, int dir, struct buf *data, bool end)
{
    pass_from(s, dir, dir == FROM_CLIENT ? 0 : (int)s->filters_n - 1, data, end);
}

static void start_from(struct tcp_session *s, size_t i);

static void go_on(struct net_filter *f, bool is_write)
{
    struct tcp_session *s = f->session;
    int dir = is_write ? TO_CLIENT : FROM_CLIENT;
    if (f->in_callback) {
        f->go_on_pending[dir] = true;
        return;
    }
    if (!is_write && s->start_at == f->index) { /* it stopped in on_new */
        start_from(s, f->index + 1u);
        return;
    }
    if (!f->is_stopped[dir])
        return;
    f->is_stopped[dir] = false;
    struct buf data = {0};
    buf_move(&data, &f->held[dir]);
    pass_from(s, dir, f->index + (dir == FROM_CLIENT ? 1 : -1), &data, f->end_held[dir]);
}

static void close_by_filter(struct net_filter *f, bool is_upstream, const char *details)
{
    struct tcp_session *s = f->session;
    s->info.termination_details = details;
    if (!is_upstream)
        close_both(s);
    else if (s->has_upstream)
        s->up_ops->close(s, true);
}

static const struct net_session_ops session_ops = {go_on, close_by_filter};

/* ---- downstream ---- */

static void on_down_data(struct conn *c)
{
    struct tcp_session *s = of_down(c);
    struct buf data = {0};
    touch(s);
    s->info.bytes_received += c->in.len;
    stat_add(s->stats->rx_bytes, (int64_t)c->in.len);
    buf_move(&data, &c->in);
    pass(s, FROM_CLIENT, &data, false);
}

static void on_down_eof(struct conn *c)
{
    struct tcp_session *s = of_down(c);
    struct buf none = {0};
    s->is_down_eof = true;
    pass(s, FROM_CLIENT, &none, true);
    if (!s->has_upstream || s->is_up_eof)
        end_both(s);
}

static void on_down_close(struct conn *c)
{
    struct tcp_session *s = of_down(c);
    s->is_down_closed = true;
    if (c->cause == CONN_CLOSED_RESET)
        s->info.flags |= FLAG_DOWNSTREAM_CONNECTION_TERMINATION;
    for (size_t i = 0; i < s->filters_n; i++)
        if (!s->filters[i].is_skipped && s->filters[i].ops->on_downstream_close)
            s->filters[i].ops->on_downstream_close(&s->filters[i], c->cause != CONN_CLOSED_LOCAL);
    if (s->has_upstream)
        s->up_ops->close(s, true);
    end_if_both_closed(s);
}

static void on_down_high(struct conn *c)
{
    struct tcp_session *s = of_down(c);
    if (s->has_upstream) {
        s->is_up_held = true;
        s->up_ops->read_disable(s, true);
    }
}

static void on_down_low(struct conn *c)
{
    struct tcp_session *s = of_down(c);
    if (s->is_up_held) {
        s->is_up_held = false;
        s->up_ops->read_disable(s, false);
    }
}

static const struct conn_ops down_ops = {
    .on_data = on_down_data,
    .on_eof = on_down_eof,
    .on_close = on_down_close,
    .on_high_water = on_down_high,
    .on_low_water = on_down_low,
};

/* ---- upstream ---- */

void tcp_up_connected(struct tcp_session *s, const struct addr *local)
{
    s->info.upstream_local = *local;
    conn_read_enable(&s->conn);
}

void tcp_up_data(struct tcp_session *s, struct buf *data)
{
    touch(s);
    s->info.bytes_sent += data->len;
    stat_add(s->stats->tx_bytes, (int64_t)data->len);
    pass(s, TO_CLIENT, data, false);
}

void tcp_up_eof(struct tcp_session *s)
{
    struct buf none = {0};
    s->is_up_eof = true;
    pass(s, TO_CLIENT, &none, true);
    if (s->is_down_eof)
        end_both(s);
}

void tcp_up_closed(struct tcp_session *s, enum conn_close_cause cause)
{
    s->is_up_closed = true;
    for (size_t i = 0; i < s->filters_n; i++)
        if (!s->filters[i].is_skipped && s->filters[i].ops->on_upstream_close)
            s->filters[i].ops->on_upstream_close(&s->filters[i], cause != CONN_CLOSED_LOCAL);
    if (cause == CONN_CLOSED_RESET)
        conn_reset(&s->conn);
    else
        conn_close_after_flush(&s->conn);
    end_if_both_closed(s);
}

void tcp_up_water(struct tcp_session *s, bool is_high)
{
    if (is_high == s->is_down_held)
        return;
    s->is_down_held = is_high;
    if (is_high)
        conn_read_disable(&s->conn);
    else
        conn_read_enable(&s->conn);
}

/* ---- start ---- */

static void start_from(struct tcp_session *s, size_t i)
{
    for (; i < s->filters_n; i++) {
        struct net_filter *f = &s->filters[i];
        if (f->is_skipped || !f->ops->on_new)
            continue;
        f->in_callback = true;
        enum net_status st = f->ops->on_new(f);
        f->in_callback = false;
        if (!conn_is_open(&s->conn))
            return;
        if (st == NET_STOP && !f->go_on_pending[FROM_CLIENT]) {
            s->start_at = f->index;
            return;
        }
        f->go_on_pending[FROM_CLIENT] = false;
    }
    s->start_at = -1;
    tcp_upstream_connect(s);
}

static void init_filters(struct tcp_session *s, struct listener_chain *chain)
{
    s->filters_n = chain->conf->filters_n - 1; /* the last one is tcp_proxy: this file */
    s->filters = mem_zalloc(s->filters_n * sizeof(*s->filters));
    for (size_t i = 0; i < s->filters_n; i++) {
        struct net_filter *f = &s->filters[i];
        f->conf = &chain->conf->filters[i];
        f->ops = registry_net_filter(f->conf->kind);
        f->worker_obj = chain->worker_objs[i];
        f->info = &s->info;
        f->env = s->down.listener->env;
        f->session_ops = &session_ops;
        f->session = s;
        f->index = (uint16_t)i;
        f->is_skipped = !f->ops || (f->ops->session_init && !f->ops->session_init(f));
    }
}

void tcp_session_start(struct listener *l, struct listener_chain *chain, const struct accepted *a,
                       struct conn_tls *tls)
{
    struct tcp_session *s = MEM_NEW(struct tcp_session);
    downstream_init(&s->down, l, a, chain);
    s->down.close = close_now;
    s->conf = chain->conf->filters[chain->conf->filters_n - 1].tcp_proxy;
    s->hold = hold_take(l->env);
    s->free_task.run = run_free;
    s->start_at = -1;
    s->stats = &chain->tcp_stats;
    s->tunnel_formats = chain->tunnel_formats;
    s->logs = chain->logs;
    stat_inc(s->stats->cx_total);
    s->info.down = &s->down.info;
    s->info.start_us = loop_now_us(l->env->loop);
    s->info.start_wall_ns = loop_wall_ns(l->env->loop);
    s->info.http_minor = 255;
    loop_timer_init(&s->idle_timer, l->env->loop, on_idle);
    loop_timer_init(&s->duration_timer, l->env->loop, on_duration);
    if (s->conf->max_duration_ms)
        loop_timer_start(&s->duration_timer, s->conf->max_duration_ms);
    conn_init_accepted(&s->conn, l->env->loop, a->fd, &down_ops);
    if (tls)
        conn_tls_attach(&s->conn, tls);
    downstream_set_tls(&s->down, &s->conn);
    s->conn.high_water = l->conf->buffer_limit;
    s->down.info.connection_id = s->conn.id;
    conn_read_disable(&s->conn); /* until the upstream is there */
    touch(s);
    s->cluster = tcp_session_cluster(s);
    init_filters(s, chain);
    start_from(s, 0);
}
