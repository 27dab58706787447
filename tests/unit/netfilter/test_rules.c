/* Flags to iptables-restore text: one golden file per row, IPv4 and then (if the pod has it) IPv6.
 * A line in a golden file is a rule that people compare with `iptables-save` on their pods. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include <sys/socket.h>

#include "base/mem.h"
#include "netfilter/render_iptables.h"

enum { ARGS_MAX = 64, GOLDEN_MAX = 32768 };

static const struct {
    const char *name, *args;
    const char *env, *env_value; /* one variable, or NULL */
    bool has_ipv6;
    const char *dns_v4, *dns_v6; /* comma lists, or NULL */
} rows[] = {
    {"injected", "-p 15001 -z 15006 -u 1337 -m REDIRECT -i * -x= -b * -d 15090,15021,15020", NULL,
     NULL, true, NULL, NULL},
    {"nothing", "-u 1337", NULL, NULL, false, NULL, NULL},
    {"ranges",
     "-u 1337 -b 80,443, -i 10.0.0.0/8,2001:DB8:0::1/32 -x 10.1.0.0/16,2001:db8:1::/48 -k "
     "eth1,eth2 "
     "-c eth3 -q 9000 -o 7000,8000:8010",
     NULL, NULL, true, NULL, NULL},
    {"all-with-virtual-interfaces", "-u 1337 -i * -k vnet0,vnet1", NULL, NULL, false, NULL, NULL},
    {"owners", "-u 1,2 -g 3 -i *", NULL, NULL, false, NULL, NULL},
    {"groups-only", "-u 1337 -i *", "ISTIO_OUTBOUND_OWNER_GROUPS", "java,202", false, NULL, NULL},
    {"groups-none", "-u 1337 -i *", "ISTIO_OUTBOUND_OWNER_GROUPS", "", false, NULL, NULL},
    {"groups-except", "-u 1337 -i *", "ISTIO_OUTBOUND_OWNER_GROUPS_EXCLUDE", "888,ftp", false, NULL,
     NULL},
    {"loopback-range", "-u 1337 -i 127.1.2.3/32", NULL, NULL, true, NULL, NULL},
    {"loopback-cidr", "-u 1337 -i * -b *", "ISTIO_OUTBOUND_IPV4_LOOPBACK_CIDR", "127.0.0.1/8", true,
     NULL, NULL},
    {"ports", "-p 15101 -z 15106 -e 15108 -u 1337 -i * -b * --drop-invalid", NULL, NULL, false,
     NULL, NULL},
    {"dns-servers", "-u 1337 -i * --redirect-dns", NULL, NULL, true, "10.0.0.10,10.0.0.11",
     "fd00::10"},
    {"dns-servers-v4-only", "-u 1337 -i * --redirect-dns", NULL, NULL, true, "10.0.0.10", NULL},
    {"dns-without-servers", "-u 1337 -i * --redirect-dns", NULL, NULL, true, NULL, NULL},
    {"dns-all", "-u 1337 -i * --redirect-dns --capture-all-dns", NULL, NULL, true, NULL, NULL},
    {"tproxy", "-u 1337 -m TPROXY -i * -b * -d 15090 -c eth3", NULL, NULL, true, NULL, NULL},
    {"tproxy-ports", "-u 1337 -m TPROXY -i * -b 80,443 -t 0x77", NULL, NULL, false, NULL, NULL},
    {"tproxy-no-inbound", "-u 1337 -m TPROXY -i *", NULL, NULL, false, NULL, NULL},
};

static int split_args(char *text, char **argv)
{
    int argc = 0;
    argv[argc++] = "istio-iptables";
    for (char *next = text; next && argc < ARGS_MAX;) {
        argv[argc++] = next;
        next = strchr(next, ' ');
        if (next)
            *next++ = 0;
    }
    return argc;
}

static void add_servers(struct netfilter_options *o, struct words *w, const char *list)
{
    struct str rest = str_of(list ? list : ""), item;
    while (str_next(&rest, ',', &item))
        words_add(&o->arena, w, item);
}

static void render_row(size_t i, struct sbuf *text)
{
    struct netfilter_options o;
    struct error err;
    char *args = mem_strdup(rows[i].args), *argv[ARGS_MAX];
    bool wants_help;

    if (rows[i].env)
        setenv(rows[i].env, rows[i].env_value, 1);
    int argc = split_args(args, argv);
    if (netfilter_options_parse(argc, argv, &o, &wants_help, &err))
        fail_msg("%s: %s", rows[i].name, err.text);
    if (rows[i].env)
        unsetenv(rows[i].env);
    o.has_ipv6 = rows[i].has_ipv6;
    add_servers(&o, &o.dns_v4, rows[i].dns_v4);
    add_servers(&o, &o.dns_v6, rows[i].dns_v6);
    for (int v6 = 0; v6 <= o.has_ipv6; v6++) {
        struct rule_set set;
        rule_set_build(&set, v6 ? AF_INET6 : AF_INET, &o);
        render_iptables_restore(text, &set);
        rule_set_fini(&set);
    }
    netfilter_options_fini(&o);
    mem_free(args);
}

static void test_golden_files(void **state)
{
    (void)state;
    const char *update = getenv("UPDATE_GOLDEN");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char path[512], expected[GOLDEN_MAX];
        struct sbuf text = {0};
        render_row(i, &text);
        snprintf(path, sizeof(path), "%s/%s.golden", GOLDEN_DIR, rows[i].name);
        FILE *f = fopen(path, update ? "w+" : "r");
        if (!f)
            fail_msg("%s: cannot open %s", rows[i].name, path);
        if (update)
            fwrite(text.p, 1, text.n, f);
        rewind(f);
        size_t n = fread(expected, 1, sizeof(expected) - 1, f);
        expected[n] = 0;
        fclose(f);
        if (strcmp(expected, text.p))
            fail_msg("%s: expected\n%s\nactual\n%s", rows[i].name, expected, text.p);
        sbuf_fini(&text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_golden_files)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
