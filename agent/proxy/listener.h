/* A listener as one worker runs it: its filter chains' runtime and its connections. [worker]
 *
 * A new version of a listener is a new object; the old one drains: it accepts nothing more, its
 * connections are told to close with their next response, and it frees itself with the last. */
#ifndef PROXY_LISTENER_H
#define PROXY_LISTENER_H

#include <stdbool.h>

#include "base/list.h"
#include "base/stat.h"
#include "conf/snapshot.h"
#include "conf/tls_slot.h"
#include "http/filter.h"
#include "http/hcm.h"
#include "http/stream.h"
#include "proxy/tcp_stats.h"

struct listener;

#define LISTENER_STAT_MAP(X)                                                                       \
    X(COUNTER, cx_total, "downstream_cx_total")                                                    \
    X(COUNTER, cx_destroy, "downstream_cx_destroy")                                                \
    X(GAUGE, cx_active, "downstream_cx_active")                                                    \
    X(COUNTER, cx_overflow, "downstream_cx_overflow")                                              \
    X(COUNTER, global_cx_overflow, "downstream_global_cx_overflow")                                \
    X(COUNTER, cx_overload_reject, "downstream_cx_overload_reject")                                \
    X(HISTOGRAM, accepted_per_event, "connections_accepted_per_socket_event")                      \
    X(COUNTER, no_filter_chain_match, "no_filter_chain_match")                                     \
    X(COUNTER, transport_socket_connect_timeout, "downstream_cx_transport_socket_connect_timeout") \
    X(GAUGE, pre_cx_active, "downstream_pre_cx_active")                                            \
    X(COUNTER, pre_cx_timeout, "downstream_pre_cx_timeout")                                        \
    X(COUNTER, network_extension_config_missing, "network_extension_config_missing")               \
    X(HISTOGRAM, cx_length_ms, "downstream_cx_length_ms")

/* Of this worker alone. */
#define LISTENER_WORKER_STAT_MAP(X)                    \
    X(COUNTER, worker_cx_total, "downstream_cx_total") \
    X(GAUGE, worker_cx_active, "downstream_cx_active")

/* Of all listeners together, as in Envoy. */
#define INSPECTOR_STAT_MAP(X)                                    \
    X(COUNTER, inspector_connection_closed, "connection_closed") \
    X(COUNTER, client_hello_too_large, "client_hello_too_large") \
    X(COUNTER, tls_found, "tls_found")                           \
    X(COUNTER, tls_not_found, "tls_not_found")                   \
    X(COUNTER, sni_found, "sni_found")                           \
    X(COUNTER, sni_not_found, "sni_not_found")                   \
    X(COUNTER, alpn_found, "alpn_found")                         \
    X(COUNTER, alpn_not_found, "alpn_not_found")

struct listener_stats {
#define X(kind, field, name) stat_id field;
    LISTENER_STAT_MAP(X)
    LISTENER_WORKER_STAT_MAP(X)
    INSPECTOR_STAT_MAP(X)
#undef X
    stat_id total_connections; /* "server.total_connections"; 0 for the admin's */
};

/* One filter chain's runtime: an HTTP connection manager, or network filters. An update of the
 * listener that leaves the chain as it is leaves it here too, with what it was made of. */
struct listener_chain {
    struct listener *listener;
    struct conf_listener *owner; /* own reference: of conf */
    const struct conf_filter_chain *conf;
    size_t connections_n;
    bool is_removed; /* by an update: goes with its last connection */
    uint64_t drain_start_us;
    struct loop_timer drain_timer;
    struct loop_task free_task;
    struct hcm *hcm;                           /* NULL: TCP */
    struct tcp_tunnel_formats *tunnel_formats; /* TCP with tunneling_config; NULL */
    struct tcp_stats tcp_stats;                /* TCP only, */
    struct access_logs *logs;                  /* likewise */
    void **worker_objs;                        /* of the network filters */
    struct tls_slot *tls;                      /* NULL: plaintext */
    struct chain_limit *limits;                /* of the filters connection_limit (proxy/limit.c) */
    size_t limits_n;
};

struct listener {
    struct conf_listener *conf; /* own reference */
    struct filter_env *env;
    struct listener_chain **chains; /* conf->chains_n, then the default chain if there is one */
    size_t chains_n;
    struct chain_index *index; /* of conf */
    const struct http_filter_ops *(*find_filter)(enum conf_http_filter_kind kind);
    struct listener_stats stats;
    struct access_logs *logs;               /* of all its connections; NULL: none */
    struct proxy_header_stats *proxy_stats; /* NULL: no such filter */
    /* The listener that has an address, among all of the worker; NULL: none. */
    struct listener *(*find)(void *arg, const struct addr *dst);
    void *find_arg;
    struct list connections; /* struct downstream */
    size_t connections_n;
    bool is_draining;        /* out of the table: goes with its last connection */
    uint64_t drain_start_us; /* 0: its connections may stay */
    void (*on_gone)(struct listener *l, void *arg);
    void *on_gone_arg;
    struct loop_task free_task;
};

/* A connection on its way from accept to its session, and what is known of it by then. */
struct accepted {
    int fd;
    struct addr local, remote;               /* as filters see them: restored, by PROXY protocol */
    struct addr direct_local, direct_remote; /* the socket's own */
    bool is_restored;                        /* local is not the socket's own address */
    const char *server_name;                 /* an inspector's; NULL or "": none. Borrowed */
    uint8_t limits_n;                        /* of the chain's limits, that count it */
    struct str proxy_tlvs;                   /* as in struct downstream_info. Borrowed */
};

/* One connection from below; embedded at the start of HTTP connections and TCP sessions. */
struct downstream {
    struct list node;
    struct listener *listener;
    struct listener_chain *chain; /* NULL: not chosen yet */
    struct conf_listener *conf;   /* own reference while chain is NULL */
    struct downstream_info info;
    uint64_t start_us;
    char *server_name, *proxy_tlvs; /* own copies, or NULL */
    uint64_t rx_bytes, tx_bytes;    /* set at the end, for the listener's log */
    uint8_t limits_n;               /* of the chain's limits, that count it */
    bool is_logged;                 /* the session wrote that log, with what it knows */
    /* Close now. */
    void (*close)(struct downstream *d);
};

typedef const struct http_filter_ops *(*http_filter_find_fn)(enum conf_http_filter_kind kind);

struct listener *listener_create(struct conf_listener *conf, struct filter_env *env);
/* With other HTTP filters than the registry's: for the admin listener. */
struct listener *listener_create_with(struct conf_listener *conf, struct filter_env *env,
                                      http_filter_find_fn find);
/* Another version that differs in filter chains only: those that are the same stay, with their
 * connections; the others drain for drain_ms. */
void listener_update(struct listener *l, struct conf_listener *conf, uint64_t drain_ms);
enum { LISTENER_PREFIX_MAX = 256 };
/* What stands for the listener in names of statistics. */
void listener_format_prefix(const struct conf_listener *conf, char prefix[LISTENER_PREFIX_MAX]);
/* Takes over the accepted descriptor: finds the chain and starts the connection. */
void listener_take(struct listener *l, const struct accepted *a);
struct inspected;
/* The second half of it: finds the chain by what the listener's inspectors found (NULL: there are
 * none). */
void listener_choose(struct listener *l, const struct accepted *a, const struct inspected *found);
/* Closes the accepted descriptor and counts it; why goes to the log. */
void listener_refuse(struct listener *l, int fd, const char *why);
/* The same because of overload. */
void listener_reject(struct listener *l, int fd);
/* The same because of the runtime's limit for this listener. */
bool listener_is_full(const struct listener *l);
void listener_overflow_own(struct listener *l, int fd);
/* The same because the process has as many connections as it may have. */
void listener_overflow(struct listener *l, int fd);
/* Drains; on_gone is called from the loop when the last connection is gone, and then the listener
 * frees itself. */
void listener_drain(struct listener *l, bool is_stopped,
                    void (*on_gone)(struct listener *l, void *arg), void *arg);
/* Closes every connection now (end of the drain time, shutdown). */
void listener_close_all(struct listener *l);

/* For connections: joined by listener_take, left when they are gone. */
void downstream_init(struct downstream *d, struct listener *l, const struct accepted *a,
                     struct listener_chain *chain);
/* The same again for the object that goes on with descriptor fd. */
struct accepted downstream_accepted(const struct downstream *d, int fd);
void downstream_fini(struct downstream *d);
/* Tells d->info of the TLS under c, the session's connection, if there is any. */
void downstream_set_tls(struct downstream *d, const struct conn *c);
/* Instead of downstream_fini: another object, which joined before, goes on with the connection. */
void downstream_hand_over(struct downstream *d);

/* Starts what the chain ends in. tls: the session of a connection whose handshake is over, taken;
 * NULL: plaintext. */
void listener_start_session(struct listener *l, struct listener_chain *chain,
                            const struct accepted *a, struct conn_tls *tls);

/* proxy/http_session.c, proxy/tcp_session.c. tls as above: conn_tls_attach puts it under the
 * session's connection, and conn_alpn tells what was agreed on. */
void http_session_start(struct listener *l, struct listener_chain *chain, const struct accepted *a,
                        struct conn_tls *tls);
void tcp_session_start(struct listener *l, struct listener_chain *chain, const struct accepted *a,
                       struct conn_tls *tls);

#endif
