/* The client side of the xDS transport protocol: one stream, aggregated (ADS) or for one type,
 * state of the world or incremental, over gRPC. It keeps subscriptions, versions and nonces,
 * reconnects with jittered backoff, and hands responses to the receiver, which answers each of
 * them.
 *
 * [main]; gRPC's threads are hidden in xds/grpc.c. Source: xds_protocol;
 * envoy.service.discovery.v3. Rules kept here: every response is answered once, bare (subscription
 * changes go alone); nonces are per type and stream; first messages of a new stream carry the held
 * versions (delta: also empty ones); a type that this stream has not delivered is never answered;
 * identical bytes that come again after a NACK are answered after 0.5-5 s; nothing is dropped while
 * disconnected. */
#ifndef XDS_ADS_H
#define XDS_ADS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "net/loop.h"
#include "xds/server.h"

#define XDS_TYPE_MAP(X)                                                            \
    X(CDS, "type.googleapis.com/envoy.config.cluster.v3.Cluster")                  \
    X(EDS, "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment")   \
    X(LDS, "type.googleapis.com/envoy.config.listener.v3.Listener")                \
    X(RDS, "type.googleapis.com/envoy.config.route.v3.RouteConfiguration")         \
    X(ECDS, "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig")       \
    X(SDS, "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret") \
    X(RTDS, "type.googleapis.com/envoy.service.runtime.v3.Runtime")                \
    X(SRDS, "type.googleapis.com/envoy.config.route.v3.ScopedRouteConfiguration")  \
    X(VHDS, "type.googleapis.com/envoy.config.route.v3.VirtualHost")

enum xds_type {
#define X(name, url) XDS_##name,
    XDS_TYPE_MAP(X)
#undef X
        XDS_TYPE_COUNT
};

const char *xds_type_url(enum xds_type t);
/* Whether the type can be asked for by a stream of its own. */
bool ads_has_method(enum xds_type t, bool is_delta);

struct xds_resource {
    const char *name;
    const char *version; /* delta: the resource's; SotW: the response's; may be "" */
    struct str value;    /* serialized resource (Any.value), validated only as bytes */
    uint32_t ttl_ms;     /* 0: it stays until it is removed */
};

/* A response, valid during on_update. */
struct xds_update {
    enum xds_type type;
    bool is_delta;
    /* SotW LDS and CDS: what is not listed is gone. Otherwise only `removed` is. */
    bool is_complete;
    const char *version;
    const struct xds_resource *resources;
    size_t resources_n;
    const char *const *removed; /* delta */
    size_t removed_n;
    /* Heartbeats: the receiver keeps what it has of this name, if it has this version, for another
     * ttl_ms (0: from now on without end). No value. */
    const struct xds_resource *heartbeats;
    size_t heartbeats_n;
    uint64_t ticket; /* for ads_answer; 0: nobody waits for one */
    unsigned source; /* ads_options.source */
};

struct ads_ops {
    /* Must lead to one ads_answer with the ticket, at once or later. Transport-level faults
     * (undecodable response, wrong type_url inside, duplicate names) are NACKed before this. */
    void (*on_update)(void *arg, const struct xds_update *u);
    /* The stream is up (the first response arrived, or the server has nothing new for us and the
     * connection stands) or lost; text: why. Not from inside ads_create or ads_destroy. */
    void (*on_connected)(void *arg, unsigned source, bool is_connected, const char *text);
    /* Sources that are no streams: it could not be read, or not fetched. */
    void (*on_failure)(void *arg, enum xds_type t, const char *text);
    void *arg;
};

struct ads_options {
    const struct xds_server *server; /* must outlive the stream */
    struct str node;                 /* serialized envoy.config.core.v3.Node */
    /* Of a server that is not aggregated: the only type asked for. */
    enum xds_type type;
    unsigned source; /* comes back with what it brings */
};

struct ads;

int ads_create(struct loop *loop, const struct ads_options *o, const struct ads_ops *ops,
               struct ads **a_r, struct error *err);
void ads_destroy(struct ads **a);

/* All resources of the type (LDS, CDS), or one by name (counted; unwant undoes one want). Changes
 * of one loop turn go out as one request. */
void ads_want_all(struct ads *a, enum xds_type t);
void ads_want(struct ads *a, enum xds_type t, const char *name);
void ads_unwant(struct ads *a, enum xds_type t, const char *name);

/* Answers a response: detail NULL is an ACK, else a NACK with it. A ticket of a stream that is gone
 * is ignored, except that an ACK still counts as held. */
void ads_answer(struct ads *a, uint64_t ticket, const char *detail);
/* What was ACKed turned out bad (or a pending module failed): NACKs the newest response of the
 * type on this stream with the ACKed version. Ignored when this stream has delivered none. */
void ads_nack_late(struct ads *a, enum xds_type t, const char *detail);
/* The receiver holds this resource (or no longer), with this version: for
 * initial_resource_versions. Called for each resource it accepted or dropped. */
void ads_set_held(struct ads *a, enum xds_type t, const char *name, const char *version);
void ads_drop_held(struct ads *a, enum xds_type t, const char *name);

#endif
