/* What certificates say of themselves, for /certs and for expiry. [main] */
#ifndef NET_TLS_CERTS_H
#define NET_TLS_CERTS_H

#include <stdbool.h>
#include <time.h>

#include "base/str.h"
#include "net/tls.h"

struct tls_cert_view {
    const char *serial; /* hexadecimal, lower case */
    time_t from, to;
    struct {
        enum tls_san_type type;
        struct str text;
    } sans[32]; /* no more are shown */
    size_t sans_n;
};

/* Calls fn for each certificate of the PEM text, with a view that holds during the call. */
void tls_certs_each(struct str pem, void (*fn)(void *arg, const struct tls_cert_view *cert),
                    void *arg);

/* From when to when an OCSP response (DER) holds; *to_r 0: it does not say. False: it is none. */
bool tls_ocsp_times(struct str der, time_t *from_r, time_t *to_r);

/* When the first of them expires; 0: there is none. */
time_t tls_certs_expiry(struct str pem);

#endif
