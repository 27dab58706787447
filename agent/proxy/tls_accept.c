#include "proxy/tls_accept.h"

#include "base/log.h"
#include "base/mem.h"
#include "http/hold.h"

struct tls_accept {
    struct downstream down;
    struct conn conn;
    struct listener_chain *chain;
    struct loop_timer timer;
    bool is_handed_over, has_timed_out;
};

static struct tls_accept *of(struct conn *c)
{
    return container_of(c, struct tls_accept, conn);
}

static void close_now(struct downstream *d)
{
    conn_close(&container_of(d, struct tls_accept, down)->conn);
}

static void on_timer(struct loop_timer *t)
{
    struct tls_accept *a = container_of(t, struct tls_accept, timer);
    a->has_timed_out = true;
    conn_close(&a->conn);
}

/* Nothing is read before the session has the connection. */
static void on_data(struct conn *c)
{
    (void)c;
}

static void on_connected(struct conn *c)
{
    struct tls_accept *a = of(c);
    int fd;
    loop_timer_stop(&a->timer);
    a->is_handed_over = true;
    struct conn_tls *tls = conn_tls_detach(c, &fd);
    struct accepted on = downstream_accepted(&a->down, fd);
    listener_start_session(a->down.listener, a->chain, &on, tls);
}

/* Envoy's connection manager is there before the handshake, so it counts those that fail. */
static void count_failed(const struct tls_accept *a)
{
    if (!a->chain->hcm)
        return;
    stat_inc(a->chain->hcm->stats.cx_total);
    stat_inc(a->chain->hcm->stats.cx_ssl_total);
    hcm_count_closed(&a->chain->hcm->stats, a->has_timed_out, false);
}

static void on_close(struct conn *c)
{
    struct tls_accept *a = of(c);
    struct listener *l = a->down.listener;
    loop_timer_stop(&a->timer);
    if (a->is_handed_over) {
        downstream_hand_over(&a->down);
    } else {
        char text[ADDR_TEXT_MAX];
        if (a->has_timed_out)
            stat_inc(l->stats.transport_socket_connect_timeout);
        log_debug(LOG_CONNECTION, "[C%llu] %s: remote address:%s,%s", (unsigned long long)c->id,
                  l->conf->object.name, addr_format(&a->down.info.remote, text),
                  a->has_timed_out ? "connection was closed because the handshake took too long"
                                   : conn_failure(c));
        count_failed(a);
        downstream_fini(&a->down);
    }
    mem_free(a);
}

static const struct conn_ops accept_ops = {
    .on_data = on_data, .on_eof = on_data, .on_close = on_close, .on_connected = on_connected};

void tls_accept_start(struct listener *l, struct listener_chain *chain, const struct accepted *from)
{
    const char *why;
    struct tls_context *ctx = tls_slot_context(chain->tls, l->env->current->snapshot, &why);
    struct tls_accept *a = MEM_NEW(struct tls_accept);
    downstream_init(&a->down, l, from, chain);
    a->down.close = close_now;
    a->chain = chain;
    conn_init_accepted(&a->conn, l->env->loop, from->fd, &accept_ops);
    loop_timer_init(&a->timer, l->env->loop, on_timer);
    if (!ctx) {
        conn_tls_refuse(&a->conn, why);
        return;
    }
    if (chain->conf->transport_connect_timeout_ms)
        loop_timer_start(&a->timer, chain->conf->transport_connect_timeout_ms);
    conn_tls_accept(&a->conn, ctx, tls_slot_stats(chain->tls));
}
