/* A TCP session, and its upstream: see tcp_session.c, tcp_upstream.c, tcp_tunnel.c. Private to
 * proxy/. [worker] */
#ifndef PROXY_TCP_SESSION_H
#define PROXY_TCP_SESSION_H

#include "filters/net_filter.h"
#include "proxy/listener.h"
#include "proxy/tcp_stats.h"
#include "upstream/transport.h"
#include "upstream/upstream.h"

struct tcp_session;
struct tcp_tunnel;

/* What the session does with its upstream, whatever that is. */
struct tcp_up_ops {
    void (*write)(struct tcp_session *s, struct buf *data, bool end); /* takes all of data */
    void (*read_disable)(struct tcp_session *s, bool disable);
    /* Ends in tcp_up_closed, which may come from inside; nothing if it is closed. */
    void (*close)(struct tcp_session *s, bool after_flush);
};

struct tcp_session {
    struct downstream down;
    struct conn conn;
    const struct tcp_up_ops *up_ops;                 /* with has_upstream */
    struct upstream_tcp up;                          /* without a tunnel, */
    struct tcp_tunnel *tunnel;                       /* with one; owned */
    const struct tcp_tunnel_formats *tunnel_formats; /* of the chain */
    const struct conf_tcp_proxy *conf;
    const char *cluster; /* chosen once, for all attempts */
    struct snapshot_hold *hold;
    struct stream_info info;
    struct tcp_stats *stats;    /* of the chain */
    struct access_logs *logs;   /* of the chain */
    struct net_filter *filters; /* without the terminal one */
    size_t filters_n;
    int start_at; /* filter that stopped in on_new, or -1 */
    bool has_upstream, is_down_eof, is_up_eof, is_down_closed, is_up_closed;
    bool is_up_held, is_down_held;
    char failure[TRANSPORT_FAILURE_MAX];
    struct loop_timer idle_timer, duration_timer;
    struct loop_task free_task;
};

/* ---- tcp_session.c: what its upstream reports ---- */
void tcp_up_connected(struct tcp_session *s, const struct addr *local);
void tcp_up_data(struct tcp_session *s, struct buf *data); /* takes all of data */
void tcp_up_eof(struct tcp_session *s);
void tcp_up_closed(struct tcp_session *s, enum conn_close_cause cause);
/* It has enough for now, or room again. */
void tcp_up_water(struct tcp_session *s, bool is_high);
/* data, and FIN behind it where it ends. */
void tcp_session_write(struct conn *to, struct buf *data, bool end);

/* ---- tcp_upstream.c ---- */
void tcp_upstream_connect(struct tcp_session *s);
/* Another host is tried up to max_connect_attempts times; true when one is. */
bool tcp_upstream_try_again(struct tcp_session *s);

/* ---- tcp_tunnel.c ---- */
/* Takes the reference to host. */
void tcp_tunnel_connect(struct tcp_session *s, struct upstream_cluster *c,
                        struct upstream_host *host);
void tcp_tunnel_destroy(struct tcp_tunnel **tunnel);

/* ---- tcp_cluster.c ---- */
const char *tcp_session_cluster(const struct tcp_session *s);

#endif
