/* Downloads that fail, come back, or bring bad bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <pthread.h>
#include <sys/socket.h>
#include <cmocka.h>

#include "base/crypto.h"
#include "base/log.h"
#include "base/stat.h"
#include "base/str.h"
#include "rollout_world.h"

/* Answers each request with its body, once it listens. */
struct tiny_server {
    int fd;
    struct addr addr;
    struct str body;
    int requests;
    pthread_t thread;
};

static void *serve(void *arg)
{
    struct tiny_server *t = arg;
    for (int fd; (fd = accept(t->fd, NULL, NULL)) >= 0; close(fd)) {
        char request[2048];
        struct sbuf b = {0};
        if (read(fd, request, sizeof(request)) <= 0)
            continue;
        t->requests++;
        sbuf_printf(&b, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n",
                    t->body.n);
        sbuf_add(&b, t->body.p, t->body.n);
        assert_int_equal(write(fd, b.p, b.n), b.n);
        sbuf_fini(&b);
    }
    return NULL;
}

/* Takes a port without listening on it: connections are refused. */
static void tiny_server_bind(struct tiny_server *t, char url[64])
{
    socklen_t n = sizeof(t->addr.ss);
    addr_from_ip(STR("127.0.0.1"), 0, &t->addr, NULL);
    t->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(t->fd, &t->addr.sa, t->addr.len), 0);
    assert_int_equal(getsockname(t->fd, &t->addr.sa, &n), 0);
    snprintf(url, 64, "http://127.0.0.1:%u/x.wasm", addr_port(&t->addr));
}

static void tiny_server_start(struct tiny_server *t)
{
    assert_int_equal(listen(t->fd, 8), 0);
    assert_int_equal(pthread_create(&t->thread, NULL, serve, t), 0);
}

static void tiny_server_stop(struct tiny_server *t)
{
    shutdown(t->fd, SHUT_RDWR);
    pthread_join(t->thread, NULL);
    close(t->fd);
}

static struct conf_plugin *remote_plugin(const char *url, const char *sha256)
{
    struct conf_plugin *conf = plugin("", "", CONF_FAIL_CLOSED);
    fake_plugin_set_remote(conf, url, sha256);
    return conf;
}

static void test_failed_fetch_is_retried_behind_the_last_good(void **state)
{
    (void)state;
    struct world w;
    struct tiny_server t = {0};
    struct outcome_seen good = {0}, remote = {0};
    char url[64], p[128], digest[65];
    t.body = fake_module(p, "remote");
    sha256_hex(t.body.p, t.body.n, digest);
    open_world(&w, 10);
    push(&w, plugin("good", "", CONF_FAIL_CLOSED), &good);
    await(&w, &good);
    struct pwasm_vm *vm = w.vms[0];
    tiny_server_bind(&t, url);
    push(&w, remote_plugin(url, digest), &remote);
    await(&w, &remote);
    assert_memory_equal(remote.err.text, "fetch: http://127.0.0.1:", 24);
    uint64_t failures = stat_read("wasm.remote_load_fetch_failures");
    run_until(&w, never, 200);
    assert_true(stat_read("wasm.remote_load_fetch_failures") > failures);
    assert_ptr_equal(w.vms[0], vm);
    assert_int_equal(w.live_late, 0);
    tiny_server_start(&t);
    assert_true(run_until(&w, is_row_live, DEADLINE_MS));
    assert_int_equal(w.live_late, 1);
    assert_int_equal(remote.calls, 1);
    assert_string_equal(row_serving, digest);
    tiny_server_stop(&t);
    close_world(&w);
}

static void test_newer_push_stops_the_retries(void **state)
{
    (void)state;
    struct world w;
    struct tiny_server t = {0};
    struct outcome_seen remote = {0}, next = {0};
    char url[64], p[128];
    t.body = fake_module(p, "remote");
    open_world(&w, 10000);
    tiny_server_bind(&t, url);
    push(&w, remote_plugin(url, ""), &remote);
    await(&w, &remote);
    push(&w, plugin("next", "", CONF_FAIL_CLOSED), &next);
    await(&w, &next);
    assert_true(next.is_ok);
    tiny_server_start(&t);
    run_until(&w, never, 300);
    assert_int_equal(t.requests, 0);
    tiny_server_stop(&t);
    close_world(&w);
}

static void test_bytes_of_a_mutable_address_that_fail(void **state)
{
    (void)state;
    struct world w;
    struct tiny_server t = {0};
    struct outcome_seen remote = {0};
    char url[64], p[128];
    t.body = fake_module(p, "bad-compile");
    open_world(&w, 10000);
    tiny_server_bind(&t, url);
    tiny_server_start(&t);
    push(&w, remote_plugin(url, ""), &remote);
    await(&w, &remote);
    assert_string_equal(remote.err.text, "compile: CompileError: bad");
    run_until(&w, never, 300);
    assert_int_equal(t.requests, 1);
    assert_int_equal(fake_counts.compiled, 1);
    tiny_server_stop(&t);
    close_world(&w);
}

int main(void)
{
    log_set_all(getenv("VERBOSE") ? LEVEL_DEBUG : LEVEL_OFF);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_failed_fetch_is_retried_behind_the_last_good),
        cmocka_unit_test(test_newer_push_stops_the_retries),
        cmocka_unit_test(test_bytes_of_a_mutable_address_that_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
