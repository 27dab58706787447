/* The one binary. It answers to several names, by argv[0] or by its first word: the proxy itself
 * (remora, envoy), and traffic capture (istio-iptables, istio-clean-iptables). */
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/version.h"
#include "filters/access_log.h"
#include "netfilter/netfilter.h"
#include "server/options.h"
#include "server/server.h"
#include "server/signals.h"
#include "wasm/abi.h"
#include "wasm/node.h"
#include "wasm/plugin.h"
#include "wasm/probe.h"
#include "xds/bootstrap.h"
#include "xds/decode.h"

static int print_and_leave(const struct options *o)
{
    if (o->print == OPTIONS_HELP) {
        char *usage = options_usage();
        fputs(usage, stdout);
        mem_free(usage);
    } else if (o->print == OPTIONS_VERSION) {
        printf("remora  version: %s\n", version_text);
    } else {
        puts(o->disable_hot_restart ? "disabled" : restart_version_text);
    }
    return 0;
}

static int open_log(const struct options *o, struct error *err)
{
    log_set_all(o->log_level);
    if (o->log_format_escaped)
        log_set_escaped();
    int rc = log_open(o->log_path, o->log_format, err);
    if (!rc && o->component_log_level[0])
        rc = log_set_components(o->component_log_level, err);
    return rc;
}

/* What holds from the first moment: no core files with secrets in them, no new privileges, nobody
 * else's debugger. */
static void harden(void)
{
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    prctl(PR_SET_DUMPABLE, 0);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

static int fail(const struct error *err)
{
    fprintf(stderr, "%s\n", err->text);
    return 1;
}

static int run_proxy(int argc, char **argv)
{
    struct options o;
    struct error err;
    if (options_parse(argc, argv, &o, &err))
        return fail(&err);
    if (o.print != OPTIONS_RUN)
        return print_and_leave(&o);
    if (open_log(&o, &err))
        return fail(&err);
    if (!o.enable_core_dump)
        harden();
    signals_block();
    decode_set_format_check(access_log_check_format);
    struct bootstrap_options bo = {
        .config_path = o.config_path,
        .config_yaml = o.config_yaml,
        .allow_unknown_static_fields = o.allow_unknown_static_fields,
        .service_node = o.service_node,
        .service_cluster = o.service_cluster,
        .service_zone = o.service_zone,
        .stats_tags = o.stats_tags,
        .stats_tags_n = o.stats_tags_n,
    };
    struct bootstrap *b = NULL;
    if (bootstrap_load(&bo, &b, &err)) {
        log_critical(LOG_MAIN, "%s", err.text);
        return 1;
    }
    if (o.mode == OPTIONS_VALIDATE) {
        printf("configuration '%s' OK\n", o.config_path);
        bootstrap_destroy(&b);
        return 0;
    }
    pwasm_global_init();
    pwasm_node_set(b->node);
    struct probe_options po = {.host = pwasm_abi_host()};
    if (probe_start(&po, &err)) {
        log_critical(LOG_MAIN, "%s", err.text);
        return 1;
    }
    int rc = server_run(&o, b);
    probe_stop();
    return rc;
}

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
} commands[] = {
    {"istio-iptables", netfilter_main},
    {"istio-clean-iptables", netfilter_clean_main},
};

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

int main(int argc, char **argv)
{
    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        if (argc > 1 && !strcmp(argv[1], commands[i].name))
            return commands[i].run(argc - 1, argv + 1);
        if (argc > 0 && !strcmp(base_name(argv[0]), commands[i].name))
            return commands[i].run(argc, argv);
    }
    return run_proxy(argc, argv);
}
