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
#include "conf/tls_slot.h"
#include "upstream/lb.h"
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
    X(upstream_rq_max_duration_reached)            \
    X(upstream_rq_retry)                           \
    X(upstream_rq_retry_backoff_exponential)       \
    X(upstream_rq_retry_backoff_ratelimited)       \
    X(upstream_rq_retry_limit_exceeded)            \
    X(upstream_rq_retry_overflow)                  \
    X(upstream_rq_retry_success)                   \
    X(lb_healthy_panic)                            \
    X(original_dst_host_invalid)                   \
    X(upstream_cx_close_notify)                    \
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
    X(upstream_cx_http2_total)                     \
    X(upstream_cx_idle_timeout)                    \
    X(upstream_cx_max_duration_reached)            \
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
    X(upstream_rq_rx_reset)                        \
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
    X(upstream_rq_per_cx)

/* The same on each worker. */
#define CLUSTER_LEVEL_MAP(X) \
    X(max_host_weight)       \
    X(membership_degraded)   \
    X(membership_excluded)   \
    X(membership_healthy)    \
    X(membership_total)

enum { CODE_CLASSES = 6 };

struct cluster_stats {
#define X(name) stat_id name;
    CLUSTER_COUNTER_MAP(X)
    CLUSTER_GAUGE_MAP(X)
    CLUSTER_HISTOGRAM_MAP(X)
#undef X
    stat_id upstream_rq_time; /* 0 until used */
#define X(name) stat_id name;
    CLUSTER_LEVEL_MAP(X)
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
/* Once the hosts are others; not for ORIGINAL_DST, whose workers find their own. */
void cluster_stats_count_hosts(struct cluster_stats *s, struct upstream_host *const *hosts,
                               size_t n);

struct pool; /* client_private.h */

/* What the connections of a pool speak. */
enum pool_kind { POOL_HTTP1, POOL_HTTP2, POOL_ALPN, POOL_TCP, POOL_KINDS };

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
    struct h2_stats *h2_stats; /* NULL until used */
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
    struct pool *pools[POOL_KINDS]; /* pool.c; made at first use */
    struct hash keyed;              /* pool_keyed.c: key -> struct pool * */
    size_t sweep_from;
    struct loop_task sweep_task;
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
void pools_destroy(struct upstream_host *h);
/* Idle connections close, the others when their requests are over. */
void pools_drain(struct upstream_host *h);
void pools_close_all(struct upstream_host *h);
/* Counts a connection of the cluster, within max_connections or with `always`. */
bool cluster_take_connection(struct upstream_cluster *c, unsigned priority, bool always);

#endif
