#include "netfilter/netfilter.h"

#include <stdio.h>

#include "base/log.h"
#include "base/mem.h"
#include "netfilter/apply.h"
#include "netfilter/probe.h"
#include "netfilter/route.h"

static const char not_valid_advice[] =
    "the pod's traffic is not captured: with Istio CNI this can happen when a pod starts before "
    "the node is ready; the pod then has to be deleted or repaired";

static int change_machine(const struct netfilter_options *o, struct error *err)
{
    if (o->is_dry_run)
        return apply_dry_run(o, err);
    if (o->cleanup_only) {
        int rc = apply_cleanup(o, err);
        return rc ? rc : route_cleanup(o, err);
    }
    int rc = apply_rules(o, err);
    return rc ? rc : route_setup(o, err);
}

static int run(struct netfilter_options *o, struct error *err)
{
    int rc = netfilter_options_detect(o, err);
    if (rc && o->cleanup_only) {
        log_warn(LOG_MAIN, "%s", err->text); /* rules can be removed all the same */
        rc = 0;
    }
    if (!rc && o->redirect_dns && !netfilter_options_has_dns(o))
        log_warn(LOG_MAIN, "--redirect-dns without name servers in /etc/resolv.conf and without "
                           "--capture-all-dns: DNS is not captured");
    if (!rc && !o->skip_apply)
        rc = change_machine(o, err);
    if (rc) {
        log_error(LOG_MAIN, "%s", err->text);
        return NETFILTER_FAILED;
    }
    if (o->run_validation && !o->is_dry_run && probe_run(o, err)) {
        log_error(LOG_MAIN, "%s", err->text);
        log_error(LOG_MAIN, "%s", not_valid_advice);
        return NETFILTER_NOT_VALID;
    }
    return NETFILTER_OK;
}

static int parse_and_run(int argc, char **argv, bool cleanup_only)
{
    struct netfilter_options o;
    struct error err;
    bool wants_help;
    int status = NETFILTER_FAILED;
    int rc = netfilter_options_parse(argc, argv, &o, &wants_help, &err);

    if (rc) {
        log_error(LOG_MAIN, "%s", err.text);
    } else if (wants_help) {
        char *text = netfilter_options_usage();
        fputs(text, stdout);
        mem_free(text);
        status = NETFILTER_OK;
    } else {
        o.cleanup_only |= cleanup_only;
        status = run(&o, &err);
    }
    netfilter_options_fini(&o);
    return status;
}

int netfilter_main(int argc, char **argv)
{
    return parse_and_run(argc, argv, false);
}

int netfilter_clean_main(int argc, char **argv)
{
    return parse_and_run(argc, argv, true);
}
