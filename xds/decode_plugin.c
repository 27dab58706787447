#include <stdlib.h>
#include <string.h>

#include "envoy/config/core/v3/backoff.pb-c.h"
#include "envoy/config/core/v3/http_uri.pb-c.h"
#include "envoy/extensions/filters/http/wasm/v3/wasm.pb-c.h"
#include "envoy/extensions/filters/network/wasm/v3/wasm.pb-c.h"
#include "google/protobuf/wrappers.pb-c.h"
#include "xds/decode_private.h"

typedef Envoy__Extensions__Wasm__V3__PluginConfig plugin_msg;
typedef Envoy__Extensions__Wasm__V3__VmConfig vm_msg;
typedef Envoy__Config__Core__V3__RemoteDataSource remote_msg;

enum {
    FETCH_TIMEOUT_MS = 5000,
    RELOAD_BACKOFF_MS = 1000,
    MEMORY_MAX = 64 * 1024 * 1024,
    CALL_DEADLINE_MS = 100,
    START_DEADLINE_MS = 5000,
    INLINE_CODE_MAX = 64 * 1024 * 1024, /* what an xDS message may hold */
};

/* ---- configuration bytes ---- */

/* What the guest gets: the text of a StringValue, the bytes of a BytesValue, and for anything else
 * (Struct too) the serialized payload as it is. */
static int take_bytes(struct decode *d, const Google__Protobuf__Any *any, struct str *bytes_r,
                      struct error *err)
{
    ProtobufCMessage *msg;
    *bytes_r = STR("");
    if (!any)
        return 0;
    struct str type = pb_type_name(any->type_url);
    bool is_string = str_is(type, "google.protobuf.StringValue");
    const void *p = any->value.data;
    size_t n = any->value.len;
    if (is_string || str_is(type, "google.protobuf.BytesValue")) {
        if (pb_any_unpack(any, &d->pb, &msg, err))
            return error_code(err);
        const ProtobufCBinaryData *b = &((Google__Protobuf__BytesValue *)msg)->value;
        p = is_string ? (const void *)((Google__Protobuf__StringValue *)msg)->value : b->data;
        n = is_string ? strlen(p) : b->len;
    }
    if (n)
        *bytes_r = (struct str){arena_strndup(d->out, p, n), n};
    return 0;
}

/* ---- code ---- */

static bool is_digest(const char *text)
{
    return strlen(text) == 64 && strspn(text, "0123456789abcdef") == 64;
}

static bool is_fetchable(const char *uri)
{
    static const char *const schemes[] = {"http://", "https://", "oci://"};
    for (size_t i = 0; i < ARRAY_LEN(schemes); i++)
        if (str_starts(str_of(uri), str_of(schemes[i])) && strlen(uri) > strlen(schemes[i]))
            return true;
    return false;
}

static int set_remote(struct decode *d, const remote_msg *m, struct conf_code *code,
                      struct error *err)
{
    code->kind = CONF_CODE_REMOTE;
    if (!m->http_uri)
        return error_set(err, ERR_INVALID, "http_uri: required");
    if (!is_fetchable(m->http_uri->uri))
        return error_set(err, ERR_INVALID,
                         "http_uri.uri: must start with http://, https:// or oci://: \"%.200s\"",
                         m->http_uri->uri);
    code->uri = decode_text(d, m->http_uri->uri);
    code->cluster =
        m->http_uri->http_upstream_type_case ? decode_text(d, m->http_uri->cluster) : "";
    if (decode_ms(m->http_uri->timeout, FETCH_TIMEOUT_MS, "timeout", &code->timeout_ms, err))
        return error_prefix(err, "http_uri.");
    /* Istio writes "nil" where it means none. */
    code->sha256 = strcmp(m->sha256, "nil") == 0 ? "" : decode_text(d, m->sha256);
    if (*code->sha256 && !is_digest(code->sha256))
        return error_set(err, ERR_INVALID, "sha256: must be 64 lower-case hex digits");
    code->num_retries = m->retry_policy ? pb_u32(m->retry_policy->num_retries, 1) : 1;
    return 0;
}

static int set_local(struct decode *d, const Envoy__Config__Core__V3__DataSource *m,
                     struct conf_code *code, struct error *err)
{
    if (m->specifier_case == ENVOY__CONFIG__CORE__V3__DATA_SOURCE__SPECIFIER_FILENAME) {
        code->kind = CONF_CODE_FILE;
        code->filename = decode_text(d, m->filename);
        return *m->filename ? 0 : error_set(err, ERR_INVALID, "filename: must not be empty");
    }
    code->kind = CONF_CODE_INLINE;
    if (decode_data_source(d, m, INLINE_CODE_MAX, &code->bytes, err))
        return error_code(err);
    return code->bytes.n ? 0 : error_set(err, ERR_INVALID, "specifier: must not be empty");
}

static int set_code(struct decode *d, const Envoy__Config__Core__V3__AsyncDataSource *m,
                    struct conf_code *code, struct error *err)
{
    code->filename = code->uri = code->cluster = code->sha256 = "";
    switch (m ? m->specifier_case : 0) {
    case ENVOY__CONFIG__CORE__V3__ASYNC_DATA_SOURCE__SPECIFIER_LOCAL:
        return set_local(d, m->local, code, err) ? error_prefix(err, "code.local.") : 0;
    case ENVOY__CONFIG__CORE__V3__ASYNC_DATA_SOURCE__SPECIFIER_REMOTE:
        return set_remote(d, m->remote, code, err) ? error_prefix(err, "code.remote.") : 0;
    default:
        return error_set(err, ERR_INVALID, "code: local or remote is required");
    }
}

/* ---- environment ---- */

static int set_limit(const char *key, const char *value, struct conf_plugin *p, struct error *err)
{
    const struct {
        const char *key;
        uint64_t min, max;
        uint64_t *wide;
        uint32_t *narrow;
    } rows[] = {
        {"REMORA_MEMORY_MAX", 64 * 1024, 1024 * 1024 * 1024, &p->memory_max, NULL},
        {"REMORA_CALL_DEADLINE_MS", 1, 60 * 1000, NULL, &p->call_deadline_ms},
        {"REMORA_START_DEADLINE_MS", 1, 600 * 1000, NULL, &p->start_deadline_ms},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint64_t n;
        if (strcmp(key, rows[i].key) != 0)
            continue;
        if (!str_to_u64(str_of(value), rows[i].max, &n) || n < rows[i].min)
            return error_set(err, ERR_INVALID, "key_values.%s: must be within %llu and %llu", key,
                             (unsigned long long)rows[i].min, (unsigned long long)rows[i].max);
        if (rows[i].wide)
            *rows[i].wide = n;
        else
            *rows[i].narrow = (uint32_t)n;
        return 0;
    }
    return error_set(err, ERR_INVALID, "key_values.%s: unknown setting", key);
}

/* Keys that speak to us, and are not for the guest. */
static int take_setting(struct decode *d, const char *key, const char *value, struct conf_plugin *p,
                        bool *is_taken_r, struct error *err)
{
    *is_taken_r = true;
    if (str_starts(str_of(key), STR("REMORA_")))
        return set_limit(key, value, p, err);
    if (strcmp(key, "ISTIO_META_WASM_IMAGE_PULL_SECRET") == 0)
        p->pull_secret = decode_text(d, value);
    else if (strcmp(key, "ISTIO_META_WASM_IMAGE_PULL_POLICY") == 0)
        /* What Istio does not know counts as unspecified. */
        p->pull_policy = strcmp(value, "Always") == 0         ? "Always"
                         : strcmp(value, "IfNotPresent") == 0 ? "IfNotPresent"
                                                              : "";
    else if (strcmp(key, "ISTIO_META_WASM_PLUGIN_RESOURCE_VERSION") == 0)
        p->resource_version = decode_text(d, value);
    else
        *is_taken_r = str_starts(str_of(key), STR("ISTIO_META_"));
    return 0;
}

static int add_env(struct hash *seen, const char *key, struct conf_plugin *p, struct error *err)
{
    static char present;
    if (!hash_set(seen, str_of(key), &present))
        return 0;
    return error_set(err, ERR_DUPLICATE,
                     "Key %s is duplicated in "
                     "envoy.extensions.wasm.v3.VmConfig.environment_variables for %s. All the keys "
                     "must be unique.",
                     key, p->name);
}

static int fill_env(struct decode *d, const Envoy__Extensions__Wasm__V3__EnvironmentVariables *m,
                    struct hash *seen, struct conf_plugin *p, struct error *err)
{
    for (size_t i = 0; i < m->n_host_env_keys; i++) {
        const char *key = m->host_env_keys[i], *value = getenv(key);
        if (add_env(seen, key, p, err))
            return error_prefix(err, "host_env_keys[%zu]: ", i);
        if (value && !str_starts(str_of(key), STR("REMORA_")))
            p->env[p->env_n++] = (struct conf_env){decode_text(d, key), decode_text(d, value)};
    }
    for (size_t i = 0; i < m->n_key_values; i++) {
        const char *key = m->key_values[i]->key, *value = m->key_values[i]->value;
        bool is_taken;
        if (add_env(seen, key, p, err))
            return error_prefix(err, "key_values: ");
        if (take_setting(d, key, value, p, &is_taken, err))
            return error_code(err);
        if (!is_taken)
            p->env[p->env_n++] = (struct conf_env){decode_text(d, key), decode_text(d, value)};
    }
    return 0;
}

static int set_env(struct decode *d, const Envoy__Extensions__Wasm__V3__EnvironmentVariables *m,
                   struct conf_plugin *p, struct error *err)
{
    struct hash seen = {0};
    if (!m)
        return 0;
    p->env = DECODE_ARRAY(d, struct conf_env, m->n_host_env_keys + m->n_key_values);
    int rc = fill_env(d, m, &seen, p, err);
    hash_fini(&seen);
    return rc ? error_prefix(err, "environment_variables.") : 0;
}

/* ---- the plugin ---- */

static int set_vm(struct decode *d, const vm_msg *m, struct conf_plugin *p, struct error *err)
{
    if (*m->runtime && strcmp(m->runtime, "envoy.wasm.runtime.v8") != 0)
        return error_set(err, ERR_UNSUPPORTED,
                         "runtime: '%s' is not available, envoy.wasm.runtime.v8 is", m->runtime);
    p->vm_id = decode_text(d, m->vm_id);
    int rc = set_code(d, m->code, &p->code, err);
    if (!rc && take_bytes(d, m->configuration, &p->vm_configuration, err))
        rc = error_prefix(err, "configuration: ");
    return rc ? rc : set_env(d, m->environment_variables, p, err);
}

#define POLICY(x) ENVOY__EXTENSIONS__WASM__V3__FAILURE_POLICY__##x

static int set_policy(const plugin_msg *m, struct conf_plugin *p, struct error *err)
{
    if (m->fail_open && m->failure_policy != POLICY(UNSPECIFIED))
        return error_set(err, ERR_INVALID,
                         "failure_policy: only one of fail_open or failure_policy can be set");
    switch (m->failure_policy) {
    case POLICY(UNSPECIFIED):
        p->fail_policy = m->fail_open ? CONF_FAIL_OPEN : CONF_FAIL_CLOSED;
        break;
    case POLICY(FAIL_RELOAD):
        p->fail_policy = CONF_FAIL_RELOAD;
        break;
    case POLICY(FAIL_CLOSED):
        p->fail_policy = CONF_FAIL_CLOSED;
        break;
    case POLICY(FAIL_OPEN):
        p->fail_policy = CONF_FAIL_OPEN;
        break;
    default:
        return error_set(err, ERR_INVALID, "failure_policy: unknown value %d",
                         (int)m->failure_policy);
    }
    const Envoy__Config__Core__V3__BackoffStrategy *b =
        m->reload_config ? m->reload_config->backoff : NULL;
    if (decode_ms(b ? b->base_interval : NULL, RELOAD_BACKOFF_MS, "base_interval",
                  &p->reload_backoff_ms, err))
        return error_prefix(err, "reload_config.backoff.");
    if (!p->reload_backoff_ms)
        return error_set(err, ERR_INVALID,
                         "reload_config.backoff.base_interval: must be at least 1ms");
    return 0;
}

static void set_capabilities(struct decode *d,
                             const Envoy__Extensions__Wasm__V3__CapabilityRestrictionConfig *m,
                             struct conf_plugin *p)
{
    if (!m || !m->n_allowed_capabilities)
        return;
    p->is_restricted = true;
    p->capabilities_n = m->n_allowed_capabilities;
    p->capabilities = DECODE_ARRAY(d, const char *, p->capabilities_n);
    for (size_t i = 0; i < p->capabilities_n; i++)
        p->capabilities[i] = decode_text(d, m->allowed_capabilities[i]->key);
}

static int decode_fields(struct decode *d, const plugin_msg *m, struct conf_plugin *p,
                         struct error *err)
{
    p->name = decode_text(d, m->name);
    p->root_id = decode_text(d, m->root_id);
    p->vm_id = p->pull_policy = p->resource_version = "";
    p->vm_configuration = p->configuration = STR("");
    p->memory_max = MEMORY_MAX;
    p->call_deadline_ms = CALL_DEADLINE_MS;
    p->start_deadline_ms = START_DEADLINE_MS;
    p->allow_on_headers_stop_iteration = pb_bool(m->allow_on_headers_stop_iteration, false);
    set_capabilities(d, m->capability_restriction_config, p);
    int rc = set_policy(m, p, err);
    if (!rc && m->vm_case != ENVOY__EXTENSIONS__WASM__V3__PLUGIN_CONFIG__VM_VM_CONFIG)
        return error_set(err, ERR_INVALID, "vm_config: required");
    if (!rc && take_bytes(d, m->configuration, &p->configuration, err))
        rc = error_prefix(err, "configuration: ");
    if (!rc && set_vm(d, m->vm_config, p, err))
        rc = error_prefix(err, "vm_config.");
    return rc;
}

int decode_plugin(const plugin_msg *m, const char *slot, bool is_network,
                  struct conf_plugin **plugin_r, struct error *err)
{
    struct conf_plugin *p = conf_object_create(sizeof(*p), slot);
    struct decode d = {.out = &p->object.arena};
    pb_arena_init(&d.pb, pb_budget(protobuf_c_message_get_packed_size(&m->base)));
    p->slot = p->object.name;
    p->is_network = is_network;
    p->object.hash = decode_hash(&m->base, is_network);
    int rc = decode_fields(&d, m, p, err);
    pb_arena_fini(&d.pb);
    *plugin_r = rc ? NULL : p;
    if (rc)
        conf_object_unref(p);
    return rc;
}

const plugin_msg *decode_wasm_config(const ProtobufCMessage *msg, bool *is_network_r)
{
    *is_network_r =
        msg->descriptor == &envoy__extensions__filters__network__wasm__v3__wasm__descriptor;
    if (*is_network_r)
        return ((const Envoy__Extensions__Filters__Network__Wasm__V3__Wasm *)msg)->config;
    if (msg->descriptor == &envoy__extensions__filters__http__wasm__v3__wasm__descriptor)
        return ((const Envoy__Extensions__Filters__Http__Wasm__V3__Wasm *)msg)->config;
    return NULL;
}

/* ---- ECDS ---- */

static int decode_typed(struct decode *d, const Envoy__Config__Core__V3__TypedExtensionConfig *m,
                        struct conf_plugin **plugin_r, struct error *err)
{
    ProtobufCMessage *msg;
    bool is_network = false;
    struct str type = pb_any_type(m->typed_config);
    if (!*m->name)
        return error_set(err, ERR_INVALID, "name: must not be empty");
    if (!str_is(type, "envoy.extensions.filters.http.wasm.v3.Wasm") &&
        !str_is(type, "envoy.extensions.filters.network.wasm.v3.Wasm"))
        return error_set(err, ERR_UNSUPPORTED,
                         "typed_config: Didn't find a registered implementation for '%s' with type "
                         "URL: '%.*s'",
                         m->name, STR_ARG(type));
    int rc = decode_any(d, m->typed_config, &msg, err);
    if (rc)
        return rc;
    const plugin_msg *config = decode_wasm_config(msg, &is_network);
    if (!config)
        return error_set(err, ERR_INVALID, "typed_config.config: required");
    rc = decode_plugin(config, m->name, is_network, plugin_r, err);
    return rc ? error_prefix(err, "typed_config.config.") : 0;
}

int decode_extension(struct str bytes, const struct pb_unknown *unknown,
                     struct conf_plugin **plugin_r, struct error *err)
{
    struct decode d;
    ProtobufCMessage *msg;
    *plugin_r = NULL;
    int rc = decode_begin(&d, bytes, unknown,
                          &envoy__config__core__v3__typed_extension_config__descriptor, &msg, err);
    if (!rc)
        rc = decode_typed(&d, (const Envoy__Config__Core__V3__TypedExtensionConfig *)msg, plugin_r,
                          err);
    decode_end(&d);
    return rc;
}
