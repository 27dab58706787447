/* OCSP stapling of servers. Source: Envoy's ocsp/ (what a response has to be) and
 * ServerContextImpl::ocspStapleAction (what is done without a valid one); RFC 6960, RFC 7633. */
#include <openssl/ocsp.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "net/tls_certs.h"
#include "net/tls_private.h"

enum { STATUS_REQUEST = 5 }; /* TLS feature, RFC 7633 */

/* ---- reading ---- */

static bool must_staple(X509 *cert)
{
    STACK_OF(ASN1_INTEGER) *features = X509_get_ext_d2i(cert, NID_tlsfeature, NULL, NULL);
    bool found = false;
    for (int i = 0; i < sk_ASN1_INTEGER_num(features); i++)
        found |= ASN1_INTEGER_get(sk_ASN1_INTEGER_value(features, i)) == STATUS_REQUEST;
    sk_ASN1_INTEGER_pop_free(features, ASN1_INTEGER_free);
    return found;
}

static time_t seconds_of(const ASN1_GENERALIZEDTIME *t)
{
    struct tm tm;
    return t && ASN1_TIME_to_tm(t, &tm) ? timegm(&tm) : 0;
}

static int read_single(OCSP_BASICRESP *basic, X509 *cert, struct tls_staple *out, struct error *err)
{
    ASN1_INTEGER *serial = NULL;
    ASN1_GENERALIZEDTIME *this_update = NULL, *next_update = NULL;
    if (OCSP_resp_count(basic) != 1)
        return error_set(err, ERR_INVALID, "OCSP Response must be for one certificate only");
    OCSP_SINGLERESP *single = OCSP_resp_get0(basic, 0);
    OCSP_CERTID *id = (OCSP_CERTID *)OCSP_SINGLERESP_get0_id(single);
    if (!OCSP_id_get0_info(NULL, NULL, NULL, &serial, id) ||
        ASN1_INTEGER_cmp(serial, X509_get0_serialNumber(cert)))
        return error_set(err, ERR_INVALID, "OCSP response does not match its TLS certificate");
    OCSP_single_get0_status(single, NULL, NULL, &this_update, &next_update);
    out->expires_s = seconds_of(next_update);
    return 0;
}

static int read_response(struct str der, X509 *cert, struct tls_staple *out, struct error *err)
{
    const unsigned char *p = (const unsigned char *)der.p;
    OCSP_RESPONSE *r = d2i_OCSP_RESPONSE(NULL, &p, (long)der.n);
    OCSP_BASICRESP *basic = NULL;
    int rc = 0;
    if (!r)
        rc = error_set(err, ERR_INVALID, "Failed to parse OCSP response");
    else if (OCSP_response_status(r) != OCSP_RESPONSE_STATUS_SUCCESSFUL)
        rc = error_set(err, ERR_INVALID, "OCSP response was unsuccessful");
    else if (!(basic = OCSP_response_get1_basic(r)))
        rc = error_set(err, ERR_INVALID, "OCSP response has no basic response");
    else
        rc = read_single(basic, cert, out, err);
    OCSP_BASICRESP_free(basic);
    OCSP_RESPONSE_free(r);
    return rc;
}

bool tls_ocsp_times(struct str der, time_t *from_r, time_t *to_r)
{
    const unsigned char *p = (const unsigned char *)der.p;
    ASN1_GENERALIZEDTIME *this_update = NULL, *next_update = NULL;
    OCSP_RESPONSE *r = der.n ? d2i_OCSP_RESPONSE(NULL, &p, (long)der.n) : NULL;
    OCSP_BASICRESP *basic = r ? OCSP_response_get1_basic(r) : NULL;
    bool has_one = basic && OCSP_resp_count(basic) > 0;
    if (has_one) {
        OCSP_single_get0_status(OCSP_resp_get0(basic, 0), NULL, NULL, &this_update, &next_update);
        *from_r = seconds_of(this_update);
        *to_r = seconds_of(next_update);
    }
    OCSP_BASICRESP_free(basic);
    OCSP_RESPONSE_free(r);
    return has_one;
}

int tls_read_staple(struct str der, X509 *cert, struct tls_staple *out, struct error *err)
{
    *out = (struct tls_staple){.der = der, .is_demanded = must_staple(cert)};
    int rc = der.n ? read_response(der, cert, out, err) : 0;
    return rc ? error_prefix(err, "ocsp_staple: ") : 0;
}

int tls_check_staple(const struct tls_staple *s, enum tls_staple_policy policy, struct error *err)
{
    if (s->der.n)
        return 0;
    if (s->is_demanded)
        return error_set(err, ERR_INVALID,
                         "ocsp_staple: OCSP response is required for must-staple certificate");
    if (policy == TLS_STAPLE_MUST)
        return error_set(err, ERR_INVALID,
                         "ocsp_staple: Required OCSP response is missing from TLS context");
    return 0;
}

/* ---- answering ---- */

static int give(SSL *ssl, struct tls_stats *stats, struct str der)
{
    unsigned char *copy = OPENSSL_memdup(der.p, der.n); /* SSL frees it */
    if (!copy || !SSL_set_tlsext_status_ocsp_resp(ssl, copy, (long)der.n)) {
        OPENSSL_free(copy);
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    }
    stat_inc(stats->ocsp_staple_responses);
    return SSL_TLSEXT_ERR_OK;
}

/* Only called for clients that ask. */
static int on_status_request(SSL *ssl, void *arg)
{
    const struct tls_context *ctx = arg;
    struct tls_stats *stats = ((struct conn_tls *)SSL_get_app_data(ssl))->stats;
    const X509 *cert = SSL_get_certificate(ssl);
    static const struct tls_staple none;
    const struct tls_staple *s = &none;
    for (size_t i = 0; i < ctx->identities_n; i++)
        if (ctx->identities[i].cert == cert)
            s = &ctx->identities[i].staple;
    enum tls_staple_policy policy = s->is_demanded ? TLS_STAPLE_MUST : ctx->staple_policy;
    stat_inc(stats->ocsp_staple_requests);
    if (s->der.n && s->expires_s > (int64_t)(clock_wall_ns() / 1000000000))
        return give(ssl, stats, s->der);
    if (policy == TLS_STAPLE_MUST || (policy == TLS_STAPLE_STRICT && s->der.n)) {
        stat_inc(stats->ocsp_staple_failed);
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    }
    stat_inc(stats->ocsp_staple_omitted);
    return SSL_TLSEXT_ERR_NOACK;
}

void tls_serve_staples(struct tls_context *ctx)
{
    SSL_CTX_set_tlsext_status_cb(ctx->ssl_ctx, on_status_request);
    SSL_CTX_set_tlsext_status_arg(ctx->ssl_ctx, ctx);
}
