#include "proxy/balance.h"

#include <unistd.h>

#include "base/mem.h"

struct peer {
    struct loop *loop; /* NULL: not there */
    void (*take)(void *arg, const char *listener, int fd, struct addr *remote);
    void *arg; /* NULL: it has left */
};

struct balance {
    struct peer peers[CONF_BALANCE_WORKERS];
    unsigned n;
};

struct parcel {
    struct loop_msg msg;
    struct peer *to;
    unsigned worker;
    struct conf_listener *listener;
    int fd;
    struct addr remote;
};

struct balance *balance_create(void)
{
    return MEM_NEW(struct balance);
}

void balance_destroy(struct balance **b)
{
    mem_free(*b);
    *b = NULL;
}

void balance_join(struct balance *b, unsigned worker, struct loop *loop,
                  void (*take)(void *arg, const char *listener, int fd, struct addr *remote),
                  void *arg)
{
    if (worker >= CONF_BALANCE_WORKERS)
        return;
    b->peers[worker] = (struct peer){loop, take, arg};
    b->n = worker + 1 > b->n ? worker + 1 : b->n;
}

void balance_leave(struct balance *b, unsigned worker)
{
    if (worker < CONF_BALANCE_WORKERS)
        b->peers[worker].arg = NULL;
}

/* It counted as one of this worker's while it was on its way. */
static void run_take(struct loop_msg *m)
{
    struct parcel *p = container_of(m, struct parcel, msg);
    if (p->to->arg)
        p->to->take(p->to->arg, p->listener->object.name, p->fd, &p->remote);
    else
        close(p->fd);
    balance_add(p->listener, p->worker, -1);
    conf_object_unref(p->listener);
    mem_free(p);
}

static unsigned fewest(const struct balance *b, const uint32_t *counts, unsigned own)
{
    unsigned best = own;
    uint32_t least = __atomic_load_n(&counts[own], __ATOMIC_RELAXED);
    for (unsigned i = 0; i < b->n; i++) {
        uint32_t n = __atomic_load_n(&counts[i], __ATOMIC_RELAXED);
        if (n < least && b->peers[i].loop) {
            least = n;
            best = i;
        }
    }
    return best;
}

bool balance_send(struct balance *b, struct conf_listener *l, unsigned own, int fd,
                  const struct addr *remote)
{
    if (!b || !l->balance || own >= b->n)
        return false;
    unsigned to = fewest(b, l->balance, own);
    if (to == own)
        return false;
    struct parcel *p = MEM_NEW(struct parcel);
    p->to = &b->peers[to];
    p->worker = to;
    p->listener = conf_object_ref(l);
    p->fd = fd;
    p->remote = *remote;
    p->msg.run = run_take;
    balance_add(l, to, 1);
    loop_post(p->to->loop, &p->msg);
    return true;
}
