#include "netfilter/options.h"

#include <pwd.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/log.h"
#include "base/mem.h"
#include "netfilter/check.h"
#include "netfilter/pflag.h"

enum { OWNER_GROUPS_MAX = 64, LIST_MAX = 1024 };

/* Flags as they stand on the command line, before lists are split and checked. */
struct raw {
    uint16_t envoy_port, inbound_capture_port, inbound_tunnel_port, probe_port;
    uint32_t probe_timeout_ms;
    const char *proxy_uid, *proxy_gid, *mode, *inbound_ports, *exclude_ports, *exclude_interfaces;
    const char *service_cidr, *service_exclude_cidr, *outbound_ports, *outbound_ports_exclude;
    const char *virtual_interfaces, *tproxy_mark, *tproxy_table, *force_binary;
    const char *log_level;
    bool dry_run, skip_apply, run_validation, redirect_dns, capture_all_dns, drop_invalid;
    bool dual_stack, cni_mode, reconcile, cleanup_only, force_apply, native_nftables;
};

#define AT(field) offsetof(struct raw, field)

static const struct pflag flags[] = {
    /* No variable for this one: a Kubernetes service named "envoy" would set ENVOY_PORT. */
    {"envoy-port", 'p', NULL, NULL, PFLAG_PORT, AT(envoy_port), "port for outbound traffic"},
    {"inbound-capture-port", 'z', "INBOUND_CAPTURE_PORT", NULL, PFLAG_PORT,
     AT(inbound_capture_port), "port for inbound traffic"},
    {"inbound-tunnel-port", 'e', "INBOUND_TUNNEL_PORT", NULL, PFLAG_PORT, AT(inbound_tunnel_port),
     "HBONE port, not captured"},
    {"proxy-uid", 'u', "PROXY_UID", NULL, PFLAG_STRING, AT(proxy_uid),
     "users whose traffic is not captured (the proxy's)"},
    {"proxy-gid", 'g', "PROXY_GID", NULL, PFLAG_STRING, AT(proxy_gid),
     "groups whose traffic is not captured (default: the value of -u)"},
    {"istio-inbound-interception-mode", 'm', "ISTIO_INBOUND_INTERCEPTION_MODE", NULL, PFLAG_STRING,
     AT(mode), "REDIRECT or TPROXY"},
    {"istio-inbound-ports", 'b', "ISTIO_INBOUND_PORTS", NULL, PFLAG_STRING, AT(inbound_ports),
     "inbound ports to capture, or '*'"},
    {"istio-local-exclude-ports", 'd', "ISTIO_LOCAL_EXCLUDE_PORTS", NULL, PFLAG_STRING,
     AT(exclude_ports), "inbound ports not to capture, with -b '*'"},
    {"istio-exclude-interfaces", 'c', "ISTIO_EXCLUDE_INTERFACES", NULL, PFLAG_STRING,
     AT(exclude_interfaces), "interfaces whose traffic is not captured"},
    {"istio-service-cidr", 'i', "ISTIO_SERVICE_CIDR", NULL, PFLAG_STRING, AT(service_cidr),
     "outbound address ranges to capture, or '*'"},
    {"istio-service-exclude-cidr", 'x', "ISTIO_SERVICE_EXCLUDE_CIDR", NULL, PFLAG_STRING,
     AT(service_exclude_cidr), "outbound address ranges not to capture"},
    {"istio-outbound-ports", 'q', "ISTIO_OUTBOUND_PORTS", NULL, PFLAG_STRING, AT(outbound_ports),
     "outbound ports to capture whatever the address"},
    {"istio-local-outbound-ports-exclude", 'o', "ISTIO_LOCAL_OUTBOUND_PORTS_EXCLUDE", NULL,
     PFLAG_STRING, AT(outbound_ports_exclude), "outbound ports not to capture"},
    {"kube-virt-interfaces", 'k', "KUBE_VIRT_INTERFACES", NULL, PFLAG_STRING,
     AT(virtual_interfaces), "virtual interfaces whose inbound traffic counts as outbound"},
    {"istio-inbound-tproxy-mark", 't', "ISTIO_INBOUND_TPROXY_MARK", NULL, PFLAG_STRING,
     AT(tproxy_mark), "packet mark in TPROXY mode"},
    {"istio-inbound-tproxy-route-table", 'r', "ISTIO_INBOUND_TPROXY_ROUTE_TABLE", NULL,
     PFLAG_STRING, AT(tproxy_table), "route table in TPROXY mode"},
    {"dry-run", 'n', "DRY_RUN", NULL, PFLAG_BOOL, AT(dry_run),
     "change nothing; write the rules to $DRY_RUN_FILE_PATH"},
    {"iptables-probe-port", 0, "IPTABLES_PROBE_PORT", NULL, PFLAG_PORT, AT(probe_port),
     "port that --run-validation connects to"},
    {"probe-timeout", 0, "PROBE_TIMEOUT", NULL, PFLAG_DURATION, AT(probe_timeout_ms),
     "how long --run-validation may take"},
    {"skip-rule-apply", 0, "SKIP_RULE_APPLY", NULL, PFLAG_BOOL, AT(skip_apply), "apply no rules"},
    {"run-validation", 0, "RUN_VALIDATION", NULL, PFLAG_BOOL, AT(run_validation),
     "check that traffic is captured; exit status 126 if not"},
    {"redirect-dns", 0, "REDIRECT_DNS", "ISTIO_META_DNS_CAPTURE", PFLAG_BOOL, AT(redirect_dns),
     "capture DNS traffic to the servers of resolv.conf"},
    {"capture-all-dns", 0, "CAPTURE_ALL_DNS", NULL, PFLAG_BOOL, AT(capture_all_dns),
     "with --redirect-dns: capture DNS traffic to any server"},
    {"drop-invalid", 0, "DROP_INVALID", "INVALID_DROP", PFLAG_BOOL, AT(drop_invalid),
     "drop packets that conntrack calls invalid"},
    {"dual-stack", 0, "DUAL_STACK", "ISTIO_DUAL_STACK", PFLAG_BOOL, AT(dual_stack),
     "capture IPv4 and IPv6"},
    {"network-namespace", 0, "NETWORK_NAMESPACE", NULL, PFLAG_IGNORED, 0,
     "accepted, without effect"},
    {"cni-mode", 0, "CNI_MODE", NULL, PFLAG_BOOL, AT(cni_mode), "not supported"},
    {"reconcile", 0, "RECONCILE", NULL, PFLAG_BOOL, AT(reconcile),
     "replace differing rules (always done)"},
    {"cleanup-only", 0, "CLEANUP_ONLY", NULL, PFLAG_BOOL, AT(cleanup_only), "remove the rules"},
    {"force-apply", 0, "FORCE_APPLY", NULL, PFLAG_BOOL, AT(force_apply),
     "apply the rules even if they are in place"},
    {"native-nftables", 0, "NATIVE_NFTABLES", NULL, PFLAG_BOOL, AT(native_nftables),
     "not supported"},
    {"force-iptables-binary", 0, "FORCE_IPTABLES_BINARY", NULL, PFLAG_STRING, AT(force_binary),
     "legacy or nft"},
    {"log_output_level", 0, NULL, NULL, PFLAG_STRING, AT(log_level),
     "SCOPE:LEVEL,...; the scope default or all counts"},
    {"log_as_json", 0, NULL, NULL, PFLAG_IGNORED_BOOL, 0, "accepted, without effect"},
    {"log_target", 0, NULL, NULL, PFLAG_IGNORED, 0, "accepted, without effect"},
    {"log_stacktrace_level", 0, NULL, NULL, PFLAG_IGNORED, 0, "accepted, without effect"},
    {"log_caller", 0, NULL, NULL, PFLAG_IGNORED, 0, "accepted, without effect"},
};

void words_add(struct arena *arena, struct words *w, struct str word)
{
    const char **v = w->v;
    if ((w->n & (w->n - 1)) == 0) { /* full at each power of two: room for twice as many */
        v = arena_alloc(arena, (w->n ? w->n * 2 : 1) * sizeof(*v));
        if (w->n)
            memcpy(v, w->v, w->n * sizeof(*v));
    }
    v[w->n++] = arena_strndup(arena, word.p, word.n);
    w->v = v;
}

/* Splits at commas, drops empty items and checks each one; `what` names the flag in err. */
static int split(struct netfilter_options *o, const char *text, const char *what, check_fn *check,
                 struct words *w, struct error *err)
{
    struct str rest = str_of(text), item;
    while (str_next(&rest, ',', &item)) {
        if (!item.n)
            continue;
        if (!check(item))
            return error_set(err, ERR_INVALID, "%s: invalid value \"%.*s\"", what, STR_ARG(item));
        if (w->n == LIST_MAX)
            return error_set(err, ERR_LIMIT, "%s: more than %d items", what, LIST_MAX);
        words_add(&o->arena, w, item);
    }
    return 0;
}

static int split_ranges(struct netfilter_options *o, const char *text, const char *what,
                        struct ranges *r, struct error *err)
{
    struct str rest = str_of(text), item;
    if (strcmp(text, "*") == 0) {
        r->is_all = true;
        return 0;
    }
    while (str_next(&rest, ',', &item)) {
        struct cidr c;
        if (!item.n)
            continue;
        if (!check_cidr(item, &c))
            return error_set(err, ERR_INVALID,
                             "%s: \"%.*s\" is not an address range such as 10.0.0.0/8", what,
                             STR_ARG(item));
        struct words *w = c.is_v6 ? &r->v6 : &r->v4;
        if (w->n == LIST_MAX)
            return error_set(err, ERR_LIMIT, "%s: more than %d items", what, LIST_MAX);
        words_add(&o->arena, w, str_of(c.text));
        r->has_loopback |= c.is_loopback;
    }
    return 0;
}

static const char *default_proxy_uid(struct netfilter_options *o)
{
    const char *user = getenv("ENVOY_USER");
    struct passwd *pw = getpwnam(user ? user : "istio-proxy");
    return pw ? arena_printf(&o->arena, "%u", (unsigned)pw->pw_uid) : "1337";
}

static int take_owners(struct netfilter_options *o, const struct raw *raw, struct error *err)
{
    const char *uid = *raw->proxy_uid ? raw->proxy_uid : default_proxy_uid(o);
    const char *gid = *raw->proxy_gid ? raw->proxy_gid : uid;
    const char *only = getenv("ISTIO_OUTBOUND_OWNER_GROUPS");
    const char *except = getenv("ISTIO_OUTBOUND_OWNER_GROUPS_EXCLUDE");
    int rc;

    if ((rc = split(o, uid, "--proxy-uid", check_owner, &o->proxy_uids, err)) ||
        (rc = split(o, gid, "--proxy-gid", check_owner, &o->proxy_gids, err)))
        return rc;
    o->captures_all_groups = !only || strcmp(only, "*") == 0;
    if (o->captures_all_groups)
        return split(o, except ? except : "", "ISTIO_OUTBOUND_OWNER_GROUPS_EXCLUDE", check_owner,
                     &o->owner_groups, err);
    rc = split(o, only, "ISTIO_OUTBOUND_OWNER_GROUPS", check_owner, &o->owner_groups, err);
    if (!rc && o->owner_groups.n > OWNER_GROUPS_MAX)
        rc = error_set(err, ERR_LIMIT, "ISTIO_OUTBOUND_OWNER_GROUPS: more than %d groups",
                       OWNER_GROUPS_MAX);
    return rc;
}

static int take_loopback(struct netfilter_options *o, struct error *err)
{
    const char *text = getenv("ISTIO_OUTBOUND_IPV4_LOOPBACK_CIDR");
    struct cidr c;

    o->loopback_v4 = text ? text : "127.0.0.1/32";
    if (!check_cidr(str_of(o->loopback_v4), &c) || c.is_v6 || !c.is_loopback || c.prefix_len < 8)
        return error_set(err, ERR_INVALID,
                         "ISTIO_OUTBOUND_IPV4_LOOPBACK_CIDR: \"%s\" is not a range of IPv4 "
                         "loopback addresses",
                         o->loopback_v4);
    return 0;
}

static int take_lists(struct netfilter_options *o, const struct raw *raw, struct error *err)
{
    int rc;

    o->captures_inbound = *raw->inbound_ports;
    o->captures_all_inbound = strcmp(raw->inbound_ports, "*") == 0;
    if (!o->captures_all_inbound && (rc = split(o, raw->inbound_ports, "--istio-inbound-ports",
                                                check_port, &o->inbound_ports, err)))
        return rc;
    if ((rc = split(o, raw->exclude_ports, "--istio-local-exclude-ports", check_port,
                    &o->inbound_exclude_ports, err)) ||
        (rc = split(o, raw->outbound_ports, "--istio-outbound-ports", check_port,
                    &o->outbound_ports, err)) ||
        (rc = split(o, raw->outbound_ports_exclude, "--istio-local-outbound-ports-exclude",
                    check_port, &o->outbound_exclude_ports, err)) ||
        (rc = split(o, raw->exclude_interfaces, "--istio-exclude-interfaces", check_interface,
                    &o->exclude_interfaces, err)) ||
        (rc = split(o, raw->virtual_interfaces, "--kube-virt-interfaces", check_interface,
                    &o->virtual_interfaces, err)) ||
        (rc = split_ranges(o, raw->service_cidr, "--istio-service-cidr", &o->outbound, err)) ||
        (rc = split_ranges(o, raw->service_exclude_cidr, "--istio-service-exclude-cidr",
                           &o->outbound_exclude, err)))
        return rc;
    if (o->outbound_exclude.is_all)
        return error_set(err, ERR_INVALID,
                         "--istio-service-exclude-cidr: \"*\" is not an address range");
    return 0;
}

static int take_scalars(struct netfilter_options *o, const struct raw *raw, struct error *err)
{
    const char *path = getenv("DRY_RUN_FILE_PATH");

    o->proxy_port = raw->envoy_port;
    o->inbound_capture_port = raw->inbound_capture_port;
    o->inbound_tunnel_port = raw->inbound_tunnel_port;
    o->probe_port = raw->probe_port;
    o->probe_timeout_ms = raw->probe_timeout_ms;
    o->is_dry_run = raw->dry_run;
    o->skip_apply = raw->skip_apply;
    o->run_validation = raw->run_validation;
    o->redirect_dns = raw->redirect_dns;
    o->capture_all_dns = raw->capture_all_dns;
    o->drop_invalid = raw->drop_invalid;
    o->dual_stack = raw->dual_stack;
    o->reconcile = raw->reconcile;
    o->cleanup_only = raw->cleanup_only;
    o->force_apply = raw->force_apply;
    o->force_binary = raw->force_binary;
    o->dry_run_file_path = path ? path : "";
    o->is_tproxy = strcmp(raw->mode, "TPROXY") == 0;
    o->tproxy_mark = raw->tproxy_mark;
    o->tproxy_table = raw->tproxy_table;
    if (!check_number(str_of(raw->tproxy_mark), &o->tproxy_mark_value))
        return error_set(err, ERR_INVALID, "--istio-inbound-tproxy-mark: invalid value \"%s\"",
                         raw->tproxy_mark);
    if (!check_number(str_of(raw->tproxy_table), &o->tproxy_table_value) || !o->tproxy_table_value)
        return error_set(err, ERR_INVALID,
                         "--istio-inbound-tproxy-route-table: invalid value \"%s\"",
                         raw->tproxy_table);
    if (*o->force_binary && strcmp(o->force_binary, "legacy") && strcmp(o->force_binary, "nft"))
        return error_set(err, ERR_INVALID,
                         "--force-iptables-binary: \"%s\" is neither legacy nor nft",
                         o->force_binary);
    if (raw->cni_mode)
        return error_set(err, ERR_UNSUPPORTED, "--cni-mode is not supported");
    if (raw->native_nftables)
        return error_set(err, ERR_UNSUPPORTED,
                         "--native-nftables is not supported; leave it out, the rules then go "
                         "through iptables-nft");
    return 0;
}

/* Istio's level words for the scopes "default" and "all"; other scopes have no meaning here. */
static void take_log_level(const char *spec)
{
    struct str rest = str_of(spec), item;
    while (str_next(&rest, ',', &item)) {
        enum log_level level;
        ptrdiff_t colon = str_find(item, ':');
        struct str scope = {item.p, colon < 0 ? 0 : (size_t)colon};
        struct str name = colon < 0 ? item : (struct str){item.p + colon + 1, item.n - colon - 1};
        if (scope.n && !str_is(scope, "default") && !str_is(scope, "all"))
            continue;
        if (str_is(name, "none"))
            log_set_all(LEVEL_OFF);
        else if (str_is(name, "fatal"))
            log_set_all(LEVEL_CRITICAL);
        else if (log_level_parse(name, &level))
            log_set_all(level);
    }
}

int netfilter_options_parse(int argc, char **argv, struct netfilter_options *o, bool *wants_help_r,
                            struct error *err)
{
    struct raw raw = {.envoy_port = 15001,
                      .inbound_capture_port = 15006,
                      .inbound_tunnel_port = 15008,
                      .probe_port = 15002,
                      .probe_timeout_ms = 5000,
                      .tproxy_mark = "1337",
                      .tproxy_table = "133"};
    int rc;

    *o = (struct netfilter_options){.host_family = AF_INET};
    arena_init(&o->arena, 0);
    for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
        const char **at = (const char **)(void *)((char *)&raw + flags[i].offset);
        if (flags[i].kind == PFLAG_STRING && !*at)
            *at = "";
    }
    rc = pflag_parse(flags, ARRAY_LEN(flags), argc, argv, &raw, wants_help_r, err);
    if (rc || *wants_help_r)
        return rc;
    take_log_level(raw.log_level);
    if ((rc = take_scalars(o, &raw, err)) || (rc = take_lists(o, &raw, err)) ||
        (rc = take_owners(o, &raw, err)))
        return rc;
    return take_loopback(o, err);
}

void netfilter_options_fini(struct netfilter_options *o)
{
    arena_fini(&o->arena);
}

bool netfilter_options_has_dns(const struct netfilter_options *o)
{
    return o->redirect_dns && (o->capture_all_dns || o->dns_v4.n || o->dns_v6.n);
}

char *netfilter_options_usage(void)
{
    struct sbuf b = {0};
    sbuf_addz(&b, "Sets up the rules that lead a pod's traffic to the sidecar.\n\n"
                  "Usage: istio-iptables [flags]\n\nFlags:\n");
    for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
        const struct pflag *f = &flags[i];
        if (f->short_name)
            sbuf_printf(&b, "  -%c, --%s\n", f->short_name, f->name);
        else
            sbuf_printf(&b, "      --%s\n", f->name);
        sbuf_printf(&b, "          %s", f->help);
        if (f->env)
            sbuf_printf(&b, " [%s%s%s]", f->env, f->env_second ? ", " : "",
                        f->env_second ? f->env_second : "");
        sbuf_addc(&b, '\n');
    }
    return sbuf_take(&b);
}
