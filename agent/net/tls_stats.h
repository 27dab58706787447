/* Statistics of the TLS of a listener or a cluster: PREFIX.ssl.NAME, under Envoy's names. Owned by
 * the slot and by each connection that counts. [worker] */
#ifndef NET_TLS_STATS_H
#define NET_TLS_STATS_H

#include "base/hash.h"
#include "base/stat.h"

#define TLS_STAT_MAP(X)      \
    X(connection_error)      \
    X(handshake)             \
    X(session_reused)        \
    X(no_certificate)        \
    X(fail_verify_no_cert)   \
    X(fail_verify_error)     \
    X(fail_verify_san)       \
    X(fail_verify_cert_hash) \
    X(ocsp_staple_failed)    \
    X(ocsp_staple_omitted)   \
    X(ocsp_staple_responses) \
    X(ocsp_staple_requests)

struct tls_stats {
    unsigned refs;
    char *prefix; /* "listener.0.0.0.0_80" */
#define X(name) stat_id name;
    TLS_STAT_MAP(X)
#undef X
    struct hash names; /* "ciphers.X" -> stat_id + 1 */
};

struct tls_stats *tls_stats_create(const char *prefix);
struct tls_stats *tls_stats_ref(struct tls_stats *s);
void tls_stats_unref(struct tls_stats *s);
/* Counts PREFIX.ssl.KIND.NAME; defined at its first use. */
void tls_stats_count_name(struct tls_stats *s, const char *kind, const char *name);

#endif
