#include "net/tls_info.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "base/mem.h"
#include "net/tls_private.h"

static X509 *cert_of(const struct conn_tls *t, bool is_local)
{
    if (!t || !t->ssl || !t->is_done)
        return NULL;
    return is_local ? SSL_get_certificate(t->ssl) : SSL_get0_peer_certificate(t->ssl);
}

static bool add_hex(struct sbuf *out, const unsigned char *p, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        sbuf_addc(out, digits[p[i] >> 4]);
        sbuf_addc(out, digits[p[i] & 15]);
    }
    return n > 0;
}

static bool add_text(struct sbuf *out, const char *text)
{
    if (text && *text)
        sbuf_addz(out, text);
    return text && *text;
}

static bool add_name(struct sbuf *out, const X509_NAME *name)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *p = NULL;
    long n = 0;
    if (bio && X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253) >= 0)
        n = BIO_get_mem_data(bio, &p);
    if (n > 0)
        sbuf_add(out, p, (size_t)n);
    BIO_free(bio);
    return n > 0;
}

static bool add_serial(struct sbuf *out, X509 *cert)
{
    BIGNUM *bn = ASN1_INTEGER_to_BN(X509_get0_serialNumber(cert), NULL);
    char *hex = bn ? BN_bn2hex(bn) : NULL;
    for (const char *p = hex; p && *p; p++)
        sbuf_addc(out, str_lower(*p));
    OPENSSL_free(hex);
    BN_free(bn);
    return hex != NULL;
}

static bool add_digest(struct sbuf *out, X509 *cert, const EVP_MD *md)
{
    unsigned char hash[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    return X509_digest(cert, md, hash, &n) && add_hex(out, hash, n);
}

/* All but unreserved characters of RFC 3986 escaped, as Envoy does. */
static bool add_pem(struct sbuf *out, X509 *cert)
{
    static const char digits[] = "0123456789ABCDEF";
    BIO *bio = BIO_new(BIO_s_mem());
    char *p = NULL;
    long n = bio && PEM_write_bio_X509(bio, cert) ? BIO_get_mem_data(bio, &p) : 0;
    for (long i = 0; i < n; i++) {
        unsigned char c = (unsigned char)p[i];
        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
            c == '-' || c == '.' || c == '_' || c == '~') {
            sbuf_addc(out, (char)c);
        } else {
            sbuf_addc(out, '%');
            sbuf_addc(out, digits[c >> 4]);
            sbuf_addc(out, digits[c & 15]);
        }
    }
    BIO_free(bio);
    return n > 0;
}

static bool add_chain(struct sbuf *out, const struct conn_tls *t, bool is_local)
{
    STACK_OF(X509) *chain = NULL;
    bool found = false;
    if (is_local || !cert_of(t, false))
        return is_local && cert_of(t, true) && add_pem(out, cert_of(t, true));
    chain = SSL_get_peer_cert_chain(t->ssl);
    if (t->ctx->is_server) /* OpenSSL leaves the client's own certificate out */
        found = add_pem(out, cert_of(t, false));
    for (int i = 0; i < sk_X509_num(chain); i++)
        found |= add_pem(out, sk_X509_value(chain, i));
    return found;
}

/* ---- names ---- */

static void each_san(X509 *cert, enum tls_san_type wanted, void (*fn)(void *arg, struct str name),
                     void *arg)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        char scratch[TLS_SAN_SCRATCH];
        enum tls_san_type type = TLS_SAN_OTHER;
        struct str text = tls_san_text(sk_GENERAL_NAME_value(names, i), &type, scratch);
        if (text.p && type == wanted)
            fn(arg, text);
    }
    GENERAL_NAMES_free(names);
    ERR_clear_error();
}

void tls_info_each_san(const struct conn_tls *tls, enum tls_san_type type, bool is_local,
                       void (*fn)(void *arg, struct str name), void *arg)
{
    X509 *cert = cert_of(tls, is_local);
    if (cert)
        each_san(cert, type, fn, arg);
}

struct joining {
    struct sbuf *out;
    bool is_some;
};

static void join(void *arg, struct str name)
{
    struct joining *j = arg;
    if (j->is_some)
        sbuf_addc(j->out, ',');
    sbuf_add(j->out, name.p, name.n);
    j->is_some = true;
}

static bool add_sans(struct sbuf *out, X509 *cert, enum tls_san_type type)
{
    struct joining j = {.out = out};
    each_san(cert, type, join, &j);
    return j.is_some;
}

/* ---- the whole ---- */

static bool add_session_id(const struct conn_tls *t, struct sbuf *out)
{
    unsigned n = 0;
    if (SSL_version(t->ssl) >= TLS1_3_VERSION)
        return false; /* what a ticket holds is no name that the peer knows */
    SSL_SESSION *s = SSL_get_session(t->ssl);
    const unsigned char *id = s ? SSL_SESSION_get_id(s, &n) : NULL;
    return id && add_hex(out, id, n);
}

static bool add_of_session(const struct conn_tls *t, enum tls_info what, struct sbuf *out)
{
    const unsigned char *alpn = NULL;
    unsigned n = 0;
    switch (what) {
    case TLS_INFO_VERSION:
        return add_text(out, SSL_get_version(t->ssl));
    case TLS_INFO_CIPHER:
        return add_text(out, SSL_get_cipher_name(t->ssl));
    case TLS_INFO_SESSION_ID:
        return add_session_id(t, out);
    case TLS_INFO_SNI:
        return add_text(out, t->sni);
    default:
        SSL_get0_alpn_selected(t->ssl, &alpn, &n);
        sbuf_add(out, alpn ? (const char *)alpn : "", n);
        return n > 0;
    }
}

static bool add_of_cert(X509 *cert, enum tls_info what, struct sbuf *out)
{
    switch (what) {
    case TLS_INFO_SUBJECT:
        return add_name(out, X509_get_subject_name(cert));
    case TLS_INFO_ISSUER:
        return add_name(out, X509_get_issuer_name(cert));
    case TLS_INFO_SERIAL:
        return add_serial(out, cert);
    case TLS_INFO_FINGERPRINT_256:
        return add_digest(out, cert, EVP_sha256());
    case TLS_INFO_FINGERPRINT_1:
        return add_digest(out, cert, EVP_sha1());
    case TLS_INFO_CERT:
        return add_pem(out, cert);
    case TLS_INFO_URI_SAN:
        return add_sans(out, cert, TLS_SAN_URI);
    case TLS_INFO_DNS_SAN:
        return add_sans(out, cert, TLS_SAN_DNS);
    case TLS_INFO_IP_SAN:
        return add_sans(out, cert, TLS_SAN_IP);
    case TLS_INFO_EMAIL_SAN:
        return add_sans(out, cert, TLS_SAN_EMAIL);
    default:
        return false;
    }
}

bool tls_info_add(const struct conn_tls *tls, enum tls_info what, bool is_local, struct sbuf *out)
{
    if (!tls || !tls->ssl || !tls->is_done)
        return false;
    if (what < TLS_INFO_SUBJECT)
        return add_of_session(tls, what, out);
    if (what == TLS_INFO_CHAIN)
        return add_chain(out, tls, is_local);
    X509 *cert = cert_of(tls, is_local);
    return cert && add_of_cert(cert, what, out);
}

bool tls_info_has_peer(const struct conn_tls *tls)
{
    return cert_of(tls, false) != NULL;
}

bool tls_info_is_verified(const struct conn_tls *tls)
{
    return tls_info_has_peer(tls) && tls->is_verified;
}

static bool to_time(const ASN1_TIME *t, time_t *r)
{
    struct tm tm;
    if (!t || !ASN1_TIME_to_tm(t, &tm))
        return false;
    *r = timegm(&tm);
    return true;
}

bool tls_info_validity(const struct conn_tls *tls, time_t *from_r, time_t *to_r)
{
    X509 *cert = cert_of(tls, false);
    return cert && to_time(X509_get0_notBefore(cert), from_r) &&
           to_time(X509_get0_notAfter(cert), to_r);
}

const char *tls_info_sni(const struct conn_tls *tls)
{
    return tls && tls->sni ? tls->sni : "";
}

const char *tls_info_cached(const struct conn_tls *tls)
{
    return *tls->cached;
}

const char *tls_info_cache(const struct conn_tls *tls, char *text)
{
    mem_free(*tls->cached);
    return *tls->cached = text;
}
