/* A downstream connection whose chain ends in the HTTP connection manager. */
#include <stdio.h>

#include "base/mem.h"
#include "http/h1_conn.h"
#include "proxy/listener.h"

struct http_session {
    struct downstream down;
    struct h1_conn h1;
};

static void close_session(struct downstream *d)
{
    struct http_session *s = container_of(d, struct http_session, down);
    conn_close(&s->h1.conn);
}

static void on_end(struct h1_conn *h)
{
    struct http_session *s = container_of(h, struct http_session, h1);
    downstream_fini(&s->down);
    mem_free(s);
}

void http_session_start(struct listener *l, struct listener_chain *chain, int fd,
                        const struct addr *local, const struct addr *remote, bool is_restored,
                        struct conn_tls *tls)
{
    struct http_session *s = MEM_NEW(struct http_session);
    downstream_init(&s->down, l, local, remote, is_restored, chain->conf);
    s->down.close = close_session;
    h1_conn_init(&s->h1, chain->hcm, &s->down.info, fd, STR_NULL, on_end);
    if (tls)
        conn_tls_attach(&s->h1.conn, tls);
    downstream_set_tls(&s->down, &s->h1.conn);
}
