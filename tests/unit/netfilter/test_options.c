#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/log.h"
#include "base/mem.h"
#include "netfilter/check.h"
#include "netfilter/options.h"
#include "netfilter/pflag.h"

enum { ARGS_MAX = 8 };

static int parse(const char *const args[ARGS_MAX], struct netfilter_options *o, bool *wants_help_r,
                 struct error *err)
{
    char *argv[ARGS_MAX + 1] = {"istio-iptables"};
    int argc = 1;
    while (argc < ARGS_MAX && args[argc - 1]) {
        argv[argc] = (char *)(uintptr_t)args[argc - 1];
        argc++;
    }
    return netfilter_options_parse(argc, argv, o, wants_help_r, err);
}

static void test_syntax(void **state)
{
    (void)state;
    static const struct {
        const char *args[ARGS_MAX];
        uint16_t proxy_port;
        bool is_dry_run;
    } rows[] = {
        {{NULL}, 15001, false},
        {{"-p", "1"}, 1, false},
        {{"-p1"}, 1, false},
        {{"-p=1"}, 1, false},
        {{"--envoy-port", "1"}, 1, false},
        {{"--envoy-port=1"}, 1, false},
        {{"-np", "1"}, 1, true},
        {{"-np1"}, 1, true},
        {{"-n=false", "-p", "2"}, 2, false},
        {{"--dry-run=T"}, 15001, true},
        {{"--dry-run", "false"}, 15001, true},
        {{"init", "-p", "3"}, 3, false},
        {{"--", "-p", "3"}, 15001, false},
        {{"-p", "4", "-p", "5"}, 5, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct netfilter_options o;
        struct error err;
        bool wants_help;
        if (parse(rows[i].args, &o, &wants_help, &err))
            fail_msg("row %zu: %s", i, err.text);
        if (o.proxy_port != rows[i].proxy_port || o.is_dry_run != rows[i].is_dry_run)
            fail_msg("row %zu: port %u dry run %d", i, o.proxy_port, o.is_dry_run);
        netfilter_options_fini(&o);
    }
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *args[ARGS_MAX];
        const char *text;
    } rows[] = {
        {{"--nonsense"}, "unknown flag: --nonsense"},
        {{"-pX"}, "--envoy-port: invalid value \"X\""},
        {{"-nZ"}, "unknown shorthand flag: 'Z' in -nZ"},
        {{"-p"}, "--envoy-port: needs a value"},
        {{"-p", "0"}, "--envoy-port: invalid value \"0\""},
        {{"-p", "65536"}, "--envoy-port: invalid value \"65536\""},
        {{"-n=maybe"}, "--dry-run: invalid value \"maybe\""},
        {{"--probe-timeout=5"}, "--probe-timeout: invalid value \"5\""},
        {{"-b", "80,x"}, "--istio-inbound-ports: invalid value \"x\""},
        {{"-b", "80 -j ACCEPT"}, "--istio-inbound-ports: invalid value \"80 -j ACCEPT\""},
        {{"-o", "*"}, "--istio-local-outbound-ports-exclude: invalid value \"*\""},
        {{"-c", "eth0\nCOMMIT"}, "--istio-exclude-interfaces: invalid value \"eth0\nCOMMIT\""},
        {{"-c", "sixteen-bytes-if"},
         "--istio-exclude-interfaces: invalid value \"sixteen-bytes-if\""},
        {{"-u", "-j"}, "--proxy-uid: invalid value \"-j\""},
        {{"-i", "10.0.0.1"},
         "--istio-service-cidr: \"10.0.0.1\" is not an address range such as 10.0.0.0/8"},
        {{"-x", "10.0.0.0/33"},
         "--istio-service-exclude-cidr: \"10.0.0.0/33\" is not an address "
         "range such as 10.0.0.0/8"},
        {{"-x", "*"}, "--istio-service-exclude-cidr: \"*\" is not an address range"},
        {{"-t", "x"}, "--istio-inbound-tproxy-mark: invalid value \"x\""},
        {{"-r", "0"}, "--istio-inbound-tproxy-route-table: invalid value \"0\""},
        {{"--force-iptables-binary=x"}, "--force-iptables-binary: \"x\" is neither legacy nor nft"},
        {{"--cni-mode"}, "--cni-mode is not supported"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct netfilter_options o;
        struct error err;
        bool wants_help;
        if (!parse(rows[i].args, &o, &wants_help, &err) || strcmp(err.text, rows[i].text))
            fail_msg("row %zu: expected %s, got %s", i, rows[i].text, err.text);
        netfilter_options_fini(&o);
    }
}

static void test_environment(void **state)
{
    (void)state;
    static const struct {
        const char *name, *value, *second, *second_value, *arg;
        bool redirects_dns;
    } rows[] = {
        {"REDIRECT_DNS", "true", NULL, NULL, NULL, true},
        {"REDIRECT_DNS", "maybe", NULL, NULL, NULL, false},
        {"REDIRECT_DNS", "true", "ISTIO_META_DNS_CAPTURE", "false", NULL, false},
        {"REDIRECT_DNS", "false", "ISTIO_META_DNS_CAPTURE", "1", NULL, true},
        {"REDIRECT_DNS", "true", "ISTIO_META_DNS_CAPTURE", "junk", NULL, true},
        {"ISTIO_META_DNS_CAPTURE", "true", NULL, NULL, "--redirect-dns=false", false},
        {"ENVOY_PORT", "tcp://10.0.0.1:80", NULL, NULL, NULL, false},
    };
    log_set_all(LEVEL_OFF);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct netfilter_options o;
        struct error err;
        bool wants_help;
        setenv(rows[i].name, rows[i].value, 1);
        if (rows[i].second)
            setenv(rows[i].second, rows[i].second_value, 1);
        int rc = parse((const char *const[ARGS_MAX]){rows[i].arg}, &o, &wants_help, &err);
        unsetenv(rows[i].name);
        if (rows[i].second)
            unsetenv(rows[i].second);
        if (rc)
            fail_msg("row %zu: %s", i, err.text);
        if (o.redirect_dns != rows[i].redirects_dns || o.proxy_port != 15001)
            fail_msg("row %zu: %d", i, o.redirect_dns);
        netfilter_options_fini(&o);
    }
    log_set_all(LEVEL_INFO);
}

static void test_refused_environment(void **state)
{
    (void)state;
    static const struct {
        const char *name, *value;
    } rows[] = {
        {"ISTIO_OUTBOUND_IPV4_LOOPBACK_CIDR", "10.0.0.0/8"},
        {"ISTIO_OUTBOUND_IPV4_LOOPBACK_CIDR", "127.0.0.0/7"},
        {"ISTIO_OUTBOUND_IPV4_LOOPBACK_CIDR", "::1/128"},
        {"ISTIO_OUTBOUND_OWNER_GROUPS", "a b"},
        {"ISTIO_OUTBOUND_OWNER_GROUPS_EXCLUDE", "-j"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct netfilter_options o;
        struct error err;
        bool wants_help;
        setenv(rows[i].name, rows[i].value, 1);
        int rc = parse((const char *const[ARGS_MAX]){NULL}, &o, &wants_help, &err);
        unsetenv(rows[i].name);
        if (!rc || strncmp(err.text, rows[i].name, strlen(rows[i].name)))
            fail_msg("row %zu: accepted", i);
        netfilter_options_fini(&o);
    }
}

static void test_too_many_groups(void **state)
{
    (void)state;
    for (int n = 64; n <= 65; n++) {
        struct netfilter_options o;
        struct error err;
        bool wants_help;
        struct sbuf list = {0};
        for (int i = 0; i < n; i++)
            sbuf_printf(&list, "g%d,", i);
        setenv("ISTIO_OUTBOUND_OWNER_GROUPS", list.p, 1);
        int rc = parse((const char *const[ARGS_MAX]){NULL}, &o, &wants_help, &err);
        unsetenv("ISTIO_OUTBOUND_OWNER_GROUPS");
        assert_int_equal(rc, n == 64 ? 0 : -ERR_LIMIT);
        netfilter_options_fini(&o);
        sbuf_fini(&list);
    }
}

static void test_durations(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool ok;
        uint32_t ms;
    } rows[] = {
        {"5s", true, 5000}, {"1m30s", true, 90000}, {"1.5h", true, 5400000}, {"300ms", true, 300},
        {"0", true, 0},     {"2000us", true, 2},    {"24h", true, 86400000}, {"25h", false, 0},
        {"5", false, 0},    {"", false, 0},         {"s", false, 0},         {"-1s", false, 0},
        {"5s ", false, 0},  {"1e3s", false, 0},     {".s", false, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint32_t ms = 0;
        bool ok = pflag_to_duration_ms(str_of(rows[i].text), &ms);
        if (ok != rows[i].ok || (ok && ms != rows[i].ms))
            fail_msg("\"%s\": %d %u", rows[i].text, ok, ms);
    }
}

static void test_cidrs(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out; /* out NULL: refused */
        bool is_loopback;
    } rows[] = {
        {"10.0.0.0/8", "10.0.0.0/8", false},
        {"10.1.2.3/8", "10.1.2.3/8", false},
        {"127.1.2.3/32", "127.1.2.3/32", true},
        {"2001:DB8:0:0::1/32", "2001:db8::1/32", false},
        {"::1/128", "::1/128", true},
        {"::2/128", "::2/128", false},
        {"0.0.0.0/0", "0.0.0.0/0", false},
        {"10.0.0.0", NULL, false},
        {"10.0.0/8", NULL, false},
        {"10.0.0.0/33", NULL, false},
        {"::/129", NULL, false},
        {"/8", NULL, false},
        {"10.0.0.0/", NULL, false},
        {"fe80::1%eth0/64", NULL, false},
        {"1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb/64", NULL, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct cidr c;
        bool ok = check_cidr(str_of(rows[i].in), &c);
        if (ok != (rows[i].out != NULL))
            fail_msg("%s: %d", rows[i].in, ok);
        if (ok && (strcmp(c.text, rows[i].out) || c.is_loopback != rows[i].is_loopback))
            fail_msg("%s: %s %d", rows[i].in, c.text, c.is_loopback);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_syntax),          cmocka_unit_test(test_refused),
        cmocka_unit_test(test_environment),     cmocka_unit_test(test_refused_environment),
        cmocka_unit_test(test_too_many_groups), cmocka_unit_test(test_durations),
        cmocka_unit_test(test_cidrs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
