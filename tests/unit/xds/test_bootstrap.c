#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/mem.h"
#include "envoy/config/bootstrap/v3/bootstrap.pb-c.h"
#include "envoy/config/core/v3/base.pb-c.h"
#include "proto/pb.h"
#include "xds/bootstrap.h"
#include "yaml.h"

#define NODE "node: {id: i, cluster: c}"
#define ENDPOINT(address) \
    "load_assignment: {endpoints: [{lb_endpoints: [{endpoint: {address: {" address "}}}]}]}"
#define CLUSTER(name) \
    "{name: " name ", " ENDPOINT("socket_address: {address: 127.0.0.1, port_value: 18000}") "}"
#define STATIC "static_resources: {clusters: [" CLUSTER("xds") "]}"
#define API(type, fields) "{api_type: " type ", transport_api_version: V3, " fields "}"
#define GRPC(type) API(type, "grpc_services: [{envoy_grpc: {cluster_name: xds}}]")
#define DYNAMIC(fields) "{" NODE ", " STATIC ", dynamic_resources: {" fields "}}"
#define LISTENER(name)                                                                  \
    "{name: " name ", address: {socket_address: {address: 127.0.0.1, port_value: 1}}, " \
    "filter_chains: [{filters: [{name: t, typed_config: {'@type': type.googleapis.com/" \
    "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy, stat_prefix: s, cluster: xds}}]}]}"
#define STATS(fields) "{stats_config: {" fields "}}"
#define ERROR "error initializing configuration '': "

static struct bootstrap *load(const struct bootstrap_options *o, struct error *err)
{
    struct bootstrap *b;
    int rc = bootstrap_load(o, &b, err);
    assert_int_equal(rc == 0, b != NULL);
    return b;
}

static struct bootstrap *load_good(const char *yaml)
{
    struct error err = {0};
    struct bootstrap *b = load(&(struct bootstrap_options){.config_yaml = yaml}, &err);
    if (!b)
        fail_msg("%s: %s", err.text, yaml);
    return b;
}

static const struct {
    const char *name, *yaml, *error;
} bad[] = {
    {"nothing", "", "At least one of --config-path or --config-yaml should be non-empty"},
    {"no YAML", "{a", NULL},
    {"no object", "[]",
     "--config-yaml: Unable to convert YAML as JSON: the bootstrap must be an object"},
    {"unknown field", "{static_resources: {clusters: [{nam: x}]}}",
     "--config-yaml: static_resources.clusters[0].nam: unknown field"},
    {"refused field", "{static_resources: {listeners: [{api_listener: {}}]}}",
     "static_resources.listeners[0].api_listener: not supported"},
    {"bad cluster", "{static_resources: {clusters: [{name: a, connect_timeout: 0s}]}}",
     "static_resources.clusters[0].connect_timeout: must be above 0"},
    {"cluster twice", "{static_resources: {clusters: [{name: a}, {name: b}, {name: a}]}}",
     "static_resources.clusters[2].name: cluster manager: duplicate cluster 'a'"},
    {"listener twice", "{static_resources: {listeners: [" LISTENER("a") ", " LISTENER("a") "]}}",
     "static_resources.listeners[1].name: duplicate listener 'a'"},
    {"a secret that is not there",
     "{static_resources: {clusters: [{name: a, transport_socket: {name: t, typed_config: {'@type': "
     "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext, "
     "common_tls_context: {validation_context_sds_secret_config: {name: s}}}}}]}}",
     "static_resources.clusters[0].transport_socket: Unknown static secret: 's'"},
    {"a secret of another kind",
     "{static_resources: {secrets: [{name: s, generic_secret: {secret: {inline_string: x}}}], "
     "clusters: [{name: a, transport_socket: {name: t, typed_config: {'@type': "
     "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext, "
     "common_tls_context: {validation_context_sds_secret_config: {name: s}}}}}]}}",
     "static_resources.clusters[0].transport_socket: static secret 's' is of another kind"},
#define LAYERS(...) "{layered_runtime: {layers: [" __VA_ARGS__ "]}}"
    {"layer without a kind", LAYERS("{name: a}"),
     "layered_runtime.layers[0].layer_specifier: required"},
    {"layer twice", LAYERS("{name: a, static_layer: {}}, {name: a, admin_layer: {}}"),
     "layered_runtime.layers[1].name: Duplicate layer name: a"},
    {"two administrators", LAYERS("{name: a, admin_layer: {}}, {name: b, admin_layer: {}}"),
     "layered_runtime.layers[1].admin_layer: Too many admin layers specified in LayeredRuntime, at "
     "most one may be specified"},
    {"layer of no folder", LAYERS("{name: a, disk_layer: {subdirectory: b}}"),
     "layered_runtime.layers[0].disk_layer.symlink_root: must not be empty"},
    {"layer by RTDS from nowhere", LAYERS("{name: a, rtds_layer: {name: b}}"),
     "layered_runtime.layers[0].rtds_layer.rtds_config: required"},
    {"bad listener", "{static_resources: {listeners: [{name: a}]}}",
     "static_resources.listeners[0].address: required"},
    {"admin address", "{admin: {address: {socket_address: {address: x}}}}",
     "admin.address.socket_address.address: malformed IP address: x"},
    {"other extension",
     "{bootstrap_extensions: [{name: e, typed_config: {'@type': "
     "type.googleapis.com/envoy.extensions.wasm.v3.WasmService}}]}",
     "bootstrap_extensions[0]: Didn't find a registered implementation for 'e' with type URL: "
     "'envoy.extensions.wasm.v3.WasmService'"},
    {"no node", "{" STATIC ", dynamic_resources: {ads_config: " GRPC("GRPC") "}}",
     "node: node 'id' and 'cluster' are required. Set it either in 'node' config "
     "or via --service-node and --service-cluster options."},
    {"ads without server", DYNAMIC("lds_config: {ads: {}}"),
     "dynamic_resources.lds_config.ads: there is no dynamic_resources.ads_config"},
    {"unknown cluster", "{" NODE ", dynamic_resources: {ads_config: " GRPC("GRPC") "}}",
     "dynamic_resources.ads_config.grpc_services[0].envoy_grpc.cluster_name: "
     "envoy.config.core.v3.ApiConfigSource must have a statically defined non-EDS cluster: 'xds' "
     "does not exist, was added via api, or is an EDS cluster"},
    {"EDS cluster",
     "{" NODE ", static_resources: {clusters: [{name: xds, type: EDS, eds_cluster_config: "
     "{eds_config: {ads: {}}}}]}, dynamic_resources: {ads_config: " GRPC("GRPC") "}}",
     "dynamic_resources.ads_config.grpc_services[0].envoy_grpc.cluster_name: "
     "envoy.config.core.v3.ApiConfigSource must have a statically defined non-EDS cluster: 'xds' "
     "does not exist, was added via api, or is an EDS cluster"},
    {"cluster without endpoint",
     "{" NODE
     ", static_resources: {clusters: [{name: xds}]}, dynamic_resources: {ads_config: " GRPC(
         "GRPC") "}}",
     "dynamic_resources.ads_config.grpc_services[0].envoy_grpc.cluster_name: cluster 'xds' has no "
     "endpoint"},
    {"version 2", DYNAMIC("ads_config: {api_type: GRPC, transport_api_version: V2}"),
     "dynamic_resources.ads_config.transport_api_version: V2 (and AUTO) xDS transport protocol "
     "versions are deprecated"},
    {"no service", DYNAMIC("ads_config: {api_type: GRPC}"),
     "dynamic_resources.ads_config.grpc_services: one is required for gRPC, and no cluster_names"},
    {"ADS by REST", DYNAMIC("ads_config: " API("REST", "cluster_names: [xds]")),
     "dynamic_resources.ads_config.api_type: not supported here"},
    {"REST without delay",
     DYNAMIC("cds_config: {api_config_source: " API("REST", "cluster_names: [xds]") "}"),
     "dynamic_resources.cds_config.api_config_source.refresh_delay: refresh_delay is required for "
     "REST API configuration sources"},
    {"tag without a name", STATS("stats_tags: [{regex: a}]"),
     "stats_config.stats_tags[0].tag_name: cannot be empty"},
    {"tag without a value", STATS("stats_tags: [{tag_name: a, fixed_value: b}, {tag_name: own}]"),
     "stats_config.stats_tags[1].regex: No regex specified for tag specifier and no default regex "
     "for name: 'own'"},
    {"tag's regex", STATS("stats_tags: [{tag_name: a, regex: '('}]"),
     "stats_config.stats_tags[0].regex: regex: missing ): ("},
    {"tag's lookahead", STATS("stats_tags: [{tag_name: a, regex: 'a(?=b)'}]"),
     "stats_config.stats_tags[0].regex: regex: invalid perl operator: (?="},
    {"matcher without a word", STATS("stats_matcher: {}"),
     "stats_config.stats_matcher.stats_matcher: required"},
    {"empty list", STATS("stats_matcher: {inclusion_list: {}}"),
     "stats_config.stats_matcher.inclusion_list.patterns: at least one is required"},
    {"pattern", STATS("stats_matcher: {exclusion_list: {patterns: [{exact: a}, {prefix: ''}]}}"),
     "stats_config.stats_matcher.exclusion_list.patterns[1].match_pattern: must not be empty"},
    {"buckets without match", STATS("histogram_bucket_settings: [{buckets: [1]}]"),
     "stats_config.histogram_bucket_settings[0].match: required"},
    {"no buckets", STATS("histogram_bucket_settings: [{match: {exact: a}}]"),
     "stats_config.histogram_bucket_settings[0].buckets: at least one is required"},
    {"bucket of 0", STATS("histogram_bucket_settings: [{match: {exact: a}, buckets: [1, 0]}]"),
     "stats_config.histogram_bucket_settings[0].buckets[1]: must be above 0"},
    {"bucket twice", STATS("histogram_bucket_settings: [{match: {exact: a}, buckets: [2, 1, 2]}]"),
     "stats_config.histogram_bucket_settings[0].buckets: 2 stands there twice"},
    {"flush interval", "{stats_flush_interval: 300s}",
     "stats_flush_interval: must be at least 1ms and below 300s"},
    {"two ways to flush", "{stats_flush_interval: 1s, stats_flush_on_admin: true}",
     "Only one of stats_flush_interval or stats_flush_on_admin should be set!"},
    {"no file", DYNAMIC("cds_config: {path_config_source: {watched_directory: {path: /x}}}"),
     "dynamic_resources.cds_config.path_config_source.path: must not be empty"},
};

static void test_bad(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct error err = {0};
        struct bootstrap *b = load(&(struct bootstrap_options){.config_yaml = bad[i].yaml}, &err);
        bool is_accepted = b != NULL;
        bootstrap_destroy(&b);
        if (is_accepted || strncmp(err.text, ERROR, strlen(ERROR)) != 0 ||
            (bad[i].error && strcmp(err.text + strlen(ERROR), bad[i].error) != 0))
            fail_msg("%s: \"%s\"", bad[i].name, err.text);
    }
}

static void test_static(void **state)
{
    (void)state;
    char text[ADDR_TEXT_MAX];
    struct bootstrap *b = load_good(
        "{admin: {address: {socket_address: {address: 127.0.0.1, port_value: 15000}}, "
        "access_log_path: /dev/null}, static_resources: {clusters: [" CLUSTER(
            "xds") "], "
                   "listeners: [" LISTENER("a") ", " LISTENER(
                       "b") "]}, layered_runtime: {layers: [{name: a, "
                            "static_layer: {x: 1}}]}, stats_config: {use_all_default_tags: false}, "
                            "stats_flush_interval: 60s}");
    assert_string_equal(addr_format(&b->admin_address, text), "127.0.0.1:15000");
    assert_int_equal(b->admin_access_logs_n, 1);
    assert_string_equal(b->admin_access_logs[0].path, "/dev/null");
    assert_int_equal(b->listeners_n, 2);
    assert_string_equal(b->listeners[1].listener->object.name, "b");
    assert_true(b->listeners[1].listener->is_static);
    assert_int_equal(b->clusters_n, 1);
    assert_true(b->clusters[0].cluster->is_static);
    assert_int_equal(b->stats.flush_interval_ms, 60000);
    assert_int_equal(b->ads.api, XDS_API_NONE);
    assert_int_equal(b->lds.kind, BOOTSTRAP_SOURCE_NONE);
    assert_int_equal(b->lds.conf.initial_fetch_timeout_ms, 15000);
    assert_true(b->bytes.n > b->listeners[0].bytes.n);
    bootstrap_destroy(&b);
}

static void test_stats(void **state)
{
    static const char *const flags[] = {"team:a:b"};
    (void)state;
    struct error err;
    struct bootstrap *b = load(
        &(struct bootstrap_options){
            .config_yaml = "{stats_config: {use_all_default_tags: false, stats_tags: ["
                           "{tag_name: envoy.cluster_name}, {tag_name: ab, regex: 'a(b)'}, "
                           "{tag_name: f, fixed_value: v}], stats_matcher: {inclusion_list: "
                           "{patterns: [{prefix: b}, {safe_regex: {regex: a+}}]}}, "
                           "histogram_bucket_settings: [{match: {suffix: x}, buckets: [2, "
                           "0.5]}]}, stats_flush_on_admin: true, "
                           "stats_server_version_override: 7}",
            .stats_tags = flags,
            .stats_tags_n = 1},
        &err);
    if (!b)
        fail_msg("%s", err.text);
    const struct conf_stats *c = &b->stats;
    assert_int_equal(c->tags.n, 4);
    assert_string_equal(c->tags.v[0].name, "team");
    assert_string_equal(c->tags.v[0].value, "a:b");
    assert_string_equal(c->tags.v[1].tokens, "cluster.$.**");
    assert_string_equal(c->tags.v[2].pattern, "a(b)");
    assert_string_equal(c->tags.v[3].value, "v");
    assert_false(conf_stats_rejects(STR("aa"), &b->stats));
    assert_true(conf_stats_rejects(STR("c"), &b->stats));
    assert_true(conf_stats_buckets(c, STR("y.x"))->bounds[0] == 0.5);
    assert_true(c->flush_on_admin && c->has_version && c->version == 7);
    bootstrap_destroy(&b);
    b = load_good("{node: {id: a}}");
    assert_true(b->stats.tags.n > 40);
    assert_false(conf_stats_rejects(STR("c"), &b->stats));
    assert_int_equal(b->stats.flush_interval_ms, 5000);
    bootstrap_destroy(&b);
}

static void test_ads(void **state)
{
    (void)state;
    struct bootstrap *b = load_good(DYNAMIC("ads_config: " API(
        "DELTA_GRPC", "set_node_on_first_message_only: true, "
                      "grpc_services: [{envoy_grpc: {cluster_name: xds, authority: istiod, "
                      "max_receive_message_length: 9}, initial_metadata: [{key: ClusterID, value: "
                      "K}]}]") ", lds_config: {ads: {}, initial_fetch_timeout: 0s, "
                               "resource_api_version: V3}, "
                               "cds_config: {ads: {}}"));
    assert_int_equal(b->ads.api, XDS_API_GRPC);
    assert_true(b->ads.is_delta && b->ads.node_on_first_only);
    assert_string_equal(b->ads.targets[0].cluster, "xds");
    assert_string_equal(b->ads.targets[0].address, "127.0.0.1:18000");
    assert_string_equal(b->ads.targets[0].authority, "istiod");
    assert_int_equal(b->ads.targets[0].message_max, 9);
    assert_int_equal(b->ads.targets[0].metadata_n, 1);
    assert_string_equal(b->ads.targets[0].metadata[0].key, "clusterid");
    assert_string_equal(b->ads.targets[0].metadata[0].value, "K");
    assert_int_equal(b->lds.kind, BOOTSTRAP_SOURCE_ADS);
    assert_int_equal(b->lds.conf.initial_fetch_timeout_ms, 0);
    assert_int_equal(b->cds.kind, BOOTSTRAP_SOURCE_ADS);
    bootstrap_destroy(&b);
}

static void test_own_sources(void **state)
{
    (void)state;
    struct bootstrap *b = load_good(DYNAMIC("lds_config: {api_config_source: " GRPC(
        "GRPC") "}, cds_config: "
                "{api_config_source: " API("REST", "cluster_names: [xds], refresh_delay: {nanos: "
                                                   "500000000}") "}"));
    assert_int_equal(b->lds.kind, BOOTSTRAP_SOURCE_OWN);
    assert_int_equal(b->lds.server.api, XDS_API_GRPC);
    assert_false(b->lds.server.is_delta);
    assert_string_equal(b->lds.server.targets[0].address, "127.0.0.1:18000");
    assert_int_equal(b->cds.server.api, XDS_API_REST);
    assert_int_equal(b->cds.server.refresh_delay_ms, 500);
    assert_int_equal(b->cds.server.request_timeout_ms, 1000);
    bootstrap_destroy(&b);
}

static void test_targets(void **state)
{
    (void)state;
    static const struct {
        const char *cluster, *target;
    } rows[] = {
        {"{name: xds, " ENDPOINT("pipe: {path: ./etc/XDS}") "}", "unix:./etc/XDS"},
        {"{name: xds, type: STRICT_DNS, " ENDPOINT(
             "socket_address: {address: istiod.istio-system, port_value: 15010}") "}",
         "dns:///istiod.istio-system:15010"},
        {"{name: xds, " ENDPOINT("socket_address: {address: '::1', port_value: 1}") "}", "[::1]:1"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena a;
        arena_init(&a, 0);
        struct bootstrap *b = load_good(
            arena_printf(&a,
                         "{" NODE ", static_resources: {clusters: [%s]}, dynamic_resources: "
                         "{ads_config: " GRPC("GRPC") "}}",
                         rows[i].cluster));
        assert_string_equal(b->ads.targets[0].address, rows[i].target);
        bootstrap_destroy(&b);
        arena_fini(&a);
    }
}

static void test_node(void **state)
{
    (void)state;
    struct pb_arena a;
    ProtobufCMessage *msg;
    struct error err = {0};
    struct bootstrap_options o = {
        .config_yaml = "{node: {id: i, cluster: c, metadata: {A: b}, locality: {region: r, zone: "
                       "z}, user_agent_name: other}}",
        .service_node = "flag",
        .service_zone = "flagzone",
    };
    struct bootstrap *b = load(&o, &err);
    assert_non_null(b);
    assert_string_equal(b->node_id, "flag");
    assert_string_equal(b->node_cluster, "c");
    assert_string_equal(b->region, "r");
    assert_string_equal(b->zone, "flagzone");
    assert_true(b->node_metadata.n > 0);
    pb_arena_init(&a, PB_ARENA_MIN);
    assert_int_equal(
        pb_unpack(&envoy__config__core__v3__node__descriptor, b->node.p, b->node.n, &a, &msg, &err),
        0);
    const Envoy__Config__Core__V3__Node *n = (const void *)msg;
    assert_string_equal(n->id, "flag");
    assert_string_equal(n->locality->zone, "flagzone");
    assert_string_equal(n->user_agent_name, "remora");
    pb_arena_fini(&a);
    bootstrap_destroy(&b);
}

/* A file of the test's own, with the suffix that decides how it is read. */
static void write_file(char path[64], const char *suffix, struct str text)
{
    snprintf(path, 64, "/tmp/remora-bootstrap-XXXXXX%s", suffix);
    int fd = mkstemps(path, (int)strlen(suffix));
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text.p, text.n), (ssize_t)text.n);
    close(fd);
}

static void test_files(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 0);
    const struct {
        const char *suffix;
        struct str text;
    } rows[] = {
        {".yaml", STR("node:\n  id: i\n  cluster: c\n")},
        {".yml", STR("node: {id: i, cluster: c}")},
        {".json", STR("{\"node\": {\"id\": \"i\", \"cluster\": \"c\"}}")},
        {".pb", yaml_pack(&a, "envoy.config.bootstrap.v3.Bootstrap", "{" NODE "}")},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char path[64];
        struct error err = {0};
        write_file(path, rows[i].suffix, rows[i].text);
        struct bootstrap *b = load(&(struct bootstrap_options){.config_path = path}, &err);
        unlink(path);
        if (!b)
            fail_msg("%s: %s", rows[i].suffix, err.text);
        assert_string_equal(b->node_id, "i");
        bootstrap_destroy(&b);
    }
    arena_fini(&a);
}

static void test_bad_files(void **state)
{
    (void)state;
    char path[64], wanted[256];
    struct error err = {0};
    assert_null(load(&(struct bootstrap_options){.config_path = "/no/such.yaml"}, &err));
    assert_string_equal(err.text, "error initializing configuration '/no/such.yaml': unable to "
                                  "read file: /no/such.yaml: No such file or directory");
    write_file(path, ".json", STR("{\"foo\": 1}"));
    assert_null(load(&(struct bootstrap_options){.config_path = path}, &err));
    unlink(path);
    snprintf(wanted, sizeof(wanted), "error initializing configuration '%s': foo: unknown field",
             path);
    assert_string_equal(err.text, wanted);
}

/* The text is merged over the file: scalars replaced, lists joined. */
static void test_merge(void **state)
{
    (void)state;
    char path[64], text[ADDR_TEXT_MAX];
    struct error err = {0};
    write_file(path, ".yaml",
               STR("{" NODE ", " STATIC ", admin: {profile_path: /p, address: {socket_address: "
                   "{address: 127.0.0.1, port_value: 1}}}}"));
    struct bootstrap_options o = {
        .config_path = path,
        .config_yaml = "{node: {id: j}, admin: {address: {socket_address: {port_value: 2}}}, "
                       "static_resources: {clusters: [" CLUSTER("b") "]}}",
    };
    struct bootstrap *b = load(&o, &err);
    unlink(path);
    if (!b)
        fail_msg("%s", err.text);
    assert_string_equal(b->node_id, "j");
    assert_string_equal(b->node_cluster, "c");
    assert_string_equal(addr_format(&b->admin_address, text), "127.0.0.1:2");
    assert_int_equal(b->clusters_n, 2);
    assert_string_equal(b->clusters[0].cluster->object.name, "xds");
    assert_string_equal(b->clusters[1].cluster->object.name, "b");
    bootstrap_destroy(&b);
}

static void test_unknown_fields_allowed(void **state)
{
    (void)state;
    struct error err = {0};
    struct bootstrap_options o = {
        .config_yaml = "{foo: 1, static_resources: {clusters: [{name: a, bar: 2}]}}",
        .allow_unknown_static_fields = true,
    };
    struct bootstrap *b = load(&o, &err);
    if (!b)
        fail_msg("%s", err.text);
    assert_int_equal(b->clusters_n, 1);
    bootstrap_destroy(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_static),
        cmocka_unit_test(test_stats),
        cmocka_unit_test(test_ads),
        cmocka_unit_test(test_own_sources),
        cmocka_unit_test(test_targets),
        cmocka_unit_test(test_node),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_bad_files),
        cmocka_unit_test(test_merge),
        cmocka_unit_test(test_unknown_fields_allowed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
