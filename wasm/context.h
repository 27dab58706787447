/* Contexts of plugins: what filters use of the Proxy-Wasm host. A stream (or TCP session) has one
 * context per plugin; it lives in the filter's own per-stream state. The host reaches streams,
 * upstreams and properties only through the two ops structs below. [worker]
 *
 * Effects that guests ask for (continue, close, local reply) are run when the guest call that
 * asked has returned, in order, from inside pwasm_context_call. */
#ifndef WASM_CONTEXT_H
#define WASM_CONTEXT_H

#include "base/buf.h"
#include "base/list.h"
#include "http/headers.h"
#include "wasm/abi.h"
#include "wasm/plugin.h"

struct pwasm_context;
struct pwasm_slot;
struct pwasm_callout;

struct pwasm_reply {
    unsigned status;
    struct str details, body;
    const struct headers *headers;
    int grpc_status; /* -1: by the status */
};

struct pwasm_path {
    struct str part[PWASM_PATH_MAX];
    unsigned n;
};

/* What a context may do to its stream. */
struct pwasm_stream_ops {
    void (*go_on)(struct pwasm_context *c, enum pwasm_stream which);
    void (*close)(struct pwasm_context *c, enum pwasm_stream which);
    void (*reply)(struct pwasm_context *c, const struct pwasm_reply *r);
    /* Appends the value, encoded as the ABI wants it: PWASM_OK, PWASM_NOT_FOUND or
     * PWASM_SERIALIZATION_FAILURE. */
    enum pwasm_status (*property)(struct pwasm_context *c, const struct pwasm_path *path,
                                  struct sbuf *out);
    /* Filter state "wasm.KEY" of the stream, shared by its plugins. */
    enum pwasm_status (*set_state)(struct pwasm_context *c, struct str key, struct str value);
    bool (*get_state)(struct pwasm_context *c, struct str key, struct str *value_r);
    /* The request's headers changed: a route chosen before is void. */
    void (*on_route_change)(struct pwasm_context *c);
    /* The VM failed, in this or another context: a stream that waits for it must not wait on. */
    void (*on_vm_failed)(struct pwasm_context *c);
};

struct pwasm_context {
    /* The filter sets these around its calls; NULL: not available now. */
    struct headers *maps[PWASM_MAP_STREAM_COUNT];
    struct buf *buffers[PWASM_BUFFER_STREAM_COUNT];
    bool is_logging; /* maps may be read only */
    /* private */
    struct pwasm_vm *vm; /* own reference; NULL: not open */
    const struct pwasm_stream_ops *ops;
    struct list node;
    struct pwasm_context *next; /* in its bucket */
    uint32_t id;
};

struct pwasm_http_call {
    struct str cluster;
    const struct headers *headers, *trailers;
    struct str body;
    uint32_t timeout_ms; /* 0: none */
};

struct pwasm_grpc;

struct pwasm_grpc_call {
    struct str cluster, service, method;
    struct str authority; /* n 0: the cluster's name */
    const struct headers *metadata;
    uint32_t timeout_ms; /* 0: none */
};

/* What plugins may do to their surroundings; handed down by filters/wasm.c. */
struct pwasm_host_ops {
    /* PWASM_OK: pwasm_http_call_done follows, from the loop. BAD_ARGUMENT: no such cluster.
     * INTERNAL_FAILURE: cannot be sent now. */
    enum pwasm_status (*http_call)(struct pwasm_worker *w, const struct pwasm_http_call *call,
                                   struct pwasm_callout *callout, void **handle_r);
    void (*http_cancel)(void *handle);
    bool (*has_cluster)(struct pwasm_worker *w, struct str name);
    /* PWASM_OK: the functions pwasm_grpc_x follow, from the loop; pwasm_grpc_closed is the last. */
    enum pwasm_status (*grpc_open)(struct pwasm_worker *w, const struct pwasm_grpc_call *call,
                                   struct pwasm_grpc *grpc, void **handle_r);
    bool (*grpc_send)(void *handle, struct str message, bool end); /* false: too much, or ended */
    void (*grpc_end)(void *handle);
    void (*grpc_cancel)(void *handle);
};

void pwasm_worker_set_host_ops(struct pwasm_worker *w, const struct pwasm_host_ops *ops);
/* headers->n == 0: the exchange failed. */
void pwasm_http_call_done(struct pwasm_callout *callout, const struct headers *headers,
                          struct str body, const struct headers *trailers);

void pwasm_grpc_initial(struct pwasm_grpc *grpc, const struct headers *metadata);
void pwasm_grpc_message(struct pwasm_grpc *grpc, struct str message);
void pwasm_grpc_trailing(struct pwasm_grpc *grpc, const struct headers *metadata);
void pwasm_grpc_closed(struct pwasm_grpc *grpc, unsigned status, const char *message);

/* The slot of that name, made when it is not there; its plugin may come later. */
struct pwasm_slot *pwasm_slot_get(struct pwasm_worker *w, const char *name);
void pwasm_slot_unref(struct pwasm_slot **slot); /* takes NULL, sets NULL */

enum pwasm_entry {
    PWASM_RUN,       /* the context is open: pwasm_context_close must follow */
    PWASM_BYPASS,    /* policy open: go on without the plugin */
    PWASM_REFUSE,    /* policy closed */
    PWASM_NO_CONFIG, /* nothing was ever put in the slot */
};
/* Begins a stream with the plugin that is in the slot now (proxy_on_context_create). c is zeroed
 * by the caller. */
enum pwasm_entry pwasm_slot_enter(struct pwasm_slot *slot, const struct pwasm_stream_ops *ops,
                                  struct pwasm_context *c);

/* Has the plugin that is in the slot now this function? */
bool pwasm_slot_has(const struct pwasm_slot *slot, enum pwasm_export e);

static inline bool pwasm_context_is_open(const struct pwasm_context *c)
{
    return c->vm != NULL;
}

/* The plugin's configuration; c is open. */
const struct conf_plugin *pwasm_context_conf(const struct pwasm_context *c);
bool pwasm_context_has(const struct pwasm_context *c, enum pwasm_export e);
/* The VM failed: the plugin cannot be called any more. */
bool pwasm_context_is_failed(const struct pwasm_context *c);

/* Calls the guest with (context id, a, b), as many of them as the function has parameters.
 * *result_r is 0 when the module has no such function. False: the VM failed, now or before. */
bool pwasm_context_call(struct pwasm_context *c, enum pwasm_export e, uint32_t a, uint32_t b,
                        uint32_t *result_r);
/* The end: proxy_on_log, proxy_on_done, proxy_on_delete (HTTP; TCP: done, log, delete). */
void pwasm_context_close(struct pwasm_context *c, bool is_http);

#endif
