/* Wasm plugins as network filters: they see the bytes of a TCP session in both directions. */
#include "base/mem.h"
#include "filters/wasm.h"
#include "filters/wasm_private.h"
#include "filters/wasm_properties.h"

enum { FROM_CLIENT, TO_CLIENT };
enum { PEER_UNKNOWN, PEER_LOCAL, PEER_REMOTE };

struct wasm_session {
    struct pwasm_context context;
    struct net_filter *f;
    bool is_failed; /* closed because the plugin failed */
    bool is_closed; /* the client's connection is gone: nothing can go on */
    bool is_stopped_in_new;
    bool upstream_close_told;
    struct arena arena;
    struct wasm_state *state;
    size_t state_bytes;
};

static struct wasm_session *of_context(struct pwasm_context *c)
{
    return container_of(c, struct wasm_session, context);
}

/* ---- what the guest does to the session ---- */

static void go_on(struct pwasm_context *c, enum pwasm_stream which)
{
    struct wasm_session *ws = of_context(c);
    if (which != PWASM_DOWNSTREAM || ws->is_closed)
        return;
    ws->is_stopped_in_new = false;
    net_filter_continue(ws->f, false);
}

static void close_session(struct pwasm_context *c, enum pwasm_stream which)
{
    struct wasm_session *ws = of_context(c);
    struct net_filter *f = ws->f;
    if (ws->is_closed)
        return;
    if (which == PWASM_DOWNSTREAM)
        f->session_ops->close(f, false, "wasm_downstream_close");
    else if (which == PWASM_UPSTREAM)
        f->session_ops->close(f, true, "wasm_upstream_close");
}

/* There is nothing to answer on a TCP session. */
static void reply(struct pwasm_context *c, const struct pwasm_reply *r)
{
    (void)c;
    (void)r;
}

static enum pwasm_status property(struct pwasm_context *c, const struct pwasm_path *path,
                                  struct sbuf *out)
{
    return wasm_property(of_context(c)->f->info, NULL, path, out);
}

static enum pwasm_status set_state(struct pwasm_context *c, struct str key, struct str value)
{
    struct wasm_session *ws = of_context(c);
    return wasm_state_set(&ws->state, &ws->arena, &ws->state_bytes, key, value);
}

static bool get_state(struct pwasm_context *c, struct str key, struct str *value_r)
{
    const struct wasm_state *found = wasm_state_find(of_context(c)->state, key);
    if (found)
        *value_r = found->value;
    return found != NULL;
}

static void on_route_change(struct pwasm_context *c)
{
    (void)c;
}

static void fail(struct wasm_session *ws)
{
    if (ws->is_failed || ws->is_closed)
        return;
    ws->is_failed = true;
    ws->f->session_ops->close(ws->f, false, "wasm_fail_stream");
}

static bool is_open_policy(const struct wasm_session *ws)
{
    return pwasm_context_conf(&ws->context)->fail_policy == CONF_FAIL_OPEN;
}

static void on_vm_failed(struct pwasm_context *c)
{
    struct wasm_session *ws = of_context(c);
    struct net_filter *f = ws->f;
    if (ws->is_closed)
        return;
    if (!ws->is_stopped_in_new && !f->is_stopped[FROM_CLIENT] && !f->is_stopped[TO_CLIENT])
        return; /* its next callback, if there is one, finds out */
    if (!is_open_policy(ws)) {
        fail(ws);
        return;
    }
    if (ws->is_stopped_in_new || f->is_stopped[FROM_CLIENT])
        net_filter_continue(f, false);
    if (f->is_stopped[TO_CLIENT])
        net_filter_continue(f, true);
    ws->is_stopped_in_new = false;
}

static const struct pwasm_stream_ops stream_ops = {
    .go_on = go_on,
    .close = close_session,
    .reply = reply,
    .property = property,
    .set_state = set_state,
    .get_state = get_state,
    .on_route_change = on_route_change,
    .on_vm_failed = on_vm_failed,
};

/* ---- callbacks ---- */

static void worker_init(const struct conf_net_filter *conf, struct filter_env *env, void **obj_r)
{
    *obj_r = wasm_slot(env, conf->slot);
}

static void worker_fini(void *obj)
{
    struct pwasm_slot *slot = obj;
    pwasm_slot_unref(&slot);
}

static bool session_init(struct net_filter *f)
{
    struct wasm_session *ws = MEM_NEW(struct wasm_session);
    arena_init(&ws->arena, 0);
    ws->f = f;
    f->state = ws;
    return true;
}

static void session_fini(struct net_filter *f)
{
    struct wasm_session *ws = f->state;
    arena_fini(&ws->arena);
    mem_free(ws);
}

/* What the guest's answer means; a guest that failed answers by its policy. */
static enum net_status settle(struct wasm_session *ws, bool ok, uint32_t result)
{
    if (ws->is_failed)
        return NET_STOP;
    if (ok)
        return result ? NET_STOP : NET_CONTINUE;
    if (is_open_policy(ws))
        return NET_CONTINUE;
    fail(ws);
    return NET_STOP;
}

static enum net_status on_new(struct net_filter *f)
{
    struct wasm_session *ws = f->state;
    const struct conf_plugin *plugin = f->conf->is_discovered ? NULL : f->conf->plugin;
    uint32_t result;
    switch (wasm_enter(f->worker_obj, plugin, &stream_ops, &ws->context)) {
    case PWASM_RUN:
        break;
    case PWASM_BYPASS:
        return NET_CONTINUE;
    default:
        fail(ws);
        return NET_STOP;
    }
    bool ok = pwasm_context_call(&ws->context, PWASM_ON_NEW_CONNECTION, 0, 0, &result);
    enum net_status st = settle(ws, ok, result);
    ws->is_stopped_in_new = st == NET_STOP && !ws->is_failed;
    return st;
}

static enum net_status show(struct net_filter *f, int dir, struct buf *data, bool end)
{
    static const enum pwasm_export calls[] = {PWASM_ON_DOWNSTREAM_DATA, PWASM_ON_UPSTREAM_DATA};
    static const enum pwasm_buffer buffers[] = {PWASM_BUFFER_DOWNSTREAM, PWASM_BUFFER_UPSTREAM};
    struct wasm_session *ws = f->state;
    struct pwasm_context *c = &ws->context;
    uint32_t result;
    if (ws->is_failed)
        return NET_STOP;
    if (!pwasm_context_is_open(c))
        return NET_CONTINUE;
    c->buffers[buffers[dir]] = data;
    bool ok = pwasm_context_call(c, calls[dir], (uint32_t)data->len, end, &result);
    enum net_status st = settle(ws, ok, result);
    c->buffers[buffers[dir]] = st == NET_STOP ? &f->held[dir] : NULL;
    return st;
}

static enum net_status on_data(struct net_filter *f, struct buf *data, bool end)
{
    return show(f, FROM_CLIENT, data, end);
}

static void tell_upstream_close(struct wasm_session *ws)
{
    uint32_t result;
    if (ws->upstream_close_told || !pwasm_context_is_open(&ws->context))
        return;
    ws->upstream_close_told = true;
    pwasm_context_call(&ws->context, PWASM_ON_UPSTREAM_CLOSE, PEER_UNKNOWN, 0, &result);
}

static enum net_status on_write(struct net_filter *f, struct buf *data, bool end)
{
    enum net_status st = show(f, TO_CLIENT, data, end);
    if (end)
        tell_upstream_close(f->state);
    return st;
}

static void on_downstream_close(struct net_filter *f, bool by_remote)
{
    struct wasm_session *ws = f->state;
    uint32_t result;
    ws->is_closed = true;
    if (pwasm_context_is_open(&ws->context))
        pwasm_context_call(&ws->context, PWASM_ON_DOWNSTREAM_CLOSE,
                           by_remote ? PEER_REMOTE : PEER_LOCAL, 0, &result);
}

static void on_upstream_close(struct net_filter *f, bool by_remote)
{
    (void)by_remote;
    tell_upstream_close(f->state);
}

static void on_complete(struct net_filter *f)
{
    struct wasm_session *ws = f->state;
    ws->is_closed = true;
    memset(ws->context.buffers, 0, sizeof(ws->context.buffers));
    pwasm_context_close(&ws->context, false);
}

const struct net_filter_ops wasm_net_filter_ops = {
    .name = "envoy.filters.network.wasm",
    .worker_init = worker_init,
    .worker_fini = worker_fini,
    .session_init = session_init,
    .session_fini = session_fini,
    .on_new = on_new,
    .on_data = on_data,
    .on_write = on_write,
    .on_downstream_close = on_downstream_close,
    .on_upstream_close = on_upstream_close,
    .on_complete = on_complete,
};
