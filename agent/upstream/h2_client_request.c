/* Requests over HTTP/2: what their heads become, and that bodies keep to content-length. */
#include "upstream/h2_client_private.h"

static struct h2_client *of(const struct upstream_request *r)
{
    return r->client->codec_state;
}

/* The request cannot be sent as it is: a filter broke its head, or the body differs from what
 * content-length promised. */
static void break_request(struct upstream_request *r, enum upstream_reset why)
{
    struct client *c = r->client;
    struct h2_stream *st = r->codec_stream;
    r->codec_stream = NULL;
    if (st)
        h2_stream_reset(st, H2_CANCEL);
    request_fail(r, why);
    pool_put(c);
}

/* ---- heads ---- */

static bool is_sound(const struct headers *h, const struct upstream_request *r)
{
    struct str path = headers_get(h, HDR_PATH);
    return header_name_is_valid(headers_get(h, HDR_METHOD)) &&
           header_value_is_valid(headers_get(h, HDR_AUTHORITY)) &&
           (request_is_connect(r) || (path.n && header_value_is_valid(path)));
}

/* One well-formed content-length that fits the rest; else there must be none. */
static bool read_length(struct upstream_request *r, const struct headers *h, bool end)
{
    unsigned n = 0;
    bool is_number = false;
    for (size_t i = 0; i < h->n; i++)
        if (h->v[i].id == HDR_CONTENT_LENGTH) {
            is_number = str_to_u64(header_value(h, &h->v[i]), INT64_MAX, &r->length_left);
            n++;
        }
    bool is_good = !n || (n == 1 && is_number && !r->upgrade.p && (!end || !r->length_left));
    r->has_length = n && is_good && !end;
    return is_good;
}

static bool has_good_te(const struct headers *h)
{
    struct str te = headers_get(h, HDR_TE);
    return !te.p || str_eq_nocase(te, STR("trailers"));
}

/* A pseudo header that is missing or not to be: the map has to be copied. Fields of HTTP/1
 * connections are left out by the session. */
static const struct headers *fix_head(struct upstream_request *r, const struct headers *h, bool end)
{
    bool is_good = read_length(r, h, end);
    bool is_connect = request_is_connect(r);
    if (is_good && !r->upgrade.p && has_good_te(h) && headers_find(h, HDR_SCHEME))
        return h;
    struct headers *copy = &r->cluster->u->scratch;
    headers_clear(copy);
    headers_copy(copy, h);
    if (!is_good)
        headers_remove_id(copy, HDR_CONTENT_LENGTH);
    if (!has_good_te(h))
        headers_remove_id(copy, HDR_TE);
    if (is_connect) {
        headers_remove_id(copy, HDR_SCHEME);
        headers_remove_id(copy, HDR_PATH);
    } else if (!headers_find(h, HDR_SCHEME)) {
        headers_add_id(copy, HDR_SCHEME,
                       upstream_host_is_tls(r->host) ? STR("https") : STR("http"));
    }
    if (r->upgrade.p && !is_connect) {
        headers_set_id(copy, HDR_METHOD, STR("CONNECT"));
        headers_add(copy, STR(":protocol"), r->upgrade);
    }
    return copy;
}

static void open_stream(struct upstream_request *r, const struct headers *head, bool end)
{
    struct h2_stream *st = h2_session_request(&of(r)->session, head, end, r);
    if (!st) { /* it has just seen a GOAWAY, or ran out of numbers */
        client_drain(r->client);
        break_request(r, UPSTREAM_RESET_LOCAL_REFUSED);
        return;
    }
    r->codec_stream = st;
    r->request_complete = end;
    if (r->read_disabled)
        h2_stream_read_disable(st, true);
}

void h2_client_headers(struct upstream_request *r, const struct headers *head, bool end)
{
    struct h2_client *h = of(r);
    if (r->codec_stream || !list_is_empty(&r->node))
        return;
    if (!is_sound(head, r)) {
        break_request(r, UPSTREAM_RESET_LOCAL);
        return;
    }
    head = fix_head(r, head, end);
    if (!r->upgrade.p || request_is_connect(r) || h2_session_peer_connects(&h->session)) {
        open_stream(r, head, end);
    } else if (h->got_settings) {
        break_request(r, UPSTREAM_RESET_CONNECT);
    } else {
        headers_copy(&r->headers, head); /* has room until the response comes */
        r->request_complete = end;
        list_add_tail(&h->upgrades, &r->node);
    }
}

void h2_client_begin_upgrades(struct h2_client *h)
{
    while (!list_is_empty(&h->upgrades)) {
        struct upstream_request *r = container_of(h->upgrades.next, struct upstream_request, node);
        list_del(&r->node);
        if (h2_session_peer_connects(&h->session))
            open_stream(r, &r->headers, r->request_complete);
        else
            break_request(r, UPSTREAM_RESET_CONNECT);
    }
}

/* ---- what follows ---- */

void h2_client_body(struct upstream_request *r, struct buf *data, bool end)
{
    struct h2_stream *st = r->codec_stream;
    if (!st) { /* the peer wants no more of it */
        buf_fini(data);
        return;
    }
    if (r->has_length && (data->len > r->length_left || (end && data->len < r->length_left))) {
        buf_fini(data);
        break_request(r, UPSTREAM_RESET_LOCAL);
        return;
    }
    r->length_left -= r->has_length ? data->len : 0;
    r->request_complete = end;
    h2_stream_send_body(st, data, end);
}

void h2_client_trailers(struct upstream_request *r, const struct headers *trailers)
{
    if (!r->codec_stream)
        return;
    if (r->has_length && r->length_left) {
        break_request(r, UPSTREAM_RESET_LOCAL);
        return;
    }
    r->request_complete = true;
    h2_stream_send_trailers(r->codec_stream, trailers);
}
