/* What is known of a TLS session: for access logs, x-forwarded-client-cert and properties. Formats
 * are Envoy's. A NULL session (plain TCP) has nothing. [worker] */
#ifndef NET_TLS_INFO_H
#define NET_TLS_INFO_H

#include <time.h>

#include "base/str.h"
#include "net/tls.h"

struct conn_tls;

enum tls_info {
    TLS_INFO_VERSION,    /* "TLSv1.3" */
    TLS_INFO_CIPHER,     /* "TLS_AES_128_GCM_SHA256", "ECDHE-RSA-AES128-GCM-SHA256" */
    TLS_INFO_SESSION_ID, /* hexadecimal */
    TLS_INFO_SNI,        /* as sent; lower case */
    TLS_INFO_ALPN,
    TLS_INFO_SUBJECT,         /* RFC 2253 */
    TLS_INFO_ISSUER,          /* RFC 2253 */
    TLS_INFO_SERIAL,          /* hexadecimal, lower case */
    TLS_INFO_FINGERPRINT_256, /* of the certificate, hexadecimal */
    TLS_INFO_FINGERPRINT_1,
    TLS_INFO_CERT,  /* PEM, URL-encoded */
    TLS_INFO_CHAIN, /* all the peer sent, likewise */
    TLS_INFO_URI_SAN,
    TLS_INFO_DNS_SAN,
    TLS_INFO_IP_SAN,
    TLS_INFO_EMAIL_SAN, /* with ',' between */
};

/* Adds the text; false: there is none. From SUBJECT on it is of the peer's certificate, or with
 * is_local of ours. */
bool tls_info_add(const struct conn_tls *tls, enum tls_info what, bool is_local, struct sbuf *out);
/* TLS_INFO_SNI, "" for none; lives as long as tls. */
const char *tls_info_sni(const struct conn_tls *tls);
/* A client, or the server we speak to, has shown a certificate (and it was verified, if there was
 * anything to verify it with). */
bool tls_info_has_peer(const struct conn_tls *tls);
/* Verified by a trusted CA or by a hash, not merely shown. */
bool tls_info_is_verified(const struct conn_tls *tls);
/* Validity of the peer's certificate, seconds since 1970; false: none. */
bool tls_info_validity(const struct conn_tls *tls, time_t *from_r, time_t *to_r);
/* Calls fn for each name of that type. */
void tls_info_each_san(const struct conn_tls *tls, enum tls_san_type type, bool is_local,
                       void (*fn)(void *arg, struct str name), void *arg);

/* A text that is made once per connection and kept with it; NULL: not yet. text is taken. */
const char *tls_info_cached(const struct conn_tls *tls);
const char *tls_info_cache(const struct conn_tls *tls, char *text);

#endif
