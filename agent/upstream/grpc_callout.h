/* One gRPC call or stream to a cluster, message by message: what Proxy-Wasm's gRPC functions need.
 * [worker] or any thread that owns a struct upstreams.
 * Source: gRPC over HTTP/2; Envoy's Grpc::AsyncClient, also in what becomes which status. */
#ifndef UPSTREAM_GRPC_CALLOUT_H
#define UPSTREAM_GRPC_CALLOUT_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/snapshot.h"
#include "http/headers.h"

struct upstreams;
struct grpc_callout;

/* Called from the loop, never from inside of what asked for it; each may cancel the stream. */
struct grpc_callout_ops {
    void (*on_initial)(void *arg, const struct headers *metadata);
    void (*on_message)(void *arg, struct str message);
    void (*on_trailing)(void *arg, const struct headers *metadata);
    /* The last one; the stream is gone. message is decoded and ends with a NUL. */
    void (*on_close)(void *arg, unsigned status, const char *message);
};

struct grpc_callout_request {
    struct str cluster, service, method;
    struct str authority;           /* n 0: the cluster's name */
    const struct headers *metadata; /* sent along */
    uint32_t timeout_ms;            /* 0: none */
};

/* What may wait to be sent, and how long a message may be that comes. */
enum { GRPC_OUT_MAX = 16 << 20, GRPC_MESSAGE_MAX = 16 << 20 };

/* Copies what it needs. -ERR_NOT_FOUND: no such cluster in s; -ERR_CLOSED: no healthy host. */
int grpc_callout_start(struct upstreams *u, struct snapshot *s,
                       const struct grpc_callout_request *rq, const struct grpc_callout_ops *ops,
                       void *arg, struct grpc_callout **s_r);
/* False: too much waits already, or the end was sent. */
bool grpc_callout_send(struct grpc_callout *s, struct str message, bool end);
/* The end of what we send. */
void grpc_callout_end(struct grpc_callout *s);
/* No callback follows. Takes NULL, sets NULL. */
void grpc_callout_cancel(struct grpc_callout **s);

#endif
