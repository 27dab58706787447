/* One HTTP/1.1 connection to a host: sends a request, parses the response, again.
 *
 * What the upstream sends is not trusted: heads are bounded by the parser, bytes that nobody asked
 * for close the connection, and a request whose body does not keep to its content-length never
 * leaves the connection usable, because the rest would be read as another request. */
#include <errno.h>

#include "base/mem.h"
#include "http/h1_write.h"
#include "upstream/upstream_private.h"

enum {
    HEAD_MAX = 80 * 1024,      /* of a response, as Envoy */
    IN_MIN = HEAD_MAX + 16384, /* a head must fit into what is read ahead */
    INTERIM_MAX = 100,         /* 1xx responses to one request */
    FLUSH_SIZE = 16384,        /* less of a body waits for the end of the loop's turn */
};

static struct h1_client *of(struct conn *conn)
{
    return container_of(conn, struct h1_client, conn);
}

static void count_bytes(struct h1_client *c)
{
    struct cluster_stats *s = &c->host->cluster->stats;
    stat_add(s->upstream_cx_rx_bytes_total, (int64_t)(c->conn.rx_bytes - c->rx_counted));
    stat_add(s->upstream_cx_tx_bytes_total, (int64_t)(c->conn.tx_bytes - c->tx_counted));
    c->rx_counted = c->conn.rx_bytes;
    c->tx_counted = c->conn.tx_bytes;
}

void h1_client_close(struct h1_client *c)
{
    c->must_close = true;
    loop_timer_stop(&c->timer);
    list_del(&c->node); /* serves nobody any more */
    conn_close(&c->conn);
}

static void reset_request(struct h1_client *c, enum upstream_reset why, const char *failure)
{
    struct upstream_request *r = c->request;
    c->request = NULL;
    h1_client_close(c);
    if (!r)
        return;
    upstream_request_detach(r);
    r->ops->on_reset(r, why, failure);
}

static void protocol_error(struct h1_client *c)
{
    stat_inc(c->host->cluster->stats.upstream_cx_protocol_error);
    reset_request(c, UPSTREAM_RESET_PROTOCOL, h1_error_details(c->parser.error));
}

/* ---- the response ---- */

/* The last byte of the response is parsed: anything behind it makes the connection useless. */
static void complete_response(struct h1_client *c)
{
    c->request->is_done = true;
    if (c->conn.in.len || !c->parser.keep_alive || c->conn.is_eof)
        c->must_close = true;
}

/* False when nothing more can be done now. */
static bool parse_head(struct h1_client *c)
{
    struct upstream_request *r = c->request;
    size_t n = h1_parse_head(&c->parser, buf_str(&c->conn.in), &r->headers);
    if (!n) {
        if (c->parser.state == H1_FAILED)
            protocol_error(c);
        return false;
    }
    buf_consume(&c->conn.in, n);
    unsigned status = headers_status(&r->headers);
    if (status < 200) {
        if (status == 101 || ++c->interim_n > INTERIM_MAX) {
            protocol_error(c);
            return false;
        }
        r->ops->on_1xx(r, status);
        if (c->request == r) {
            headers_clear(&r->headers);
            h1_parse_next(&c->parser);
        }
        return true;
    }
    bool end = c->parser.state == H1_DONE;
    if (end)
        complete_response(c);
    r->ops->on_headers(r, end);
    return true;
}

/* Moves the next run of body bytes from the connection to data; false when there is none. */
static bool take_body(struct h1_client *c, struct buf *data)
{
    struct buf *in = &c->conn.in;
    struct str run = {0};
    size_t n = h1_parse_body(&c->parser, buf_str(in), &run);
    if (!n)
        return false;
    if (n == in->len && !data->len && run.n > 512) {
        /* The whole buffer goes on, narrowed to the body. */
        buf_fini(data);
        *data = *in;
        *in = (struct buf){0};
        data->off = (size_t)(run.p - data->mem);
        data->len = run.n;
    } else {
        buf_add(data, run.p, run.n);
        buf_consume(in, n);
    }
    return true;
}

static bool parse_trailers(struct h1_client *c)
{
    struct upstream_request *r = c->request;
    size_t n = h1_parse_trailers(&c->parser, buf_str(&c->conn.in), &r->trailers);
    buf_consume(&c->conn.in, n);
    return n > 0;
}

/* Body and what ends it, as far as it has arrived, in one call of the user. */
static bool parse_body(struct h1_client *c)
{
    struct upstream_request *r = c->request;
    struct buf data = {0};
    while (c->parser.state == H1_BODY && take_body(c, &data))
        ;
    if (c->parser.state == H1_TRAILERS)
        parse_trailers(c);
    if (c->parser.state == H1_FAILED) {
        buf_fini(&data);
        protocol_error(c);
        return false;
    }
    bool done = c->parser.state == H1_DONE;
    bool has_trailers = done && r->trailers.n;
    if (done)
        complete_response(c);
    bool progress = data.len || done;
    if (data.len || (done && !has_trailers))
        r->ops->on_body(r, &data, done && !has_trailers);
    buf_fini(&data);
    if (has_trailers && c->request == r)
        r->ops->on_trailers(r);
    return progress;
}

static bool parse_step(struct h1_client *c)
{
    switch (c->parser.state) {
    case H1_HEAD:
        return parse_head(c);
    case H1_BODY:
    case H1_TRAILERS:
        return parse_body(c);
    case H1_DONE:
    case H1_FAILED:
        break;
    }
    return false;
}

static bool may_parse(const struct h1_client *c)
{
    return conn_is_open(&c->conn) && c->request && !c->request->is_done && !c->conn.read_disabled &&
           c->conn.in.len;
}

/* The peer sent everything it will send, and all before that was handled. */
static void finish_eof(struct h1_client *c)
{
    struct upstream_request *r = c->request;
    c->must_close = true;
    if (!r) {
        h1_client_close(c);
    } else if (!r->is_done && c->parser.state == H1_BODY && h1_parse_eof(&c->parser)) {
        struct buf none = {0};
        r->is_done = true;
        r->ops->on_body(r, &none, true);
    } else if (!r->is_done) {
        reset_request(c, UPSTREAM_RESET_TERMINATED, "");
    } else {
        return; /* closed when the request is finished */
    }
    c->conn.cause = CONN_CLOSED_REMOTE;
}

static void handle_input(struct h1_client *c)
{
    if (c->request && !c->head_sent && c->conn.in.len) {
        protocol_error(c); /* an answer before the question */
        return;
    }
    while (may_parse(c) && parse_step(c))
        ;
    if (!conn_is_open(&c->conn))
        return;
    if (c->conn.in.len && !c->request) {
        stat_inc(c->host->cluster->stats.upstream_cx_protocol_error);
        h1_client_close(c);
    } else if (c->got_eof && !c->conn.read_disabled) {
        finish_eof(c);
    }
}

static void on_data(struct conn *conn)
{
    handle_input(of(conn));
}

static void on_eof(struct conn *conn)
{
    struct h1_client *c = of(conn);
    c->got_eof = true;
    handle_input(c);
}

/* ---- the connection ---- */

static void on_water(struct h1_client *c, bool is_high)
{
    struct cluster_stats *s = &c->host->cluster->stats;
    stat_inc(is_high ? s->upstream_flow_control_backed_up_total
                     : s->upstream_flow_control_drained_total);
    if (c->request && c->request->ops->on_water)
        c->request->ops->on_water(c->request, is_high);
}

static void on_high_water(struct conn *conn)
{
    on_water(of(conn), true);
}

static void on_low_water(struct conn *conn)
{
    on_water(of(conn), false);
}

static void end_connecting(struct h1_client *c)
{
    loop_timer_stop(&c->timer);
    c->state = H1_CLIENT_IDLE;
    c->host->pool.connecting_n--;
}

static void on_connected(struct conn *conn)
{
    struct h1_client *c = of(conn);
    stat_record(c->host->cluster->stats.upstream_cx_connect_ms,
                (loop_now_us(conn->loop) - c->start_us) / 1000);
    end_connecting(c);
    pool_put(c);
}

static void count_close(struct h1_client *c, bool with_request)
{
    struct cluster_stats *s = &c->host->cluster->stats;
    bool is_local = c->conn.cause == CONN_CLOSED_LOCAL;
    breaker_remove(c->host->cluster, c->priority, BREAKER_CONNECTIONS);
    c->host->stats.cx_active--;
    stat_add(s->upstream_cx_active, -1);
    stat_inc(s->upstream_cx_destroy);
    stat_inc(is_local ? s->upstream_cx_destroy_local : s->upstream_cx_destroy_remote);
    if (with_request) {
        stat_inc(s->upstream_cx_destroy_with_active_rq);
        stat_inc(is_local ? s->upstream_cx_destroy_local_with_active_rq
                          : s->upstream_cx_destroy_remote_with_active_rq);
    }
    stat_record(s->upstream_cx_length_ms, (loop_now_us(c->conn.loop) - c->start_us) / 1000);
    count_bytes(c);
}

static void fail_connecting(struct h1_client *c)
{
    struct cluster_stats *s = &c->host->cluster->stats;
    char text[TRANSPORT_FAILURE_MAX];
    end_connecting(c);
    stat_inc(s->upstream_cx_connect_fail);
    c->host->stats.cx_connect_fail++;
    if (c->has_timed_out) {
        stat_inc(s->upstream_cx_connect_timeout);
        pool_connect_failed(c, UPSTREAM_RESET_CONNECT_TIMEOUT, "");
        return;
    }
    pool_connect_failed(c, UPSTREAM_RESET_CONNECT_FAILED, upstream_conn_failure(&c->conn, text));
}

static void free_client(struct h1_client *c)
{
    upstream_host_unref(c->host);
    mem_free(c);
}

static void on_close(struct conn *conn)
{
    struct h1_client *c = of(conn);
    struct upstream_host *h = c->host;
    bool was_connecting = c->state == H1_CLIENT_CONNECTING;
    loop_timer_stop(&c->timer);
    count_close(c, c->request || c->was_cut);
    list_del(&c->node);
    if (was_connecting && (conn->cause == CONN_CONNECT_FAILED || c->has_timed_out))
        fail_connecting(c);
    else if (was_connecting)
        end_connecting(c);
    c->state = H1_CLIENT_CLOSED;
    if (c->request)
        reset_request(c, c->is_broken ? UPSTREAM_RESET_LOCAL : UPSTREAM_RESET_TERMINATED, "");
    pool_refill(h);
    if (c->task.is_queued)
        c->is_freed = true; /* the task does it */
    else
        free_client(c);
}

static const struct conn_ops client_ops = {
    .on_data = on_data,
    .on_eof = on_eof,
    .on_close = on_close,
    .on_high_water = on_high_water,
    .on_low_water = on_low_water,
    .on_connected = on_connected,
};

static void on_timer(struct loop_timer *t)
{
    struct h1_client *c = container_of(t, struct h1_client, timer);
    if (c->state == H1_CLIENT_CONNECTING)
        c->has_timed_out = true;
    else
        stat_inc(c->host->cluster->stats.upstream_cx_idle_timeout);
    h1_client_close(c);
}

static void run_task(struct loop_task *t)
{
    struct h1_client *c = container_of(t, struct h1_client, task);
    if (c->is_freed) {
        free_client(c);
        return;
    }
    conn_flush(&c->conn);
    if (conn_is_open(&c->conn) && (c->conn.in.len || c->got_eof))
        handle_input(c);
}

void h1_client_open(struct upstream_host *h, unsigned priority)
{
    struct upstream_cluster *cluster = h->cluster;
    const struct conf_cluster *conf = cluster_conf(cluster);
    struct h1_client *c = MEM_NEW(struct h1_client);
    c->host = host_ref(h);
    c->priority = priority;
    c->task.run = run_task;
    c->start_us = loop_now_us(cluster->loop);
    h1_parse_init(&c->parser, H1_RESPONSE);
    c->parser.headers_size_max = HEAD_MAX;
    conn_init_connect(&c->conn, cluster->loop, &h->addr, conf_cluster_source(conf, &h->addr),
                      &client_ops);
    upstream_conn_start(h, &c->conn, NULL);
    c->conn.high_water = conf->buffer_limit > IN_MIN ? conf->buffer_limit : IN_MIN;
    loop_timer_init(&c->timer, cluster->loop, on_timer);
    if (conf->connect_timeout_ms)
        loop_timer_start(&c->timer, conf->connect_timeout_ms);
    list_add_tail(&h->pool.busy, &c->node);
    h->pool.connecting_n++;
    h->stats.cx_total++;
    h->stats.cx_active++;
    stat_inc(cluster->stats.upstream_cx_http1_total);
}

void h1_client_idle(struct h1_client *c)
{
    uint32_t idle_ms = cluster_conf(c->host->cluster)->idle_timeout_ms;
    c->state = H1_CLIENT_IDLE;
    if (idle_ms)
        loop_timer_start(&c->timer, idle_ms);
}

void h1_client_attach(struct h1_client *c, struct upstream_request *r)
{
    loop_timer_stop(&c->timer);
    c->state = H1_CLIENT_BUSY;
    c->request = r;
    c->head_sent = c->is_chunked = c->has_length = false;
    c->length_left = 0;
    c->interim_n = 0;
    if (c->requests_n++)
        h1_parse_next(&c->parser);
    for (unsigned i = 0; i < r->read_disabled; i++)
        conn_read_disable(&c->conn);
    r->ops->on_ready(r);
}

bool h1_client_detach(struct h1_client *c)
{
    uint32_t max = cluster_conf(c->host->cluster)->max_requests_per_connection;
    c->was_cut = c->request && !c->request->is_done;
    c->request = NULL;
    count_bytes(c);
    if (max && c->requests_n >= max && !c->must_close) {
        stat_inc(c->host->cluster->stats.upstream_cx_max_requests);
        c->must_close = true;
    }
    return conn_is_open(&c->conn) && !c->must_close && !c->conn.in.len;
}

void h1_client_resume(struct h1_client *c)
{
    conn_read_enable(&c->conn);
    if (c->conn.in.len || c->got_eof)
        loop_defer(c->conn.loop, &c->task);
}

/* ---- the request ---- */

/* Framing and hop-by-hop fields of a head. */
struct framing {
    bool is_clean;   /* goes out as it stands */
    bool has_length; /* one well-formed content-length */
    uint64_t length;
    bool needs_zero; /* no body, but a method that may have one */
};

static bool is_hop_by_hop(uint16_t id)
{
    return id == HDR_CONNECTION || id == HDR_KEEP_ALIVE || id == HDR_PROXY_CONNECTION ||
           id == HDR_TRANSFER_ENCODING || id == HDR_UPGRADE || id == HDR_HOST;
}

static struct framing inspect(const struct headers *h, bool end)
{
    struct framing f = {.is_clean = true};
    unsigned lengths = 0;
    for (size_t i = 0; i < h->n; i++) {
        uint16_t id = h->v[i].id;
        if (id == HDR_CONTENT_LENGTH) {
            f.has_length = str_to_u64(header_value(h, &h->v[i]), INT64_MAX, &f.length);
            lengths++;
        } else if (is_hop_by_hop(id)) {
            f.is_clean = false;
        }
    }
    if (lengths > 1 || (lengths && !f.has_length)) {
        f.has_length = f.is_clean = false;
    }
    struct str method = headers_get(h, HDR_METHOD);
    f.needs_zero = end && !str_is(method, "GET") && !str_is(method, "HEAD");
    if (end ? (f.has_length ? f.length != 0 : f.needs_zero) : !f.has_length)
        f.is_clean = false;
    return f;
}

static const struct headers *fix_head(struct upstreams *u, const struct headers *h,
                                      const struct framing *f, bool end)
{
    struct headers *copy = &u->scratch;
    headers_clear(copy);
    headers_copy(copy, h);
    headers_remove_id(copy, HDR_CONNECTION);
    headers_remove_id(copy, HDR_KEEP_ALIVE);
    headers_remove_id(copy, HDR_PROXY_CONNECTION);
    headers_remove_id(copy, HDR_TRANSFER_ENCODING);
    headers_remove_id(copy, HDR_UPGRADE);
    headers_remove_id(copy, HDR_HOST);
    if (end || !f->has_length)
        headers_remove_id(copy, HDR_CONTENT_LENGTH);
    if (end && f->needs_zero)
        headers_add_id(copy, HDR_CONTENT_LENGTH, STR("0"));
    else if (!end && !f->has_length)
        headers_add_id(copy, HDR_TRANSFER_ENCODING, STR("chunked"));
    return copy;
}

static void end_request(struct upstream_request *r)
{
    r->request_complete = true;
    conn_flush(&r->client->conn);
}

/* The request cannot be sent as it is: a filter broke its head, or the body differs from what
 * content-length promised. Told from the loop, like all resets. */
static void break_request(struct h1_client *c)
{
    c->is_broken = c->must_close = true;
    conn_close(&c->conn);
}

void upstream_request_headers(struct upstream_request *r, const struct headers *h, bool end)
{
    struct h1_client *c = r->client;
    if (!c || c->head_sent)
        return;
    struct framing f = inspect(h, end);
    if (!f.is_clean)
        h = fix_head(r->cluster->u, h, &f, end);
    c->head_sent = true;
    c->has_length = f.has_length && !end;
    c->length_left = c->has_length ? f.length : 0;
    c->is_chunked = !end && !f.has_length;
    c->parser.request_was_head = str_is(headers_get(h, HDR_METHOD), "HEAD");
    if (!h1_write_request(&c->conn.out, h))
        break_request(c);
    else if (end)
        end_request(r);
    else
        loop_defer(c->conn.loop, &c->task); /* usually the body comes right behind */
}

void upstream_request_body(struct upstream_request *r, struct buf *data, bool end)
{
    struct h1_client *c = r->client;
    if (!c || r->request_complete || c->is_broken) {
        buf_fini(data);
        return;
    }
    if (c->has_length && (data->len > c->length_left || (end && data->len < c->length_left))) {
        buf_fini(data);
        break_request(c);
        return;
    }
    if (c->has_length)
        c->length_left -= data->len;
    if (c->is_chunked) {
        h1_write_chunk(&c->conn.out, buf_str(data).p, data->len);
        buf_fini(data);
        if (end)
            h1_write_last_chunk(&c->conn.out, NULL);
    } else {
        buf_move(&c->conn.out, data);
    }
    if (end)
        end_request(r);
    else if (c->conn.out.len >= FLUSH_SIZE)
        conn_flush(&c->conn);
    else
        loop_defer(c->conn.loop, &c->task);
}

void upstream_request_trailers(struct upstream_request *r, const struct headers *h)
{
    struct h1_client *c = r->client;
    if (!c || r->request_complete || c->is_broken)
        return;
    if (c->is_chunked) {
        h1_write_last_chunk(&c->conn.out, h);
    } else if (c->length_left) {
        break_request(c);
        return;
    }
    end_request(r);
}
