/* DownstreamTlsContext and UpstreamTlsContext. */
#include "base/crypto.h"
#include "net/tls_check.h"
#include "xds/decode_tls.h"

typedef Envoy__Extensions__TransportSockets__Tls__V3__UpstreamTlsContext upstream_tls_msg;
typedef Envoy__Extensions__TransportSockets__Tls__V3__DownstreamTlsContext downstream_tls_msg;
typedef Envoy__Extensions__TransportSockets__Tls__V3__CommonTlsContext common_tls_msg;
typedef Envoy__Extensions__TransportSockets__Tls__V3__TlsParameters params_msg;

#define VALIDATION(x) \
    ENVOY__EXTENSIONS__TRANSPORT_SOCKETS__TLS__V3__COMMON_TLS_CONTEXT__VALIDATION_CONTEXT_TYPE_##x
#define STAPLE(x) \
    ENVOY__EXTENSIONS__TRANSPORT_SOCKETS__TLS__V3__DOWNSTREAM_TLS_CONTEXT__OCSP_STAPLE_POLICY__##x
#define TICKETS(x) \
    ENVOY__EXTENSIONS__TRANSPORT_SOCKETS__TLS__V3__DOWNSTREAM_TLS_CONTEXT__SESSION_TICKET_KEYS_TYPE_##x

enum { SESSION_TIMEOUT_S = 7200, SNI_MAX = 255 };

/* ---- parameters ---- */

static uint16_t version_of(int protocol, uint16_t def)
{
    return protocol ? (uint16_t)(TLS_1_0 + protocol - 1) : def;
}

/* "[A|B]:C" in one list: groups of equal preference become an order. */
static const char *join(struct decode *d, char *const *list, size_t n)
{
    struct sbuf b = {0};
    for (size_t i = 0; i < n; i++) {
        if (i)
            sbuf_addc(&b, ':');
        for (const char *p = list[i]; *p; p++)
            if (*p != '[' && *p != ']')
                sbuf_addc(&b, *p == '|' ? ':' : *p);
    }
    const char *joined = n ? arena_strdup(d->out, b.p ? b.p : "") : NULL;
    sbuf_fini(&b);
    return joined;
}

static int set_params(struct decode *d, const params_msg *m, struct conf_tls *tls,
                      struct error *err)
{
    struct tls_params *p = &tls->params;
    /* Envoy's clients stop at 1.2 unless told otherwise. */
    p->version_min = TLS_1_2;
    p->version_max = tls->is_server ? TLS_1_3 : TLS_1_2;
    if (!m)
        return 0;
    p->version_min = version_of((int)m->tls_minimum_protocol_version, p->version_min);
    p->version_max = version_of((int)m->tls_maximum_protocol_version, p->version_max);
    if (p->version_max < p->version_min && !m->tls_maximum_protocol_version)
        p->version_max = p->version_min;
    if (p->version_min < TLS_1_0 || p->version_max > TLS_1_3 || p->version_min > p->version_max)
        return error_set(err, ERR_INVALID, "tls_maximum_protocol_version: below the minimum");
    p->ciphers = join(d, m->cipher_suites, m->n_cipher_suites);
    p->curves = join(d, m->ecdh_curves, m->n_ecdh_curves);
    p->sigalgs = join(d, m->signature_algorithms, m->n_signature_algorithms);
    return 0;
}

/* Whoever agrees on Istio's peer exchange has to speak its preamble; the filter that does is a
 * no-op here, so it is neither offered nor selected. */
int decode_alpn(struct decode *d, char *const *names, size_t n, const char *field, struct str *out,
                struct error *err)
{
    struct sbuf b = {0};
    int rc = 0;
    for (size_t i = 0; i < n && !rc; i++) {
        struct str p = str_of(names[i]), token;
        while (!rc && str_next(&p, ',', &token)) {
            token = str_trim(token);
            if (!token.n || token.n > 255)
                rc = error_set(err, ERR_INVALID, "%s[%zu]: Invalid ALPN protocol string", field, i);
            else if (!str_is(token, "istio-peer-exchange")) {
                sbuf_addc(&b, (char)token.n);
                sbuf_add(&b, token.p, token.n);
            }
        }
    }
    if (b.n > 4096)
        rc = error_set(err, ERR_LIMIT, "%s: too long", field);
    *out = STR_NULL;
    if (!rc && b.n)
        *out = (struct str){arena_strndup(d->out, b.p, b.n), b.n};
    sbuf_fini(&b);
    return rc;
}

/* ---- secrets ---- */

static int set_certificates(struct decode *d, const common_tls_msg *m, struct conf_tls *tls,
                            struct error *err)
{
    size_t inline_n = m->n_tls_certificates, sds_n = m->n_tls_certificate_sds_secret_configs;
    if (inline_n + sds_n > TLS_CERTIFICATES_MAX)
        return error_set(err, ERR_LIMIT, "tls_certificates: more than %d", TLS_CERTIFICATES_MAX);
    tls->certificates = DECODE_ARRAY(d, struct conf_secret_ref, inline_n + sds_n);
    for (size_t i = 0; i < inline_n; i++) {
        struct conf_secret_ref *ref = &tls->certificates[tls->certificates_n++];
        *ref = (struct conf_secret_ref){.name = "", .key = "", .target = "", .watched = ""};
        if (decode_certificate(m->tls_certificates[i], &ref->secret, err))
            return error_prefix(err, "tls_certificates[%zu].", i);
    }
    for (size_t i = 0; i < sds_n; i++)
        if (decode_secret_ref(d, m->tls_certificate_sds_secret_configs[i], CONF_SECRET_CERTIFICATE,
                              &tls->certificates[tls->certificates_n++], err))
            return error_prefix(err, "tls_certificate_sds_secret_configs[%zu].", i);
    return 0;
}

static int add_inline_validation(struct decode *d, const validation_msg *m, struct conf_tls *tls,
                                 const char *field, struct error *err)
{
    struct conf_secret_ref *ref = &tls->validations[tls->validations_n++];
    *ref = (struct conf_secret_ref){
        .name = "", .key = "", .target = "", .watched = "", .kind = CONF_SECRET_VALIDATION};
    return decode_validation(d, m, &ref->secret, err) ? error_prefix(err, "%s.", field) : 0;
}

static int add_validation_ref(struct decode *d, const sds_msg *m, struct conf_tls *tls,
                              struct error *err)
{
    return decode_secret_ref(d, m, CONF_SECRET_VALIDATION, &tls->validations[tls->validations_n++],
                             err)
               ? error_prefix(err, "validation_context_sds_secret_config.")
               : 0;
}

static int set_combined(
    struct decode *d,
    const Envoy__Extensions__TransportSockets__Tls__V3__CommonTlsContext__CombinedCertificateValidationContext
        *m,
    struct conf_tls *tls, struct error *err)
{
    int rc = 0;
    if (!m->default_validation_context || !m->validation_context_sds_secret_config)
        return error_set(err, ERR_INVALID,
                         "default_validation_context, validation_context_sds_secret_config: both "
                         "are required");
    rc = add_inline_validation(d, m->default_validation_context, tls, "default_validation_context",
                               err);
    return rc ? rc : add_validation_ref(d, m->validation_context_sds_secret_config, tls, err);
}

static int set_validation(struct decode *d, const common_tls_msg *m, struct conf_tls *tls,
                          struct error *err)
{
    switch (m->validation_context_type_case) {
    case VALIDATION(VALIDATION_CONTEXT):
        return add_inline_validation(d, m->validation_context, tls, "validation_context", err);
    case VALIDATION(VALIDATION_CONTEXT_SDS_SECRET_CONFIG):
        return add_validation_ref(d, m->validation_context_sds_secret_config, tls, err);
    case VALIDATION(COMBINED_VALIDATION_CONTEXT):
        return set_combined(d, m->combined_validation_context, tls, err)
                   ? error_prefix(err, "combined_validation_context.")
                   : 0;
    default:
        return 0; /* the others are refused by support.tsv */
    }
}

static int set_common(struct decode *d, const common_tls_msg *m, struct conf_tls *tls,
                      struct error *err)
{
    if (!m)
        return set_params(d, NULL, tls, err);
    if (set_params(d, m->tls_params, tls, err))
        return error_prefix(err, "tls_params.");
    int rc = decode_alpn(d, m->alpn_protocols, m->n_alpn_protocols, "alpn_protocols",
                         &tls->params.alpn, err);
    if (!rc)
        rc = set_certificates(d, m, tls, err);
    return rc ? rc : set_validation(d, m, tls, err);
}

/* ---- the contexts ---- */

static int set_upstream(struct decode *d, const upstream_tls_msg *m, struct conf_tls *tls,
                        struct error *err)
{
    tls->sni = decode_text(d, m->sni);
    tls->auto_host_sni = m->auto_host_sni;
    tls->auto_sni_san_validation = m->auto_sni_san_validation;
    tls->params.no_sessions = pb_u32(m->max_session_keys, 1) == 0;
    if (strlen(m->sni) > SNI_MAX)
        return error_set(err, ERR_INVALID, "sni: longer than %d bytes", SNI_MAX);
    if (set_common(d, m->common_tls_context, tls, err))
        return error_prefix(err, "common_tls_context.");
    if (tls->certificates_n > 1)
        return error_set(err, ERR_UNSUPPORTED,
                         "common_tls_context.tls_certificates: Multiple TLS certificates are not "
                         "supported for client contexts");
    return 0;
}

static int set_tickets(struct decode *d, const downstream_tls_msg *m, struct conf_tls *tls,
                       struct error *err)
{
    switch (m->session_ticket_keys_type_case) {
    case TICKETS(SESSION_TICKET_KEYS):
        tls->has_ticket_keys = true;
        tls->ticket_keys.kind = CONF_SECRET_TICKET_KEYS;
        return decode_ticket_keys(m->session_ticket_keys, &tls->ticket_keys.secret, err)
                   ? error_prefix(err, "session_ticket_keys.")
                   : 0;
    case TICKETS(SESSION_TICKET_KEYS_SDS_SECRET_CONFIG):
        tls->has_ticket_keys = true;
        return decode_secret_ref(d, m->session_ticket_keys_sds_secret_config,
                                 CONF_SECRET_TICKET_KEYS, &tls->ticket_keys, err)
                   ? error_prefix(err, "session_ticket_keys_sds_secret_config.")
                   : 0;
    case TICKETS(DISABLE_STATELESS_SESSION_RESUMPTION):
        tls->params.no_tickets = m->disable_stateless_session_resumption;
        return 0;
    default:
        crypto_random(tls->params.ticket_key, sizeof(tls->params.ticket_key));
        return 0;
    }
}

static int set_staple_policy(const downstream_tls_msg *m, struct conf_tls *tls, struct error *err)
{
    static const enum tls_staple_policy policies[] = {
        [STAPLE(LENIENT_STAPLING)] = TLS_STAPLE_LENIENT,
        [STAPLE(STRICT_STAPLING)] = TLS_STAPLE_STRICT,
        [STAPLE(MUST_STAPLE)] = TLS_STAPLE_MUST,
    };
    if ((size_t)m->ocsp_staple_policy >= ARRAY_LEN(policies))
        return error_set(err, ERR_INVALID, "ocsp_staple_policy: unknown value %d",
                         (int)m->ocsp_staple_policy);
    tls->params.staple_policy = policies[m->ocsp_staple_policy];
    for (size_t i = 0; i < tls->certificates_n; i++) {
        const struct conf_secret *s = tls->certificates[i].secret;
        if (s && tls_check_served(&s->certificate, tls->params.staple_policy, err))
            return error_prefix(err, "common_tls_context.tls_certificates[%zu].", i);
    }
    return 0;
}

static int set_downstream(struct decode *d, const downstream_tls_msg *m, struct conf_tls *tls,
                          struct error *err)
{
    uint32_t ms;
    struct tls_params *p = &tls->params;
    p->require_client_certificate = pb_bool(m->require_client_certificate, false);
    p->require_sni = pb_bool(m->require_sni, false);
    p->no_session_ids = m->disable_stateful_session_resumption;
    if (decode_ms(m->session_timeout, SESSION_TIMEOUT_S * 1000, "session_timeout", &ms, err))
        return error_code(err);
    p->session_timeout_s = ms / 1000;
    if (set_common(d, m->common_tls_context, tls, err))
        return error_prefix(err, "common_tls_context.");
    if (!tls->certificates_n)
        return error_set(err, ERR_INVALID,
                         "common_tls_context.tls_certificates: No TLS "
                         "certificates found for server context");
    if (set_staple_policy(m, tls, err))
        return error_code(err);
    return set_tickets(d, m, tls, err);
}

static const struct tls_validation *inline_validation(const struct conf_tls *tls, size_t i)
{
    return i < tls->validations_n && tls->validations[i].secret
               ? &tls->validations[i].secret->validation
               : NULL;
}

/* What can be said before secrets are there. */
static int check(const struct conf_tls *tls, struct error *err)
{
    const struct tls_validation *v = inline_validation(tls, 0);
    if (v && v->sans_n && tls->validations_n == 1 && !v->trusted_ca.n && !v->uses_system_roots &&
        !v->domains_n)
        return error_set(err, ERR_INVALID,
                         "common_tls_context.validation_context: SAN-based verification of peer "
                         "certificates without trusted CA is insecure and not allowed");
    /* A client certificate that nobody can vouch for is no client certificate. */
    if (tls_check_params(&tls->params, tls->is_server, err))
        return error_prefix(err, "common_tls_context.tls_params.");
    return 0;
}

/* Of the message and of what stands in its files. */
static void set_hash(struct conf_tls *tls, const Google__Protobuf__Any *any)
{
    const struct conf_secret *s;
    uint64_t hash = hash_xx64(any->value.data, any->value.len, 0);
    for (size_t i = 0; i < tls->certificates_n; i++)
        if ((s = tls->certificates[i].secret))
            hash = hash_xx64(&s->object.hash, sizeof(hash), hash);
    for (size_t i = 0; i < tls->validations_n; i++)
        if ((s = tls->validations[i].secret))
            hash = hash_xx64(&s->object.hash, sizeof(hash), hash);
    tls->object.hash = hash;
}

int decode_tls(struct decode *d, const Google__Protobuf__Any *any, bool is_server,
               struct conf_tls **tls_r, struct error *err)
{
    struct arena *saved = d->out;
    struct conf_tls *tls;
    ProtobufCMessage *msg;
    *tls_r = NULL;
    if (decode_any(d, any, &msg, err))
        return error_code(err);
    tls = conf_tls_create(is_server);
    d->out = &tls->object.arena;
    int rc = is_server ? set_downstream(d, (const downstream_tls_msg *)msg, tls, err)
                       : set_upstream(d, (const upstream_tls_msg *)msg, tls, err);
    if (!rc)
        rc = check(tls, err);
    if (!rc)
        set_hash(tls, any);
    d->out = saved;
    if (rc) {
        conf_object_unref(tls);
        return error_prefix(err, "typed_config.");
    }
    *tls_r = tls;
    return 0;
}
