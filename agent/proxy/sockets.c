#include "proxy/sockets.h"

#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/list.h"
#include "base/mem.h"
#include "net/sock.h"

struct socket_set {
    struct list node;
    struct addr addr;
    bool is_listening;
    bool is_handed_over; /* another process has it too */
    unsigned reserved;   /* by listeners that are not published yet */
    int *fds;            /* one per worker; without SO_REUSEPORT all are duplicates of one */
};

struct sockets {
    unsigned workers;
    struct list sets;
    int (*take)(void *arg, const struct addr *a, unsigned worker); /* or NULL */
    void *take_arg;
};

struct sockets *sockets_create(unsigned workers)
{
    struct sockets *s = MEM_NEW(struct sockets);
    s->workers = workers;
    list_init(&s->sets);
    return s;
}

void sockets_set_source(struct sockets *s,
                        int (*take)(void *arg, const struct addr *a, unsigned worker), void *arg)
{
    s->take = take;
    s->take_arg = arg;
}

static struct socket_set *find(const struct sockets *s, const struct addr *a)
{
    list_for_each (it, &s->sets) {
        struct socket_set *set = container_of(it, struct socket_set, node);
        if (addr_eq(&set->addr, a))
            return set;
    }
    return NULL;
}

static void close_set(struct sockets *s, struct socket_set *set)
{
    list_del(&set->node);
    for (unsigned i = 0; i < s->workers; i++)
        if (set->fds[i] >= 0)
            close(set->fds[i]);
    if (set->addr.sa.sa_family == AF_UNIX && set->addr.un.sun_path[0] && !set->is_handed_over)
        unlink(set->addr.un.sun_path);
    mem_free(set->fds);
    mem_free(set);
}

void sockets_destroy(struct sockets **sockets)
{
    struct sockets *s = *sockets;
    if (!s)
        return;
    list_for_each_safe (it, tmp, &s->sets)
        close_set(s, container_of(it, struct socket_set, node));
    mem_free(s);
    *sockets = NULL;
}

int sockets_open(struct sockets *s, const struct conf_listener *l, struct error *err)
{
    struct socket_set *set = find(s, &l->address);
    if (!l->bind_to_port)
        return 0;
    if (set) {
        set->reserved++;
        return 0;
    }
    set = MEM_NEW(struct socket_set);
    set->reserved = 1;
    set->addr = l->address;
    set->fds = mem_alloc(s->workers * sizeof(int));
    list_add_tail(&s->sets, &set->node);
    bool reuse = l->reuse_port && l->address.sa.sa_family != AF_UNIX;
    int rc = 0;
    for (unsigned i = 0; i < s->workers; i++) {
        set->fds[i] = -1;
        if (rc < 0)
            continue;
        if (i && !reuse)
            set->fds[i] = dup(set->fds[0]);
        else if (s->take)
            set->fds[i] = s->take(s->take_arg, &l->address, i);
        if (set->fds[i] < 0)
            set->fds[i] = rc = sock_bind(&l->address, reuse, l->transparent, err);
    }
    if (rc < 0)
        close_set(s, set);
    return rc < 0 ? rc : 0;
}

void sockets_listen(struct sockets *s, const struct conf_listener *l)
{
    struct socket_set *set = l->bind_to_port ? find(s, &l->address) : NULL;
    if (!set || set->is_listening)
        return;
    set->is_listening = true;
    for (unsigned i = 0; i < s->workers; i++)
        if (listen(set->fds[i], l->backlog))
            log_error(LOG_CONFIG, "listener %s: cannot listen: %m", l->object.name);
}

void sockets_release(struct sockets *s, const struct conf_listener *l)
{
    struct socket_set *set = l->bind_to_port ? find(s, &l->address) : NULL;
    if (set)
        set->reserved--;
}

int sockets_fd(const struct sockets *s, const struct addr *a, unsigned worker)
{
    const struct socket_set *set = find(s, a);
    return set ? set->fds[worker] : -1;
}

int sockets_hand_over(struct sockets *s, const struct addr *a, unsigned worker)
{
    struct socket_set *set = find(s, a);
    if (!set || worker >= s->workers)
        return -1;
    set->is_handed_over = true;
    return set->fds[worker];
}

void sockets_close(struct sockets *s, const struct addr *a)
{
    struct socket_set *set = find(s, a);
    if (set)
        close_set(s, set);
}

static bool is_used(const struct snapshot *snapshot, const struct addr *a)
{
    for (size_t i = 0; i < snapshot->listeners_n; i++)
        if (snapshot->listeners[i]->bind_to_port && addr_eq(&snapshot->listeners[i]->address, a))
            return true;
    return false;
}

void sockets_close_unused(struct sockets *s, const struct snapshot *snapshot)
{
    list_for_each_safe (it, tmp, &s->sets) {
        struct socket_set *set = container_of(it, struct socket_set, node);
        if (!set->reserved && !is_used(snapshot, &set->addr))
            close_set(s, set);
    }
}
