/* State of the router in one stream, shared by the router_*.c. [worker]
 *
 *   routed -> attempt (has_up) -> response goes down
 *               ^        | failed, and its policy wants another try
 *               +- backoff                                            */
#ifndef FILTERS_ROUTER_PRIVATE_H
#define FILTERS_ROUTER_PRIVATE_H

#include "base/list.h"
#include "base/mem.h"
#include "base/stat.h"
#include "filters/router_retry.h"
#include "http/hcm.h"
#include "http/route_resolve.h"
#include "http/stream.h"
#include "upstream/callout.h"
#include "upstream/upstream.h"

#define ROUTER_STAT_MAP(X)                        \
    X(no_cluster)                                 \
    X(no_route)                                   \
    X(rq_direct_response)                         \
    X(rq_redirect)                                \
    X(rq_reset_after_downstream_response_started) \
    X(rq_total)

/* Per worker and use of the router; the prefix is known with the first stream. */
struct router_worker {
    struct filter_env *env;
    struct lb_random random; /* backoffs, mirrors */
    const struct conf_router *options;
    struct list shadows; /* struct router_shadow */
    unsigned shadows_n;
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
    struct upstream_cluster *cluster; /* while is_active; kept by host */
    struct upstream_host *host;       /* of the newest attempt; own reference */
    struct upstream_request up;
    struct str server_name; /* that hosts have to answer to; n 0: the configuration's */
    struct retry_state retry;
    struct upstream_host **tried; /* previous_hosts: own references, the last few */
    unsigned tried_n;
    struct loop_timer timer;          /* the route's timeout, from the end of the request */
    struct loop_timer duration_timer; /* of the stream, from its begin to its end */
    struct loop_timer try_timer, try_idle_timer, backoff_timer;
    struct loop_timer up_timer; /* the cluster's max_stream_duration, from the connection on */
    struct buf body; /* of the request: what waits for a connection; all of it while is_kept */
    const struct conf_mirrors *mirrors; /* that still want the request, or NULL */
    struct headers *shadow_head;
    struct buf shadow_body;
    unsigned timeout_status;
    uint32_t timeout_ms, try_timeout_ms, try_idle_ms; /* 0: none */
    bool says_grpc_timeout;
    bool is_active;            /* routed, and the response is not complete */
    bool has_up;               /* up was started and not finished */
    bool is_kept;              /* for a further attempt */
    bool holds_retry;          /* the cluster counts a retry for us */
    bool is_after_try_timeout; /* the newest attempt */
    bool req_end, has_trailers;
    bool is_read_disabled; /* by us, of the request */
    bool resp_started;
};

/* ---- router_timeout.c ---- */
/* The request's timeouts: of its headers (taken away), or of the route. */
void router_set_timeouts(struct router_stream *r, struct headers *h);
/* Tells the upstream how long we shall wait. */
void router_say_timeout(struct router_stream *r, struct headers *h);

/* max_stream_duration of the connection manager, then of the route. */
void router_init_duration(struct router_stream *r);
void router_start_duration(struct router_stream *r, struct headers *h);
enum { GRPC_DEADLINE_EXCEEDED = 4 };

/* ---- router_strict.c ---- */
/* The headers of strict_check_headers; false: the request was answered. */
bool router_check_strict(struct router_stream *r, const struct headers *h);

/* ---- router_shadow.c ---- */
/* Takes a copy of the head if the request is mirrored. */
void router_shadow_begin(struct router_stream *r, const struct headers *h);
void router_shadow_body(struct router_stream *r, const struct buf *data);
/* The request is complete. */
void router_shadow_send(struct router_stream *r);
void router_shadow_drop(struct router_stream *r);
void router_shadow_cancel_all(struct router_worker *w);

/* ---- router_attempt.c ---- */
/* Sends the request to host, whose reference passes. */
void router_start(struct router_stream *r, struct upstream_cluster *c, struct upstream_host *host);
/* How much of a request's body is kept for a retry or a mirror. */
uint64_t router_kept_max(const struct router_stream *r);
enum filter_status router_take_body(struct router_stream *r, struct buf *data, bool end);
void router_take_trailers(struct router_stream *r, const struct headers *h);
/* No further attempt: what was kept for it is dropped. */
void router_end_retries(struct router_stream *r);
/* Ends the router's work on the stream, also when there is none. */
void router_finish_upstream(struct router_stream *r);

/* ---- router.c ---- */
struct upstream_host *router_choose_host(struct router_stream *r, struct upstream_cluster *c);

/* ---- router_headers.c ---- */
void router_set_number(struct headers *h, struct str name, uint64_t v);
/* The route's, virtual host's and configuration's changes, and its rewrites. */
void router_change_request(struct router_stream *r, struct headers *h);
void router_change_response(struct router_stream *r, struct headers *h);

/* ---- router_rewrite.c ---- */
void router_rewrite_path(struct router_stream *r, struct headers *h);
void router_rewrite_host(struct router_stream *r, struct headers *h);
/* auto_host_rewrite, once the host is known. */
void router_rewrite_auto_host(struct router_stream *r, struct headers *h,
                              const struct upstream_host *host);
/* Where the route's redirect, or one to https, points to. */
struct str router_redirect_uri(struct router_stream *r, const struct headers *h);
struct str router_https_uri(struct router_stream *r, const struct headers *h);

/* ---- router_reply.c: each ends the router's work on the stream ---- */
void router_reply_no_route(struct router_stream *r, const char *details);
void router_reply_direct(struct router_stream *r, const struct headers *h);
void router_reply_redirect(struct router_stream *r, unsigned status, struct str uri);
void router_reply_no_cluster(struct router_stream *r);
void router_reply_no_host(struct router_stream *r, struct upstream_cluster *c);
void router_reply_max_duration(struct router_stream *r); /* the cluster's, for a stream */
void router_reply_timeout(struct router_stream *r, uint32_t flag, const char *details);
void router_reply_overrun(struct router_stream *r);
void router_reply_reset(struct router_stream *r, enum upstream_reset why, const char *failure);

static inline const struct conf_router *router_options(const struct router_stream *r)
{
    return r->worker->options;
}

#endif
