/* Draining the process, and what follows. [main] */
#include "base/drain.h"
#include "base/mem.h"
#include "server/server.h"

struct stopping {
    struct server *server;
    bool inbound_only;
    unsigned asked;
};

/* The worker did what it was told before. */
static void has_stopped(struct filter_env *env, void *arg)
{
    (void)env;
    (void)arg;
}

static void on_stopped(void *arg)
{
    struct stopping *st = arg;
    struct snapshot *now = publish_current(st->server->publish);
    if (--st->asked)
        return;
    for (size_t i = 0; i < now->listeners_n; i++) {
        const struct conf_listener *l = now->listeners[i];
        if (!st->inbound_only || l->direction == CONF_INBOUND)
            sockets_close(st->server->sockets, l);
    }
    mem_free(st);
}

/* Sockets close when all workers have let go of them. */
static void stop_listeners(struct server *s, bool inbound_only)
{
    struct stopping *st = MEM_NEW(struct stopping);
    *st = (struct stopping){s, inbound_only, s->workers_n};
    for (unsigned i = 0; i < s->workers_n; i++) {
        worker_stop_listeners(s->workers[i], inbound_only);
        worker_ask(s->workers[i], has_stopped, on_stopped, st);
    }
}

static void on_drained(struct loop_timer *t)
{
    struct server *s = container_of(t, struct server, drain_timer);
    stop_listeners(s, s->drains_inbound_only);
}

void server_drain(struct server *s, bool inbound_only, bool graceful, bool skip_exit)
{
    if (!graceful && !skip_exit) {
        stop_listeners(s, inbound_only);
        return;
    }
    if (!drain_begin(inbound_only, loop_now_us(s->loop)) || skip_exit)
        return;
    s->drains_inbound_only = inbound_only && s->drains_inbound_only;
    loop_timer_start(&s->drain_timer, (uint64_t)s->options->drain_time_s * 1000);
}

void server_set_health_failed(struct server *s, bool is_failed)
{
    s->is_health_failed = is_failed;
    drain_set_health_failed(is_failed);
}

void server_drain_for_successor(struct server *s)
{
    control_close(s->control);
    drain_begin(false, loop_now_us(s->loop));
    for (unsigned i = 0; i < s->workers_n; i++)
        worker_stop_listeners(s->workers[i], false);
}

void server_init_drain(struct server *s)
{
    loop_timer_init(&s->drain_timer, s->loop, on_drained);
    s->drains_inbound_only = true;
    drain_init((uint64_t)s->options->drain_time_s * 1000000, s->options->drain_immediate);
}
