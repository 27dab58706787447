#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "xds/dump.h"
#include "yaml.h"

#define EXTENSION "envoy.config.core.v3.TypedExtensionConfig"
#define LISTENER "envoy.config.listener.v3.Listener"
#define URL(type) "type.googleapis.com/" type
#define WASM URL("envoy.extensions.filters.http.wasm.v3.Wasm")
#define PULL_SECRET "ISTIO_META_WASM_IMAGE_PULL_SECRET"

static char *dump_text(const char *type, const char *yaml)
{
    struct arena arena;
    struct sbuf url = {0};
    arena_init(&arena, 0);
    sbuf_printf(&url, "type.googleapis.com/%s", type);
    json_t *json = dump_message(url.p, yaml_pack(&arena, type, yaml), true);
    if (!json)
        fail_msg("no message: %s", yaml);
    char *text = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    sbuf_fini(&url);
    arena_fini(&arena);
    return text;
}

/* Every row holds the text "hush" where it must not come out. */
static const struct {
    const char *name, *type, *yaml, *shown;
} secrets[] = {
    {"pull secret", EXTENSION,
     "{name: w, typed_config: {'@type': " WASM ", config: {name: p, vm_config: "
     "{environment_variables: {key_values: {" PULL_SECRET ": hush, OTHER: seen}}}}}}",
     "\"OTHER\":\"seen\""},
    {"in a TypedStruct", EXTENSION,
     "{name: w, typed_config: {'@type': " URL(
         "xds.type.v3.TypedStruct") ", type_url: " WASM
                                    ", value: {config: {vm_config: {environment_variables: "
                                    "{keyValues: {" PULL_SECRET ": hush}}}}}}}",
     "\"" PULL_SECRET "\":\"[redacted]\""},
    {"as a list", EXTENSION,
     "{name: w, typed_config: {'@type': " URL(
         "xds.type.v3.TypedStruct") ", type_url: " WASM ", value: {key_values: [{key: " PULL_SECRET
                                    ", value: hush}, {key: OTHER, value: seen}]}}}",
     "{\"key\":\"OTHER\",\"value\":\"seen\"}"},
    {"private key", EXTENSION,
     "{name: w, typed_config: {'@type': " URL(
         "xds.type.v3.TypedStruct") ", type_url: " WASM
                                    ", value: {tls_certificates: [{private_key: {inline_string: "
                                    "hush}, password: "
                                    "{inline_string: hush}, certificate_chain: {filename: "
                                    "/seen}}]}}}",
     "\"certificate_chain\":{\"filename\":\"/seen\"}"},
    {"bytes", EXTENSION,
     "{name: w, typed_config: {'@type': " URL(
         "xds.type.v3.TypedStruct") ", type_url: " WASM
                                    ", value: {private_key: {inline_bytes: hush}}}}",
     "\"inline_bytes\":\"W3JlZGFjdGVkXQ==\""},
    {"inside a listener", LISTENER,
     "{name: l, filter_chains: [{filters: [{name: w, typed_config: {'@type': " URL(
         "envoy.extensions.filters.network.wasm.v3.Wasm") ", config: {vm_config: "
                                                          "{environment_variables: {key_values: "
                                                          "{" PULL_SECRET ": hush}}}}}}]}]}",
     "\"name\":\"w\""},
};

static void test_secrets(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(secrets); i++) {
        char *text = dump_text(secrets[i].type, secrets[i].yaml);
        if (strstr(text, "hush"))
            fail_msg("%s: %s", secrets[i].name, text);
        if (!strstr(text, secrets[i].shown))
            fail_msg("%s: no %s in %s", secrets[i].name, secrets[i].shown, text);
        free(text); /* lint: free: jansson allocated it */
    }
}

/* A payload whose type nobody knows is shown by its type. */
static void test_unknown_payload(void **state)
{
    (void)state;
    /* typed_config {type_url: "a/b", value: "hush"} of an extension named "w" */
    static const char bytes[] = "\x0a\x01w\x12\x0b\x0a\x03"
                                "a/b\x12\x04hush";
    json_t *json = dump_message(URL(EXTENSION), STR(bytes), false);
    char *text = json_dumps(json, JSON_COMPACT);
    assert_string_equal(text, "{\"name\":\"w\",\"typed_config\":{\"@type\":\"a/b\"}}");
    free(text); /* lint: free: jansson allocated it */
    json_decref(json);
}

static void test_no_message(void **state)
{
    (void)state;
    assert_null(dump_message(URL(EXTENSION), STR("\xff\xff"), true));
    assert_null(dump_message("type.googleapis.com/none.Such", STR(""), true));
}

static void count_routes(json_t *hcm, void *arg)
{
    const json_t *routes = json_object_get(hcm, "route_config");
    assert_string_equal(json_string_value(json_object_get(routes, "name")), "r");
    ++*(int *)arg;
}

static void test_inline_routes(void **state)
{
    struct arena arena;
    int n = 0;
    (void)state;
    arena_init(&arena, 0);
    json_t *json = dump_message(
        URL(LISTENER),
        yaml_pack(&arena, LISTENER,
                  "{name: l, filter_chains: [{filters: [{name: h, typed_config: {'@type': " URL(
                      "envoy.extensions.filters.network.http_connection_manager.v3."
                      "HttpConnectionManager") ", route_config: {name: r}, http_filters: [{name: "
                                               "f}]}}]}]}"),
        false);
    dump_each_hcm(json, count_routes, &n);
    assert_int_equal(n, 1);
    json_decref(json);
    arena_fini(&arena);
}

/* ---- parts ---- */

#define ADMIN URL("envoy.admin.v3.")
#define SECTIONS                                                                                 \
    "[{'@type': '" ADMIN "BootstrapConfigDump', 'bootstrap': {'node': {'id': 'n', 'cluster': "   \
    "'c'}}, 'last_updated': 't'}, {'@type': '" ADMIN "ClustersConfigDump', 'version_info': 'v'," \
    " 'static_clusters': [{'cluster': {'@type': '" URL(                                          \
        "envoy.config.cluster.v3.Cluster") "',"                                                  \
                                           " 'name': 'o', 'load_assignment': {'cluster_name': "  \
                                           "'a'}}, 'last_updated': 't'}]}]"

static json_t *sections(void)
{
    char text[] = SECTIONS;
    for (char *c = text; *c; c++)
        if (*c == '\'')
            *c = '"';
    json_t *json = json_loads(text, 0, NULL);
    assert_non_null(json);
    return json;
}

static void assert_json(json_t *json, const char *want)
{
    char *text = json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS);
    for (char *c = text; *c; c++)
        if (*c == '"')
            *c = '\'';
    assert_string_equal(text, want);
    free(text); /* lint: free: jansson allocated it */
    json_decref(json);
}

static void test_masks_of_sections(void **state)
{
    static const struct {
        const char *mask, *left; /* NULL: fits no section */
    } rows[] = {
        {"bootstrap.node.id,last_updated",
         "[{'@type':'" ADMIN "BootstrapConfigDump','bootstrap':{'node':{'id':'n'}},"
         "'last_updated':'t'}]"},
        {"version_info", "[{'@type':'" ADMIN "ClustersConfigDump','version_info':'v'}]"},
        {"dynamic_active_clusters", "[{'@type':'" ADMIN "ClustersConfigDump'}]"},
        {"bootstrap,version_info", NULL},  /* no section has both */
        {"static_clusters.cluster", NULL}, /* nothing leads through what is repeated */
        {"bootstrap.nobody", NULL},
        {"bootstrap.node.id.more", NULL},
        {"bootstrap..node", NULL},
        {"nothing", NULL},
        {",", NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        json_t *json = sections();
        if (dump_mask_sections(&json, rows[i].mask) != (rows[i].left != NULL))
            fail_msg("%s", rows[i].mask);
        assert_json(json, rows[i].left ? rows[i].left : "[]");
    }
}

static void test_resources(void **state)
{
    static const struct {
        const char *field;
        enum dump_result result;
        const char *left;
    } rows[] = {
        {"static_clusters", DUMP_OK,
         "[{'@type':'" ADMIN "ClustersConfigDump.StaticCluster','cluster':{'@type':'" URL(
             "envoy.config.cluster.v3.Cluster") "','load_assignment':{'cluster_name':'a'},"
                                                "'name':'o'},'last_updated':'t'}]"},
        {"dynamic_active_clusters", DUMP_OK, "[]"},
        {"bootstrap", DUMP_NOT_REPEATED, NULL},
        {"dynamic_listeners", DUMP_NOT_FOUND, NULL},
        {"", DUMP_NOT_FOUND, NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        json_t *json = sections(), *whole = sections();
        assert_int_equal(dump_take_resource(&json, rows[i].field), rows[i].result);
        if (rows[i].left)
            assert_json(json_incref(json), rows[i].left);
        else
            assert_true(json_equal(json, whole));
        json_decref(json);
        json_decref(whole);
    }
}

static void test_masks_of_elements(void **state)
{
    static const struct {
        const char *mask, *left; /* NULL: a path is none of the element's */
    } rows[] = {
        {"cluster.name",
         "[{'@type':'" ADMIN "ClustersConfigDump.StaticCluster','cluster':{'@type':'" URL(
             "envoy.config.cluster.v3.Cluster") "','name':'o'}}]"},
        {"cluster.load_assignment.cluster_name,last_updated",
         "[{'@type':'" ADMIN "ClustersConfigDump.StaticCluster','cluster':{'@type':'" URL(
             "envoy.config.cluster.v3.Cluster") "','load_assignment':{'cluster_name':'a'}},"
                                                "'last_updated':'t'}]"},
        {"cluster", NULL}, /* the path ends before the resource */
        {"cluster.nobody", NULL},
        {"cluster.load_assignment.endpoints.lb_endpoints", NULL},
        {"cluster.name,nothing", NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        json_t *json = sections();
        assert_int_equal(dump_take_resource(&json, "static_clusters"), DUMP_OK);
        if (dump_mask_elements(json, rows[i].mask) != (rows[i].left != NULL))
            fail_msg("%s", rows[i].mask);
        if (rows[i].left)
            assert_json(json_incref(json), rows[i].left);
        json_decref(json);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_secrets),           cmocka_unit_test(test_unknown_payload),
        cmocka_unit_test(test_no_message),        cmocka_unit_test(test_inline_routes),
        cmocka_unit_test(test_masks_of_sections), cmocka_unit_test(test_resources),
        cmocka_unit_test(test_masks_of_elements),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
