/* Whom to trust: CertificateValidationContext. */
#include "net/tls_certs.h"
#include "net/tls_check.h"
#include "xds/decode_tls.h"

typedef Envoy__Extensions__TransportSockets__Tls__V3__SubjectAltNameMatcher san_msg;

#define SAN(x) \
    ENVOY__EXTENSIONS__TRANSPORT_SOCKETS__TLS__V3__SUBJECT_ALT_NAME_MATCHER__SAN_TYPE__##x

static bool matches(const void *matcher, struct str value)
{
    return conf_string_matches(matcher, value);
}

static int add_matcher(struct conf_secret *s, const Envoy__Type__Matcher__V3__StringMatcher *m,
                       struct tls_san_match *out, struct error *err)
{
    struct decode d = {.out = &s->object.arena};
    struct conf_string_match *match = DECODE_NEW(&d, struct conf_string_match);
    if (!m)
        return error_set(err, ERR_INVALID, "matcher: required");
    if (decode_string_match(&d, m, match, err))
        return error_prefix(err, "matcher.");
    if (match->regex)
        s->regexes[s->regexes_n++] = match->regex;
    out->matches = matches;
    out->matcher = match;
    if (match->kind == CONF_STRING_EXACT && !match->ignore_case)
        out->exact = match->text;
    return 0;
}

static int add_typed(struct conf_secret *s, const san_msg *m, struct error *err)
{
    struct tls_san_match *out = &s->validation.sans[s->validation.sans_n++];
    switch (m->san_type) {
    case SAN(EMAIL):
        out->type = TLS_SAN_EMAIL;
        break;
    case SAN(DNS):
        out->type = TLS_SAN_DNS;
        break;
    case SAN(URI):
        out->type = TLS_SAN_URI;
        break;
    case SAN(IP_ADDRESS):
        out->type = TLS_SAN_IP;
        break;
    case SAN(OTHER_NAME):
        out->type = TLS_SAN_OTHER;
        out->oid = arena_strdup(&s->object.arena, m->oid);
        if (!tls_check_oid(m->oid))
            return error_set(err, ERR_INVALID, "oid: '%s' is no object identifier", m->oid);
        break;
    default:
        return error_set(err, ERR_INVALID, "san_type: unknown value %d", (int)m->san_type);
    }
    return add_matcher(s, m->matcher, out, err);
}

/* The old, untyped form: against names of each of these types. */
static int add_untyped(struct conf_secret *s, const Envoy__Type__Matcher__V3__StringMatcher *m,
                       struct error *err)
{
    static const enum tls_san_type types[] = {TLS_SAN_DNS, TLS_SAN_URI, TLS_SAN_EMAIL, TLS_SAN_IP};
    struct tls_validation *v = &s->validation;
    struct tls_san_match first = {0};
    if (add_matcher(s, m, &first, err))
        return error_code(err);
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        v->sans[v->sans_n] = first;
        v->sans[v->sans_n++].type = types[i];
    }
    return 0;
}

static int set_sans(struct conf_secret *s, const validation_msg *m, struct error *err)
{
    size_t typed = m->n_match_typed_subject_alt_names, old = m->n_match_subject_alt_names;
    s->validation.sans =
        arena_zalloc(&s->object.arena, (typed + 4 * old) * sizeof(*s->validation.sans));
    s->regexes = arena_zalloc(&s->object.arena, (typed + old) * sizeof(*s->regexes));
    for (size_t i = 0; i < typed; i++)
        if (add_typed(s, m->match_typed_subject_alt_names[i], err))
            return error_prefix(err, "match_typed_subject_alt_names[%zu].", i);
    for (size_t i = 0; i < old; i++)
        if (add_untyped(s, m->match_subject_alt_names[i], err))
            return error_prefix(err, "match_subject_alt_names[%zu].", i);
    return 0;
}

static int digit(char c)
{
    c = str_lower(c);
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* 64 hexadecimal digits, or 32 pairs with colons between. */
static bool read_hash(const char *text, uint8_t dst[TLS_HASH_SIZE])
{
    size_t n = strlen(text), step = n == 95 ? 3 : 2;
    if (n != 64 && n != 95)
        return false;
    for (size_t i = 0; i < TLS_HASH_SIZE; i++) {
        int high = digit(text[i * step]), low = digit(text[i * step + 1]);
        if (high < 0 || low < 0 || (step == 3 && i < 31 && text[i * step + 2] != ':'))
            return false;
        dst[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static int set_hashes(struct conf_secret *s, const validation_msg *m, struct error *err)
{
    struct tls_validation *v = &s->validation;
    struct arena *a = &s->object.arena;
    v->hashes = arena_zalloc(a, m->n_verify_certificate_hash * TLS_HASH_SIZE);
    v->spkis = arena_zalloc(a, m->n_verify_certificate_spki * TLS_HASH_SIZE);
    for (size_t i = 0; i < m->n_verify_certificate_hash; i++)
        if (!read_hash(m->verify_certificate_hash[i], v->hashes[v->hashes_n++]))
            return error_set(err, ERR_INVALID,
                             "verify_certificate_hash[%zu]: Invalid hex-encoded SHA-256 %s", i,
                             m->verify_certificate_hash[i]);
    for (size_t i = 0; i < m->n_verify_certificate_spki; i++)
        if (!tls_check_base64(m->verify_certificate_spki[i], v->spkis[v->spkis_n++]))
            return error_set(err, ERR_INVALID,
                             "verify_certificate_spki[%zu]: Invalid base64-encoded SHA-256 %s", i,
                             m->verify_certificate_spki[i]);
    return 0;
}

#define TRUST(x) \
    ENVOY__EXTENSIONS__TRANSPORT_SOCKETS__TLS__V3__CERTIFICATE_VALIDATION_CONTEXT__TRUST_CHAIN_VERIFICATION__##x

static int set_flags(struct conf_secret *s, const validation_msg *m, struct error *err)
{
    struct tls_validation *v = &s->validation;
    struct decode d = {.out = &s->object.arena};
    v->allow_expired = m->allow_expired_certificate;
    v->only_leaf_crl = m->only_verify_leaf_cert_crl;
    v->uses_system_roots = m->system_root_certs != NULL;
    v->accept_untrusted = m->trust_chain_verification == TRUST(ACCEPT_UNTRUSTED);
    if (m->watched_directory)
        s->watched_directory = decode_text(&d, m->watched_directory->path);
    if (m->max_verify_depth) {
        if (m->max_verify_depth->value > 100)
            return error_set(err, ERR_INVALID, "max_verify_depth: must not be above 100");
        v->max_depth = (int)m->max_verify_depth->value;
    }
    if (v->uses_system_roots && m->trusted_ca)
        return error_set(err, ERR_INVALID, "system_root_certs: not beside trusted_ca");
    return 0;
}

static int set_trust(struct conf_secret *s, const validation_msg *m, struct error *err)
{
    struct tls_validation *v = &s->validation;
    v->path = "<inline>";
    if (decode_secret_bytes(s, m->trusted_ca, "trusted_ca", &v->trusted_ca, err) ||
        decode_secret_bytes(s, m->crl, "crl", &v->crl, err))
        return error_code(err);
    if (m->trusted_ca && s->files_n &&
        m->trusted_ca->specifier_case == ENVOY__CONFIG__CORE__V3__DATA_SOURCE__SPECIFIER_FILENAME)
        v->path = s->files[0];
    /* Nothing would read as trust in everybody: more than was asked for. */
    if (m->trusted_ca && !v->trusted_ca.n)
        return error_set(err, ERR_INVALID, "trusted_ca: must not be empty");
    return 0;
}

int decode_validation(struct decode *d, const validation_msg *m, struct conf_secret **secret_r,
                      struct error *err)
{
    struct conf_secret *s = conf_secret_create("", CONF_SECRET_VALIDATION);
    int rc = set_trust(s, m, err);
    if (!rc)
        rc = decode_spiffe_validator(d, s, m->custom_validator_config, err);
    if (!rc)
        rc = set_sans(s, m, err);
    if (!rc)
        rc = set_hashes(s, m, err);
    if (!rc)
        rc = set_flags(s, m, err);
    if (!rc)
        rc = tls_check_validation(&s->validation, err);
    if (!rc)
        s->expires_s = tls_certs_expiry(s->validation.trusted_ca);
    if (!rc)
        s->object.hash = decode_hash(&m->base, s->object.hash);
    *secret_r = rc ? NULL : s;
    if (rc)
        conf_object_unref(s);
    return rc;
}
