/* A connection to a host on which a CONNECT request ends (connect_config): the bytes of the tunnel
 * are all that the host sees. It takes one request and is not used again. Source: Envoy's
 * TcpUpstream (upstreams/http/tcp). */
#include "base/mem.h"
#include "upstream/client_private.h"

struct tcp_client {
    struct upstream_request *request;
    bool is_asked;    /* the head came: 200 is due */
    bool is_answered; /* it was given: bytes pass */
    bool got_eof;
};

static struct client *client_of(struct conn *conn)
{
    return container_of(conn, struct client, conn);
}

static void start(struct client *c)
{
    c->codec_state = MEM_NEW(struct tcp_client);
    c->streams_max = 1;
}

static void stop(struct client *c)
{
    struct tcp_client *t = c->codec_state;
    struct upstream_request *r = t->request;
    t->request = NULL;
    if (r)
        request_reset(r, UPSTREAM_RESET_TERMINATED, "");
}

static void destroy(struct client *c)
{
    mem_free(c->codec_state);
}

/* Passes on what the host sent, and its end. */
static void pass(struct client *c)
{
    struct tcp_client *t = c->codec_state;
    struct upstream_request *r = t->request;
    if (!r || !t->is_answered || c->conn.read_disabled)
        return;
    struct buf data = {0};
    buf_move(&data, &c->conn.in);
    if (data.len || t->got_eof) {
        r->is_done = t->got_eof;
        r->ops->on_body(r, &data, t->got_eof);
    }
    buf_fini(&data);
}

static void on_data(struct conn *conn)
{
    pass(client_of(conn));
}

static void on_eof(struct conn *conn)
{
    ((struct tcp_client *)client_of(conn)->codec_state)->got_eof = true;
    pass(client_of(conn));
}

static void on_water(struct client *c, bool is_high)
{
    const struct tcp_client *t = c->codec_state;
    if (t->request && t->request->ops->on_water)
        t->request->ops->on_water(t->request, is_high);
}

static void on_high_water(struct conn *conn)
{
    on_water(client_of(conn), true);
}

static void on_low_water(struct conn *conn)
{
    on_water(client_of(conn), false);
}

/* From the loop: the answer that no host gives, then what came meanwhile. */
static void run(struct client *c)
{
    struct tcp_client *t = c->codec_state;
    conn_flush(&c->conn);
    if (t->request && t->is_asked && !t->is_answered) {
        t->is_answered = true;
        headers_set_id(&t->request->headers, HDR_STATUS, STR("200"));
        request_switch(t->request);
    }
    if (conn_is_open(&c->conn))
        pass(c);
}

static void attach(struct client *c, struct upstream_request *r)
{
    struct tcp_client *t = c->codec_state;
    t->request = r;
    c->must_close = true; /* after it */
    if (r->read_disabled)
        conn_read_disable(&c->conn);
    r->ops->on_ready(r);
}

static bool detach(struct client *c, struct upstream_request *r, bool is_whole)
{
    struct tcp_client *t = c->codec_state;
    (void)is_whole;
    if (r->read_disabled)
        conn_read_enable(&c->conn);
    c->was_cut = !r->is_done;
    t->request = NULL;
    client_count_bytes(c);
    return false;
}

static void send_headers(struct upstream_request *r, const struct headers *h, bool end)
{
    struct tcp_client *t = r->client->codec_state;
    (void)h;
    if (end)
        r->early_end = true;
    t->is_asked = true;
    loop_defer(r->client->conn.loop, &r->client->task);
}

static void send_body(struct upstream_request *r, struct buf *data, bool end)
{
    struct conn *conn = &r->client->conn;
    buf_move(&conn->out, data);
    if (end) {
        r->request_complete = true;
        conn_shutdown_write(conn);
    } else {
        conn_flush(conn);
    }
}

static void send_trailers(struct upstream_request *r, const struct headers *h)
{
    (void)r; /* a tunnel has none */
    (void)h;
}

static void read_disable(struct upstream_request *r, bool disable)
{
    struct client *c = r->client;
    if (disable) {
        conn_read_disable(&c->conn);
        return;
    }
    conn_read_enable(&c->conn);
    loop_defer(c->conn.loop, &c->task);
}

const struct client_codec tcp_client_codec = {
    .conn =
        {
            .on_data = on_data,
            .on_eof = on_eof,
            .on_close = client_on_close,
            .on_high_water = on_high_water,
            .on_low_water = on_low_water,
        },
    .start = start,
    .stop = stop,
    .destroy = destroy,
    .run = run,
    .attach = attach,
    .detach = detach,
    .send_headers = send_headers,
    .send_body = send_body,
    .send_trailers = send_trailers,
    .read_disable = read_disable,
};
