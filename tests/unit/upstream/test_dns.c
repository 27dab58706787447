#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "base/mem.h"
#include "fake_dns.h"
#include "net/dns.h"
#include "rig.h"
#include "upstream/dns_cluster.h"

static const struct fake_record records[] = {
    {"four.test", "127.0.0.4", 0}, {"six.test", "::6", 0},       {"both.test", "127.0.0.1", 0},
    {"both.test", "::1", 0},       {"two.test", "127.0.0.2", 0}, {"two.test", "127.0.0.1", 0},
    {"broken.test", NULL, 2},      {"empty.test", NULL, 0},
};

struct answer {
    bool is_there;
    int status;
    struct sbuf text;
};

static void on_answer(int status, const struct addr *addrs, size_t n, void *arg)
{
    struct answer *a = arg;
    char text[ADDR_TEXT_MAX];
    assert_false(a->is_there);
    a->is_there = true;
    a->status = status;
    sbuf_addz(&a->text, "");
    for (size_t i = 0; i < n; i++)
        sbuf_printf(&a->text, "%s%s", i ? " " : "", addr_format_ip(&addrs[i], text));
}

static bool is_there(void *arg)
{
    return ((struct answer *)arg)->is_there;
}

static const struct {
    const char *name;
    enum dns_family family;
    int status;
    const char *want;
} lookups[] = {
    {"four.test", DNS_V4, 0, "127.0.0.4"},
    {"four.test", DNS_AUTO, 0, "127.0.0.4"},
    {"four.test", DNS_V6, 0, ""},
    {"six.test", DNS_AUTO, 0, "::6"},
    {"six.test", DNS_V4_PREFERRED, 0, "::6"},
    {"six.test", DNS_V4, 0, ""},
    {"both.test", DNS_AUTO, 0, "::1"},
    {"both.test", DNS_V4_PREFERRED, 0, "127.0.0.1"},
    {"two.test", DNS_V4, 0, "127.0.0.2 127.0.0.1"},
    {"empty.test", DNS_V4, 0, ""},
    {"nowhere.test", DNS_V4, 0, ""},
    {"broken.test", DNS_V4, -ERR_IO, ""},
    {"127.0.0.9", DNS_V6, 0, "127.0.0.9"},
    {"::9", DNS_V4, 0, "::9"},
};

struct name_rig {
    struct rig r;
    struct fake_dns server;
    struct dns *dns;
};

static void open_names(struct name_rig *n, const struct fake_record *list, size_t len)
{
    rig_open(&n->r);
    fake_dns_open(&n->server, n->r.loop, list, len);
    assert_int_equal(dns_create(n->r.loop, &n->dns, NULL), 0);
    assert_int_equal(dns_set_servers(n->dns, n->server.address, NULL), 0);
}

static void close_names(struct name_rig *n)
{
    dns_destroy(&n->dns);
    fake_dns_close(&n->server, n->r.loop);
    rig_close(&n->r);
}

static void test_lookups(void **state)
{
    (void)state;
    struct name_rig n;
    open_names(&n, records, ARRAY_LEN(records));
    for (size_t i = 0; i < ARRAY_LEN(lookups); i++) {
        struct answer a = {0};
        dns_resolve(n.dns, lookups[i].name, lookups[i].family, on_answer, &a);
        assert_false(a.is_there); /* never from inside */
        rig_run(&n.r, is_there, &a);
        if (a.status != lookups[i].status || strcmp(a.text.p, lookups[i].want) != 0)
            fail_msg("%s: status %d '%s'", lookups[i].name, a.status, a.text.p);
        sbuf_fini(&a.text);
    }
    close_names(&n);
}

static void test_cancel_and_destroy(void **state)
{
    (void)state;
    struct name_rig n;
    struct answer a = {0}, b = {0}, c = {0};
    open_names(&n, records, ARRAY_LEN(records));
    struct dns_query *q = dns_resolve(n.dns, "four.test", DNS_V4, on_answer, &a);
    struct dns_query *literal = dns_resolve(n.dns, "127.0.0.1", DNS_V4, on_answer, &b);
    dns_cancel(&q);
    dns_cancel(&literal);
    rig_turn(&n.r, 30);
    assert_false(a.is_there || b.is_there);
    dns_resolve(n.dns, "four.test", DNS_V4, on_answer, &c);
    close_names(&n);
    assert_false(c.is_there);
}

/* ---- clusters ---- */

struct published {
    unsigned n;
    struct sbuf text; /* of the last endpoints */
};

static void on_endpoints(struct conf_endpoints *e, void *arg)
{
    struct published *p = arg;
    char text[ADDR_TEXT_MAX];
    p->n++;
    sbuf_fini(&p->text);
    sbuf_addz(&p->text, "");
    for (size_t i = 0; i < e->n; i++)
        sbuf_printf(&p->text, "%s%s/%s/%u", i ? " " : "", addr_format(&e->v[i].address, text),
                    e->v[i].hostname, e->v[i].weight);
    conf_object_unref(e);
}

static struct conf_cluster *name_cluster(enum conf_cluster_type type, const char *const *names,
                                         size_t n)
{
    struct conf_cluster *c = rig_cluster("c");
    struct addr none[4] = {0};
    c->type = type;
    c->dns_refresh_ms = 20;
    c->dns_family = CONF_DNS_V4;
    c->inline_endpoints = rig_endpoints(none, n);
    for (size_t i = 0; i < n; i++) {
        c->inline_endpoints->v[i].hostname = names[i];
        c->inline_endpoints->v[i].port = 80;
        c->inline_endpoints->v[i].weight = (uint32_t)i + 1;
    }
    return c;
}

static bool is_published(void *arg)
{
    return ((struct published *)arg)->n > 0;
}

static const struct {
    const char *name;
    enum conf_cluster_type type;
    const char *names[4];
    size_t n;
    const char *want;
} clusters[] = {
    {"strict: all addresses, sorted",
     CONF_CLUSTER_STRICT_DNS,
     {"two.test"},
     1,
     "127.0.0.1:80/two.test/1 127.0.0.2:80/two.test/1"},
    {"strict: several names",
     CONF_CLUSTER_STRICT_DNS,
     {"four.test", "both.test"},
     2,
     "127.0.0.4:80/four.test/1 127.0.0.1:80/both.test/2"},
    {"strict: one fails",
     CONF_CLUSTER_STRICT_DNS,
     {"broken.test", "four.test"},
     2,
     "127.0.0.4:80/four.test/2"},
    {"logical: the first address",
     CONF_CLUSTER_LOGICAL_DNS,
     {"two.test"},
     1,
     "127.0.0.2:80/two.test/1"},
    {"nothing found", CONF_CLUSTER_STRICT_DNS, {"nowhere.test"}, 1, ""},
    {"no names at all", CONF_CLUSTER_STRICT_DNS, {NULL}, 0, ""},
};

static void test_clusters(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(clusters); i++) {
        struct name_rig n;
        struct published p = {0};
        open_names(&n, records, ARRAY_LEN(records));
        struct conf_cluster *conf =
            name_cluster(clusters[i].type, clusters[i].names, clusters[i].n);
        struct dns_cluster *c = dns_cluster_create(n.dns, n.r.loop, conf, on_endpoints, &p);
        conf_object_unref(conf);
        assert_false(dns_cluster_is_ready(c));
        rig_run(&n.r, is_published, &p);
        assert_true(dns_cluster_is_ready(c));
        if (strcmp(p.text.p, clusters[i].want) != 0)
            fail_msg("%s: '%s'", clusters[i].name, p.text.p);
        rig_turn(&n.r, 100); /* several refreshes */
        if (p.n != 1)
            fail_msg("%s: %u calls though nothing changed", clusters[i].name, p.n);
        dns_cluster_destroy(&c);
        sbuf_fini(&p.text);
        close_names(&n);
    }
}

static void test_refresh(void **state)
{
    (void)state;
    struct name_rig n;
    struct published p = {0};
    static const char *const names[] = {"x.test"};
    static const struct fake_record first[] = {{"x.test", "127.0.0.1", 0},
                                               {"x.test", "127.0.0.2", 0}};
    static const struct fake_record rotated[] = {{"x.test", "127.0.0.2", 0},
                                                 {"x.test", "127.0.0.1", 0}};
    static const struct fake_record failing[] = {{"x.test", NULL, 2}};
    static const struct fake_record other[] = {{"x.test", "127.0.0.3", 0}};
    open_names(&n, first, 2);
    struct conf_cluster *conf = name_cluster(CONF_CLUSTER_STRICT_DNS, names, 1);
    struct dns_cluster *c = dns_cluster_create(n.dns, n.r.loop, conf, on_endpoints, &p);
    conf_object_unref(conf);
    rig_run(&n.r, is_published, &p);
    n.server.records = rotated;
    rig_turn(&n.r, 80);
    n.server.records = failing;
    n.server.records_n = 1;
    rig_turn(&n.r, 80);
    assert_int_equal(p.n, 1); /* the same addresses, then a failure: the last good stay */
    n.server.records = other;
    p.n = 0;
    rig_run(&n.r, is_published, &p);
    assert_string_equal(p.text.p, "127.0.0.3:80/x.test/1");
    dns_cluster_destroy(&c);
    sbuf_fini(&p.text);
    close_names(&n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lookups),
        cmocka_unit_test(test_cancel_and_destroy),
        cmocka_unit_test(test_clusters),
        cmocka_unit_test(test_refresh),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
