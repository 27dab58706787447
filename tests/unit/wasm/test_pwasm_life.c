/* The life of plugin VMs: start, traps by policy, ticks, calls, queues, end. argv[1]: the guest. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/mem.h"
#include "base/stat.h"
#include "pwasm_harness.h"

static int open_worker(void **state)
{
    (void)state;
    harness_open();
    return 0;
}

static int close_worker(void **state)
{
    (void)state;
    harness_close();
    return 0;
}

/* ---- start ---- */

static const struct {
    const char *name, *script;
    const char *failure; /* contained in the text; NULL: it starts */
} starts[] = {
    {"fine", "", NULL},
    {"vm_start refuses", "vm_start ret 0",
     "Failed to start base Wasm: proxy_on_vm_start answered 0"},
    {"configure refuses", "configure ret 0",
     "Failed to configure base Wasm plugin: proxy_on_configure answered 0"},
    {"configure traps", "configure trap",
     "Function: proxy_on_configure failed: Uncaught RuntimeError: unreachable"},
    {"configure loops", "configure spin",
     "Function: proxy_on_configure failed: TerminationException"},
    {"configure recurses", "configure recurse", "Function: proxy_on_configure failed: Uncaught"},
    {"configure leaves", "configure exit",
     "proxy_on_configure failed: Uncaught Error: proc_exit(3)"},
    {"configure's allocator calls back", "configure evil 1\nconfigure prop plugin_name",
     "proxy_on_configure failed: Uncaught Error: restricted_callback"},
};

static void test_start(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(starts); i++) {
        struct plugin_want want = {.config = starts[i].script};
        harness_failure[0] = 0;
        struct pwasm_vm *vm = harness_vm(&want);
        if (!vm != !!starts[i].failure ||
            (starts[i].failure && !strstr(harness_failure, starts[i].failure)))
            fail_msg("%s: %s", starts[i].name, harness_failure);
        pwasm_vm_destroy(&vm);
    }
    assert_int_equal(stat_read("wasm.envoy.wasm.runtime.v8.active"), 0);
    assert_int_equal(stat_read("wasm.envoy.wasm.runtime.v8.created"), ARRAY_LEN(starts));
}

/* ---- failures ---- */

static const char *const deaths[] = {"trap", "oob", "spin", "recurse"};

static const struct {
    const char *phase;
    enum pwasm_export call;
} phases[] = {
    {"req", PWASM_ON_REQUEST_HEADERS},
    {"req_body", PWASM_ON_REQUEST_BODY},
    {"req_trailers", PWASM_ON_REQUEST_TRAILERS},
    {"resp", PWASM_ON_RESPONSE_HEADERS},
    {"resp_body", PWASM_ON_RESPONSE_BODY},
    {"resp_trailers", PWASM_ON_RESPONSE_TRAILERS},
    {"new", PWASM_ON_NEW_CONNECTION},
    {"down", PWASM_ON_DOWNSTREAM_DATA},
    {"up", PWASM_ON_UPSTREAM_DATA},
    {"down_close", PWASM_ON_DOWNSTREAM_CLOSE},
    {"up_close", PWASM_ON_UPSTREAM_CLOSE},
};

static const enum conf_fail_policy policies[] = {CONF_FAIL_CLOSED, CONF_FAIL_OPEN,
                                                 CONF_FAIL_RELOAD};

static void check_death(const char *death, size_t phase, enum conf_fail_policy policy)
{
    char script[64];
    snprintf(script, sizeof(script), "%s %s", phases[phase].phase, death);
    struct plugin_want want = {.config = script, .policy = policy, .deadline_ms = 20};
    struct fake_stream f, other, late;
    unsigned failed = harness_failed, wanted = harness_wanted, retired = harness_retired;
    harness_install(&want);
    assert_int_equal(fake_enter(&other), PWASM_RUN);
    assert_int_equal(fake_enter(&f), PWASM_RUN);
    assert_int_equal(fake_call(&f, phases[phase].call), -1);
    assert_int_equal(harness_failed, failed + 1);
    assert_int_equal(harness_wanted, wanted + (policy == CONF_FAIL_RELOAD));
    assert_non_null(strstr(harness_failure, "Function: proxy_on_"));
    /* Off after the first hit, for every stream. */
    assert_int_equal(fake_call(&f, phases[phase].call), -1);
    assert_int_equal(fake_call(&other, PWASM_ON_REQUEST_HEADERS), -1);
    assert_int_equal(harness_failed, failed + 1);
    assert_true(pwasm_context_is_failed(&other.context));
    assert_int_equal(fake_enter(&late), policy == CONF_FAIL_OPEN ? PWASM_BYPASS : PWASM_REFUSE);
    harness_run(1);
    assert_string_equal(other.events.p, "vm_failed;");
    assert_int_equal(harness_retired, retired);
    fake_close(&f, true);
    fake_close(&other, true);
    harness_run(1);
    assert_int_equal(harness_retired, retired + 1);
    fake_fini(&f);
    fake_fini(&other);
    fake_fini(&late);
}

static void test_deaths(void **state)
{
    (void)state;
    for (size_t d = 0; d < ARRAY_LEN(deaths); d++)
        for (size_t p = 0; p < ARRAY_LEN(phases); p++)
            for (size_t o = 0; o < ARRAY_LEN(policies); o++)
                check_death(deaths[d], p, policies[o]);
    assert_int_equal(stat_read("wasm.my_plugin.deadline_exceeded") > 0, true);
}

static void test_death_at_the_end(void **state)
{
    (void)state;
    static const char *const scripts[] = {"log trap", "done trap", "delete trap"};
    for (size_t i = 0; i < ARRAY_LEN(scripts); i++) {
        struct plugin_want want = {.config = scripts[i]};
        struct fake_stream f;
        harness_install(&want);
        assert_int_equal(fake_enter(&f), PWASM_RUN);
        fake_close(&f, true);
        harness_run(1);
        assert_int_equal(harness_failed, i + 1);
        assert_int_equal(harness_retired, i + 1);
        fake_fini(&f);
    }
}

static void test_death_at_the_beginning(void **state)
{
    (void)state;
    for (size_t o = 0; o < ARRAY_LEN(policies); o++) {
        struct plugin_want want = {.config = "create trap", .policy = policies[o]};
        struct fake_stream f;
        harness_install(&want);
        assert_int_equal(fake_enter(&f),
                         policies[o] == CONF_FAIL_OPEN ? PWASM_BYPASS : PWASM_REFUSE);
        assert_false(pwasm_context_is_open(&f.context));
        harness_run(1);
        assert_int_equal(harness_retired, o + 1);
        fake_fini(&f);
    }
}

/* ---- swap ---- */

static void test_swap_keeps_streams(void **state)
{
    (void)state;
    struct plugin_want first = {.config = "req log 2 first\nresp ret 7"}, second = {.config = ""};
    struct fake_stream f, g;
    harness_install(&first);
    fake_enter(&f);
    harness_install(&second);
    fake_enter(&g);
    harness_run(1);
    assert_int_equal(harness_retired, 0);
    assert_int_equal(fake_call(&f, PWASM_ON_RESPONSE_HEADERS), 7);
    assert_int_equal(fake_call(&g, PWASM_ON_RESPONSE_HEADERS), 0);
    fake_close(&f, true);
    harness_out();
    harness_run(1);
    assert_int_equal(harness_retired, 1);
    fake_close(&g, true);
    pwasm_slot_install(harness_worker, "s", NULL, true);
    harness_run(1);
    assert_int_equal(harness_retired, 2);
    struct fake_stream late;
    assert_int_equal(fake_enter(&late), PWASM_REFUSE);
    fake_fini(&f);
    fake_fini(&g);
    fake_fini(&late);
}

static void test_empty_slots(void **state)
{
    (void)state;
    struct fake_stream f;
    assert_int_equal(fake_enter(&f), PWASM_NO_CONFIG);
    fake_fini(&f);
    pwasm_slot_install(harness_worker, "s", NULL, false);
    assert_int_equal(fake_enter(&f), PWASM_BYPASS);
    fake_fini(&f);
    pwasm_slot_install(harness_worker, "s", NULL, true);
    assert_int_equal(fake_enter(&f), PWASM_REFUSE);
    fake_fini(&f);
}

/* The root waits for proxy_done, which a tick says. */
static void test_root_waits_for_done(void **state)
{
    (void)state;
    struct plugin_want want = {.config = "root_done ret 0\nroot_done tick 5\non_tick done"};
    harness_install(&want);
    pwasm_slot_install(harness_worker, "s", NULL, true);
    harness_run(1);
    assert_int_equal(harness_retired, 0);
    harness_run(60);
    assert_int_equal(harness_retired, 1);
    assert_non_null(strstr(harness_out(), "on_done=0:1;"));
}

/* ---- ticks, calls, queues ---- */

static void test_ticks(void **state)
{
    (void)state;
    struct plugin_want want = {.config = "configure tick 5\non_tick metric 0 life_ticks\non_tick "
                                         "incr 1"};
    harness_install(&want);
    harness_run(80);
    uint64_t n = stat_read("wasmcustom.life_ticks");
    assert_true(n >= 3 && n <= 16);
}

static void test_tick_that_traps(void **state)
{
    (void)state;
    struct plugin_want want = {.config = "configure tick 1\non_tick trap"};
    harness_install(&want);
    harness_run(30);
    assert_int_equal(harness_failed, 1);
    assert_int_equal(harness_retired, 1);
}

static void answer_call(const char *status)
{
    struct headers h = {0}, none = {0};
    if (status)
        headers_add(&h, STR(":status"), str_of(status));
    pwasm_http_call_done(harness_callout, &h, status ? STR("pong") : STR_NULL, &none);
    headers_fini(&h);
}

#define CALL "call up :method=GET,:path=/,:authority=a 1000\n"

static void test_grpc_call_answers(void **state)
{
    (void)state;
    static const struct {
        const char *message, *text;
        unsigned status;
        const char *out;
    } rows[] = {
        {"pong", "", 0, "on_grecv=0:5,4;buf=0:pong;status=0:0;text=0;"},
        {"", "", 0, "on_grecv=0:5,0;buf=0;status=0:0;text=0;"},
        {NULL, "no such thing", 5, "on_gclose=0:5,5;status=0:5;text=0:no such thing;"},
        {"pong", "late", 4, "on_gclose=0:5,4;status=0:4;text=0:late;"},
        {NULL, "", 0, "on_gclose=0:5,13;status=0:13;text=0;"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct plugin_want want = {.config =
                                       "req gcall proto Go hi 1000\non_grecv buf 5 0 99\non_grecv "
                                       "status\non_gclose status"};
        struct headers none = {0};
        struct fake_stream f;
        harness_install(&want);
        fake_enter(&f);
        fake_call(&f, PWASM_ON_REQUEST_HEADERS);
        assert_string_equal(harness_grpc_sent, "up t.T/Go auth x-i=7 x-md=1 'hi' end");
        harness_out();
        pwasm_grpc_initial(harness_grpc, &none);
        if (rows[i].message)
            pwasm_grpc_message(harness_grpc, str_of(rows[i].message));
        pwasm_grpc_trailing(harness_grpc, &none);
        pwasm_grpc_closed(harness_grpc, rows[i].status, rows[i].text);
        assert_string_equal(harness_out(), rows[i].out);
        fake_close(&f, true);
        fake_fini(&f);
    }
}

/* A stream that begins while the plugin starts: it is opened with what was said until then. */
static void test_grpc_stream(void **state)
{
    (void)state;
    struct plugin_want want = {
        .config = "configure gstream up Go\nconfigure gsend one\nconfigure gsend two\n"
                  "on_ginit get 4 x-head\non_grecv buf 5 0 99\non_grecv gsend more\n"
                  "on_gtrail get 5 x-tail\non_gtrail gclose\non_gclose gsend late"};
    struct headers h = {0};
    harness_install(&want);
    assert_string_equal(harness_grpc_sent, "up t.T/Go  x-md=1 'one' 'two'");
    harness_out();
    headers_add(&h, STR("x-head"), STR("1"));
    pwasm_grpc_initial(harness_grpc, &h);
    pwasm_grpc_message(harness_grpc, STR("news"));
    headers_clear(&h);
    headers_add(&h, STR("x-tail"), STR("2"));
    pwasm_grpc_trailing(harness_grpc, &h);
    pwasm_grpc_closed(harness_grpc, 0, "");
    assert_string_equal(harness_out(),
                        "on_ginit=0:6,1;get=0:1;on_grecv=0:6,4;buf=0:news;gsend=0;on_gtrail=0:6,1;"
                        "get=0:2;gclose=0;on_gclose=0:6,0;gsend=1;");
    assert_string_equal(harness_grpc_sent, "up t.T/Go  x-md=1 'one' 'two' 'more' end");
    headers_fini(&h);
}

static void test_grpc_of_a_plugin_that_ends(void **state)
{
    (void)state;
    struct plugin_want want = {.config = "configure gstream up Go"}, next = {0};
    harness_install(&want);
    harness_install(&next);
    harness_run(5);
    assert_int_equal(harness_cancelled, 1);
}

static void test_call_answers(void **state)
{
    (void)state;
    struct plugin_want want = {
        .config =
            "req " CALL "on_call get 6 :status\non_call buf 4 0 9\non_call eff\non_call get 0 "
            "x-two\non_call cont 0\nreq ret 1"};
    struct fake_stream f;
    harness_install(&want);
    fake_enter(&f);
    assert_int_equal(fake_call(&f, PWASM_ON_REQUEST_HEADERS), 1);
    harness_out();
    answer_call("200");
    assert_string_equal(harness_out(),
                        "on_call=0:4,1,4,0;get=0:200;buf=0:pong;eff=0;get=0:1;cont=0;");
    assert_string_equal(f.events.p, "go_on(0);");
    fake_call(&f, PWASM_ON_REQUEST_HEADERS);
    harness_out();
    answer_call(NULL);
    assert_string_equal(harness_out(), "on_call=0:8,0,0,0;get=2;buf=1;eff=0;get=0:1;cont=0;");
    fake_close(&f, true);
    fake_fini(&f);
}

/* A call outlives its stream, not its VM. */
static void test_call_after_stream(void **state)
{
    (void)state;
    struct plugin_want want = {.config = "req " CALL "on_call eff\non_call cont 0"};
    struct fake_stream f;
    harness_install(&want);
    for (int i = 0; i < 50; i++) {
        fake_enter(&f);
        fake_call(&f, PWASM_ON_REQUEST_HEADERS);
        fake_close(&f, true);
        fake_fini(&f);
        harness_out();
        answer_call("200");
        assert_non_null(strstr(harness_out(), "eff=2;cont=0;"));
    }
    fake_enter(&f);
    fake_call(&f, PWASM_ON_REQUEST_HEADERS);
    fake_close(&f, true);
    fake_fini(&f);
    pwasm_slot_install(harness_worker, "s", NULL, true);
    harness_run(1);
    assert_int_equal(harness_cancelled, 1);
    assert_int_equal(harness_retired, 1);
}

/* Calls made while the plugin starts are sent when it stands on its worker. */
static void test_call_at_start(void **state)
{
    (void)state;
    struct plugin_want want = {.config = "configure " CALL "on_call get 6 :status"};
    harness_callout = NULL;
    harness_install(&want);
    assert_non_null(harness_callout);
    harness_out();
    answer_call("204");
    assert_string_equal(harness_out(), "on_call=0:4,1,4,0;get=0:204;");
    harness_call_answer = PWASM_INTERNAL_FAILURE;
    harness_install(&want);
    assert_string_equal(harness_out(), "call=0:4;on_call=0:4,0,0,0;get=2;");
}

static void test_queue_tells_its_consumer(void **state)
{
    (void)state;
    struct plugin_want want = {.config =
                                   "configure queue jobs\nreq resolve vm jobs\nreq enq a\nreq "
                                   "enq b\non_queue deq"};
    struct fake_stream f;
    harness_install(&want);
    fake_enter(&f);
    fake_call(&f, PWASM_ON_REQUEST_HEADERS);
    harness_out();
    harness_run(5);
    assert_string_equal(harness_out(), "deq=0:a;deq=0:b;");
    fake_close(&f, true);
    fake_fini(&f);
}

/* A successor that does not come up leaves the queue to the one that serves; one that does takes
 * it over with what nobody was told of. */
static void test_queue_changes_its_consumer(void **state)
{
    (void)state;
    struct plugin_want first = {.config = "configure queue jobs2\nreq resolve vm jobs2\nreq enq a\n"
                                          "on_queue deq\non_queue metric 0 first_told\non_queue "
                                          "incr 1"};
    struct plugin_want bad = {.config = "configure queue jobs2\nconfigure trap"};
    struct plugin_want second = {.config = "configure queue jobs2\non_queue deq\non_queue metric 0 "
                                           "second_told\non_queue incr 1"};
    struct fake_stream f;
    harness_install(&first);
    fake_enter(&f);
    assert_null(harness_vm(&bad));
    fake_call(&f, PWASM_ON_REQUEST_HEADERS);
    harness_run(5);
    assert_int_equal(stat_read("wasmcustom.first_told"), 1);
    harness_install(&second);
    fake_call(&f, PWASM_ON_REQUEST_HEADERS);
    harness_run(5);
    assert_int_equal(stat_read("wasmcustom.first_told"), 1);
    assert_int_equal(stat_read("wasmcustom.second_told"), 1);
    fake_close(&f, true);
    fake_fini(&f);
}

/* ---- bounds and rights ---- */

static void test_capabilities(void **state)
{
    (void)state;
    static const char *allowed[] = {"proxy_on_vm_start", "proxy_on_request_headers",
                                    "proxy_get_buffer_bytes", "proxy_set_shared_data", NULL};
    struct plugin_want want = {.config = "req prop plugin_name\nreq log 2 x\nresp ret 9",
                               .capabilities = allowed};
    struct fake_stream f;
    harness_install(&want);
    fake_enter(&f);
    harness_out();
    assert_int_equal(fake_call(&f, PWASM_ON_REQUEST_HEADERS), 0);
    assert_string_equal(harness_out(), "prop=10;log=10;");
    assert_int_equal(fake_call(&f, PWASM_ON_RESPONSE_HEADERS), 0);
    assert_false(pwasm_context_has(&f.context, PWASM_ON_RESPONSE_HEADERS));
    fake_close(&f, true);
    fake_fini(&f);
}

static void test_metrics_are_bounded(void **state)
{
    (void)state;
    struct sbuf script = {0};
    struct fake_stream f;
    for (int i = 0; i < PWASM_METRICS_MAX; i++)
        sbuf_printf(&script, "req metric 0 bound_%d\n", i);
    sbuf_addz(&script, "req show 0\nreq mget\nreq metric 0 one_more");
    struct plugin_want want = {.config = script.p, .deadline_ms = 5000};
    harness_install(&want);
    fake_enter(&f);
    assert_int_equal(fake_call(&f, PWASM_ON_REQUEST_HEADERS), 0);
    assert_string_equal(harness_out(), "mget=0:0;metric=10;");
    fake_close(&f, true);
    fake_fini(&f);
    sbuf_fini(&script);
}

static unsigned count_lines(FILE *f, const char *text)
{
    char line[4096];
    unsigned n = 0;
    rewind(f);
    while (fgets(line, sizeof(line), f))
        n += strstr(line, text) != NULL;
    return n;
}

static void test_log_lines_are_bounded(void **state)
{
    (void)state;
    struct sbuf script = {0};
    struct fake_stream f;
    for (int i = 0; i < 3000; i++)
        sbuf_addz(&script, "req log 2 flood\n");
    struct plugin_want want = {.config = script.p, .deadline_ms = 5000};
    FILE *log = tmpfile();
    int old = dup(2);
    harness_install(&want);
    fake_enter(&f);
    dup2(fileno(log), 2);
    int answer = fake_call(&f, PWASM_ON_REQUEST_HEADERS);
    dup2(old, 2);
    close(old);
    assert_int_equal(answer, 0);
    /* The second may turn once in between, or more often on a slow machine. */
    unsigned n = count_lines(log, "wasm log my_plugin my_root vm: flood");
    assert_true(n >= PWASM_LOG_LINES_MAX && n < 3000);
    fclose(log);
    fake_close(&f, true);
    fake_fini(&f);
    sbuf_fini(&script);
}

enum { CHURN = 20000 };

static void test_context_churn(void **state)
{
    (void)state;
    static struct fake_stream f[64];
    struct plugin_want want = {.config = "none ret 0"};
    harness_install(&want);
    for (int i = 0; i < CHURN; i++) {
        struct fake_stream *s = &f[(i * 7) % 64];
        if (pwasm_context_is_open(&s->context)) {
            pwasm_context_close(&s->context, i % 2);
            fake_fini(s);
        }
        assert_int_equal(fake_enter(s), PWASM_RUN);
    }
    for (int i = 0; i < 64; i++) {
        pwasm_context_close(&f[i].context, true);
        fake_fini(&f[i]);
    }
    assert_int_equal(harness_failed, 0);
}

int main(int argc, char **argv)
{
#define T(name) cmocka_unit_test_setup_teardown(test_##name, open_worker, close_worker)
    const struct CMUnitTest tests[] = {
        T(start),
        T(deaths),
        T(death_at_the_end),
        T(death_at_the_beginning),
        T(swap_keeps_streams),
        T(empty_slots),
        T(root_waits_for_done),
        T(ticks),
        T(tick_that_traps),
        T(call_answers),
        T(grpc_call_answers),
        T(grpc_stream),
        T(grpc_of_a_plugin_that_ends),
        T(call_after_stream),
        T(call_at_start),
        T(queue_tells_its_consumer),
        T(queue_changes_its_consumer),
        T(capabilities),
        T(metrics_are_bounded),
        T(log_lines_are_bounded),
        T(context_churn),
    };
    if (argc < 2)
        return 2;
    harness_start_engine();
    harness_start(argv[1]);
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    harness_stop();
    return rc;
}
