/* A TLS transport socket: DownstreamTlsContext or UpstreamTlsContext. Immutable, shared; what runs
 * of it is net/tls_ctx.h, made per worker by conf/tls_slot.h. */
#ifndef CONF_TLS_H
#define CONF_TLS_H

#include "conf/secret.h"

/* upstream_proxy_protocol: connections begin with a header that tells whom they are for. */
struct conf_proxy_out {
    unsigned version;
    uint8_t
        passes[32]; /* a bit for each type of TLV that is passed on as the client's proxy sent it */
    struct str added; /* TLVs, in wire form */
};

struct conf_tls {
    struct conf_object object;
    bool is_plain;                          /* no TLS at all: only proxy_out */
    const struct conf_proxy_out *proxy_out; /* NULL: no header */
    bool is_server;
    struct tls_params params;
    struct conf_secret_ref *certificates; /* at most TLS_CERTIFICATES_MAX */
    size_t certificates_n;
    /* validation_context or default_validation_context, then the one by SDS; merged. */
    struct conf_secret_ref validations[2];
    size_t validations_n;
    struct conf_secret_ref ticket_keys;
    bool has_ticket_keys;
    /* clients */
    const char *sni;              /* "" none */
    bool auto_host_sni;           /* the host's name, where it has one */
    bool auto_sni_san_validation; /* the certificate has to be for the SNI that was sent */
};

/* An empty one; secrets set in it are its references. */
struct conf_tls *conf_tls_create(bool is_server);
/* Calls fn for each secret that is not inline: what a listener or a cluster with this transport
 * waits for and subscribes to. NULL tls: none. */
void conf_tls_each_secret(const struct conf_tls *tls,
                          void (*fn)(const struct conf_secret_ref *ref, void *arg), void *arg);
struct snapshot;
/* The secret of a reference: the inline one, or what the snapshot has; NULL: not there, or of
 * another kind. */
struct conf_secret *conf_secret_find(const struct conf_secret_ref *ref, const struct snapshot *s);
/* For those who check no more of a server than who signed it (downloads of modules): trusted_ca,
 * empty for none. False: more is asked for, or a secret is missing. */
bool conf_tls_trusted_ca(const struct conf_tls *tls, const struct snapshot *s, struct str *ca_r);

#endif
