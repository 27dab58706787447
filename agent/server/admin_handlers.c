#include "server/admin_private.h"

#define PARAMS(...)        \
    (const char *const[])  \
    {                      \
        __VA_ARGS__, NULL, \
    }
#define GET(path, help, params, handle)           \
    {                                             \
        path, help, params, false, false, handle, \
    }
#define POST(path, help, params, handle)         \
    {                                            \
        path, help, params, true, false, handle, \
    }

#define STATS_PARAMS                                                       \
    "usedonly: Only include stats that have been written since the start", \
        "filter: Regular expression (Google re2) for filtering stats"

const struct admin_handler admin_handlers[] = {
    GET("/", "Admin home page", NULL, admin_help),
    GET("/certs", "print certs on machine", NULL, admin_certs),
    {"/clusters", "upstream cluster status",
     PARAMS("filter: Regular expression (Google re2) for filtering clusters by name",
            "format: File format to use; One of (text, json)"),
     false, true, admin_clusters},
    GET("/config_dump", "dump current configs",
        PARAMS("resource: The repeated field to dump; its elements become the configs",
               "mask: Fields to leave, separated by commas; with resource, of every element",
               "name_regex: Only what is named so (Google re2, the whole name)",
               "include_eds: With the endpoints of every cluster"),
        admin_config_dump),
    GET("/contention", "dump current mutex contention stats (if enabled)", NULL, admin_contention),
    POST("/drain_listeners", "drain listeners",
         PARAMS("graceful: Drain for the drain time before listeners stop",
                "skip_exit: Drain connections, but never stop listeners; graceful changes nothing",
                "inboundonly: Only listeners whose traffic_direction is INBOUND"),
         admin_drain_listeners),
    POST("/healthcheck/fail", "cause the server to fail health checks", NULL,
         admin_healthcheck_fail),
    POST("/healthcheck/ok", "cause the server to pass health checks", NULL, admin_healthcheck_ok),
    GET("/help", "print out list of admin commands", NULL, admin_help),
    GET("/hot_restart_version", "print the hot restart compatibility version", NULL,
        admin_hot_restart_version),
    GET("/init_dump", "dump what is warming, and what it waits for",
        PARAMS("mask: listener leaves out clusters"), admin_init_dump),
    GET("/listeners", "print listener info",
        PARAMS("format: File format to use; One of (text, json)"), admin_listeners),
    POST("/logging", "query/change logging levels",
         PARAMS("paths: Several levels: <logger>:<level>,<logger>:<level>",
                "level: All levels; One of (trace, debug, info, warning, error, critical, off)"),
         admin_logging),
    GET("/memory", "print current allocation/heap usage", NULL, admin_memory),
    GET("/plugins", "state of each Wasm plugin", NULL, admin_plugins),
    POST("/quitquitquit", "exit the server", NULL, admin_quit),
    GET("/ready", "print server state, return 200 if LIVE, otherwise return 503", NULL,
        admin_ready),
    POST("/reopen_logs", "reopen access logs", NULL, admin_reopen_logs),
    POST("/reset_counters", "reset all counters to zero", NULL, admin_reset_counters),
    GET("/runtime", "print runtime values", NULL, admin_runtime),
    POST("/runtime_modify", "change runtime values of the admin layer",
         PARAMS("key: The value, key being any; without one the layer says nothing of this key any "
                "more"),
         admin_runtime_modify),
    GET("/server_info", "print server version/status information", NULL, admin_server_info),
    GET("/stats", "print server stats",
        PARAMS(STATS_PARAMS, "format: One of (text, json, prometheus)",
               "type: One of (All, Counters, Gauges, Histograms, TextReadouts)",
               "histogram_buckets: One of (cumulative, disjoint, summary)"),
        admin_stats),
    GET("/stats/prometheus", "print server stats in prometheus format",
        PARAMS(STATS_PARAMS, "text_readouts: With texts, as gauges of value 0"), admin_prometheus),
    {NULL, NULL, NULL, false, false, NULL},
};

void admin_list_paths(struct sbuf *out)
{
    for (const struct admin_handler *h = admin_handlers; h->path; h++) {
        sbuf_printf(out, "  %s%s: %s\n", h->path, h->is_post ? " (POST)" : "", h->help);
        for (size_t i = 0; h->params && h->params[i]; i++)
            sbuf_printf(out, "      %s\n", h->params[i]);
    }
}
