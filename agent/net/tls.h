/* What TLS is told: plain structs that configuration fills and tls_ctx.h reads. All texts belong to
 * whoever made the struct and stay until the last context made of it is gone. Sources: the
 * messages of envoy.extensions.transport_sockets.tls.v3 named at each. [any] */
#ifndef NET_TLS_H
#define NET_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

enum { TLS_CERTIFICATES_MAX = 8, TLS_HASH_SIZE = 32, TLS_TICKET_KEY_SIZE = 80 };

/* TlsCertificate. PEM, but for ocsp_staple: an OCSP response in DER; empty: none. */
struct tls_certificate {
    struct str chain, key, password, ocsp_staple;
    const char *path; /* of the chain; "<inline>" */
};

enum tls_san_type { TLS_SAN_EMAIL, TLS_SAN_DNS, TLS_SAN_URI, TLS_SAN_IP, TLS_SAN_OTHER };

/* SubjectAltNameMatcher */
struct tls_san_match {
    enum tls_san_type type;
    const char *oid;  /* TLS_SAN_OTHER: dotted */
    struct str exact; /* p not NULL: an exact matcher without ignore_case. For DNS names a wildcard
                         of the certificate may stand for its first label. */
    bool (*matches)(const void *matcher, struct str value);
    const void *matcher;
};

/* A trust domain and who signs in it (SPIFFECertValidatorConfig). */
struct tls_trust_domain {
    struct str name;
    struct str bundle; /* PEM */
};

/* CertificateValidationContext */
struct tls_validation {
    struct str trusted_ca, crl; /* PEM; empty: none */
    const char *path;           /* of trusted_ca; "<inline>" */
    struct tls_san_match *sans; /* one has to match, if there are any */
    size_t sans_n;
    uint8_t (*hashes)[TLS_HASH_SIZE], (*spkis)[TLS_HASH_SIZE]; /* one of both lists has to */
    size_t hashes_n, spkis_n;
    struct tls_trust_domain *domains; /* instead of trusted_ca */
    size_t domains_n;
    bool uses_system_roots, allow_expired, accept_untrusted, only_leaf_crl;
    int max_depth; /* -1: the library's */
};

/* TlsSessionTicketKeys: the first one encrypts. */
struct tls_ticket_keys {
    uint8_t (*keys)[TLS_TICKET_KEY_SIZE];
    size_t n;
};

/* OcspStaplePolicy: what becomes of a client that asks for a response when there is no valid one.
 */
enum tls_staple_policy {
    TLS_STAPLE_LENIENT, /* nothing is stapled */
    TLS_STAPLE_STRICT,  /* refused if there is an expired one */
    TLS_STAPLE_MUST,    /* refused */
};

enum tls_version { TLS_1_0 = 0x0301, TLS_1_1, TLS_1_2, TLS_1_3 };

/* TlsParameters and the flags of both contexts. */
struct tls_params {
    uint16_t version_min, version_max;
    const char *ciphers, *curves, *sigalgs; /* as OpenSSL writes lists; NULL: the default */
    struct str alpn;                        /* as on the wire; empty: none */
    /* servers */
    bool require_client_certificate, require_sni;
    enum tls_staple_policy staple_policy;
    bool no_tickets, no_session_ids;
    uint32_t session_timeout_s;
    uint8_t ticket_key[TLS_TICKET_KEY_SIZE]; /* when no keys are configured: one of our own, the
                                                same for all workers */
    /* clients */
    bool no_sessions;
};

#endif
