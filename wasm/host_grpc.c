/* Host functions for gRPC calls and streams. Like HTTP calls they belong to the root context, their
 * transport is filters/wasm.c's, and those that begin while the plugin starts wait until it stands
 * on its worker.
 *
 * A call brings one message, or a status; a stream everything it hears of, until it is closed. */
#include "base/mem.h"
#include "conf/plugin.h"
#include "wasm/pairs.h"
#include "wasm/plugin_private.h"
#include "wasm/protowire.h"

/* Ids tell what they stand for by their low bits: 0 HTTP call, 1 gRPC call, 2 gRPC stream. */
enum { ID_STEP = 4, ID_KIND = 3, ID_CALL = 1, ID_STREAM = 2 };
enum { QUEUE_MAX = 1 << 20, GRPC_INTERNAL = 13, GRPC_UNAVAILABLE = 14, STATUS_MAX = 16 };

struct pwasm_grpc {
    struct list node;
    struct pwasm_vm *vm;
    uint32_t id;
    void *handle;  /* of the transport; NULL: not open yet */
    char *message; /* of a call: what came */
    size_t message_n;
    bool has_message;
    /* What waits for the worker. */
    char *cluster, *service, *method, *authority;
    struct headers metadata;
    uint32_t timeout_ms;
    struct buf queue; /* u32 size, bytes, for each message */
    bool ends;
};

static bool is_call(const struct pwasm_grpc *g)
{
    return (g->id & ID_KIND) == ID_CALL;
}

static void release(struct pwasm_grpc *g)
{
    list_del(&g->node);
    g->vm->callouts_n--;
    headers_fini(&g->metadata);
    buf_fini(&g->queue);
    mem_free(g->message);
    mem_free(g->cluster);
    mem_free(g->service);
    mem_free(g->method);
    mem_free(g->authority);
    mem_free(g);
}

static struct pwasm_grpc *find(struct pwasm_vm *vm, uint32_t id)
{
    list_for_each (it, &vm->grpcs) {
        struct pwasm_grpc *g = container_of(it, struct pwasm_grpc, node);
        if (g->id == id)
            return g;
    }
    return NULL;
}

/* ---- what the guest hears ---- */

static void tell(struct pwasm_vm *vm, enum pwasm_export e, uint32_t id, size_t n)
{
    int32_t args[] = {PWASM_ROOT_ID, (int32_t)id, (int32_t)n};
    pwasm_vm_call(vm, &vm->root, e, args, NULL);
}

static void tell_map(struct pwasm_grpc *g, enum pwasm_export e, enum pwasm_map map,
                     const struct headers *metadata)
{
    struct pwasm_vm *vm = g->vm;
    if (is_call(g))
        return;
    vm->call_maps[map] = metadata;
    tell(vm, e, g->id, metadata->n);
    vm->call_maps[map] = NULL;
}

static void tell_message(struct pwasm_vm *vm, uint32_t id, struct str message)
{
    vm->call_buffers[PWASM_BUFFER_GRPC_RECEIVE] = message.n ? message : STR("");
    tell(vm, PWASM_ON_GRPC_RECEIVE, id, message.n);
    vm->call_buffers[PWASM_BUFFER_GRPC_RECEIVE] = STR_NULL;
}

static void tell_close(struct pwasm_vm *vm, uint32_t id, unsigned status, const char *message)
{
    mem_free(vm->grpc_status_text);
    vm->grpc_status_text = mem_strdup(message);
    vm->last_status = (int32_t)status;
    vm->last_status_text = vm->grpc_status_text;
    tell(vm, PWASM_ON_GRPC_CLOSE, id, status);
}

void pwasm_grpc_initial(struct pwasm_grpc *g, const struct headers *metadata)
{
    tell_map(g, PWASM_ON_GRPC_INITIAL, PWASM_MAP_GRPC_INITIAL, metadata);
}

void pwasm_grpc_message(struct pwasm_grpc *g, struct str message)
{
    if (!is_call(g)) {
        tell_message(g->vm, g->id, message);
        return;
    }
    if (g->has_message)
        return; /* a call has one answer */
    g->has_message = true;
    g->message = mem_dup(message.p, message.n);
    g->message_n = message.n;
}

void pwasm_grpc_trailing(struct pwasm_grpc *g, const struct headers *metadata)
{
    tell_map(g, PWASM_ON_GRPC_TRAILING, PWASM_MAP_GRPC_TRAILING, metadata);
}

void pwasm_grpc_closed(struct pwasm_grpc *g, unsigned status, const char *message)
{
    struct pwasm_vm *vm = g->vm;
    uint32_t id = g->id;
    char *text = g->message;
    size_t n = g->message_n;
    bool is_answered = is_call(g) && g->has_message && !status;
    if (is_call(g) && !status && !g->has_message)
        status = GRPC_INTERNAL;
    g->message = NULL;
    release(g);
    if (is_answered)
        tell_message(vm, id, (struct str){text, n});
    else
        tell_close(vm, id, status, message);
    mem_free(text);
}

/* ---- towards the transport ---- */

static bool flush(struct pwasm_grpc *g)
{
    const struct pwasm_host_ops *host = g->vm->worker->host;
    bool ok = true;
    while (ok && g->queue.len) {
        struct str all = buf_str(&g->queue);
        uint32_t n;
        memcpy(&n, all.p, sizeof(n));
        bool is_last = all.n == sizeof(n) + n;
        ok = host->grpc_send(g->handle, (struct str){all.p + sizeof(n), n}, is_last && g->ends);
        buf_consume(&g->queue, sizeof(n) + n);
        if (is_last && g->ends)
            return ok;
    }
    if (ok && g->ends)
        host->grpc_end(g->handle);
    return ok;
}

static enum pwasm_status open_grpc(struct pwasm_grpc *g)
{
    struct pwasm_worker *w = g->vm->worker;
    struct pwasm_grpc_call call = {.cluster = str_of(g->cluster),
                                   .service = str_of(g->service),
                                   .method = str_of(g->method),
                                   .authority = str_of(g->authority),
                                   .metadata = &g->metadata,
                                   .timeout_ms = g->timeout_ms};
    enum pwasm_status st = w->host->grpc_open(w, &call, g, &g->handle);
    if (st == PWASM_OK && !flush(g)) {
        w->host->grpc_cancel(g->handle);
        st = PWASM_INTERNAL_FAILURE;
    }
    return st;
}

void pwasm_grpcs_start_queued(struct pwasm_vm *vm)
{
    list_for_each_safe (it, tmp, &vm->grpcs) {
        struct pwasm_grpc *g = container_of(it, struct pwasm_grpc, node);
        /* The guest was told that it is under way: failure comes as its end. */
        if (!g->handle && open_grpc(g) != PWASM_OK)
            pwasm_grpc_closed(g, GRPC_UNAVAILABLE, "");
    }
}

void pwasm_grpcs_cancel(struct pwasm_vm *vm)
{
    list_for_each_safe (it, tmp, &vm->grpcs) {
        struct pwasm_grpc *g = container_of(it, struct pwasm_grpc, node);
        if (g->handle)
            vm->worker->host->grpc_cancel(g->handle);
        release(g);
    }
}

/* ---- host functions ---- */

/* A serialized GrpcService (envoy_grpc, initial_metadata), else the name of a cluster. */
struct target {
    struct str cluster, authority;
    struct headers metadata;
};

static void add_metadata(struct headers *h, struct str header)
{
    struct str key, value = STR("");
    bool has_value = protowire_find(header, 2, &value);
    if (protowire_find(header, 1, &key) && pairs_is_header(key, has_value ? value : STR("")))
        headers_add(h, key, has_value ? value : STR(""));
}

static void read_target(struct str service, struct target *t)
{
    struct str envoy_grpc, rest = service;
    struct protowire_field f;
    *t = (struct target){.cluster = service};
    if (!protowire_find(service, 1, &envoy_grpc) || !protowire_find(envoy_grpc, 1, &t->cluster))
        return;
    protowire_find(envoy_grpc, 2, &t->authority);
    while (protowire_next(&rest, &f))
        if (f.number == 5 && f.type == PROTOWIRE_BYTES)
            add_metadata(&t->metadata, f.bytes);
}

static bool is_name(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= ' ' || s.p[i] == 0x7f || s.p[i] == '/' || s.p[i] == '?' || s.p[i] == '#')
            return false;
    return s.n > 0;
}

static void queue(struct pwasm_grpc *g, struct str message, bool end)
{
    uint32_t n = (uint32_t)message.n;
    buf_add(&g->queue, &n, sizeof(n));
    buf_adds(&g->queue, message);
    g->ends = end;
}

/* What a guest asks for, as far as it lies in its memory. */
struct asked {
    int32_t target, target_n, service, service_n, method, method_n, metadata, metadata_n;
};

static enum pwasm_status create(struct pwasm_vm *vm, const struct asked *a, uint32_t kind,
                                struct pwasm_grpc **g_r)
{
    struct str bytes, service, method, metadata;
    struct target t;
    if (!guest_str(a->target, a->target_n, &bytes) ||
        !guest_str(a->service, a->service_n, &service) ||
        !guest_str(a->method, a->method_n, &method) ||
        !guest_str(a->metadata, a->metadata_n, &metadata))
        return PWASM_INVALID_MEMORY;
    if (vm->callouts_n >= PWASM_CALLOUTS_MAX)
        return PWASM_INTERNAL_FAILURE;
    struct pwasm_worker *w = vm->worker;
    read_target(bytes, &t);
    if (w && w->host && !w->host->has_cluster(w, t.cluster)) {
        headers_fini(&t.metadata);
        return PWASM_PARSE_FAILURE;
    }
    if (!is_name(service) || !is_name(method)) {
        headers_fini(&t.metadata);
        return PWASM_BAD_ARGUMENT;
    }
    struct pwasm_grpc *g = MEM_NEW(struct pwasm_grpc);
    g->vm = vm;
    g->id = kind;
    g->cluster = mem_strndup(t.cluster.p, t.cluster.n);
    g->service = mem_strndup(service.p, service.n);
    g->method = mem_strndup(method.p, method.n);
    g->authority = mem_strndup(t.authority.n ? t.authority.p : "", t.authority.n);
    g->metadata = t.metadata;
    pairs_decode(metadata, &g->metadata);
    list_add_tail(&vm->grpcs, &g->node);
    vm->callouts_n++;
    *g_r = g;
    return PWASM_OK;
}

/* Opens it if there is a worker yet, and gives it its number. */
static int32_t begin(struct pwasm_grpc *g, uint32_t *last, int32_t out_id)
{
    struct pwasm_vm *vm = g->vm;
    enum pwasm_status st = PWASM_OK;
    if (vm->worker && vm->worker->host)
        st = open_grpc(g);
    if (st != PWASM_OK) {
        release(g);
        return (int32_t)st;
    }
    *last += ID_STEP;
    g->id = *last | g->id;
    guest_put_u32(out_id, g->id);
    return PWASM_OK;
}

static int32_t proxy_grpc_call(void *unused, int32_t target, int32_t target_n, int32_t service,
                               int32_t service_n, int32_t method, int32_t method_n, int32_t md,
                               int32_t md_n, int32_t message, int32_t message_n, int32_t timeout_ms,
                               int32_t out_id)
{
    (void)unused;
    HOST_ENTER(vm, target, target_n, service, service_n, method, method_n, md, md_n, message,
               message_n, timeout_ms, out_id);
    struct asked a = {target, target_n, service, service_n, method, method_n, md, md_n};
    struct pwasm_grpc *g;
    struct str bytes;
    if (!guest_str(message, message_n, &bytes) || !guest_put_u32(out_id, 0))
        return PWASM_INVALID_MEMORY;
    if (timeout_ms < 0)
        return PWASM_BAD_ARGUMENT;
    enum pwasm_status st = create(vm, &a, ID_CALL, &g);
    if (st != PWASM_OK)
        return (int32_t)st;
    g->timeout_ms = (uint32_t)timeout_ms;
    queue(g, bytes, true);
    return begin(g, &vm->last_grpc_call, out_id);
}

static int32_t proxy_grpc_stream(void *unused, int32_t target, int32_t target_n, int32_t service,
                                 int32_t service_n, int32_t method, int32_t method_n, int32_t md,
                                 int32_t md_n, int32_t out_id)
{
    (void)unused;
    HOST_ENTER(vm, target, target_n, service, service_n, method, method_n, md, md_n, out_id);
    struct asked a = {target, target_n, service, service_n, method, method_n, md, md_n};
    struct pwasm_grpc *g;
    if (!guest_put_u32(out_id, 0))
        return PWASM_INVALID_MEMORY;
    enum pwasm_status st = create(vm, &a, ID_STREAM, &g);
    return st == PWASM_OK ? begin(g, &vm->last_grpc_stream, out_id) : (int32_t)st;
}

static int32_t proxy_grpc_send(void *unused, int32_t id, int32_t ptr, int32_t n, int32_t end)
{
    (void)unused;
    HOST_ENTER(vm, id, ptr, n, end);
    struct str message;
    if (!guest_str(ptr, n, &message))
        return PWASM_INVALID_MEMORY;
    if ((id & ID_KIND) != ID_STREAM)
        return PWASM_BAD_ARGUMENT;
    struct pwasm_grpc *g = find(vm, (uint32_t)id);
    if (!g)
        return PWASM_NOT_FOUND;
    if (g->handle)
        return vm->worker->host->grpc_send(g->handle, message, end) ? PWASM_OK
                                                                    : PWASM_INTERNAL_FAILURE;
    if (g->ends || g->queue.len + message.n > QUEUE_MAX)
        return PWASM_INTERNAL_FAILURE;
    queue(g, message, end);
    return PWASM_OK;
}

static int32_t cancel(struct pwasm_grpc *g)
{
    if (!g)
        return PWASM_NOT_FOUND;
    if (g->handle)
        g->vm->worker->host->grpc_cancel(g->handle);
    release(g);
    return PWASM_OK;
}

static bool has_kind(int32_t id)
{
    return (id & ID_KIND) == ID_CALL || (id & ID_KIND) == ID_STREAM;
}

static int32_t proxy_grpc_cancel(void *unused, int32_t id)
{
    (void)unused;
    HOST_ENTER(vm, id);
    return has_kind(id) ? cancel(find(vm, (uint32_t)id)) : PWASM_BAD_ARGUMENT;
}

/* Of a stream: what we send is over, what comes goes on. */
static int32_t proxy_grpc_close(void *unused, int32_t id)
{
    (void)unused;
    HOST_ENTER(vm, id);
    if (!has_kind(id))
        return PWASM_BAD_ARGUMENT;
    struct pwasm_grpc *g = find(vm, (uint32_t)id);
    if (!g || is_call(g))
        return cancel(g);
    if (g->handle)
        vm->worker->host->grpc_end(g->handle);
    g->ends = true;
    return PWASM_OK;
}

static const struct pwasm_func funcs[] = {
    {"proxy_grpc_call", "iiiiiiiiiiii:i", (void *)proxy_grpc_call, PWASM_PLAIN},
    {"proxy_grpc_stream", "iiiiiiiii:i", (void *)proxy_grpc_stream, PWASM_PLAIN},
    {"proxy_grpc_send", "iiii:i", (void *)proxy_grpc_send, PWASM_PLAIN},
    {"proxy_grpc_cancel", "i:i", (void *)proxy_grpc_cancel, PWASM_PLAIN},
    {"proxy_grpc_close", "i:i", (void *)proxy_grpc_close, PWASM_PLAIN},
};
const struct pwasm_funcs pwasm_funcs_grpc = {funcs, ARRAY_LEN(funcs)};
