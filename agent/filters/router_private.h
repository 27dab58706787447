/* State of the router in one stream, shared by router.c and router_reply.c. [worker] */
#ifndef FILTERS_ROUTER_PRIVATE_H
#define FILTERS_ROUTER_PRIVATE_H

#include "base/stat.h"
#include "http/route_match.h"
#include "http/stream.h"
#include "upstream/upstream.h"

#define ROUTER_STAT_MAP(X)                        \
    X(no_cluster)                                 \
    X(no_route)                                   \
    X(rq_direct_response)                         \
    X(rq_reset_after_downstream_response_started) \
    X(rq_total)

/* Per worker and use of the router; the prefix is known with the first stream. */
struct router_worker {
    struct filter_env *env;
    bool has_stats;
#define X(name) stat_id name;
    ROUTER_STAT_MAP(X)
#undef X
};

struct router_stream {
    struct stream *s;
    struct router_worker *worker;
    const struct conf_route_config *config; /* held by the stream's snapshot or its listener */
    struct route_choice choice;
    struct upstream_request up;
    struct loop_timer timer; /* the route's timeout, from the end of the request */
    struct buf body;         /* of the request, while there is no connection yet */
    uint32_t timeout_ms;     /* 0: none */
    bool is_active;          /* up was started and not finished */
    bool req_end, has_trailers;
    bool is_read_disabled; /* by us, of the request */
    bool resp_started;
};

/* ---- router_headers.c ---- */
/* x-envoy-upstream-rq-timeout-ms (taken away) or the route's timeout; says it upstream. */
void router_set_timeout(struct router_stream *r, struct headers *h);
/* The route's, virtual host's and configuration's changes, and its rewrites. */
void router_change_request(struct router_stream *r, struct headers *h);
void router_change_response(struct router_stream *r, struct headers *h);

/* ---- router_reply.c: each ends the router's work on the stream ---- */
void router_reply_no_route(struct router_stream *r, const char *details);
void router_reply_direct(struct router_stream *r);
void router_reply_no_cluster(struct router_stream *r);
void router_reply_no_host(struct router_stream *r, struct upstream_cluster *c);
void router_reply_timeout(struct router_stream *r);
void router_reply_reset(struct router_stream *r, enum upstream_reset why, const char *failure);

/* Gives up the upstream request, if there is one. */
void router_finish_upstream(struct router_stream *r);

#endif
