#include "pwasm_harness.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "guest_host.h"
#include "wasm/shared_data.h"

struct pwasm_worker *harness_worker;
struct loop *harness_loop;
unsigned harness_retired, harness_failed, harness_wanted, harness_cancelled;
char harness_failure[1024];
enum pwasm_status harness_call_answer;
struct pwasm_callout *harness_callout;

static struct vm_module *module;
static struct shared_vm *shared; /* keeps what guests wrote down */
static size_t out_seen;

void harness_start_engine(void)
{
    guest_host_start_engine(false, NULL);
    pwasm_global_init();
}

void harness_start(const char *wasm_path)
{
    struct error err = {0};
    size_t n;
    void *bytes = guest_host_read(wasm_path, &n);
    if (vm_module_compile(bytes, n, &module, &err)) {
        fprintf(stderr, "%s\n", err.text);
        abort();
    }
    mem_free(bytes);
}

void harness_stop(void)
{
    vm_module_unref(&module);
}

/* ---- worker ---- */

static void on_retired(struct pwasm_worker *w, struct pwasm_vm *vm)
{
    (void)w;
    harness_retired++;
    pwasm_vm_destroy(&vm);
}

static void on_failed(struct pwasm_worker *w, struct pwasm_vm *vm, const char *text)
{
    (void)w;
    (void)vm;
    harness_failed++;
    snprintf(harness_failure, sizeof(harness_failure), "%s", text);
}

static void want_vm(struct pwasm_worker *w, struct conf_plugin *conf)
{
    (void)w;
    (void)conf;
    harness_wanted++;
}

static const struct pwasm_worker_ops worker_ops = {on_retired, on_failed, want_vm};

static enum pwasm_status http_call(struct pwasm_worker *w, const struct pwasm_http_call *call,
                                   struct pwasm_callout *callout, void **handle_r)
{
    (void)w;
    if (!str_is(call->cluster, "up") || !str_is(call->body, "body"))
        return PWASM_BAD_ARGUMENT;
    harness_callout = callout;
    *handle_r = callout;
    return harness_call_answer;
}

static void http_cancel(void *handle)
{
    (void)handle;
    harness_cancelled++;
}

struct pwasm_grpc *harness_grpc;
char harness_grpc_sent[512];

static void write_down(const char *fmt, ...)
{
    size_t n = strlen(harness_grpc_sent);
    va_list args;
    va_start(args, fmt);
    vsnprintf(harness_grpc_sent + n, sizeof(harness_grpc_sent) - n, fmt, args);
    va_end(args);
}

static enum pwasm_status grpc_open(struct pwasm_worker *w, const struct pwasm_grpc_call *call,
                                   struct pwasm_grpc *grpc, void **handle_r)
{
    (void)w;
    harness_grpc_sent[0] = 0;
    write_down("%.*s %.*s/%.*s %.*s", STR_ARG(call->cluster), STR_ARG(call->service),
               STR_ARG(call->method), STR_ARG(call->authority));
    for (size_t i = 0; i < call->metadata->n; i++)
        write_down(" %.*s=%.*s", STR_ARG(header_name(call->metadata, &call->metadata->v[i])),
                   STR_ARG(header_value(call->metadata, &call->metadata->v[i])));
    *handle_r = harness_grpc = grpc;
    return harness_call_answer;
}

static bool grpc_send(void *handle, struct str message, bool end)
{
    (void)handle;
    write_down(" '%.*s'%s", STR_ARG(message), end ? " end" : "");
    return !str_is(message, "toomuch");
}

static void grpc_end(void *handle)
{
    (void)handle;
    write_down(" end");
}

static bool has_cluster(struct pwasm_worker *w, struct str name)
{
    (void)w;
    return str_is(name, "up");
}

static const struct pwasm_host_ops host_ops = {http_call, http_cancel, has_cluster, grpc_open,
                                               grpc_send, grpc_end,    http_cancel};

void harness_open(void)
{
    struct error err;
    guest_host_take_signals();
    if (loop_create(&harness_loop, &err))
        abort();
    harness_worker = pwasm_worker_create(harness_loop, &worker_ops, NULL);
    pwasm_worker_set_host_ops(harness_worker, &host_ops);
    harness_retired = harness_failed = harness_wanted = harness_cancelled = 0;
    harness_failure[0] = 0;
    harness_call_answer = PWASM_OK;
    shared = shared_vm_ref("vm");
    out_seen = 0;
}

void harness_close(void)
{
    pwasm_worker_destroy(&harness_worker);
    loop_destroy(&harness_loop);
    shared_vm_unref(&shared);
}

static void stop_loop(struct loop_timer *t)
{
    loop_stop(t->loop);
}

void harness_run(unsigned ms)
{
    struct loop_timer t;
    loop_timer_init(&t, harness_loop, stop_loop);
    loop_timer_start(&t, ms);
    loop_run(harness_loop);
}

/* ---- plugins ---- */

struct conf_plugin *harness_conf(const struct plugin_want *want)
{
    static struct conf_env env[] = {{"COLOUR", "blue"}};
    struct conf_plugin *c = conf_object_create(sizeof(*c), "s");
    c->slot = "s";
    c->name = "my_plugin";
    c->root_id = "my_root";
    c->vm_id = want->vm_id ? want->vm_id : "vm";
    c->vm_configuration = STR("vm config");
    c->configuration = str_of(arena_strdup(&c->object.arena, want->config ? want->config : ""));
    c->env = env;
    c->env_n = ARRAY_LEN(env);
    c->fail_policy = want->policy;
    c->call_deadline_ms = want->deadline_ms ? want->deadline_ms : 200;
    c->start_deadline_ms = 1000;
    c->is_restricted = want->capabilities != NULL;
    c->capabilities = want->capabilities;
    while (want->capabilities && want->capabilities[c->capabilities_n])
        c->capabilities_n++;
    return c;
}

struct pwasm_vm *harness_vm(const struct plugin_want *want)
{
    struct conf_plugin *conf = harness_conf(want);
    struct pwasm_vm *vm = NULL;
    struct error err = {0};
    guest_host_take_signals();
    if (pwasm_vm_start(conf, module, &vm, &err))
        snprintf(harness_failure, sizeof(harness_failure), "%s", err.text);
    conf_object_unref(conf);
    out_seen = 0;
    return vm;
}

void harness_install(const struct plugin_want *want)
{
    struct pwasm_vm *vm = harness_vm(want);
    if (!vm) {
        fprintf(stderr, "%s\n", harness_failure);
        abort();
    }
    pwasm_slot_install(harness_worker, "s", vm, want->policy != CONF_FAIL_OPEN);
}

const char *harness_out(void)
{
    static char text[8192];
    struct sbuf all = {0};
    uint32_t cas;
    text[0] = 0;
    if (shared_get(shared, STR("out"), &all, &cas) == PWASM_OK && all.n >= out_seen) {
        snprintf(text, sizeof(text), "%.*s", (int)(all.n - out_seen), all.p + out_seen);
        out_seen = all.n;
    }
    sbuf_fini(&all);
    return text;
}

/* ---- streams ---- */

static struct fake_stream *of(struct pwasm_context *c)
{
    return container_of(c, struct fake_stream, context);
}

static void go_on(struct pwasm_context *c, enum pwasm_stream which)
{
    sbuf_printf(&of(c)->events, "go_on(%d);", which);
}

static void close_stream(struct pwasm_context *c, enum pwasm_stream which)
{
    sbuf_printf(&of(c)->events, "close(%d);", which);
}

static void reply(struct pwasm_context *c, const struct pwasm_reply *r)
{
    sbuf_printf(&of(c)->events, "reply(%u,%.*s,%.*s", r->status, STR_ARG(r->details),
                STR_ARG(r->body));
    for (size_t i = 0; i < r->headers->n; i++)
        sbuf_printf(&of(c)->events, ",%.*s=%.*s",
                    STR_ARG(header_name(r->headers, &r->headers->v[i])),
                    STR_ARG(header_value(r->headers, &r->headers->v[i])));
    sbuf_addz(&of(c)->events, ");");
}

static enum pwasm_status property(struct pwasm_context *c, const struct pwasm_path *path,
                                  struct sbuf *out)
{
    (void)c;
    if (path->n != 2 || !str_is(path->part[0], "request") || !str_is(path->part[1], "host"))
        return PWASM_NOT_FOUND;
    sbuf_addz(out, "example.org");
    return PWASM_OK;
}

static enum pwasm_status set_state(struct pwasm_context *c, struct str key, struct str value)
{
    snprintf(of(c)->state, sizeof(of(c)->state), "%.*s", STR_ARG(value));
    return str_is(key, "mine") ? PWASM_OK : PWASM_INTERNAL_FAILURE;
}

static bool get_state(struct pwasm_context *c, struct str key, struct str *value_r)
{
    *value_r = str_of(of(c)->state);
    return str_is(key, "mine");
}

static void on_route_change(struct pwasm_context *c)
{
    sbuf_addz(&of(c)->events, "route;");
}

static void on_vm_failed(struct pwasm_context *c)
{
    sbuf_addz(&of(c)->events, "vm_failed;");
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

enum pwasm_entry fake_enter(struct fake_stream *f)
{
    *f = (struct fake_stream){0};
    headers_add(&f->req, STR(":method"), STR("GET"));
    headers_add(&f->req, STR(":path"), STR("/a?b=c"));
    headers_add(&f->req, STR("x-two"), STR("1"));
    headers_add(&f->req, STR("x-two"), STR("2"));
    headers_add(&f->resp, STR(":status"), STR("200"));
    buf_adds(&f->body, STR("hello world"));
    struct pwasm_slot *slot = pwasm_slot_get(harness_worker, "s");
    enum pwasm_entry entry = pwasm_slot_enter(slot, &stream_ops, &f->context);
    pwasm_slot_unref(&slot);
    return entry;
}

int fake_call(struct fake_stream *f, enum pwasm_export e)
{
    struct pwasm_context *c = &f->context;
    uint32_t result;
    guest_host_take_signals();
    memset(c->maps, 0, sizeof(c->maps));
    memset(c->buffers, 0, sizeof(c->buffers));
    if (e == PWASM_ON_REQUEST_HEADERS)
        c->maps[PWASM_MAP_REQ_HEADERS] = &f->req;
    else if (e == PWASM_ON_RESPONSE_HEADERS)
        c->maps[PWASM_MAP_RESP_HEADERS] = &f->resp;
    else if (e == PWASM_ON_REQUEST_BODY)
        c->buffers[PWASM_BUFFER_REQ_BODY] = &f->body;
    else if (e == PWASM_ON_RESPONSE_BODY)
        c->buffers[PWASM_BUFFER_RESP_BODY] = &f->body;
    else if (e == PWASM_ON_DOWNSTREAM_DATA)
        c->buffers[PWASM_BUFFER_DOWNSTREAM] = &f->body;
    return pwasm_context_call(c, e, (uint32_t)f->body.len, true, &result) ? (int)result : -1;
}

void fake_close(struct fake_stream *f, bool is_http)
{
    memset(f->context.maps, 0, sizeof(f->context.maps));
    f->context.maps[PWASM_MAP_REQ_HEADERS] = &f->req;
    f->context.maps[PWASM_MAP_RESP_HEADERS] = &f->resp;
    pwasm_context_close(&f->context, is_http);
}

void fake_fini(struct fake_stream *f)
{
    headers_fini(&f->req);
    headers_fini(&f->resp);
    buf_fini(&f->body);
    sbuf_fini(&f->events);
}
