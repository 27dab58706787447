/* The Proxy-Wasm ABI: its numbers, and the tables of host functions that guests may import.
 * Source: proxy-wasm ABI 0.1.0, 0.2.0 and 0.2.1; codes where they differ from the text: Envoy's. */
#ifndef WASM_ABI_H
#define WASM_ABI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "wasm/vm.h"

enum pwasm_status {
    PWASM_OK = 0,
    PWASM_NOT_FOUND = 1,
    PWASM_BAD_ARGUMENT = 2,
    PWASM_SERIALIZATION_FAILURE = 3,
    PWASM_PARSE_FAILURE = 4,
    PWASM_INVALID_MEMORY = 6,
    PWASM_EMPTY = 7,
    PWASM_CAS_MISMATCH = 8,
    PWASM_INTERNAL_FAILURE = 10,
    PWASM_UNIMPLEMENTED = 12,
};

enum pwasm_abi { PWASM_ABI_NONE, PWASM_ABI_0_1_0, PWASM_ABI_0_2_0, PWASM_ABI_0_2_1 };

enum pwasm_map {
    PWASM_MAP_REQ_HEADERS,
    PWASM_MAP_REQ_TRAILERS,
    PWASM_MAP_RESP_HEADERS,
    PWASM_MAP_RESP_TRAILERS,
    PWASM_MAP_STREAM_COUNT,
    PWASM_MAP_GRPC_INITIAL = PWASM_MAP_STREAM_COUNT,
    PWASM_MAP_GRPC_TRAILING,
    PWASM_MAP_CALL_HEADERS,
    PWASM_MAP_CALL_TRAILERS,
    PWASM_MAP_COUNT
};

enum pwasm_buffer {
    PWASM_BUFFER_REQ_BODY,
    PWASM_BUFFER_RESP_BODY,
    PWASM_BUFFER_DOWNSTREAM,
    PWASM_BUFFER_UPSTREAM,
    PWASM_BUFFER_STREAM_COUNT,
    PWASM_BUFFER_CALL_BODY = PWASM_BUFFER_STREAM_COUNT,
    PWASM_BUFFER_GRPC_RECEIVE,
    PWASM_BUFFER_VM_CONFIG,
    PWASM_BUFFER_PLUGIN_CONFIG,
    PWASM_BUFFER_CALL_DATA,
    PWASM_BUFFER_COUNT
};

enum pwasm_stream { PWASM_REQUEST, PWASM_RESPONSE, PWASM_DOWNSTREAM, PWASM_UPSTREAM };

/* Functions of the module that the host calls, with their types; those of
 * proxy_on_request_headers and proxy_on_response_headers lack the last parameter in 0.1.0. */
#define PWASM_EXPORT_MAP(X)                                                 \
    X(ON_CONTEXT_CREATE, "proxy_on_context_create", "ii:v")                 \
    X(ON_VM_START, "proxy_on_vm_start", "ii:i")                             \
    X(ON_CONFIGURE, "proxy_on_configure", "ii:i")                           \
    X(ON_TICK, "proxy_on_tick", "i:v")                                      \
    X(ON_QUEUE_READY, "proxy_on_queue_ready", "ii:v")                       \
    X(ON_NEW_CONNECTION, "proxy_on_new_connection", "i:i")                  \
    X(ON_DOWNSTREAM_DATA, "proxy_on_downstream_data", "iii:i")              \
    X(ON_UPSTREAM_DATA, "proxy_on_upstream_data", "iii:i")                  \
    X(ON_DOWNSTREAM_CLOSE, "proxy_on_downstream_connection_close", "ii:v")  \
    X(ON_UPSTREAM_CLOSE, "proxy_on_upstream_connection_close", "ii:v")      \
    X(ON_REQUEST_HEADERS, "proxy_on_request_headers", "iii:i")              \
    X(ON_REQUEST_BODY, "proxy_on_request_body", "iii:i")                    \
    X(ON_REQUEST_TRAILERS, "proxy_on_request_trailers", "ii:i")             \
    X(ON_RESPONSE_HEADERS, "proxy_on_response_headers", "iii:i")            \
    X(ON_RESPONSE_BODY, "proxy_on_response_body", "iii:i")                  \
    X(ON_RESPONSE_TRAILERS, "proxy_on_response_trailers", "ii:i")           \
    X(ON_HTTP_CALL_RESPONSE, "proxy_on_http_call_response", "iiiii:v")      \
    X(ON_GRPC_INITIAL, "proxy_on_grpc_receive_initial_metadata", "iii:v")   \
    X(ON_GRPC_RECEIVE, "proxy_on_grpc_receive", "iii:v")                    \
    X(ON_GRPC_TRAILING, "proxy_on_grpc_receive_trailing_metadata", "iii:v") \
    X(ON_GRPC_CLOSE, "proxy_on_grpc_close", "iii:v")                        \
    X(ON_DONE, "proxy_on_done", "i:i")                                      \
    X(ON_LOG, "proxy_on_log", "i:v")                                        \
    X(ON_DELETE, "proxy_on_delete", "i:v")

enum pwasm_export {
#define X(id, name, sig) PWASM_##id,
    PWASM_EXPORT_MAP(X)
#undef X
        PWASM_EXPORT_COUNT
};

/* Limits on what guests make the host keep. */
enum {
    PWASM_CONTEXTS_MAX = 100000,
    PWASM_CALLOUTS_MAX = 1000, /* HTTP and gRPC */
    PWASM_METRICS_MAX = 2000,
    PWASM_LOG_LINES_MAX = 1000, /* per second */
    PWASM_PAIRS_MAX = 1024,
    PWASM_PAIRS_BYTES_MAX = 1 << 20,
    PWASM_HEADERS_BYTES_MAX = 1 << 20, /* of a map that a guest adds to */
    PWASM_BODY_MAX = 64 << 20,         /* of a body that a guest adds to */
    PWASM_RANDOM_MAX = 65536,
    PWASM_PATH_MAX = 16, /* components of a property's path */
};

/* All host functions, for vm_create. */
const struct vm_host *pwasm_abi_host(void);
/* [main] once: puts the tables together. */
void pwasm_abi_init(void);

/* ---- for host_*.c and wasi.c ---- */

/* A host function; those of the table "wasi" are offered under both names of that module. */
struct pwasm_func {
    const char *name, *sig;
    void *fn;
    int out_at; /* of VM_HOST_BYTES; else PWASM_PLAIN */
};
enum { PWASM_PLAIN = -1 };

struct pwasm_funcs {
    const struct pwasm_func *v;
    size_t n;
};

extern const struct pwasm_funcs pwasm_funcs_headers, pwasm_funcs_buffers, pwasm_funcs_stream,
    pwasm_funcs_call, pwasm_funcs_grpc, pwasm_funcs_root, pwasm_funcs_shared, pwasm_funcs_metrics,
    pwasm_funcs_foreign, pwasm_funcs_wasi;

#endif
