/* The router behind a real downstream connection and in front of a real origin, all on one loop:
 * bytes in, bytes out, and what the access log would have seen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../upstream/rig.h"
#include "base/mem.h"
#include "base/stat.h"
#include "filters/router.h"
#include "http/h1_conn.h"
#include "http/hold.h"
#include "net/sock.h"

/* ---- the proxy's front and a client ---- */

struct front {
    struct rig *rig;
    struct loop_io io;
    struct addr addr;
    struct filter_env env;
    struct conf_hcm conf;
    struct conf_http_filter filter;
    struct hcm *hcm;
    struct conf_listener listener;
    struct addr restored; /* original destination of the connections to come */
    /* of the last stream */
    char details[256], flags[32];
    unsigned logged;
};

struct front_conn {
    struct h1_conn h;
    struct downstream_info down;
};

struct client {
    struct conn conn;
    struct buf received;
    bool is_closed;
};

static struct front *logging; /* whose streams are being written down */

static void log_stream(struct hcm *hcm, struct stream *s)
{
    (void)hcm;
    struct sbuf flags = {0};
    response_flags_format(s->info.flags, false, &flags);
    snprintf(logging->flags, sizeof(logging->flags), "%s", flags.p);
    snprintf(logging->details, sizeof(logging->details), "%s",
             s->info.details ? s->info.details : "-");
    logging->logged++;
    sbuf_fini(&flags);
}

static void on_front_end(struct h1_conn *h)
{
    mem_free(container_of(h, struct front_conn, h));
}

static void on_accept(struct loop_io *io, uint32_t events)
{
    (void)events;
    struct front *f = container_of(io, struct front, io);
    int fd = accept4(io->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return;
    struct front_conn *c = MEM_NEW(struct front_conn);
    sock_local(fd, &c->down.local);
    sock_peer(fd, &c->down.remote);
    c->down.direct_local = c->down.local;
    c->down.direct_remote = c->down.remote;
    c->down.requested_server_name = "";
    c->down.listener = &f->listener;
    if (f->restored.len) {
        c->down.local = f->restored;
        c->down.is_restored = true;
    }
    h1_conn_init(&c->h, f->hcm, &c->down, fd, STR_NULL, on_front_end);
}

static const struct http_filter_ops *find_router(enum conf_http_filter_kind kind)
{
    (void)kind;
    return &router_filter_ops;
}

/* rc NULL: the configuration is to come by RDS and has not. */
static void front_open(struct front *f, struct rig *r, struct conf_route_config *rc)
{
    *f = (struct front){.rig = r};
    f->filter.name = "router";
    f->conf.stat_prefix = "test";
    f->conf.route_config = rc;
    f->conf.rds_name = rc ? NULL : "missing";
    f->conf.filters = &f->filter;
    f->conf.filters_n = 1;
    f->conf.server_name = "envoy";
    f->conf.request_headers_size_max = 61440;
    f->conf.request_headers_count_max = 100;
    f->env.loop = r->loop;
    f->env.upstreams = r->u;
    hold_switch(&f->env, r->snapshot);
    f->hcm = hcm_create(&f->conf, &f->env, "l", 1 << 16, find_router);
    f->hcm->log = log_stream;
    logging = f;
    addr_from_ip(STR("127.0.0.1"), 0, &f->addr, NULL);
    int fd = sock_listen(&f->addr, 64, NULL);
    assert_true(fd >= 0);
    sock_local(fd, &f->addr);
    f->io = (struct loop_io){fd, on_accept};
    assert_int_equal(loop_add_listen(r->loop, &f->io), 0);
}

static void front_close(struct front *f)
{
    rig_turn(f->rig, 5); /* connections that end */
    loop_del(f->rig->loop, &f->io);
    close(f->io.fd);
    hcm_destroy(&f->hcm);
    hold_switch(&f->env, NULL);
}

static void on_client_data(struct conn *conn)
{
    struct client *c = container_of(conn, struct client, conn);
    buf_move(&c->received, &conn->in);
}

static void on_client_eof(struct conn *conn)
{
    conn_close(conn);
}

static void on_client_close(struct conn *conn)
{
    container_of(conn, struct client, conn)->is_closed = true;
}

static void on_client_connected(struct conn *conn)
{
    (void)conn;
}

static const struct conn_ops client_ops = {
    .on_data = on_client_data,
    .on_eof = on_client_eof,
    .on_close = on_client_close,
    .on_connected = on_client_connected,
};

static void client_open(struct client *c, struct front *f, const char *request)
{
    *c = (struct client){0};
    conn_init_connect(&c->conn, f->rig->loop, &f->addr, NULL, &client_ops);
    buf_adds(&c->conn.out, str_of(request));
}

static bool is_closed(void *client)
{
    return ((struct client *)client)->is_closed;
}

static void client_close(struct client *c, struct front *f)
{
    conn_reset(&c->conn); /* seen at once, also by a proxy that does not read */
    rig_run(f->rig, is_closed, c);
    buf_fini(&c->received);
}

/* A whole response is there: its head, and the body by content-length or up to the last chunk. */
static bool has_response(void *client)
{
    struct client *c = client;
    struct str in = buf_str(&c->received);
    const char *end = in.n ? memmem(in.p, in.n, "\r\n\r\n", 4) : NULL;
    if (c->is_closed || !end)
        return c->is_closed;
    size_t head = (size_t)(end - in.p) + 4;
    const char *length = memmem(in.p, head, "content-length: ", 16);
    if (length)
        return in.n >= head + strtoull(length + 16, NULL, 10);
    return memmem(in.p, in.n, "\r\n0\r\n\r\n", 7) != NULL;
}

static bool contains(const struct buf *b, const char *text)
{
    return !text[0] || (b->len && memmem(buf_head(b), b->len, text, strlen(text)));
}

/* ---- routes ---- */

#define ROUTE(path_, cluster_, timeout_, ...)                                      \
    {                                                                              \
        .path_kind = CONF_PATH_PREFIX, .path = STR(path_), .case_sensitive = true, \
        .cluster = STR(cluster_), .timeout_ms = timeout_, __VA_ARGS__              \
    }

static struct conf_header_value_option added[] = {
    {.name = STR("x-added"), .value = STR("1"), .action = CONF_APPEND_OR_ADD},
    {.name = STR("x-there"), .value = STR("new"), .action = CONF_OVERWRITE_OR_ADD},
    {.name = STR("x-old"), .value = STR("new"), .action = CONF_ADD_IF_ABSENT},
};
static struct str removed[] = {STR("x-bad")};

static struct conf_route routes[] = {
    ROUTE("/missing", "nowhere", 0),
    ROUTE("/gone", "nowhere", 0, .cluster_not_found_status = 404),
    ROUTE("/direct", "", 0, .action = CONF_ACTION_DIRECT_RESPONSE, .direct_status = 418,
          .direct_body = STR("teapot"), .response_headers = {.add = added, .add_n = 1}),
    ROUTE("/no-host", "empty", 0),
    ROUTE("/refused", "dead", 0),
    ROUTE("/never", "c", 60),
    ROUTE("/rewrite/", "c", 1000, .prefix_rewrite = STR("/"), .host_kind = CONF_HOST_LITERAL,
          .host_rewrite = STR("other.com")),
    ROUTE("/ops", "c", 1000, .prefix_rewrite = STR("/ok"),
          .request_headers = {.add = added, .add_n = 3, .remove = removed, .remove_n = 1},
          .response_headers = {.add = added, .add_n = 1}),
    ROUTE("/", "c", 15000),
};

static struct conf_route_config *make_config(void)
{
    struct conf_route_config *rc = conf_route_config_create("r");
    size_t bad;
    rc->vhosts_n = 1;
    rc->vhosts = arena_zalloc(&rc->object.arena, sizeof(*rc->vhosts));
    rc->vhosts[0].routes = routes;
    rc->vhosts[0].routes_n = ARRAY_LEN(routes);
    struct conf_domain d = {STR("a.com"), &rc->vhosts[0]};
    assert_int_equal(conf_route_config_index(rc, &d, 1, &bad, NULL), 0);
    return rc;
}

static void add_cluster(struct snapshot *s, const char *name, const struct addr *a, size_t n)
{
    struct conf_cluster *c = rig_cluster(name);
    struct conf_endpoints *e = rig_endpoints(a, n);
    struct conf_cluster_entry *entry = conf_cluster_entry_create(c, e);
    snapshot_set_cluster(s, name, entry);
    conf_object_unref(c);
    conf_object_unref(e);
    conf_object_unref(entry);
}

static void publish(struct rig *r, struct conf_cluster *extra)
{
    struct snapshot *s = snapshot_copy(NULL);
    struct addr dead;
    addr_from_ip(STR("127.0.0.1"), 1, &dead, NULL);
    add_cluster(s, "c", &r->origin.addr, 1);
    add_cluster(s, "empty", NULL, 0);
    add_cluster(s, "dead", &dead, 1);
    if (extra) {
        struct conf_cluster_entry *entry = conf_cluster_entry_create(extra, NULL);
        snapshot_set_cluster(s, "c", entry);
        conf_object_unref(entry);
        conf_object_unref(extra);
    }
    upstreams_publish(r->u, s);
    r->snapshot = s;
}

/* ---- exchanges ---- */

#define HOST "host: a.com\r\n"
#define RESET_TEXT "upstream connect error or disconnect/reset before headers. reset reason: "

static const struct {
    const char *name, *request, *status_line, *want, *want_not; /* of the response */
    const char *details, *flags, *sent;                         /* sent: seen by the origin */
} exchanges[] = {
    {"plain", "GET /ok HTTP/1.1\r\n" HOST "\r\n", "200 OK", "x-envoy-upstream-service-time: ",
     "transfer-encoding", "via_upstream", "-", "x-envoy-expected-rq-timeout-ms: 15000\r\n"},
    {"chunked", "GET /chunked HTTP/1.1\r\n" HOST "\r\n", "200 OK", "abcdefg", "content-length",
     "via_upstream", "-", ""},
    {"post", "POST /ok HTTP/1.1\r\n" HOST "content-length: 5\r\n\r\nhello", "200 OK", "ok", "",
     "via_upstream", "-", "\r\n\r\nhello"},
    {"post, chunked",
     "POST /ok HTTP/1.1\r\n" HOST "transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
     "200 OK", "ok", "", "via_upstream", "-", "\r\n\r\n5\r\nhello\r\n0\r\n\r\n"},
    {"head", "HEAD /head HTTP/1.1\r\n" HOST "connection: close\r\n\r\n", "200 OK",
     "content-length: 7", "", "via_upstream", "-", "HEAD /head"},
    {"error of the upstream", "GET /503 HTTP/1.1\r\n" HOST "\r\n", "503 Service Unavailable", "",
     "no healthy", "via_upstream", "-", ""},
    {"other host", "GET /ok HTTP/1.1\r\nhost: b.com\r\n\r\n", "404 Not Found", "content-length: 0",
     "content-type", "route_not_found", "NR", ""},
    {"cluster missing", "GET /missing HTTP/1.1\r\n" HOST "\r\n", "503 Service Unavailable",
     "content-length: 0", "", "cluster_not_found", "NC", ""},
    {"cluster missing, own status", "GET /gone HTTP/1.1\r\n" HOST "\r\n", "404 Not Found",
     "content-length: 0", "", "cluster_not_found", "NC", ""},
    {"direct response", "GET /direct HTTP/1.1\r\n" HOST "\r\n", "418 ", "teapot", "",
     "direct_response", "-", ""},
    {"direct response has the route's headers", "GET /direct HTTP/1.1\r\n" HOST "\r\n", "418 ",
     "x-added: 1\r\n", "upstream-service-time", "direct_response", "-", ""},
    {"no host", "GET /no-host HTTP/1.1\r\n" HOST "\r\n", "503 Service Unavailable",
     "\r\n\r\nno healthy upstream", "", "no_healthy_upstream", "UH", ""},
    {"connection refused", "GET /refused HTTP/1.1\r\n" HOST "\r\n", "503 Service Unavailable",
     "\r\n\r\n" RESET_TEXT "remote connection failure", "Connection refused",
     "upstream_reset_before_response_started{remote_connection_failure|delayed_connect_error:_"
     "Connection_refused}",
     "UF", ""},
    {"upstream hangs up", "GET /hangup HTTP/1.1\r\n" HOST "\r\n", "503 Service Unavailable",
     "\r\n\r\n" RESET_TEXT "connection termination", "",
     "upstream_reset_before_response_started{connection_termination}", "UC", ""},
    {"upstream speaks nonsense", "GET /garbage HTTP/1.1\r\n" HOST "\r\n", "502 Bad Gateway",
     "\r\n\r\n" RESET_TEXT "protocol error", "",
     "upstream_reset_before_response_started{protocol_error}", "UPE", ""},
    {"timeout", "GET /never HTTP/1.1\r\n" HOST "\r\n", "504 Gateway Timeout",
     "\r\n\r\nupstream request timeout", "", "response_timeout", "UT",
     "x-envoy-expected-rq-timeout-ms: 60\r\n"},
    {"upstream cut in the body", "GET /cut HTTP/1.1\r\n" HOST "\r\n", "200 OK", "half", "",
     "upstream_reset_after_response_started{protocol_error}", "UPE", ""},
    {"rewrites", "GET /rewrite/ok HTTP/1.1\r\n" HOST "\r\n", "200 OK", "", "", "via_upstream", "-",
     "GET /ok HTTP/1.1\r\nhost: other.com\r\n"},
    {"rewrites keep what was", "GET /rewrite/ok HTTP/1.1\r\n" HOST "\r\n", "200 OK", "", "",
     "via_upstream", "-", "x-envoy-original-path: /rewrite/ok\r\n"},
    {"request headers", "GET /ops HTTP/1.1\r\n" HOST "x-there: old\r\nx-old: old\r\n\r\n", "200 OK",
     "x-added: 1\r\n", "x-there", "via_upstream", "-", "x-there: new\r\nx-old: old\r\n"},
};

static void run_exchange(size_t i)
{
    struct rig r;
    struct front f;
    struct client c;
    rig_open(&r);
    publish(&r, NULL);
    struct conf_route_config *rc = make_config();
    front_open(&f, &r, rc);
    client_open(&c, &f, exchanges[i].request);
    rig_run(&r, has_response, &c);
    rig_turn(&r, 5);
    struct str got = buf_str(&c.received);
    bool is_status = contains(&c.received, exchanges[i].status_line) && got.n > 9;
    if (!is_status || !contains(&c.received, exchanges[i].want) ||
        (exchanges[i].want_not[0] && contains(&c.received, exchanges[i].want_not)))
        fail_msg("%s: response '%.*s'", exchanges[i].name, STR_ARG(got));
    if (strcmp(f.details, exchanges[i].details) != 0 || strcmp(f.flags, exchanges[i].flags) != 0)
        fail_msg("%s: details %s, flags %s", exchanges[i].name, f.details, f.flags);
    if (!contains(&r.origin.seen, exchanges[i].sent))
        fail_msg("%s: the origin saw '%.*s'", exchanges[i].name, STR_ARG(buf_str(&r.origin.seen)));
    assert_int_equal(f.logged, 1);
    client_close(&c, &f);
    front_close(&f);
    rig_close(&r);
    conf_object_unref(rc);
}

static void test_exchanges(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(exchanges); i++)
        run_exchange(i);
}

static void test_statistics(void **state)
{
    (void)state;
    struct rig r;
    struct front f;
    static const char *const requests[] = {"/ok", "/503", "/hangup", "/direct", "/missing"};
    rig_open(&r);
    publish(&r, NULL);
    struct conf_route_config *rc = make_config();
    front_open(&f, &r, rc);
    for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
        struct client c;
        char text[128];
        snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\n" HOST "\r\n", requests[i]);
        client_open(&c, &f, text);
        rig_run(&r, has_response, &c);
        client_close(&c, &f);
    }
    static const struct {
        const char *name;
        uint64_t want;
    } stats[] = {
        {"http.test.rq_total", 5},           {"http.test.rq_direct_response", 1},
        {"http.test.no_cluster", 1},         {"http.test.no_route", 0},
        {"cluster.c.upstream_rq_200", 1},    {"cluster.c.upstream_rq_2xx", 1},
        {"cluster.c.upstream_rq_503", 2},    {"cluster.c.upstream_rq_5xx", 2},
        {"cluster.c.upstream_rq_total", 3},  {"cluster.c.upstream_rq_completed", 3},
        {"cluster.c.upstream_rq_active", 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(stats); i++)
        if (stat_read(stats[i].name) != stats[i].want)
            fail_msg("%s: %lu", stats[i].name, (unsigned long)stat_read(stats[i].name));
    front_close(&f);
    rig_close(&r);
    conf_object_unref(rc);
}

static void test_configuration_not_there(void **state)
{
    (void)state;
    struct rig r;
    struct front f;
    struct client c;
    rig_open(&r);
    publish(&r, NULL);
    front_open(&f, &r, NULL);
    client_open(&c, &f, "GET / HTTP/1.1\r\n" HOST "\r\n");
    rig_run(&r, has_response, &c);
    assert_true(contains(&c.received, "HTTP/1.1 404 Not Found\r\n"));
    rig_turn(&r, 5);
    assert_string_equal(f.details, "route_configuration_not_found");
    client_close(&c, &f);
    front_close(&f);
    rig_close(&r);
}

static void test_original_destination(void **state)
{
    (void)state;
    struct rig r;
    struct front f;
    struct client c;
    char request[256], addr[ADDR_TEXT_MAX];
    rig_open(&r);
    struct conf_cluster *conf = rig_cluster("c");
    conf->type = CONF_CLUSTER_ORIGINAL_DST;
    conf->use_http_header = true;
    publish(&r, conf);
    struct conf_route_config *rc = make_config();
    front_open(&f, &r, rc);
    snprintf(request, sizeof(request),
             "GET /ok HTTP/1.1\r\n" HOST "x-envoy-original-dst-host: %s\r\n\r\n",
             addr_format(&r.origin.addr, addr));
    client_open(&c, &f, request);
    rig_run(&r, has_response, &c);
    assert_true(contains(&c.received, "HTTP/1.1 200 OK\r\n"));
    client_close(&c, &f);
    /* No header, and nothing was restored: there is no host. */
    client_open(&c, &f, "GET /ok HTTP/1.1\r\n" HOST "\r\n");
    rig_run(&r, has_response, &c);
    assert_true(contains(&c.received, "no healthy upstream"));
    client_close(&c, &f);
    f.restored = r.origin.addr;
    client_open(&c, &f, "GET /ok HTTP/1.1\r\n" HOST "\r\n");
    rig_run(&r, has_response, &c);
    assert_true(contains(&c.received, "HTTP/1.1 200 OK\r\n"));
    client_close(&c, &f);
    front_close(&f);
    rig_close(&r);
    conf_object_unref(rc);
}

/* The client goes away: so does the upstream's request. */
static void test_client_goes(void **state)
{
    (void)state;
    struct rig r;
    struct front f;
    struct client c;
    rig_open(&r);
    publish(&r, NULL);
    struct conf_route_config *rc = make_config();
    front_open(&f, &r, rc);
    client_open(&c, &f, "GET /stall HTTP/1.1\r\n" HOST "\r\n");
    rig_turn(&r, 20);
    assert_int_equal(r.origin.requests, 1);
    client_close(&c, &f);
    rig_turn(&r, 20);
    assert_int_equal(stat_read("cluster.c.upstream_cx_active"), 0);
    assert_int_equal(f.logged, 1);
    front_close(&f);
    rig_close(&r);
    conf_object_unref(rc);
}

/* A request body that nobody takes does not pile up in the proxy. */
static void test_request_back_pressure(void **state)
{
    (void)state;
    struct rig r;
    struct front f;
    struct client c;
    static char block[1 << 20];
    rig_open(&r);
    publish(&r, NULL);
    struct conf_route_config *rc = make_config();
    front_open(&f, &r, rc);
    client_open(&c, &f, "POST /stall HTTP/1.1\r\n" HOST "content-length: 67108864\r\n\r\n");
    for (int i = 0; i < 64; i++)
        buf_add(&c.conn.out, block, sizeof(block));
    size_t left = 0;
    for (int i = 0; i < 50 && left != c.conn.out.len; i++) {
        left = c.conn.out.len;
        rig_turn(&r, 100);
    }
    assert_int_equal(c.conn.out.len, left);
    /* What has gone is in kernel buffers and within the marks of the two connections. */
    assert_true(left > 32 << 20);
    assert_int_not_equal(stat_read("http.test.downstream_flow_control_paused_reading_total"), 0);
    client_close(&c, &f);
    front_close(&f);
    rig_close(&r);
    conf_object_unref(rc);
}

static bool has_big(void *client)
{
    return ((struct client *)client)->received.len > 16 << 20;
}

static bool is_paused(void *arg)
{
    (void)arg;
    return stat_read("cluster.c.upstream_flow_control_paused_reading_total");
}

static void test_response_back_pressure(void **state)
{
    (void)state;
    struct rig r;
    struct front f;
    struct client c;
    rig_open(&r);
    publish(&r, NULL);
    struct conf_route_config *rc = make_config();
    front_open(&f, &r, rc);
    client_open(&c, &f, "GET /big HTTP/1.1\r\n" HOST "\r\n");
    int small = 65536;
    setsockopt(c.conn.io.fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    conn_read_disable(&c.conn);
    rig_run(&r, is_paused, NULL);
    conn_read_enable(&c.conn);
    rig_run(&r, has_big, &c);
    assert_int_not_equal(stat_read("cluster.c.upstream_flow_control_resumed_reading_total"), 0);
    client_close(&c, &f);
    front_close(&f);
    rig_close(&r);
    conf_object_unref(rc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exchanges),
        cmocka_unit_test(test_statistics),
        cmocka_unit_test(test_configuration_not_there),
        cmocka_unit_test(test_original_destination),
        cmocka_unit_test(test_client_goes),
        cmocka_unit_test(test_request_back_pressure),
        cmocka_unit_test(test_response_back_pressure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
