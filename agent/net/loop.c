#include "net/loop_private.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

enum { EVENTS_MAX = 256 };

static void on_wake(struct loop_io *io, uint32_t events)
{
    (void)events;
    uint64_t n;
    while (read(io->fd, &n, sizeof(n)) > 0)
        ;
}

int loop_create(struct loop **loop_r, struct error *err)
{
    struct loop *l = MEM_NEW(struct loop);
    l->tasks_tail = &l->tasks;
    l->events = mem_alloc(EVENTS_MAX * sizeof(*l->events));
    l->now_us = clock_mono_ns() / 1000;
    l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    l->wake = (struct loop_io){eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), on_wake};
    if (l->epoll_fd < 0 || l->wake.fd < 0 || loop_add_listen(l, &l->wake)) {
        int e = errno;
        loop_destroy(&l);
        return error_set_errno(err, e, "event loop");
    }
    *loop_r = l;
    return 0;
}

static struct loop_msg *take_inbox(struct loop *l)
{
    struct loop_msg *newest = __atomic_exchange_n(&l->inbox, NULL, __ATOMIC_ACQUIRE);
    struct loop_msg *oldest = NULL;
    while (newest) {
        struct loop_msg *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}

static void run_inbox(struct loop *l)
{
    struct loop_msg *m = take_inbox(l);
    while (m) {
        struct loop_msg *next = m->next;
        m->run(m);
        m = next;
    }
}

static void run_tasks(struct loop *l)
{
    while (l->tasks) {
        struct loop_task *t = l->tasks;
        l->tasks = t->next;
        if (!l->tasks)
            l->tasks_tail = &l->tasks;
        t->is_queued = false;
        t->run(t);
    }
}

void loop_run_messages(struct loop *l)
{
    do {
        run_inbox(l);
        run_tasks(l);
    } while (__atomic_load_n(&l->inbox, __ATOMIC_ACQUIRE));
}

void loop_destroy(struct loop **loop)
{
    struct loop *l = *loop;
    if (!l)
        return;
    loop_run_messages(l);
    timers_fini(&l->timers);
    if (l->epoll_fd >= 0)
        close(l->epoll_fd);
    if (l->wake.fd >= 0)
        close(l->wake.fd);
    mem_free(l->events);
    mem_free(l);
    *loop = NULL;
}

static void run_events(struct loop *l, int n)
{
    l->events_n = n;
    for (l->events_at = 0; l->events_at < l->events_n; l->events_at++) {
        struct epoll_event *e = &l->events[l->events_at];
        struct loop_io *io = e->data.ptr;
        if (io)
            io->on_event(io, e->events);
    }
    l->events_n = 0;
}

void loop_run(struct loop *l)
{
    l->is_stopped = false;
    while (!l->is_stopped) {
        int wait = l->tasks ? 0 : timers_wait_ms(&l->timers, l->now_us);
        int n = epoll_wait(l->epoll_fd, l->events, EVENTS_MAX, wait);
        l->now_us = clock_mono_ns() / 1000;
        l->wall_ns = 0;
        run_events(l, n > 0 ? n : 0);
        if (__atomic_load_n(&l->inbox, __ATOMIC_RELAXED))
            run_inbox(l);
        timers_run(&l->timers, l->now_us);
        run_tasks(l);
    }
}

void loop_stop(struct loop *l)
{
    l->is_stopped = true;
}

static int add(struct loop *l, struct loop_io *io, uint32_t events)
{
    struct epoll_event e = {.events = events, .data.ptr = io};
    return epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, io->fd, &e) < 0 ? -ERR_IO : 0;
}

int loop_add(struct loop *l, struct loop_io *io)
{
    return add(l, io, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
}

int loop_add_listen(struct loop *l, struct loop_io *io)
{
    return add(l, io, EPOLLIN);
}

void loop_del(struct loop *l, struct loop_io *io)
{
    epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, io->fd, NULL);
    for (int i = l->events_at + 1; i < l->events_n; i++)
        if (l->events[i].data.ptr == io)
            l->events[i].data.ptr = NULL;
}

void loop_defer(struct loop *l, struct loop_task *t)
{
    if (t->is_queued)
        return;
    t->is_queued = true;
    t->next = NULL;
    *l->tasks_tail = t;
    l->tasks_tail = &t->next;
}

void loop_post(struct loop *l, struct loop_msg *m)
{
    struct loop_msg *old = __atomic_load_n(&l->inbox, __ATOMIC_RELAXED);
    do
        m->next = old;
    while (
        !__atomic_compare_exchange_n(&l->inbox, &old, m, true, __ATOMIC_RELEASE, __ATOMIC_RELAXED));
    /* The first message into an empty inbox wakes; those behind it ride along. */
    if (!old) {
        uint64_t one = 1;
        ssize_t n = write(l->wake.fd, &one, sizeof(one));
        (void)n; /* a full eventfd is awake already */
    }
}

uint64_t loop_now_us(const struct loop *l)
{
    return l->now_us;
}

void loop_refresh_now(struct loop *l)
{
    l->now_us = clock_mono_ns() / 1000;
}

uint64_t loop_wall_ns(const struct loop *l)
{
    if (!l->wall_ns)
        ((struct loop *)l)->wall_ns = clock_wall_ns();
    return l->wall_ns;
}
