#include "rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "net/sock.h"

/* ---- origin ---- */

struct origin_conn {
    struct conn conn;
    struct list node;
    struct origin *origin;
    bool is_stalled; /* swallows what comes */
    bool is_echo;    /* a tunnel: sends back what comes */
};

static const struct {
    const char *path, *answer;
    bool closes, stalls, tunnels;
} script[] = {
    {"/ok", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", false, false, false},
    {"/503", "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n", false, false, false},
    {"/chunked",
     "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n",
     false, false, false},
    {"/trailers",
     "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nx-t: 1\r\n\r\n", false,
     false, false},
    {"/close", "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok", true, false,
     false},
    {"/until-close", "HTTP/1.1 200 OK\r\n\r\nall of it", true, false, false},
    {"/cut", "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf", true, false, false},
    {"/hangup", "", true, false, false},
    {"/never", "", false, false, false},
    {"/garbage", "BLAH BLAH\r\n\r\n", false, false, false},
    {"/interim",
     "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n"
     "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
     false, false, false},
    {"/switch", "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n", false, false, false},
    {"/extra", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n\r\n", false,
     false, false},
    {"/late-close", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", true, false, false},
    {"/stall", "", false, true, false},
    {"/early", "HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n", false, false, false},
    {"/head", "HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n", false, false, false},
    {"/tunnel", "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n",
     false, false, true},
    {"example.com", "HTTP/1.1 200 OK\r\n\r\n", false, false, true},
    {"/no-tunnel", "HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno", false, false, false},
};

static void answer(struct origin_conn *c, struct str path)
{
    c->origin->requests++;
    if (str_is(path, "/big")) {
        static char block[1 << 20];
        buf_printf(&c->conn.out, "HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n", 16 << 20);
        for (int i = 0; i < 16; i++)
            buf_add(&c->conn.out, block, sizeof(block));
        conn_flush(&c->conn);
    }
    for (size_t i = 0; i < ARRAY_LEN(script); i++) {
        if (!str_is(path, script[i].path))
            continue;
        conn_write(&c->conn, str_of(script[i].answer));
        c->is_stalled = script[i].stalls;
        c->is_echo = script[i].tunnels;
        if (c->is_stalled)
            conn_read_disable(&c->conn);
        if (script[i].closes)
            conn_close_after_flush(&c->conn);
    }
}

static void on_data(struct conn *conn)
{
    struct origin_conn *c = container_of(conn, struct origin_conn, conn);
    buf_adds(&c->origin->seen, buf_str(&conn->in));
    for (;;) {
        if (c->is_echo) {
            buf_move(&conn->out, &conn->in);
            conn_flush(conn);
            return;
        }
        struct str in = buf_str(&conn->in), line = in, word, path;
        const char *end = in.n ? memmem(in.p, in.n, "\r\n\r\n", 4) : NULL;
        if (!end || !str_next(&line, ' ', &word) || !str_next(&line, ' ', &path))
            return;
        size_t n = (size_t)(end - in.p) + 4;
        const char *length = memmem(in.p, n, "content-length: ", 16);
        uint64_t body = length ? strtoull(length + 16, NULL, 10) : 0;
        bool is_chunked = memmem(in.p, n, "ing: chunked", 12);
        bool is_early = str_is(path, "/early") || str_is(path, "/stall");
        const char *last = is_chunked ? memmem(in.p + n, in.n - n, "0\r\n", 3) : NULL;
        if (is_chunked && last)
            body = (uint64_t)(last - in.p) + 5 - n;
        if (!is_early && ((is_chunked && !last) || in.n < n + body))
            return;
        answer(c, path);
        buf_consume(&conn->in, is_early ? in.n : n + body);
    }
}

static void on_eof(struct conn *conn)
{
    conn_close(conn);
}

static void on_close(struct conn *conn)
{
    struct origin_conn *c = container_of(conn, struct origin_conn, conn);
    c->origin->open--;
    list_del(&c->node);
    mem_free(c);
}

static const struct conn_ops origin_ops = {
    .on_data = on_data, .on_eof = on_eof, .on_close = on_close};

static void on_accept(struct loop_io *io, uint32_t events)
{
    (void)events;
    struct origin *o = container_of(io, struct origin, io);
    int fd = accept4(io->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return;
    struct origin_conn *c = MEM_NEW(struct origin_conn);
    c->origin = o;
    o->accepted++;
    o->open++;
    list_add_tail(&o->conns, &c->node);
    conn_init_accepted(&c->conn, o->loop, fd, &origin_ops);
}

static void origin_open(struct origin *o, struct loop *loop)
{
    struct addr any;
    assert_int_equal(addr_from_ip(STR("127.0.0.1"), 0, &any, NULL), 0);
    int fd = sock_listen(&any, 64, NULL);
    assert_true(fd >= 0);
    sock_local(fd, &o->addr);
    o->loop = loop;
    list_init(&o->conns);
    o->io = (struct loop_io){fd, on_accept};
    assert_int_equal(loop_add_listen(loop, &o->io), 0);
}

static void origin_close(struct origin *o)
{
    loop_del(o->loop, &o->io);
    close(o->io.fd);
    list_for_each_safe (it, tmp, &o->conns)
        conn_close(&container_of(it, struct origin_conn, node)->conn);
    buf_fini(&o->seen);
}

/* ---- rig ---- */

static void on_watchdog(struct loop_timer *t)
{
    struct rig *r = container_of(t, struct rig, timer);
    r->timed_out = true;
    loop_stop(r->loop);
}

void rig_open(struct rig *r)
{
    *r = (struct rig){0};
    assert_int_equal(loop_create(&r->loop, NULL), 0);
    assert_int_equal(upstreams_create(r->loop, &r->u, NULL), 0);
    loop_timer_init(&r->timer, r->loop, on_watchdog);
    origin_open(&r->origin, r->loop);
}

void rig_close(struct rig *r)
{
    upstreams_destroy(&r->u);
    origin_close(&r->origin);
    snapshot_unref(r->snapshot);
    loop_timer_stop(&r->timer);
    loop_destroy(&r->loop);
    buf_pool_drain();
}

struct check {
    struct loop_task task;
    struct rig *rig;
    bool is_stopping;
};

/* Every turn ends with a look at the condition; a timer of 1 ms keeps the turns coming. */
static void on_tick(struct loop_timer *t);

struct ticker {
    struct loop_timer timer;
    struct rig *rig;
};

static void on_tick(struct loop_timer *t)
{
    struct ticker *k = container_of(t, struct ticker, timer);
    if (k->rig->until(k->rig->until_arg))
        loop_stop(k->rig->loop);
    else
        loop_timer_start(t, 1);
}

void rig_run(struct rig *r, bool (*cond)(void *arg), void *arg)
{
    struct ticker k = {.rig = r};
    r->until = cond;
    r->until_arg = arg;
    r->timed_out = false;
    loop_timer_init(&k.timer, r->loop, on_tick);
    loop_timer_start(&k.timer, 1);
    loop_timer_start(&r->timer, 5000);
    loop_run(r->loop);
    loop_timer_stop(&k.timer);
    loop_timer_stop(&r->timer);
    assert_false(r->timed_out);
}

void rig_turn(struct rig *r, unsigned ms)
{
    loop_timer_start(&r->timer, ms);
    loop_run(r->loop);
}

struct conf_cluster *rig_cluster(const char *name)
{
    struct conf_cluster *c = conf_cluster_create(name);
    c->type = CONF_CLUSTER_STATIC;
    c->eds_name = c->object.name;
    c->connect_timeout_ms = 1000;
    for (int i = 0; i < CONF_PRIORITIES; i++)
        c->limits[i] = (struct conf_limits){1024, 1024, 1024, .max_retries = 3};
    c->idle_timeout_ms = 3600000;
    c->buffer_limit = 1 << 20;
    return c;
}

struct conf_endpoints *rig_endpoints(const struct addr *addrs, size_t n)
{
    struct conf_endpoints *e = conf_object_create(sizeof(*e), "e");
    e->n = n;
    e->v = arena_zalloc(&e->object.arena, (n + 1) * sizeof(*e->v));
    for (size_t i = 0; i < n; i++) {
        e->v[i].address = addrs[i];
        e->v[i].hostname = "";
        e->v[i].weight = 1;
    }
    return e;
}

void rig_publish(struct rig *r, struct conf_cluster *c, struct conf_endpoints *e)
{
    struct conf_cluster_entry *entry = conf_cluster_entry_create(c, e);
    struct snapshot *s = snapshot_copy(NULL);
    snapshot_set_cluster(s, c->object.name, entry);
    conf_object_unref(entry);
    conf_object_unref(c);
    conf_object_unref(e);
    upstreams_publish(r->u, s);
    snapshot_unref(r->snapshot);
    r->snapshot = s;
}

void rig_publish_origin(struct rig *r)
{
    rig_publish(r, rig_cluster("c"), rig_endpoints(&r->origin.addr, 1));
}

/* ---- probe ---- */

static struct probe *of(struct upstream_request *up)
{
    return container_of(up, struct probe, up);
}

static void on_ready(struct upstream_request *up)
{
    struct probe *p = of(up);
    struct buf body = {0};
    p->ready++;
    upstream_request_headers(up, &p->head, !p->body && !p->hold_body);
    if (p->body) {
        buf_adds(&body, str_of(p->body));
        upstream_request_body(up, &body, true);
    }
}

static void on_1xx(struct upstream_request *up, unsigned status)
{
    (void)status;
    of(up)->interim++;
}

static void on_headers(struct upstream_request *up, bool end)
{
    struct probe *p = of(up);
    p->status = headers_status(&up->headers);
    p->end = end;
    if (p->pause_on_headers)
        upstream_request_read_disable(up, true);
}

static void on_body(struct upstream_request *up, struct buf *data, bool end)
{
    struct probe *p = of(up);
    assert_false(p->end);
    buf_move(&p->received, data);
    p->end = end;
}

static void on_trailers(struct upstream_request *up)
{
    struct probe *p = of(up);
    assert_false(p->end);
    p->end = p->has_trailers = true;
}

static void on_reset(struct upstream_request *up, enum upstream_reset why, const char *failure)
{
    struct probe *p = of(up);
    p->resets++;
    p->why = why;
    snprintf(p->failure, sizeof(p->failure), "%s", failure);
}

static void on_water(struct upstream_request *up, bool is_high)
{
    of(up)->highs += is_high;
}

static const struct upstream_request_ops probe_ops = {on_ready,    on_1xx,   on_headers, on_body,
                                                      on_trailers, on_reset, on_water};

void probe_init(struct probe *p, struct rig *r, const char *method, const char *path)
{
    *p = (struct probe){.rig = r};
    headers_add_id(&p->head, HDR_METHOD, str_of(method));
    headers_add_id(&p->head, HDR_PATH, str_of(path));
    headers_add_id(&p->head, HDR_AUTHORITY, STR("example.com"));
}

void probe_start(struct probe *p)
{
    struct lb_context ctx = {0};
    struct upstream_cluster *c = upstreams_find(p->rig->u, p->rig->snapshot, STR("c"));
    assert_non_null(c);
    struct upstream_host *h = upstream_pick(c, &ctx);
    assert_non_null(h);
    p->up.ops = &probe_ops;
    upstream_request_start(&p->up, c, h);
}

void probe_fini(struct probe *p)
{
    upstream_request_finish(&p->up);
    headers_fini(&p->head);
    buf_fini(&p->received);
}

bool probe_is_over(void *probe)
{
    struct probe *p = probe;
    return p->end || p->resets;
}
