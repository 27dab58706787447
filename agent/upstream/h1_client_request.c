/* Requests over HTTP/1.1: how they are framed. */
#include "http/h1_write.h"
#include "upstream/h1_client_private.h"

enum { FLUSH_SIZE = 16384 }; /* less of a body waits for the end of the loop's turn */

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
    f.needs_zero = end && !str_is(method, "GET") && !str_is(method, "HEAD") &&
                   !str_is(method, "DELETE") && !str_is(method, "TRACE");
    if (end ? (f.has_length ? f.length != 0 : f.needs_zero) : !f.has_length)
        f.is_clean = false;
    return f;
}

static struct headers *copy_clean(struct upstreams *u, const struct headers *h)
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
    return copy;
}

static const struct headers *fix_head(struct upstreams *u, const struct headers *h,
                                      const struct framing *f, bool end)
{
    struct headers *copy = copy_clean(u, h);
    if (end || !f->has_length)
        headers_remove_id(copy, HDR_CONTENT_LENGTH);
    if (end && f->needs_zero)
        headers_add_id(copy, HDR_CONTENT_LENGTH, STR("0"));
    else if (!end && !f->has_length)
        headers_add_id(copy, HDR_TRANSFER_ENCODING, STR("chunked"));
    return copy;
}

/* What follows such a head is no body. */
static const struct headers *fix_upgrade(const struct upstream_request *r, const struct headers *h)
{
    struct headers *copy = copy_clean(r->cluster->u, h);
    headers_remove_id(copy, HDR_CONTENT_LENGTH);
    if (request_is_connect(r))
        return copy;
    struct str connection = headers_get(h, HDR_CONNECTION);
    headers_add_id(copy, HDR_CONNECTION, connection.n ? connection : STR("upgrade"));
    headers_add_id(copy, HDR_UPGRADE, r->upgrade);
    return copy;
}

static void end_request(struct upstream_request *r)
{
    r->request_complete = true;
    if (r->is_switched)
        conn_shutdown_write(&r->client->conn);
    else
        conn_flush(&r->client->conn);
}

/* The request cannot be sent as it is: a filter broke its head, or the body differs from what
 * content-length promised. Told from the loop, like all resets. */
static void break_request(struct h1_client *h)
{
    h->is_broken = h->c->must_close = true;
    conn_close(&h->c->conn);
}

static const struct headers *frame_head(struct upstream_request *r, struct h1_client *h,
                                        const struct headers *head, bool end)
{
    if (r->upgrade.p)
        return fix_upgrade(r, head);
    struct framing f = inspect(head, end);
    h->has_length = f.has_length && !end;
    h->length_left = h->has_length ? f.length : 0;
    h->is_chunked = !end && !f.has_length;
    return f.is_clean ? head : fix_head(r->cluster->u, head, &f, end);
}

void h1_client_headers(struct upstream_request *r, const struct headers *head, bool end)
{
    struct client *c = r->client;
    struct h1_client *h = c->codec_state;
    if (h->head_sent)
        return;
    head = frame_head(r, h, head, end);
    h->head_sent = true;
    h->parser.request_was_head = str_is(headers_get(head, HDR_METHOD), "HEAD");
    h->parser.request_was_connect = request_is_connect(r);
    size_t from = c->conn.out.len;
    bool is_written = h1_write_request(&c->conn.out, head);
    if (is_written)
        header_case_apply(&c->conn.out, from, cluster_conf(r->cluster)->h1_case, r->request_names);
    if (!is_written)
        break_request(h);
    else if (end)
        end_request(r);
    else
        loop_defer(c->conn.loop, &c->task); /* usually the body comes right behind */
}

void h1_client_body(struct upstream_request *r, struct buf *data, bool end)
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

void h1_client_trailers(struct upstream_request *r, const struct headers *trailers)
{
    struct h1_client *h = r->client->codec_state;
    if (h->is_broken)
        return;
    if (h->is_chunked) {
        bool is_wanted = cluster_conf(r->cluster)->http1_trailers;
        h1_write_last_chunk(&r->client->conn.out, is_wanted ? trailers : NULL);
    } else if (h->length_left) {
        break_request(h);
        return;
    }
    end_request(r);
}
