#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/stat.h"
#include "rig.h"
#include "upstream/upstream_private.h"

enum { PICKS = 20000, HOSTS_MAX = 8 };

struct endpoint {
    unsigned weight, priority;
    enum conf_health health;
};

/* Expected shares of the picks in percent, one per endpoint. */
static const struct {
    const char *name;
    enum conf_lb_policy policy;
    struct endpoint endpoints[HOSTS_MAX];
    unsigned n;
    double share[HOSTS_MAX];
} cases[] = {
    {"one host", CONF_LB_ROUND_ROBIN, {{1, 0, CONF_HEALTHY}}, 1, {100}},
    {"round robin",
     CONF_LB_ROUND_ROBIN,
     {{1, 0, CONF_HEALTHY}, {1, 0, CONF_HEALTHY}, {1, 0, CONF_HEALTHY}, {1, 0, CONF_HEALTHY}},
     4,
     {25, 25, 25, 25}},
    {"round robin by weight",
     CONF_LB_ROUND_ROBIN,
     {{1, 0, CONF_HEALTHY}, {3, 0, CONF_HEALTHY}, {6, 0, CONF_HEALTHY}},
     3,
     {10, 30, 60}},
    {"random ignores weights",
     CONF_LB_RANDOM,
     {{1, 0, CONF_HEALTHY}, {9, 0, CONF_HEALTHY}},
     2,
     {50, 50}},
    {"least request, all idle",
     CONF_LB_LEAST_REQUEST,
     {{1, 0, CONF_HEALTHY}, {1, 0, CONF_HEALTHY}},
     2,
     {50, 50}},
    {"least request by weight",
     CONF_LB_LEAST_REQUEST,
     {{1, 0, CONF_HEALTHY}, {4, 0, CONF_HEALTHY}},
     2,
     {20, 80}},
    {"unhealthy is left out",
     CONF_LB_ROUND_ROBIN,
     {{1, 0, CONF_HEALTHY}, {1, 0, CONF_UNHEALTHY}, {1, 0, CONF_HEALTHY}},
     3,
     {50, 0, 50}},
    {"draining is left out",
     CONF_LB_ROUND_ROBIN,
     {{1, 0, CONF_DRAINING}, {1, 0, CONF_HEALTHY}},
     2,
     {0, 100}},
    {"panic: under half is healthy",
     CONF_LB_ROUND_ROBIN,
     {{1, 0, CONF_HEALTHY}, {1, 0, CONF_UNHEALTHY}, {1, 0, CONF_UNHEALTHY}},
     3,
     {33.3, 33.3, 33.3}},
    {"panic: nobody is healthy",
     CONF_LB_ROUND_ROBIN,
     {{1, 0, CONF_UNHEALTHY}, {1, 0, CONF_UNHEALTHY}},
     2,
     {50, 50}},
    {"second priority waits",
     CONF_LB_ROUND_ROBIN,
     {{1, 0, CONF_HEALTHY}, {1, 1, CONF_HEALTHY}},
     2,
     {100, 0}},
    {"second priority takes over",
     CONF_LB_ROUND_ROBIN,
     {{1, 0, CONF_UNHEALTHY}, {1, 1, CONF_HEALTHY}},
     2,
     {0, 100}},
    /* 1.4 * 1/2 = 70 % stay with the first level. */
    {"second priority shares",
     CONF_LB_ROUND_ROBIN,
     {{1, 0, CONF_HEALTHY}, {1, 0, CONF_UNHEALTHY}, {1, 1, CONF_HEALTHY}},
     3,
     {70, 0, 30}},
    {"degraded takes the rest",
     CONF_LB_ROUND_ROBIN,
     {{1, 0, CONF_HEALTHY}, {1, 0, CONF_DEGRADED}},
     2,
     {70, 30}},
    {"only degraded", CONF_LB_ROUND_ROBIN, {{1, 0, CONF_DEGRADED}}, 1, {100}},
    {"priorities may have gaps",
     CONF_LB_ROUND_ROBIN,
     {{1, 3, CONF_HEALTHY}, {1, 3, CONF_HEALTHY}},
     2,
     {50, 50}},
};

static struct addr addr_of(unsigned i)
{
    struct addr a;
    addr_from_ip(STR("127.0.0.1"), (uint16_t)(10000 + i), &a, NULL);
    return a;
}

static struct conf_endpoints *make_endpoints(const struct endpoint *e, unsigned n)
{
    struct addr addrs[HOSTS_MAX] = {0};
    for (unsigned i = 0; i < n; i++)
        addrs[i] = addr_of(i);
    struct conf_endpoints *out = rig_endpoints(addrs, n);
    for (unsigned i = 0; i < n; i++) {
        out->v[i].weight = e[i].weight;
        out->v[i].priority = e[i].priority;
        out->v[i].health = e[i].health;
    }
    return out;
}

static struct upstream_cluster *find(struct rig *r)
{
    return upstreams_find(r->u, r->snapshot, STR("c"));
}

static void test_shares(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct rig r;
        unsigned counts[HOSTS_MAX] = {0};
        struct lb_context ctx = {0};
        rig_open(&r);
        struct conf_cluster *conf = rig_cluster("c");
        conf->lb_policy = cases[i].policy;
        rig_publish(&r, conf, make_endpoints(cases[i].endpoints, cases[i].n));
        for (int j = 0; j < PICKS; j++) {
            struct upstream_host *h = upstream_pick(find(&r), &ctx);
            counts[addr_port(upstream_host_addr(h)) - 10000]++;
            upstream_host_unref(h);
        }
        for (unsigned j = 0; j < cases[i].n; j++) {
            double got = 100.0 * counts[j] / PICKS, off = got - cases[i].share[j];
            if (off < -2 || off > 2)
                fail_msg("%s: host %u got %.1f %%, not %.1f", cases[i].name, j, got,
                         cases[i].share[j]);
        }
        rig_close(&r);
    }
}

static void test_least_request_avoids_the_busy(void **state)
{
    (void)state;
    static const struct endpoint two[] = {{1, 0, CONF_HEALTHY}, {1, 0, CONF_HEALTHY}};
    struct rig r;
    struct lb_context ctx = {0};
    unsigned busy = 0;
    rig_open(&r);
    struct conf_cluster *conf = rig_cluster("c");
    conf->lb_policy = CONF_LB_LEAST_REQUEST;
    rig_publish(&r, conf, make_endpoints(two, 2));
    find(&r)->hosts[0]->stats.rq_active = 5;
    for (int j = 0; j < PICKS; j++) {
        struct upstream_host *h = upstream_pick(find(&r), &ctx);
        busy += h == find(&r)->hosts[0];
        upstream_host_unref(h);
    }
    /* Both picks must hit it: a quarter. */
    assert_in_range(busy, PICKS * 22 / 100, PICKS * 28 / 100);
    rig_close(&r);
}

static void test_no_hosts(void **state)
{
    (void)state;
    struct rig r;
    struct lb_context ctx = {0};
    rig_open(&r);
    rig_publish(&r, rig_cluster("c"), NULL);
    assert_null(upstream_pick(find(&r), &ctx));
    assert_int_equal(stat_read("cluster.c.upstream_cx_none_healthy"), 1);
    rig_publish(&r, rig_cluster("c"), rig_endpoints(NULL, 0));
    assert_null(upstream_pick(find(&r), &ctx));
    rig_close(&r);
}

/* An address that stays keeps its host object, and with it its connections. */
static void test_hosts_are_kept_by_address(void **state)
{
    (void)state;
    struct rig r;
    struct addr a[3] = {addr_of(0), addr_of(1), addr_of(2)};
    rig_open(&r);
    rig_publish(&r, rig_cluster("c"), rig_endpoints(a, 2));
    struct upstream_cluster *c = find(&r);
    struct upstream_host *second = c->hosts[1];
    rig_publish(&r, rig_cluster("c"), rig_endpoints(a + 1, 2));
    assert_ptr_equal(find(&r), c);
    assert_int_equal(c->hosts_n, 2);
    assert_ptr_equal(c->hosts[0], second);
    assert_false(second->is_removed);
    struct addr twice[2] = {a[1], a[1]};
    rig_publish(&r, rig_cluster("c"), rig_endpoints(twice, 2));
    assert_int_equal(c->hosts_n, 1);
    assert_ptr_equal(c->hosts[0], second);
    rig_close(&r);
}

static void test_cluster_that_vanished(void **state)
{
    (void)state;
    struct rig r;
    struct addr a = addr_of(0);
    struct lb_context ctx = {0};
    rig_open(&r);
    rig_publish(&r, rig_cluster("c"), rig_endpoints(&a, 1));
    struct snapshot *old = snapshot_ref(r.snapshot);
    struct upstream_host *held = upstream_pick(find(&r), &ctx);
    rig_publish(&r, rig_cluster("d"), rig_endpoints(&a, 1));
    assert_null(upstreams_find(r.u, r.snapshot, STR("c")));
    assert_non_null(upstreams_find(r.u, r.snapshot, STR("d")));
    /* A stream that began before still has it. */
    assert_non_null(upstreams_find(r.u, old, STR("c")));
    assert_null(upstreams_find(r.u, r.snapshot, STR("c")));
    assert_int_equal(addr_port(upstream_host_addr(held)), 10000);
    upstream_host_unref(held);
    snapshot_unref(old);
    rig_close(&r);
}

/* ---- original destination ---- */

static const struct {
    const char *name;
    bool use_header;
    const char *dst, *header; /* "": not given */
    uint16_t dst_port, override;
    const char *want; /* NULL: no host */
} original_dst[] = {
    {"restored address", false, "127.0.0.7", "", 80, 0, "127.0.0.7:80"},
    {"nothing restored", false, "", "", 0, 0, NULL},
    {"port override", false, "127.0.0.7", "", 80, 8080, "127.0.0.7:8080"},
    {"header is not asked for", false, "127.0.0.7", "127.0.0.8:1", 80, 0, "127.0.0.7:80"},
    {"header", true, "127.0.0.7", "127.0.0.8:81", 80, 0, "127.0.0.8:81"},
    {"header, IPv6", true, "", "[::1]:81", 0, 0, "[::1]:81"},
    {"header absent", true, "127.0.0.7", "", 80, 0, "127.0.0.7:80"},
    {"header is no address", true, "127.0.0.7", "example.com:80", 80, 0, NULL},
    {"header without a port", true, "127.0.0.7", "127.0.0.8", 80, 0, NULL},
    {"header with a large port", true, "127.0.0.7", "127.0.0.8:70000", 80, 0, NULL},
};

static void open_original_dst(struct rig *r, bool use_header, uint16_t override)
{
    struct conf_cluster *conf = rig_cluster("c");
    rig_open(r);
    conf->type = CONF_CLUSTER_ORIGINAL_DST;
    conf->lb_policy = CONF_LB_CLUSTER_PROVIDED;
    conf->use_http_header = use_header;
    conf->original_dst_port = override;
    rig_publish(r, conf, NULL);
}

static void test_original_dst(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(original_dst); i++) {
        struct rig r;
        struct addr dst = {0};
        char text[ADDR_TEXT_MAX];
        open_original_dst(&r, original_dst[i].use_header, original_dst[i].override);
        if (original_dst[i].dst[0])
            addr_from_ip(str_of(original_dst[i].dst), original_dst[i].dst_port, &dst, NULL);
        struct lb_context ctx = {.original_dst = &dst};
        if (original_dst[i].header[0])
            ctx.original_dst_header = str_of(original_dst[i].header);
        struct upstream_host *h = upstream_pick(find(&r), &ctx);
        const char *got = h ? addr_format(upstream_host_addr(h), text) : "none";
        if (strcmp(got, original_dst[i].want ? original_dst[i].want : "none") != 0)
            fail_msg("%s: %s", original_dst[i].name, got);
        if (h)
            upstream_host_unref(h);
        rig_close(&r);
    }
}

static void test_original_dst_forgets_unused(void **state)
{
    (void)state;
    struct rig r;
    struct addr dst = addr_of(0);
    struct lb_context ctx = {.original_dst = &dst};
    open_original_dst(&r, false, 0);
    struct upstream_cluster *c = find(&r);
    struct upstream_host *h = upstream_pick(c, &ctx);
    assert_ptr_equal(upstream_pick(c, &ctx), h);
    upstream_host_unref(h);
    assert_int_equal(c->hosts_n, 1);
    lb_original_dst_on_timer(&c->cleanup_timer); /* used since the last time */
    lb_original_dst_on_timer(&c->cleanup_timer); /* still held */
    assert_int_equal(c->hosts_n, 1);
    upstream_host_unref(h);
    lb_original_dst_on_timer(&c->cleanup_timer);
    assert_int_equal(c->hosts_n, 0);
    h = upstream_pick(c, &ctx);
    assert_non_null(h);
    upstream_host_unref(h);
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shares),
        cmocka_unit_test(test_least_request_avoids_the_busy),
        cmocka_unit_test(test_no_hosts),
        cmocka_unit_test(test_hosts_are_kept_by_address),
        cmocka_unit_test(test_cluster_that_vanished),
        cmocka_unit_test(test_original_dst),
        cmocka_unit_test(test_original_dst_forgets_unused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
