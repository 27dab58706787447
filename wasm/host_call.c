/* Host functions for HTTP calls to other services. They belong to the root context, whoever asked;
 * the transport is filters/wasm.c's (pwasm_host_ops). Calls made while the plugin starts are kept
 * until it stands on its worker. */
#include "base/mem.h"
#include "wasm/pairs.h"
#include "wasm/plugin_private.h"

enum { ID_STEP = 4, GRPC_UNKNOWN_STATUS = 11 }; /* see host_grpc.c for ids */

struct pwasm_callout {
    struct list node;
    struct pwasm_vm *vm;
    uint32_t id;
    void *handle; /* of the transport; NULL: not sent yet */
    bool is_sent;
    /* Of calls that wait for the worker. */
    char *cluster;
    struct headers headers, trailers;
    char *body;
    size_t body_n;
    uint32_t timeout_ms;
};

static void release(struct pwasm_callout *o)
{
    list_del(&o->node);
    o->vm->callouts_n--;
    headers_fini(&o->headers);
    headers_fini(&o->trailers);
    mem_free(o->cluster);
    mem_free(o->body);
    mem_free(o);
}

static enum pwasm_status send(struct pwasm_callout *o)
{
    struct pwasm_worker *w = o->vm->worker;
    struct pwasm_http_call call = {.cluster = str_of(o->cluster),
                                   .headers = &o->headers,
                                   .trailers = o->trailers.n ? &o->trailers : NULL,
                                   .body = {o->body, o->body_n},
                                   .timeout_ms = o->timeout_ms};
    o->is_sent = true;
    return w->host->http_call(w, &call, o, &o->handle);
}

/* The guest gets its answer. o is gone afterwards. */
static void answer(struct pwasm_callout *o, const struct headers *headers, struct str body,
                   const struct headers *trailers)
{
    static const struct headers none;
    struct pwasm_vm *vm = o->vm;
    uint32_t id = o->id;
    release(o);
    trailers = trailers ? trailers : &none;
    bool is_failed = headers->n == 0;
    vm->last_status = is_failed ? GRPC_UNKNOWN_STATUS : 0;
    vm->last_status_text = is_failed ? "reset" : "";
    if (!is_failed) {
        vm->call_maps[PWASM_MAP_CALL_HEADERS] = headers;
        vm->call_maps[PWASM_MAP_CALL_TRAILERS] = trailers;
        vm->call_buffers[PWASM_BUFFER_CALL_BODY] = body.p ? body : STR("");
    }
    int32_t args[] = {PWASM_ROOT_ID, (int32_t)id, (int32_t)headers->n,
                      is_failed ? 0 : (int32_t)body.n, (int32_t)trailers->n};
    pwasm_vm_call(vm, &vm->root, PWASM_ON_HTTP_CALL_RESPONSE, args, NULL);
    vm->call_maps[PWASM_MAP_CALL_HEADERS] = vm->call_maps[PWASM_MAP_CALL_TRAILERS] = NULL;
    vm->call_buffers[PWASM_BUFFER_CALL_BODY] = STR_NULL;
}

void pwasm_http_call_done(struct pwasm_callout *o, const struct headers *headers, struct str body,
                          const struct headers *trailers)
{
    o->handle = NULL;
    answer(o, headers, body, trailers);
}

void pwasm_callouts_start_queued(struct pwasm_vm *vm)
{
    static const struct headers none;
    if (!vm->worker->host)
        return;
    list_for_each_safe (it, tmp, &vm->callouts) {
        struct pwasm_callout *o = container_of(it, struct pwasm_callout, node);
        /* The guest was told that the call is under way: failure comes as its answer. */
        if (!o->is_sent && send(o) != PWASM_OK)
            answer(o, &none, STR_NULL, NULL);
    }
}

void pwasm_callouts_cancel(struct pwasm_vm *vm)
{
    list_for_each_safe (it, tmp, &vm->callouts) {
        struct pwasm_callout *o = container_of(it, struct pwasm_callout, node);
        if (o->handle)
            vm->worker->host->http_cancel(o->handle);
        release(o);
    }
}

static bool is_complete(const struct headers *h)
{
    return headers_find(h, HDR_PATH) && headers_find(h, HDR_METHOD) &&
           headers_find(h, HDR_AUTHORITY);
}

static struct pwasm_callout *create(struct pwasm_vm *vm, struct str cluster, struct str body,
                                    uint32_t timeout_ms)
{
    struct pwasm_callout *o = MEM_NEW(struct pwasm_callout);
    o->vm = vm;
    o->cluster = mem_strndup(cluster.p, cluster.n);
    o->body = mem_dup(body.p, body.n);
    o->body_n = body.n;
    o->timeout_ms = timeout_ms;
    list_add_tail(&vm->callouts, &o->node);
    vm->callouts_n++;
    return o;
}

static int32_t proxy_http_call(void *unused, int32_t cluster, int32_t cluster_n, int32_t headers,
                               int32_t headers_n, int32_t body, int32_t body_n, int32_t trailers,
                               int32_t trailers_n, int32_t timeout_ms, int32_t out_id)
{
    (void)unused;
    HOST_ENTER(vm, cluster, cluster_n, headers, headers_n, body, body_n, trailers, trailers_n,
               timeout_ms, out_id);
    struct str cluster_str, headers_str, body_str, trailers_str;
    if (!guest_str(cluster, cluster_n, &cluster_str) ||
        !guest_str(headers, headers_n, &headers_str) || !guest_str(body, body_n, &body_str) ||
        !guest_str(trailers, trailers_n, &trailers_str) || !guest_put_u32(out_id, 0))
        return PWASM_INVALID_MEMORY;
    if (timeout_ms < 0)
        return PWASM_BAD_ARGUMENT;
    if (vm->callouts_n >= PWASM_CALLOUTS_MAX)
        return PWASM_INTERNAL_FAILURE;
    struct pwasm_callout *o = create(vm, cluster_str, body_str, (uint32_t)timeout_ms);
    pairs_decode(headers_str, &o->headers);
    pairs_decode(trailers_str, &o->trailers);
    enum pwasm_status st = is_complete(&o->headers) ? PWASM_OK : PWASM_BAD_ARGUMENT;
    if (st == PWASM_OK && vm->worker && vm->worker->host)
        st = send(o);
    if (st != PWASM_OK) {
        release(o);
        return (int32_t)st;
    }
    vm->last_callout += ID_STEP;
    o->id = vm->last_callout;
    guest_put_u32(out_id, o->id);
    return PWASM_OK;
}

static const struct pwasm_func funcs[] = {
    {"proxy_http_call", "iiiiiiiiii:i", (void *)proxy_http_call, PWASM_PLAIN},
};
const struct pwasm_funcs pwasm_funcs_call = {funcs, ARRAY_LEN(funcs)};
