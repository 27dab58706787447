/* Certificates, keys and authorities out of PEM. */
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>

#include "net/tls_private.h"

const char *tls_queue_text(char dst[256])
{
    unsigned long e, last = 0;
    while ((e = ERR_get_error()))
        last = e;
    const char *reason = last ? ERR_reason_error_string(last) : NULL;
    size_t n = reason ? strlen(reason) : 0;
    if (!n)
        return "unknown error";
    if (n > 255)
        n = 255;
    memcpy(dst, reason, n);
    dst[n] = 0;
    return dst;
}

static BIO *open_pem(struct str pem)
{
    return BIO_new_mem_buf(pem.p ? pem.p : "", (int)pem.n);
}

/* Never asks a terminal. */
static int give_password(char *dst, int size, int is_writing, void *arg)
{
    const struct str *password = arg;
    (void)is_writing;
    if (!password->n || password->n > (size_t)size)
        return -1;
    memcpy(dst, password->p, password->n);
    return (int)password->n;
}

static bool read_chain(struct str pem, struct tls_identity *id)
{
    static struct str none;
    BIO *bio = open_pem(pem);
    X509 *next;
    id->cert = bio ? PEM_read_bio_X509_AUX(bio, NULL, give_password, &none) : NULL;
    id->chain = sk_X509_new_null();
    while (id->cert && id->chain && (next = PEM_read_bio_X509(bio, NULL, give_password, &none)))
        if (!sk_X509_push(id->chain, next))
            X509_free(next);
    bool is_clean =
        id->cert && id->chain && ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
    if (is_clean)
        ERR_clear_error();
    BIO_free(bio);
    return is_clean;
}

int tls_read_identity(const struct tls_certificate *c, struct tls_identity *id_r, struct error *err)
{
    char text[256];
    *id_r = (struct tls_identity){0};
    ERR_clear_error();
    if (!read_chain(c->chain, id_r)) {
        error_set(err, ERR_INVALID,
                  "certificate_chain: Failed to load certificate chain from %s: "
                  "%s",
                  c->path ? c->path : "<inline>", tls_queue_text(text));
        tls_free_identity(id_r);
        return -ERR_INVALID;
    }
    struct str password = c->password;
    BIO *bio = open_pem(c->key);
    id_r->key = bio ? PEM_read_bio_PrivateKey(bio, NULL, give_password, &password) : NULL;
    BIO_free(bio);
    int rc = 0;
    if (!id_r->key || !X509_check_private_key(id_r->cert, id_r->key))
        rc = error_set(err, ERR_INVALID, "private_key: Failed to load private key: %s",
                       tls_queue_text(text));
    if (!rc)
        rc = tls_read_staple(c->ocsp_staple, id_r->cert, &id_r->staple, err);
    if (rc)
        tls_free_identity(id_r);
    return rc;
}

void tls_free_identity(struct tls_identity *id)
{
    X509_free(id->cert);
    sk_X509_pop_free(id->chain, X509_free);
    EVP_PKEY_free(id->key);
    *id = (struct tls_identity){0};
}

static STACK_OF(X509_INFO) * read_infos(struct str pem)
{
    static struct str none;
    BIO *bio = open_pem(pem);
    STACK_OF(X509_INFO) *infos =
        bio ? PEM_X509_INFO_read_bio(bio, NULL, give_password, &none) : NULL;
    BIO_free(bio);
    return infos;
}

/* How many were added; -1: one could not be. */
static int add_infos(STACK_OF(X509_INFO) * infos, X509_STORE *store, bool wants_certs)
{
    int added = 0;
    for (int i = 0; i < sk_X509_INFO_num(infos); i++) {
        const X509_INFO *info = sk_X509_INFO_value(infos, i);
        if (wants_certs && info->x509) {
            if (!X509_STORE_add_cert(store, info->x509))
                return -1;
            added++;
        }
        if (info->crl) {
            if (!X509_STORE_add_crl(store, info->crl))
                return -1;
            X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
            added += !wants_certs;
        }
    }
    return added;
}

static int read_into(struct str pem, X509_STORE *store, bool wants_certs)
{
    ERR_clear_error();
    STACK_OF(X509_INFO) *infos = read_infos(pem);
    int added = infos ? add_infos(infos, store, wants_certs) : -1;
    sk_X509_INFO_pop_free(infos, X509_INFO_free);
    return added;
}

int tls_read_store(struct str pem, X509_STORE *store, const char *field, struct error *err)
{
    char text[256];
    if (read_into(pem, store, true) > 0)
        return 0;
    return error_set(err, ERR_INVALID, "%s: Failed to load trusted CA certificates: %s", field,
                     tls_queue_text(text));
}

int tls_read_crls(struct str pem, X509_STORE *store, struct error *err)
{
    char text[256];
    if (read_into(pem, store, false) > 0)
        return 0;
    return error_set(err, ERR_INVALID, "crl: Failed to load CRL: %s", tls_queue_text(text));
}

STACK_OF(X509) * tls_read_certs(struct str pem)
{
    STACK_OF(X509_INFO) *infos = read_infos(pem);
    STACK_OF(X509) *certs = infos ? sk_X509_new_null() : NULL;
    for (int i = 0; certs && i < sk_X509_INFO_num(infos); i++) {
        X509_INFO *info = sk_X509_INFO_value(infos, i);
        if (info->x509 && sk_X509_push(certs, info->x509))
            info->x509 = NULL; /* the stack's now */
    }
    sk_X509_INFO_pop_free(infos, X509_INFO_free);
    ERR_clear_error();
    return certs;
}
