#include "http/h1_conn_private.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "http/h1_write.h"

static struct h1_conn *of_conn(struct conn *c)
{
    return container_of(c, struct h1_conn, conn);
}

static void parse_input(struct h1_conn *h);

/* ---- ending a connection ---- */

static void close_now(struct h1_conn *h)
{
    conn_close(&h->conn);
}

static void close_gracefully(struct h1_conn *h)
{
    loop_timer_stop(&h->idle_timer);
    loop_timer_stop(&h->head_timer);
    http_linger_close(&h->linger);
}

/* The response is not whole: what there is of it goes out, without the end of its framing. */
static void close_cut(struct h1_conn *h)
{
    loop_timer_stop(&h->idle_timer);
    http_linger_cut(&h->linger);
}

/* A client that sends requests and reads no answers: what waits for it is enough. */
static bool is_flooded(const struct h1_conn *h)
{
    return h->conn.out.len > h->conn.high_water;
}

static void run_flush(struct loop_task *t)
{
    struct h1_conn *h = container_of(t, struct h1_conn, flush_task);
    bool was_flooded = is_flooded(h);
    conn_flush(&h->conn);
    if (was_flooded && !is_flooded(h) && conn_is_open(&h->conn))
        conn_wake(&h->conn); /* requests wait */
}

static void on_idle(struct loop_timer *t)
{
    struct h1_conn *h = container_of(t, struct h1_conn, idle_timer);
    stat_inc(h->hcm->stats.cx_idle_timeout);
    close_gracefully(h);
}

static struct stream *open_stream(struct h1_conn *h);

struct head_deadline {
    uint32_t ms; /* 0: none */
    struct str text;
    const char *details;
    uint32_t flag;
    size_t stat_offset; /* in hcm_stats */
};

/* What has its time from a message's first byte on; the shortest ends the wait for its head. */
static struct head_deadline head_deadline(const struct h1_conn *h)
{
    const struct conf_hcm *conf = h->hcm->conf;
    const struct head_deadline all[] = {
        {conf->request_headers_timeout_ms, STR("request header timeout"), "request_header_timeout",
         0, offsetof(struct hcm_stats, rq_header_timeout)},
        {conf->request_timeout_ms, STR("request timeout"), "request_overall_timeout", 0,
         offsetof(struct hcm_stats, rq_timeout)},
        {conf->stream_idle_timeout_ms, STR("stream timeout"), "stream_idle_timeout",
         FLAG_STREAM_IDLE_TIMEOUT, offsetof(struct hcm_stats, rq_idle_timeout)},
    };
    struct head_deadline out = {0};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        if (all[i].ms && (!out.ms || all[i].ms < out.ms))
            out = all[i];
    return out;
}

static void on_head_timeout(struct loop_timer *t)
{
    struct h1_conn *h = container_of(t, struct h1_conn, head_timer);
    struct head_deadline d = head_deadline(h);
    stat_inc(*(const stat_id *)((const char *)&h->hcm->stats + d.stat_offset));
    h->close_after = true;
    stream_local_reply(open_stream(h), 408, d.text, d.details, d.flag, -1, NULL);
}

/* An old connection closes with its next response, or when drain_timeout passes without one. */
static void on_duration(struct loop_timer *t)
{
    struct h1_conn *h = container_of(t, struct h1_conn, duration_timer);
    if (!h->is_old) {
        h->is_old = true;
        stat_inc(h->hcm->stats.cx_max_duration);
        loop_timer_start(t, h->hcm->conf->drain_timeout_ms);
    } else if (!h->stream) {
        close_gracefully(h);
    }
}

static void restart_idle(struct h1_conn *h)
{
    if (h->hcm->conf->idle_timeout_ms)
        loop_timer_start(&h->idle_timer, h->hcm->conf->idle_timeout_ms);
}

/* ---- codec side of a stream ---- */

static void reset(struct stream *s)
{
    struct h1_conn *h = h1_of_stream(s);
    h->close_after = true;
    h->is_aborted = true;
}

static void read_disable(struct stream *s, bool disable)
{
    struct h1_conn *h = h1_of_stream(s);
    if (disable == h->is_read_disabled)
        return;
    h->is_read_disabled = disable;
    if (disable)
        conn_read_disable(&h->conn);
    else
        conn_read_enable(&h->conn);
}

static void on_stream_end(struct stream *s)
{
    struct h1_conn *h = h1_of_stream(s);
    h->stream = NULL;
    if (!conn_is_open(&h->conn))
        return; /* no timer may run on it any more */
    if (h->is_read_disabled) {
        h->is_read_disabled = false;
        conn_read_enable(&h->conn);
    }
    if (h->is_aborted) {
        close_cut(h);
        return;
    }
    if (h->close_after || !s->req_complete) {
        close_gracefully(h);
        return;
    }
    h1_parse_next(&h->parser);
    restart_idle(h);
    if (h->conn.in.len && !h->is_in_data)
        conn_wake(&h->conn);
}

static const struct stream_codec_ops codec_ops = {
    h1_send_headers, h1_send_body, h1_send_trailers, h1_send_1xx,
    reset,           read_disable, on_stream_end,
};

/* ---- requests ---- */

/* Of a message that begins, or of one that is answered before its head was understood: also those
 * answers are counted and logged. */
static struct stream *open_stream(struct h1_conn *h)
{
    loop_timer_stop(&h->idle_timer);
    loop_timer_stop(&h->head_timer);
    h->requests++;
    stat_inc(h->hcm->stats.rq_http1_total);
    struct stream *s = stream_create(h->hcm, h->down, &codec_ops, h);
    h->stream = s;
    h->is_stream_held = false;
    s->info.http_minor = (uint8_t)(10 + h1_minor_version(h));
    return s;
}

static void on_parse_error(struct h1_conn *h)
{
    enum h1_error e = h->parser.error;
    const char *details = h1_error_details(e);
    stat_inc(h->hcm->stats.cx_protocol_error);
    log_debug(LOG_HTTP, "[C%lu] %s", (unsigned long)h->conn.id, details);
    h->close_after = true;
    h->parser.keep_alive = false;
    stream_local_reply(h->stream ? h->stream : open_stream(h), h1_error_status(e),
                       str_of(h1_reason(h1_error_status(e))), details,
                       FLAG_DOWNSTREAM_PROTOCOL_ERROR, -1, NULL);
}

/* What follows the head is not HTTP, if the upgrade is allowed; with a body of its own (which is
 * none of CONNECT's) the request is an ordinary one. */
static bool is_upgrade(struct h1_conn *h, struct headers *req)
{
    if (str_is(headers_get(req, HDR_METHOD), "CONNECT"))
        return true;
    if (h->parser.is_upgrade && h->parser.state != H1_DONE)
        headers_remove_id(req, HDR_UPGRADE);
    return h->parser.is_upgrade && h->parser.state == H1_DONE;
}

static void start_stream(struct h1_conn *h)
{
    struct stream *s = open_stream(h);
    struct headers spare = s->req;
    s->req = h->head;
    h->head = spare;
    if (h->parser.names) {
        s->req_case = h->names;
        h->names = (struct header_case){0};
    }
    const char *default_host = h->hcm->conf->default_host_for_http_10;
    if (h->parser.minor_version == 0 && !headers_find(&s->req, HDR_AUTHORITY) && *default_host)
        headers_set_id(&s->req, HDR_AUTHORITY, str_of(default_host));
    h->is_raw = is_upgrade(h, &s->req);
    bool end = h->parser.state == H1_DONE && !h->is_raw;
    struct str expect = headers_get(&s->req, HDR_EXPECT);
    if (expect.p && str_eq_nocase(expect, STR("100-continue")) &&
        !h->hcm->conf->proxy_100_continue) {
        headers_remove_id(&s->req, HDR_EXPECT);
        if (!end && h->parser.minor_version >= 1)
            stream_send_1xx(s, 100);
    }
    stream_start(s, end);
}

static void refuse_underscore(struct h1_conn *h)
{
    h->parser.state = H1_FAILED;
    h->parser.error = H1_ERROR_UNEXPECTED_UNDERSCORE;
    on_parse_error(h);
}

static bool parse_head(struct h1_conn *h)
{
    size_t n = h1_parse_head(&h->parser, buf_str(&h->conn.in), &h->head);
    if (h->parser.state == H1_FAILED) {
        on_parse_error(h);
        return false;
    }
    if (!n) {
        uint32_t ms = h->conn.in.len ? head_deadline(h).ms : 0;
        if (ms && !loop_timer_is_on(&h->head_timer))
            loop_timer_start(&h->head_timer, ms);
        return false;
    }
    buf_consume(&h->conn.in, n);
    if (h->parser.state == H1_HEAD)
        return true; /* only an empty line was skipped */
    if (!hcm_check_underscores(h->hcm, &h->head)) {
        refuse_underscore(h);
        return false;
    }
    start_stream(h);
    return true;
}

static bool parse_body(struct h1_conn *h)
{
    struct str data = {0};
    size_t n = h1_parse_body(&h->parser, buf_str(&h->conn.in), &data);
    if (h->parser.state == H1_FAILED) {
        on_parse_error(h);
        return false;
    }
    bool end = h->parser.state == H1_DONE;
    if (!n && !end)
        return false;
    struct buf body = {0};
    if (data.n == h->conn.in.len)
        buf_move(&body, &h->conn.in); /* whole buffer: hand it over instead of copying */
    else {
        buf_adds(&body, data);
        buf_consume(&h->conn.in, n);
    }
    if (body.len || end)
        stream_on_body(h->stream, &body, end);
    return true;
}

static bool parse_trailers(struct h1_conn *h)
{
    struct stream *s = h->stream;
    size_t n = h1_parse_trailers(&h->parser, buf_str(&h->conn.in), &s->req_trailers);
    if (h->parser.state == H1_FAILED) {
        on_parse_error(h);
        return false;
    }
    if (!n)
        return false;
    buf_consume(&h->conn.in, n);
    if (h->parser.state != H1_DONE)
        return true;
    if (h->hcm->conf->h1_trailers && !hcm_check_underscores(h->hcm, &s->req_trailers)) {
        refuse_underscore(h);
        return false;
    }
    struct buf none = {0};
    if (h->hcm->conf->h1_trailers && s->req_trailers.n) {
        stream_on_trailers(s);
        return true;
    }
    headers_clear(&s->req_trailers); /* off by default, as in Envoy */
    stream_on_body(s, &none, true);
    return true;
}

/* Bytes of an upgraded stream. */
static bool pass_raw(struct h1_conn *h)
{
    struct buf data = {0};
    if (!h->conn.in.len)
        return false;
    buf_move(&data, &h->conn.in);
    stream_on_body(h->stream, &data, false);
    return true;
}

static bool parse_step(struct h1_conn *h)
{
    if (!conn_is_open(&h->conn) || h->linger.is_on)
        return false;
    switch (h->parser.state) {
    case H1_HEAD:
        return h->conn.in.len && !is_flooded(h) && parse_head(h);
    case H1_BODY:
        return h->stream && !h->is_read_disabled && parse_body(h);
    case H1_TRAILERS:
        return h->stream && !h->is_read_disabled && parse_trailers(h);
    case H1_DONE:
        return h->is_raw && h->stream && !h->is_read_disabled && pass_raw(h);
    default:
        return false; /* complete: the next request waits for this response */
    }
}

static void parse_input(struct h1_conn *h)
{
    h->is_in_data = true;
    while (parse_step(h))
        ;
    h->is_in_data = false;
    if (h->linger.is_on)
        buf_fini(&h->conn.in);
}

/* ---- connection events ---- */

/* A connection speaks HTTP/1 from its first byte on, unless that begins HTTP/2's preface. False:
 * nothing to do here now. */
static bool choose_codec(struct h1_conn *h)
{
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    struct str in = buf_str(&h->conn.in);
    if (h->is_used || !in.n)
        return true;
    size_t n = in.n < sizeof(preface) - 1 ? in.n : sizeof(preface) - 1;
    if (h->on_preface && memcmp(in.p, preface, n) == 0) {
        if (n == sizeof(preface) - 1)
            h->on_preface(h);
        return false;
    }
    h->is_used = true;
    stat_inc(h->hcm->stats.cx_http1_total);
    stat_add(h->hcm->stats.cx_http1_active, 1);
    return true;
}

static void on_data(struct conn *c)
{
    struct h1_conn *h = of_conn(c);
    if (choose_codec(h))
        parse_input(h);
}

static void on_eof(struct conn *c)
{
    struct h1_conn *h = of_conn(c);
    if (h->linger.is_on) {
        conn_close_after_flush(c);
        return;
    }
    close_now(h); /* as Envoy: a client that closed gets no answer any more */
    c->cause = CONN_CLOSED_REMOTE;
}

static void run_free(struct loop_task *t)
{
    struct h1_conn *h = container_of(t, struct h1_conn, free_task);
    h->on_end(h);
}

static void on_close(struct conn *c)
{
    struct h1_conn *h = of_conn(c);
    loop_timer_stop(&h->idle_timer);
    loop_timer_stop(&h->head_timer);
    loop_timer_stop(&h->duration_timer);
    http_linger_fini(&h->linger);
    if (h->is_used)
        stat_add(h->hcm->stats.cx_http1_active, -1);
    h->closed_active = h->stream != NULL;
    if (h->stream)
        stream_on_downstream_reset(h->stream, FLAG_DOWNSTREAM_CONNECTION_TERMINATION,
                                   "downstream_remote_disconnect");
    headers_fini(&h->head);
    header_case_fini(&h->names);
    /* Behind the stream's own end in the queue, which still reads h->down. */
    loop_defer(c->loop, &h->free_task);
}

static void on_high_water(struct conn *c)
{
    struct h1_conn *h = of_conn(c);
    if (h->stream) {
        h->is_stream_held = true;
        stream_on_codec_water(h->stream, true);
    }
}

static void on_low_water(struct conn *c)
{
    struct h1_conn *h = of_conn(c);
    if (h->stream && h->is_stream_held) {
        h->is_stream_held = false;
        stream_on_codec_water(h->stream, false);
    }
    conn_wake(c); /* requests may wait */
}

static const struct conn_ops conn_ops = {
    .on_data = on_data,
    .on_eof = on_eof,
    .on_close = on_close,
    .on_high_water = on_high_water,
    .on_low_water = on_low_water,
};

void h1_conn_init(struct h1_conn *h, struct hcm *hcm, struct downstream_info *down, int fd,
                  struct str initial, void (*on_end)(struct h1_conn *h))
{
    memset(h, 0, sizeof(*h));
    h->hcm = hcm;
    h->down = down;
    h->on_end = on_end;
    h->flush_task.run = run_flush;
    h->free_task.run = run_free;
    h1_parse_init(&h->parser, H1_REQUEST);
    h->parser.accept_http_10 = hcm->conf->accept_http_10;
    if (hcm->conf->h1_case >= CONF_CASE_PRESERVE) {
        h->parser.names = &h->names;
        h->parser.names_conf = hcm->conf->h1_case;
    }
    h->parser.rules = (struct h1_rules){
        .takes_any_method = hcm->conf->h1_any_method,
        .keeps_absolute = hcm->conf->h1_keeps_absolute,
        .chunked_beats_length = hcm->conf->h1_chunked_beats_length,
        .refuses_https =
            hcm->conf->use_remote_address && !hcm->conf->xff_num_trusted_hops && !down->is_tls,
    };
    h->parser.headers_size_max = hcm->conf->request_headers_size_max;
    h->parser.headers_count_max = hcm->conf->request_headers_count_max;
    loop_timer_init(&h->idle_timer, hcm->env->loop, on_idle);
    loop_timer_init(&h->head_timer, hcm->env->loop, on_head_timeout);
    loop_timer_init(&h->duration_timer, hcm->env->loop, on_duration);
    if (hcm->conf->max_connection_duration_ms)
        loop_timer_start(&h->duration_timer, hcm->conf->max_connection_duration_ms);
    conn_init_accepted(&h->conn, hcm->env->loop, fd, &conn_ops);
    http_linger_init(&h->linger, &h->conn, hcm->conf->delayed_close_timeout_ms);
    down->connection_id = h->conn.id;
    h->conn.high_water = hcm->buffer_limit;
    h->conn.closes_on_early_eof = true;
    restart_idle(h);
    if (initial.n) {
        buf_adds(&h->conn.in, initial);
        conn_wake(&h->conn);
    }
}
