/* Network filters: they see the bytes of a TCP session. Const ops and a per-session entry, as
 * HTTP filters have (http/filter.h). The session (proxy/tcp_session.c) iterates: bytes from the
 * client run first to last, bytes to the client last to first; the terminal filter (tcp_proxy)
 * stands behind them. [worker]
 *
 * A filter that stops keeps the bytes it was shown where they are: the next call shows them again
 * with what came since, until it continues or net_filter_continue is called.
 * Source: Envoy's Network::ReadFilter and WriteFilter. */
#ifndef FILTERS_NET_FILTER_H
#define FILTERS_NET_FILTER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "conf/listener.h"
#include "http/filter.h"
#include "http/stream.h"

struct net_filter;

enum net_status { NET_CONTINUE, NET_STOP };

struct net_session_ops {
    /* Goes on behind the filter with what it holds. is_write: the direction to the client. */
    void (*go_on)(struct net_filter *f, bool is_write);
    /* Closes the downstream or the upstream connection after flushing. */
    void (*close)(struct net_filter *f, bool is_upstream, const char *details);
};

struct net_filter_ops {
    const char *name;
    void (*worker_init)(const struct conf_net_filter *conf, struct filter_env *env, void **obj_r);
    void (*worker_fini)(void *obj);
    /* false: the filter is skipped for this session. */
    bool (*session_init)(struct net_filter *f);
    void (*session_fini)(struct net_filter *f);
    enum net_status (*on_new)(struct net_filter *f);
    enum net_status (*on_data)(struct net_filter *f, struct buf *data, bool end);
    enum net_status (*on_write)(struct net_filter *f, struct buf *data, bool end);
    /* by_remote: the client (or upstream) closed, not we. */
    void (*on_downstream_close)(struct net_filter *f, bool by_remote);
    void (*on_upstream_close)(struct net_filter *f, bool by_remote);
    /* The session is over: on_done, on_log, on_delete time. Before session_fini. */
    void (*on_complete)(struct net_filter *f);
};

struct net_filter {
    const struct net_filter_ops *ops;
    const struct conf_net_filter *conf;
    void *worker_obj;
    void *state;              /* the filter's own, per session */
    struct stream_info *info; /* of the session; properties and access log */
    struct filter_env *env;
    const struct net_session_ops *session_ops;
    void *session; /* private to the session */
    uint16_t index;
    bool is_skipped, in_callback, go_on_pending[2];
    struct buf held[2]; /* [0] from the client, [1] to the client */
    bool is_stopped[2], end_held[2];
};

static inline void net_filter_continue(struct net_filter *f, bool is_write)
{
    f->session_ops->go_on(f, is_write);
}

#endif
