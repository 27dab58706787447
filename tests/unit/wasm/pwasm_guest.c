/* A plugin that does what its configuration says: lines "PHASE OP ARGS...", run in order when that
 * phase is called. What each host call answered is written down as "OP=STATUS[:VALUE];" and put
 * under "out" in the shared data, where the test reads it. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOST(name) __attribute__((import_module("env"), import_name(#name)))
#define EXPORT(name) __attribute__((export_name(#name)))

HOST(proxy_log) int proxy_log(int, const char *, int);
HOST(proxy_get_log_level) int proxy_get_log_level(int *);
HOST(proxy_add_header_map_value)
int proxy_add_header_map_value(int, const char *, int, const char *, int);
HOST(proxy_replace_header_map_value)
int proxy_replace_header_map_value(int, const char *, int, const char *, int);
HOST(proxy_remove_header_map_value) int proxy_remove_header_map_value(int, const char *, int);
HOST(proxy_get_header_map_value)
int proxy_get_header_map_value(int, const char *, int, char **, int *);
HOST(proxy_get_header_map_pairs) int proxy_get_header_map_pairs(int, char **, int *);
HOST(proxy_set_header_map_pairs) int proxy_set_header_map_pairs(int, const char *, int);
HOST(proxy_get_header_map_size) int proxy_get_header_map_size(int, int *);
HOST(proxy_get_buffer_bytes) int proxy_get_buffer_bytes(int, int, int, char **, int *);
HOST(proxy_get_buffer_status) int proxy_get_buffer_status(int, int *, int *);
HOST(proxy_set_buffer_bytes) int proxy_set_buffer_bytes(int, int, int, const char *, int);
HOST(proxy_continue_stream) int proxy_continue_stream(int);
HOST(proxy_close_stream) int proxy_close_stream(int);
HOST(proxy_send_local_response)
int proxy_send_local_response(int, const char *, int, const char *, int, const char *, int, int);
HOST(proxy_get_property) int proxy_get_property(const char *, int, char **, int *);
HOST(proxy_set_property) int proxy_set_property(const char *, int, const char *, int);
HOST(proxy_http_call)
int proxy_http_call(const char *, int, const char *, int, const char *, int, const char *, int, int,
                    int *);
HOST(proxy_grpc_call)
int proxy_grpc_call(const char *, int, const char *, int, const char *, int, const char *, int,
                    const char *, int, int, int *);
HOST(proxy_grpc_stream)
int proxy_grpc_stream(const char *, int, const char *, int, const char *, int, const char *, int,
                      int *);
HOST(proxy_grpc_send) int proxy_grpc_send(int, const char *, int, int);
HOST(proxy_grpc_cancel) int proxy_grpc_cancel(int);
HOST(proxy_grpc_close) int proxy_grpc_close(int);
HOST(proxy_get_status) int proxy_get_status(int *, char **, int *);
HOST(proxy_set_tick_period_milliseconds) int proxy_set_tick_period_milliseconds(int);
HOST(proxy_set_effective_context) int proxy_set_effective_context(int);
HOST(proxy_done) int proxy_done(void);
HOST(proxy_get_shared_data) int proxy_get_shared_data(const char *, int, char **, int *, int *);
HOST(proxy_set_shared_data) int proxy_set_shared_data(const char *, int, const char *, int, int);
HOST(proxy_register_shared_queue) int proxy_register_shared_queue(const char *, int, int *);
HOST(proxy_resolve_shared_queue)
int proxy_resolve_shared_queue(const char *, int, const char *, int, int *);
HOST(proxy_enqueue_shared_queue) int proxy_enqueue_shared_queue(int, const char *, int);
HOST(proxy_dequeue_shared_queue) int proxy_dequeue_shared_queue(int, char **, int *);
HOST(proxy_define_metric) int proxy_define_metric(int, const char *, int, int *);
HOST(proxy_increment_metric) int proxy_increment_metric(int, long long);
HOST(proxy_record_metric) int proxy_record_metric(int, long long);
HOST(proxy_get_metric) int proxy_get_metric(int, unsigned long long *);
HOST(proxy_call_foreign_function)
int proxy_call_foreign_function(const char *, int, const char *, int, char **, int *);

EXPORT(proxy_abi_version_0_2_1) void proxy_abi_version_0_2_1(void) {}

static char *config, out[8192];
static int out_n, answer, evil_malloc, stream_id, last_id;

/* The allocator that the host calls; told to, it calls back where it must not. */
EXPORT(malloc) void *guest_malloc(size_t n)
{
    if (evil_malloc == 1)
        proxy_set_tick_period_milliseconds(1);
    if (evil_malloc == 2)
        return 0;
    if (evil_malloc == 3)
        return (void *)0xfffffff0;
    return malloc(n);
}

static void note(const char *op, int status, const char *value, int n)
{
    if (out_n > (int)sizeof(out) - 512 || n > 256)
        return; /* full: long runs look at what else happens */
    out_n += snprintf(out + out_n, sizeof(out) - out_n, "%s=%d", op, status);
    if (value && !status)
        out_n += snprintf(out + out_n, sizeof(out) - out_n, ":%.*s", n, value);
    out_n += snprintf(out + out_n, sizeof(out) - out_n, ";");
}

static void note_number(const char *op, int status, long long value)
{
    char text[32];
    note(op, status, text, snprintf(text, sizeof(text), "%lld", value));
}

struct args {
    char *v[8];
    int n;
};

static int num(const struct args *a, int i)
{
    return i < a->n ? atoi(a->v[i]) : 0;
}

static const char *text(const struct args *a, int i)
{
    return i < a->n ? a->v[i] : "";
}

static int len(const struct args *a, int i)
{
    return (int)strlen(text(a, i));
}

static int is(const struct args *a, const char *op)
{
    return strcmp(a->v[1], op) == 0;
}

static __attribute__((noinline)) int recurse(int n)
{
    volatile char room[256];
    room[n & 255] = (char)n;
    return recurse(n + 1) + room[n & 255];
}

/* "k=v,k=v" as a serialized map. */
static int make_pairs(const char *spec, char *dst)
{
    char copy[512], *save, *lengths = dst + 4, *bytes;
    uint32_t count = 0;
    snprintf(copy, sizeof(copy), "%s", spec);
    for (const char *p = spec; *p; p++)
        count += *p == '=';
    bytes = lengths + 8 * count;
    memcpy(dst, &count, 4);
    for (char *kv = strtok_r(copy, ",", &save); kv; kv = strtok_r(NULL, ",", &save)) {
        char *eq = strchr(kv, '=');
        uint32_t n[2] = {(uint32_t)(eq - kv), (uint32_t)strlen(eq + 1)};
        memcpy(lengths, n, 8);
        lengths += 8;
        memcpy(bytes, kv, n[0]);
        bytes += n[0];
        *bytes++ = 0;
        memcpy(bytes, eq + 1, n[1] + 1);
        bytes += n[1] + 1;
    }
    return (int)(bytes - dst);
}

static int header_op(const struct args *a)
{
    char *p = 0, pairs[1024];
    int n = 0;
    if (is(a, "get"))
        note("get", proxy_get_header_map_value(num(a, 2), text(a, 3), len(a, 3), &p, &n), p, n);
    else if (is(a, "add"))
        note("add",
             proxy_add_header_map_value(num(a, 2), text(a, 3), len(a, 3), text(a, 4), len(a, 4)), 0,
             0);
    else if (is(a, "set"))
        note(
            "set",
            proxy_replace_header_map_value(num(a, 2), text(a, 3), len(a, 3), text(a, 4), len(a, 4)),
            0, 0);
    else if (is(a, "crlf"))
        note("crlf", proxy_add_header_map_value(num(a, 2), "x-a", 3, "b\r\nc: d", 7), 0, 0);
    else if (is(a, "del"))
        note("del", proxy_remove_header_map_value(num(a, 2), text(a, 3), len(a, 3)), 0, 0);
    else if (is(a, "pairs"))
        note_number("pairs", proxy_get_header_map_pairs(num(a, 2), &p, &n), n);
    else if (is(a, "setpairs"))
        note("setpairs",
             proxy_set_header_map_pairs(num(a, 2), pairs, make_pairs(text(a, 3), pairs)), 0, 0);
    else if (is(a, "badpairs"))
        note("badpairs", proxy_set_header_map_pairs(num(a, 2), "\1\0\0\0x", 5), 0, 0);
    else if (is(a, "size"))
        note_number("size", proxy_get_header_map_size(num(a, 2), &n), n);
    else
        return 0;
    return 1;
}

static int buffer_op(const struct args *a)
{
    char *p = 0;
    int n = 0, flags;
    if (is(a, "buf"))
        note("buf", proxy_get_buffer_bytes(num(a, 2), num(a, 3), num(a, 4), &p, &n), p, n);
    else if (is(a, "setbuf"))
        note("setbuf",
             proxy_set_buffer_bytes(num(a, 2), num(a, 3), num(a, 4), text(a, 5), len(a, 5)), 0, 0);
    else if (is(a, "bufst"))
        note_number("bufst", proxy_get_buffer_status(num(a, 2), &n, &flags), n);
    else if (is(a, "prop")) {
        char path[128];
        int path_n = snprintf(path, sizeof(path), "%s", text(a, 2));
        for (int i = 0; i < path_n; i++)
            path[i] = path[i] == '.' ? 0 : path[i];
        note("prop", proxy_get_property(path, path_n, &p, &n), p, n);
    } else if (is(a, "setprop"))
        note("setprop", proxy_set_property(text(a, 2), len(a, 2), text(a, 3), len(a, 3)), 0, 0);
    else
        return 0;
    return 1;
}

static int stream_op(const struct args *a)
{
    char pairs[1024];
    int id = 0;
    if (is(a, "cont"))
        note("cont", proxy_continue_stream(num(a, 2)), 0, 0);
    else if (is(a, "close"))
        note("close", proxy_close_stream(num(a, 2)), 0, 0);
    else if (is(a, "reply"))
        note("reply",
             proxy_send_local_response(num(a, 2), "my details", 10, text(a, 3), len(a, 3), pairs,
                                       make_pairs(text(a, 4), pairs), -1),
             0, 0);
    else if (is(a, "call")) {
        int n = make_pairs(text(a, 3), pairs);
        note_number(
            "call",
            proxy_http_call(text(a, 2), len(a, 2), pairs, n, "body", 4, 0, 0, num(a, 4), &id), id);
    } else if (is(a, "eff"))
        note("eff", proxy_set_effective_context(a->n > 2 ? num(a, 2) : stream_id), 0, 0);
    else if (is(a, "tick"))
        note("tick", proxy_set_tick_period_milliseconds(num(a, 2)), 0, 0);
    else if (is(a, "done"))
        note("done", proxy_done(), 0, 0);
    else if (is(a, "log"))
        note("log", proxy_log(num(a, 2), text(a, 3), len(a, 3)), 0, 0);
    else
        return 0;
    return 1;
}

static int shared_op(const struct args *a)
{
    char *p = 0;
    int n = 0, cas = 0;
    unsigned long long v = 0;
    if (is(a, "sget")) {
        int st = proxy_get_shared_data(text(a, 2), len(a, 2), &p, &n, &cas);
        note("sget", st, p, n);
    } else if (is(a, "sset"))
        note("sset", proxy_set_shared_data(text(a, 2), len(a, 2), text(a, 3), len(a, 3), num(a, 4)),
             0, 0);
    else if (is(a, "queue"))
        note("queue", proxy_register_shared_queue(text(a, 2), len(a, 2), &last_id), 0, 0);
    else if (is(a, "resolve"))
        note("resolve",
             proxy_resolve_shared_queue(text(a, 2), len(a, 2), text(a, 3), len(a, 3), &last_id), 0,
             0);
    else if (is(a, "enq"))
        note("enq", proxy_enqueue_shared_queue(last_id, text(a, 2), len(a, 2)), 0, 0);
    else if (is(a, "deq"))
        note("deq", proxy_dequeue_shared_queue(last_id, &p, &n), p, n);
    else if (is(a, "metric"))
        note_number("metric", proxy_define_metric(num(a, 2), text(a, 3), len(a, 3), &last_id),
                    last_id & 3);
    else if (is(a, "incr"))
        note("incr", proxy_increment_metric(last_id, num(a, 2)), 0, 0);
    else if (is(a, "record"))
        note("record", proxy_record_metric(last_id, num(a, 2)), 0, 0);
    else if (is(a, "mget")) {
        int st = proxy_get_metric(last_id, &v);
        note_number("mget", st, (long long)v);
    } else if (is(a, "foreign"))
        note("foreign",
             proxy_call_foreign_function(text(a, 2), len(a, 2), text(a, 3), len(a, 3), &p, &n), p,
             n);
    else if (is(a, "zip")) {
        char *q = 0;
        int m = 0;
        proxy_call_foreign_function("compress", 8, text(a, 2), len(a, 2), &p, &n);
        note("zip", proxy_call_foreign_function("uncompress", 10, p, n, &q, &m), q, m);
    } else
        return 0;
    return 1;
}

/* Of service t.T, to the cluster or serialized GrpcService "proto" stands for. */
static int grpc_op(const struct args *a)
{
    static int id;
    static const char proto[] = "\x0a\x0a\x0a\x02up\x12\x04"
                                "auth"
                                "\x2a\x08\x0a\x03x-i\x12\x01"
                                "7";
    char pairs[1024], *p = 0;
    const char *target = strcmp(text(a, 2), "proto") ? text(a, 2) : proto;
    int n = make_pairs("x-md=1", pairs), code = 0, m = 0;
    int target_n = target == proto ? (int)sizeof(proto) - 1 : len(a, 2);
    if (is(a, "gcall"))
        note_number("gcall",
                    proxy_grpc_call(target, target_n, "t.T", 3, text(a, 3), len(a, 3), pairs, n,
                                    text(a, 4), len(a, 4), num(a, 5), &id),
                    id);
    else if (is(a, "gstream"))
        note_number(
            "gstream",
            proxy_grpc_stream(target, target_n, "t.T", 3, text(a, 3), len(a, 3), pairs, n, &id),
            id);
    else if (is(a, "gsend"))
        note("gsend", proxy_grpc_send(id, text(a, 2), len(a, 2), num(a, 3)), 0, 0);
    else if (is(a, "gcancel"))
        note("gcancel", proxy_grpc_cancel(a->n > 2 ? num(a, 2) : id), 0, 0);
    else if (is(a, "gclose"))
        note("gclose", proxy_grpc_close(a->n > 2 ? num(a, 2) : id), 0, 0);
    else if (is(a, "status")) {
        int st = proxy_get_status(&code, &p, &m);
        note_number("status", st, code);
        note("text", st, p, m);
    } else
        return 0;
    return 1;
}

static void run_op(const struct args *a)
{
    if (is(a, "ret"))
        answer = num(a, 2);
    else if (is(a, "trap"))
        __builtin_trap();
    else if (is(a, "oob"))
        *(volatile int *)0xfffffff0 = 1;
    else if (is(a, "spin"))
        for (volatile int i = 0;; i++)
            ;
    else if (is(a, "recurse"))
        answer = recurse(0);
    else if (is(a, "evil"))
        evil_malloc = num(a, 2);
    else if (is(a, "exit"))
        exit(3);
    else if (is(a, "show")) {
        proxy_log(num(a, 2), out, out_n);
        out_n = 0;
    } else if (is(a, "badptr"))
        note("badptr", proxy_log(2, (const char *)0xfffffff0, 64), 0, 0);
    else if (is(a, "getenv"))
        note("getenv", 0, getenv(text(a, 2)) ? getenv(text(a, 2)) : "-",
             getenv(text(a, 2)) ? (int)strlen(getenv(text(a, 2))) : 1);
    else if (!header_op(a) && !buffer_op(a) && !stream_op(a) && !shared_op(a) && !grpc_op(a))
        note("unknown", 0, a->v[1], (int)strlen(a->v[1]));
}

/* Runs the lines of the phase; the answer of the callback is what "ret" said last. */
static int run(const char *phase, int otherwise)
{
    char *copy = config ? strdup(config) : strdup(""), *save_line, *save;
    answer = otherwise;
    for (char *line = strtok_r(copy, "\n", &save_line); line;
         line = strtok_r(NULL, "\n", &save_line)) {
        struct args a = {.n = 0};
        for (char *w = strtok_r(line, " ", &save); w && a.n < 8; w = strtok_r(NULL, " ", &save))
            a.v[a.n++] = w;
        if (a.n > 1 && strcmp(a.v[0], phase) == 0)
            run_op(&a);
    }
    free(copy);
    proxy_set_shared_data("out", 3, out, out_n, 0);
    return answer;
}

EXPORT(proxy_on_context_create) void on_context_create(int id, int parent)
{
    stream_id = parent ? id : 0;
    run("create", 0);
}
EXPORT(proxy_on_vm_start) int on_vm_start(int root, int n)
{
    char *p = 0;
    int size = 0;
    /* The configuration is there before it is handed over, so that all phases can be told. */
    if (proxy_get_buffer_bytes(7, 0, 1 << 20, &p, &size) == 0 && size) {
        config = calloc(1, size + 1);
        memcpy(config, p, size);
    }
    (void)root;
    (void)n;
    return run("vm_start", 1);
}
EXPORT(proxy_on_configure) int on_configure(int root, int n)
{
    return run("configure", 1);
}
EXPORT(proxy_on_tick) void on_tick(int root)
{
    run("on_tick", 0);
}
EXPORT(proxy_on_queue_ready) void on_queue_ready(int root, int queue)
{
    last_id = queue;
    run("on_queue", 0);
}
EXPORT(proxy_on_http_call_response) void on_call(int root, int id, int headers, int body, int tr)
{
    char text[64];
    note("on_call", 0, text, snprintf(text, sizeof(text), "%d,%d,%d,%d", id, headers, body, tr));
    run("on_call", 0);
}
static void note_grpc(const char *op, int id, int n)
{
    char text[64];
    note(op, 0, text, snprintf(text, sizeof(text), "%d,%d", id, n));
    run(op, 0);
}
EXPORT(proxy_on_grpc_receive_initial_metadata) void on_grpc_initial(int root, int id, int n)
{
    note_grpc("on_ginit", id, n);
}
EXPORT(proxy_on_grpc_receive) void on_grpc_receive(int root, int id, int n)
{
    note_grpc("on_grecv", id, n);
}
EXPORT(proxy_on_grpc_receive_trailing_metadata) void on_grpc_trailing(int root, int id, int n)
{
    note_grpc("on_gtrail", id, n);
}
EXPORT(proxy_on_grpc_close) void on_grpc_close(int root, int id, int status)
{
    note_grpc("on_gclose", id, status);
}
EXPORT(proxy_on_new_connection) int on_new(int id)
{
    return run("new", 0);
}
EXPORT(proxy_on_downstream_data) int on_down(int id, int n, int end)
{
    return run("down", 0);
}
EXPORT(proxy_on_upstream_data) int on_up(int id, int n, int end)
{
    return run("up", 0);
}
EXPORT(proxy_on_downstream_connection_close) void on_down_close(int id, int peer)
{
    note_number("down_close", 0, peer);
    run("down_close", 0);
}
EXPORT(proxy_on_upstream_connection_close) void on_up_close(int id, int peer)
{
    note_number("up_close", 0, peer);
    run("up_close", 0);
}
EXPORT(proxy_on_request_headers) int on_req(int id, int n, int end)
{
    return run("req", 0);
}
EXPORT(proxy_on_request_body) int on_req_body(int id, int n, int end)
{
    note_number("req_body", 0, n);
    int st = run("req_body", 0);
    return end ? run("req_end", st) : st;
}
EXPORT(proxy_on_request_trailers) int on_req_trailers(int id, int n)
{
    return run("req_trailers", 0);
}
EXPORT(proxy_on_response_headers) int on_resp(int id, int n, int end)
{
    return run("resp", 0);
}
EXPORT(proxy_on_response_body) int on_resp_body(int id, int n, int end)
{
    int st = run("resp_body", 0);
    return end ? run("resp_end", st) : st;
}
EXPORT(proxy_on_response_trailers) int on_resp_trailers(int id, int n)
{
    return run("resp_trailers", 0);
}
EXPORT(proxy_on_done) int on_done(int id)
{
    note_number("on_done", 0, id);
    return run(id == 1 ? "root_done" : "done", 1);
}
EXPORT(proxy_on_log) void on_log(int id)
{
    note_number("on_log", 0, id);
    run("log", 0);
}
EXPORT(proxy_on_delete) void on_delete(int id)
{
    note_number("on_delete", 0, id);
    run("delete", 0);
}
