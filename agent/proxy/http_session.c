/* A downstream connection whose chain ends in the HTTP connection manager. Which codec it has is
 * settled by configuration, ALPN, or its first bytes. */
#include <stdio.h>

#include "base/mem.h"
#include "http/h1_conn.h"
#include "http/h2_conn.h"
#include "proxy/listener.h"

struct http_session {
    struct downstream down;
    struct hcm *hcm;
    bool is_tls;
    struct h1_conn *h1; /* one of them, or both while the first gives way */
    struct h2_conn *h2;
};

static struct http_session *of_info(struct downstream_info *info)
{
    return container_of(container_of(info, struct downstream, info), struct http_session, down);
}

static void close_session(struct downstream *d)
{
    struct http_session *s = container_of(d, struct http_session, down);
    conn_close(s->h2 ? &s->h2->conn : &s->h1->conn);
}

static void count_end(struct http_session *s, const struct conn *c)
{
    const struct hcm_stats *st = &s->hcm->stats;
    const struct http_linger *linger = s->h2 ? &s->h2->linger : &s->h1->linger;
    hcm_count_closed(st, c->cause == CONN_CLOSED_LOCAL,
                     s->h2 ? s->h2->closed_active : s->h1->closed_active);
    if (linger->has_timed_out)
        stat_inc(st->cx_delayed_close_timeout);
    stat_add(st->cx_ssl_active, s->is_tls ? -1 : 0);
    stat_add(st->cx_active, -1);
    stat_add(st->cx_rx_bytes, (int64_t)c->rx_bytes);
    stat_add(st->cx_tx_bytes, (int64_t)c->tx_bytes);
    stat_record(st->cx_length_ms, (loop_now_us(c->loop) - s->down.start_us) / 1000);
}

static void end(struct http_session *s, const struct conn *c)
{
    count_end(s, c);
    s->down.rx_bytes = c->rx_bytes;
    s->down.tx_bytes = c->tx_bytes;
    downstream_fini(&s->down);
}

static void on_h1_end(struct h1_conn *h)
{
    struct http_session *s = of_info(h->down);
    bool is_last = !s->h2;
    if (is_last)
        end(s, &h->conn);
    mem_free(h);
    s->h1 = NULL;
    if (is_last)
        mem_free(s);
}

/* The first codec, if there was one, is gone by then: it closed before. */
static void on_h2_end(struct h2_conn *h)
{
    struct http_session *s = of_info(h->down);
    end(s, &h->conn);
    mem_free(h);
    mem_free(s);
}

static void start_h2(struct http_session *s, int fd, struct conn_tls *tls, struct str initial)
{
    s->h2 = MEM_NEW(struct h2_conn);
    h2_conn_init(s->h2, s->hcm, &s->down.info, fd, initial, on_h2_end);
    if (tls)
        conn_tls_attach(&s->h2->conn, tls);
}

static void on_preface(struct h1_conn *h)
{
    struct http_session *s = of_info(h->down);
    struct buf in = {0};
    struct conn_tls *tls = NULL;
    int fd = h->conn.io.fd;
    uint64_t id = h->conn.id;
    buf_move(&in, &h->conn.in);
    if (conn_tls(&h->conn))
        tls = conn_tls_detach(&h->conn, &fd);
    else
        conn_give_away(&h->conn);
    start_h2(s, fd, tls, buf_str(&in));
    s->h2->conn.id = s->down.info.connection_id = id;
    s->h2->conn.rx_bytes = in.len;
    buf_fini(&in);
}

static void start_h1(struct http_session *s, int fd, struct conn_tls *tls, bool may_change)
{
    s->h1 = MEM_NEW(struct h1_conn);
    h1_conn_init(s->h1, s->hcm, &s->down.info, fd, STR_NULL, on_h1_end);
    if (may_change)
        s->h1->on_preface = on_preface;
    if (tls)
        conn_tls_attach(&s->h1->conn, tls);
}

void http_session_start(struct listener *l, struct listener_chain *chain, const struct accepted *a,
                        struct conn_tls *tls)
{
    struct http_session *s = MEM_NEW(struct http_session);
    enum conf_codec codec = chain->hcm->conf->codec;
    downstream_init(&s->down, l, a, chain);
    s->down.close = close_session;
    s->hcm = chain->hcm;
    stat_inc(s->hcm->stats.cx_total);
    stat_add(s->hcm->stats.cx_active, 1);
    s->is_tls = tls != NULL;
    stat_add(s->hcm->stats.cx_ssl_total, s->is_tls);
    stat_add(s->hcm->stats.cx_ssl_active, s->is_tls);
    struct str alpn = conn_tls_alpn(tls);
    if (codec == CONF_CODEC_HTTP2 || (codec == CONF_CODEC_AUTO && str_is(alpn, "h2")))
        start_h2(s, a->fd, tls, STR_NULL);
    else
        start_h1(s, a->fd, tls, codec == CONF_CODEC_AUTO && !alpn.n);
    downstream_set_tls(&s->down, s->h2 ? &s->h2->conn : &s->h1->conn);
}
