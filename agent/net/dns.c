/* c-ares' descriptors come and go and want level-triggered events, so they live in an epoll set of
 * their own, and the loop watches that set as one descriptor. */
#include "net/dns.h"

#include <ares.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/mem.h"

enum { EVENTS_MAX = 16, QUERY_TIMEOUT_MS = 3000, TRIES = 2 };

struct dns {
    struct loop *loop;
    struct loop_io io; /* the inner epoll set */
    ares_channel channel;
    struct loop_timer timer;
    struct list queries;
    struct loop_task task; /* answers that are due, and destruction */
    bool in_task, is_destroyed;
};

struct dns_query {
    struct list node;
    struct dns *dns;
    char *name;
    enum dns_family family;
    dns_fn *done; /* NULL: cancelled */
    void *arg;
    bool in_flight;   /* c-ares will call back */
    bool is_second;   /* the second family is being asked */
    bool is_answered; /* told by the task */
    int status;
    struct addr *addrs;
    size_t n, cap;
};

static void start_timer(struct dns *d)
{
    struct timeval max = {3600, 0}, tv;
    struct timeval *next = ares_timeout(d->channel, &max, &tv);
    uint64_t ms = (uint64_t)next->tv_sec * 1000 + ((uint64_t)next->tv_usec + 999) / 1000;
    if (list_is_empty(&d->queries))
        loop_timer_stop(&d->timer);
    else
        loop_timer_start(&d->timer, ms ? ms : 1);
}

static void on_timer(struct loop_timer *t)
{
    struct dns *d = container_of(t, struct dns, timer);
    ares_process_fd(d->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    start_timer(d);
}

static void on_event(struct loop_io *io, uint32_t events)
{
    (void)events;
    struct dns *d = container_of(io, struct dns, io);
    struct epoll_event ev[EVENTS_MAX];
    int n = epoll_wait(io->fd, ev, EVENTS_MAX, 0);
    for (int i = 0; i < n; i++) {
        bool error = ev[i].events & (EPOLLERR | EPOLLHUP);
        ares_process_fd(d->channel,
                        error || (ev[i].events & EPOLLIN) ? ev[i].data.fd : ARES_SOCKET_BAD,
                        error || (ev[i].events & EPOLLOUT) ? ev[i].data.fd : ARES_SOCKET_BAD);
    }
    start_timer(d);
}

static void on_socket(void *arg, ares_socket_t fd, int readable, int writable)
{
    struct dns *d = arg;
    struct epoll_event ev = {.data.fd = fd};
    if (readable)
        ev.events |= EPOLLIN;
    if (writable)
        ev.events |= EPOLLOUT;
    if (!ev.events)
        epoll_ctl(d->io.fd, EPOLL_CTL_DEL, fd, NULL);
    else if (epoll_ctl(d->io.fd, EPOLL_CTL_MOD, fd, &ev))
        epoll_ctl(d->io.fd, EPOLL_CTL_ADD, fd, &ev);
}

static void free_query(struct dns_query *q)
{
    list_del(&q->node);
    mem_free(q->name);
    mem_free(q->addrs);
    mem_free(q);
}

static struct dns_query *first_answered(struct dns *d)
{
    list_for_each (it, &d->queries) {
        struct dns_query *q = container_of(it, struct dns_query, node);
        if (q->is_answered)
            return q;
    }
    return NULL;
}

static void run_task(struct loop_task *t)
{
    struct dns *d = container_of(t, struct dns, task);
    struct dns_query *q;
    d->in_task = true;
    while (!d->is_destroyed && (q = first_answered(d))) {
        struct dns_query copy = *q;
        q->addrs = NULL;
        free_query(q);
        copy.done(copy.status, copy.addrs, copy.n, copy.arg);
        mem_free(copy.addrs);
    }
    d->in_task = false;
    if (d->is_destroyed)
        mem_free(d);
}

static void answer(struct dns_query *q, int status)
{
    q->status = status;
    q->is_answered = true;
    loop_defer(q->dns->loop, &q->dns->task);
}

static void ask(struct dns_query *q, int family);

static void take_addrs(struct dns_query *q, const struct ares_addrinfo *info)
{
    for (const struct ares_addrinfo_node *a = info->nodes; a; a = a->ai_next) {
        if (q->n >= DNS_ADDRS_MAX || (size_t)a->ai_addrlen > sizeof(q->addrs->ss))
            return;
        mem_grow((void **)&q->addrs, &q->cap, q->n + 1, sizeof(*q->addrs));
        struct addr *to = &q->addrs[q->n++];
        memset(to, 0, sizeof(*to));
        to->len = (socklen_t)a->ai_addrlen;
        memcpy(&to->ss, a->ai_addr, (size_t)a->ai_addrlen);
        addr_set_port(to, 0);
    }
}

static bool is_empty_answer(int status)
{
    return status == ARES_ENODATA || status == ARES_ENOTFOUND;
}

static void on_answer(void *arg, int status, int timeouts, struct ares_addrinfo *info)
{
    (void)timeouts;
    struct dns_query *q = arg;
    q->in_flight = false;
    if (status == ARES_SUCCESS)
        take_addrs(q, info);
    if (info)
        ares_freeaddrinfo(info);
    if (!q->done) {
        free_query(q);
        return;
    }
    if (status == ARES_EDESTRUCTION)
        return; /* dns_destroy frees the query */
    bool may_ask_other = q->family == DNS_AUTO || q->family == DNS_V4_PREFERRED;
    if (!q->n && may_ask_other && !q->is_second) {
        q->is_second = true;
        ask(q, q->family == DNS_AUTO ? AF_INET : AF_INET6);
    } else if (q->n || is_empty_answer(status)) {
        answer(q, 0);
    } else {
        answer(q, status == ARES_ETIMEOUT ? -ERR_TIMEOUT : -ERR_IO);
    }
}

static void ask(struct dns_query *q, int family)
{
    struct ares_addrinfo_hints hints = {
        .ai_flags = ARES_AI_NOSORT, .ai_family = family, .ai_socktype = SOCK_STREAM};
    q->in_flight = true;
    ares_getaddrinfo(q->dns->channel, q->name, NULL, &hints, on_answer, q);
}

static int first_family(enum dns_family f)
{
    switch (f) {
    case DNS_V4:
    case DNS_V4_PREFERRED:
        return AF_INET;
    case DNS_AUTO:
    case DNS_V6:
        return AF_INET6;
    case DNS_ALL:
        break;
    }
    return AF_UNSPEC;
}

struct dns_query *dns_resolve(struct dns *d, const char *name, enum dns_family family, dns_fn *done,
                              void *arg)
{
    struct addr literal;
    struct dns_query *q = MEM_NEW(struct dns_query);
    q->dns = d;
    q->name = mem_strdup(name);
    q->family = family;
    q->done = done;
    q->arg = arg;
    list_add_tail(&d->queries, &q->node);
    if (addr_from_ip(str_of(name), 0, &literal, NULL) == 0) {
        mem_grow((void **)&q->addrs, &q->cap, 1, sizeof(*q->addrs));
        q->addrs[q->n++] = literal;
        answer(q, 0);
    } else {
        ask(q, first_family(family));
        start_timer(d);
    }
    return q;
}

void dns_cancel(struct dns_query **q_p)
{
    struct dns_query *q = *q_p;
    *q_p = NULL;
    if (!q)
        return;
    q->done = NULL;
    q->is_answered = false;
    if (!q->in_flight)
        free_query(q); /* else c-ares still knows it */
}

int dns_create(struct loop *loop, struct dns **d_r, struct error *err)
{
    struct dns *d = MEM_NEW(struct dns);
    struct ares_options o = {.flags = 0,
                             .timeout = QUERY_TIMEOUT_MS,
                             .tries = TRIES,
                             .sock_state_cb = on_socket,
                             .sock_state_cb_data = d};
    int mask = ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB;
    d->loop = loop;
    d->task.run = run_task;
    list_init(&d->queries);
    loop_timer_init(&d->timer, loop, on_timer);
    d->io = (struct loop_io){epoll_create1(EPOLL_CLOEXEC), on_event};
    int status = ares_library_init(ARES_LIB_INIT_ALL);
    if (status == ARES_SUCCESS)
        status = ares_init_options(&d->channel, &o, mask);
    if (d->io.fd < 0 || status != ARES_SUCCESS || loop_add_listen(loop, &d->io)) {
        if (status == ARES_SUCCESS)
            ares_destroy(d->channel);
        if (d->io.fd >= 0)
            close(d->io.fd);
        mem_free(d);
        return error_set(err, ERR_IO, "dns: %s", ares_strerror(status));
    }
    *d_r = d;
    return 0;
}

int dns_set_servers(struct dns *d, const char *servers, struct error *err)
{
    int status = ares_set_servers_ports_csv(d->channel, servers);
    if (status != ARES_SUCCESS)
        return error_set(err, ERR_INVALID, "dns servers '%s': %s", servers, ares_strerror(status));
    return 0;
}

void dns_destroy(struct dns **d_p)
{
    struct dns *d = *d_p;
    *d_p = NULL;
    if (!d)
        return;
    loop_timer_stop(&d->timer);
    ares_destroy(d->channel); /* answers all that is in flight with ARES_EDESTRUCTION */
    list_for_each_safe (it, tmp, &d->queries)
        free_query(container_of(it, struct dns_query, node));
    loop_del(d->loop, &d->io);
    close(d->io.fd);
    d->is_destroyed = true;
    if (!d->task.is_queued && !d->in_task)
        mem_free(d);
}
