#include "server/admin_private.h"

const struct admin_handler admin_handlers[] = {
    {"/", "Admin home page", false, admin_help},
    {"/help", "print out list of admin commands", false, admin_help},
    {"/logging", "query/change logging levels", true, admin_logging},
    {"/memory", "print current allocation/heap usage", false, admin_memory},
    {"/plugins", "state of each Wasm plugin", false, admin_plugins},
    {"/quitquitquit", "exit the server", true, admin_quit},
    {"/ready", "print server state, return 200 if LIVE, otherwise return 503", false, admin_ready},
    {"/reopen_logs", "reopen access logs", true, admin_reopen_logs},
    {"/reset_counters", "reset all counters to zero", true, admin_reset_counters},
    {"/drain_listeners", "drain listeners", true, admin_drain_listeners},
    {"/healthcheck/fail", "cause the server to fail health checks", true, admin_healthcheck_fail},
    {"/healthcheck/ok", "cause the server to pass health checks", true, admin_healthcheck_ok},
    {"/stats", "print server stats", false, admin_stats},
    {"/stats/prometheus", "print server stats in prometheus format", false, admin_prometheus},
    {NULL, NULL, false, NULL},
};
