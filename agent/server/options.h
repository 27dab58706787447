/* Command line of the proxy: Envoy's flags (all of them are accepted; what has no meaning here is
 * ignored) and a few of our own. [main] thread; texts point into argv or the environment.
 * Source: Envoy's server/options_impl, "Command line options". */
#ifndef SERVER_OPTIONS_H
#define SERVER_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/log.h"

enum options_mode { OPTIONS_SERVE, OPTIONS_VALIDATE, OPTIONS_INIT_ONLY };
/* What to print instead of running. */
enum options_print { OPTIONS_RUN, OPTIONS_HELP, OPTIONS_VERSION, OPTIONS_HOT_RESTART_VERSION };
enum { OPTIONS_STATS_TAGS_MAX = 16 };

struct options {
    enum options_print print;
    enum options_mode mode;
    const char *config_path, *config_yaml; /* "" when absent */
    unsigned concurrency;                  /* at least 1 */
    enum log_level log_level;
    const char *component_log_level, *log_path; /* "" when absent */
    const char *log_format;                     /* NULL: Envoy's default */
    bool log_format_escaped;
    const char *service_cluster, *service_node, *service_zone; /* "" when absent */
    uint32_t drain_time_s, parent_shutdown_time_s;
    bool drain_immediate;
    const char *admin_address_path; /* file to write admin's "ip:port" to; "" none */
    uint32_t file_flush_interval_ms, file_flush_min_kb;
    unsigned local_address_ip_version; /* 4 or 6 */
    bool allow_unknown_static_fields;
    bool reject_unknown_dynamic_fields, ignore_unknown_dynamic_fields;
    const char *stats_tags[OPTIONS_STATS_TAGS_MAX]; /* "name:value" */
    size_t stats_tags_n;
    /* Shown in /server_info, otherwise ignored. */
    uint32_t restart_epoch, base_id;
    const char *base_id_path, *socket_path, *socket_mode, *disabled_extensions;
    bool use_dynamic_base_id, disable_hot_restart, cpuset_threads, skip_deprecated_logs;
    bool skip_hot_restart_on_no_parent, skip_hot_restart_parent_stats;
    bool enable_fine_grain_logging, enable_mutex_tracing, enable_core_dump,
        log_stacktrace_single_entry;

    /* Ours. */
    const char *data_dir;                 /* --data-dir; NULL: the default of the place we run in */
    const char *wasm_insecure_registries; /* comma list of host[:port], or "*"; NULL none */
    bool wasm_allow_loopback;
    uint32_t xds_answer_wait_ms; /* default 5000 */
    uint32_t wasm_probation_ms;  /* default 10000 */
};

/* Reads argv[1..]. The error names the flag; the caller prints it and exits with 1. */
int options_parse(int argc, char **argv, struct options *o, struct error *err);
/* Text for --help; mem_free it. */
char *options_usage(void);
/* Workers to run when nobody says: the least of hardware threads, affinity and the cgroup's CPU
 * limit (rounded down), at least 1. */
unsigned options_default_concurrency(void);

#endif
