/* The bootstrap: envoy.config.bootstrap.v3 from a YAML, JSON or binary file and --config-yaml
 * merged over it, decoded into what the server starts from. [main]
 * Errors read "error initializing configuration 'PATH': PATH.OF.FIELD: reason". */
#ifndef XDS_BOOTSTRAP_H
#define XDS_BOOTSTRAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "conf/cluster.h"
#include "conf/listener.h"
#include "conf/overload.h"
#include "net/addr.h"

/* How to reach a management server (ApiConfigSource). */
enum bootstrap_api { BOOTSTRAP_API_NONE, BOOTSTRAP_API_GRPC, BOOTSTRAP_API_REST };

struct bootstrap_metadata {
    const char *key, *value;
};

struct bootstrap_server {
    enum bootstrap_api api;
    bool is_delta;
    bool node_on_first_only;             /* set_node_on_first_message_only */
    const char *cluster;                 /* name of a static cluster that is not EDS */
    const char *target;                  /* gRPC target of its first endpoint: "10.0.0.1:15010",
                                            "dns:///istiod:15010", "unix:/path" */
    const char *authority;               /* NULL: the target's */
    uint64_t message_max;                /* bytes; 0: default */
    struct bootstrap_metadata *metadata; /* initial metadata, keys in lower case */
    size_t metadata_n;
    uint32_t refresh_delay_ms, request_timeout_ms; /* REST */
};

/* Where resources of one type come from (ConfigSource). */
enum bootstrap_source_kind { BOOTSTRAP_SOURCE_NONE, BOOTSTRAP_SOURCE_ADS, BOOTSTRAP_SOURCE_OWN };

struct bootstrap_source {
    enum bootstrap_source_kind kind;
    struct bootstrap_server server;    /* BOOTSTRAP_SOURCE_OWN: an api_config_source of its own */
    uint32_t initial_fetch_timeout_ms; /* default 15000; 0 waits for ever */
};

/* A static resource with its serialized message, for /config_dump. */
struct bootstrap_listener {
    struct conf_listener *listener; /* owned reference */
    struct str bytes;
};
struct bootstrap_cluster {
    struct conf_cluster *cluster; /* owned reference */
    struct str bytes;
};

struct bootstrap {
    struct arena arena;
    struct str bytes; /* the whole Bootstrap, serialized */

    struct str node; /* envoy.config.core.v3.Node, serialized, with our user agent */
    const char *node_id, *node_cluster;
    const char *region, *zone, *sub_zone;
    struct str node_metadata; /* google.protobuf.Struct, serialized */

    struct addr admin_address; /* len 0: no admin */
    struct conf_access_log *admin_access_logs;
    size_t admin_access_logs_n;

    struct conf_overload overload;

    struct bootstrap_listener *listeners;
    size_t listeners_n;
    struct bootstrap_cluster *clusters;
    size_t clusters_n;

    struct bootstrap_server ads; /* api BOOTSTRAP_API_NONE: none */
    struct bootstrap_source lds, cds;
    uint32_t stats_flush_interval_ms; /* default 5000 */
};

struct bootstrap_options {
    const char *config_path, *config_yaml; /* "" or NULL when absent; not both */
    bool allow_unknown_static_fields;
    /* Override the node's; "" or NULL when absent. */
    const char *service_node, *service_cluster, *service_zone;
};

int bootstrap_load(const struct bootstrap_options *o, struct bootstrap **b_r, struct error *err);
void bootstrap_destroy(struct bootstrap **b);

#endif
