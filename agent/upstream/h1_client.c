/* One HTTP/1.1 connection to a host: sends a request, parses the response, again.
 *
 * What the upstream sends is not trusted: heads are bounded by the parser, bytes that nobody asked
 * for close the connection, and a request whose body does not keep to its content-length never
 * leaves the connection usable, because the rest would be read as another request. */
#include <errno.h>

#include "base/mem.h"
#include "http/h1_parse.h"
#include "http/h1_write.h"
#include "upstream/client_private.h"

enum {
    HEAD_MAX = 80 * 1024, /* of a response, as Envoy */
    INTERIM_MAX = 100,    /* 1xx responses to one request */
    FLUSH_SIZE = 16384,   /* less of a body waits for the end of the loop's turn */
};

struct h1_client {
    struct client *c;
    struct upstream_request *request;
    struct h1_parser parser;
    uint64_t length_left; /* of a request body with content-length */
    unsigned interim_n;
    bool is_chunked, has_length;
    bool head_sent;
    bool got_eof;   /* handled when everything before it was */
    bool is_broken; /* the request's body did not keep to its length */
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
    size_t n = h1_parse_trailers(&h->parser, buf_str(&h->c->conn.in), &r->trailers);
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

static bool parse_step(struct h1_client *h)
{
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

/* The peer sent everything it will send, and all before that was handled. */
static void finish_eof(struct h1_client *h)
{
    struct upstream_request *r = h->request;
    h->c->must_close = true;
    if (!r) {
        client_close(h->c);
    } else if (!r->is_done && h->parser.state == H1_BODY && h1_parse_eof(&h->parser)) {
        struct buf none = {0};
        r->is_done = true;
        r->ops->on_body(r, &none, true);
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
    h->parser.headers_size_max = HEAD_MAX;
    c->codec_state = h;
    c->streams_max = 1;
}

static void stop(struct client *c)
{
    struct h1_client *h = c->codec_state;
    if (h->request)
        reset(h, h->is_broken ? UPSTREAM_RESET_LOCAL : UPSTREAM_RESET_TERMINATED, "");
    mem_free(h);
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
    c->was_cut = !r->is_done;
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
static void break_request(struct h1_client *h)
{
    h->is_broken = h->c->must_close = true;
    conn_close(&h->c->conn);
}

static void send_headers(struct upstream_request *r, const struct headers *head, bool end)
{
    struct client *c = r->client;
    struct h1_client *h = c->codec_state;
    if (h->head_sent)
        return;
    struct framing f = inspect(head, end);
    if (!f.is_clean)
        head = fix_head(r->cluster->u, head, &f, end);
    h->head_sent = true;
    h->has_length = f.has_length && !end;
    h->length_left = h->has_length ? f.length : 0;
    h->is_chunked = !end && !f.has_length;
    h->parser.request_was_head = str_is(headers_get(head, HDR_METHOD), "HEAD");
    if (!h1_write_request(&c->conn.out, head))
        break_request(h);
    else if (end)
        end_request(r);
    else
        loop_defer(c->conn.loop, &c->task); /* usually the body comes right behind */
}

static void send_body(struct upstream_request *r, struct buf *data, bool end)
{
    struct client *c = r->client;
    struct h1_client *h = c->codec_state;
    if (h->is_broken) {
        buf_fini(data);
        return;
    }
    if (h->has_length && (data->len > h->length_left || (end && data->len < h->length_left))) {
        buf_fini(data);
        break_request(h);
        return;
    }
    if (h->has_length)
        h->length_left -= data->len;
    if (h->is_chunked) {
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

static void send_trailers(struct upstream_request *r, const struct headers *trailers)
{
    struct h1_client *h = r->client->codec_state;
    if (h->is_broken)
        return;
    if (h->is_chunked) {
        h1_write_last_chunk(&r->client->conn.out, trailers);
    } else if (h->length_left) {
        break_request(h);
        return;
    }
    end_request(r);
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
    .run = run,
    .attach = attach,
    .detach = detach,
    .send_headers = send_headers,
    .send_body = send_body,
    .send_trailers = send_trailers,
    .read_disable = read_disable,
};
