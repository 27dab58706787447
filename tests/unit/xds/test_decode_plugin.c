#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "xds/decode.h"
#include "yaml.h"

#define TYPE "envoy.config.core.v3.TypedExtensionConfig"
#define URL "type.googleapis.com/"
#define DIGEST "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

/* An extension that holds an HTTP plugin with these fields. */
#define PLUGIN(fields)                         \
    "{name: ext, typed_config: {'@type': " URL \
    "envoy.extensions.filters.http.wasm.v3.Wasm, config: {name: p, " fields "}}}"
#define VM(fields) PLUGIN("vm_config: {" fields "}")
#define LOCAL "code: {local: {filename: /m.wasm}}"
#define REMOTE(fields) "code: {remote: {" fields "}}"
#define URI "http_uri: {uri: 'https://h/m.wasm', cluster: c, timeout: 30s}"
#define ENV(fields) VM(LOCAL ", environment_variables: {" fields "}")
#define AT_VM "typed_config.config.vm_config."

static struct conf_plugin *decode(const char *yaml, struct error *err)
{
    struct arena a;
    struct conf_plugin *p;
    arena_init(&a, 0);
    int rc = decode_extension(yaml_pack(&a, TYPE, yaml), NULL, &p, err);
    assert_int_equal(rc == 0, p != NULL);
    arena_fini(&a);
    return p;
}

static struct conf_plugin *decode_good(const char *yaml)
{
    struct error err = {0};
    struct conf_plugin *p = decode(yaml, &err);
    if (!p)
        fail_msg("%s: %s", err.text, yaml);
    return p;
}

static const struct {
    const char *name, *yaml, *error;
} bad[] = {
    {"no name", "{typed_config: {'@type': " URL "google.protobuf.Empty}}",
     "name: must not be empty"},
    {"other type", "{name: e, typed_config: {'@type': " URL "google.protobuf.Empty}}",
     "typed_config: Didn't find a registered implementation for 'e' with type URL: "
     "'google.protobuf.Empty'"},
    {"no config",
     "{name: e, typed_config: {'@type': " URL "envoy.extensions.filters.http.wasm.v3.Wasm}}",
     "typed_config.config: required"},
    {"no vm", PLUGIN("root_id: r"), "typed_config.config.vm_config: required"},
    {"other runtime", VM("runtime: envoy.wasm.runtime.wamr, " LOCAL),
     AT_VM "runtime: 'envoy.wasm.runtime.wamr' is not available, envoy.wasm.runtime.v8 is"},
    {"no code", VM("vm_id: v"), AT_VM "code: local or remote is required"},
    {"empty file name", VM("code: {local: {filename: ''}}"),
     AT_VM "code.local.filename: must not be empty"},
    {"empty inline code", VM("code: {local: {inline_bytes: ''}}"),
     AT_VM "code.local.specifier: must not be empty"},
    {"no uri", VM(REMOTE("sha256: a")), AT_VM "code.remote.http_uri: required"},
    {"other scheme", VM(REMOTE("http_uri: {uri: 'ftp://h/m', cluster: c, timeout: 1s}")),
     AT_VM "code.remote.http_uri.uri: must start with http://, https:// or oci://: \"ftp://h/m\""},
    {"nothing behind the scheme", VM(REMOTE("http_uri: {uri: 'oci://'}")),
     AT_VM "code.remote.http_uri.uri: must start with http://, https:// or oci://: \"oci://\""},
    {"short digest", VM(REMOTE(URI ", sha256: abc")),
     AT_VM "code.remote.sha256: must be 64 lower-case hex digits"},
    {"digest in capitals",
     VM(REMOTE(URI ", sha256: "
                   "0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef")),
     AT_VM "code.remote.sha256: must be 64 lower-case hex digits"},
    {"both policies", PLUGIN("fail_open: true, failure_policy: FAIL_OPEN, vm_config: {" LOCAL "}"),
     "typed_config.config.failure_policy: only one of fail_open or failure_policy can be set"},
    {"reload backoff",
     PLUGIN("reload_config: {backoff: {base_interval: 0s}}, vm_config: {" LOCAL "}"),
     "typed_config.config.reload_config.backoff.base_interval: must be at least 1ms"},
    {"host key twice", ENV("host_env_keys: [A, A]"),
     AT_VM "environment_variables.host_env_keys[1]: Key A is duplicated in "
           "envoy.extensions.wasm.v3.VmConfig.environment_variables for p. All the keys must be "
           "unique."},
    {"key in both lists", ENV("host_env_keys: [A], key_values: {A: v}"),
     AT_VM "environment_variables.key_values: Key A is duplicated in "
           "envoy.extensions.wasm.v3.VmConfig.environment_variables for p. All the keys must be "
           "unique."},
    {"unknown setting", ENV("key_values: {REMORA_MEM: '1'}"),
     AT_VM "environment_variables.key_values.REMORA_MEM: unknown setting"},
    {"too much memory", ENV("key_values: {REMORA_MEMORY_MAX: '1073741825'}"),
     AT_VM "environment_variables.key_values.REMORA_MEMORY_MAX: must be within 65536 and "
           "1073741824"},
    {"deadline in words", ENV("key_values: {REMORA_CALL_DEADLINE_MS: 5ms}"),
     AT_VM "environment_variables.key_values.REMORA_CALL_DEADLINE_MS: must be within 1 and 60000"},
    {"no deadline", ENV("key_values: {REMORA_START_DEADLINE_MS: '0'}"),
     AT_VM "environment_variables.key_values.REMORA_START_DEADLINE_MS: must be within 1 and "
           "600000"},
};

static void test_bad(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct error err = {0};
        struct conf_plugin *p = decode(bad[i].yaml, &err);
        bool is_accepted = p != NULL;
        conf_object_unref(p);
        if (is_accepted || strcmp(err.text, bad[i].error) != 0)
            fail_msg("%s: \"%s\"", bad[i].name, err.text);
    }
}

static void test_defaults(void **state)
{
    (void)state;
    struct conf_plugin *p = decode_good(VM(LOCAL));
    assert_string_equal(p->slot, "ext");
    assert_string_equal(p->object.name, "ext");
    assert_string_equal(p->name, "p");
    assert_string_equal(p->root_id, "");
    assert_string_equal(p->vm_id, "");
    assert_int_equal(p->code.kind, CONF_CODE_FILE);
    assert_string_equal(p->code.filename, "/m.wasm");
    assert_int_equal(p->vm_configuration.n, 0);
    assert_int_equal(p->configuration.n, 0);
    assert_int_equal(p->env_n, 0);
    assert_false(p->is_restricted);
    assert_int_equal(p->fail_policy, CONF_FAIL_CLOSED);
    assert_int_equal(p->reload_backoff_ms, 1000);
    assert_false(p->allow_on_headers_stop_iteration);
    assert_false(p->is_network);
    assert_int_equal(p->memory_max, 64 * 1024 * 1024);
    assert_int_equal(p->call_deadline_ms, 100);
    assert_int_equal(p->start_deadline_ms, 5000);
    assert_null(p->pull_secret);
    assert_string_equal(p->pull_policy, "");
    assert_string_equal(p->resource_version, "");
    conf_object_unref(p);
}

/* As istiod writes it. */
static void test_istio(void **state)
{
    (void)state;
    setenv("REMORA_TEST_HOST", "seen", 1);
    setenv("TEST_HOST", "host value", 1);
    struct conf_plugin *p = decode_good(
        "{name: extensions.istio.io/wasmplugin/ns.x, typed_config: {'@type': " URL
        "envoy.extensions.filters.network.wasm.v3.Wasm, config: {name: ns.x, root_id: r, "
        "failure_policy: FAIL_OPEN, configuration: {'@type': " URL
        "google.protobuf.StringValue, value: '{\"a\":1}'}, vm_config: {runtime: "
        "envoy.wasm.runtime.v8, vm_id: v, configuration: {'@type': " URL
        "google.protobuf.BytesValue, value: AAE=}, " REMOTE(
            "http_uri: {uri: 'oci://h/m:1', cluster: _, timeout: 30s}, sha256: nil, retry_policy: "
            "{num_retries: 3}") ", environment_variables: {host_env_keys: [TEST_HOST, "
                                "REMORA_TEST_HOST, TEST_ABSENT], key_values: {KEY: val, "
                                "ISTIO_META_WASM_IMAGE_PULL_SECRET: "
                                "'{\"auths\":{}}', ISTIO_META_WASM_IMAGE_PULL_POLICY: Always, "
                                "ISTIO_META_WASM_PLUGIN_RESOURCE_VERSION: '42', ISTIO_META_OTHER: "
                                "x, REMORA_MEMORY_MAX: "
                                "'131072', REMORA_CALL_DEADLINE_MS: '7', REMORA_START_DEADLINE_MS: "
                                "'8'}}}, "
                                "capability_restriction_config: {allowed_capabilities: {proxy_log: "
                                "{}, fd_write: {}}}, "
                                "reload_config: {backoff: {base_interval: 3s}}, "
                                "allow_on_headers_stop_iteration: true}}}");
    assert_string_equal(p->slot, "extensions.istio.io/wasmplugin/ns.x");
    assert_true(p->is_network);
    assert_int_equal(p->fail_policy, CONF_FAIL_OPEN);
    assert_true(str_is(p->configuration, "{\"a\":1}"));
    assert_true(str_eq(p->vm_configuration, STR("\0\1")));
    assert_int_equal(p->code.kind, CONF_CODE_REMOTE);
    assert_string_equal(p->code.uri, "oci://h/m:1");
    assert_string_equal(p->code.cluster, "_");
    assert_string_equal(p->code.sha256, "");
    assert_int_equal(p->code.timeout_ms, 30000);
    assert_int_equal(p->code.num_retries, 3);
    assert_int_equal(p->env_n, 2);
    assert_string_equal(p->env[0].key, "TEST_HOST");
    assert_string_equal(p->env[0].value, "host value");
    assert_string_equal(p->env[1].key, "KEY");
    assert_string_equal(p->env[1].value, "val");
    assert_string_equal(p->pull_secret, "{\"auths\":{}}");
    assert_string_equal(p->pull_policy, "Always");
    assert_string_equal(p->resource_version, "42");
    assert_int_equal(p->memory_max, 131072);
    assert_int_equal(p->call_deadline_ms, 7);
    assert_int_equal(p->start_deadline_ms, 8);
    assert_true(p->is_restricted);
    assert_int_equal(p->capabilities_n, 2);
    assert_int_equal(p->reload_backoff_ms, 3000);
    assert_true(p->allow_on_headers_stop_iteration);
    conf_object_unref(p);
}

/* EnvoyFilters write their plugins so. */
static void test_typed_struct(void **state)
{
    (void)state;
    struct conf_plugin *p = decode_good(
        "{name: e, typed_config: {'@type': " URL "udpa.type.v1.TypedStruct, type_url: " URL
        "envoy.extensions.filters.http.wasm.v3.Wasm, value: {config: {fail_open: true, "
        "configuration: {'@type': " URL "google.protobuf.Struct, value: {a: b}}, vm_config: {code: "
        "{remote: {http_uri: {uri: 'http://h/m'}, sha256: " DIGEST "}}}}}}}");
    assert_int_equal(p->fail_policy, CONF_FAIL_OPEN);
    assert_string_equal(p->code.sha256, DIGEST);
    assert_string_equal(p->code.cluster, "");
    assert_int_equal(p->code.timeout_ms, 5000);
    assert_int_equal(p->code.num_retries, 1);
    /* A Struct goes to the guest as it is: fields { "a" : "b" }. */
    assert_true(str_eq(p->configuration, STR("\x0a\x08\x0a\x01"
                                             "a\x12\x03\x1a\x01"
                                             "b")));
    conf_object_unref(p);
}

static void test_hash(void **state)
{
    (void)state;
    struct conf_plugin *a = decode_good(VM(LOCAL)), *b = decode_good(VM(LOCAL)),
                       *c = decode_good(VM(LOCAL ", vm_id: v"));
    assert_int_equal(a->object.hash, b->object.hash);
    assert_int_not_equal(a->object.hash, c->object.hash);
    conf_object_unref(a);
    conf_object_unref(b);
    conf_object_unref(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad),   cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_istio), cmocka_unit_test(test_typed_struct),
        cmocka_unit_test(test_hash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
