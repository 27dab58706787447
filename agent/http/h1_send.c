/* Responses on a connection of HTTP/1: framing, whether it stays open, and that a body is what its
 * content-length promised. */
#include "http/h1_conn_private.h"
#include "http/h1_write.h"

/* A filter may have left a content-length that is no number, or several: none counts then. */
static bool take_length(struct headers *r, uint64_t *length_r)
{
    const struct header *found = headers_find(r, HDR_CONTENT_LENGTH);
    if (!found)
        return false;
    bool ok = str_to_u64(header_value(r, found), INT64_MAX, length_r);
    for (const struct header *e = found + 1; ok && e < r->v + r->n; e++)
        ok = e->id != HDR_CONTENT_LENGTH;
    if (!ok)
        headers_remove_id(r, HDR_CONTENT_LENGTH);
    return ok;
}

static void add_framing(struct h1_conn *h, struct stream *s, bool end)
{
    struct headers *r = &s->resp;
    unsigned status = s->info.status;
    h->resp_chunked = h->resp_no_body = h->resp_has_length = false;
    if (s->is_upgraded) {
        headers_remove_id(r, HDR_CONTENT_LENGTH);
        return;
    }
    h->resp_no_body = s->is_head || status == 204 || status == 304 || status < 200;
    bool has_length = take_length(r, &h->resp_left);
    h->resp_has_length = has_length && !h->resp_no_body;
    if (h->resp_has_length && end && h->resp_left) {
        headers_set_id(r, HDR_CONTENT_LENGTH, STR("0"));
        h->resp_left = 0;
    }
    if (status == 204 || status < 200) {
        if (has_length)
            headers_remove_id(r, HDR_CONTENT_LENGTH);
    } else if (!has_length && s->is_head && h1_minor_version(h)) {
        headers_add_id(r, HDR_TRANSFER_ENCODING, STR("chunked")); /* as it would be of a GET */
    } else if (!has_length && end && !s->is_head && status != 304) {
        headers_add_id(r, HDR_CONTENT_LENGTH, STR("0"));
    } else if (!has_length && !end && !h->resp_no_body) {
        if (h1_minor_version(h)) {
            headers_add_id(r, HDR_TRANSFER_ENCODING, STR("chunked"));
            h->resp_chunked = true;
        } else {
            h->close_after = true; /* HTTP/1.0: the end of the connection ends the body */
        }
    }
}

static void decide_close(struct h1_conn *h)
{
    const struct hcm *hcm = h->hcm;
    if (!h->parser.keep_alive || h->is_old)
        h->close_after = true;
    if (hcm->is_draining && hcm->is_draining(hcm->draining_arg) && !h->close_after) {
        stat_inc(hcm->stats.cx_drain_close);
        h->close_after = true;
    }
    uint32_t max = hcm->conf->max_requests_per_connection;
    if (max && h->requests >= max && !h->close_after) {
        stat_inc(hcm->stats.cx_max_requests);
        h->close_after = true;
    }
}

void h1_send_headers(struct stream *s, bool end)
{
    struct h1_conn *h = h1_of_stream(s);
    decide_close(h);
    if (s->closes_connection || (!s->req_complete && !s->is_upgraded))
        h->close_after = true; /* the rest of the request is not waited for */
    add_framing(h, s, end);
    if (s->is_upgraded)
        h->close_after = true; /* at its end */
    else if (h->close_after)
        headers_set_id(&s->resp, HDR_CONNECTION, STR("close"));
    else if (!h1_minor_version(h))
        headers_set_id(&s->resp, HDR_CONNECTION, STR("keep-alive"));
    size_t from = h->conn.out.len;
    h1_write_response(&h->conn.out, &s->resp, h1_minor_version(h));
    header_case_apply(&h->conn.out, from, h->hcm->conf->h1_case, &s->resp_case);
    h1_flush_later(h);
}

/* The body is what content-length promised: more of it would be read as the next response, and
 * with less the client would wait for the rest. */
static void keep_promise(struct h1_conn *h, struct buf *data, bool end)
{
    if (data->len > h->resp_left) {
        struct buf kept = {0};
        buf_move_n(&kept, data, h->resp_left);
        buf_fini(data);
        *data = kept;
        h->close_after = true;
    }
    h->resp_left -= data->len;
    if (end && h->resp_left)
        h->is_aborted = true;
}

void h1_send_body(struct stream *s, struct buf *data, bool end)
{
    struct h1_conn *h = h1_of_stream(s);
    if (h->resp_has_length)
        keep_promise(h, data, end);
    if (h->resp_no_body) {
        buf_fini(data);
    } else if (h->resp_chunked) {
        h1_write_chunk(&h->conn.out, buf_head(data), data->len);
        buf_fini(data);
        if (end)
            h1_write_last_chunk(&h->conn.out, NULL);
    } else {
        buf_move(&h->conn.out, data);
    }
    h1_flush_later(h);
}

void h1_send_trailers(struct stream *s)
{
    struct h1_conn *h = h1_of_stream(s);
    if (h->resp_has_length && h->resp_left)
        h->is_aborted = true;
    if (h->resp_chunked)
        h1_write_last_chunk(&h->conn.out, h->hcm->conf->h1_trailers ? &s->resp_trailers : NULL);
    h1_flush_later(h);
}

void h1_send_1xx(struct stream *s, unsigned status)
{
    struct h1_conn *h = h1_of_stream(s);
    if (h->parser.minor_version == 0)
        return;
    buf_printf(&h->conn.out, "HTTP/1.1 %u %s\r\n\r\n", status, h1_reason(status));
    h1_flush_later(h);
}
