/* Host calls of the Proxy-Wasm ABI: the exact answer of each, phase by phase. argv[1]: the guest.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/mem.h"
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

static const struct {
    const char *name, *script;
    enum pwasm_export call;
    int answer;
    const char *out;    /* what the guest wrote down */
    const char *events; /* what became of the stream */
} rows[] = {
    {"get", "req get 0 :path\nreq get 0 X-TWO\nreq get 0 none", PWASM_ON_REQUEST_HEADERS, 0,
     "get=0:/a?b=c;get=0:1;get=1;", ""},
    {"get in another phase", "req get 2 :status\nreq get 1 x\nreq get 6 x\nreq get 8 x",
     PWASM_ON_REQUEST_HEADERS, 0, "get=2;get=2;get=2;get=2;", ""},
    {"change",
     "req add 0 X-New v\nreq get 0 x-new\nreq set 0 x-two 3\nreq get 0 x-two\nreq del 0 "
     "x-two\nreq get 0 x-two\nreq del 0 x-none",
     PWASM_ON_REQUEST_HEADERS, 0, "add=0;get=0:v;set=0;get=0:3;del=0;get=1;del=0;",
     "route;route;route;route;"},
    {"change in another phase",
     "req add 2 a b\nreq set 3 a b\nreq del 1 a\nreq setpairs 6 a=b\nreq "
     "add 8 a b",
     PWASM_ON_REQUEST_HEADERS, 0, "add=2;set=2;del=2;setpairs=2;add=2;", ""},
    {"response headers", "resp add 2 x-seen yes\nresp get 2 x-seen\nresp get 0 :path",
     PWASM_ON_RESPONSE_HEADERS, 0, "add=0;get=0:yes;get=2;", ""},
    {"header injection",
     "req crlf 0\nreq set 0 :path /a\x7f"
     "b\nreq add 0 :evil x\nreq get 0 x-a",
     PWASM_ON_REQUEST_HEADERS, 0, "crlf=2;set=2;add=2;get=1;", ""},
    {"pairs", "req pairs 0\nreq pairs 2\nreq pairs 8\nreq size 0\nreq size 2\nreq size 6",
     PWASM_ON_REQUEST_HEADERS, 0, "pairs=0:77;pairs=0:0;pairs=2;size=0:33;size=2;size=2;", ""},
    {"set pairs",
     "req setpairs 0 :method=PUT,a=b,a=c\nreq get 0 :method\nreq get 0 a\nreq get 0 "
     ":path\nreq badpairs 0\nreq get 0 a\nreq size 0",
     PWASM_ON_REQUEST_HEADERS, 0, "setpairs=0;get=0:PUT;get=0:b;get=1;badpairs=0;get=1;size=0:0;",
     "route;route;"},
    {"buffer",
     "req_body buf 0 0 5\nreq_body buf 0 6 100\nreq_body buf 0 100 5\nreq_body buf 1 0 "
     "5\nreq_body buf 9 0 5\nreq_body bufst 0\nreq_body buf 6 0 99",
     PWASM_ON_REQUEST_BODY, 0,
     "req_body=0:11;buf=0:hello;buf=0:world;buf=0;buf=1;buf=2;bufst=0:11;buf=0:vm config;", ""},
    {"buffer outside its phase",
     "req buf 0 0 5\nreq setbuf 0 0 0 x\nreq bufst 0\nreq setbuf 6 0 0 x", PWASM_ON_REQUEST_HEADERS,
     0, "buf=1;setbuf=1;bufst=1;setbuf=2;", ""},
    {"prepend, append, insert",
     "req_body setbuf 0 0 0 >\nreq_body setbuf 0 99 0 <\nreq_body setbuf "
     "0 6 1 -\nreq_body buf 0 0 99",
     PWASM_ON_REQUEST_BODY, 0, "req_body=0:11;setbuf=0;setbuf=0;setbuf=0;buf=0:>hello-world<;", ""},
    {"replace",
     "req_body setbuf 0 0 99 new\nreq_body buf 0 0 99\nreq_body setbuf 0 0 1\nreq_body buf "
     "0 0 99",
     PWASM_ON_REQUEST_BODY, 0, "req_body=0:11;setbuf=0;buf=0:new;setbuf=0;buf=0:ew;", ""},
    {"continue and close",
     "req cont 0\nreq cont 1\nreq cont 3\nreq cont 4\nreq close 0\nreq close 9\n"
     "req ret 1",
     PWASM_ON_REQUEST_HEADERS, 1, "cont=0;cont=0;cont=12;cont=2;close=0;close=2;",
     "go_on(0);go_on(1);close(0);"},
    {"local reply", "req reply 403 no x-a=b,content-length=99\nreq ret 1", PWASM_ON_REQUEST_HEADERS,
     1, "reply=0;", "reply(403,my_details,no,x-a=b);"},
    {"two local replies", "req reply 403 no\nreq reply 404 never", PWASM_ON_REQUEST_HEADERS, 0,
     "reply=0;reply=0;", "reply(403,my_details,no);"},
    {"local reply of no status", "req reply 42 x", PWASM_ON_REQUEST_HEADERS, 0, "reply=0;",
     "reply(500,my_details,x);"},
    {"properties",
     "req prop plugin_name\nreq prop plugin_root_id\nreq prop plugin_vm_id\nreq prop "
     "request.host\nreq prop none\nreq prop request\nreq prop mine\nreq setprop mine "
     "7\nreq prop mine\nreq setprop full x",
     PWASM_ON_REQUEST_HEADERS, 0,
     "prop=0:my_plugin;prop=0:my_root;prop=0:vm;prop=0:example.org;prop=1;prop=1;prop=0;setprop=0;"
     "prop=0:7;setprop=10;",
     ""},
    {"empty path", "req prop", PWASM_ON_REQUEST_HEADERS, 0, "prop=3;", ""},
    {"memory", "req badptr", PWASM_ON_REQUEST_HEADERS, 0, "badptr=6;", ""},
    {"allocator that fails", "req evil 2\nreq get 0 :path\nreq evil 3\nreq get 0 :path\nreq evil 0",
     PWASM_ON_REQUEST_HEADERS, 0, "get=6;get=6;", ""},
    {"log levels", "req log 5 x\nreq log 6 x", PWASM_ON_REQUEST_HEADERS, 0, "log=0;log=2;", ""},
    {"effective", "req eff 1\nreq get 0 :path\nreq eff 99\nreq eff\nreq get 0 :path",
     PWASM_ON_REQUEST_HEADERS, 0, "eff=0;get=2;eff=2;eff=0;get=0:/a?b=c;", ""},
    {"done when nobody waits", "req done", PWASM_ON_REQUEST_HEADERS, 0, "done=1;", ""},
    {"shared data",
     "req sget none\nreq sset k v 0\nreq sget k\nreq sset k w 999\nreq sset absent x "
     "999\nreq sset k w 0\nreq sget k",
     PWASM_ON_REQUEST_HEADERS, 0, "sget=1;sset=0;sget=0:v;sset=8;sset=0;sset=0;sget=0:w;", ""},
    {"queues",
     "req deq\nreq queue q\nreq deq\nreq enq one\nreq enq two\nreq deq\nreq deq\nreq deq\nreq "
     "resolve vm q\nreq resolve vm none\nreq resolve other q",
     PWASM_ON_REQUEST_HEADERS, 0,
     "deq=1;queue=0;deq=7;enq=0;enq=0;deq=0:one;deq=0:two;deq=7;resolve=0;resolve=1;resolve=1;",
     ""},
    {"counter",
     "req metric 0 t_counter\nreq incr 2\nreq incr 0\nreq incr -1\nreq record 3\nreq mget",
     PWASM_ON_REQUEST_HEADERS, 0, "metric=0:0;incr=0;incr=2;incr=2;record=0;mget=0:5;", ""},
    {"gauge",
     "req metric 1 t_gauge\nreq record 7\nreq incr -2\nreq mget\nreq metric 1 t_gauge\nreq "
     "mget\nreq metric 0 t_gauge",
     PWASM_ON_REQUEST_HEADERS, 0,
     "metric=0:1;record=0;incr=0;mget=0:5;metric=0:1;mget=0:5;metric=2;", ""},
    {"histogram", "req metric 2 t_histogram\nreq record 7\nreq incr 1\nreq mget\nreq metric 3 x",
     PWASM_ON_REQUEST_HEADERS, 0, "metric=0:2;record=0;incr=2;mget=2;metric=2;", ""},
    {"foreign",
     "req foreign none x\nreq foreign clear_route_cache\nreq zip hello\nreq foreign "
     "uncompress rubbish",
     PWASM_ON_REQUEST_HEADERS, 0, "foreign=1;foreign=0;zip=0:hello;foreign=3;", "route;"},
    {"environment", "req getenv COLOUR\nreq getenv HOME", PWASM_ON_REQUEST_HEADERS, 0,
     "getenv=0:blue;getenv=0:-;", ""},
    {"http call",
     "req call up :method=GET,:path=/,:authority=a 1000\nreq call up :method=GET,:path=/ "
     "1000\nreq call none :method=GET,:path=/,:authority=a 1\nreq call up "
     ":method=GET,:path=/,:authority=a -1",
     PWASM_ON_REQUEST_HEADERS, 0, "call=0:4;call=2;call=2;call=2;", ""},
    {"grpc call",
     "req gcall up Go hi 1000\nreq gcall none Go hi 1\nreq gcall up Go hi -1\nreq gcall up a/b hi "
     "1\nreq gclose 5\nreq gclose 5\nreq gcancel 4\nreq gclose 8\nreq gcall proto Go",
     PWASM_ON_REQUEST_HEADERS, 0,
     "gcall=0:5;gcall=4;gcall=2;gcall=2;gclose=0;gclose=1;gcancel=2;gclose=2;gcall=0:9;", ""},
    {"grpc stream",
     "req gstream up Go\nreq gsend one\nreq gsend toomuch\nreq gsend two 1\nreq gclose\nreq "
     "gcancel\nreq gcancel\nreq gsend x\nreq gstream up Go",
     PWASM_ON_REQUEST_HEADERS, 0,
     "gstream=0:6;gsend=0;gsend=10;gsend=0;gclose=0;gcancel=0;gcancel=1;gsend=1;gstream=0:10;", ""},
    {"grpc send on a call", "req gcall up Go hi\nreq gsend x", PWASM_ON_REQUEST_HEADERS, 0,
     "gcall=0:5;gsend=2;", ""},
    {"new connection", "new ret 1", PWASM_ON_NEW_CONNECTION, 1, "", ""},
    {"downstream data", "down buf 2 0 99\ndown setbuf 2 0 99 bye\ndown cont 2\ndown ret 1",
     PWASM_ON_DOWNSTREAM_DATA, 1, "buf=0:hello world;setbuf=0;cont=0;", "go_on(2);"},
};

static void test_calls(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct plugin_want want = {.config = rows[i].script};
        struct fake_stream f;
        harness_install(&want);
        assert_int_equal(fake_enter(&f), PWASM_RUN);
        harness_out();
        int answer = fake_call(&f, rows[i].call);
        const char *out = harness_out(), *events = f.events.p ? f.events.p : "";
        if (answer != rows[i].answer || strcmp(out, rows[i].out) != 0 ||
            strcmp(events, rows[i].events) != 0)
            fail_msg("%s: answer %d\n out    %s\n wanted %s\n events %s\n wanted %s\n %s",
                     rows[i].name, answer, out, rows[i].out, events, rows[i].events,
                     harness_failure);
        fake_close(&f, true);
        fake_fini(&f);
    }
}

/* In the log phase maps can be read, not changed. */
static void test_log_phase(void **state)
{
    (void)state;
    struct plugin_want want = {.config =
                                   "log get 0 :path\nlog get 2 :status\nlog get 1 x\nlog get 0 "
                                   "x\nlog add 0 a b\nlog pairs 1\nlog reply 500 x"};
    struct fake_stream f;
    harness_install(&want);
    assert_int_equal(fake_enter(&f), PWASM_RUN);
    harness_out();
    fake_close(&f, true);
    assert_string_equal(harness_out(),
                        "on_log=0:2;get=0:/a?b=c;get=0:200;get=1;get=1;add=2;pairs=0:0"
                        ";reply=0;on_done=0:2;on_delete=0:2;");
    fake_fini(&f);
}

static void test_order_of_the_end(void **state)
{
    (void)state;
    struct plugin_want want = {0};
    struct fake_stream f;
    harness_install(&want);
    fake_enter(&f);
    harness_out();
    fake_close(&f, false);
    assert_string_equal(harness_out(), "on_done=0:2;on_log=0:2;on_delete=0:2;");
    fake_fini(&f);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_calls, open_worker, close_worker),
        cmocka_unit_test_setup_teardown(test_log_phase, open_worker, close_worker),
        cmocka_unit_test_setup_teardown(test_order_of_the_end, open_worker, close_worker),
    };
    if (argc < 2)
        return 2;
    harness_start_engine();
    harness_start(argv[1]);
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    harness_stop();
    return rc;
}
