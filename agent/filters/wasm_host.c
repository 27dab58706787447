/* The worker's side of plugins: HTTP and gRPC calls to clusters, and what both Wasm filters share.
 */
#include "base/mem.h"
#include "filters/wasm_private.h"
#include "http/hold.h"
#include "upstream/callout.h"
#include "upstream/grpc_callout.h"
#include "upstream/upstream.h"

struct call {
    struct callout *callout;
    struct pwasm_callout *owner;
};

static void on_done(const struct callout_response *r, void *arg)
{
    struct call *call = arg;
    struct pwasm_callout *owner = call->owner;
    mem_free(call);
    pwasm_http_call_done(owner, &r->headers, buf_str(&r->body), &r->trailers);
}

static enum pwasm_status http_call(struct pwasm_worker *w, const struct pwasm_http_call *c,
                                   struct pwasm_callout *owner, void **handle_r)
{
    struct filter_env *env = pwasm_worker_env(w);
    if (!env->current)
        return PWASM_BAD_ARGUMENT;
    struct call *call = MEM_NEW(struct call);
    struct callout_request rq = {.cluster = c->cluster,
                                 .headers = c->headers,
                                 .body = c->body,
                                 .trailers = c->trailers,
                                 .timeout_ms = c->timeout_ms};
    call->owner = owner;
    int rc =
        callout_start(env->upstreams, env->current->snapshot, &rq, on_done, call, &call->callout);
    if (rc) {
        mem_free(call);
        return rc == -ERR_CLOSED ? PWASM_INTERNAL_FAILURE : PWASM_BAD_ARGUMENT;
    }
    *handle_r = call;
    return PWASM_OK;
}

static void http_cancel(void *handle)
{
    struct call *call = handle;
    callout_cancel(&call->callout);
    mem_free(call);
}

static bool has_cluster(struct pwasm_worker *w, struct str name)
{
    struct filter_env *env = pwasm_worker_env(w);
    return env->current && snapshot_cluster(env->current->snapshot, name);
}

/* ---- gRPC ---- */

struct grpc {
    struct grpc_callout *stream;
    struct pwasm_grpc *owner;
};

static void on_initial(void *arg, const struct headers *metadata)
{
    pwasm_grpc_initial(((struct grpc *)arg)->owner, metadata);
}

static void on_message(void *arg, struct str message)
{
    pwasm_grpc_message(((struct grpc *)arg)->owner, message);
}

static void on_trailing(void *arg, const struct headers *metadata)
{
    pwasm_grpc_trailing(((struct grpc *)arg)->owner, metadata);
}

static void on_close(void *arg, unsigned status, const char *message)
{
    struct pwasm_grpc *owner = ((struct grpc *)arg)->owner;
    mem_free(arg);
    pwasm_grpc_closed(owner, status, message);
}

static const struct grpc_callout_ops grpc_ops = {on_initial, on_message, on_trailing, on_close};

static enum pwasm_status grpc_open(struct pwasm_worker *w, const struct pwasm_grpc_call *c,
                                   struct pwasm_grpc *owner, void **handle_r)
{
    struct filter_env *env = pwasm_worker_env(w);
    if (!env->current)
        return PWASM_PARSE_FAILURE;
    struct grpc *g = MEM_NEW(struct grpc);
    struct grpc_callout_request rq = {.cluster = c->cluster,
                                      .service = c->service,
                                      .method = c->method,
                                      .authority = c->authority,
                                      .metadata = c->metadata,
                                      .timeout_ms = c->timeout_ms};
    g->owner = owner;
    int rc =
        grpc_callout_start(env->upstreams, env->current->snapshot, &rq, &grpc_ops, g, &g->stream);
    if (rc) {
        mem_free(g);
        return rc == -ERR_CLOSED ? PWASM_INTERNAL_FAILURE : PWASM_PARSE_FAILURE;
    }
    *handle_r = g;
    return PWASM_OK;
}

static bool grpc_send(void *handle, struct str message, bool end)
{
    return grpc_callout_send(((struct grpc *)handle)->stream, message, end);
}

static void grpc_end(void *handle)
{
    grpc_callout_end(((struct grpc *)handle)->stream);
}

static void grpc_cancel(void *handle)
{
    struct grpc *g = handle;
    grpc_callout_cancel(&g->stream);
    mem_free(g);
}

static const struct pwasm_host_ops host_ops = {
    .http_call = http_call,
    .http_cancel = http_cancel,
    .has_cluster = has_cluster,
    .grpc_open = grpc_open,
    .grpc_send = grpc_send,
    .grpc_end = grpc_end,
    .grpc_cancel = grpc_cancel,
};

struct pwasm_slot *wasm_slot(struct filter_env *env, const char *name)
{
    pwasm_worker_set_host_ops(env->wasm, &host_ops);
    return pwasm_slot_get(env->wasm, name);
}

enum pwasm_entry wasm_enter(struct pwasm_slot *slot, const struct conf_plugin *inline_conf,
                            const struct pwasm_stream_ops *ops, struct pwasm_context *c)
{
    enum pwasm_entry entry = pwasm_slot_enter(slot, ops, c);
    if (entry == PWASM_NO_CONFIG && inline_conf)
        return inline_conf->fail_policy == CONF_FAIL_OPEN ? PWASM_BYPASS : PWASM_REFUSE;
    return entry;
}

/* ---- filter state ---- */

const struct wasm_state *wasm_state_find(const struct wasm_state *s, struct str key)
{
    while (s && !str_eq(s->key, key))
        s = s->next;
    return s;
}

enum pwasm_status wasm_state_set(struct wasm_state **first, struct arena *arena, size_t *used,
                                 struct str key, struct str value)
{
    struct wasm_state *s = (struct wasm_state *)wasm_state_find(*first, key);
    size_t n = sizeof(*s) + key.n + value.n;
    if (*used + n > WASM_STATE_MAX)
        return PWASM_INTERNAL_FAILURE;
    *used += n;
    if (!s) {
        s = arena_zalloc(arena, sizeof(*s));
        s->key = (struct str){arena_strndup(arena, key.p, key.n), key.n};
        s->next = *first;
        *first = s;
    }
    s->value = (struct str){arena_strndup(arena, value.p, value.n), value.n};
    return PWASM_OK;
}
