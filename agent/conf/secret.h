/* Secrets (envoy.extensions.transport_sockets.tls.v3.Secret): certificates with their keys, whom to
 * trust, session ticket keys, and others. Immutable, shared; the arena is wiped before it is freed.
 * Never written to disk, never logged. */
#ifndef CONF_SECRET_H
#define CONF_SECRET_H

#include "conf/object.h"
#include "conf/source.h"
#include "net/tls.h"

enum conf_secret_kind {
    CONF_SECRET_CERTIFICATE,
    CONF_SECRET_VALIDATION,
    CONF_SECRET_TICKET_KEYS,
    CONF_SECRET_GENERIC,
};

struct regex;

struct conf_secret {
    struct conf_object object; /* name: the resource's; hash: of its bytes and its files' */
    enum conf_secret_kind kind;
    struct tls_certificate certificate; /* by kind */
    struct tls_validation validation;
    struct tls_ticket_keys ticket_keys;
    struct str generic;
    int64_t expires_s;      /* the first of its certificates, seconds since 1970; 0: none */
    struct regex **regexes; /* of the SAN matchers; owned */
    size_t regexes_n;
    /* Files it was read from, to be watched where the source of the secret asks for it. */
    const char *files[4], *watched_directory; /* NULL: none */
    size_t files_n;
};

/* An empty one. */
struct conf_secret *conf_secret_create(const char *name, enum conf_secret_kind kind);

enum conf_secret_source {
    CONF_SECRET_INLINE, /* `secret` of the reference */
    CONF_SECRET_STATIC, /* bootstrap's static_resources.secrets */
    CONF_SECRET_ADS,    /* the management server's stream */
    CONF_SECRET_API,    /* a stream of its own to `target`, a cluster */
    CONF_SECRET_PATH,   /* a file, `target`, with a DiscoveryResponse */
};

/* A use of a secret. SDS keeps what it received under `key` in the snapshot
 * (snapshot_set_secret); users look it up there for each new connection, so that a replaced secret
 * is used from then on, while connections that are there keep what they began with. */
struct conf_secret_ref {
    enum conf_secret_source source;
    const char *name;                  /* of the resource; "" inline */
    const char *key;                   /* of source and name; "" inline. Static ones: the name */
    struct conf_source from;           /* the same in full */
    const char *target;                /* see conf_secret_source; "" */
    const char *watched;               /* path_config_source.watched_directory; "" none */
    bool is_delta;                     /* CONF_SECRET_API: DELTA_GRPC */
    uint32_t initial_fetch_timeout_ms; /* 0: none */
    enum conf_secret_kind kind;        /* what has to come */
    struct conf_secret *secret;        /* inline; own reference */
};

#endif
