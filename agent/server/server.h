/* The proxy process: what main owns, and the order in which it comes up and goes down. [main] */
#ifndef SERVER_SERVER_H
#define SERVER_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/hash.h"
#include "filters/access_log.h"
#include "net/dns.h"
#include "net/loop.h"
#include "proxy/sockets.h"
#include "server/admin.h"
#include "server/cert_stats.h"
#include "server/options.h"
#include "server/overload.h"
#include "server/publish.h"
#include "server/restart.h"
#include "server/worker.h"
#include "wasm/rollout.h"
#include "xds/bootstrap.h"
#include "xds/control.h"

/* Numbers as Envoy's server.state. */
enum server_state { SERVER_LIVE, SERVER_DRAINING, SERVER_PRE_INITIALIZING, SERVER_INITIALIZING };
const char *server_state_text(enum server_state s);

struct server {
    const struct options *options;
    struct bootstrap *bootstrap;
    struct loop *loop;
    enum server_state state;
    uint64_t start_wall_ns;
    struct access_log_writer *logs;
    struct sockets *sockets;
    struct balance *balance;
    struct worker **workers;
    unsigned workers_n;
    struct publish *publish;
    struct rollout *rollout;
    struct control *control;
    struct dns *dns;
    struct hash dns_clusters; /* name -> struct dns_user */
    struct admin *admin;
    struct loop_timer drain_timer, stats_timer;
    struct cert_stats *cert_stats;
    bool drains_inbound_only; /* what stops then */
    struct overload *overload;
    struct restart *restart; /* NULL: --disable-hot-restart */
    unsigned starting_n;     /* workers that have not said that they serve */
    struct loop_io signals;
    int exit_code;
    bool is_stopping;
    bool is_health_failed; /* POST /healthcheck/fail */
};

/* Runs the proxy until it is told to stop; returns the exit code. The bootstrap is taken over. */
int server_run(const struct options *options, struct bootstrap *bootstrap);
/* Stops the loop; server_run returns code. */
void server_stop(struct server *s, int code);
/* Starts the intervals of the histograms. */
void server_start_stats(struct server *s);
/* Brings gauges up to date that are only computed when somebody looks. */
void server_update_stats(struct server *s);
/* POST /drain_listeners, /healthcheck/fail */
/* A successor took over: no new connections, no new configuration. */
void server_drain_for_successor(struct server *s);
void server_stop_admin(struct server *s);
void server_start_admin(struct server *s);
void server_init_drain(struct server *s);
/* graceful: connections close with their responses during the drain time, then listeners stop; with
 * skip_exit, graceful or not, they never do. Neither: they stop at once. */
void server_drain(struct server *s, bool inbound_only, bool graceful, bool skip_exit);
void server_set_health_failed(struct server *s, bool is_failed);

#endif
