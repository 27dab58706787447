/* What the TLS files share: OpenSSL's types behind our structs. Inside net/ only. */
#ifndef NET_TLS_PRIVATE_H
#define NET_TLS_PRIVATE_H

#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "base/err.h"
#include "net/tls.h"

/* ---- tls_pem.c ---- */
/* A certificate with what it is signed by, and its key. */
struct tls_identity {
    X509 *cert;
    STACK_OF(X509) * chain; /* without cert */
    EVP_PKEY *key;
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

#endif
