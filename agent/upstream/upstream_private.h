/* What the files of upstream/ share: the objects behind upstream.h. [worker].
 *
 *   upstreams --(by name)--> upstream_cluster --(by address)--> upstream_host --> connections
 *
 * References: the table holds its clusters; a cluster's host list holds its hosts; a host holds
 * its cluster; connections, picked hosts and requests hold their host. So whatever runs keeps what
 * it stands on, also after the configuration dropped it. */
#ifndef UPSTREAM_UPSTREAM_PRIVATE_H
#define UPSTREAM_UPSTREAM_PRIVATE_H

#include "base/hash.h"
#include "base/stat.h"
#include "http/h1_parse.h"
#include "upstream/lb.h"
#include "conf/tls_slot.h"
#include "upstream/transport.h"
#include "upstream/upstream.h"

enum { UPSTREAM_PRIORITIES_MAX = 128 };

struct upstreams {
    struct loop *loop;
    struct snapshot *current; /* own reference; NULL before the first publish */
    struct hash clusters;     /* name -> struct upstream_cluster *, one reference each */
    struct list failed;       /* requests whose on_reset is due */
    struct loop_task fail_task;
    struct headers scratch; /* a request head that had to be changed before sending */
    bool is_destroyed;
};

#define CLUSTER_COUNTER_MAP(X)                     \
    X(bind_errors)                                 \
    X(retry_or_shadow_abandoned)                   \
    X(upstream_rq_per_try_timeout)                 \
    X(upstream_rq_per_try_idle_timeout)            \
    X(upstream_rq_retry)                           \
    X(upstream_rq_retry_backoff_exponential)       \
    X(upstream_rq_retry_backoff_ratelimited)       \
    X(upstream_rq_retry_limit_exceeded)            \
    X(upstream_rq_retry_overflow)                  \
    X(upstream_rq_retry_success)                   \
    X(lb_healthy_panic)                            \
    X(original_dst_host_invalid)                   \
    X(upstream_cx_connect_attempts_exceeded)       \
    X(upstream_cx_connect_fail)                    \
    X(upstream_cx_connect_timeout)                 \
    X(upstream_cx_destroy)                         \
    X(upstream_cx_destroy_local)                   \
    X(upstream_cx_destroy_local_with_active_rq)    \
    X(upstream_cx_destroy_remote)                  \
    X(upstream_cx_destroy_remote_with_active_rq)   \
    X(upstream_cx_destroy_with_active_rq)          \
    X(upstream_cx_http1_total)                     \
    X(upstream_cx_idle_timeout)                    \
    X(upstream_cx_max_requests)                    \
    X(upstream_cx_none_healthy)                    \
    X(upstream_cx_overflow)                        \
    X(upstream_cx_protocol_error)                  \
    X(upstream_cx_rx_bytes_total)                  \
    X(upstream_cx_total)                           \
    X(upstream_cx_tx_bytes_total)                  \
    X(upstream_flow_control_backed_up_total)       \
    X(upstream_flow_control_drained_total)         \
    X(upstream_flow_control_paused_reading_total)  \
    X(upstream_flow_control_resumed_reading_total) \
    X(upstream_rq_cancelled)                       \
    X(upstream_rq_completed)                       \
    X(upstream_rq_pending_failure_eject)           \
    X(upstream_rq_pending_overflow)                \
    X(upstream_rq_pending_total)                   \
    X(upstream_rq_timeout)                         \
    X(upstream_rq_total)                           \
    X(upstream_rq_tx_reset)

#define CLUSTER_GAUGE_MAP(X) \
    X(upstream_cx_active)    \
    X(upstream_rq_active)    \
    X(upstream_rq_pending_active)

#define CLUSTER_HISTOGRAM_MAP(X) \
    X(upstream_cx_connect_ms)    \
    X(upstream_cx_length_ms)     \
    X(upstream_rq_time)

enum { CODE_CLASSES = 6 };

struct cluster_stats {
#define X(name) stat_id name;
    CLUSTER_COUNTER_MAP(X)
    CLUSTER_GAUGE_MAP(X)
    CLUSTER_HISTOGRAM_MAP(X)
#undef X
    struct code_stats {
        stat_id completed;
        stat_id classes[CODE_CLASSES]; /* upstream_rq_2xx; 0 until used */
        stat_id *codes[CODE_CLASSES];  /* upstream_rq_200: 100 ids per class that occurred */
    } all, retried;                    /* retried: "retry.upstream_rq_2xx" */
    char *prefix;                      /* "cluster.NAME." as stat names have it */
};

void cluster_stats_init(struct cluster_stats *s, const char *cluster);
void cluster_stats_fini(struct cluster_stats *s);

/* HTTP/1 connections to one host. */
struct pool {
    struct list idle;    /* last used first */
    struct list busy;    /* connecting ones too */
    struct list pending; /* requests that wait, oldest first */
    unsigned pending_n, connecting_n;
    unsigned pending_high_n; /* of them, of high priority: they stand first */
};

/* ---- breaker.c ---- */
enum breaker_kind {
    BREAKER_CONNECTIONS,
    BREAKER_PENDING,
    BREAKER_REQUESTS,
    BREAKER_RETRIES,
    BREAKER_KINDS
};

/* Its gauge tells on how many workers it is open. */
struct breaker {
    uint64_t n, remaining;
    bool is_open;
    stat_id open_gauge, remaining_gauge; /* remaining: 0 unless track_remaining */
};

void breakers_init(struct upstream_cluster *c);
void breakers_fini(struct upstream_cluster *c);
bool breaker_is_open(const struct upstream_cluster *c, unsigned priority, enum breaker_kind kind);
void breaker_add(struct upstream_cluster *c, unsigned priority, enum breaker_kind kind);
void breaker_remove(struct upstream_cluster *c, unsigned priority, enum breaker_kind kind);

struct upstream_cluster {
    unsigned refs;
    struct upstreams *u;
    struct loop *loop;
    char *name;
    struct conf_cluster_entry *entry; /* own reference */
    bool is_orphan;                   /* only an older snapshot names it */
    bool is_drained;                  /* no longer in the table */
    struct upstream_host **hosts;     /* one reference each */
    size_t hosts_n, hosts_cap;
    struct lb lb;
    struct hash original_dst;        /* address -> struct upstream_host * of hosts */
    struct loop_timer cleanup_timer; /* ORIGINAL_DST: unused hosts */
    struct transports *transports;   /* NULL: all plaintext */
    struct breaker breakers[CONF_PRIORITIES][BREAKER_KINDS];
    struct cluster_stats stats;
};

struct upstream_host {
    unsigned refs;
    struct upstream_cluster *cluster; /* own reference */
    struct addr addr;
    char *hostname;
    uint32_t weight, priority;
    enum conf_health health;
    bool is_removed; /* no longer in the host list: connections end with their request */
    bool is_used;    /* ORIGINAL_DST: picked since the last clean-up */
    bool is_kept;    /* scratch of an update */
    struct pool pool;
    struct tls_slot *tls; /* own reference; NULL: plaintext */
    struct tls_sessions *tls_sessions;
    struct upstream_host_stats stats;
};

static inline const struct conf_cluster *cluster_conf(const struct upstream_cluster *c)
{
    return c->entry->cluster;
}

/* ---- cluster.c ---- */
struct upstream_cluster *cluster_create(struct upstreams *u, struct conf_cluster_entry *e);
/* The entry that is in force now. */
void cluster_update(struct upstream_cluster *c, struct conf_cluster_entry *e);
/* Out of the table: idle connections close, the rest ends with its requests. */
void cluster_drain(struct upstream_cluster *c);
void cluster_unref(struct upstream_cluster *c);
struct upstream_host *host_create(struct upstream_cluster *c, const struct addr *a,
                                  const char *hostname, struct tls_slot *tls);
struct upstream_host *host_ref(struct upstream_host *h);
/* Gives up the host list's reference. */
void host_remove(struct upstream_host *h);
/* Bytes that identify an address, in dst. */
enum { HOST_KEY_MAX = 128 };
struct str host_key(const struct addr *a, char dst[HOST_KEY_MAX]);

/* ---- lb_original_dst.c ---- */
struct upstream_host *lb_original_dst_pick(struct upstream_cluster *c,
                                           const struct lb_context *ctx);
void lb_original_dst_on_timer(struct loop_timer *t);

/* ---- pool.c ---- */
void pool_init(struct pool *p);
void pool_close_idle(struct upstream_host *h);
void pool_close_all(struct upstream_host *h);
/* c is open and has no request: it serves the next pending one or waits. */
void pool_put(struct h1_client *c);
/* c failed to connect: everything that waits is told. */
void pool_connect_failed(struct h1_client *c, enum upstream_reset why, const char *failure);
/* A connection went away: others may be needed. */
void pool_refill(struct upstream_host *h);
/* r loses its connection; its owner is told by the caller and finishes it. */
void upstream_request_detach(struct upstream_request *r);
/* Counts a connection of the cluster, within max_connections or with `always`. */
bool cluster_take_connection(struct upstream_cluster *c, unsigned priority, bool always);

/* ---- h1_client.c ---- */
enum h1_client_state { H1_CLIENT_CONNECTING, H1_CLIENT_IDLE, H1_CLIENT_BUSY, H1_CLIENT_CLOSED };

struct h1_client {
    struct conn conn;
    struct upstream_host *host; /* own reference */
    struct list node;           /* pool.idle or pool.busy */
    struct upstream_request *request;
    struct h1_parser parser;
    struct loop_timer timer; /* connecting, then idle */
    struct loop_task task;   /* flush, or leftovers after a pause */
    enum h1_client_state state;
    uint64_t start_us, rx_counted, tx_counted;
    uint64_t length_left; /* of a request body with content-length */
    unsigned requests_n, interim_n;
    unsigned priority; /* whose limit it counts against */
    bool is_chunked, has_length;
    bool head_sent;
    bool must_close; /* serves no further request */
    bool got_eof;    /* handled when everything before it was */
    bool has_timed_out;
    bool is_broken; /* the request's body did not keep to its length */
    bool was_cut;   /* its request was given up before the end */
    bool is_freed;  /* once the task has run */
};

/* Opens a connection; it joins the pool's busy list. */
void h1_client_open(struct upstream_host *h, unsigned priority);
/* r gets the connection; calls on_ready. */
void h1_client_attach(struct h1_client *c, struct upstream_request *r);
/* Takes the request away; true when the connection can serve another one. */
bool h1_client_detach(struct h1_client *c);
void h1_client_close(struct h1_client *c);
void h1_client_idle(struct h1_client *c); /* starts the idle timer */
/* Reads on after a pause. */
void h1_client_resume(struct h1_client *c);

#endif
