/* Upstreams: clusters, hosts, load balancing and pools as one worker sees them. Nothing here is
 * shared between workers. [worker], also used by the service thread and by main for fetches that
 * name a cluster.
 *
 * A request takes: upstreams_find (cluster of the stream's snapshot) -> upstream_pick (host) ->
 * upstream_request_start (pooled HTTP connection) or upstream_connect (TCP).
 * Source: envoy.config.cluster.v3, Envoy's conn_pool; stats under cluster.NAME. as Envoy names
 * them. */
#ifndef UPSTREAM_UPSTREAM_H
#define UPSTREAM_UPSTREAM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/list.h"
#include "conf/snapshot.h"
#include "http/header_case.h"
#include "http/headers.h"
#include "net/conn.h"
#include "net/loop.h"

struct upstreams;
struct upstream_cluster;
struct upstream_host;

int upstreams_create(struct loop *loop, struct upstreams **u_r, struct error *err);
void upstreams_destroy(struct upstreams **u);
struct loop *upstreams_loop(const struct upstreams *u);
/* A new snapshot is in force: clusters that vanished are drained, changed ones updated. */
void upstreams_publish(struct upstreams *u, struct snapshot *s);

/* Runtime of a cluster as snapshot s has it; NULL when s does not name it. Made at first use. */
struct upstream_cluster *upstreams_find(struct upstreams *u, struct snapshot *s, struct str name);
/* Of the newest version; do not keep it across loop turns. */
const struct conf_cluster *upstream_cluster_conf(const struct upstream_cluster *c);

struct lb_context {
    const struct addr *original_dst; /* restored destination, or NULL */
    struct str original_dst_header;  /* x-envoy-original-dst-host value, or p NULL */
    bool has_hash;
    uint64_t hash;
};

/* Chooses a host and takes a reference; NULL: no healthy host. */
struct upstream_host *upstream_pick(struct upstream_cluster *c, const struct lb_context *ctx);
struct upstream_host *upstream_host_ref(struct upstream_host *h);
void upstream_host_unref(struct upstream_host *h);
const struct addr *upstream_host_addr(const struct upstream_host *h);
const char *upstream_host_name(const struct upstream_host *h); /* "": it has only an address */

/* ---- HTTP ---- */
enum upstream_reset {
    UPSTREAM_RESET_CONNECT_FAILED,  /* "remote connection failure" */
    UPSTREAM_RESET_CONNECT_TIMEOUT, /* "connection timeout" */
    UPSTREAM_RESET_TERMINATED,      /* "connection termination" */
    UPSTREAM_RESET_OVERFLOW,        /* "overflow" */
    UPSTREAM_RESET_PROTOCOL,        /* "protocol error" */
    UPSTREAM_RESET_LOCAL,           /* "local reset" */
    UPSTREAM_RESET_LOCAL_REFUSED,   /* "local refused stream reset" */
    UPSTREAM_RESET_REMOTE,          /* "remote reset" */
    UPSTREAM_RESET_REMOTE_REFUSED,  /* "remote refused stream reset" */
    UPSTREAM_RESET_CONNECT,         /* "remote error with CONNECT request" */
};
const char *upstream_reset_text(enum upstream_reset r); /* Envoy's words, with blanks */
uint32_t upstream_reset_flag(enum upstream_reset r);    /* FLAG_x of http/stream.h */

struct upstream_request;

struct upstream_request_ops {
    /* A connection is there: send now. `local` of the connection is known. */
    void (*on_ready)(struct upstream_request *r);
    void (*on_1xx)(struct upstream_request *r, unsigned status);
    /* r->headers holds the response head; the callee may swap it out. */
    void (*on_headers)(struct upstream_request *r, bool end);
    void (*on_body)(struct upstream_request *r, struct buf *data, bool end); /* takes all */
    void (*on_trailers)(struct upstream_request *r);                         /* in r->trailers */
    /* The exchange failed; nothing follows. failure: transport text or "". */
    void (*on_reset)(struct upstream_request *r, enum upstream_reset why, const char *failure);
    /* Above or below the write buffer's mark. */
    void (*on_water)(struct upstream_request *r, bool is_high);
};

enum upstream_request_state { /* private to the pool */
                              UPSTREAM_REQUEST_NONE,
                              UPSTREAM_REQUEST_PENDING, /* waits for a connection */
                              UPSTREAM_REQUEST_FAILED,  /* refused; on_reset comes from the loop */
                              UPSTREAM_REQUEST_ACTIVE,  /* has a connection */
                              UPSTREAM_REQUEST_ENDED,   /* was reset */
};

struct client;
struct pool;

/* Embedded by the router (and by callouts). Zero it, set ops, start. */
struct upstream_request {
    const struct upstream_request_ops *ops;
    struct headers headers, trailers; /* of the response */
    struct header_case names;         /* how it wrote them; the callee may swap it out, too */
    /* Set before the start, or NULL: how the request's names were written. Lives until the end. */
    const struct header_case *request_names;
    struct upstream_cluster *cluster; /* lives as long as host */
    struct upstream_host *host;       /* own reference */
    const struct addr *local;         /* of the connection, once ready */
    enum conf_priority priority;      /* set before the start; default otherwise */
    /* Set before the start by upstream_request_name; a view that is used during the start only. */
    struct str server_name;
    /* Set before the start, NULL otherwise: what connections offer by ALPN. */
    const struct conf_alpn *alpn;
    bool is_from_http2; /* set before the start: for clusters that speak as the client does */
    /* Set before the start, p NULL otherwise: what the request asks the connection to become
     * ("websocket"), or "CONNECT" for that method. Heads are in HTTP/1's form, whatever the
     * upstream speaks: `upgrade` and `connection: upgrade` in the request, 101 with them in a
     * response that grants it (CONNECT: any 2xx). Bodies are raw bytes from there. */
    struct str upgrade;
    /* Set before the start, of a CONNECT request: it ends here. The host sees its bytes only, and
     * the answer is a 200 of our own. */
    bool is_raw;
    /* Set before the start, NULL otherwise: whose request it is, where upstreams may have to be
     * told. Lives until on_reset or the end. */
    const struct downstream_info *down;
    bool is_http2;         /* the connection's protocol, once ready */
    bool is_ready;         /* on_ready was called */
    bool is_done;          /* the response is complete */
    bool request_complete; /* its end was handed over */
    bool is_switched;      /* what `upgrade` asked for was granted */
    /* private to the pool */
    struct pool *pool; /* while it waits */
    struct client *client;
    void *codec_stream;
    struct list node;
    enum upstream_request_state state;
    enum upstream_reset pending_reset;
    const char *pending_failure;
    bool read_disabled;
    bool has_length; /* length_left is what content-length says of the body to come */
    uint64_t length_left;
    struct buf early; /* of the body, held back until an upgrade is granted */
    bool early_end, early_is_high;
};

/* auto_sni and auto_san_validation: the name that r's host has to answer to is that of the request
 * h. Requests of another name never share its connection. */
void upstream_request_name(struct upstream_request *r, const struct upstream_cluster *c,
                           const struct headers *h);
/* Asks for a connection to host (its reference passes to r). Callbacks come from the loop or, for
 * an idle pooled connection, from inside this call (on_ready). on_reset never from inside. */
void upstream_request_start(struct upstream_request *r, struct upstream_cluster *c,
                            struct upstream_host *host);
/* h: pseudo headers and fields as they shall go out; hop-by-hop and framing headers are made
 * here (content-length kept when present, else chunked when !end). */
void upstream_request_headers(struct upstream_request *r, const struct headers *h, bool end);
void upstream_request_body(struct upstream_request *r, struct buf *data, bool end);
void upstream_request_trailers(struct upstream_request *r, const struct headers *h);
/* Its connection and the protocol there, as stream_info's upstream_minor; once ready. */
const struct conn *upstream_request_conn(const struct upstream_request *r);
uint8_t upstream_request_minor(const struct upstream_request *r);
/* Stops or resumes reading of the response. */
void upstream_request_read_disable(struct upstream_request *r, bool disable);
/* Gives up (also frees what a finished one holds). Call exactly once at the end; the connection
 * goes back to the pool when both messages are complete, else it is closed. No callback follows. */
void upstream_request_finish(struct upstream_request *r);

/* What a request came to, for the cluster's (and, unless NULL, the host's) statistics: the status
 * that the caller of the upstream sees, be it the upstream's or a local one in its place. */
void upstream_count_status(struct upstream_cluster *c, struct upstream_host *h, unsigned status);
/* From the end of the request to the end of the response. */
void upstream_record_time(struct upstream_cluster *c, uint64_t time_ms);
/* The route's timeout struck while r was in progress. */
void upstream_count_timeout(struct upstream_cluster *c, struct upstream_host *h);

/* ---- retries ---- */
/* Counts a retry under way, against max_retries or the budget. False: no more of them now (and
 * counts that). The cluster has to be kept meanwhile, by a reference to a host. */
bool upstream_retry_begin(struct upstream_cluster *c, enum conf_priority priority);
void upstream_retry_end(struct upstream_cluster *c, enum conf_priority priority);

enum upstream_retry_event {
    UPSTREAM_RETRY_SUCCESS,
    UPSTREAM_RETRY_LIMIT_EXCEEDED,
    UPSTREAM_RETRY_EXPONENTIAL,
    UPSTREAM_RETRY_RATELIMITED,
    UPSTREAM_RETRY_ABANDONED, /* a request too big to be kept */
};
void upstream_count_retry(struct upstream_cluster *c, enum upstream_retry_event e);
/* A response that is not passed on because the request is tried again. */
void upstream_count_retried(struct upstream_cluster *c, struct upstream_host *h, unsigned status);
/* max_stream_duration of the cluster, 0 none; and one that was reached. */
uint32_t upstream_max_duration_ms(const struct upstream_cluster *c);
void upstream_count_max_duration(struct upstream_cluster *c);
void upstream_count_try_timeout(struct upstream_cluster *c, struct upstream_host *h, bool is_idle);

/* No host of c let a TCP session in. */
void upstream_count_attempts_exceeded(struct upstream_cluster *c);

/* ---- TCP ---- */
/* A connection of its own to host; ops are the caller's and the connection is the caller's to
 * close. Limits and stats of the cluster apply; on_connected or on_close follows
 * (CONN_CONNECT_FAILED also after connect_timeout). The host's reference passes to u, whose owner
 * gives it back by upstream_host_unref(u->host) once the connection is closed; u may be freed in
 * on_close. -ERR_LIMIT: overflow; u->host stays NULL. */
struct upstream_tcp {
    struct conn conn;
    struct upstream_cluster *cluster;
    struct upstream_host *host;
    struct loop_timer connect_timer;
    const struct downstream_info *down; /* set before: the session's, or NULL; lives as long */
    bool timed_out, is_connected;
    /* private */
    const struct conn_ops *user_ops;
    struct conn_ops ops; /* the user's, with connect and close going through tcp.c first */
    uint64_t start_us;
};
int upstream_connect(struct upstream_tcp *u, struct upstream_cluster *c, struct upstream_host *host,
                     const struct conn_ops *ops);

/* ---- for admin: /clusters ---- */
struct upstream_host_stats {
    uint64_t cx_active, cx_connect_fail, cx_total, rq_active, rq_error, rq_success, rq_timeout,
        rq_total, rq_pending_active;
};

struct upstream_host_view {
    const char *cluster; /* name */
    const struct addr *addr;
    const char *hostname;
    enum conf_health health;
    uint32_t weight, priority;
    const struct upstream_host_stats *stats;
};

/* Every host this worker knows (of clusters that were used); views hold during the call. */
void upstreams_each_host(struct upstreams *u,
                         void (*fn)(const struct upstream_host_view *h, void *arg), void *arg);

#endif
