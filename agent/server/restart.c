/* The successor's side, and the names of the sockets. */
#include "server/restart.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/crypto.h"
#include "base/log.h"
#include "base/mem.h"
#include "server/server.h"

enum { ANSWER_SECONDS = 5, EPOCHS = 3, DYNAMIC_TRIES = 100 };

const char restart_version_text[] = "remora.1";

struct restart {
    struct server *server;
    int predecessor; /* -1: none */
    struct restart_parent *parent;
    struct loop_timer end_timer;
    bool is_live;
};

static int set_address(const struct options *o, uint32_t base_id, uint32_t epoch, struct addr *a,
                       struct error *err)
{
    struct sbuf path = {0};
    sbuf_printf(&path, "%s_remora_%u_%u", o->socket_path, base_id, epoch % EPOCHS);
    int rc = addr_from_path((struct str){path.p, path.n}, a, err);
    sbuf_fini(&path);
    return rc;
}

/* ---- asking ---- */

static void lose(struct restart *r)
{
    if (r->predecessor >= 0)
        close(r->predecessor);
    r->predecessor = -1;
}

/* The answer's kind (0: none came, and there is no predecessor any more) and its descriptor. */
static int receive(struct restart *r, int *fd_r)
{
    unsigned char bytes[RESTART_MSG_SIZE + 1];
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct iovec iov = {bytes, sizeof(bytes)};
    struct msghdr h = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = control.space,
                       .msg_controllen = sizeof(control.space)};
    struct restart_msg m;
    *fd_r = -1;
    ssize_t n = recvmsg(r->predecessor, &h, MSG_CMSG_CLOEXEC);
    struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&h) : NULL;
    if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
        c->cmsg_len == CMSG_LEN(sizeof(int)))
        memcpy(fd_r, CMSG_DATA(c), sizeof(*fd_r));
    if (n > 0 && !restart_msg_read(bytes, (size_t)n, &m))
        return (int)m.kind;
    log_warn(LOG_MAIN, "restart: the predecessor does not answer: %s",
             n < 0 ? strerror(errno) : "connection closed");
    lose(r);
    return 0;
}

int restart_take_socket(void *arg, const struct addr *a, unsigned worker)
{
    struct restart *r = arg;
    struct restart_msg m = {.kind = RESTART_GET_SOCKET, .worker = worker, .addr = *a};
    int fd;
    if (!r || r->predecessor < 0 || a->len > RESTART_ADDR_MAX)
        return -1;
    if (!restart_send(r->predecessor, &m, -1)) {
        lose(r);
        return -1;
    }
    if (receive(r, &fd) == RESTART_SOCKET)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

static bool stop_admin(struct restart *r)
{
    int fd;
    return restart_send(r->predecessor, &(struct restart_msg){.kind = RESTART_STOP_ADMIN}, -1) &&
           receive(r, &fd) == RESTART_DONE;
}

static int find_predecessor(struct restart *r, struct error *err)
{
    const struct options *o = r->server->options;
    struct timeval wait = {.tv_sec = ANSWER_SECONDS};
    struct addr a;
    if (set_address(o, o->base_id, o->restart_epoch - 1, &a, err))
        return -1;
    r->predecessor = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (r->predecessor < 0)
        return error_set_errno(err, errno, "restart: socket");
    setsockopt(r->predecessor, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
    setsockopt(r->predecessor, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
    if (!connect(r->predecessor, &a.sa, a.len) && restart_is_ours(r->predecessor) && stop_admin(r))
        return 0;
    int code = errno;
    lose(r);
    if (o->skip_hot_restart_on_no_parent) {
        log_warn(LOG_MAIN, "restart: no process of epoch %u; starting without",
                 o->restart_epoch - 1);
        return 0;
    }
    return error_set_errno(err, code, "restart: no process of epoch %u and base id %u",
                           o->restart_epoch - 1, o->base_id);
}

/* ---- offering ---- */

static void write_base_id(const char *path, uint32_t id)
{
    FILE *f = fopen(path, "we");
    if (!f || fprintf(f, "%u", id) < 0)
        log_error(LOG_MAIN, "cannot write %s: %m", path);
    if (f)
        fclose(f);
}

/* Not to be restartable is no reason not to start. */
static int offer(struct restart *r, struct error *err)
{
    const struct options *o = r->server->options;
    unsigned mode = (unsigned)strtoul(o->socket_mode, NULL, 8);
    uint32_t id = o->base_id;
    struct addr a;
    int rc = -ERR_IO;
    for (int i = 0; rc && i < (o->use_dynamic_base_id ? DYNAMIC_TRIES : 1); i++) {
        if (o->use_dynamic_base_id) {
            crypto_random(&id, sizeof(id));
            id &= 0x7fffffff;
        }
        if (set_address(o, id, o->restart_epoch, &a, err))
            return -1;
        rc = restart_parent_create(r->server, &a, mode, &r->parent);
    }
    if (rc)
        log_warn(LOG_MAIN, "this process cannot be restarted in place: base id %u (--base-id): %m",
                 id);
    if (!rc && o->base_id_path[0])
        write_base_id(o->base_id_path, id);
    return 0;
}

static void on_end_time(struct loop_timer *t)
{
    struct restart *r = container_of(t, struct restart, end_timer);
    if (r->predecessor < 0)
        return;
    log_info(LOG_MAIN, "terminating parent process");
    restart_send(r->predecessor, &(struct restart_msg){.kind = RESTART_TERMINATE}, -1);
    lose(r);
}

int restart_create(struct server *s, struct restart **r_r, struct error *err)
{
    const struct options *o = s->options;
    *r_r = NULL;
    if (o->disable_hot_restart)
        return 0;
    if (o->restart_epoch && o->use_dynamic_base_id)
        return error_set(err, ERR_INVALID,
                         "cannot use --restart-epoch=%u with --use-dynamic-base-id",
                         o->restart_epoch);
    struct restart *r = MEM_NEW(struct restart);
    r->server = s;
    r->predecessor = -1;
    loop_timer_init(&r->end_timer, s->loop, on_end_time);
    *r_r = r;
    int rc = o->restart_epoch ? find_predecessor(r, err) : 0;
    return rc ? rc : offer(r, err);
}

void restart_destroy(struct restart **restart)
{
    struct restart *r = *restart;
    if (!r)
        return;
    *restart = NULL;
    loop_timer_stop(&r->end_timer);
    restart_parent_destroy(&r->parent);
    lose(r);
    mem_free(r);
}

void restart_live(struct restart *r)
{
    if (!r || r->is_live)
        return;
    r->is_live = true;
    if (r->predecessor < 0)
        return;
    restart_send(r->predecessor, &(struct restart_msg){.kind = RESTART_LIVE}, -1);
    loop_timer_start(&r->end_timer, (uint64_t)r->server->options->parent_shutdown_time_s * 1000);
}
