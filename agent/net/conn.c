#include "net/conn.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/mem.h"
#include "net/sock.h"

enum { READ_CHUNK = 16384, READ_ROUND_MAX = 4 };

static ssize_t plain_read(struct conn *c, void *p, size_t n)
{
    return recv(c->io.fd, p, n, 0);
}

static ssize_t plain_write(struct conn *c, const void *p, size_t n)
{
    return send(c->io.fd, p, n, MSG_NOSIGNAL);
}

static void plain_shutdown(struct conn *c)
{
    shutdown(c->io.fd, SHUT_WR);
}

static const struct conn_transport plain_transport = {
    .read = plain_read, .write = plain_write, .shutdown = plain_shutdown};

static uint64_t next_id(void)
{
    static uint64_t last;
    return __atomic_add_fetch(&last, 1, __ATOMIC_RELAXED);
}

static void run_close(struct conn *c)
{
    const struct conn_transport *transport = c->transport;
    void *state = c->transport_state;
    c->is_closed = true;
    if (c->io.fd >= 0) {
        if (transport->close)
            transport->close(c);
        loop_del(c->loop, &c->io);
        close(c->io.fd);
        c->io.fd = -1;
    }
    buf_fini(&c->in);
    buf_fini(&c->out);
    mem_free(c->preamble);
    c->ops->on_close(c);
    if (transport->destroy)
        transport->destroy(state); /* on_close may still ask what it was */
}

static bool may_read(const struct conn *c)
{
    return conn_is_open(c) && !c->read_disabled && !c->is_connecting;
}

static void read_some(struct conn *c);

/* Deferred work of a connection: the end of it, or reading that was resumed. */
static void run_task(struct loop_task *t)
{
    struct conn *c = container_of(t, struct conn, task);
    if (c->is_closing) {
        run_close(c);
        return;
    }
    if (c->in.len && may_read(c))
        c->ops->on_data(c);
    if (may_read(c))
        read_some(c);
}

static void begin_close(struct conn *c, enum conn_close_cause cause, int e)
{
    if (!conn_is_open(c))
        return;
    c->is_closing = true;
    c->cause = cause;
    c->saved_errno = e;
    loop_defer(c->loop, &c->task);
}

/* More may wait in the kernel than one round reads; others get their turn first. */
static void read_again_later(struct conn *c)
{
    loop_defer(c->loop, &c->task);
}

static void tell_eof(struct conn *c)
{
    if (c->is_eof && !c->is_eof_told && may_read(c)) {
        c->is_eof_told = true;
        c->ops->on_eof(c);
    }
}

static void read_some(struct conn *c)
{
    for (int round = 0; round < READ_ROUND_MAX; round++) {
        bool got = false;
        if (c->is_readable && c->in.len < c->high_water) {
            char *to = buf_reserve(&c->in, READ_CHUNK);
            ssize_t n = c->transport->read(c, to, READ_CHUNK);
            if (n > 0) {
                buf_commit(&c->in, (size_t)n);
                c->rx_bytes += (size_t)n;
                got = true;
                if (n < READ_CHUNK && !c->is_eof && c->transport == &plain_transport)
                    c->is_readable = false; /* a short read drained the socket */
            } else if (n == 0) {
                c->is_eof = true;
                c->is_readable = false;
            } else if (errno == EAGAIN || errno == EINTR) {
                c->is_readable = errno == EINTR;
            } else {
                begin_close(c, CONN_CLOSED_RESET, errno);
                return;
            }
            buf_trim(&c->in);
        }
        if (got) {
            c->ops->on_data(c);
            if (!may_read(c))
                return;
            buf_trim(&c->in);
        }
        if (!c->is_readable) {
            tell_eof(c);
            return;
        }
        if (!got && c->in.len >= c->high_water)
            return; /* the user consumes first; conn_read_enable comes back here */
    }
    read_again_later(c);
}

static void check_water(struct conn *c)
{
    if (!c->is_above_high && c->out.len > c->high_water) {
        c->is_above_high = true;
        if (c->ops->on_high_water)
            c->ops->on_high_water(c);
    } else if (c->is_above_high && c->out.len <= c->high_water / 2) {
        c->is_above_high = false;
        if (c->ops->on_low_water)
            c->ops->on_low_water(c);
    }
}

static void finish_output(struct conn *c)
{
    if (c->shutdown_pending && !c->is_half_closed) {
        c->is_half_closed = true;
        c->transport->shutdown(c);
    }
    if (c->close_after_flush)
        begin_close(c, CONN_CLOSED_LOCAL, 0);
}

void conn_flush(struct conn *c)
{
    if (!conn_is_open(c) || c->is_connecting)
        return;
    while (c->out.len && c->is_writable) {
        ssize_t n = c->transport->write(c, buf_head(&c->out), c->out.len);
        if (n > 0) {
            c->tx_bytes += (size_t)n;
            buf_consume(&c->out, (size_t)n);
        } else if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            c->is_writable = false;
        } else if (n < 0 && errno != EINTR) {
            begin_close(c, CONN_CLOSED_RESET, errno);
            return;
        }
    }
    if (!c->out.len)
        finish_output(c);
    if (conn_is_open(c))
        check_water(c);
}

static void finish_connect(struct conn *c)
{
    c->is_connecting = c->is_handshaking = false;
    c->is_writable = true;
    c->is_readable = c->transport != &plain_transport; /* it may hold bytes already */
    c->ops->on_connected(c);
    if (conn_is_open(c) && c->out.len)
        conn_flush(c);
}

static void step_handshake(struct conn *c)
{
    int rc = c->transport->handshake(c);
    if (!rc)
        finish_connect(c);
    else if (rc != -ERR_AGAIN)
        begin_close(c, CONN_CONNECT_FAILED, 0);
}

/* True when all of it is out; what the socket does not take now goes with its next event. */
static bool send_preamble(struct conn *c)
{
    while (c->preamble_at < c->preamble_n) {
        ssize_t n = send(c->io.fd, c->preamble + c->preamble_at, c->preamble_n - c->preamble_at,
                         MSG_NOSIGNAL);
        if (n > 0)
            c->preamble_at += (uint32_t)n;
        else if (errno == EAGAIN)
            return false;
        else if (errno != EINTR) {
            begin_close(c, CONN_CONNECT_FAILED, errno);
            return false;
        }
    }
    c->tx_bytes += c->preamble_n;
    mem_free(c->preamble);
    c->preamble = NULL;
    return true;
}

static void on_connect_event(struct conn *c, uint32_t events)
{
    if (c->is_handshaking) {
        step_handshake(c);
        return;
    }
    if (!(events & (EPOLLOUT | EPOLLERR | EPOLLHUP)))
        return;
    int e = sock_error(c->io.fd);
    if (e) {
        begin_close(c, CONN_CONNECT_FAILED, e);
        return;
    }
    sock_local(c->io.fd, &c->local);
    if (c->preamble && !send_preamble(c))
        return;
    if (c->transport->handshake) {
        c->is_handshaking = true;
        step_handshake(c);
    } else {
        finish_connect(c);
    }
}

static void on_event(struct loop_io *io, uint32_t events)
{
    struct conn *c = container_of(io, struct conn, io);
    if (!conn_is_open(c))
        return;
    if (c->is_connecting) {
        on_connect_event(c, events);
        if (!conn_is_open(c) || c->is_connecting)
            return;
    }
    if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        c->is_readable = true;
    if (events & EPOLLRDHUP)
        c->is_eof = true; /* read on until 0, whatever the length of the reads */
    if ((events & (EPOLLOUT | EPOLLERR)) && !c->is_writable) {
        c->is_writable = true;
        conn_flush(c);
    }
    if (may_read(c) && c->is_readable)
        read_some(c);
    else if ((events & EPOLLRDHUP) && c->closes_on_early_eof && !c->is_connecting)
        begin_close(c, CONN_CLOSED_REMOTE, 0);
    else if ((events & (EPOLLERR | EPOLLHUP)) && conn_is_open(c)) {
        int e = sock_error(io->fd);
        if (e || (events & EPOLLERR))
            begin_close(c, CONN_CLOSED_RESET, e ? e : ECONNRESET);
    }
}

static void init(struct conn *c, struct loop *loop, int fd, const struct conn_ops *ops)
{
    memset(c, 0, sizeof(*c));
    c->loop = loop;
    c->ops = ops;
    c->transport = &plain_transport;
    c->id = next_id();
    c->high_water = 1 << 20;
    c->io = (struct loop_io){fd, on_event};
    c->task.run = run_task;
}

void conn_init_accepted(struct conn *c, struct loop *loop, int fd, const struct conn_ops *ops)
{
    init(c, loop, fd, ops);
    c->is_writable = true;
    if (loop_add(loop, &c->io))
        begin_close(c, CONN_CLOSED_RESET, errno);
}

void conn_init_connect(struct conn *c, struct loop *loop, const struct addr *to,
                       const struct addr *source, const struct conn_ops *ops)
{
    conn_init_connect_from(c, loop, to, &(struct conn_source){.addr = source}, ops);
}

void conn_init_connect_from(struct conn *c, struct loop *loop, const struct addr *to,
                            const struct conn_source *from, const struct conn_ops *ops)
{
    int e = 0;
    int fd = sock_connect(to, from, &e);
    init(c, loop, fd < 0 ? -1 : fd, ops);
    c->remote = *to;
    c->is_connecting = true;
    if (fd < 0) {
        begin_close(c, CONN_CONNECT_FAILED, e);
        return;
    }
    if (to->sa.sa_family != AF_UNIX)
        sock_set_nodelay(fd);
    if (loop_add(loop, &c->io))
        begin_close(c, CONN_CONNECT_FAILED, errno);
}

void conn_set_preamble(struct conn *c, struct str bytes)
{
    c->preamble = mem_dup(bytes.p, bytes.n);
    c->preamble_n = (uint32_t)bytes.n;
}

void conn_read_disable(struct conn *c)
{
    c->read_disabled++;
}

void conn_read_enable(struct conn *c)
{
    if (--c->read_disabled == 0 && conn_is_open(c) &&
        (c->in.len || c->is_readable || (c->is_eof && !c->is_eof_told)))
        read_again_later(c);
}

void conn_wake(struct conn *c)
{
    if (conn_is_open(c))
        read_again_later(c);
}

void conn_shutdown_write(struct conn *c)
{
    c->shutdown_pending = true;
    conn_flush(c);
}

void conn_close(struct conn *c)
{
    begin_close(c, CONN_CLOSED_LOCAL, 0);
}

void conn_fail(struct conn *c)
{
    begin_close(c, CONN_CONNECT_FAILED, 0);
}

void conn_give_away(struct conn *c)
{
    loop_del(c->loop, &c->io);
    c->io.fd = -1;
    c->transport = &plain_transport;
    c->transport_state = NULL;
    begin_close(c, CONN_CLOSED_LOCAL, 0);
}

const char *conn_failure(const struct conn *c)
{
    return c->transport->failure ? c->transport->failure(c) : "";
}

void conn_close_after_flush(struct conn *c)
{
    c->close_after_flush = true;
    conn_flush(c);
}

void conn_reset(struct conn *c)
{
    if (c->io.fd >= 0) {
        struct linger l = {1, 0};
        setsockopt(c->io.fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
    }
    begin_close(c, CONN_CLOSED_LOCAL, 0);
}
