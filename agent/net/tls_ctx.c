#include "net/tls_ctx.h"

#include <openssl/err.h>
#include <string.h>

#include "base/mem.h"
#include "net/tls_private.h"

enum { SESSIONS_MAX = 1024 }; /* of one server context, by id */

/* ---- what servers answer ---- */

/* The server's order; a client that offers nothing we know gets no ALPN, as with Envoy. */
static int select_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_n,
                       const unsigned char *in, unsigned in_n, void *arg)
{
    const struct tls_context *ctx = arg;
    const unsigned char *ours = (const unsigned char *)ctx->alpn.p;
    (void)ssl;
    for (size_t i = 0; i < ctx->alpn.n; i += ours[i] + 1u)
        for (unsigned k = 0; k < in_n; k += in[k] + 1u)
            if (in[k] == ours[i] && k + in[k] < in_n &&
                memcmp(in + k + 1, ours + i + 1, ours[i]) == 0) {
                *out = in + k + 1;
                *out_n = in[k];
                return SSL_TLSEXT_ERR_OK;
            }
    return SSL_TLSEXT_ERR_NOACK;
}

static int check_name(SSL *ssl, int *alert, void *arg)
{
    const struct tls_context *ctx = arg;
    if (!ctx->require_sni || SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name))
        return SSL_TLSEXT_ERR_OK;
    *alert = SSL_AD_UNRECOGNIZED_NAME;
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* How well a certificate fits a name: 2 named, 1 by wildcard, 0 not. */
static int fit(const struct tls_identity *id, struct str name)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(id->cert, NID_subject_alt_name, NULL, NULL);
    int best = 0;
    for (int i = 0; i < sk_GENERAL_NAME_num(names) && best < 2; i++) {
        char scratch[TLS_SAN_SCRATCH];
        enum tls_san_type type = TLS_SAN_OTHER;
        struct str have = tls_san_text(sk_GENERAL_NAME_value(names, i), &type, scratch);
        if (!have.p || type != TLS_SAN_DNS || !tls_dns_match(have, name))
            continue;
        best = str_starts(have, STR("*.")) ? 1 : 2;
    }
    GENERAL_NAMES_free(names);
    return best;
}

/* Of several certificates those that fit the client's name best, one of each kind of key; without
 * a name or a fit, the first ones. */
static int choose_certificate(SSL *ssl, void *arg)
{
    const struct tls_context *ctx = arg;
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    int best = 0, fits[TLS_CERTIFICATES_MAX] = {0};
    for (size_t i = 0; name && i < ctx->identities_n; i++) {
        fits[i] = fit(&ctx->identities[i], str_of(name));
        best = fits[i] > best ? fits[i] : best;
    }
    SSL_certs_clear(ssl);
    for (size_t i = ctx->identities_n; i-- > 0;) { /* the first of a kind is set last */
        const struct tls_identity *id = &ctx->identities[i];
        if (fits[i] == best && !SSL_use_cert_and_key(ssl, id->cert, id->key, id->chain, 1))
            return 0;
    }
    return 1;
}

/* ---- building ---- */

static int add_certificates(struct tls_context *ctx, const struct tls_sources *s, struct error *err)
{
    ctx->identities = mem_zalloc((s->certificates_n + 1) * sizeof(*ctx->identities));
    for (size_t i = 0; i < s->certificates_n; i++) {
        struct tls_identity *id = &ctx->identities[i];
        if (tls_read_identity(s->certificates[i], id, err))
            return -ERR_INVALID;
        ctx->identities_n++;
        if (s->is_server && tls_check_staple(&id->staple, s->params->staple_policy, err))
            return -ERR_INVALID;
    }
    for (size_t i = ctx->identities_n; i-- > 0;) {
        const struct tls_identity *id = &ctx->identities[i];
        char text[256];
        if (!SSL_CTX_use_cert_and_key(ctx->ssl_ctx, id->cert, id->key, id->chain, 1))
            return error_set(err, ERR_INVALID, "certificate_chain: %s", tls_queue_text(text));
    }
    if (ctx->identities_n > 1)
        SSL_CTX_set_cert_cb(ctx->ssl_ctx, choose_certificate, ctx);
    return 0;
}

/* Clients are told whom we trust, so that they can choose a certificate. */
static void add_ca_names(struct tls_context *ctx, const struct tls_sources *s)
{
    for (size_t i = s->validations_n; i-- > 0;) {
        STACK_OF(X509) *certs = tls_read_certs(s->validations[i]->trusted_ca);
        for (int k = 0; k < sk_X509_num(certs) && k < 64; k++)
            SSL_CTX_add_client_CA(ctx->ssl_ctx, sk_X509_value(certs, k));
        bool found = sk_X509_num(certs) > 0;
        sk_X509_pop_free(certs, X509_free);
        if (found)
            return;
    }
}

static void set_server(struct tls_context *ctx, const struct tls_sources *s)
{
    SSL_CTX *c = ctx->ssl_ctx;
    const struct tls_params *p = s->params;
    struct {
        uint64_t secrets;
        bool is_required;
    } id = {0};
    id.secrets = s->hash;
    id.is_required = p->require_client_certificate;
    SSL_CTX_set_session_id_context(c, (const unsigned char *)&id, sizeof(id));
    SSL_CTX_set_timeout(c, p->session_timeout_s);
    SSL_CTX_set_session_cache_mode(c,
                                   p->no_session_ids ? SSL_SESS_CACHE_OFF : SSL_SESS_CACHE_SERVER);
    SSL_CTX_sess_set_cache_size(c, SESSIONS_MAX);
    SSL_CTX_set_tlsext_servername_callback(c, check_name);
    SSL_CTX_set_tlsext_servername_arg(c, ctx);
    if (ctx->alpn.n)
        SSL_CTX_set_alpn_select_cb(c, select_alpn, ctx);
    if (p->no_tickets) {
        SSL_CTX_set_options(c, SSL_OP_NO_TICKET);
        SSL_CTX_set_num_tickets(c, 0);
    } else {
        ctx->own_keys = (struct tls_ticket_keys){mem_dup(p->ticket_key, TLS_TICKET_KEY_SIZE), 1};
        tls_set_ticket_keys(c, s->ticket_keys ? s->ticket_keys : &ctx->own_keys);
        SSL_CTX_set_num_tickets(c, 1);
    }
    ctx->staple_policy = p->staple_policy;
    tls_serve_staples(ctx);
    add_ca_names(ctx, s);
}

static void set_client(struct tls_context *ctx, const struct tls_sources *s)
{
    ctx->no_sessions = s->params->no_sessions;
    if (ctx->alpn.n)
        SSL_CTX_set_alpn_protos(ctx->ssl_ctx, (const unsigned char *)ctx->alpn.p,
                                (unsigned)ctx->alpn.n);
    SSL_CTX_set_session_cache_mode(ctx->ssl_ctx, ctx->no_sessions ? SSL_SESS_CACHE_OFF
                                                                  : SSL_SESS_CACHE_CLIENT |
                                                                        SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ctx->ssl_ctx, conn_tls_on_session);
}

static int fill(struct tls_context *ctx, const struct tls_sources *s, struct error *err)
{
    int mode = SSL_VERIFY_NONE;
    SSL_CTX *c = ctx->ssl_ctx;
    SSL_CTX_set_mode(c, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                            SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_options(c, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_read_ahead(c, 1); /* one read for a record, and what is there behind it */
    SSL_CTX_set_quiet_shutdown(c, 0);
    int rc = tls_set_params(c, s->params, s->is_server, err);
    if (!rc)
        rc = add_certificates(ctx, s, err);
    if (!rc)
        rc = tls_trust_init(&ctx->trust, c, s, &mode, err);
    if (rc)
        return rc;
    SSL_CTX_set_verify(c, mode, NULL);
    SSL_CTX_set_cert_verify_callback(c, conn_tls_verify, ctx);
    if (s->is_server)
        set_server(ctx, s);
    else
        set_client(ctx, s);
    return 0;
}

static void destroy(struct tls_context *ctx)
{
    SSL_CTX_free(ctx->ssl_ctx);
    tls_trust_fini(&ctx->trust);
    for (size_t i = 0; i < ctx->identities_n; i++)
        tls_free_identity(&ctx->identities[i]);
    mem_free(ctx->identities);
    if (ctx->own_keys.keys)
        explicit_bzero(ctx->own_keys.keys, TLS_TICKET_KEY_SIZE);
    mem_free(ctx->own_keys.keys);
    if (ctx->release)
        ctx->release(ctx->owner);
    mem_free(ctx);
}

int tls_context_create(const struct tls_sources *s, struct tls_context **ctx_r, struct error *err)
{
    static uint64_t last_serial;
    struct tls_context *ctx = MEM_NEW(struct tls_context);
    ctx->refs = 1;
    ctx->serial = __atomic_add_fetch(&last_serial, 1, __ATOMIC_RELAXED);
    ctx->is_server = s->is_server;
    ctx->require_sni = s->params->require_sni;
    ctx->alpn = s->params->alpn;
    ctx->ssl_ctx = SSL_CTX_new(s->is_server ? TLS_server_method() : TLS_client_method());
    int rc = ctx->ssl_ctx ? fill(ctx, s, err) : error_set(err, ERR_INTERNAL, "out of memory");
    ERR_clear_error();
    if (rc) {
        destroy(ctx);
        *ctx_r = NULL;
        return rc;
    }
    ctx->release = s->release;
    ctx->owner = s->owner;
    *ctx_r = ctx;
    return 0;
}

struct tls_context *tls_context_ref(struct tls_context *ctx)
{
    ctx->refs++;
    return ctx;
}

void tls_context_unref(struct tls_context *ctx)
{
    if (ctx && --ctx->refs == 0)
        destroy(ctx);
}
