/* A management server: how it is reached and spoken to (ApiConfigSource, with what its clusters
 * say). Plain data in the arena of who decoded it. */
#ifndef XDS_SERVER_H
#define XDS_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

/* PEM text: of a file, read whenever a connection is made anew, or inline; neither: none. */
struct xds_pem {
    const char *path; /* NULL: inline */
    struct str text;
};

struct xds_tls {
    struct xds_pem ca, cert, key;
    const char *name; /* SNI, and what the certificate must be for; NULL: the host of the target */
};

struct xds_metadatum {
    const char *key, *value; /* key in lower case */
};

/* One host of a server. */
struct xds_target {
    const char *cluster;
    const char *address;   /* gRPC target: "10.0.0.1:15010", "dns:///istiod:15010", "unix:/path" */
    const char *authority; /* NULL: the target's */
    uint64_t message_max;  /* bytes; 0: default */
    const struct xds_metadatum *metadata;
    size_t metadata_n;
    const struct xds_tls *tls; /* NULL: plaintext */
};

enum xds_api { XDS_API_NONE, XDS_API_GRPC, XDS_API_REST };

struct xds_server {
    enum xds_api api;
    bool is_delta;
    bool is_aggregated;         /* a stream for all types: ads_config */
    bool node_on_first_only;    /* set_node_on_first_message_only */
    struct xds_target *targets; /* in the order in which they are tried */
    size_t targets_n;
    uint32_t refresh_delay_ms, request_timeout_ms; /* REST */
};

#endif
