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
    uint64_t hash; /* of how it was set up */
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

static struct socket_set *find(const struct sockets *s, const struct conf_socket *c)
{
    list_for_each (it, &s->sets) {
        struct socket_set *set = container_of(it, struct socket_set, node);
        if (addr_eq(&set->addr, &c->addr) && set->hash == c->hash)
            return set;
    }
    return NULL;
}

static struct socket_set *find_by_address(const struct sockets *s, const struct addr *a)
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
    if (set->addr.sa.sa_family == AF_UNIX && set->addr.un.sun_path[0] && !set->is_handed_over &&
        !find_by_address(s, &set->addr)) /* one that was set up in another way has the file now */
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

static int open_fd(struct sockets *s, const struct conf_socket *c, unsigned worker,
                   const struct socket_set *set, struct error *err)
{
    int fd = -1;
    if (worker && !c->setup.reuse_port)
        fd = dup(set->fds[0]);
    else if (s->take)
        fd = s->take(s->take_arg, &c->addr, worker);
    return fd >= 0 ? fd : sock_bind(&c->addr, &c->setup, err);
}

static int open_set(struct sockets *s, const struct conf_socket *c, struct error *err)
{
    struct socket_set *set = find(s, c);
    if (set) {
        set->reserved++;
        return 0;
    }
    set = MEM_NEW(struct socket_set);
    set->reserved = 1;
    set->addr = c->addr;
    set->hash = c->hash;
    set->fds = mem_alloc(s->workers * sizeof(int));
    list_add_tail(&s->sets, &set->node);
    int rc = 0;
    for (unsigned i = 0; i < s->workers; i++)
        set->fds[i] = rc < 0 ? -1 : (rc = open_fd(s, c, i, set, err));
    if (rc < 0)
        close_set(s, set);
    return rc < 0 ? rc : 0;
}

static void release_set(struct sockets *s, const struct conf_socket *c)
{
    struct socket_set *set = find(s, c);
    if (set)
        set->reserved--;
}

/* What nobody serves and nobody waits for must not stay bound. */
static void give_up(struct sockets *s, const struct conf_listener *l, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct socket_set *set = find(s, &l->sockets[i]);
        if (set && !--set->reserved && !set->is_listening)
            close_set(s, set);
    }
}

int sockets_open(struct sockets *s, const struct conf_listener *l, struct error *err)
{
    for (size_t i = 0; l->bind_to_port && i < l->sockets_n; i++) {
        int rc = open_set(s, &l->sockets[i], err);
        if (rc) {
            give_up(s, l, i);
            return rc;
        }
    }
    return 0;
}

static void listen_on(struct sockets *s, const struct conf_socket *c, const struct conf_listener *l)
{
    struct socket_set *set = find(s, c);
    struct error err;
    if (!set || set->is_listening)
        return;
    set->is_listening = true;
    for (unsigned i = 0; i < s->workers; i++) {
        if (listen(set->fds[i], l->backlog))
            log_error(LOG_CONFIG, "listener %s: cannot listen: %m", l->object.name);
        else if (sock_set_options(set->fds[i], &c->addr, &c->setup, SOCK_LISTENING, &err))
            log_error(LOG_CONFIG, "listener %s: %s", l->object.name, err.text);
    }
}

void sockets_listen(struct sockets *s, const struct conf_listener *l)
{
    for (size_t i = 0; l->bind_to_port && i < l->sockets_n; i++)
        listen_on(s, &l->sockets[i], l);
}

void sockets_release(struct sockets *s, const struct conf_listener *l)
{
    for (size_t i = 0; l->bind_to_port && i < l->sockets_n; i++)
        release_set(s, &l->sockets[i]);
}

int sockets_fd(const struct sockets *s, const struct conf_socket *c, unsigned worker)
{
    const struct socket_set *set = find(s, c);
    return set ? set->fds[worker] : -1;
}

int sockets_hand_over(struct sockets *s, const struct addr *a, unsigned worker)
{
    struct socket_set *set = find_by_address(s, a);
    if (!set || worker >= s->workers)
        return -1;
    set->is_handed_over = true;
    return set->fds[worker];
}

void sockets_close(struct sockets *s, const struct conf_listener *l)
{
    for (size_t i = 0; l->bind_to_port && i < l->sockets_n; i++) {
        struct socket_set *set = find(s, &l->sockets[i]);
        if (set)
            close_set(s, set);
    }
}

static bool is_used(const struct snapshot *snapshot, const struct socket_set *set)
{
    for (size_t i = 0; i < snapshot->listeners_n; i++) {
        const struct conf_listener *l = snapshot->listeners[i];
        for (size_t k = 0; l->bind_to_port && k < l->sockets_n; k++)
            if (addr_eq(&l->sockets[k].addr, &set->addr) && l->sockets[k].hash == set->hash)
                return true;
    }
    return false;
}

void sockets_close_unused(struct sockets *s, const struct snapshot *snapshot)
{
    list_for_each_safe (it, tmp, &s->sets) {
        struct socket_set *set = container_of(it, struct socket_set, node);
        if (!set->reserved && !is_used(snapshot, set))
            close_set(s, set);
    }
}
