/* TLS under a connection. [worker]
 *
 * Clients: conn_init_connect, then conn_tls_connect; on_connected comes after the handshake.
 * Servers: conn_init_accepted, then conn_tls_accept; on_connected comes after the handshake, when
 * ALPN and names are known. Whoever serves from there may want another object: conn_tls_detach
 * gives descriptor and session away, conn_tls_attach puts the session under a connection that was
 * made of the descriptor.
 * A handshake that fails ends in on_close with CONN_CONNECT_FAILED, and conn_failure says why. */
#ifndef NET_CONN_TLS_H
#define NET_CONN_TLS_H

#include "net/conn.h"
#include "net/tls_ctx.h"
#include "net/tls_stats.h"

struct conn_tls;
struct tls_sessions; /* what a client may resume with one host */

struct conn_tls_client {
    const char *sni;                /* NULL or "": none */
    const char *name;               /* of the certificate, beside what ctx asks for; NULL: none */
    struct str alpn;                /* on the wire; p NULL: the context's */
    struct tls_sessions **sessions; /* NULL: none are kept. Lives as long as the connection. */
};

/* The context's and the statistics' references are taken. */
void conn_tls_connect(struct conn *c, struct tls_context *ctx, struct tls_stats *stats,
                      const struct conn_tls_client *o);
/* For a connection that can never be made: why goes to conn_failure. */
void conn_tls_refuse(struct conn *c, const char *why);
void conn_tls_accept(struct conn *c, struct tls_context *ctx, struct tls_stats *stats);
/* After on_connected. The connection it is taken from closes without touching the descriptor. */
struct conn_tls *conn_tls_detach(struct conn *c, int *fd_r);
/* Takes tls. */
void conn_tls_attach(struct conn *c, struct conn_tls *tls);

/* The session of a connection; NULL: plain. Lives until after on_close, or as long as a reference
 * is held. */
const struct conn_tls *conn_tls(const struct conn *c);
const struct conn_tls *conn_tls_ref(const struct conn_tls *tls); /* NULL stays NULL */
void conn_tls_unref(const struct conn_tls *tls);                 /* NULL allowed */
/* What was agreed on; n 0: nothing (NULL: plain). */
struct str conn_tls_alpn(const struct conn_tls *tls);
static inline struct str conn_alpn(const struct conn *c)
{
    return conn_tls_alpn(conn_tls(c));
}

void tls_sessions_destroy(struct tls_sessions **s);

#endif
