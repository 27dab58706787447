/* One HTTP/1.1 connection to a host: sends a request, parses the response, again.
 *
 * What the upstream sends is not trusted: heads are bounded by the parser, bytes that nobody asked
 * for close the connection, and a request whose body does not keep to its content-length never
 * leaves the connection usable, because the rest would be read as another request. */
#include <errno.h>

#include "base/mem.h"
#include "upstream/h1_client_private.h"

enum {
    HEAD_MAX = 80 * 1024, /* of a response, as Envoy */
    INTERIM_MAX = 100,    /* 1xx responses to one request */
    FLUSH_SIZE = 16384,   /* less of a body waits for the end of the loop's turn */
};

static struct h1_client *of(struct conn *conn)
{
    return container_of(conn, struct client, conn)->codec_state;
}

/* Closes the connection and tells its request. */
static void reset(struct h1_client *h, enum upstream_reset why, const char *failure)
{
    struct upstream_request *r = h->request;
    h->request = NULL;
    h->c->was_cut = r != NULL;
    client_close(h->c);
    if (r)
        request_reset(r, why, failure);
}

static void protocol_error(struct h1_client *h)
{
    stat_inc(h->c->host->cluster->stats.upstream_cx_protocol_error);
    reset(h, UPSTREAM_RESET_PROTOCOL, h1_error_details(h->parser.error));
}

/* ---- the response ---- */

/* The last byte of the response is parsed: anything behind it makes the connection useless. */
static void complete_response(struct h1_client *h)
{
    h->request->is_done = true;
    if (h->c->conn.in.len)
        stat_inc(h->c->host->cluster->stats.upstream_cx_protocol_error);
    if (h->c->conn.in.len || !h->parser.keep_alive || h->c->conn.is_eof)
        h->c->must_close = true;
}

/* False when nothing more can be done now. */
static bool parse_head(struct h1_client *h)
{
    struct upstream_request *r = h->request;
    size_t n = h1_parse_head(&h->parser, buf_str(&h->c->conn.in), &r->headers);
    if (!n) {
        if (h->parser.state == H1_FAILED)
            protocol_error(h);
        return false;
    }
    buf_consume(&h->c->conn.in, n);
    unsigned status = headers_status(&r->headers);
    if (request_is_granted(r, status)) {
        h->is_tunnel = h->c->must_close = true;
        request_switch(r);
        return true;
    }
    if (status < 200) {
        if (status == 101 || ++h->interim_n > INTERIM_MAX) {
            protocol_error(h);
            return false;
        }
        r->ops->on_1xx(r, status);
        if (h->request == r) {
            headers_clear(&r->headers);
            h1_parse_next(&h->parser);
        }
        return true;
    }
    bool end = h->parser.state == H1_DONE;
    if (!h->parser.keep_alive && h->parser.body != H1_BODY_UNTIL_CLOSE)
        stat_inc(r->cluster->stats.upstream_cx_close_notify);
    if (end)
        complete_response(h);
    r->ops->on_headers(r, end);
    return true;
}

/* Moves the next run of body bytes from the connection to data; false when there is none. */
static bool take_body(struct h1_client *h, struct buf *data)
{
    struct buf *in = &h->c->conn.in;
    struct str run = {0};
    size_t n = h1_parse_body(&h->parser, buf_str(in), &run);
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

static bool parse_trailers(struct h1_client *h)
{
    struct upstream_request *r = h->request;
    bool is_wanted = cluster_conf(r->cluster)->http1_trailers;
    size_t n =
        h1_parse_trailers(&h->parser, buf_str(&h->c->conn.in), is_wanted ? &r->trailers : NULL);
    buf_consume(&h->c->conn.in, n);
    return n > 0;
}

/* Body and what ends it, as far as it has arrived, in one call of the user. */
static bool parse_body(struct h1_client *h)
{
    struct upstream_request *r = h->request;
    struct buf data = {0};
    while (h->parser.state == H1_BODY && take_body(h, &data))
        ;
    if (h->parser.state == H1_TRAILERS)
        parse_trailers(h);
    if (h->parser.state == H1_FAILED) {
        buf_fini(&data);
        protocol_error(h);
        return false;
    }
    bool done = h->parser.state == H1_DONE;
    bool has_trailers = done && r->trailers.n;
    if (done)
        complete_response(h);
    bool progress = data.len || done;
    if (data.len || (done && !has_trailers))
        r->ops->on_body(r, &data, done && !has_trailers);
    buf_fini(&data);
    if (has_trailers && h->request == r)
        r->ops->on_trailers(r);
    return progress;
}

static bool pass_bytes(struct h1_client *h)
{
    struct buf data = {0};
    buf_move(&data, &h->c->conn.in);
    h->request->ops->on_body(h->request, &data, false);
    buf_fini(&data);
    return true;
}

static bool parse_step(struct h1_client *h)
{
    if (h->is_tunnel)
        return pass_bytes(h);
    switch (h->parser.state) {
    case H1_HEAD:
        return parse_head(h);
    case H1_BODY:
    case H1_TRAILERS:
        return parse_body(h);
    case H1_DONE:
    case H1_FAILED:
        break;
    }
    return false;
}

static bool may_parse(const struct h1_client *h)
{
    return conn_is_open(&h->c->conn) && h->request && !h->request->is_done &&
           !h->c->conn.read_disabled && h->c->conn.in.len;
}

static bool ends_with_connection(struct h1_client *h)
{
    return h->is_tunnel || (h->parser.state == H1_BODY && h1_parse_eof(&h->parser));
}

/* The peer sent everything it will send, and all before that was handled. */
static void finish_eof(struct h1_client *h)
{
    struct upstream_request *r = h->request;
    h->c->must_close = true;
    if (!r) {
        client_close(h->c);
    } else if (!r->is_done && ends_with_connection(h)) {
        struct buf none = {0};
        r->is_done = true;
        r->ops->on_body(r, &none, true);
    } else if (!r->is_done && (h->parser.state != H1_HEAD || h->c->conn.in.len)) {
        h->parser.error = H1_ERROR_CODEC; /* half a message */
        protocol_error(h);
    } else if (!r->is_done) {
        reset(h, UPSTREAM_RESET_TERMINATED, "");
    } else {
        return; /* closed when the request is finished */
    }
    h->c->conn.cause = CONN_CLOSED_REMOTE;
}

static void handle_input(struct h1_client *h)
{
    if (h->request && !h->head_sent && h->c->conn.in.len) {
        protocol_error(h); /* an answer before the question */
        return;
    }
    while (may_parse(h) && parse_step(h))
        ;
    if (!conn_is_open(&h->c->conn))
        return;
    if (h->c->conn.in.len && !h->request) {
        stat_inc(h->c->host->cluster->stats.upstream_cx_protocol_error);
        client_close(h->c);
    } else if (h->got_eof && !h->c->conn.read_disabled) {
        finish_eof(h);
    }
}

static void on_data(struct conn *conn)
{
    handle_input(of(conn));
}

static void on_eof(struct conn *conn)
{
    struct h1_client *h = of(conn);
    h->got_eof = true;
    handle_input(h);
}

/* ---- the connection ---- */

static void on_water(struct h1_client *h, bool is_high)
{
    struct cluster_stats *s = &h->c->host->cluster->stats;
    stat_inc(is_high ? s->upstream_flow_control_backed_up_total
                     : s->upstream_flow_control_drained_total);
    if (h->request && h->request->ops->on_water)
        h->request->ops->on_water(h->request, is_high);
}

static void on_high_water(struct conn *conn)
{
    on_water(of(conn), true);
}

static void on_low_water(struct conn *conn)
{
    on_water(of(conn), false);
}

static void start(struct client *c)
{
    struct h1_client *h = MEM_NEW(struct h1_client);
    h->c = c;
    h1_parse_init(&h->parser, H1_RESPONSE);
    const struct conf_cluster *conf = cluster_conf(c->host->cluster);
    h->parser.headers_size_max =
        conf->response_headers_size_max ? conf->response_headers_size_max : HEAD_MAX;
    if (conf->response_headers_count_max)
        h->parser.headers_count_max = conf->response_headers_count_max;
    c->codec_state = h;
    c->streams_max = 1;
}

static void stop(struct client *c)
{
    struct h1_client *h = c->codec_state;
    if (h->request)
        reset(h, h->is_broken ? UPSTREAM_RESET_LOCAL : UPSTREAM_RESET_TERMINATED, "");
}

static void destroy(struct client *c)
{
    mem_free(c->codec_state);
}

static void run(struct client *c)
{
    conn_flush(&c->conn);
    if (conn_is_open(&c->conn) && (c->conn.in.len || ((struct h1_client *)c->codec_state)->got_eof))
        handle_input(c->codec_state);
}

static void attach(struct client *c, struct upstream_request *r)
{
    struct h1_client *h = c->codec_state;
    h->request = r;
    h->parser.names_conf = cluster_conf(r->cluster)->h1_case;
    h->parser.names = h->parser.names_conf >= CONF_CASE_PRESERVE ? &r->names : NULL;
    h->head_sent = h->is_chunked = h->has_length = false;
    h->length_left = 0;
    h->interim_n = 0;
    if (c->requests_n > 1)
        h1_parse_next(&h->parser);
    if (r->read_disabled)
        conn_read_disable(&c->conn);
    r->ops->on_ready(r);
}

static bool detach(struct client *c, struct upstream_request *r, bool is_whole)
{
    struct h1_client *h = c->codec_state;
    if (r->read_disabled)
        conn_read_enable(&c->conn);
    c->was_cut = !is_whole;
    h->request = NULL;
    client_count_bytes(c);
    return is_whole && conn_is_open(&c->conn) && !c->must_close && !c->conn.in.len;
}

static void read_disable(struct upstream_request *r, bool disable)
{
    struct client *c = r->client;
    struct h1_client *h = c->codec_state;
    if (disable) {
        conn_read_disable(&c->conn);
        return;
    }
    conn_read_enable(&c->conn);
    if (c->conn.in.len || h->got_eof)
        loop_defer(c->conn.loop, &c->task);
}

const struct client_codec h1_client_codec = {
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
    .send_headers = h1_client_headers,
    .send_body = h1_client_body,
    .send_trailers = h1_client_trailers,
    .read_disable = read_disable,
};
