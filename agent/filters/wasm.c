/* Wasm plugins as HTTP filters.
 *
 * A stream enters the plugin with its request headers and keeps the VM it entered. Header maps and
 * bodies are shown to the guest during its callbacks and, where it paused, until it goes on; the
 * guest's wishes (go on, close, local reply) come back through stream_ops after the guest call, so
 * also from inside the callbacks below: s->epoch tells whether the stream was answered meanwhile.
 */
#include "filters/wasm.h"

#include "base/mem.h"
#include "filters/wasm_private.h"
#include "filters/wasm_properties.h"
#include "http/filter_chain.h"
#include "http/hcm.h"

struct wasm_worker {
    struct filter_env *env;
    struct pwasm_slot *slot;
};

struct wasm_stream {
    struct pwasm_context context;
    struct http_filter *f;
    bool is_entered;  /* it was tried */
    bool reply_asked; /* in the callback that runs now */
    bool went_on[2];  /* likewise, per direction */
    bool is_paused[2];
    bool is_refused; /* it was answered because the plugin failed: no more callbacks */
    struct wasm_state *state;
    size_t state_bytes;
};

static struct wasm_stream *of_filter(struct http_filter *f)
{
    return f->state;
}

static struct wasm_stream *of_context(struct pwasm_context *c)
{
    return container_of(c, struct wasm_stream, context);
}

/* ---- worker and stream ---- */

static void worker_init(const struct conf_http_filter *conf, struct filter_env *env, void **obj_r)
{
    struct wasm_worker *w = MEM_NEW(struct wasm_worker);
    w->env = env;
    w->slot = wasm_slot(env, conf->slot);
    *obj_r = w;
}

static void worker_fini(void *obj)
{
    struct wasm_worker *w = obj;
    pwasm_slot_unref(&w->slot);
    mem_free(w);
}

static bool stream_init(struct http_filter *f)
{
    struct wasm_stream *ws = arena_zalloc(&f->stream->arena, sizeof(*ws));
    ws->f = f;
    f->state = ws;
    return true;
}

/* ---- what the guest sees of the stream ---- */

static void hide_all(struct wasm_stream *ws, enum filter_dir dir)
{
    struct pwasm_context *c = &ws->context;
    c->maps[dir == DIR_REQ ? PWASM_MAP_REQ_HEADERS : PWASM_MAP_RESP_HEADERS] = NULL;
    c->maps[dir == DIR_REQ ? PWASM_MAP_REQ_TRAILERS : PWASM_MAP_RESP_TRAILERS] = NULL;
    c->buffers[dir == DIR_REQ ? PWASM_BUFFER_REQ_BODY : PWASM_BUFFER_RESP_BODY] = NULL;
}

static struct buf **body_of(struct wasm_stream *ws, enum filter_dir dir)
{
    return &ws->context.buffers[dir == DIR_REQ ? PWASM_BUFFER_REQ_BODY : PWASM_BUFFER_RESP_BODY];
}

/* ---- what the guest does to the stream ---- */

static void go_on(struct pwasm_context *c, enum pwasm_stream which)
{
    struct wasm_stream *ws = of_context(c);
    if (which != PWASM_REQUEST && which != PWASM_RESPONSE)
        return;
    enum filter_dir dir = which == PWASM_REQUEST ? DIR_REQ : DIR_RESP;
    bool is_inside = ws->f->side[dir].in_callback;
    if (is_inside)
        ws->went_on[dir] = true;
    if (!is_inside && !ws->is_paused[dir])
        return;
    ws->is_paused[dir] = false;
    if (is_inside)
        return; /* the callback's answer says it */
    hide_all(ws, dir);
    if (dir == DIR_REQ)
        filter_continue_request(ws->f);
    else
        filter_continue_response(ws->f);
}

static void close_stream(struct pwasm_context *c, enum pwasm_stream which)
{
    if (which == PWASM_REQUEST || which == PWASM_RESPONSE)
        stream_reset(of_context(c)->f->stream, FLAG_LOCAL_RESET, "wasm_close_stream");
}

static void reply(struct pwasm_context *c, const struct pwasm_reply *r)
{
    struct wasm_stream *ws = of_context(c);
    struct stream *s = ws->f->stream;
    ws->reply_asked = true;
    ws->is_paused[DIR_REQ] = false;
    stream_local_reply(s, r->status, r->body, arena_strndup(&s->arena, r->details.p, r->details.n),
                       0, r->grpc_status, r->headers);
}

static enum pwasm_status property(struct pwasm_context *c, const struct pwasm_path *path,
                                  struct sbuf *out)
{
    const struct stream *s = of_context(c)->f->stream;
    return wasm_property(&s->info, s, path, out);
}

static enum pwasm_status set_state(struct pwasm_context *c, struct str key, struct str value)
{
    struct wasm_stream *ws = of_context(c);
    return wasm_state_set(&ws->state, &ws->f->stream->arena, &ws->state_bytes, key, value);
}

/* Plugins of one stream see each other's state. */
static bool get_state(struct pwasm_context *c, struct str key, struct str *value_r)
{
    struct wasm_stream *ws = of_context(c);
    const struct wasm_state *found = wasm_state_find(ws->state, key);
    const struct stream *s = ws->f->stream;
    for (size_t i = 0; i < s->filters_n && !found; i++)
        if (s->filters[i].ops == &wasm_filter_ops && s->filters[i].state)
            found = wasm_state_find(of_filter(&s->filters[i])->state, key);
    if (found)
        *value_r = found->value;
    return found != NULL;
}

/* The router chooses when the headers reach it: there is nothing to forget before. */
static void on_route_change(struct pwasm_context *c)
{
    (void)c;
}

static void refuse(struct wasm_stream *ws)
{
    struct stream *s = ws->f->stream;
    enum { GRPC_UNAVAILABLE = 14 };
    ws->is_refused = true;
    stream_local_reply(s, 503, STR_NULL, "wasm_fail_stream", 0, GRPC_UNAVAILABLE, NULL);
}

static bool is_open_policy(const struct wasm_stream *ws)
{
    return pwasm_context_conf(&ws->context)->fail_policy == CONF_FAIL_OPEN;
}

static void on_vm_failed(struct pwasm_context *c)
{
    struct wasm_stream *ws = of_context(c);
    if (!ws->is_paused[DIR_REQ] && !ws->is_paused[DIR_RESP])
        return; /* its next callback, if there is one, finds out */
    if (!is_open_policy(ws)) {
        refuse(ws);
        return;
    }
    for (int dir = DIR_REQ; dir <= DIR_RESP; dir++)
        if (ws->is_paused[dir])
            go_on(c, dir == DIR_REQ ? PWASM_REQUEST : PWASM_RESPONSE);
}

static const struct pwasm_stream_ops stream_ops = {
    .go_on = go_on,
    .close = close_stream,
    .reply = reply,
    .property = property,
    .set_state = set_state,
    .get_state = get_state,
    .on_route_change = on_route_change,
    .on_vm_failed = on_vm_failed,
};

/* ---- callbacks ---- */

/* Headers of a request: enters the plugin. False: *st_r is the answer. */
static bool enter(struct wasm_stream *ws, enum filter_status *st_r)
{
    struct wasm_worker *w = ws->f->worker_obj;
    const struct conf_http_filter *conf = ws->f->conf;
    const struct conf_plugin *plugin = conf->is_discovered ? NULL : conf->plugin;
    ws->is_entered = true;
    *st_r = FILTER_REPLIED;
    switch (wasm_enter(w->slot, plugin, &stream_ops, &ws->context)) {
    case PWASM_RUN:
        return true;
    case PWASM_BYPASS:
        *st_r = FILTER_CONTINUE;
        return false;
    case PWASM_REFUSE:
        refuse(ws);
        return false;
    case PWASM_NO_CONFIG:
        stream_local_reply(ws->f->stream, 500, STR_NULL, "", FLAG_NO_FILTER_CONFIG_FOUND, -1, NULL);
        return false;
    }
    return false;
}

/* Is there nothing to call? */
static bool is_idle(const struct wasm_stream *ws)
{
    return ws->is_refused || !pwasm_context_is_open(&ws->context);
}

/* Calls the guest. False: *st_r is the answer, whatever the guest said. */
static bool call(struct wasm_stream *ws, enum filter_dir dir, enum pwasm_export e, uint32_t n,
                 bool end, uint32_t *result_r, enum filter_status *st_r)
{
    struct stream *s = ws->f->stream;
    uint32_t epoch = s->epoch;
    ws->reply_asked = ws->went_on[dir] = false;
    bool ok = pwasm_context_call(&ws->context, e, n, end, result_r);
    bool is_void = s->epoch != epoch;
    if (!ok && !is_void) {
        hide_all(ws, dir);
        if (is_open_policy(ws)) {
            *st_r = FILTER_CONTINUE;
            return false;
        }
        refuse(ws);
        is_void = true;
    }
    if (is_void || ws->reply_asked || ws->went_on[dir]) {
        /* A reply that came too late is ignored; the guest does not mean to wait then. */
        *st_r = is_void ? FILTER_REPLIED : FILTER_CONTINUE;
        ws->reply_asked = ws->went_on[dir] = false;
        hide_all(ws, dir);
        return false;
    }
    return true;
}

static enum filter_status settle(struct wasm_stream *ws, enum filter_dir dir, enum filter_status st)
{
    ws->is_paused[dir] = st != FILTER_CONTINUE;
    if (st == FILTER_CONTINUE)
        hide_all(ws, dir);
    return st;
}

/* FilterHeadersStatus: 0 Continue, 1 StopIteration, 2 ContinueAndEndStream, 3 and 4 StopAll...;
 * anything above is the strictest stop. */
static enum filter_status headers_status_of(const struct wasm_stream *ws, uint32_t result)
{
    if (result == 0 || result == 2)
        return FILTER_CONTINUE;
    if (result == 1 && pwasm_context_conf(&ws->context)->allow_on_headers_stop_iteration)
        return FILTER_PAUSE_HEADERS;
    return FILTER_PAUSE;
}

static enum filter_status headers(struct wasm_stream *ws, enum filter_dir dir, struct headers *h,
                                  bool end)
{
    bool is_req = dir == DIR_REQ;
    enum filter_status st;
    uint32_t result;
    ws->context.maps[is_req ? PWASM_MAP_REQ_HEADERS : PWASM_MAP_RESP_HEADERS] = h;
    if (!call(ws, dir, is_req ? PWASM_ON_REQUEST_HEADERS : PWASM_ON_RESPONSE_HEADERS,
              (uint32_t)h->n, end, &result, &st))
        return st;
    return settle(ws, dir, headers_status_of(ws, result));
}

/* FilterDataStatus: 0 Continue, 1 StopIterationAndBuffer, 2 ...AndWatermark, 3 ...NoBuffer. */
static enum filter_status body(struct wasm_stream *ws, enum filter_dir dir, struct buf *data,
                               bool end)
{
    static const enum filter_status statuses[] = {FILTER_CONTINUE, FILTER_PAUSE_BUFFER,
                                                  FILTER_PAUSE_WATERMARK, FILTER_PAUSE_DISCARD};
    bool is_req = dir == DIR_REQ;
    enum filter_status st;
    uint32_t result;
    *body_of(ws, dir) = data;
    if (!call(ws, dir, is_req ? PWASM_ON_REQUEST_BODY : PWASM_ON_RESPONSE_BODY, (uint32_t)data->len,
              end, &result, &st))
        return st;
    st = result < ARRAY_LEN(statuses) ? statuses[result] : FILTER_PAUSE_DISCARD;
    /* What it holds stays in reach, where the chain keeps it. */
    bool is_held = st == FILTER_PAUSE_BUFFER || st == FILTER_PAUSE_WATERMARK;
    *body_of(ws, dir) = is_held ? &ws->f->side[dir].held : NULL;
    return settle(ws, dir, st);
}

static enum filter_status trailers(struct wasm_stream *ws, enum filter_dir dir, struct headers *h)
{
    bool is_req = dir == DIR_REQ;
    enum filter_status st;
    uint32_t result;
    ws->context.maps[is_req ? PWASM_MAP_REQ_TRAILERS : PWASM_MAP_RESP_TRAILERS] = h;
    if (!call(ws, dir, is_req ? PWASM_ON_REQUEST_TRAILERS : PWASM_ON_RESPONSE_TRAILERS,
              (uint32_t)h->n, false, &result, &st))
        return st;
    return settle(ws, dir, result ? FILTER_PAUSE : FILTER_CONTINUE);
}

static enum filter_status req_headers(struct http_filter *f, struct headers *h, bool end)
{
    struct wasm_stream *ws = of_filter(f);
    enum filter_status st;
    if (!enter(ws, &st))
        return st;
    return headers(ws, DIR_REQ, h, end);
}

static enum filter_status resp_headers(struct http_filter *f, struct headers *h, bool end)
{
    struct wasm_stream *ws = of_filter(f);
    return is_idle(ws) ? FILTER_CONTINUE : headers(ws, DIR_RESP, h, end);
}

static enum filter_status req_body(struct http_filter *f, struct buf *data, bool end)
{
    struct wasm_stream *ws = of_filter(f);
    return is_idle(ws) ? FILTER_CONTINUE : body(ws, DIR_REQ, data, end);
}

static enum filter_status resp_body(struct http_filter *f, struct buf *data, bool end)
{
    struct wasm_stream *ws = of_filter(f);
    return is_idle(ws) ? FILTER_CONTINUE : body(ws, DIR_RESP, data, end);
}

static enum filter_status req_trailers(struct http_filter *f, struct headers *h)
{
    struct wasm_stream *ws = of_filter(f);
    return is_idle(ws) ? FILTER_CONTINUE : trailers(ws, DIR_REQ, h);
}

static enum filter_status resp_trailers(struct http_filter *f, struct headers *h)
{
    struct wasm_stream *ws = of_filter(f);
    return is_idle(ws) ? FILTER_CONTINUE : trailers(ws, DIR_RESP, h);
}

/* on_log, on_done, on_delete; a stream that was answered before it came here is logged too. */
static void on_complete(struct http_filter *f)
{
    struct wasm_stream *ws = of_filter(f);
    struct wasm_worker *w = f->worker_obj;
    struct stream *s = f->stream;
    struct pwasm_context *c = &ws->context;
    if (!ws->is_entered && pwasm_slot_has(w->slot, PWASM_ON_LOG))
        pwasm_slot_enter(w->slot, &stream_ops, c);
    if (!pwasm_context_is_open(c))
        return;
    hide_all(ws, DIR_REQ);
    hide_all(ws, DIR_RESP);
    ws->is_paused[DIR_REQ] = ws->is_paused[DIR_RESP] = false;
    c->maps[PWASM_MAP_REQ_HEADERS] = &s->req;
    c->maps[PWASM_MAP_RESP_HEADERS] = &s->resp;
    c->maps[PWASM_MAP_RESP_TRAILERS] = &s->resp_trailers;
    pwasm_context_close(c, true);
}

const struct http_filter_ops wasm_filter_ops = {
    .name = "envoy.filters.http.wasm",
    .worker_init = worker_init,
    .worker_fini = worker_fini,
    .stream_init = stream_init,
    .req_headers = req_headers,
    .req_body = req_body,
    .req_trailers = req_trailers,
    .resp_headers = resp_headers,
    .resp_body = resp_body,
    .resp_trailers = resp_trailers,
    .on_complete = on_complete,
};
