/* Session tickets under keys that all workers (and, where keys are configured, other proxies)
 * share: 16 bytes of name, 32 for HMAC-SHA256, 32 for AES-256-CBC. */
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <string.h>

#include "net/tls_private.h"

enum { NAME = 16, SECRET = 32 };

static bool set_mac(EVP_MAC_CTX *mac, const uint8_t *key)
{
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, (void *)(key + NAME), SECRET),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };
    return EVP_MAC_CTX_set_params(mac, params) == 1;
}

/* 0: the ticket is of no key of ours; 2: a new one is due; -1: failure. */
static int use_key(SSL *ssl, unsigned char name[NAME], unsigned char *iv, EVP_CIPHER_CTX *cipher,
                   EVP_MAC_CTX *mac, int is_encrypting)
{
    const struct tls_ticket_keys *keys = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    const uint8_t *key = keys->keys[0];
    if (is_encrypting) {
        memcpy(name, key, NAME);
        if (RAND_bytes(iv, 16) != 1 ||
            !EVP_EncryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, key + NAME + SECRET, iv) ||
            !set_mac(mac, key))
            return -1;
        return 1;
    }
    for (size_t i = 0; i < keys->n; i++) {
        key = keys->keys[i];
        if (memcmp(name, key, NAME) != 0)
            continue;
        if (!set_mac(mac, key) ||
            !EVP_DecryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, key + NAME + SECRET, iv))
            return -1;
        /* Clients of 1.3 use a ticket once (RFC 8446 C.4): without a new one their next handshake
         * is a full one. */
        return i || SSL_version(ssl) == TLS1_3_VERSION ? 2 : 1;
    }
    return 0;
}

void tls_set_ticket_keys(SSL_CTX *ctx, const struct tls_ticket_keys *keys)
{
    SSL_CTX_set_app_data(ctx, (void *)keys);
    SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, use_key);
}
