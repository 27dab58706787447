/* The transport socket of a cluster: plain TCP, or TLS as far as downloads of modules need it. */
#include "envoy/extensions/transport_sockets/tls/v3/tls.pb-c.h"
#include "xds/decode_private.h"

#define SOCKETS "envoy.extensions.transport_sockets."

typedef Envoy__Extensions__TransportSockets__Tls__V3__UpstreamTlsContext upstream_tls_msg;
typedef Envoy__Extensions__TransportSockets__Tls__V3__CommonTlsContext common_tls_msg;

enum { TRUSTED_CA_MAX = 1 << 20 };

static int set_trusted_ca(struct decode *d, const common_tls_msg *m, struct conf_upstream_tls *tls,
                          struct error *err)
{
    if (!m ||
        m->validation_context_type_case !=
            ENVOY__EXTENSIONS__TRANSPORT_SOCKETS__TLS__V3__COMMON_TLS_CONTEXT__VALIDATION_CONTEXT_TYPE_VALIDATION_CONTEXT ||
        !m->validation_context->trusted_ca)
        return 0;
    int rc = decode_data_source(d, m->validation_context->trusted_ca, TRUSTED_CA_MAX,
                                &tls->trusted_ca, err);
    /* Nothing would fall back to the system's authorities: more than was asked for. */
    if (!rc && !tls->trusted_ca.n)
        rc = error_set(err, ERR_INVALID, "must not be empty");
    return rc ? error_prefix(err, "common_tls_context.validation_context.trusted_ca: ") : 0;
}

int decode_transport(struct decode *d, const Envoy__Config__Core__V3__TransportSocket *t,
                     const struct conf_upstream_tls **tls_r, struct error *err)
{
    ProtobufCMessage *msg;
    *tls_r = NULL;
    if (!t)
        return 0;
    struct str type = pb_any_type(t->typed_config);
    if (str_is(type, SOCKETS "raw_buffer.v3.RawBuffer"))
        return 0;
    if (!str_is(type, SOCKETS "tls.v3.UpstreamTlsContext"))
        return error_set(err, ERR_UNSUPPORTED, "transport_socket: '%s' is not supported", t->name);
    int rc = decode_any(d, t->typed_config, &msg, err);
    if (rc)
        return error_prefix(err, "transport_socket.");
    const upstream_tls_msg *m = (const upstream_tls_msg *)msg;
    struct conf_upstream_tls *tls = DECODE_NEW(d, struct conf_upstream_tls);
    tls->sni = decode_text(d, m->sni);
    *tls_r = tls;
    rc = set_trusted_ca(d, m->common_tls_context, tls, err);
    return rc ? error_prefix(err, "transport_socket.typed_config.") : 0;
}
