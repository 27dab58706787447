#include "net/conn_tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <string.h>
#include <sys/socket.h>

#include "base/log.h"
#include "base/mem.h"
#include "net/tls_info.h"
#include "net/tls_private.h"

/* What may be resumed, newest only. */
struct tls_sessions {
    SSL_SESSION *session;
    uint64_t serial; /* of the context it was made with */
    char *sni;
};

static struct conn_tls *of(const struct conn *c)
{
    return c->transport_state;
}

/* ---- failures ---- */

static void set_failure(struct conn_tls *t, const char *detail)
{
    struct sbuf b = {0};
    unsigned long e;
    if (t->failure)
        return;
    sbuf_addz(&b, "TLS_error:");
    while ((e = ERR_get_error())) {
        const char *lib = ERR_lib_error_string(e), *reason = ERR_reason_error_string(e);
        sbuf_printf(&b, "|%lu:%s:OPENSSL_internal:", e, lib ? lib : "unknown");
        for (const char *p = reason ? reason : "unknown"; *p; p++)
            sbuf_addc(&b, *p == ' ' ? '_' : *p >= 'a' && *p <= 'z' ? (char)(*p - 32) : *p);
        if (b.n > 1024)
            break;
    }
    if (detail && *detail)
        sbuf_printf(&b, ":%s", detail);
    sbuf_addz(&b, ":TLS_error_end");
    t->failure = sbuf_take(&b);
    ERR_clear_error();
}

static const char *get_failure(const struct conn *c)
{
    return of(c)->failure ? of(c)->failure : "";
}

static void count_verdict(struct conn_tls *t)
{
    struct tls_stats *s = t->stats;
    if (t->verdict == TLS_VERDICT_ERROR)
        stat_inc(s->fail_verify_error);
    else if (t->verdict == TLS_VERDICT_SAN)
        stat_inc(s->fail_verify_san);
    else if (t->verdict == TLS_VERDICT_HASH)
        stat_inc(s->fail_verify_cert_hash);
}

int conn_tls_verify(X509_STORE_CTX *x, void *arg)
{
    struct tls_context *ctx = arg;
    SSL *ssl = X509_STORE_CTX_get_ex_data(x, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct conn_tls *t = SSL_get_app_data(ssl);
    struct sbuf why = {0};
    t->verdict = tls_trust_verify(&ctx->trust, x, t->sni, t->name, &t->is_verified, &why);
    if (t->verdict != TLS_VERDICT_OK) {
        count_verdict(t);
        if (!ctx->trust.accept_untrusted) {
            ERR_raise(ERR_LIB_SSL, SSL_R_CERTIFICATE_VERIFY_FAILED);
            set_failure(t, why.p);
        }
    }
    sbuf_fini(&why);
    return t->verdict == TLS_VERDICT_OK || ctx->trust.accept_untrusted;
}

/* ---- sessions of clients ---- */

static void drop_session(struct tls_sessions *s)
{
    SSL_SESSION_free(s->session);
    mem_free(s->sni);
    s->session = NULL;
    s->sni = NULL;
}

int conn_tls_on_session(SSL *ssl, SSL_SESSION *session)
{
    struct conn_tls *t = SSL_get_app_data(ssl);
    if (!t->sessions || !SSL_SESSION_is_resumable(session))
        return 0;
    if (!*t->sessions)
        *t->sessions = MEM_NEW(struct tls_sessions);
    struct tls_sessions *s = *t->sessions;
    drop_session(s);
    s->session = session; /* with the reference we were given */
    s->serial = t->ctx->serial;
    s->sni = mem_strdup(t->sni ? t->sni : "");
    return 1;
}

static void offer_session(struct conn_tls *t)
{
    struct tls_sessions *s = t->sessions ? *t->sessions : NULL;
    if (!s || !s->session)
        return;
    if (s->serial == t->ctx->serial && strcmp(s->sni, t->sni ? t->sni : "") == 0)
        SSL_set_session(t->ssl, s->session);
    else
        drop_session(s);
}

void tls_sessions_destroy(struct tls_sessions **s)
{
    if (!*s)
        return;
    drop_session(*s);
    mem_free(*s);
    *s = NULL;
}

/* ---- the transport ---- */

/* What an SSL call came to, as read(2) says it. */
static ssize_t result(struct conn_tls *t, int n)
{
    if (n > 0)
        return n;
    switch (SSL_get_error(t->ssl, n)) {
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        errno = EAGAIN;
        return -1;
    case SSL_ERROR_SYSCALL:
        t->is_broken = true;
        if (!errno)
            errno = ECONNRESET;
        ERR_clear_error();
        return -1;
    default:
        t->is_broken = true;
        set_failure(t, NULL);
        errno = ECONNRESET;
        return -1;
    }
}

static ssize_t tls_read(struct conn *c, void *p, size_t n)
{
    struct conn_tls *t = of(c);
    if (t->is_broken) {
        errno = ECONNRESET;
        return -1;
    }
    errno = 0;
    return result(t, SSL_read(t->ssl, p, n > INT32_MAX ? INT32_MAX : (int)n));
}

static ssize_t tls_write(struct conn *c, const void *p, size_t n)
{
    struct conn_tls *t = of(c);
    if (t->is_broken) {
        errno = EPIPE;
        return -1;
    }
    errno = 0;
    ssize_t rc = result(t, SSL_write(t->ssl, p, n > INT32_MAX ? INT32_MAX : (int)n));
    if (rc)
        return rc;
    /* OpenSSL calls a failure to write the end of the stream when the peer has said that it will
     * send no more. */
    t->is_broken = true;
    errno = EPIPE;
    return -1;
}

static void send_close_notify(struct conn *c)
{
    struct conn_tls *t = of(c);
    if (!t->is_done || t->is_broken)
        return;
    SSL_shutdown(t->ssl); /* what does not go out at once is not waited for */
    ERR_clear_error();
}

static void tls_shutdown(struct conn *c)
{
    send_close_notify(c);
    shutdown(c->io.fd, SHUT_WR);
}

static void count_handshake(struct conn_tls *t)
{
    struct tls_stats *s = t->stats;
    const char *cipher = SSL_get_cipher_name(t->ssl), *sigalg = tls_peer_sigalg(t->ssl);
    stat_inc(s->handshake);
    tls_stats_count_name(s, "versions", SSL_get_version(t->ssl));
    tls_stats_count_name(s, "ciphers", cipher);
    if (SSL_session_reused(t->ssl)) {
        stat_inc(s->session_reused);
    } else {
        const char *curve = OBJ_nid2sn((int)SSL_get_negotiated_group(t->ssl));
        if (curve && SSL_get_negotiated_group(t->ssl))
            tls_stats_count_name(s, "curves", strcmp(curve, "prime256v1") ? curve : "P-256");
        if (sigalg)
            tls_stats_count_name(s, "sigalgs", sigalg);
    }
    if (t->ctx->is_server && !SSL_get0_peer_certificate(t->ssl))
        stat_inc(s->no_certificate);
}

static int fail_handshake(struct conn_tls *t, int n)
{
    unsigned long e = ERR_peek_error();
    bool is_eof = !e || ERR_GET_REASON(e) == SSL_R_UNEXPECTED_EOF_WHILE_READING;
    t->is_broken = true;
    if (SSL_get_error(t->ssl, n) != SSL_ERROR_SSL || is_eof) {
        ERR_clear_error();
        set_failure(t, "the peer closed the connection during the handshake");
        return -ERR_CLOSED;
    }
    if (ERR_GET_REASON(e) == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE)
        stat_inc(t->stats->fail_verify_no_cert);
    else if (t->verdict == TLS_VERDICT_OK)
        stat_inc(t->stats->connection_error);
    set_failure(t, NULL);
    ERR_clear_error();
    return -ERR_DENIED;
}

static int tls_handshake(struct conn *c)
{
    struct conn_tls *t = of(c);
    if (t->is_refused)
        return -ERR_DENIED;
    ERR_clear_error();
    errno = 0;
    int n = SSL_do_handshake(t->ssl);
    if (n != 1) {
        int e = SSL_get_error(t->ssl, n);
        if (e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE)
            return -ERR_AGAIN;
        return fail_handshake(t, n);
    }
    t->is_done = true;
    if (SSL_session_reused(t->ssl) && SSL_get0_peer_certificate(t->ssl))
        t->is_verified = t->ctx->trust.can_verify && SSL_get_verify_result(t->ssl) == X509_V_OK;
    if (t->ctx->is_server && !t->sni) {
        const char *sni = SSL_get_servername(t->ssl, TLSEXT_NAMETYPE_host_name);
        t->sni = sni ? mem_strdup(sni) : NULL;
        for (char *p = t->sni; p && *p; p++)
            *p = str_lower(*p);
    }
    count_handshake(t);
    return 0;
}

static void destroy(void *state)
{
    struct conn_tls *t = state;
    if (--t->refs)
        return;
    SSL_free(t->ssl);
    tls_context_unref(t->ctx);
    tls_stats_unref(t->stats);
    mem_free(*t->cached);
    mem_free(t->cached);
    mem_free(t->failure);
    mem_free(t->sni);
    mem_free(t->name);
    mem_free(t);
    ERR_clear_error();
}

static const struct conn_transport tls_transport = {
    .read = tls_read,
    .write = tls_write,
    .shutdown = tls_shutdown,
    .handshake = tls_handshake,
    .close = send_close_notify,
    .destroy = destroy,
    .failure = get_failure,
};

/* ---- putting it under a connection ---- */

static struct conn_tls *start(struct conn *c, struct tls_context *ctx, struct tls_stats *stats)
{
    struct conn_tls *t = MEM_NEW(struct conn_tls);
    t->refs = 1;
    t->cached = MEM_NEW(char *);
    t->ctx = tls_context_ref(ctx);
    t->stats = tls_stats_ref(stats);
    t->ssl = SSL_new(ctx->ssl_ctx);
    if (!t->ssl || c->io.fd < 0 || !SSL_set_fd(t->ssl, c->io.fd))
        t->is_refused = true;
    else
        SSL_set_app_data(t->ssl, t);
    c->transport = &tls_transport;
    c->transport_state = t;
    return t;
}

void conn_tls_connect(struct conn *c, struct tls_context *ctx, struct tls_stats *stats,
                      const struct conn_tls_client *o)
{
    struct conn_tls *t = start(c, ctx, stats);
    if (t->is_refused)
        return;
    SSL_set_connect_state(t->ssl);
    /* A session stands for what was proved when it began. */
    t->sessions = ctx->no_sessions || o->name ? NULL : o->sessions;
    t->name = o->name ? mem_strdup(o->name) : NULL;
    if (o->sni && *o->sni) {
        t->sni = mem_strdup(o->sni);
        SSL_set_tlsext_host_name(t->ssl, o->sni);
    }
    if (o->alpn.p)
        SSL_set_alpn_protos(t->ssl, (const unsigned char *)o->alpn.p, (unsigned)o->alpn.n);
    offer_session(t);
}

void conn_tls_refuse(struct conn *c, const char *why)
{
    struct conn_tls *t = MEM_NEW(struct conn_tls);
    t->refs = 1;
    t->cached = MEM_NEW(char *);
    t->is_refused = true;
    t->failure = mem_strdup(why);
    c->transport = &tls_transport;
    c->transport_state = t;
    conn_fail(c);
}

void conn_tls_accept(struct conn *c, struct tls_context *ctx, struct tls_stats *stats)
{
    struct conn_tls *t = start(c, ctx, stats);
    if (!t->is_refused)
        SSL_set_accept_state(t->ssl);
    c->is_connecting = c->is_handshaking = true;
}

struct conn_tls *conn_tls_detach(struct conn *c, int *fd_r)
{
    struct conn_tls *t = of(c);
    *fd_r = c->io.fd;
    conn_give_away(c);
    return t;
}

void conn_tls_attach(struct conn *c, struct conn_tls *tls)
{
    c->transport = &tls_transport;
    c->transport_state = tls;
    c->is_readable = true; /* it may hold bytes already */
    conn_wake(c);
}

const struct conn_tls *conn_tls(const struct conn *c)
{
    return c->transport == &tls_transport ? of(c) : NULL;
}

const struct conn_tls *conn_tls_ref(const struct conn_tls *tls)
{
    if (tls)
        ((struct conn_tls *)tls)->refs++;
    return tls;
}

void conn_tls_unref(const struct conn_tls *tls)
{
    if (tls)
        destroy((void *)tls);
}

struct str conn_tls_alpn(const struct conn_tls *tls)
{
    const unsigned char *p = NULL;
    unsigned n = 0;
    if (tls && tls->ssl)
        SSL_get0_alpn_selected(tls->ssl, &p, &n);
    return (struct str){p ? (const char *)p : "", n};
}
