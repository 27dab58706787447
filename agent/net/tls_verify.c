/* Judging the peer's certificate: trusted authorities, names, hashes, trust domains. Follows
 * Envoy's default validator and its SPIFFE validator: the chain may end at any certificate that is
 * trusted, and names and hashes are further conditions, never replacements. */
#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <string.h>

#include "base/mem.h"
#include "net/tls_private.h"

/* ---- names ---- */

static struct str text_of(const ASN1_STRING *s)
{
    const char *p = (const char *)ASN1_STRING_get0_data(s);
    int n = ASN1_STRING_length(s);
    /* A NUL would end the name for others: such a name is nobody's. */
    if (!p || n <= 0 || memchr(p, 0, (size_t)n))
        return STR_NULL;
    return (struct str){p, (size_t)n};
}

static struct str format_ip(const ASN1_OCTET_STRING *s, char scratch[TLS_SAN_SCRATCH])
{
    int n = ASN1_STRING_length(s), family = n == 4 ? AF_INET : AF_INET6;
    if ((n != 4 && n != 16) ||
        !inet_ntop(family, ASN1_STRING_get0_data(s), scratch, TLS_SAN_SCRATCH))
        return STR_NULL;
    return str_of(scratch);
}

static struct str other_text(const ASN1_TYPE *v)
{
    switch (v ? v->type : V_ASN1_NULL) {
    case V_ASN1_UTF8STRING:
    case V_ASN1_IA5STRING:
    case V_ASN1_PRINTABLESTRING:
    case V_ASN1_VISIBLESTRING:
    case V_ASN1_NUMERICSTRING:
    case V_ASN1_OCTET_STRING:
        return text_of(v->value.asn1_string);
    default:
        return STR_NULL;
    }
}

struct str tls_san_text(const GENERAL_NAME *g, enum tls_san_type *type_r,
                        char scratch[TLS_SAN_SCRATCH])
{
    switch (g->type) {
    case GEN_EMAIL:
        *type_r = TLS_SAN_EMAIL;
        return text_of(g->d.rfc822Name);
    case GEN_DNS:
        *type_r = TLS_SAN_DNS;
        return text_of(g->d.dNSName);
    case GEN_URI:
        *type_r = TLS_SAN_URI;
        return text_of(g->d.uniformResourceIdentifier);
    case GEN_IPADD:
        *type_r = TLS_SAN_IP;
        return format_ip(g->d.iPAddress, scratch);
    case GEN_OTHERNAME:
        *type_r = TLS_SAN_OTHER;
        return other_text(g->d.otherName->value);
    default:
        return STR_NULL;
    }
}

bool tls_dns_match(struct str pattern, struct str name)
{
    if (str_eq_nocase(pattern, name))
        return true;
    ptrdiff_t dot = str_find(name, '.');
    if (pattern.n < 3 || !str_starts(pattern, STR("*.")) || dot <= 0)
        return false;
    struct str rest = {name.p + dot, name.n - (size_t)dot};
    return str_eq_nocase((struct str){pattern.p + 1, pattern.n - 1}, rest);
}

static bool is_oid(const GENERAL_NAME *g, const char *oid)
{
    char have[128];
    int n = OBJ_obj2txt(have, sizeof(have), g->d.otherName->type_id, 1);
    return n > 0 && (size_t)n < sizeof(have) && strcmp(have, oid) == 0;
}

static bool match_san(const GENERAL_NAME *g, const struct tls_san_match *m)
{
    char scratch[TLS_SAN_SCRATCH];
    enum tls_san_type type;
    struct str text = tls_san_text(g, &type, scratch);
    if (!text.p || type != m->type || (type == TLS_SAN_OTHER && !is_oid(g, m->oid)))
        return false;
    if (type == TLS_SAN_DNS && m->exact.p)
        return tls_dns_match(text, m->exact);
    return m->matches(m->matcher, text);
}

bool tls_match_sans(X509 *cert, const struct tls_san_match *sans, size_t n)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    bool found = false;
    for (int i = 0; i < sk_GENERAL_NAME_num(names) && !found; i++)
        for (size_t k = 0; k < n && !found; k++)
            found = match_san(sk_GENERAL_NAME_value(names, i), &sans[k]);
    GENERAL_NAMES_free(names);
    return found;
}

static bool matches_dns(X509 *cert, const char *sni)
{
    const struct tls_san_match m = {.type = TLS_SAN_DNS, .exact = str_of(sni)};
    return tls_match_sans(cert, &m, 1);
}

/* Of any type. Source: Envoy's verifySubjectAltName. */
static bool has_name(X509 *cert, struct str name)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    bool found = false;
    for (int i = 0; i < sk_GENERAL_NAME_num(names) && !found; i++) {
        char scratch[TLS_SAN_SCRATCH];
        enum tls_san_type type;
        struct str text = tls_san_text(sk_GENERAL_NAME_value(names, i), &type, scratch);
        found = text.p && (type == TLS_SAN_DNS ? tls_dns_match(text, name) : str_eq(text, name));
    }
    GENERAL_NAMES_free(names);
    return found;
}

/* For the log: who it is that was not let in. */
static void add_names(X509 *cert, struct sbuf *why)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; i < sk_GENERAL_NAME_num(names) && i < 8; i++) {
        char scratch[TLS_SAN_SCRATCH];
        enum tls_san_type type;
        struct str text = tls_san_text(sk_GENERAL_NAME_value(names, i), &type, scratch);
        size_t n = text.n < 256 ? text.n : 256;
        if (i)
            sbuf_addz(why, ", ");
        for (size_t k = 0; k < n; k++)
            sbuf_addc(why, text.p[k] < ' ' || text.p[k] > '~' ? '?' : text.p[k]);
    }
    GENERAL_NAMES_free(names);
}

/* ---- hashes ---- */

static bool is_listed(const uint8_t (*list)[TLS_HASH_SIZE], size_t n, const uint8_t *hash)
{
    for (size_t i = 0; i < n; i++)
        if (memcmp(list[i], hash, TLS_HASH_SIZE) == 0)
            return true;
    return false;
}

static bool hash_spki(X509 *cert, uint8_t hash[TLS_HASH_SIZE])
{
    uint8_t *der = NULL;
    int n = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &der);
    bool ok = n > 0 && EVP_Digest(der, (size_t)n, hash, NULL, EVP_sha256(), NULL) == 1;
    OPENSSL_free(der);
    return ok;
}

static bool match_hashes(X509 *cert, const struct tls_trust *t)
{
    uint8_t hash[TLS_HASH_SIZE], spki[TLS_HASH_SIZE];
    unsigned n = sizeof(hash);
    if (!X509_digest(cert, EVP_sha256(), hash, &n) || !hash_spki(cert, spki))
        return false;
    for (size_t i = 0; i < t->parts_n; i++)
        if (is_listed((const uint8_t(*)[TLS_HASH_SIZE])t->parts[i]->hashes, t->parts[i]->hashes_n,
                      hash) ||
            is_listed((const uint8_t(*)[TLS_HASH_SIZE])t->parts[i]->spkis, t->parts[i]->spkis_n,
                      spki))
            return true;
    return false;
}

/* ---- trust domains ---- */

/* "spiffe://DOMAIN/..." of the first URI; p NULL: none. */
static struct str domain_of(const GENERAL_NAMES *names)
{
    static const struct str scheme = {"spiffe://", 9};
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        char scratch[TLS_SAN_SCRATCH];
        enum tls_san_type type = TLS_SAN_OTHER;
        struct str uri = tls_san_text(sk_GENERAL_NAME_value(names, i), &type, scratch);
        if (!uri.p || type != TLS_SAN_URI || !str_starts(uri, scheme))
            continue;
        struct str rest = {uri.p + scheme.n, uri.n - scheme.n}, domain;
        if (str_next(&rest, '/', &domain) && domain.n)
            return domain;
    }
    return STR_NULL;
}

static X509_STORE *find_store(const struct tls_trust *t, X509 *cert)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    struct str domain = domain_of(names);
    X509_STORE *store = NULL;
    for (size_t i = 0; i < t->domains_n && domain.p && !store; i++)
        if (str_eq(t->domains[i].name, domain))
            store = t->domains[i].store;
    GENERAL_NAMES_free(names);
    return store;
}

static int verify_in(X509_STORE *store, X509_STORE_CTX *x)
{
    X509_STORE_CTX *own = X509_STORE_CTX_new();
    int rc = own && X509_STORE_CTX_init(own, store, X509_STORE_CTX_get0_cert(x),
                                        X509_STORE_CTX_get0_untrusted(x));
    if (rc)
        rc = X509_verify_cert(own);
    X509_STORE_CTX_set_error(x, own ? X509_STORE_CTX_get_error(own) : X509_V_ERR_OUT_OF_MEM);
    X509_STORE_CTX_free(own);
    return rc;
}

/* ---- the verdict ---- */

static bool verify_chain(const struct tls_trust *t, X509_STORE_CTX *x)
{
    if (!t->domains_n)
        return X509_verify_cert(x) == 1;
    X509_STORE *store = find_store(t, X509_STORE_CTX_get0_cert(x));
    if (!store)
        X509_STORE_CTX_set_error(x, X509_V_ERR_CERT_UNTRUSTED);
    return store && verify_in(store, x) == 1;
}

static size_t count(const struct tls_trust *t, bool is_sans)
{
    size_t n = 0;
    for (size_t i = 0; i < t->parts_n; i++)
        n += is_sans ? t->parts[i]->sans_n : t->parts[i]->hashes_n + t->parts[i]->spkis_n;
    return n;
}

static bool match_names(const struct tls_trust *t, X509 *cert, const char *sni, const char *name)
{
    if (name && !has_name(cert, str_of(name)))
        return false;
    if (t->matches_sni && sni && *sni)
        return matches_dns(cert, sni);
    for (size_t i = 0; i < t->parts_n; i++)
        if (tls_match_sans(cert, t->parts[i]->sans, t->parts[i]->sans_n))
            return true;
    return count(t, true) == 0;
}

static enum tls_verdict judge(const struct tls_trust *t, X509_STORE_CTX *x, const char *sni,
                              const char *name, bool *is_verified_r, struct sbuf *why)
{
    X509 *cert = X509_STORE_CTX_get0_cert(x);
    bool has_hashes = count(t, false) > 0;
    if ((t->has_ca || t->domains_n) && !verify_chain(t, x)) {
        sbuf_printf(why,
                    "verify cert failed: X509_verify_cert: certificate verification error at depth "
                    "%d: %s",
                    X509_STORE_CTX_get_error_depth(x),
                    X509_verify_cert_error_string(X509_STORE_CTX_get_error(x)));
        return TLS_VERDICT_ERROR;
    }
    if (!match_names(t, cert, sni, name)) {
        sbuf_addz(why, "verify cert failed: SAN matcher, certificate SANs are [");
        add_names(cert, why);
        sbuf_addc(why, ']');
        return TLS_VERDICT_SAN;
    }
    if (has_hashes && !match_hashes(cert, t)) {
        sbuf_addz(why, "verify cert failed: cert hash and spki");
        return TLS_VERDICT_HASH;
    }
    *is_verified_r = t->has_ca || t->domains_n || has_hashes;
    return TLS_VERDICT_OK;
}

enum tls_verdict tls_trust_verify(const struct tls_trust *t, X509_STORE_CTX *x, const char *sni,
                                  const char *name, bool *is_verified_r, struct sbuf *why)
{
    *is_verified_r = false;
    enum tls_verdict v = judge(t, x, sni, name, is_verified_r, why);
    if (v == TLS_VERDICT_SAN || v == TLS_VERDICT_HASH)
        X509_STORE_CTX_set_error(x, X509_V_ERR_APPLICATION_VERIFICATION);
    else if (v == TLS_VERDICT_OK)
        X509_STORE_CTX_set_error(x, X509_V_OK);
    return v;
}

/* ---- building ---- */

static int add_domains(struct tls_trust *t, const struct tls_validation *v, bool is_server,
                       struct error *err)
{
    t->domains = mem_zalloc(v->domains_n * sizeof(*t->domains));
    for (size_t i = 0; i < v->domains_n; i++) {
        struct tls_domain_store *d = &t->domains[t->domains_n++];
        d->name = v->domains[i].name;
        d->store = X509_STORE_new();
        if (!d->store || tls_read_store(v->domains[i].bundle, d->store, "trust_bundle", err))
            return -ERR_INVALID;
        X509_STORE_set_flags(d->store, X509_V_FLAG_PARTIAL_CHAIN |
                                           (v->allow_expired ? X509_V_FLAG_NO_CHECK_TIME : 0));
        X509_STORE_set_purpose(d->store,
                               is_server ? X509_PURPOSE_SSL_CLIENT : X509_PURPOSE_SSL_SERVER);
    }
    return 0;
}

/* The later context's trust replaces the first one's, as merging messages does. */
static int fill_store(struct tls_trust *t, X509_STORE *store, struct error *err)
{
    struct str ca = STR(""), crl = STR("");
    bool is_system = false, is_leaf_only = false, allow_expired = false;
    int depth = -1;
    for (size_t i = 0; i < t->parts_n; i++) {
        const struct tls_validation *v = t->parts[i];
        ca = v->trusted_ca.n ? v->trusted_ca : ca;
        crl = v->crl.n ? v->crl : crl;
        is_system |= v->uses_system_roots;
        is_leaf_only |= v->only_leaf_crl;
        allow_expired |= v->allow_expired;
        depth = v->max_depth >= 0 ? v->max_depth : depth;
        t->accept_untrusted |= v->accept_untrusted;
    }
    if (ca.n && tls_read_store(ca, store, "trusted_ca", err))
        return -ERR_INVALID;
    if (crl.n && tls_read_crls(crl, store, err))
        return -ERR_INVALID;
    t->has_ca = ca.n || is_system;
    if (is_system && !ca.n && !X509_STORE_set_default_paths(store))
        return error_set(err, ERR_INVALID, "system_root_certs: cannot be read");
    X509_VERIFY_PARAM *p = X509_STORE_get0_param(store);
    if (is_leaf_only)
        X509_VERIFY_PARAM_clear_flags(p, X509_V_FLAG_CRL_CHECK_ALL);
    X509_VERIFY_PARAM_set_flags(p, X509_V_FLAG_PARTIAL_CHAIN |
                                       (allow_expired ? X509_V_FLAG_NO_CHECK_TIME : 0));
    if (depth >= 0)
        X509_VERIFY_PARAM_set_depth(p, depth);
    return 0;
}

int tls_trust_init(struct tls_trust *t, SSL_CTX *ctx, const struct tls_sources *s, int *mode_r,
                   struct error *err)
{
    *t = (struct tls_trust){.matches_sni = s->matches_sni};
    for (size_t i = 0; i < s->validations_n; i++)
        t->parts[t->parts_n++] = s->validations[i];
    int rc = fill_store(t, SSL_CTX_get_cert_store(ctx), err);
    for (size_t i = 0; i < t->parts_n && !rc; i++)
        if (t->parts[i]->domains_n)
            rc = add_domains(t, t->parts[i], s->is_server, err);
    bool has_ca = t->has_ca || t->domains_n;
    if (!rc && !has_ca && (count(t, true) || t->matches_sni))
        rc = error_set(err, ERR_INVALID,
                       "SAN-based verification of peer certificates without trusted CA is insecure "
                       "and not allowed");
    if (rc)
        return rc;
    t->can_verify = has_ca || count(t, false);
    bool is_demanded = s->params->require_client_certificate || t->domains_n ||
                       ((count(t, true) || count(t, false)) && !t->accept_untrusted);
    bool is_asked = is_demanded || has_ca || t->accept_untrusted || count(t, false);
    *mode_r = !is_asked     ? SSL_VERIFY_NONE
              : is_demanded ? SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT
                            : SSL_VERIFY_PEER;
    return 0;
}

void tls_trust_fini(struct tls_trust *t)
{
    for (size_t i = 0; i < t->domains_n; i++)
        X509_STORE_free(t->domains[i].store);
    mem_free(t->domains);
}
