/* The predecessor: hands out its sockets, then drains and ends. */
#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "server/restart.h"
#include "server/server.h"

enum { LOOK_MS = 100 }; /* how often the workers are asked whether they are done */

struct restart_parent {
    struct server *server;
    struct loop_io listening, successor; /* fd -1: none */
    struct loop_timer look_timer, end_timer;
    struct addr at;
    unsigned asked, busy; /* workers: that have not answered; that have connections */
    bool is_replaced, has_stopped_admin;
};

bool restart_send(int sock, const struct restart_msg *m, int fd)
{
    unsigned char bytes[RESTART_MSG_SIZE];
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct iovec iov = {bytes, sizeof(bytes)};
    struct msghdr h = {.msg_iov = &iov, .msg_iovlen = 1};
    restart_msg_write(m, bytes);
    if (fd >= 0) {
        h.msg_control = control.space;
        h.msg_controllen = sizeof(control.space);
        struct cmsghdr *c = CMSG_FIRSTHDR(&h);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(c), &fd, sizeof(fd));
    }
    return sendmsg(sock, &h, MSG_NOSIGNAL) == (ssize_t)sizeof(bytes);
}

bool restart_is_ours(int sock)
{
    struct ucred who;
    socklen_t n = sizeof(who);
    return !getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &who, &n) &&
           (who.uid == geteuid() || who.uid == 0);
}

/* ---- the end ---- */

static void on_end_time(struct loop_timer *t)
{
    struct restart_parent *p = container_of(t, struct restart_parent, end_timer);
    log_warn(LOG_MAIN, "shutting down parent after drain");
    server_stop(p->server, 0);
}

struct look {
    struct restart_parent *parent;
    bool is_idle;
};

static void look(struct filter_env *env, void *arg)
{
    ((struct look *)arg)->is_idle = worker_is_idle(env);
}

static void on_looked(void *arg)
{
    struct look *l = arg;
    struct restart_parent *p = l->parent;
    p->busy += !l->is_idle;
    mem_free(l);
    if (--p->asked)
        return;
    if (p->busy)
        loop_timer_start(&p->look_timer, LOOK_MS);
    else
        on_end_time(&p->end_timer);
}

static void on_look(struct loop_timer *t)
{
    struct restart_parent *p = container_of(t, struct restart_parent, look_timer);
    p->busy = 0;
    p->asked = p->server->workers_n;
    for (unsigned i = 0; i < p->server->workers_n; i++) {
        struct look *l = MEM_NEW(struct look);
        l->parent = p;
        worker_ask(p->server->workers[i], look, on_looked, l);
    }
}

static void begin_drain(struct restart_parent *p)
{
    if (p->is_replaced)
        return;
    p->is_replaced = true;
    log_info(LOG_MAIN, "closing and draining listeners");
    server_drain_for_successor(p->server);
    loop_timer_start(&p->look_timer, LOOK_MS);
    loop_timer_start(&p->end_timer, (uint64_t)p->server->options->parent_shutdown_time_s * 1000);
}

/* ---- what the successor wants ---- */

static void give_socket(struct restart_parent *p, const struct restart_msg *m)
{
    int fd = sockets_hand_over(p->server->sockets, &m->addr, m->worker);
    struct restart_msg answer = {.kind = fd >= 0 ? RESTART_SOCKET : RESTART_NONE};
    restart_send(p->successor.fd, &answer, fd);
}

static void handle(struct restart_parent *p, const struct restart_msg *m)
{
    switch (m->kind) {
    case RESTART_STOP_ADMIN:
        log_info(LOG_MAIN, "shutting down admin due to child startup");
        p->has_stopped_admin = true;
        server_stop_admin(p->server);
        restart_send(p->successor.fd, &(struct restart_msg){.kind = RESTART_DONE}, -1);
        break;
    case RESTART_GET_SOCKET:
        give_socket(p, m);
        break;
    case RESTART_LIVE:
        begin_drain(p);
        break;
    case RESTART_TERMINATE:
        log_info(LOG_MAIN, "shutting down due to child request");
        server_stop(p->server, 0);
        break;
    default:
        log_warn(LOG_MAIN, "restart: unexpected message %d", m->kind);
    }
}

static void drop_successor(struct restart_parent *p)
{
    loop_del(p->server->loop, &p->successor);
    close(p->successor.fd);
    p->successor.fd = -1;
    if (p->is_replaced)
        return;
    log_warn(LOG_MAIN, "the successor ended before it served; going on");
    if (p->has_stopped_admin)
        server_start_admin(p->server);
    p->has_stopped_admin = false;
}

static void on_message(struct loop_io *io, uint32_t events)
{
    struct restart_parent *p = container_of(io, struct restart_parent, successor);
    unsigned char bytes[RESTART_MSG_SIZE + 1];
    struct restart_msg m;
    (void)events;
    while (p->successor.fd >= 0) {
        ssize_t n = recv(io->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n <= 0) {
            drop_successor(p);
        } else if (restart_msg_read(bytes, (size_t)n, &m)) {
            log_warn(LOG_MAIN, "restart: not a message of ours");
            drop_successor(p);
        } else {
            handle(p, &m);
        }
    }
}

static void on_successor(struct loop_io *io, uint32_t events)
{
    struct restart_parent *p = container_of(io, struct restart_parent, listening);
    (void)events;
    int fd = accept4(io->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return;
    if (p->successor.fd >= 0 || p->is_replaced || !restart_is_ours(fd)) {
        log_warn(LOG_MAIN, "restart: a connection was refused");
        close(fd);
        return;
    }
    p->successor = (struct loop_io){fd, on_message};
    loop_add(p->server->loop, &p->successor);
    on_message(&p->successor, 0);
}

/* ---- up and down ---- */

/* A socket file that nobody listens on any more is in the way. */
static bool is_stale(const struct addr *at)
{
    if (!at->un.sun_path[0])
        return false;
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    bool is_refused = fd >= 0 && connect(fd, &at->sa, at->len) && errno == ECONNREFUSED;
    if (fd >= 0)
        close(fd);
    return is_refused && !unlink(at->un.sun_path);
}

static int listen_at(const struct addr *at, unsigned mode)
{
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    int rc = bind(fd, &at->sa, at->len);
    if (rc && errno == EADDRINUSE && is_stale(at))
        rc = bind(fd, &at->sa, at->len);
    if (!rc && at->un.sun_path[0])
        rc = chmod(at->un.sun_path, mode);
    if (!rc)
        rc = listen(fd, 1);
    if (!rc)
        return fd;
    int saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

int restart_parent_create(struct server *s, const struct addr *at, unsigned mode,
                          struct restart_parent **p_r)
{
    int fd = listen_at(at, mode);
    *p_r = NULL;
    if (fd < 0)
        return -ERR_IO;
    struct restart_parent *p = MEM_NEW(struct restart_parent);
    p->server = s;
    p->at = *at;
    p->listening = (struct loop_io){fd, on_successor};
    p->successor.fd = -1;
    loop_timer_init(&p->look_timer, s->loop, on_look);
    loop_timer_init(&p->end_timer, s->loop, on_end_time);
    loop_add_listen(s->loop, &p->listening);
    *p_r = p;
    return 0;
}

void restart_parent_destroy(struct restart_parent **parent)
{
    struct restart_parent *p = *parent;
    if (!p)
        return;
    *parent = NULL;
    loop_timer_stop(&p->look_timer);
    loop_timer_stop(&p->end_timer);
    if (p->successor.fd >= 0) {
        loop_del(p->server->loop, &p->successor);
        close(p->successor.fd);
    }
    loop_del(p->server->loop, &p->listening);
    close(p->listening.fd);
    if (p->at.un.sun_path[0])
        unlink(p->at.un.sun_path);
    mem_free(p);
}
