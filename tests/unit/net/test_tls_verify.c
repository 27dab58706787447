#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/mem.h"
#include "net/tls_private.h"

static bool is_same(const void *matcher, struct str value)
{
    return str_is(value, matcher);
}

static bool is_prefix(const void *matcher, struct str value)
{
    return str_starts(value, str_of(matcher));
}

/* ---- certificates ---- */

static EVP_PKEY *make_key(void)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    assert_non_null(key);
    return key;
}

static void add_san(GENERAL_NAMES *names, int type, const char *p, size_t n)
{
    GENERAL_NAME *g = GENERAL_NAME_new();
    ASN1_STRING *s = type == GEN_IPADD ? ASN1_OCTET_STRING_new() : ASN1_IA5STRING_new();
    ASN1_STRING_set(s, p, (int)n);
    GENERAL_NAME_set0_value(g, type, s);
    sk_GENERAL_NAME_push(names, g);
}

/* Signed by issuer (NULL: by itself), good from now - 100 s until now + days. */
static X509 *make_cert(const char *cn, EVP_PKEY *key, X509 *issuer, EVP_PKEY *issuer_key,
                       GENERAL_NAMES *names, long seconds)
{
    static long serial = 1;
    X509 *x = X509_new();
    X509_set_version(x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x), serial++);
    X509_gmtime_adj(X509_getm_notBefore(x), -100);
    X509_gmtime_adj(X509_getm_notAfter(x), seconds);
    X509_NAME *name = X509_get_subject_name(x);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)cn, -1, -1, 0);
    X509_set_issuer_name(x, issuer ? X509_get_subject_name(issuer) : name);
    X509_set_pubkey(x, key);
    if (names) {
        X509_add1_ext_i2d(x, NID_subject_alt_name, names, 0, 0);
        GENERAL_NAMES_free(names);
    }
    X509_EXTENSION *basic = X509V3_EXT_conf_nid(NULL, NULL, NID_basic_constraints,
                                                issuer ? "CA:FALSE" : "critical,CA:TRUE");
    X509_add_ext(x, basic, -1);
    X509_EXTENSION_free(basic);
    assert_true(X509_sign(x, issuer_key ? issuer_key : key, EVP_sha256()) > 0);
    return x;
}

static GENERAL_NAMES *one(int type, const char *p, size_t n)
{
    GENERAL_NAMES *names = GENERAL_NAMES_new();
    add_san(names, type, p, n);
    return names;
}

static struct str to_pem(X509 *x)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *p;
    PEM_write_bio_X509(bio, x);
    size_t n = (size_t)BIO_get_mem_data(bio, &p);
    struct str pem = {mem_dup(p, n), n};
    BIO_free(bio);
    return pem;
}

/* ---- names ---- */

static void test_dns(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *name;
        bool matches;
    } rows[] = {
        {"a.test", "a.test", true},
        {"a.test", "A.TEST", true},
        {"a.test", "b.test", false},
        {"*.a.test", "x.a.test", true},
        {"*.a.test", "x.y.a.test", false},
        {"*.a.test", "a.test", false},
        {"*.a.test", ".a.test", false},
        {"*.test", "a.test", true},
        {"x*.a.test", "xy.a.test", false},
        {"*", "a", false},
        {"*.", "a.", false},
        {"a.*.test", "a.b.test", false},
        {"", "", true},
        {"*.a.test", "*.a.test", true},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (tls_dns_match(str_of(rows[i].pattern), str_of(rows[i].name)) != rows[i].matches)
            fail_msg("%s %s", rows[i].pattern, rows[i].name);
}

#define SPIFFE "spiffe://a/ns/x/sa/y"

static void test_sans(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int type;
        const char *san;
        size_t n;
        struct tls_san_match match;
        bool matches;
    } rows[] = {
#define EXACT(text) .exact = {text, sizeof(text) - 1}, .matches = is_same, .matcher = text
        {"uri", GEN_URI, SPIFFE, 20, {TLS_SAN_URI, EXACT(SPIFFE)}, true},
        {"a longer uri", GEN_URI, SPIFFE "2", 21, {TLS_SAN_URI, EXACT(SPIFFE)}, false},
        {"another case", GEN_URI, "spiffe://A/ns/x/sa/y", 20, {TLS_SAN_URI, EXACT(SPIFFE)}, false},
        {"a uri as a name", GEN_DNS, SPIFFE, 20, {TLS_SAN_URI, EXACT(SPIFFE)}, false},
        {"a name as a uri", GEN_URI, "a.test", 6, {TLS_SAN_DNS, EXACT("a.test")}, false},
        {"a NUL behind", GEN_URI, SPIFFE "\0x", 22, {TLS_SAN_URI, EXACT(SPIFFE)}, false},
        {"a NUL in a name", GEN_DNS, "a.test\0.b", 9, {TLS_SAN_DNS, EXACT("a.test")}, false},
        {"a prefix",
         GEN_URI,
         SPIFFE,
         20,
         {TLS_SAN_URI, .matches = is_prefix, .matcher = "spiffe://a/"},
         true},
        {"no prefix",
         GEN_URI,
         SPIFFE,
         20,
         {TLS_SAN_URI, .matches = is_prefix, .matcher = "spiffe://b/"},
         false},
        {"a wildcard", GEN_DNS, "*.a.test", 8, {TLS_SAN_DNS, EXACT("x.a.test")}, true},
        {"a wildcard over two", GEN_DNS, "*.a.test", 8, {TLS_SAN_DNS, EXACT("x.y.a.test")}, false},
        {"a wildcard in a uri", GEN_URI, "*.a.test", 8, {TLS_SAN_URI, EXACT("x.a.test")}, false},
        {"address", GEN_IPADD, "\x7f\0\0\x01", 4, {TLS_SAN_IP, EXACT("127.0.0.1")}, true},
        {"half an address", GEN_IPADD, "\x7f\0\0", 3, {TLS_SAN_IP, EXACT("127.0.0.1")}, false},
        {"mail", GEN_EMAIL, "a@b", 3, {TLS_SAN_EMAIL, EXACT("a@b")}, true},
        {"empty", GEN_URI, "", 0, {TLS_SAN_URI, EXACT("")}, false},
    };
    EVP_PKEY *key = make_key();
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        X509 *x = make_cert("x", key, NULL, NULL, one(rows[i].type, rows[i].san, rows[i].n), 1000);
        if (tls_match_sans(x, &rows[i].match, 1) != rows[i].matches)
            fail_msg("%s", rows[i].name);
        X509_free(x);
    }
    /* No names at all, then one that fits behind one that does not. */
    X509 *x = make_cert("a.test", key, NULL, NULL, NULL, 1000);
    assert_false(tls_match_sans(x, &rows[0].match, 1));
    X509_free(x);
    GENERAL_NAMES *names = one(GEN_URI, "spiffe://b/c", 12);
    add_san(names, GEN_URI, SPIFFE, 20);
    x = make_cert("x", key, NULL, NULL, names, 1000);
    assert_true(tls_match_sans(x, &rows[0].match, 1));
    X509_free(x);
    EVP_PKEY_free(key);
}

/* ---- the verdict ---- */

struct world {
    EVP_PKEY *ca_key, *other_key, *key;
    X509 *ca, *other, *good, *expired, *strange, *revoked;
    struct str ca_pem, other_pem, crl_pem;
};

static struct str make_crl(struct world *w)
{
    X509_CRL *crl = X509_CRL_new();
    X509_REVOKED *r = X509_REVOKED_new();
    ASN1_TIME *now = X509_gmtime_adj(NULL, -50), *next = X509_gmtime_adj(NULL, 1000);
    BIO *bio = BIO_new(BIO_s_mem());
    char *p;
    X509_CRL_set_version(crl, 1);
    X509_CRL_set_issuer_name(crl, X509_get_subject_name(w->ca));
    X509_CRL_set1_lastUpdate(crl, now);
    X509_CRL_set1_nextUpdate(crl, next);
    X509_REVOKED_set_serialNumber(r, X509_get_serialNumber(w->revoked));
    X509_REVOKED_set_revocationDate(r, now);
    X509_CRL_add0_revoked(crl, r);
    assert_true(X509_CRL_sign(crl, w->ca_key, EVP_sha256()) > 0);
    PEM_write_bio_X509_CRL(bio, crl);
    size_t n = (size_t)BIO_get_mem_data(bio, &p);
    struct str pem = {mem_dup(p, n), n};
    BIO_free(bio);
    X509_CRL_free(crl);
    ASN1_TIME_free(now);
    ASN1_TIME_free(next);
    return pem;
}

static void make_world(struct world *w)
{
    w->ca_key = make_key();
    w->other_key = make_key();
    w->key = make_key();
    w->ca = make_cert("ca", w->ca_key, NULL, NULL, NULL, 1000);
    w->other = make_cert("other", w->other_key, NULL, NULL, NULL, 1000);
    w->good = make_cert("g", w->key, w->ca, w->ca_key, one(GEN_URI, SPIFFE, 20), 1000);
    w->expired = make_cert("e", w->key, w->ca, w->ca_key, one(GEN_URI, SPIFFE, 20), -10);
    w->strange = make_cert("s", w->key, w->other, w->other_key, one(GEN_URI, SPIFFE, 20), 1000);
    w->revoked = make_cert("r", w->key, w->ca, w->ca_key, one(GEN_URI, SPIFFE, 20), 1000);
    w->ca_pem = to_pem(w->ca);
    w->other_pem = to_pem(w->other);
    w->crl_pem = make_crl(w);
}

static void free_world(struct world *w)
{
    X509 *certs[] = {w->ca, w->other, w->good, w->expired, w->strange, w->revoked};
    EVP_PKEY *keys[] = {w->ca_key, w->other_key, w->key};
    struct str texts[] = {w->ca_pem, w->other_pem, w->crl_pem};
    for (size_t i = 0; i < ARRAY_LEN(certs); i++)
        X509_free(certs[i]);
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        EVP_PKEY_free(keys[i]);
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        mem_free((char *)texts[i].p);
}

static enum tls_verdict verdict(const struct tls_validation *v, X509 *cert, const char *own_name,
                                bool *is_verified)
{
    static const struct tls_params params;
    struct tls_sources s = {
        .is_server = true, .params = &params, .validations = {v}, .validations_n = 1};
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    X509_STORE_CTX *x = X509_STORE_CTX_new();
    struct tls_trust t;
    struct sbuf why = {0};
    int mode;
    assert_int_equal(tls_trust_init(&t, ctx, &s, &mode, NULL), 0);
    assert_true(X509_STORE_CTX_init(x, SSL_CTX_get_cert_store(ctx), cert, NULL));
    X509_STORE_CTX_set_default(x, "ssl_client");
    enum tls_verdict got = tls_trust_verify(&t, x, NULL, own_name, is_verified, &why);
    assert_int_equal(got == TLS_VERDICT_OK, X509_STORE_CTX_get_error(x) == X509_V_OK);
    assert_int_equal(got == TLS_VERDICT_OK, !why.n);
    sbuf_fini(&why);
    X509_STORE_CTX_free(x);
    tls_trust_fini(&t);
    SSL_CTX_free(ctx);
    return got;
}

static void test_verdicts(void **state)
{
    (void)state;
    struct world w;
    make_world(&w);
    struct tls_san_match good = {TLS_SAN_URI, EXACT(SPIFFE)}, bad = {TLS_SAN_URI, EXACT("x:y")};
    struct tls_trust_domain here = {STR("a"), w.ca_pem}, there = {STR("b"), w.ca_pem},
                            wrong = {STR("a"), w.other_pem};
    uint8_t hash[1][TLS_HASH_SIZE], zero[1][TLS_HASH_SIZE] = {{0}};
    unsigned n = TLS_HASH_SIZE;
    X509_digest(w.good, EVP_sha256(), hash[0], &n);
    const struct {
        const char *name;
        X509 *cert;
        struct tls_validation v;
        enum tls_verdict want;
        const char *own_name; /* that the connection asks for beside */
    } rows[] = {
        {"trusted", w.good, {.trusted_ca = w.ca_pem}, TLS_VERDICT_OK, NULL},
        {"another CA", w.good, {.trusted_ca = w.other_pem}, TLS_VERDICT_ERROR, NULL},
        {"of another CA", w.strange, {.trusted_ca = w.ca_pem}, TLS_VERDICT_ERROR, NULL},
        {"expired", w.expired, {.trusted_ca = w.ca_pem}, TLS_VERDICT_ERROR, NULL},
        {"expired allowed",
         w.expired,
         {.trusted_ca = w.ca_pem, .allow_expired = true},
         TLS_VERDICT_OK,
         NULL},
        {"revoked", w.revoked, {.trusted_ca = w.ca_pem, .crl = w.crl_pem}, TLS_VERDICT_ERROR, NULL},
        {"not revoked", w.good, {.trusted_ca = w.ca_pem, .crl = w.crl_pem}, TLS_VERDICT_OK, NULL},
        {"named",
         w.good,
         {.trusted_ca = w.ca_pem, .sans = &good, .sans_n = 1},
         TLS_VERDICT_OK,
         NULL},
        {"not named",
         w.good,
         {.trusted_ca = w.ca_pem, .sans = &bad, .sans_n = 1},
         TLS_VERDICT_SAN,
         NULL},
        {"own name", w.good, {.trusted_ca = w.ca_pem}, TLS_VERDICT_OK, SPIFFE},
        {"not the own name", w.good, {.trusted_ca = w.ca_pem}, TLS_VERDICT_SAN, "x:y"},
        {"the own name alone",
         w.good,
         {.trusted_ca = w.ca_pem, .sans = &bad, .sans_n = 1},
         TLS_VERDICT_SAN,
         SPIFFE},
        {"named by a stranger",
         w.strange,
         {.trusted_ca = w.ca_pem, .sans = &good, .sans_n = 1},
         TLS_VERDICT_ERROR,
         NULL},
        {"hash", w.good, {.hashes = hash, .hashes_n = 1}, TLS_VERDICT_OK, NULL},
        {"another hash", w.strange, {.hashes = hash, .hashes_n = 1}, TLS_VERDICT_HASH, NULL},
        {"no such key", w.good, {.spkis = zero, .spkis_n = 1}, TLS_VERDICT_HASH, NULL},
        {"hash beside the wrong name",
         w.good,
         {.trusted_ca = w.ca_pem, .hashes = hash, .hashes_n = 1, .sans = &bad, .sans_n = 1},
         TLS_VERDICT_SAN,
         NULL},
        {"hash of a stranger",
         w.strange,
         {.trusted_ca = w.ca_pem, .hashes = hash, .hashes_n = 1},
         TLS_VERDICT_ERROR,
         NULL},
        {"trust domain", w.good, {.domains = &here, .domains_n = 1}, TLS_VERDICT_OK, NULL},
        {"another trust domain",
         w.good,
         {.domains = &there, .domains_n = 1},
         TLS_VERDICT_ERROR,
         NULL},
        {"bundle of another", w.good, {.domains = &wrong, .domains_n = 1}, TLS_VERDICT_ERROR, NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct tls_validation v = rows[i].v;
        bool is_verified;
        v.max_depth = -1;
        enum tls_verdict got = verdict(&v, rows[i].cert, rows[i].own_name, &is_verified);
        if (got != rows[i].want || is_verified != (got == TLS_VERDICT_OK))
            fail_msg("%s: %d", rows[i].name, (int)got);
    }
    free_world(&w);
}

static void test_names_need_a_ca(void **state)
{
    (void)state;
    static const struct tls_params params;
    struct tls_san_match m = {TLS_SAN_URI, EXACT(SPIFFE)};
    struct tls_validation v = {.sans = &m, .sans_n = 1, .max_depth = -1};
    struct tls_sources s = {.params = &params, .validations = {&v}, .validations_n = 1};
    struct tls_context *ctx;
    struct error err;
    assert_int_equal(tls_context_create(&s, &ctx, &err), -ERR_INVALID);
    assert_non_null(strstr(err.text, "without trusted CA is insecure"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dns),
        cmocka_unit_test(test_sans),
        cmocka_unit_test(test_verdicts),
        cmocka_unit_test(test_names_need_a_ca),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
