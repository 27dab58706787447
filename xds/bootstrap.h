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
#include "conf/string_match.h"
#include "conf/cluster.h"
#include "conf/listener.h"
#include "conf/secret.h"
#include "conf/overload.h"
#include "conf/source.h"
#include "conf/stats.h"
#include "net/addr.h"
#include "xds/server.h"

/* Where resources come from (ConfigSource). */
enum bootstrap_source_kind {
    BOOTSTRAP_SOURCE_NONE,
    BOOTSTRAP_SOURCE_ADS,
    BOOTSTRAP_SOURCE_OWN, /* an api_config_source of its own */
    BOOTSTRAP_SOURCE_FILE,
};

struct bootstrap_source {
    enum bootstrap_source_kind kind;
    struct conf_source conf;
    struct xds_server server;     /* BOOTSTRAP_SOURCE_OWN */
    const char *path, *directory; /* BOOTSTRAP_SOURCE_FILE; directory: watched_directory, or
                                     NULL */
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

/* A layer of layered_runtime. */
struct bootstrap_layer {
    const char *name;
    enum {
        BOOTSTRAP_LAYER_STATIC,
        BOOTSTRAP_LAYER_DISK,
        BOOTSTRAP_LAYER_ADMIN,
        BOOTSTRAP_LAYER_RTDS
    } kind;
    struct str values;       /* of the static one: a serialized Struct */
    const char *link, *path; /* of one on disk: what is replaced (symlink_root), and the folder */
    const char *rtds_name;   /* of one by RTDS: the resource */
    struct conf_source source;
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
    struct conf_string_match *admin_paths; /* allow_paths; with the query */
    size_t admin_paths_n;                  /* 0: all are allowed */

    struct conf_overload overload;

    struct bootstrap_listener *listeners;
    size_t listeners_n;
    struct bootstrap_cluster *clusters;
    size_t clusters_n;
    struct conf_secret **secrets; /* owned references */
    size_t secrets_n;

    struct xds_server ads; /* api XDS_API_NONE: none */
    struct bootstrap_source lds, cds;
    struct bootstrap_layer *layers;
    size_t layers_n;
    struct conf_stats stats;
};

struct bootstrap_options {
    const char *config_path, *config_yaml; /* "" or NULL when absent; not both */
    bool allow_unknown_static_fields;
    /* Override the node's; "" or NULL when absent. */
    const char *service_node, *service_cluster, *service_zone;
    const char *const *stats_tags; /* "name:value" */
    size_t stats_tags_n;
};

int bootstrap_load(const struct bootstrap_options *o, struct bootstrap **b_r, struct error *err);
void bootstrap_destroy(struct bootstrap **b);

/* Whether the secret that ref names, if it is a static one, is there, and of the kind asked for. */
int bootstrap_check_secret(const struct bootstrap *b, const struct conf_secret_ref *ref,
                           struct error *err);

/* What a source of kind CONF_FROM_OWN leads to; its parts live in the arena. */
int bootstrap_find_source(const struct bootstrap *b, const struct conf_source *conf,
                          struct arena *arena, struct bootstrap_source *s, struct error *err);

#endif
