#include "server/options.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"

enum flag_kind {
    FLAG_TEXT,
    FLAG_SWITCH,
    FLAG_NUMBER, /* uint32_t */
    FLAG_CUSTOM, /* handled by name in parse_custom */
    FLAG_IGNORED /* takes a value that is dropped */
};

struct flag {
    const char *name;
    char letter; /* 0: none */
    enum flag_kind kind;
    size_t offset;
    const char *help;
};

#define TEXT(name, letter, field, help)                                \
    {                                                                  \
        name, letter, FLAG_TEXT, offsetof(struct options, field), help \
    }
#define SWITCH(name, field, help)                                   \
    {                                                               \
        name, 0, FLAG_SWITCH, offsetof(struct options, field), help \
    }
#define NUMBER(name, field, help)                                   \
    {                                                               \
        name, 0, FLAG_NUMBER, offsetof(struct options, field), help \
    }

static const struct flag flags[] = {
    TEXT("config-path", 'c', config_path, "bootstrap file: .yaml .yml .json .pb"),
    TEXT("config-yaml", 0, config_yaml, "bootstrap text, merged over the file"),
    {"mode", 0, FLAG_CUSTOM, 0, "serve (default), validate or init_only"},
    NUMBER("concurrency", concurrency, "worker threads; default: what the CPU limits allow"),
    {"log-level", 'l', FLAG_CUSTOM, 0, "trace debug info (default) warning error critical off"},
    TEXT("component-log-level", 0, component_log_level, "upstream:debug,http:trace"),
    TEXT("log-path", 0, log_path, "log file; default: standard error"),
    TEXT("log-format", 0, log_format, "pattern of log lines, as spdlog has it"),
    SWITCH("log-format-escaped", log_format_escaped, "escape control characters in log lines"),
    TEXT("service-cluster", 0, service_cluster, "overrides node.cluster"),
    TEXT("service-node", 0, service_node, "overrides node.id"),
    TEXT("service-zone", 0, service_zone, "overrides node.locality.zone"),
    NUMBER("drain-time-s", drain_time_s, "time to drain connections in; default 600"),
    {"drain-strategy", 0, FLAG_CUSTOM, 0, "gradual (default) or immediate"},
    NUMBER("parent-shutdown-time-s", parent_shutdown_time_s,
           "seconds after which a replaced process ends"),
    TEXT("admin-address-path", 0, admin_address_path, "file to write admin's address to"),
    NUMBER("file-flush-interval-msec", file_flush_interval_ms, "access log flush; default 10000"),
    NUMBER("file-flush-min-size-kb", file_flush_min_kb,
           "size from which access logs are flushed; default 64"),
    {"local-address-ip-version", 0, FLAG_CUSTOM, 0, "v4 (default) or v6"},
    SWITCH("allow-unknown-static-fields", allow_unknown_static_fields,
           "unknown fields of the bootstrap are no error"),
    SWITCH("allow-unknown-fields", allow_unknown_static_fields, "the same, older name"),
    SWITCH("reject-unknown-dynamic-fields", reject_unknown_dynamic_fields,
           "unknown fields of xDS resources are an error"),
    SWITCH("ignore-unknown-dynamic-fields", ignore_unknown_dynamic_fields,
           "unknown fields of xDS resources are not logged"),
    {"stats-tag", 0, FLAG_CUSTOM, 0, "name:value, a label for all statistics; repeatable"},
    TEXT("data-dir", 0, data_dir, "folder for verified Wasm modules"),
    TEXT("wasm-insecure-registries", 0, wasm_insecure_registries,
         "hosts (comma list, or *) that may serve modules without TLS checks"),
    SWITCH("wasm-allow-loopback", wasm_allow_loopback,
           "modules may be fetched from loopback addresses"),
    NUMBER("xds-answer-wait-ms", xds_answer_wait_ms,
           "longest time an xDS answer waits for work in progress; default 5000"),
    NUMBER("wasm-probation-ms", wasm_probation_ms,
           "time in which repeated traps of a new module roll it back; default 10000"),
    {"version", 0, FLAG_CUSTOM, 0, "print the version and exit"},
    {"help", 'h', FLAG_CUSTOM, 0, "print this and exit"},
    {"hot-restart-version", 0, FLAG_CUSTOM, 0,
     "print the version of the restart protocol and exit"},
    NUMBER("restart-epoch", restart_epoch,
           "take over from the process of the epoch before; 0: none"),
    NUMBER("base-id", base_id, "tells processes apart that are not each other's successors"),
    SWITCH("use-dynamic-base-id", use_dynamic_base_id, "find a base id that is free"),
    TEXT("base-id-path", 0, base_id_path, "file that gets the base id"),
    TEXT("socket-path", 0, socket_path, "where a successor asks for sockets; @ for abstract"),
    {"socket-mode", 0, FLAG_CUSTOM, 0, "permissions of a socket path that is a file"},
    SWITCH("disable-hot-restart", disable_hot_restart, "give no successor a chance"),
    SWITCH("skip-hot-restart-on-no-parent", skip_hot_restart_on_no_parent,
           "start all the same when the process of the epoch before is not there"),
    SWITCH("skip-hot-restart-parent-stats", skip_hot_restart_parent_stats,
           "ignored: statistics stay where they are"),
    SWITCH("cpuset-threads", cpuset_threads, "ignored: affinity always counts"),
    SWITCH("skip-deprecated-logs", skip_deprecated_logs, "ignored"),
    TEXT("disable-extensions", 0, disabled_extensions, "ignored"),
    SWITCH("enable-fine-grain-logging", enable_fine_grain_logging, "ignored"),
    SWITCH("enable-mutex-tracing", enable_mutex_tracing, "ignored"),
    SWITCH("enable-core-dump", enable_core_dump, "ignored"),
    SWITCH("log-stacktrace-single-entry", log_stacktrace_single_entry, "ignored"),
    {"bootstrap-version", 0, FLAG_IGNORED, 0, "ignored"},
    {"max-obj-name-len", 0, FLAG_IGNORED, 0, "ignored"},
    {"max-stats", 0, FLAG_IGNORED, 0, "ignored"},
};

static void set_defaults(struct options *o)
{
    *o = (struct options){
        .log_level = LEVEL_INFO,
        .drain_time_s = 600,
        .parent_shutdown_time_s = 900,
        .file_flush_interval_ms = 10000,
        .file_flush_min_kb = 64,
        .local_address_ip_version = 4,
        .socket_path = "@envoy_domain_socket",
        .socket_mode = "600",
        .xds_answer_wait_ms = 5000,
        .wasm_probation_ms = 10000,
        .concurrency = UINT32_MAX,
    };
    o->config_path = o->config_yaml = o->component_log_level = o->log_path = "";
    o->service_cluster = o->service_node = o->service_zone = o->admin_address_path = "";
    o->base_id_path = o->disabled_extensions = "";
}

static const struct flag *find_flag(struct str name, bool is_letter)
{
    for (size_t i = 0; i < ARRAY_LEN(flags); i++)
        if (is_letter ? name.n == 1 && flags[i].letter == name.p[0] : str_is(name, flags[i].name))
            return &flags[i];
    return NULL;
}

static bool takes_value(const struct flag *f)
{
    return f->kind != FLAG_SWITCH && strcmp(f->name, "version") != 0 &&
           strcmp(f->name, "help") != 0 && strcmp(f->name, "hot-restart-version") != 0;
}

static bool is_octal(const char *text)
{
    size_t n = strspn(text, "01234567");
    return n && n <= 4 && !text[n];
}

static int parse_choice(const char *text, const char *const *names, size_t n, const char *what,
                        unsigned *choice_r, struct error *err)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(text, names[i]) == 0) {
            *choice_r = (unsigned)i;
            return 0;
        }
    }
    return error_set(err, ERR_INVALID, "error: %s '%s'", what, text);
}

static int parse_custom(const char *name, const char *value, struct options *o, struct error *err)
{
    static const char *const modes[] = {"serve", "validate", "init_only"};
    static const char *const versions[] = {"v4", "v6"};
    static const char *const strategies[] = {"gradual", "immediate"};
    unsigned i = 0;
    int rc = 0;
    if (strcmp(name, "help") == 0)
        o->print = OPTIONS_HELP;
    else if (strcmp(name, "version") == 0)
        o->print = OPTIONS_VERSION;
    else if (strcmp(name, "hot-restart-version") == 0)
        o->print = OPTIONS_HOT_RESTART_VERSION;
    else if (strcmp(name, "mode") == 0) {
        rc = parse_choice(value, modes, 3, "unknown mode", &i, err);
        o->mode = (enum options_mode)i;
    } else if (strcmp(name, "local-address-ip-version") == 0) {
        rc = parse_choice(value, versions, 2, "unknown IP address version", &i, err);
        o->local_address_ip_version = i ? 6 : 4;
    } else if (strcmp(name, "drain-strategy") == 0) {
        rc = parse_choice(value, strategies, 2, "unknown drain-strategy", &i, err);
        o->drain_immediate = i;
    } else if (strcmp(name, "log-level") == 0) {
        if (!log_level_parse(str_of(value), &o->log_level))
            rc = error_set(err, ERR_INVALID, "error: invalid log level specified '%s'", value);
    } else if (strcmp(name, "socket-mode") == 0) {
        o->socket_mode = value;
        if (!is_octal(value))
            rc = error_set(err, ERR_INVALID, "error: invalid socket-mode '%s'", value);
    } else if (strcmp(name, "stats-tag") == 0) {
        ptrdiff_t colon = str_find(str_of(value), ':');
        if (colon < 1 || o->stats_tags_n == OPTIONS_STATS_TAGS_MAX)
            return error_set(err, ERR_INVALID,
                             "error: misformatted stats-tag '%s', expected name:value, at most %d",
                             value, OPTIONS_STATS_TAGS_MAX);
        o->stats_tags[o->stats_tags_n++] = value;
    }
    return rc;
}

static int set_flag(const struct flag *f, const char *value, struct options *o, struct error *err)
{
    char *field = (char *)o + f->offset;
    uint64_t number;
    switch (f->kind) {
    case FLAG_TEXT:
        *(const char **)field = value;
        return 0;
    case FLAG_SWITCH:
        *(bool *)field = true;
        return 0;
    case FLAG_NUMBER:
        if (!str_to_u64(str_of(value), UINT32_MAX - 1, &number))
            return error_set(err, ERR_INVALID,
                             "error: couldn't read argument value for --%s from '%s'", f->name,
                             value);
        *(uint32_t *)field = (uint32_t)number;
        return 0;
    case FLAG_CUSTOM:
        return parse_custom(f->name, value, o, err);
    case FLAG_IGNORED:
        break;
    }
    return 0;
}

/* Splits "--name=value", "--name", "-c"; *value_r is NULL when it is the next word. */
static const struct flag *split_word(const char *word, const char **value_r)
{
    bool is_letter = word[0] == '-' && word[1] != '-';
    struct str name = str_of(word + (is_letter ? 1 : 2));
    ptrdiff_t equals = str_find(name, '=');
    *value_r = equals >= 0 ? name.p + equals + 1 : NULL;
    if (equals >= 0)
        name.n = (size_t)equals;
    return find_flag(name, is_letter);
}

int options_parse(int argc, char **argv, struct options *o, struct error *err)
{
    set_defaults(o);
    for (int i = 1; i < argc; i++) {
        const char *value;
        if (argv[i][0] != '-' || !argv[i][1])
            return error_set(err, ERR_INVALID, "error: unexpected argument '%s'", argv[i]);
        const struct flag *f = split_word(argv[i], &value);
        if (!f)
            return error_set(err, ERR_INVALID, "error: couldn't find match for argument '%s'",
                             argv[i]);
        if (!takes_value(f) && value)
            return error_set(err, ERR_INVALID, "error: --%s takes no value", f->name);
        if (takes_value(f) && !value) {
            if (++i == argc)
                return error_set(err, ERR_INVALID, "error: missing a value for --%s", f->name);
            value = argv[i];
        }
        int rc = set_flag(f, value, o, err);
        if (rc || o->print != OPTIONS_RUN)
            return rc;
    }
    if (o->concurrency == UINT32_MAX)
        o->concurrency = options_default_concurrency();
    if (!o->concurrency)
        o->concurrency = 1;
    return 0;
}

char *options_usage(void)
{
    struct sbuf b = {0};
    sbuf_addz(&b, "usage: remora -c FILE [flags]\n\n");
    for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
        const struct flag *f = &flags[i];
        char letter[8] = "    ";
        if (f->letter)
            snprintf(letter, sizeof(letter), "-%c, ", f->letter);
        sbuf_printf(&b, "  %s--%-30s %s\n", letter, f->name, f->help);
    }
    return sbuf_take(&b);
}
