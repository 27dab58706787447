/* One buffered HTTP request to a cluster and its buffered response: what Proxy-Wasm's
 * proxy_http_call needs. [worker] or any thread that owns a struct upstreams.
 * Source: Envoy's Http::AsyncClient. */
#ifndef UPSTREAM_CALLOUT_H
#define UPSTREAM_CALLOUT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "conf/snapshot.h"
#include "http/headers.h"

struct upstreams;
struct callout;

struct callout_request {
    struct str cluster;
    const struct headers *headers;  /* with :method, :path, :authority (may be empty) */
    struct str body;                /* content-length is made when it is not empty */
    const struct headers *trailers; /* or NULL */
    uint32_t timeout_ms;            /* 0: none */
    uint64_t response_max;          /* bytes of response body; 0: 16 MiB */
    bool drops_response;            /* its body is not kept, however long it is */
};

struct callout_response {
    /* The response; or, when no answer came, the proxy's own in its place: 504 after the timeout,
     * 503 when connecting failed. n == 0 when the exchange broke (reset in mid-response, body over
     * the limit). Valid during the call. */
    struct headers headers, trailers;
    struct buf body;
};

/* Called once, from the loop, never from inside callout_start; the callout is gone afterwards. */
typedef void callout_fn(const struct callout_response *r, void *arg);

/* Copies what it needs of rq. *c_r is valid until `done` is called or callout_cancel.
 * -ERR_NOT_FOUND: no such cluster in s; -ERR_INVALID: a pseudo header is missing;
 * -ERR_CLOSED: no healthy host (`done` is never called). */
int callout_start(struct upstreams *u, struct snapshot *s, const struct callout_request *rq,
                  callout_fn *done, void *arg, struct callout **c_r);
/* No callback follows. Takes NULL, sets NULL. */
void callout_cancel(struct callout **c);

#endif
