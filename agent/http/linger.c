#include "http/linger.h"

enum { FLUSH_MS = 1000 }; /* of an output without delayed close */

static void start(struct http_linger *l)
{
    l->tx_bytes = l->conn->tx_bytes;
    loop_timer_start(&l->timer, l->timeout_ms ? l->timeout_ms : FLUSH_MS);
}

static void on_timer(struct loop_timer *t)
{
    struct http_linger *l = container_of(t, struct http_linger, timer);
    if (l->conn->tx_bytes != l->tx_bytes) {
        start(l);
        return;
    }
    l->has_timed_out = true;
    conn_close(l->conn);
}

void http_linger_init(struct http_linger *l, struct conn *conn, uint32_t timeout_ms)
{
    l->conn = conn;
    l->timeout_ms = timeout_ms;
    l->is_on = false;
    loop_timer_init(&l->timer, conn->loop, on_timer);
}

void http_linger_close(struct http_linger *l)
{
    if (l->is_on || !conn_is_open(l->conn))
        return;
    l->is_on = true;
    conn_shutdown_write(l->conn);
    if (l->conn->is_eof || !l->timeout_ms)
        conn_close_after_flush(l->conn);
    else
        start(l);
}

void http_linger_cut(struct http_linger *l)
{
    l->is_on = true;
    conn_close_after_flush(l->conn);
    if (conn_is_open(l->conn))
        start(l);
}

void http_linger_fini(struct http_linger *l)
{
    loop_timer_stop(&l->timer);
}
