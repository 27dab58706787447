#include "base/mem.h"
#include "net/tls_private.h"

/* Source: RFC 8446, section 4.2.3; Envoy's statistics have these names, whatever the version. */
const char *tls_peer_sigalg(SSL *ssl)
{
    static const struct {
        int type, hash;
        const char *name;
    } rows[] = {
        {EVP_PKEY_EC, NID_sha256, "ecdsa_secp256r1_sha256"},
        {EVP_PKEY_EC, NID_sha384, "ecdsa_secp384r1_sha384"},
        {EVP_PKEY_EC, NID_sha512, "ecdsa_secp521r1_sha512"},
        {EVP_PKEY_EC, NID_sha1, "ecdsa_sha1"},
        {EVP_PKEY_RSA_PSS, NID_sha256, "rsa_pss_rsae_sha256"},
        {EVP_PKEY_RSA_PSS, NID_sha384, "rsa_pss_rsae_sha384"},
        {EVP_PKEY_RSA_PSS, NID_sha512, "rsa_pss_rsae_sha512"},
        {EVP_PKEY_RSA, NID_sha256, "rsa_pkcs1_sha256"},
        {EVP_PKEY_RSA, NID_sha384, "rsa_pkcs1_sha384"},
        {EVP_PKEY_RSA, NID_sha512, "rsa_pkcs1_sha512"},
        {EVP_PKEY_RSA, NID_sha1, "rsa_pkcs1_sha1"},
        {EVP_PKEY_ED25519, NID_undef, "ed25519"},
        {EVP_PKEY_ED448, NID_undef, "ed448"},
    };
    int type, hash = NID_undef;
    if (!SSL_get_peer_signature_type_nid(ssl, &type) || type == NID_undef)
        return NULL;
    SSL_get_peer_signature_nid(ssl, &hash);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (rows[i].type == type && (rows[i].hash == hash || rows[i].hash == NID_undef))
            return rows[i].name;
    return OBJ_nid2sn(type);
}
