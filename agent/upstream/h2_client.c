/* HTTP/2 on a connection of a pool: as many requests at a time as both sides allow.
 *
 * The session (http/h2_session.h) does frames and flow control: a request that does not read keeps
 * its own window closed, and one whose body does not get out is told by on_water. */
#include <string.h>

#include "base/mem.h"
#include "upstream/h2_client_private.h"

static struct h2_client *of_conn(struct conn *conn)
{
    return container_of(conn, struct client, conn)->codec_state;
}

static struct h2_client *of_session(struct h2_session *session)
{
    return container_of(session, struct h2_client, session);
}

static struct cluster_stats *stats_of(const struct h2_client *h)
{
    return &h->c->host->cluster->stats;
}

/* ---- the response ---- */

/* In the form of HTTP/1, which filters and clients of other versions know. */
static void fix_upgrade(const struct upstream_request *r, struct headers *h)
{
    if (request_is_connect(r))
        return;
    headers_set_id(h, HDR_STATUS, STR("101"));
    headers_remove_id(h, HDR_CONTENT_LENGTH);
    headers_add_id(h, HDR_CONNECTION, STR("upgrade"));
    headers_add_id(h, HDR_UPGRADE, r->upgrade);
}

static void swap(struct headers *a, struct headers *b)
{
    struct headers spare = *a;
    *a = *b;
    *b = spare;
}

static void on_headers(struct h2_session *session, struct h2_stream *st, bool end)
{
    struct upstream_request *r = st->user;
    (void)session;
    swap(&r->headers, &st->head);
    unsigned status = headers_status(&r->headers);
    if (r->upgrade.p && status < 300 && !end) {
        fix_upgrade(r, &r->headers);
        request_switch(r);
        return;
    }
    r->is_done = end;
    r->ops->on_headers(r, end);
}

static void on_1xx(struct h2_session *session, struct h2_stream *st, unsigned status)
{
    struct upstream_request *r = st->user;
    (void)session;
    r->ops->on_1xx(r, status);
}

static void on_body(struct h2_session *session, struct h2_stream *st, struct buf *data, bool end)
{
    struct upstream_request *r = st->user;
    (void)session;
    r->is_done = end;
    r->ops->on_body(r, data, end);
}

static void on_trailers(struct h2_session *session, struct h2_stream *st)
{
    struct upstream_request *r = st->user;
    (void)session;
    swap(&r->trailers, &st->head);
    r->is_done = true;
    r->ops->on_trailers(r);
}

/* ---- ends of streams ---- */

static enum upstream_reset find_reason(const struct h2_client *h, uint32_t code, bool by_peer)
{
    if (h->c->state == CLIENT_CLOSED)
        return h->is_broken ? UPSTREAM_RESET_PROTOCOL : UPSTREAM_RESET_TERMINATED;
    if (code == H2_REFUSED_STREAM)
        return by_peer ? UPSTREAM_RESET_REMOTE_REFUSED : UPSTREAM_RESET_LOCAL_REFUSED;
    if (code == H2_PROTOCOL_ERROR)
        return UPSTREAM_RESET_PROTOCOL;
    return code == H2_CONNECT_ERROR ? UPSTREAM_RESET_CONNECT : UPSTREAM_RESET_REMOTE;
}

static void on_stream_close(struct h2_session *session, struct h2_stream *st, uint32_t code,
                            bool by_peer)
{
    struct h2_client *h = of_session(session);
    struct upstream_request *r = st->user;
    r->codec_stream = NULL;
    if (r->is_done)
        return; /* its owner has everything; what is left of its body is not wanted */
    enum upstream_reset why = find_reason(h, code, by_peer);
    if (why == UPSTREAM_RESET_REMOTE)
        stat_inc(stats_of(h)->upstream_rq_rx_reset);
    request_reset(r, why, "");
    if (h->c->state == CLIENT_OPEN && conn_is_open(&h->c->conn))
        pool_put(h->c);
}

static void on_water(struct h2_session *session, struct h2_stream *st, bool is_high)
{
    struct cluster_stats *s = stats_of(of_session(session));
    struct upstream_request *r = st->user;
    stat_inc(is_high ? s->upstream_flow_control_backed_up_total
                     : s->upstream_flow_control_drained_total);
    if (r->ops->on_water)
        r->ops->on_water(r, is_high);
}

/* ---- the connection ---- */

static void on_goaway(struct h2_session *session, int32_t last_id, uint32_t code)
{
    struct h2_client *h = of_session(session);
    struct client *c = h->c;
    (void)last_id, (void)code;
    if (!h->got_goaway)
        stat_inc(stats_of(h)->upstream_cx_close_notify);
    h->got_goaway = true;
    client_drain(c);
}

static void on_settings(struct h2_session *session)
{
    struct h2_client *h = of_session(session);
    uint32_t ours = h->conf->http2.max_concurrent_streams;
    uint32_t theirs = h2_session_peer_streams_max(session);
    h->got_settings = true;
    h->c->streams_max = ours < theirs ? ours : theirs;
    h->c->pool->streams_max = h->c->streams_max ? h->c->streams_max : 1;
    h2_client_begin_upgrades(h);
    if (conn_is_open(&h->c->conn))
        pool_put(h->c);
    pool_refill(h->c->pool);
}

static void on_end(struct h2_session *session)
{
    struct h2_client *h = of_session(session);
    h->is_broken = session->failure && strcmp(session->failure, "http2.ping_timeout") != 0;
    if (h->is_broken)
        stat_inc(stats_of(h)->upstream_cx_protocol_error);
    client_close(h->c);
}

static const struct h2_session_ops session_ops = {
    .on_headers = on_headers,
    .on_1xx = on_1xx,
    .on_body = on_body,
    .on_trailers = on_trailers,
    .on_close = on_stream_close,
    .on_water = on_water,
    .on_goaway = on_goaway,
    .on_settings = on_settings,
    .on_end = on_end,
};

static struct h2_stats *get_stats(struct upstream_cluster *c)
{
    if (!c->h2_stats) {
        c->h2_stats = MEM_NEW(struct h2_stats);
        h2_stats_init(c->h2_stats, c->stats.prefix);
    }
    return c->h2_stats;
}

static void start(struct client *c)
{
    struct upstream_cluster *cluster = c->host->cluster;
    struct h2_client *h = MEM_NEW(struct h2_client);
    h->c = c;
    h->conf = conf_object_ref(cluster->entry->cluster);
    list_init(&h->upgrades);
    c->codec_state = h;
    c->streams_max = client_streams_max(c->pool);
    h2_session_init(&h->session, H2_CLIENT, &c->conn, &h->conf->http2, &session_ops,
                    get_stats(cluster));
    h->session.buffer_limit = h->conf->buffer_limit;
    if (h->conf->response_headers_size_max)
        h->session.headers_size_max = h->conf->response_headers_size_max;
    if (h->conf->response_headers_count_max)
        h->session.headers_count_max = h->conf->response_headers_count_max;
}

static void stop(struct client *c)
{
    struct h2_client *h = c->codec_state;
    while (!list_is_empty(&h->upgrades)) {
        struct upstream_request *r = container_of(h->upgrades.next, struct upstream_request, node);
        list_del(&r->node);
        request_reset(r, UPSTREAM_RESET_TERMINATED, "");
    }
    h2_session_fini(&h->session);
}

static void destroy(struct client *c)
{
    struct h2_client *h = c->codec_state;
    conf_object_unref(h->conf);
    mem_free(h);
}

static void on_data(struct conn *conn)
{
    h2_session_input(&of_conn(conn)->session);
}

static void on_eof(struct conn *conn)
{
    client_close(container_of(conn, struct client, conn));
    conn->cause = CONN_CLOSED_REMOTE;
}

static void on_low_water(struct conn *conn)
{
    h2_session_flush(&of_conn(conn)->session);
}

static void attach(struct client *c, struct upstream_request *r)
{
    (void)c;
    r->codec_stream = NULL;
    r->ops->on_ready(r);
}

static bool detach(struct client *c, struct upstream_request *r, bool is_whole)
{
    struct h2_stream *st = r->codec_stream;
    r->codec_stream = NULL;
    if (!is_whole)
        stat_inc(r->cluster->stats.upstream_rq_tx_reset);
    if (st && is_whole)
        h2_stream_detach(st);
    else if (st)
        h2_stream_reset(st, H2_CANCEL);
    list_del(&r->node); /* of an upgrade that waits for settings */
    client_count_bytes(c);
    return conn_is_open(&c->conn);
}

static void read_disable(struct upstream_request *r, bool disable)
{
    if (r->codec_stream)
        h2_stream_read_disable(r->codec_stream, disable);
}

const struct client_codec h2_client_codec = {
    .conn =
        {
            .on_data = on_data,
            .on_eof = on_eof,
            .on_close = client_on_close,
            .on_low_water = on_low_water,
        },
    .start = start,
    .stop = stop,
    .destroy = destroy,
    .attach = attach,
    .detach = detach,
    .send_headers = h2_client_headers,
    .send_body = h2_client_body,
    .send_trailers = h2_client_trailers,
    .read_disable = read_disable,
};
