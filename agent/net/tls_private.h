/* What the TLS files share: OpenSSL's types behind our structs. Inside net/ only. */
#ifndef NET_TLS_PRIVATE_H
#define NET_TLS_PRIVATE_H

#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "base/err.h"
#include "net/conn_tls.h"
#include "net/tls.h"
#include "net/tls_ctx.h"

/* ---- tls_pem.c ---- */
/* An OCSP response for servers to staple. */
struct tls_staple {
    struct str der;    /* empty: none */
    int64_t expires_s; /* since 1970; 0: at once */
    bool is_demanded;  /* by the certificate's TLS feature extension */
};

/* A certificate with what it is signed by, and its key. */
struct tls_identity {
    X509 *cert;
    STACK_OF(X509) * chain; /* without cert */
    EVP_PKEY *key;
    struct tls_staple staple;
};

int tls_read_identity(const struct tls_certificate *c, struct tls_identity *id_r,
                      struct error *err);
void tls_free_identity(struct tls_identity *id);
/* Adds all certificates (and revocation lists) in pem; at least one of what is asked for. */
int tls_read_store(struct str pem, X509_STORE *store, const char *field, struct error *err);
int tls_read_crls(struct str pem, X509_STORE *store, struct error *err);
/* All certificates, for names of accepted authorities and for /certs. NULL: none or not PEM. */
STACK_OF(X509) * tls_read_certs(struct str pem);
/* The newest of OpenSSL's error queue, which is emptied. */
const char *tls_queue_text(char dst[256]);

/* ---- tls_params.c ---- */
/* Versions, ciphers, curves, signature algorithms. */
int tls_set_params(SSL_CTX *ctx, const struct tls_params *p, bool is_server, struct error *err);

/* ---- tls_verify.c ---- */
struct tls_domain_store {
    struct str name;
    X509_STORE *store;
};

/* Whom a context trusts: its validation contexts, merged. */
struct tls_trust {
    bool has_ca; /* in the SSL_CTX's store */
    bool accept_untrusted, matches_sni, can_verify;
    const struct tls_validation *parts[2];
    size_t parts_n;
    struct tls_domain_store *domains;
    size_t domains_n;
};

/* Fills trust and the context's store; *mode_r is for SSL_CTX_set_verify. */
int tls_trust_init(struct tls_trust *t, SSL_CTX *ctx, const struct tls_sources *s, int *mode_r,
                   struct error *err);
void tls_trust_fini(struct tls_trust *t);

enum tls_verdict {
    TLS_VERDICT_OK,
    TLS_VERDICT_ERROR, /* not signed by whom we trust, expired, revoked, ... */
    TLS_VERDICT_SAN,
    TLS_VERDICT_HASH,
};
/* Judges the certificate that x is about. why_r: text for the log. sni: with matches_sni.
 * name: that it has to have beside what t wants; NULL: none. */
enum tls_verdict tls_trust_verify(const struct tls_trust *t, X509_STORE_CTX *x, const char *sni,
                                  const char *name, bool *is_verified_r, struct sbuf *why);
/* A wildcard of the pattern stands for exactly the first label. */
bool tls_dns_match(struct str pattern, struct str name);
bool tls_match_sans(X509 *cert, const struct tls_san_match *sans, size_t n);
/* Text of a name; p NULL: none, or it holds a NUL. scratch: for addresses. */
enum { TLS_SAN_SCRATCH = 64 };
struct str tls_san_text(const GENERAL_NAME *g, enum tls_san_type *type_r,
                        char scratch[TLS_SAN_SCRATCH]);

/* ---- tls_ocsp.c ---- */
/* der: empty, or kept as long as out. Errors begin with the field. */
int tls_read_staple(struct str der, X509 *cert, struct tls_staple *out, struct error *err);
/* Whether a server may go without. */
int tls_check_staple(const struct tls_staple *s, enum tls_staple_policy policy, struct error *err);
/* Answers clients that ask by what the identities have. */
void tls_serve_staples(struct tls_context *ctx);

/* ---- tls_tickets.c ---- */
/* keys: at least one, valid as long as the context. */
void tls_set_ticket_keys(SSL_CTX *ctx, const struct tls_ticket_keys *keys);

/* ---- tls_ctx.c ---- */
struct tls_context {
    unsigned refs;
    uint64_t serial; /* in the process: sessions belong to one context */
    SSL_CTX *ssl_ctx;
    bool is_server, no_sessions, require_sni;
    enum tls_staple_policy staple_policy;
    struct str alpn;
    struct tls_trust trust;
    struct tls_identity *identities; /* more than one certificate: chosen by name */
    size_t identities_n;
    struct tls_ticket_keys own_keys; /* of params->ticket_key */
    void (*release)(void *owner);
    void *owner;
};

/* ---- tls_sigalg.c ---- */
/* What the peer signed its handshake with, "ecdsa_secp256r1_sha256"; NULL: it did not. */
const char *tls_peer_sigalg(SSL *ssl);

/* ---- conn_tls.c ---- */
struct conn_tls {
    unsigned refs;
    SSL *ssl;
    struct tls_context *ctx;        /* own reference */
    struct tls_stats *stats;        /* own reference */
    struct tls_sessions **sessions; /* clients */
    char **cached;                  /* a text of tls_info_cache */
    char *failure;                  /* NULL: none */
    char *sni;                      /* sent, or received in lower case; NULL */
    char *name;                     /* that the peer has to prove beside; NULL: none */
    bool is_done, is_broken, is_verified, is_refused;
    enum tls_verdict verdict;
};
/* A session to resume arrived: X509_V_OK of it is what was verified then. */
int conn_tls_on_session(SSL *ssl, SSL_SESSION *session);
int conn_tls_verify(X509_STORE_CTX *x, void *ctx);

#endif
