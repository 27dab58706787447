/* Stats of a tcp_proxy, under tcp.PREFIX. as Envoy names them. One per filter chain and worker. */
#ifndef PROXY_TCP_STATS_H
#define PROXY_TCP_STATS_H

#include "base/stat.h"

#define TCP_STAT_MAP(X)                                  \
    X(COUNTER, cx_total, "downstream_cx_total")          \
    X(COUNTER, no_route, "downstream_cx_no_route")       \
    X(COUNTER, rx_bytes, "downstream_cx_rx_bytes_total") \
    X(COUNTER, tx_bytes, "downstream_cx_tx_bytes_total") \
    X(COUNTER, idle_timeout, "idle_timeout")             \
    X(COUNTER, max_duration, "max_downstream_connection_duration")

struct tcp_stats {
#define X(kind, field, name) stat_id field;
    TCP_STAT_MAP(X)
#undef X
};

#endif
