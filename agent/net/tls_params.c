/* Versions, ciphers, curves and signature algorithms of a context. */
#include <openssl/err.h>
#include <string.h>

#include "net/tls_private.h"

/* Envoy's. */
#define CIPHERS                                                    \
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305:" \
    "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-CHACHA20-POLY1305:"     \
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384"
/* Where Envoy goes by the client's order: AES-128 first, as its own clients have it. */
#define CIPHERS_1_3 "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
#define CURVES "X25519:P-256"

/* What OpenSSL 3.0 does not have and Envoy's defaults contain. */
static bool is_newer_curve(struct str name)
{
    return str_is(name, "X25519MLKEM768") || str_is(name, "X25519Kyber768Draft00");
}

/* The list without those, in dst; false: nothing is left or it is too long. */
static bool copy_curves(const char *list, char *dst, size_t size)
{
    struct str rest = str_of(list), name;
    size_t n = 0;
    while (str_next(&rest, ':', &name)) {
        if (is_newer_curve(name))
            continue;
        if (n + name.n + 2 > size)
            return false;
        if (n)
            dst[n++] = ':';
        memcpy(dst + n, name.p, name.n);
        n += name.n;
    }
    dst[n] = 0;
    return n > 0;
}

/* OpenSSL takes a list as long as it knows one name of it: a list with a misspelt name would run
 * on less than was asked for, so each has to be known by itself. */
static int check_ciphers(SSL_CTX *ctx, const char *list, struct error *err)
{
    struct str rest = str_of(list), name;
    char one[128];
    while (str_next(&rest, ':', &name)) {
        bool fits = name.n && name.n < sizeof(one);
        if (fits) {
            memcpy(one, name.p, name.n);
            one[name.n] = 0;
        }
        bool is_removal = fits && (one[0] == '-' || one[0] == '!');
        if (!fits || (!is_removal && !SSL_CTX_set_cipher_list(ctx, one)))
            return error_set(err, ERR_INVALID,
                             "cipher_suites: Failed to initialize cipher suites %s. The following "
                             "ciphers were rejected when tried individually: %.*s",
                             list, STR_ARG(name));
    }
    return 0;
}

static int set_ciphers(SSL_CTX *ctx, const struct tls_params *p, struct error *err)
{
    if (p->ciphers && check_ciphers(ctx, p->ciphers, err))
        return -ERR_INVALID;
    if (!SSL_CTX_set_ciphersuites(ctx, CIPHERS_1_3) ||
        !SSL_CTX_set_cipher_list(ctx, p->ciphers ? p->ciphers : CIPHERS))
        return error_set(err, ERR_INVALID, "cipher_suites: Failed to initialize cipher suites %s",
                         p->ciphers ? p->ciphers : CIPHERS);
    return 0;
}

int tls_set_params(SSL_CTX *ctx, const struct tls_params *p, bool is_server, struct error *err)
{
    char curves[512];
    SSL_CTX_set_min_proto_version(ctx, p->version_min);
    SSL_CTX_set_max_proto_version(ctx, p->version_max);
    if (is_server)
        SSL_CTX_set_options(ctx, SSL_OP_CIPHER_SERVER_PREFERENCE);
    int rc = set_ciphers(ctx, p, err);
    if (!rc && p->version_min < TLS_1_2) /* old versions sign with SHA-1 */
        SSL_CTX_set_security_level(ctx, 0);
    if (!rc && (!copy_curves(p->curves ? p->curves : CURVES, curves, sizeof(curves)) ||
                !SSL_CTX_set1_curves_list(ctx, curves)))
        rc = error_set(err, ERR_INVALID, "ecdh_curves: Failed to initialize ECDH curves %s",
                       p->curves);
    if (!rc && p->sigalgs && !SSL_CTX_set1_sigalgs_list(ctx, p->sigalgs))
        rc = error_set(err, ERR_INVALID,
                       "signature_algorithms: Failed to initialize TLS signature algorithms %s",
                       p->sigalgs);
    ERR_clear_error();
    return rc;
}
