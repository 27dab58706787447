/* See tcp_session.c. Private to proxy/. */
#ifndef PROXY_TCP_SESSION_H
#define PROXY_TCP_SESSION_H

#include "filters/net_filter.h"
#include "proxy/listener.h"
#include "proxy/tcp_stats.h"
#include "upstream/transport.h"
#include "upstream/upstream.h"

struct tcp_session {
    struct downstream down;
    struct conn conn;
    struct upstream_tcp up;
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

/* ---- tcp_cluster.c ---- */
const char *tcp_session_cluster(const struct tcp_session *s);

#endif
