/* TLS to a management server, as its cluster's transport_socket says (UpstreamTlsContext). gRPC
 * speaks it, and checks the server's certificate against its authorities and one name: the exact
 * DNS name that is asked for, else the SNI. What it cannot check is refused. */
#include <string.h>

#include "envoy/extensions/transport_sockets/tls/v3/tls.pb-c.h"
#include "xds/bootstrap_private.h"

typedef Envoy__Extensions__TransportSockets__Tls__V3__UpstreamTlsContext upstream_msg;
typedef Envoy__Extensions__TransportSockets__Tls__V3__CommonTlsContext common_msg;
typedef Envoy__Extensions__TransportSockets__Tls__V3__CertificateValidationContext validation_msg;

#define SOCKETS "envoy.extensions.transport_sockets."
#define COMMON(x) ENVOY__EXTENSIONS__TRANSPORT_SOCKETS__TLS__V3__COMMON_TLS_CONTEXT__##x
#define SAN(x) \
    ENVOY__EXTENSIONS__TRANSPORT_SOCKETS__TLS__V3__SUBJECT_ALT_NAME_MATCHER__SAN_TYPE__##x

enum { PEM_MAX = 1 << 20 };

int bootstrap_pem(struct decode *d, const Envoy__Config__Core__V3__DataSource *m,
                  struct xds_pem *pem, struct error *err)
{
    if (m->specifier_case == ENVOY__CONFIG__CORE__V3__DATA_SOURCE__SPECIFIER_FILENAME) {
        pem->path = decode_text(d, m->filename);
        return *pem->path ? 0 : error_set(err, ERR_INVALID, "filename: must not be empty");
    }
    return decode_data_source(d, m, PEM_MAX, &pem->text, err);
}

static int set_san(struct decode *d, const validation_msg *v, struct xds_tls *tls,
                   struct error *err)
{
    if (!v->n_match_typed_subject_alt_names)
        return 0;
    const Envoy__Extensions__TransportSockets__Tls__V3__SubjectAltNameMatcher *m =
        v->match_typed_subject_alt_names[0];
    if (v->n_match_typed_subject_alt_names > 1 || m->san_type != SAN(DNS) || !m->matcher ||
        m->matcher->ignore_case ||
        m->matcher->match_pattern_case !=
            ENVOY__TYPE__MATCHER__V3__STRING_MATCHER__MATCH_PATTERN_EXACT)
        return error_set(err, ERR_UNSUPPORTED,
                         "match_typed_subject_alt_names: of a management server only one exact "
                         "DNS name can be checked");
    tls->name = decode_text(d, m->matcher->exact);
    return 0;
}

static int set_validation(struct decode *d, const common_msg *m, struct xds_tls *tls,
                          struct error *err)
{
    if (m->validation_context_type_case != COMMON(VALIDATION_CONTEXT_TYPE_VALIDATION_CONTEXT) ||
        !m->validation_context->trusted_ca)
        return error_set(err, ERR_UNSUPPORTED,
                         "validation_context: trusted_ca is required for a management server");
    const validation_msg *v = m->validation_context;
    if (v->n_verify_certificate_spki || v->n_verify_certificate_hash || v->crl ||
        v->n_match_subject_alt_names || v->custom_validator_config || v->trust_chain_verification)
        return error_set(err, ERR_UNSUPPORTED,
                         "validation_context: only trusted_ca and match_typed_subject_alt_names "
                         "are supported for a management server");
    if (bootstrap_pem(d, v->trusted_ca, &tls->ca, err))
        return error_prefix(err, "validation_context.trusted_ca.");
    return set_san(d, v, tls, err) ? error_prefix(err, "validation_context.") : 0;
}

static int set_certificate(struct decode *d, const common_msg *m, struct xds_tls *tls,
                           struct error *err)
{
    if (m->n_tls_certificate_sds_secret_configs || m->n_tls_certificates > 1)
        return error_set(err, ERR_UNSUPPORTED,
                         "tls_certificates: at most one, not by SDS, is supported for a "
                         "management server");
    if (!m->n_tls_certificates)
        return 0;
    const Envoy__Extensions__TransportSockets__Tls__V3__TlsCertificate *c = m->tls_certificates[0];
    if (!c->certificate_chain || !c->private_key || c->password)
        return error_set(err, ERR_UNSUPPORTED,
                         "tls_certificates[0]: a chain and a key without a password are needed");
    if (bootstrap_pem(d, c->certificate_chain, &tls->cert, err) ||
        bootstrap_pem(d, c->private_key, &tls->key, err))
        return error_prefix(err, "tls_certificates[0].");
    return 0;
}

static int set_tls(struct decode *d, const upstream_msg *m, struct xds_tls *tls, struct error *err)
{
    static const common_msg none =
        ENVOY__EXTENSIONS__TRANSPORT_SOCKETS__TLS__V3__COMMON_TLS_CONTEXT__INIT;
    const common_msg *common = m->common_tls_context ? m->common_tls_context : &none;
    tls->name = *m->sni ? decode_text(d, m->sni) : NULL;
    int rc = set_validation(d, common, tls, err);
    if (!rc)
        rc = set_certificate(d, common, tls, err);
    return rc ? error_prefix(err, "common_tls_context.") : 0;
}

static int read_socket(struct decode *d, const Envoy__Config__Core__V3__TransportSocket *t,
                       const struct xds_tls **tls_r, struct error *err)
{
    ProtobufCMessage *msg;
    if (!t || str_is(pb_any_type(t->typed_config), SOCKETS "raw_buffer.v3.RawBuffer"))
        return 0;
    if (!str_is(pb_any_type(t->typed_config), SOCKETS "tls.v3.UpstreamTlsContext"))
        return error_set(err, ERR_UNSUPPORTED, "'%s' is not supported for a management server",
                         t->name);
    if (decode_any(d, t->typed_config, &msg, err))
        return error_code(err);
    struct xds_tls *tls = DECODE_NEW(d, struct xds_tls);
    *tls_r = tls;
    return set_tls(d, (const upstream_msg *)msg, tls, err);
}

int bootstrap_server_tls(struct decode *d, struct str cluster, const struct xds_tls **tls_r,
                         struct error *err)
{
    struct decode inner;
    ProtobufCMessage *msg;
    *tls_r = NULL;
    int rc = decode_begin(&inner, cluster, d->unknown,
                          &envoy__config__cluster__v3__cluster__descriptor, &msg, err);
    inner.out = d->out;
    if (!rc)
        rc = read_socket(&inner,
                         ((const Envoy__Config__Cluster__V3__Cluster *)msg)->transport_socket,
                         tls_r, err);
    decode_end(&inner);
    return rc ? error_prefix(err, "transport_socket: ") : 0;
}
