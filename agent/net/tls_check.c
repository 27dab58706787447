#include "net/tls_check.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <string.h>

#include "net/tls_private.h"

int tls_check_certificate(const struct tls_certificate *c, struct error *err)
{
    struct tls_identity id;
    int rc = tls_read_identity(c, &id, err);
    if (!rc)
        tls_free_identity(&id);
    return rc;
}

int tls_check_served(const struct tls_certificate *c, enum tls_staple_policy policy,
                     struct error *err)
{
    struct tls_identity id;
    int rc = tls_read_identity(c, &id, err);
    if (!rc)
        rc = tls_check_staple(&id.staple, policy, err);
    tls_free_identity(&id);
    return rc;
}

int tls_check_validation(const struct tls_validation *v, struct error *err)
{
    X509_STORE *store = X509_STORE_new();
    int rc = store ? 0 : error_set(err, ERR_INTERNAL, "out of memory");
    if (!rc && v->trusted_ca.n)
        rc = tls_read_store(v->trusted_ca, store, "trusted_ca", err);
    if (!rc && v->crl.n)
        rc = tls_read_crls(v->crl, store, err);
    for (size_t i = 0; i < v->domains_n && !rc; i++)
        rc = tls_read_store(v->domains[i].bundle, store, "trust_bundle", err);
    X509_STORE_free(store);
    return rc;
}

int tls_check_params(const struct tls_params *p, bool is_server, struct error *err)
{
    if (!p->ciphers && !p->curves && !p->sigalgs)
        return 0;
    SSL_CTX *ctx = SSL_CTX_new(is_server ? TLS_server_method() : TLS_client_method());
    int rc = ctx ? tls_set_params(ctx, p, is_server, err)
                 : error_set(err, ERR_INTERNAL, "out of memory");
    SSL_CTX_free(ctx);
    ERR_clear_error();
    return rc;
}

bool tls_check_oid(const char *oid)
{
    ASN1_OBJECT *o = OBJ_txt2obj(oid, 1);
    ASN1_OBJECT_free(o);
    ERR_clear_error();
    return o != NULL;
}

bool tls_check_base64(const char *text, uint8_t dst[TLS_HASH_SIZE])
{
    uint8_t bytes[36];
    size_t n = strlen(text);
    if (n != 44 || text[43] != '=' || text[42] == '=' ||
        EVP_DecodeBlock(bytes, (const uint8_t *)text, (int)n) != 33)
        return false;
    memcpy(dst, bytes, TLS_HASH_SIZE);
    return true;
}
