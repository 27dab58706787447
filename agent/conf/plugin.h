/* A Wasm plugin's configuration (envoy.extensions.wasm.v3.PluginConfig): what the rollout takes
 * from xds and what the host runs. Immutable, shared. */
#ifndef CONF_PLUGIN_H
#define CONF_PLUGIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "conf/object.h"

enum conf_code_kind { CONF_CODE_FILE, CONF_CODE_INLINE, CONF_CODE_REMOTE };

struct conf_code {
    enum conf_code_kind kind;
    const char *filename; /* FILE */
    struct str bytes;     /* INLINE */
    const char *uri;      /* REMOTE: http://, https://, oci:// */
    const char *cluster;  /* REMOTE: http_uri.cluster; "" when none */
    uint32_t timeout_ms;  /* REMOTE */
    const char *sha256;   /* REMOTE: lower-case hex as given, "" when none */
    uint32_t num_retries;
};

enum conf_fail_policy { CONF_FAIL_CLOSED, CONF_FAIL_OPEN, CONF_FAIL_RELOAD };

struct conf_env {
    const char *key, *value;
};

struct conf_plugin {
    struct conf_object object; /* name: that of the slot */
    const char *slot;          /* ECDS resource name, or "LISTENER/CHAIN/FILTER" when inline */
    const char *name, *root_id, *vm_id;
    struct conf_code code;
    struct str vm_configuration; /* bytes handed to on_vm_start */
    struct str configuration;    /* bytes handed to on_configure */
    struct conf_env *env;        /* host keys resolved; REMORA_ and ISTIO_META_ keys taken out */
    size_t env_n;
    const char **capabilities; /* allowed_capabilities; NULL with n 0: everything */
    size_t capabilities_n;
    bool is_restricted; /* a capability restriction was given */
    enum conf_fail_policy fail_policy;
    uint32_t reload_backoff_ms; /* base; default 1000 */
    bool allow_on_headers_stop_iteration;
    bool is_network;              /* a network filter (envoy.filters.network.wasm) */
    uint64_t memory_max;          /* bytes of linear memory */
    uint32_t call_deadline_ms;    /* CPU time of one guest call */
    uint32_t start_deadline_ms;   /* CPU time of start, vm_start, configure */
    const char *pull_secret;      /* docker config JSON, or NULL; never to disk, never logged */
    const char *pull_policy;      /* "", "IfNotPresent", "Always" */
    const char *resource_version; /* ISTIO_META_WASM_PLUGIN_RESOURCE_VERSION or "" */
};

#endif
