#include "server/admin_private.h"

#define GET(path, help, handle)           \
    {                                     \
        path, help, false, false, handle, \
    }
#define POST(path, help, handle)         \
    {                                    \
        path, help, true, false, handle, \
    }

const struct admin_handler admin_handlers[] = {
    GET("/", "Admin home page", admin_help),
    GET("/certs", "print certs on machine", admin_certs),
    {"/clusters", "upstream cluster status", false, true, admin_clusters},
    GET("/config_dump", "dump current configs", admin_config_dump),
    GET("/contention", "dump current mutex contention stats (if enabled)", admin_contention),
    POST("/drain_listeners", "drain listeners", admin_drain_listeners),
    POST("/healthcheck/fail", "cause the server to fail health checks", admin_healthcheck_fail),
    POST("/healthcheck/ok", "cause the server to pass health checks", admin_healthcheck_ok),
    GET("/help", "print out list of admin commands", admin_help),
    GET("/hot_restart_version", "print the hot restart compatibility version",
        admin_hot_restart_version),
    GET("/init_dump", "dump current init manager information", admin_init_dump),
    GET("/listeners", "print listener info", admin_listeners),
    POST("/logging", "query/change logging levels", admin_logging),
    GET("/memory", "print current allocation/heap usage", admin_memory),
    GET("/plugins", "state of each Wasm plugin", admin_plugins),
    POST("/quitquitquit", "exit the server", admin_quit),
    GET("/ready", "print server state, return 200 if LIVE, otherwise return 503", admin_ready),
    POST("/reopen_logs", "reopen access logs", admin_reopen_logs),
    POST("/reset_counters", "reset all counters to zero", admin_reset_counters),
    GET("/runtime", "print runtime values", admin_runtime),
    GET("/server_info", "print server version/status information", admin_server_info),
    GET("/stats", "print server stats", admin_stats),
    GET("/stats/prometheus", "print server stats in prometheus format", admin_prometheus),
    {NULL, NULL, false, false, NULL},
};
