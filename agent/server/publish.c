#include "server/publish.h"

#include "base/mem.h"

struct waiter {
    struct list node;
    uint64_t generation;
    void (*done)(void *arg);
    void *arg;
};

struct publish {
    struct sockets *sockets;
    struct worker **workers;
    unsigned n;
    struct snapshot *current, *next;
    uint64_t *applied; /* generation per worker */
    struct list waiters;
};

struct publish *publish_create(struct sockets *sockets, struct worker **workers, unsigned n)
{
    struct publish *p = MEM_NEW(struct publish);
    p->sockets = sockets;
    p->workers = workers;
    p->n = n;
    p->applied = mem_zalloc(n * sizeof(*p->applied));
    p->current = snapshot_copy(NULL);
    list_init(&p->waiters);
    return p;
}

void publish_destroy(struct publish **publish)
{
    struct publish *p = *publish;
    if (!p)
        return;
    list_for_each_safe (it, tmp, &p->waiters) {
        list_del(it);
        mem_free(container_of(it, struct waiter, node));
    }
    snapshot_unref(p->current);
    snapshot_unref(p->next);
    mem_free(p->applied);
    mem_free(p);
    *publish = NULL;
}

struct snapshot *publish_current(struct publish *p)
{
    return p->current;
}

struct snapshot *publish_edit(struct publish *p)
{
    if (!p->next)
        p->next = snapshot_copy(p->current);
    return p->next;
}

int publish_open(struct publish *p, const struct conf_listener *l, struct error *err)
{
    return sockets_open(p->sockets, l, err);
}

void publish_release(struct publish *p, const struct conf_listener *l)
{
    sockets_release(p->sockets, l);
}

static void send_to(struct publish *p, unsigned worker)
{
    struct snapshot *s = p->current;
    size_t n = 0;
    for (size_t i = 0; i < s->listeners_n; i++)
        n += s->listeners[i]->sockets_n;
    int *fds = mem_alloc((n + 1) * sizeof(int));
    n = 0;
    for (size_t i = 0; i < s->listeners_n; i++) {
        const struct conf_listener *l = s->listeners[i];
        for (size_t k = 0; k < l->sockets_n; k++)
            fds[n++] = l->bind_to_port ? sockets_fd(p->sockets, &l->sockets[k], worker) : -1;
    }
    worker_apply(p->workers[worker], s, fds, n);
    mem_free(fds);
}

static uint64_t slowest(const struct publish *p)
{
    uint64_t g = UINT64_MAX;
    for (unsigned i = 0; i < p->n; i++)
        if (p->applied[i] < g)
            g = p->applied[i];
    return g;
}

static void run_waiters(struct publish *p)
{
    uint64_t g = slowest(p);
    list_for_each_safe (it, tmp, &p->waiters) {
        struct waiter *w = container_of(it, struct waiter, node);
        if (w->generation > g)
            continue;
        list_del(it);
        w->done(w->arg);
        mem_free(w);
    }
}

void publish_commit(struct publish *p, void (*done)(void *arg), void *arg)
{
    if (p->next) {
        snapshot_unref(p->current);
        p->current = p->next;
        p->next = NULL;
        for (size_t i = 0; i < p->current->listeners_n; i++)
            sockets_listen(p->sockets, p->current->listeners[i]);
        for (unsigned i = 0; i < p->n; i++)
            send_to(p, i);
    }
    if (!done)
        return;
    struct waiter *w = MEM_NEW(struct waiter);
    *w = (struct waiter){.generation = p->current->generation, .done = done, .arg = arg};
    list_add_tail(&p->waiters, &w->node);
    if (slowest(p) >= w->generation)
        run_waiters(p);
}

void publish_on_applied(struct publish *p, unsigned worker, uint64_t generation)
{
    p->applied[worker] = generation;
    if (slowest(p) == p->current->generation)
        sockets_close_unused(p->sockets, p->current);
    run_waiters(p);
}
