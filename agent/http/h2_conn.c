#include "http/h2_conn.h"

#include <string.h>

#include "base/log.h"
#include "http/upgrade.h"

/* Resets that cost us work: Envoy's overload.premature_reset_* runtime keys. */
enum { RESETS_CHECKED_FROM = 500, EARLY_RESET_US = 1000 * 1000 };

/* A stream of ours beside its stream of the session; in the stream's arena. */
struct h2_request {
    struct h2_conn *conn;
    struct h2_stream *h2; /* NULL: closed or reset */
    bool is_read_disabled;
};

static struct h2_conn *of_conn(struct conn *c)
{
    return container_of(c, struct h2_conn, conn);
}

static struct h2_conn *of_session(struct h2_session *h)
{
    return container_of(h, struct h2_conn, session);
}

static struct h2_request *of_stream(struct stream *s)
{
    return s->codec_stream;
}

/* ---- the end of a connection ---- */

static void stop_timers(struct h2_conn *h)
{
    loop_timer_stop(&h->idle_timer);
    loop_timer_stop(&h->drain_timer);
    loop_timer_stop(&h->duration_timer);
}

static void start_drain(struct h2_conn *h)
{
    if (h->state != H2_SERVING)
        return;
    h->state = H2_DRAINING;
    h2_session_goaway(&h->session, false);
    loop_timer_start(&h->drain_timer, h->hcm->conf->drain_timeout_ms);
}

static void on_drain_timer(struct loop_timer *t)
{
    struct h2_conn *h = container_of(t, struct h2_conn, drain_timer);
    h->state = H2_CLOSING;
    h2_session_goaway(&h->session, true);
}

static void on_idle(struct loop_timer *t)
{
    struct h2_conn *h = container_of(t, struct h2_conn, idle_timer);
    stat_inc(h->hcm->stats.cx_idle_timeout);
    start_drain(h);
}

static void on_duration(struct loop_timer *t)
{
    struct h2_conn *h = container_of(t, struct h2_conn, duration_timer);
    stat_inc(h->hcm->stats.cx_max_duration);
    start_drain(h);
}

static void restart_idle(struct h2_conn *h)
{
    if (h->hcm->conf->idle_timeout_ms && h->state == H2_SERVING)
        loop_timer_start(&h->idle_timer, h->hcm->conf->idle_timeout_ms);
}

static void on_session_end(struct h2_session *session)
{
    struct h2_conn *h = of_session(session);
    stop_timers(h);
    if (session->failure) {
        stat_inc(h->hcm->stats.cx_protocol_error);
        log_debug(LOG_HTTP, "[C%llu] %s", (unsigned long long)h->conn.id, session->failure);
    }
    http_linger_close(&h->linger);
}

/* ---- codec side of a stream ---- */

static void decide_drain(struct h2_conn *h)
{
    const struct hcm *hcm = h->hcm;
    if (h->state != H2_SERVING)
        return;
    if (hcm->is_draining && hcm->is_draining(hcm->draining_arg)) {
        stat_inc(hcm->stats.cx_drain_close);
        start_drain(h);
    }
}

static void send_headers(struct stream *s, bool end)
{
    struct h2_request *r = of_stream(s);
    decide_drain(r->conn);
    if (s->is_upgraded)
        upgrade_response_to_h2(&s->resp);
    if (r->h2)
        h2_stream_send_headers(r->h2, &s->resp, end);
}

static void send_body(struct stream *s, struct buf *data, bool end)
{
    struct h2_request *r = of_stream(s);
    if (s->is_head)
        buf_fini(data);
    if (r->h2)
        h2_stream_send_body(r->h2, data, end);
    else
        buf_fini(data);
}

static void send_trailers(struct stream *s)
{
    struct h2_request *r = of_stream(s);
    if (r->h2)
        h2_stream_send_trailers(r->h2, &s->resp_trailers);
}

static void send_1xx(struct stream *s, unsigned status)
{
    struct h2_request *r = of_stream(s);
    if (r->h2)
        h2_stream_send_1xx(r->h2, status);
}

static void reset(struct stream *s)
{
    struct h2_request *r = of_stream(s);
    if (r->h2)
        h2_stream_cut(r->h2);
    r->h2 = NULL;
}

static void read_disable(struct stream *s, bool disable)
{
    struct h2_request *r = of_stream(s);
    if (disable == r->is_read_disabled)
        return;
    r->is_read_disabled = disable;
    if (r->h2)
        h2_stream_read_disable(r->h2, disable);
}

static void on_stream_end(struct stream *s)
{
    struct h2_request *r = of_stream(s);
    struct h2_conn *h = r->conn;
    if (r->h2)
        h2_stream_detach(r->h2);
    r->h2 = NULL;
    h->streams_n--;
    h->ended_n++;
    if (!h->streams_n && conn_is_open(&h->conn))
        restart_idle(h);
}

static const struct stream_codec_ops codec_ops = {
    send_headers, send_body, send_trailers, send_1xx, reset, read_disable, on_stream_end,
};

/* ---- requests ---- */

static void answer_expect(struct h2_conn *h, struct stream *s, bool end)
{
    struct str expect = headers_get(&s->req, HDR_EXPECT);
    if (!expect.p || !str_eq_nocase(expect, STR("100-continue")) ||
        h->hcm->conf->proxy_100_continue)
        return;
    headers_remove_id(&s->req, HDR_EXPECT);
    if (!end)
        stream_send_1xx(s, 100);
}

static void count_request(struct h2_conn *h)
{
    uint32_t max = h->hcm->conf->max_requests_per_connection;
    loop_timer_stop(&h->idle_timer);
    h->streams_n++;
    stat_inc(h->hcm->stats.rq_http2_total);
    if (++h->requests_n == max) {
        stat_inc(h->hcm->stats.cx_max_requests);
        start_drain(h);
    }
}

static bool check_underscores(struct h2_conn *h, struct h2_stream *st)
{
    if (hcm_check_underscores(h->hcm, &st->head))
        return true;
    stat_inc(h->session.stats->requests_rejected_with_underscores_in_headers);
    return false;
}

static void refuse(struct h2_conn *h, struct h2_stream *st)
{
    stat_inc(h->session.stats->rx_messaging_error);
    if (h->hcm->conf->http2.keeps_broken)
        h2_stream_reset(st, H2_PROTOCOL_ERROR);
    else
        h2_session_fail(&h->session, H2_PROTOCOL_ERROR, "http2.invalid.header.field");
}

static void on_headers(struct h2_session *session, struct h2_stream *st, bool end)
{
    struct h2_conn *h = of_session(session);
    if (!check_underscores(h, st)) {
        h2_stream_reset(st, H2_INTERNAL_ERROR);
        return;
    }
    /* No user may stand there (RFC 9113 8.3.1), and who parses it as a URI takes it for one. */
    if (str_find(headers_get(&st->head, HDR_AUTHORITY), '@') >= 0) {
        refuse(h, st);
        return;
    }
    struct stream *s = stream_create(h->hcm, h->down, &codec_ops, NULL);
    struct h2_request *r = arena_zalloc(&s->arena, sizeof(*r));
    s->codec_stream = r;
    s->info.http_minor = 20;
    r->conn = h;
    r->h2 = st;
    st->user = s;
    struct headers spare = s->req;
    s->req = st->head;
    st->head = spare;
    upgrade_from_h2(&s->req);
    count_request(h);
    answer_expect(h, s, end);
    stream_start(s, end);
}

static void on_body(struct h2_session *session, struct h2_stream *st, struct buf *data, bool end)
{
    (void)session;
    stream_on_body(st->user, data, end);
}

static void on_trailers(struct h2_session *session, struct h2_stream *st)
{
    struct stream *s = st->user;
    if (!check_underscores(of_session(session), st)) {
        stream_reset(s, FLAG_DOWNSTREAM_PROTOCOL_ERROR, "http2.unexpected_underscore");
        return;
    }
    struct headers spare = s->req_trailers;
    s->req_trailers = st->head;
    st->head = spare;
    stream_on_trailers(s);
}

/* Many requests that are reset before they are answered make us work for nothing (rapid reset,
 * CVE-2023-44487). */
static void check_resets(struct h2_conn *h, const struct stream *s)
{
    if (loop_now_us(h->conn.loop) - s->info.start_us < EARLY_RESET_US)
        h->ended_early_n++;
    uint32_t seen = h->ended_n < RESETS_CHECKED_FROM ? RESETS_CHECKED_FROM : h->ended_n;
    if (h->ended_early_n * 2ull < seen || h->session.failure)
        return;
    stat_inc(h->hcm->stats.rq_too_many_resets);
    h2_session_fail(&h->session, H2_ENHANCE_YOUR_CALM, "too_many_premature_resets");
}

static void on_close(struct h2_session *session, struct h2_stream *st, uint32_t code, bool by_peer)
{
    struct h2_conn *h = of_session(session);
    struct stream *s = st->user;
    of_stream(s)->h2 = NULL;
    if (session->failure)
        stream_on_downstream_reset(s, FLAG_DOWNSTREAM_PROTOCOL_ERROR, session->failure);
    else if (!conn_is_open(&h->conn))
        stream_on_downstream_reset(s, FLAG_DOWNSTREAM_CONNECTION_TERMINATION,
                                   "downstream_remote_disconnect");
    else if (!by_peer && code)
        stream_on_downstream_reset(s, FLAG_DOWNSTREAM_PROTOCOL_ERROR,
                                   "http2.violation.of.messaging.rule");
    else
        stream_on_downstream_reset(s, FLAG_DOWNSTREAM_REMOTE_RESET,
                                   code == H2_REFUSED_STREAM ? "http2.remote_refuse"
                                                             : "http2.remote_reset");
    if (by_peer)
        check_resets(h, s);
}

static void on_water(struct h2_session *session, struct h2_stream *st, bool is_high)
{
    struct stream *s = st->user;
    (void)session;
    stream_on_codec_water(s, is_high);
}

static const struct h2_session_ops session_ops = {
    .on_headers = on_headers,
    .on_body = on_body,
    .on_trailers = on_trailers,
    .on_close = on_close,
    .on_water = on_water,
    .on_end = on_session_end,
};

/* ---- connection events ---- */

static void on_data(struct conn *c)
{
    struct h2_conn *h = of_conn(c);
    if (h->linger.is_on)
        buf_fini(&c->in);
    else
        h2_session_input(&h->session);
}

static void on_eof(struct conn *c)
{
    struct h2_conn *h = of_conn(c);
    if (h->linger.is_on) {
        conn_close_after_flush(c);
        return;
    }
    conn_close(c);
    c->cause = CONN_CLOSED_REMOTE;
}

static void run_free(struct loop_task *t)
{
    struct h2_conn *h = container_of(t, struct h2_conn, free_task);
    h->on_end(h);
}

static void on_conn_close(struct conn *c)
{
    struct h2_conn *h = of_conn(c);
    stop_timers(h);
    http_linger_fini(&h->linger);
    h->closed_active = h->streams_n > 0;
    h2_session_fini(&h->session);
    stop_timers(h); /* the end of a stream may have started one */
    stat_add(h->hcm->stats.cx_http2_active, -1);
    loop_defer(c->loop, &h->free_task);
}

static void on_low_water(struct conn *c)
{
    h2_session_flush(&of_conn(c)->session);
}

static const struct conn_ops conn_ops = {
    .on_data = on_data,
    .on_eof = on_eof,
    .on_close = on_conn_close,
    .on_low_water = on_low_water,
};

void h2_conn_init(struct h2_conn *h, struct hcm *hcm, struct downstream_info *down, int fd,
                  struct str initial, void (*on_end)(struct h2_conn *h))
{
    const struct conf_hcm *conf = hcm->conf;
    struct loop *loop = hcm->env->loop;
    memset(h, 0, sizeof(*h));
    h->hcm = hcm;
    h->down = down;
    h->on_end = on_end;
    h->free_task.run = run_free;
    loop_timer_init(&h->idle_timer, loop, on_idle);
    loop_timer_init(&h->drain_timer, loop, on_drain_timer);
    loop_timer_init(&h->duration_timer, loop, on_duration);
    stat_inc(hcm->stats.cx_http2_total);
    stat_add(hcm->stats.cx_http2_active, 1);
    conn_init_accepted(&h->conn, loop, fd, &conn_ops);
    down->connection_id = h->conn.id;
    h->conn.high_water = hcm->buffer_limit;
    http_linger_init(&h->linger, &h->conn, conf->delayed_close_timeout_ms);
    h2_session_init(&h->session, H2_SERVER, &h->conn, &conf->http2, &session_ops,
                    hcm_h2_stats(hcm));
    h->session.headers_size_max = conf->request_headers_size_max;
    h->session.headers_count_max = conf->request_headers_count_max;
    h->session.buffer_limit = hcm->buffer_limit;
    h->session.flush_timeout_ms = conf->stream_idle_timeout_ms;
    if (conf->max_connection_duration_ms)
        loop_timer_start(&h->duration_timer, conf->max_connection_duration_ms);
    restart_idle(h);
    if (initial.n) {
        buf_adds(&h->conn.in, initial);
        conn_wake(&h->conn);
    }
}
