#include "proxy/limit.h"

#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "http/hold.h"
#include "net/conn_tls.h"

struct chain_limit {
    const struct conf_connection_limit *conf;
    stat_id limited, active;
};

/* One that is kept waiting for its end. */
struct rejected {
    struct downstream down;
    struct conn conn;
    struct loop_timer timer;
};

static const struct conf_connection_limit *limit_of(const struct conf_net_filter *f)
{
    return f->kind == CONF_NET_CONNECTION_LIMIT ? f->limit : NULL;
}

void limits_init(struct listener_chain *c)
{
    size_t n = 0;
    for (size_t i = 0; i < c->conf->filters_n; i++)
        n += limit_of(&c->conf->filters[i]) != NULL;
    if (!n)
        return;
    c->limits = mem_zalloc(n * sizeof(*c->limits));
    for (size_t i = 0; i < c->conf->filters_n && c->limits_n < UINT8_MAX; i++) {
        const struct conf_connection_limit *l = limit_of(&c->conf->filters[i]);
        if (!l)
            continue;
        c->limits[c->limits_n++] = (struct chain_limit){
            l, stat_define(STAT_COUNTER, "connection_limit.%s.limited_connections", l->stat_prefix),
            stat_define(STAT_GAUGE, "connection_limit.%s.active_connections", l->stat_prefix)};
    }
}

void limits_fini(struct listener_chain *c)
{
    for (size_t i = 0; i < c->limits_n; i++) {
        stat_release(c->limits[i].limited);
        stat_release(c->limits[i].active);
    }
    mem_free(c->limits);
}

/* A limit that is switched off counts all the same: it holds as soon as it is on. */
static bool is_over(const struct chain_limit *l, uint64_t n, const struct runtime *r)
{
    bool is_on = *l->conf->runtime_key
                     ? runtime_boolean(r, str_of(l->conf->runtime_key), l->conf->is_enabled)
                     : l->conf->is_enabled;
    return is_on && n > l->conf->max;
}

static void close_rejected(struct downstream *d)
{
    conn_close(&container_of(d, struct rejected, down)->conn);
}

static void on_delay(struct loop_timer *t)
{
    conn_close(&container_of(t, struct rejected, timer)->conn);
}

static void on_data(struct conn *c)
{
    (void)c;
}

static void on_close(struct conn *c)
{
    struct rejected *r = container_of(c, struct rejected, conn);
    loop_timer_stop(&r->timer);
    downstream_fini(&r->down);
    mem_free(r);
}

static const struct conn_ops rejected_ops = {
    .on_data = on_data, .on_eof = on_data, .on_close = on_close};

static void reject(struct listener_chain *c, const struct accepted *a, struct conn_tls *tls,
                   uint32_t delay_ms)
{
    struct loop *loop = c->listener->env->loop;
    struct rejected *r = MEM_NEW(struct rejected);
    log_debug(LOG_CONN_HANDLER, "closing connection: over_connection_limit on %s",
              c->owner->object.name);
    downstream_init(&r->down, c->listener, a, c);
    r->down.close = close_rejected;
    conn_init_accepted(&r->conn, loop, a->fd, &rejected_ops);
    if (tls)
        conn_tls_attach(&r->conn, tls);
    conn_read_disable(&r->conn);
    r->conn.closes_on_early_eof = true;
    r->down.info.connection_id = r->conn.id;
    loop_timer_init(&r->timer, loop, on_delay);
    if (delay_ms)
        loop_timer_start(&r->timer, delay_ms);
    else
        conn_close(&r->conn);
}

bool limit_enter(struct listener_chain *c, struct accepted *a, struct conn_tls *tls)
{
    const struct filter_env *env = c->listener->env;
    for (size_t i = 0; i < c->limits_n; i++) {
        struct chain_limit *l = &c->limits[i];
        uint64_t n = __atomic_add_fetch(l->conf->active, 1, __ATOMIC_RELAXED);
        stat_add(l->active, 1);
        a->limits_n++;
        if (is_over(l, n, env->current->snapshot->runtime)) {
            stat_inc(l->limited);
            reject(c, a, tls, l->conf->delay_ms);
            return false;
        }
    }
    return true;
}

void limit_leave(struct downstream *d)
{
    for (size_t i = 0; i < d->limits_n; i++) {
        __atomic_sub_fetch(d->chain->limits[i].conf->active, 1, __ATOMIC_RELAXED);
        stat_add(d->chain->limits[i].active, -1);
    }
}
