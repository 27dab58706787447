/* A TLS context: what connections of one transport socket share on one worker - certificates, whom
 * to trust, sessions. Built of secrets that are whole; never changed. A rotated secret makes a new
 * one, and connections keep the one they began with. OpenSSL's own objects are per worker too,
 * because their reference counts and locks would be shared otherwise.
 * [worker], one thread at a time. */
#ifndef NET_TLS_CTX_H
#define NET_TLS_CTX_H

#include "base/err.h"
#include "net/tls.h"

struct tls_context;

/* All of it has to stay until `release` is called. */
struct tls_sources {
    bool is_server;
    const struct tls_params *params;
    const struct tls_certificate *certificates[TLS_CERTIFICATES_MAX];
    size_t certificates_n;
    const struct tls_validation *validations[2]; /* the later one adds to the first */
    size_t validations_n;
    const struct tls_ticket_keys *ticket_keys; /* NULL: params->ticket_key */
    uint64_t hash;    /* of all secrets: sessions are resumed only by contexts of the same */
    bool matches_sni; /* auto_sni_san_validation */
    void (*release)(void *owner);
    void *owner;
};

/* One reference. On failure `release` was not called. */
int tls_context_create(const struct tls_sources *s, struct tls_context **ctx_r, struct error *err);
struct tls_context *tls_context_ref(struct tls_context *ctx);
void tls_context_unref(struct tls_context *ctx);

#endif
