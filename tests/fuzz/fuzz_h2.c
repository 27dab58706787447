/* An HTTP/2 session. The first byte chooses side and behaviour of the user, the second the size of
 * the pieces; the rest is what the peer sends (a client's magic goes before it by itself). Held to:
 * each stream gets its ops in order and at most one last one, nothing is delivered to a stream that
 * holds back, what waits stays within the windows. */
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "http/h2_session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { WINDOW = 65535, USERS_MAX = 64 };

struct user {
    struct h2_stream *st;
    bool has_head, has_end, is_disabled;
};

static struct {
    struct user v[USERS_MAX];
    size_t n;
    uint8_t flags;
    bool is_ended;
} users;

static struct loop *loop;
static struct h2_stats stats;

static void check(bool ok)
{
    if (!ok)
        abort();
}

static void let_go(struct user *u)
{
    u->st = NULL;
}

static void send_some(struct h2_stream *st, bool end)
{
    struct buf data = {0};
    buf_add(&data, "0123456789", 10);
    h2_stream_send_body(st, &data, end);
}

static void answer(struct user *u)
{
    struct headers h = {0};
    headers_add_id(&h, HDR_STATUS, STR("200"));
    headers_add(&h, STR("x-a"), STR("b"));
    h2_stream_send_1xx(u->st, 103);
    h2_stream_send_headers(u->st, &h, false);
    send_some(u->st, false);
    if (users.flags & 2)
        h2_stream_send_trailers(u->st, &h);
    else
        send_some(u->st, true);
    headers_fini(&h);
}

static void on_headers(struct h2_session *h, struct h2_stream *st, bool end)
{
    struct user *u = st->user;
    if (h->side == H2_SERVER) {
        if (users.n == USERS_MAX)
            return; /* refused */
        u = &users.v[users.n++];
        *u = (struct user){.st = st};
        st->user = u;
    }
    check(u->st == st && !u->has_head && !u->is_disabled);
    u->has_head = true;
    u->has_end = end;
    if (users.flags & 4) {
        h2_stream_reset(st, H2_CANCEL);
        let_go(u);
        return;
    }
    if (users.flags & 8) {
        h2_stream_read_disable(st, true);
        u->is_disabled = true;
    }
    if (h->side == H2_SERVER)
        answer(u);
    if (h->side == H2_SERVER && (users.flags & 16)) {
        h2_stream_detach(st);
        let_go(u);
    }
}

static void on_1xx(struct h2_session *h, struct h2_stream *st, unsigned status)
{
    struct user *u = st->user;
    (void)h;
    check(u->st == st && !u->has_head && status >= 100 && status < 200);
}

static void on_body(struct h2_session *h, struct h2_stream *st, struct buf *data, bool end)
{
    struct user *u = st->user;
    (void)h;
    check(u->st == st && u->has_head && !u->has_end && !u->is_disabled && data->len <= WINDOW);
    u->has_end = end;
}

static void on_trailers(struct h2_session *h, struct h2_stream *st)
{
    struct user *u = st->user;
    (void)h;
    check(u->st == st && u->has_head && !u->has_end && !u->is_disabled);
    u->has_end = true;
}

static void on_close(struct h2_session *h, struct h2_stream *st, uint32_t code, bool by_peer)
{
    struct user *u = st->user;
    (void)h, (void)code, (void)by_peer;
    check(u->st == st);
    let_go(u);
}

static void on_water(struct h2_session *h, struct h2_stream *st, bool is_high)
{
    (void)h, (void)is_high;
    check(((struct user *)st->user)->st == st);
}

static void on_end(struct h2_session *h)
{
    (void)h;
    check(!users.is_ended);
    users.is_ended = true;
}

static const struct h2_session_ops ops = {
    .on_headers = on_headers,
    .on_1xx = on_1xx,
    .on_body = on_body,
    .on_trailers = on_trailers,
    .on_close = on_close,
    .on_water = on_water,
    .on_end = on_end,
};

static void ignore(struct conn *c)
{
    (void)c;
}

static const struct conn_ops conn_ops = {.on_data = ignore, .on_eof = ignore, .on_close = ignore};

static void run_stop(struct loop_msg *m)
{
    (void)m;
    loop_stop(loop);
}

static void turn(void)
{
    static struct loop_msg stop;
    stop.run = run_stop;
    loop_post(loop, &stop);
    loop_run(loop);
}

static void request_some(struct h2_session *h)
{
    struct headers head = {0};
    headers_add_id(&head, HDR_METHOD, STR("POST"));
    headers_add_id(&head, HDR_SCHEME, STR("http"));
    headers_add_id(&head, HDR_PATH, STR("/"));
    headers_add_id(&head, HDR_AUTHORITY, STR("a"));
    for (; users.n < 3; users.n++) {
        struct user *u = &users.v[users.n];
        *u = (struct user){0};
        u->st = h2_session_request(h, &head, users.n == 0, u);
        if (u->st && users.n)
            send_some(u->st, users.n == 1);
    }
    headers_fini(&head);
}

static void enable_all(void)
{
    for (size_t i = 0; i < users.n; i++)
        if (users.v[i].st && users.v[i].is_disabled) {
            users.v[i].is_disabled = false;
            h2_stream_read_disable(users.v[i].st, false);
        }
}

static void drain(int fd)
{
    char bytes[65536];
    while (recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
        ;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err;
    struct conf_http2 conf;
    struct h2_session h;
    struct conn conn;
    int fds[2];
    if (size < 2 || size > 65536)
        return 0;
    if (!loop) {
        check(loop_create(&loop, &err) == 0);
        h2_stats_init(&stats, "");
    }
    check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0);
    users.n = 0;
    users.flags = data[0];
    users.is_ended = false;
    conf_http2_defaults(&conf);
    conf.stream_window = WINDOW;
    conf.connection_window = 2 * WINDOW;
    conf.allow_connect = data[0] & 32;
    conf.keeps_broken = data[0] & 64;
    conn_init_accepted(&conn, loop, fds[0], &conn_ops);
    conn.high_water = 4096;
    h2_session_init(&h, data[0] & 1 ? H2_CLIENT : H2_SERVER, &conn, &conf, &ops, &stats);
    if (h.side == H2_CLIENT)
        request_some(&h);
    else
        buf_adds(&conn.in, STR("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
    size_t piece = data[1] ? data[1] * 16u : size;
    for (size_t at = 2; at < size; at += piece) {
        buf_add(&conn.in, data + at, size - at < piece ? size - at : piece);
        h2_session_input(&h);
        turn();
        drain(fds[1]);
        enable_all();
        turn();
    }
    h2_session_goaway(&h, true);
    turn();
    conn_close(&conn);
    h2_session_fini(&h);
    for (size_t i = 0; i < users.n; i++)
        check(!users.v[i].st);
    turn();
    turn();
    close(fds[1]);
    return 0;
}
