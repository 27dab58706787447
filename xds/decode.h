/* From protobuf to configuration: each function takes a resource as it was received, checks it
 * (limits, fields we refuse, values) and makes the immutable object that the proxy runs on. Errors
 * start with the path of the field: "filter_chains[2].filters[0].typed_config.rds: ...". [main]
 *
 * unknown hears of fields that no message declares; NULL refuses them (static configuration).
 * Object hashes are of the resource's bytes; a listener's leaves inline plugin configurations out,
 * those carry their own. Results hold one reference for the caller. */
#ifndef XDS_DECODE_H
#define XDS_DECODE_H

#include "conf/cluster.h"
#include "conf/listener.h"
#include "conf/plugin.h"
#include "conf/route.h"
#include "conf/secret.h"
#include "proto/pb.h"

/* envoy.config.listener.v3.Listener */
int decode_listener(struct str bytes, const struct pb_unknown *unknown,
                    struct conf_listener **listener_r, struct error *err);
/* envoy.config.cluster.v3.Cluster */
int decode_cluster(struct str bytes, const struct pb_unknown *unknown,
                   struct conf_cluster **cluster_r, struct error *err);
/* envoy.config.endpoint.v3.ClusterLoadAssignment */
int decode_endpoints(struct str bytes, const struct pb_unknown *unknown,
                     struct conf_endpoints **endpoints_r, struct error *err);
/* envoy.config.route.v3.RouteConfiguration */
int decode_route_config(struct str bytes, const struct pb_unknown *unknown,
                        struct conf_route_config **config_r, struct error *err);
/* The same, of a message whose last `added` virtual hosts were discovered. *culprit_r: which of
 * these (from 0) is at fault, and the error starts below it; `added`: something else is. */
int decode_merged_routes(struct str bytes, size_t added, const struct pb_unknown *unknown,
                         struct conf_route_config **config_r, size_t *culprit_r, struct error *err);
/* envoy.config.route.v3.VirtualHost, apart from what its route configuration says of it. */
int decode_check_virtual_host(struct str bytes, const struct pb_unknown *unknown,
                              struct error *err);
/* envoy.config.route.v3.ScopedRouteConfiguration */
int decode_scoped_route(struct str bytes, const struct pb_unknown *unknown,
                        struct conf_scope **scope_r, struct error *err);
/* envoy.extensions.transport_sockets.tls.v3.Secret, from static resources or SDS. Certificates and
 * keys were read and fit each other; the object's name is that of the resource. A user may ask for
 * another kind than has come: compare `kind` with that of the conf_secret_ref. Files named in it
 * are read now; `files` and `watched_directory` say what to watch for a change. */
int decode_secret(struct str bytes, const struct pb_unknown *unknown, struct conf_secret **secret_r,
                  struct error *err);
/* envoy.config.core.v3.TypedExtensionConfig holding a Wasm filter (ECDS). The slot is its name. */
int decode_extension(struct str bytes, const struct pb_unknown *unknown,
                     struct conf_plugin **plugin_r, struct error *err);

/* Checks access log formats; the formatter stands above this floor, so the server hands its
 * check down before anything is decoded. NULL: formats are not checked. */
typedef int decode_format_check_fn(const struct conf_format *format, struct error *err);
void decode_set_format_check(decode_format_check_fn *check);

#endif
