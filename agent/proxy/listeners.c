#include "proxy/listeners.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/overload.h"
#include "http/hold.h"
#include "net/sock.h"
#include "netfilter/origdst.h"
#include "proxy/balance.h"

enum { ACCEPTS_PER_EVENT = 32, DESCRIPTORS_KEPT_MAX = 256, PAUSE_MS = 100, LINE_US = 5000000 };

static const uint64_t NEVER = UINT64_MAX;

/* A listening descriptor and the listener version behind it. */
struct acceptor {
    struct loop_io io;
    struct list node;
    struct addr addr;
    struct listeners *ls;
    struct listener *listener;
    struct loop_timer pause_timer; /* it does not accept */
    uint64_t told_us;              /* when the log had it */
    bool is_short;                 /* half of the descriptors are gone */
    bool is_kept;                  /* mark of listeners_apply */
};

struct draining {
    struct list node;
    struct listener *listener;
    struct loop_timer timer;
    struct listeners *ls;
};

struct listeners {
    struct filter_env *env;
    struct list acceptors;
    struct hash by_name; /* struct listener */
    size_t active;       /* listeners that have not freed themselves */
    struct list draining;
    bool has_stopped, has_stopped_inbound;
    struct balance *balance;
};

/* ---- accepting ---- */

/* The listener that owns the original destination: exact address, else any-address with that
 * port. Source: Envoy's ConnectionHandlerImpl::getBalancedHandlerByAddress. */
static struct listener *find_by_address(void *arg, const struct addr *dst)
{
    struct listeners *ls = arg;
    struct listener *any = NULL;
    struct hash_entry *e;
    size_t it = 0;
    while ((e = hash_next(&ls->by_name, &it))) {
        struct listener *l = e->value;
        for (size_t i = 0; i < l->conf->sockets_n; i++) {
            const struct addr *a = &l->conf->sockets[i].addr;
            if (addr_eq(a, dst))
                return l;
            if (a->sa.sa_family == dst->sa.sa_family && addr_is_any(a) &&
                addr_port(a) == addr_port(dst))
                any = l;
        }
    }
    return any;
}

static bool is_capturing(const struct listener *l)
{
    return l->conf->has_original_dst_filter || l->conf->use_original_dst;
}

/* Whether the connection meant another address than the socket's own. TPROXY leaves the
 * destination as it was, so that the port tells; REDIRECT is undone. */
static bool restore_destination(const struct listener *l, int fd, struct addr *local)
{
    struct addr dst = {.len = sizeof(dst.ss)};
    if (!origdst_get(fd, &dst.ss, &dst.len)) {
        addr_unmap(&dst);
        if (!addr_eq(&dst, local)) {
            *local = dst;
            return true;
        }
    }
    return l->conf->transparent && !conf_listener_has_port(l->conf, addr_port(local));
}

/* Passing such a connection on would bring it back to us. */
static bool is_own_port(struct listeners *ls, const struct addr *dst)
{
    list_for_each (it, &ls->acceptors) {
        const struct acceptor *a = container_of(it, struct acceptor, node);
        if (is_capturing(a->listener) && a->addr.sa.sa_family == dst->sa.sa_family &&
            addr_port(&a->addr) == addr_port(dst))
            return true;
    }
    return false;
}

static void handle_accepted(struct listeners *ls, struct listener *l, int fd,
                            const struct addr *remote)
{
    struct accepted a = {.fd = fd, .remote = *remote};
    sock_local(fd, &a.local);
    addr_unmap(&a.local);
    addr_unmap(&a.remote);
    a.direct_local = a.local;
    a.direct_remote = a.remote;
    if (is_capturing(l))
        a.is_restored = restore_destination(l, fd, &a.local);
    if (a.is_restored && is_own_port(ls, &a.local)) {
        listener_refuse(l, fd, "the original destination is a port of the proxy");
        return;
    }
    if (l->conf->use_original_dst && a.is_restored) {
        struct listener *to = find_by_address(ls, &a.local);
        if (to) /* once only: the listener found does not hand over again */
            l = to;
    }
    if (a.local.sa.sa_family != AF_UNIX)
        sock_set_nodelay(fd);
    listener_take(l, &a);
}

/* Another worker accepted it for this one. */
static void take_balanced(void *arg, const char *name, int fd, struct addr *remote)
{
    struct listeners *ls = arg;
    struct listener *l = hash_find(&ls->by_name, str_of(name));
    if (l)
        handle_accepted(ls, l, fd, remote);
    else
        close(fd); /* it went meanwhile */
}

struct listeners *listeners_create(struct filter_env *env, struct balance *balance)
{
    struct listeners *ls = MEM_NEW(struct listeners);
    ls->env = env;
    ls->balance = balance;
    list_init(&ls->acceptors);
    list_init(&ls->draining);
    if (balance)
        balance_join(balance, env->worker_index, env->loop, take_balanced, ls);
    return ls;
}

static void on_accept(struct loop_io *io, uint32_t events);

static void on_pause_end(struct loop_timer *t)
{
    struct acceptor *a = container_of(t, struct acceptor, pause_timer);
    if (loop_add_listen(a->ls->env->loop, &a->io))
        loop_timer_start(&a->pause_timer, PAUSE_MS);
    else
        on_accept(&a->io, 0);
}

/* Clients wait in the kernel's queue meanwhile, and nobody spins. */
static void pause_accepting(struct acceptor *a, const char *why)
{
    uint64_t now_us = loop_now_us(a->ls->env->loop);
    if (!a->told_us || now_us - a->told_us > LINE_US) {
        a->told_us = now_us;
        log_warn(LOG_CONN_HANDLER, "listener %s accepts no connections for now: %s",
                 a->listener->conf->object.name, why);
    }
    loop_del(a->ls->env->loop, &a->io);
    loop_timer_start(&a->pause_timer, PAUSE_MS);
}

/* The descriptors from here on are kept for upstreams, logs and the admin. */
static int kept_from(void)
{
    struct rlimit l;
    if (getrlimit(RLIMIT_NOFILE, &l) || l.rlim_cur > INT32_MAX)
        return INT32_MAX;
    int limit = (int)l.rlim_cur, kept = limit / 10;
    return limit - (kept < DESCRIPTORS_KEPT_MAX ? kept : DESCRIPTORS_KEPT_MAX);
}

/* Would the next connection get one of those? The kernel gives the lowest number that is free. */
static bool is_last_one(const struct acceptor *a, int from)
{
    int next = a->is_short ? fcntl(a->io.fd, F_DUPFD_CLOEXEC, 0) : 0;
    if (next > 0)
        close(next);
    return next < 0 || next >= from;
}

static bool is_shortage(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

/* The connection is the process's own by now; it may have to go at once. */
static void take_one(struct acceptor *a, int fd, const struct addr *remote)
{
    struct listener *l = a->listener;
    if (!l->conf->ignores_connection_limit && overload_is_full_of_connections())
        listener_overflow(l, fd);
    else if (listener_is_full(l))
        listener_overflow_own(l, fd);
    else if (!l->conf->ignores_overload && overload_strikes(OVERLOAD_REJECT_INCOMING_CONNECTIONS))
        listener_reject(l, fd);
    else if (!balance_send(a->ls->balance, l->conf, a->ls->env->worker_index, fd, remote))
        handle_accepted(a->ls, l, fd, remote);
}

/* False: nobody waits, or accepting pauses. */
static bool accept_one(struct acceptor *a, int from)
{
    if (is_last_one(a, from)) {
        pause_accepting(a, "too few descriptors");
        return false;
    }
    struct addr remote = {.len = sizeof(remote.ss)};
    int fd = accept4(a->io.fd, &remote.sa, &remote.len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
        a->is_short = fd >= from / 2;
        take_one(a, fd, &remote);
        return true;
    }
    if (errno == EINTR || errno == ECONNABORTED)
        return true;
    if (is_shortage(errno))
        pause_accepting(a, strerror(errno));
    else if (errno != EAGAIN)
        log_warn(LOG_CONN_HANDLER, "accept on listener %s failed: %m",
                 a->listener->conf->object.name);
    return false;
}

static void on_accept(struct loop_io *io, uint32_t events)
{
    (void)events;
    struct acceptor *a = container_of(io, struct acceptor, io);
    const struct conf_listener *conf = a->listener->conf;
    if (!conf->ignores_overload && overload_is_full(OVERLOAD_STOP_ACCEPTING_CONNECTIONS)) {
        pause_accepting(a, "overload");
        return;
    }
    unsigned n = 0, max = conf->accepts_per_event ? conf->accepts_per_event : ACCEPTS_PER_EVENT;
    int from = kept_from();
    while (n < max && accept_one(a, from))
        n++;
    stat_record(a->listener->stats.accepted_per_event, n);
}

static struct acceptor *find_acceptor(struct listeners *ls, int fd)
{
    list_for_each (it, &ls->acceptors) {
        struct acceptor *a = container_of(it, struct acceptor, node);
        if (a->io.fd == fd)
            return a;
    }
    return NULL;
}

static void start_accepting(struct listeners *ls, struct listener *l, const struct addr *addr,
                            int fd)
{
    struct acceptor *a = find_acceptor(ls, fd);
    if (!a) {
        a = MEM_NEW(struct acceptor);
        a->addr = *addr;
        a->ls = ls;
        a->io = (struct loop_io){fd, on_accept};
        loop_timer_init(&a->pause_timer, ls->env->loop, on_pause_end);
        list_add_tail(&ls->acceptors, &a->node);
        if (loop_add_listen(ls->env->loop, &a->io))
            log_error(LOG_CONN_HANDLER, "cannot watch the socket of listener %s: %m",
                      l->conf->object.name);
    }
    a->listener = l;
    a->is_kept = true;
}

/* Its sockets follow each other in fds; what follows them is returned. */
static const int *start_all(struct listeners *ls, struct listener *l, const int *fds)
{
    for (size_t i = 0; i < l->conf->sockets_n; i++)
        if (fds[i] >= 0)
            start_accepting(ls, l, &l->conf->sockets[i].addr, fds[i]);
    return fds + l->conf->sockets_n;
}

static void stop_accepting(struct acceptor *a)
{
    bool is_paused = loop_timer_is_on(&a->pause_timer);
    if (!is_paused)
        on_accept(&a->io, 0); /* whoever is in the queue is still served */
    if (!loop_timer_is_on(&a->pause_timer))
        loop_del(a->ls->env->loop, &a->io);
    loop_timer_stop(&a->pause_timer);
    list_del(&a->node);
    mem_free(a);
}

/* ---- following snapshots ---- */

static bool is_stopped(const struct listeners *ls, const struct conf_listener *l)
{
    return ls->has_stopped || (ls->has_stopped_inbound && l->direction == CONF_INBOUND);
}

static void on_drain_time(struct loop_timer *t)
{
    struct draining *d = container_of(t, struct draining, timer);
    listener_close_all(d->listener);
}

static void on_listener_gone(struct listener *l, void *arg)
{
    struct draining *d = arg;
    (void)l;
    loop_timer_stop(&d->timer);
    list_del(&d->node);
    d->ls->active--;
    mem_free(d);
}

/* Out of the table; its connections are closed after close_ms. */
static void retire(struct listeners *ls, struct listener *l, uint64_t close_ms, bool has_stopped)
{
    struct draining *d = MEM_NEW(struct draining);
    d->listener = l;
    d->ls = ls;
    loop_timer_init(&d->timer, ls->env->loop, on_drain_time);
    if (close_ms != NEVER)
        loop_timer_start(&d->timer, close_ms);
    list_add_tail(&ls->draining, &d->node);
    listener_drain(l, has_stopped, on_listener_gone, d);
}

static void drop_vanished(struct listeners *ls, const struct snapshot *s, uint64_t drain_ms)
{
    list_for_each_safe (it, tmp, &ls->acceptors) {
        struct acceptor *a = container_of(it, struct acceptor, node);
        if (!a->is_kept)
            stop_accepting(a);
    }
    struct hash_entry *e;
    size_t it = 0;
    while ((e = hash_next(&ls->by_name, &it))) {
        struct listener *l = e->value;
        if (snapshot_listener(s, l->conf->object.name))
            continue;
        hash_remove(&ls->by_name, (struct str){e->key, e->key_len});
        retire(ls, l, drain_ms, false);
    }
}

void listeners_apply(struct listeners *ls, const int *fds, uint64_t drain_ms)
{
    const struct snapshot *s = ls->env->current->snapshot;
    list_for_each (it, &ls->acceptors)
        container_of(it, struct acceptor, node)->is_kept = false;
    struct listener **replaced = mem_zalloc((s->listeners_n + 1) * sizeof(*replaced));
    for (size_t i = 0; i < s->listeners_n; i++) {
        struct conf_listener *conf = s->listeners[i];
        struct str name = str_of(conf->object.name);
        struct listener *l = hash_find(&ls->by_name, name);
        if (is_stopped(ls, conf)) {
            fds += conf->sockets_n;
            continue;
        }
        if (l && l->conf != conf && l->conf->base_hash == conf->base_hash) {
            listener_update(l, conf, drain_ms);
        } else if (!l || l->conf != conf) {
            replaced[i] = l;
            l = listener_create(conf, ls->env);
            l->find = find_by_address;
            l->find_arg = ls;
            ls->active++;
            hash_set(&ls->by_name, name, l);
        }
        fds = start_all(ls, l, fds);
    }
    drop_vanished(ls, s, drain_ms);
    for (size_t i = 0; i < s->listeners_n; i++)
        if (replaced[i])
            retire(ls, replaced[i], drain_ms, false);
    mem_free(replaced);
}

static void stop(struct listeners *ls, bool inbound_only, uint64_t close_ms)
{
    ls->has_stopped = ls->has_stopped || !inbound_only;
    ls->has_stopped_inbound = true;
    list_for_each_safe (it, tmp, &ls->acceptors) {
        struct acceptor *a = container_of(it, struct acceptor, node);
        if (is_stopped(ls, a->listener->conf))
            stop_accepting(a);
    }
    struct hash_entry *e;
    size_t it = 0;
    while ((e = hash_next(&ls->by_name, &it))) {
        struct listener *l = e->value;
        if (!is_stopped(ls, l->conf))
            continue;
        hash_remove(&ls->by_name, (struct str){e->key, e->key_len});
        retire(ls, l, close_ms, true);
    }
}

void listeners_stop(struct listeners *ls, bool inbound_only)
{
    stop(ls, inbound_only, NEVER);
}

void listeners_shutdown(struct listeners *ls)
{
    stop(ls, false, NEVER);
    list_for_each (node, &ls->draining)
        listener_close_all(container_of(node, struct draining, node)->listener);
}

bool listeners_is_idle(const struct listeners *ls)
{
    return ls->active == 0;
}

void listeners_destroy(struct listeners **ls)
{
    if (!*ls)
        return;
    if ((*ls)->balance)
        balance_leave((*ls)->balance, (*ls)->env->worker_index);
    hash_fini(&(*ls)->by_name);
    mem_free(*ls);
    *ls = NULL;
}
