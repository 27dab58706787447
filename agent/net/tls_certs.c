#include "net/tls_certs.h"

#include <openssl/err.h>

#include "net/tls_private.h"

static time_t to_time(const ASN1_TIME *t)
{
    struct tm tm;
    return t && ASN1_TIME_to_tm(t, &tm) ? timegm(&tm) : 0;
}

static void show(X509 *cert, void (*fn)(void *arg, const struct tls_cert_view *cert), void *arg)
{
    enum {
        MAX = sizeof(((struct tls_cert_view *)0)->sans) / sizeof((struct tls_cert_view){0}.sans[0])
    };
    char scratch[MAX][TLS_SAN_SCRATCH];
    struct tls_cert_view v = {.serial = ""};
    BIGNUM *bn = ASN1_INTEGER_to_BN(X509_get0_serialNumber(cert), NULL);
    char *hex = bn ? BN_bn2hex(bn) : NULL;
    GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    for (char *p = hex; p && *p; p++)
        *p = str_lower(*p);
    if (hex)
        v.serial = hex;
    v.from = to_time(X509_get0_notBefore(cert));
    v.to = to_time(X509_get0_notAfter(cert));
    for (int i = 0; i < sk_GENERAL_NAME_num(names) && v.sans_n < MAX; i++) {
        enum tls_san_type type = TLS_SAN_OTHER;
        struct str text = tls_san_text(sk_GENERAL_NAME_value(names, i), &type, scratch[v.sans_n]);
        if (!text.p)
            continue;
        v.sans[v.sans_n].type = type;
        v.sans[v.sans_n++].text = text;
    }
    fn(arg, &v);
    GENERAL_NAMES_free(names);
    OPENSSL_free(hex);
    BN_free(bn);
}

void tls_certs_each(struct str pem, void (*fn)(void *arg, const struct tls_cert_view *cert),
                    void *arg)
{
    STACK_OF(X509) *certs = tls_read_certs(pem);
    for (int i = 0; i < sk_X509_num(certs); i++)
        show(sk_X509_value(certs, i), fn, arg);
    sk_X509_pop_free(certs, X509_free);
    ERR_clear_error();
}

static void keep_first(void *arg, const struct tls_cert_view *cert)
{
    time_t *first = arg;
    if (!*first || cert->to < *first)
        *first = cert->to;
}

time_t tls_certs_expiry(struct str pem)
{
    time_t first = 0;
    tls_certs_each(pem, keep_first, &first);
    return first;
}
