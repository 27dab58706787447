#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/arena.h"
#include "base/mem.h"
#include "base/regex.h"
#include "base/stat.h"
#include "conf/stats.h"

/* ---- tags ---- */

/* "TAG=VALUE ..." in the order of extractors, and what is left of the name. */
struct row {
    const char *name, *tags, *rest;
};

static void check_row(struct conf_stat_tags *t, const struct row *row)
{
    struct conf_stat_label labels[80];
    struct sbuf rest = {0}, got = {0};
    assert_true(t->n <= ARRAY_LEN(labels));
    sbuf_addz(&got, "");
    size_t n = conf_stat_tags_find(t, str_of(row->name), labels, &rest);
    for (size_t i = 0; i < n; i++)
        sbuf_printf(&got, "%s%s=%.*s", i ? " " : "", labels[i].name, STR_ARG(labels[i].value));
    if (strcmp(got.p, row->tags) || strcmp(rest.p, row->rest))
        fail_msg("%s: %s | %s", row->name, got.p, rest.p);
    sbuf_fini(&got);
    sbuf_fini(&rest);
}

/* As Envoy 1.40 names them. */
static const struct row defaults[] = {
    {"server.live", "", "server.live"},
    {"server", "", "server"},
    {"cluster", "", "cluster"},
    {"", "", ""},
    {"cluster.x.upstream_rq_total", "envoy.cluster_name=x", "cluster.upstream_rq_total"},
    {"cluster.x.upstream_rq_200", "envoy.response_code=200 envoy.cluster_name=x",
     "cluster.upstream_rq"},
    {"cluster.x.upstream_rq_2xx", "envoy.response_code_class=2 envoy.cluster_name=x",
     "cluster.upstream_rq_xx"},
    {"cluster.x.upstream_rq_2000", "envoy.cluster_name=x", "cluster.upstream_rq_2000"},
    {"cluster.a.b.retry.upstream_rq_503", "envoy.response_code=503 envoy.cluster_name=a",
     "cluster.b.retry.upstream_rq"},
    {"cluster.x.circuit_breakers.default.cx_open", "envoy.cluster_name=x",
     "cluster.circuit_breakers.default.cx_open"},
    {"cluster.x", "envoy.cluster_name=x", "cluster"},
    {"cluster_manager.cds.version", "", "cluster_manager.cds.version"},
    {"cluster.x.ssl.ciphers.TLS_AES_128_GCM_SHA256",
     "cipher_suite=TLS_AES_128_GCM_SHA256 envoy.cluster_name=x", "cluster.ssl.ciphers"},
    {"cluster.x.ssl.curves.X25519", "envoy.ssl_curve=X25519 envoy.cluster_name=x",
     "cluster.ssl.curves"},
    {"cluster.x.ssl.certificate.n.expiration_unix_time_seconds",
     "envoy.tls_certificate=n envoy.cluster_name=x",
     "cluster.ssl.certificate.expiration_unix_time_seconds"},
    {"cluster.x.grpc.s.m.success",
     "envoy.grpc_bridge_method=m envoy.grpc_bridge_service=s envoy.cluster_name=x",
     "cluster.grpc.success"},
    {"cluster.x.ext_authz.p.ok", "envoy.cluster_name=x envoy.ext_authz_prefix=p",
     "cluster.ext_authz.ok"},
    {"cluster.x.health_check.name.h.success", "envoy.health_check_name=h envoy.cluster_name=x",
     "cluster.health_check.success"},
    {"http.in.downstream_rq_2xx", "envoy.response_code_class=2 envoy.http_conn_manager_prefix=in",
     "http.downstream_rq_xx"},
    {"http.in.rds.a.b-c.version", "envoy.rds_route_config=a.b-c envoy.http_conn_manager_prefix=in",
     "http.rds.version"},
    {"http.in.scoped_rds.s.version", "envoy.scoped_rds_config=s envoy.http_conn_manager_prefix=in",
     "http.scoped_rds.version"},
    {"http.in.fault.c.aborts_injected",
     "envoy.fault_downstream_cluster=c envoy.http_conn_manager_prefix=in",
     "http.fault.aborts_injected"},
    {"http.in.rbac.p.allowed", "envoy.rbac_http_prefix=p envoy.http_conn_manager_prefix=in",
     "http.rbac.allowed"},
    {"http.in.rbac.policy.p.denied", "envoy.rbac_policy_name=p envoy.http_conn_manager_prefix=in",
     "http.rbac.policy.denied"},
    {"n.rbac.allowed", "envoy.rbac_prefix=n", "rbac.allowed"},
    {"n.http_local_rate_limit.ok", "envoy.local_http_ratelimit_prefix=n",
     "http_local_rate_limit.ok"},
    {"listener.0.0.0.0_80.downstream_cx_total", "envoy.listener_address=0.0.0.0_80",
     "listener.downstream_cx_total"},
    {"listener.[__1]_80.downstream_cx_total", "envoy.listener_address=[__1]_80",
     "listener.downstream_cx_total"},
    {"listener.my.pre.downstream_cx_total", "envoy.listener_address=my",
     "listener.pre.downstream_cx_total"},
    {"listener.admin.downstream_cx_total", "", "listener.admin.downstream_cx_total"},
    {"listener.admin.http.admin.downstream_rq_2xx",
     "envoy.response_code_class=2 envoy.http_conn_manager_prefix=admin",
     "listener.admin.http.downstream_rq_xx"},
    {"listener.127.0.0.1_8.worker_3.downstream_cx_active",
     "envoy.worker_id=3 envoy.listener_address=127.0.0.1_8",
     "listener.worker_downstream_cx_active"},
    {"listener.127.0.0.1_8.http.in.downstream_rq_5xx",
     "envoy.response_code_class=5 envoy.http_conn_manager_prefix=in "
     "envoy.listener_address=127.0.0.1_8",
     "listener.http.downstream_rq_xx"},
    {"listener.127.0.0.1_8.ssl.versions.TLSv1.3",
     "envoy.ssl_version=TLSv1.3 envoy.listener_address=127.0.0.1_8", "listener.ssl.versions"},
    {"listener.127.0.0.1_8.ssl.ciphers.AES128-SHA",
     "envoy.ssl_cipher=AES128-SHA envoy.listener_address=127.0.0.1_8", "listener.ssl.ciphers"},
    {"server.worker_0.watchdog_miss", "envoy.worker_id=0", "server.worker_watchdog_miss"},
    {"listener_manager.workers_started", "", "listener_manager.workers_started"},
    {"tcp.a.b.downstream_cx_total", "envoy.tcp_prefix=a", "tcp.b.downstream_cx_total"},
    {"auth.clientssl.p.auth_success", "envoy.clientssl_prefix=p", "auth.clientssl.auth_success"},
    {"vhost.v.vcluster.c.upstream_rq_200",
     "envoy.response_code=200 envoy.virtual_cluster=c envoy.virtual_host=v",
     "vhost.vcluster.upstream_rq"},
    {"vhost.v.route.r.upstream_rq_2xx",
     "envoy.response_code_class=2 envoy.virtual_host=v envoy.route=r",
     "vhost.route.upstream_rq_xx"},
    {"sds.s.update_success", "envoy.xds_resource_name=s", "sds.update_success"},
    {"proxy_proto.versions.v2.found", "envoy.proxy_protocol_version=2", "proxy_proto.found"},
    {"proxy_proto.p.versions.v1.error",
     "envoy.proxy_protocol_prefix=p envoy.proxy_protocol_version=1", "proxy_proto.error"},
    {"proxy_proto.not_found_allowed", "", "proxy_proto.not_found_allowed"},
    {"proxy_proto.p.not_found_allowed", "envoy.proxy_protocol_prefix=p",
     "proxy_proto.not_found_allowed"},
    {"connection_limit.c.limited_connections", "envoy.connection_limit_prefix=c",
     "connection_limit.limited_connections"},
    {"mongo.p.collection.c.callsite.s.query.total",
     "envoy.mongo_callsite=s envoy.mongo_collection=c envoy.mongo_prefix=p",
     "mongo.collection.callsite.query.total"},
    {"mongo.p.collection.c.query.total", "envoy.mongo_collection=c envoy.mongo_prefix=p",
     "mongo.collection.query.total"},
    {"http.p.dynamodb.table.t.capacity.o.__partition_id=ABC1234",
     "envoy.dynamo_partition_id=ABC1234 envoy.dynamo_operation=o envoy.dynamo_table=t "
     "envoy.http_conn_manager_prefix=p",
     "http.dynamodb.table.capacity"},
};

static void test_default_tags(void **state)
{
    (void)state;
    struct conf_stat_tags t = {0};
    assert_true(conf_stat_tags_add_default(&t, NULL));
    for (size_t i = 0; i < ARRAY_LEN(defaults); i++)
        check_row(&t, &defaults[i]);
    conf_stat_tags_fini(&t);
}

/* Each default expression compiles: one that does not would find nothing. */
static void test_default_expressions(void **state)
{
    (void)state;
    for (size_t i = 0; i < conf_stat_default_tags_n; i++) {
        struct regex *re = NULL;
        struct error err;
        const struct conf_stat_tag *t = &conf_stat_default_tags[i];
        if (!t->pattern)
            continue;
        if (regex_create(str_of(t->pattern), &re, &err))
            fail_msg("%s: %s", t->name, err.text);
        assert_int_equal(regex_groups(re), 2);
        regex_destroy(&re);
    }
}

static struct arena texts;

static void add(struct conf_stat_tags *t, const char *name, const char *pattern, const char *value)
{
    struct conf_stat_tag tag = {.name = name, .value = value};
    struct sbuf re2 = {0};
    if (pattern) {
        conf_stat_pattern(pattern, &re2);
        tag.pattern = arena_strdup(&texts, re2.p);
    }
    conf_stat_tags_add(t, &tag);
    sbuf_fini(&re2);
}

/* The tags of Istio's bootstrap. */
static const struct row istio[] = {
    {"cluster.outbound|80||a.ns.svc.cluster.local.upstream_rq_200",
     "response_code=200 cluster_name=outbound|80||a.ns.svc.cluster.local", "cluster.upstream_rq"},
    {"cluster.outbound|80|v1|a.ns.svc.cluster.local.upstream_cx_total",
     "cluster_name=outbound|80|v1|a.ns.svc.cluster.local", "cluster.upstream_cx_total"},
    {"cluster.xds-grpc.upstream_rq_5xx", "response_code_class=5xx cluster_name=xds-grpc",
     "cluster.upstream_rq"},
    {"tcp.outbound|1||b.upstream_flush_active", "tcp_prefix=outbound|1||b",
     "tcp.upstream_flush_active"},
    {"listener.10.0.0.1_80.downstream_cx_total", "listener_address=10.0.0.1_80",
     "listener.downstream_cx_total"},
    {"listener.[__1]_80.downstream_cx_total", "listener_address=[__1]_80",
     "listener.downstream_cx_total"},
    {"listener.0.0.0.0_15006.http.inbound_0.0.0.0_15006.downstream_rq_2xx",
     "response_code_class=2xx listener_address=0.0.0.0_15006",
     "listener.http.inbound_0.0.0.0_15006.downstream_rq"},
    {"listener.0.0.0.0_15006.http.0.0.0.0_15006.downstream_rq_2xx",
     "response_code_class=2xx http_conn_manager_listener_prefix=0.0.0.0_15006 "
     "listener_address=0.0.0.0_15006",
     "listener.http.downstream_rq"},
    {"http.0.0.0.0_80.rq_total", "http_conn_manager_prefix=0.0.0.0_80", "http.rq_total"},
    {"http.outbound_0.0.0.0_80;.rq_total", "", "http.outbound_0.0.0.0_80;.rq_total"},
    {"mongo.p.x.collection.c.query", "mongo_prefix=collection", "mongo..collection.c.query"},
    {"wasmcustom.istio_requests_total.reporter=.=source;.;source_app=.=a.b;.;",
     "reporter=source source_app=a.b", "wasmcustom.istio_requests_total."},
    {"component.proxy.tag.1.2;.istio_build", "component=proxy tag=1.2", "istio_build"},
    {"wasm_filter.stats.cache.hit.metric_cache_count", "cache=hit wasm_filter=stats",
     "metric_cache_count"},
    {"http.10.0.0.1_80.rbac.allowed",
     "authz_enforce_result=allowed "
     "http_conn_manager_prefix=10.0.0.1_80",
     "http.rbac"},
    {"http.p.rbac.istio_dry_run_allow_shadow_denied", "authz_dry_run_action=allow",
     "http.p.rbacshadow_denied"},
};

static void test_istio_tags(void **state)
{
    (void)state;
    struct conf_stat_tags t = {0};
    add(&t, "cluster_name", "^cluster\\.((.+?(\\..+?\\.svc\\.cluster\\.local)?)\\.)", NULL);
    add(&t, "tcp_prefix", "^tcp\\.((.*?)\\.)\\w+?$", NULL);
    add(&t, "response_code", "_rq(_(\\d{3}))$", NULL);
    add(&t, "response_code_class", "_rq(_(\\dxx))$", NULL);
    add(&t, "http_conn_manager_listener_prefix",
        "^listener(?=\\.).*?\\.http\\.(((?:[_.[:digit:]]*|[_\\[\\]aAbBcCdDeEfF[:digit:]]*))\\.)",
        NULL);
    add(&t, "http_conn_manager_prefix",
        "^http\\.(((?:[_.[:digit:]]*|[_\\[\\]aAbBcCdDeEfF[:digit:]]*))\\.)", NULL);
    add(&t, "listener_address",
        "^listener\\.(((?:[_.[:digit:]]*|[_\\[\\]aAbBcCdDeEfF[:digit:]]*))\\.)", NULL);
    add(&t, "mongo_prefix", "^mongo\\.(.+?)\\.(collection|cmd|cx_|op_|delays_|decoding_)(.*?)$",
        NULL);
    add(&t, "reporter", "(reporter=\\.=(.*?);\\.;)", NULL);
    add(&t, "source_app", "(source_app=\\.=(.*?);\\.;)", NULL);
    add(&t, "cache", "(cache\\.(.+?)\\.)", NULL);
    add(&t, "component", "(component\\.(.+?)\\.)", NULL);
    add(&t, "tag", "(tag\\.(.+?);\\.)", NULL);
    add(&t, "wasm_filter", "(wasm_filter\\.(.+?)\\.)", NULL);
    add(&t, "authz_enforce_result", "rbac(\\.(allowed|denied))", NULL);
    add(&t, "authz_dry_run_action", "(\\.istio_dry_run_(allow|deny)_)", NULL);
    add(&t, "authz_dry_run_result", "(\\.shadow_(allowed|denied))", NULL);
    for (size_t i = 0; i < ARRAY_LEN(istio); i++)
        check_row(&t, &istio[i]);
    conf_stat_tags_fini(&t);
}

/* What Envoy does with expressions of other forms. */
static void test_own_tags(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"http.pre.x", "fix=v envoy.http_conn_manager_prefix=pre opt=", "http.x"},
        {"cluster.a.rq_total", "alt=rq_total fix=v envoy.cluster_name=a", "cluster.rq_total"},
        {"cluster.a.rq_active", "fix=v envoy.cluster_name=a", "cluster.rq_active"},
        {"x.alt.y", "fix=v", "x.alt.y"},
    };
    struct conf_stat_tags t = {0};
    assert_true(conf_stat_tags_add_default(&t, "envoy.cluster_name"));
    assert_true(conf_stat_tags_add_default(&t, "envoy.http_conn_manager_prefix"));
    assert_int_equal(t.n, 3); /* two for the prefix */
    assert_false(conf_stat_tags_add_default(&t, "envoy.other"));
    add(&t, "opt", "^http\\.(zzz\\.)?pre", NULL);
    add(&t, "alt", "(cx_zzz)|(rq_total)", NULL);
    add(&t, "nogroup", "rq_active", NULL);
    add(&t, "fix", NULL, "v");
    add(&t, "envoy.cluster_name", "^cluster\\.(a)\\.", NULL); /* the first of a name wins */
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        check_row(&t, &rows[i]);
    conf_stat_tags_fini(&t);
}

static void test_patterns(void **state)
{
    (void)state;
    static const struct {
        const char *ecma, *re2;
    } rows[] = {
        {"^a(?=\\.).*?\\.b", "^a\\.(?:.*?\\.)??b"},
        {"^a(?=\\.).*\\.(b)", "^a\\.(?:.*\\.)?(b)"},
        {"a(?=\\.)\\.b", "a\\.b"},
        {"a(?=b)", "a(?=b)"},
        {"\\(?=\\.).*?\\.", "\\(?=\\.).*?\\."},
        {"a\\", "a\\"},
        {"", ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct sbuf got = {0};
        sbuf_addz(&got, "");
        conf_stat_pattern(rows[i].ecma, &got);
        assert_string_equal(got.p, rows[i].re2);
        sbuf_fini(&got);
    }
}

static void test_parts(void **state)
{
    (void)state;
    static const struct {
        const char *re2, *part; /* NULL: none */
    } rows[] = {
        {"_rq(_(\\d{3}))$", "_rq"},
        {"rbac(\\.(allowed|denied))", "rbac"},
        {"(reporter=\\.=(.*?);\\.;)", "reporter=.="},
        {"(\\.istio_dry_run_(allow|deny)_)", ".istio_dry_run_"},
        {"^cluster\\.((.+?(\\..+?\\.svc\\.cluster\\.local)?)\\.)", "cluster."},
        {"^listener\\.(?:.*?\\.)??http\\.(((?:[_.[:digit:]]*|[\\]a]*))\\.)", "listener."},
        {"abc|def", NULL},
        {"(abc|def)g", NULL},
        {"(abc)?de", NULL},
        {"(abc){2}", NULL},
        {"(abc)+", "abc"},
        {"abcd?", "abc"},
        {"abcd*e", "abc"},
        {"abcd+efgh", "abcd"},
        {"abc{2}wxyz", "wxyz"},
        {"abc{2,}wxyz{1,3}", "wxy"},
        {"ab{x|cdefg", NULL},
        {"ab{c", "ab{c"},
        {"[[:]abc|d]xyz", NULL},
        {"[[:alpha:]|]xyz", "xyz"},
        {"(?i)abc", NULL},
        {"(?:abc)", "abc"},
        {"abc\\x41", NULL},
        {"\\Qabc\\E", NULL},
        {"[abc]xyz", "xyz"},
        {"[]abc]", NULL},
        {"ab", NULL},
        {"", NULL},
        {"((((((((((((((((abc))))))))))))))))", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct sbuf got = {0};
        bool is_found = conf_stat_pattern_part(rows[i].re2, &got);
        if (is_found != (rows[i].part != NULL) || (is_found && strcmp(got.p, rows[i].part)))
            fail_msg("%s: %s", rows[i].re2, got.p ? got.p : "none");
        sbuf_fini(&got);
    }
}

/* ---- which are kept, buckets ---- */

static struct conf_string_match match(enum conf_string_match_kind kind, const char *text)
{
    struct conf_string_match m = {.kind = kind, .text = str_of(text)};
    struct error err;
    if (kind == CONF_STRING_REGEX && regex_create(m.text, &m.regex, &err))
        fail_msg("%s", err.text);
    return m;
}

static void test_kept(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        bool is_listed;
    } rows[] = {
        {"cluster_manager.cds.version", true},
        {"cluster.a.upstream_rq_total", false},
        {"http.in.rbac.allowed", true},
        {"http.in.rbac.allowed_x", false},
        {"a.ssl_context_update_by_sds", true},
        {"listener.1.downstream_cx_active", true},
        {"listener.1.downstream_cx_total", false},
    };
    struct conf_string_match list[] = {
        match(CONF_STRING_PREFIX, "cluster_manager"),
        match(CONF_STRING_SUFFIX, "rbac.allowed"),
        match(CONF_STRING_CONTAINS, "_update_"),
        match(CONF_STRING_REGEX, "listener\\..*active"),
    };
    struct conf_stats c = {.list = list, .list_n = ARRAY_LEN(list)};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct str name = str_of(rows[i].name);
        c.kept = CONF_STATS_ONLY;
        if (conf_stats_rejects(name, &c) == rows[i].is_listed)
            fail_msg("%s: inclusion", rows[i].name);
        c.kept = CONF_STATS_BUT;
        if (conf_stats_rejects(name, &c) != rows[i].is_listed)
            fail_msg("%s: exclusion", rows[i].name);
        c.kept = CONF_STATS_NONE;
        assert_true(conf_stats_rejects(name, &c));
        c.kept = CONF_STATS_ALL;
        assert_false(conf_stats_rejects(name, &c));
    }
    conf_stats_fini(&c);
}

static void test_buckets(void **state)
{
    (void)state;
    double one[] = {1}, two[] = {1, 2};
    struct conf_stat_buckets settings[] = {
        {match(CONF_STRING_SUFFIX, "rq_time"), one, 1},
        {match(CONF_STRING_PREFIX, "cluster."), two, 2},
    };
    struct conf_stats c = {.buckets = settings, .buckets_n = 2};
    assert_int_equal(conf_stats_buckets(&c, STR("cluster.a.upstream_rq_time"))->n, 1);
    assert_int_equal(conf_stats_buckets(&c, STR("cluster.a.upstream_cx_length_ms"))->n, 2);
    assert_int_equal(conf_stats_buckets(&c, STR("http.a.downstream_cx_length_ms"))->n, 19);
    conf_stats_fini(&c);
}

/* ---- what becomes of rejected ones ---- */

static void note(const struct stat_value *v, void *arg)
{
    sbuf_printf(arg, "%s=%lu%s ", v->name, (unsigned long)v->value, v->is_used ? "!" : "");
}

static void expect(const char *want)
{
    struct sbuf seen = {0};
    sbuf_addz(&seen, "");
    stat_each(&(struct stat_visit){.kinds = STAT_ALL, .fn = note, .arg = &seen});
    assert_string_equal(seen.p, want);
    sbuf_fini(&seen);
}

static void test_rejected(void **state)
{
    (void)state;
    struct conf_string_match list[] = {match(CONF_STRING_PREFIX, "no.")};
    struct conf_stats c = {.kept = CONF_STATS_BUT, .list = list, .list_n = 1};
    stat_id before = stat_define(STAT_COUNTER, "no.before"),
            yes = stat_define(STAT_GAUGE, "yes.gauge");
    stat_set_rejects(conf_stats_rejects, &c);
    stat_id hist = stat_define(STAT_HISTOGRAM, "no.%s", "hist"),
            text = stat_define(STAT_TEXT, "no.text"), counter = stat_define(STAT_COUNTER, "no.c");
    assert_int_not_equal(counter, 0); /* else whoever defines at first use would do it again */
    stat_add(before, 1);
    stat_add(counter, 1);
    stat_record(hist, 7);
    stat_set_text(text, STR("t"));
    expect("yes.gauge=0 ");
    stat_inc(yes);
    expect("yes.gauge=1! ");
    stat_add(yes, -1);
    expect("yes.gauge=0! "); /* used, though it is 0 again */
    stat_release(hist);
    stat_release(text);
    stat_release(counter);
    stat_set_rejects(NULL, NULL);
    expect("no.before=1! yes.gauge=0! ");
    stat_release(yes);
    yes = stat_define(STAT_GAUGE, "yes.gauge");
    expect("no.before=1! yes.gauge=0 ");
    stat_set(yes, 0);
    expect("no.before=1! yes.gauge=0! ");
    stat_reset_counters();
    expect("no.before=0! yes.gauge=0! ");
    stat_release(before);
    stat_release(yes);
    conf_stats_fini(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_default_tags), cmocka_unit_test(test_default_expressions),
        cmocka_unit_test(test_istio_tags),   cmocka_unit_test(test_own_tags),
        cmocka_unit_test(test_patterns),     cmocka_unit_test(test_parts),
        cmocka_unit_test(test_kept),         cmocka_unit_test(test_buckets),
        cmocka_unit_test(test_rejected),
    };
    arena_init(&texts, 0);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_fini(&texts);
    return failed;
}
