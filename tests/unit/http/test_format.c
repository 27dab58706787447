#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "http/format.h"

/* 2016-04-15 20:17:00.310987654 UTC */
static const uint64_t wall_ns = 1460751420310987654u;

static struct conf_filter_chain chain = {.name = "chain"};
static struct downstream_info down = {
    .connection_id = 7, .requested_server_name = "sni.test", .chain = &chain};

static void set_addr(struct addr *a, const char *ip, uint16_t port)
{
    struct error err;
    assert_int_equal(addr_from_ip(str_of(ip), port, a, &err), 0);
}

static void setup(struct stream *s)
{
    memset(s, 0, sizeof(*s));
    set_addr(&down.remote, "10.0.0.1", 1111);
    set_addr(&down.local, "10.0.0.2", 80);
    set_addr(&down.direct_remote, "10.0.0.3", 3333);
    set_addr(&down.direct_local, "10.0.0.4", 15006);
    s->info = (struct stream_info){.down = &down,
                                   .start_wall_ns = wall_ns,
                                   .start_us = 1000000,
                                   .req_end_us = 1002000,
                                   .upstream_tx_first_us = 1003000,
                                   .upstream_tx_last_us = 1004500,
                                   .upstream_first_us = 1010000,
                                   .upstream_last_us = 1011000,
                                   .resp_first_us = 1012000,
                                   .end_us = 1020999,
                                   .resp_last_us = 1020999,
                                   .bytes_received = 3,
                                   .bytes_sent = 4,
                                   .flags = FLAG_UPSTREAM_CONNECTION_FAILURE |
                                            FLAG_UPSTREAM_RETRY_LIMIT_EXCEEDED,
                                   .status = 503,
                                   .details = "a detail",
                                   .upstream_failure = "delayed connect error: 111",
                                   .upstream_cluster = "c",
                                   .upstream_connection_id = 9,
                                   .upstream_host_name = "host.test",
                                   .route_name = STR("r"),
                                   .attempts = 2,
                                   .upstream_minor = 20,
                                   .http_minor = 11};
    set_addr(&s->info.upstream_remote, "10.1.0.1", 8080);
    set_addr(&s->info.upstream_local, "10.1.0.2", 5555);
    s->is_grpc = true;
    s->local_body = STR("no \"luck\"\n");
    headers_add_id(&s->req, HDR_METHOD, STR("GET"));
    headers_add_id(&s->req, HDR_PATH, STR("/p?a=1&b=&a=2"));
    headers_add(&s->req, STR("x-a"), STR("value"));
    headers_add(&s->req, STR("x-envoy-original-path"), STR("/was?q"));
    headers_add(&s->req, STR("x-bad"), STR("\xc3\xa4\xff\t"));
    headers_add_id(&s->req, HDR_X_REQUEST_ID, STR("id"));
    headers_add_id(&s->resp, HDR_STATUS, STR("503"));
    headers_add_id(&s->resp_trailers, HDR_GRPC_STATUS, STR("3"));
}

static void clear(struct stream *s)
{
    headers_fini(&s->req);
    headers_fini(&s->resp);
    headers_fini(&s->resp_trailers);
}

static char *print(const struct conf_format *conf, bool is_tcp)
{
    struct stream s;
    struct format *f;
    struct error err = {0};
    struct sbuf out = {0};
    setup(&s);
    if (format_create(conf, &f, &err)) {
        clear(&s);
        return mem_strdup(err.text);
    }
    format_print(f, &s.info, is_tcp ? NULL : &s, &out);
    format_destroy(&f);
    clear(&s);
    return sbuf_take(&out);
}

static const struct {
    const char *format, *want, *tcp; /* tcp NULL: the same */
} rows[] = {
    {"a%%b", "a%b", NULL},
    {"%REQ(X-A)% %REQ(X-B?X-A):3% %REQ(X-B)%", "value val -", "- - -"},
    {"%RESP(:STATUS)% %TRAILER(GRPC-STATUS)%", "503 3", "- -"},
    {"%START_TIME%", "2016-04-15T20:17:00.310Z", NULL},
    {"%START_TIME(%s %f %3f %6f %E3S %Y/%m)%", "1460751420 310987654 310 310987 00.310 2016/04",
     NULL},
    {"%DURATION% %REQUEST_DURATION% %REQUEST_TX_DURATION%", "20 2 4", NULL},
    {"%RESPONSE_DURATION% %RESPONSE_TX_DURATION%", "10 10", NULL},
    {"%COMMON_DURATION(US_TX_BEG:US_TX_END:us)% %COMMON_DURATION(DS_RX_BEG:DS_TX_END)%", "1500 20",
     NULL},
    {"%COMMON_DURATION(DS_TX_BEG:DS_RX_BEG)%", "-", NULL},
    {"%COMMON_DURATION(DS_RX_BEG:X)%", "COMMON_DURATION: time point 'X' is not supported", NULL},
    {"%COMMON_DURATION(DS_RX_BEG:DS_TX_END:h)%",
     "COMMON_DURATION: Invalid common duration precision: h", NULL},
    {"%RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_FLAGS_LONG%",
     "503 URX,UF UpstreamRetryLimitExceeded,UpstreamConnectionFailure",
     "503 UF,URX UpstreamConnectionFailure,UpstreamRetryLimitExceeded"},
    {"%RESPONSE_CODE_DETAILS% %RESPONSE_CODE_DETAILS(ALLOW_WHITESPACES)%", "a_detail a detail",
     NULL},
    {"%UPSTREAM_TRANSPORT_FAILURE_REASON%", "delayed_connect_error:_111", NULL},
    {"%GRPC_STATUS% %GRPC_STATUS(SNAKE_STRING)% %GRPC_STATUS(NUMBER)% %GRPC_STATUS_NUMBER%",
     "InvalidArgument INVALID_ARGUMENT 3 3", "- - - -"},
    {"%GRPC_STATUS(X)%", "GRPC_STATUS: unknown parameter 'X'", NULL},
    {"%PROTOCOL% %UPSTREAM_PROTOCOL%", "HTTP/1.1 HTTP/2", NULL},
    {"%PATH% %PATH(NQ)% %PATH(NQ:PATH)% %PATH(WQ:ORIG)%", "/was?q /was /p /was?q", "- - - -"},
    {"%PATH(X)%", "PATH: Invalid PATH option: 'X', only WQ/NQ are allowed", NULL},
    {"%QUERY_PARAM(a)% [%QUERY_PARAM(b)%] %QUERY_PARAM(c)%", "1 [] -", "- [-] -"},
    {"%DOWNSTREAM_REMOTE_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT% "
     "%DOWNSTREAM_REMOTE_PORT%",
     "10.0.0.1:1111 10.0.0.1 1111", NULL},
    {"%DOWNSTREAM_DIRECT_REMOTE_ADDRESS% %DOWNSTREAM_DIRECT_LOCAL_ADDRESS%",
     "10.0.0.3:3333 10.0.0.4:15006", NULL},
    {"%DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_PORT%", "10.0.0.2:80 80", NULL},
    {"%UPSTREAM_HOST% %UPSTREAM_HOST_NAME% %UPSTREAM_LOCAL_PORT%", "10.1.0.1:8080 host.test 5555",
     NULL},
    {"%UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT% %UPSTREAM_CONNECTION_ID% %CONNECTION_ID%",
     "10.1.0.1 9 7", NULL},
    {"%REQUESTED_SERVER_NAME% %FILTER_CHAIN_NAME% %ROUTE_NAME% %UPSTREAM_CLUSTER%",
     "sni.test chain r c", NULL},
    {"%ACCESS_LOG_TYPE%", "DownstreamEnd", "TcpConnectionEnd"},
    {"%STREAM_ID% %VIRTUAL_CLUSTER_NAME% %DOWNSTREAM_TLS_VERSION% %UPSTREAM_PEER_SUBJECT%",
     "id - - -", "- - - -"},
    {"%ENVIRONMENT(REMORA_TEST_FORMAT):2% %ENVIRONMENT(REMORA_NOT_SET)%", "he -", NULL},
    {"%BYTES_RECEIVED% %BYTES_SENT% %UPSTREAM_REQUEST_ATTEMPT_COUNT%", "3 4 2", NULL},
    {"%RESPONSE_HEADERS_BYTES%", "10", "0"},
    {"%NOTHING%", "Not supported field in StreamInfo: NOTHING", NULL},
    {"%REQ%", "REQ requires parameters", NULL},
    {"%PROTOCOL(X)%", "PROTOCOL does not take any parameters or length", NULL},
    {"x %REQ(", "Incorrect configuration: x %REQ(. Couldn't find valid command at position 2",
     NULL},
};

static void test_text(void **state)
{
    (void)state;
    setenv("REMORA_TEST_FORMAT", "hello", 1);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        for (int is_tcp = 0; is_tcp < 2; is_tcp++) {
            const struct conf_format conf = {.text = rows[i].format};
            char *got = print(&conf, is_tcp);
            if (strcmp(got, is_tcp && rows[i].tcp ? rows[i].tcp : rows[i].want))
                fail_msg("%s (%s): %s", rows[i].format, is_tcp ? "TCP" : "HTTP", got);
            mem_free(got);
        }
}

#define TEXT(k, f)                                              \
    {                                                           \
        .kind = CONF_JSON_FORMAT, .key = STR(k), .text = STR(f) \
    }

static void test_json(void **state)
{
    (void)state;
    struct conf_json list[] = {TEXT("", "%PROTOCOL%"),
                               {.kind = CONF_JSON_LITERAL, .text = STR("1.5")},
                               TEXT("", "%REQ(X-B)%")};
    struct conf_json members[] = {
        TEXT("absent", "%REQ(X-B)%"),
        TEXT("body", "%LOCAL_REPLY_BODY%"),
        TEXT("bytes", "%REQ(X-BAD)%"),
        TEXT("code", "%RESPONSE_CODE%"),
        {.kind = CONF_JSON_LIST, .key = STR("list"), .v = list, .n = ARRAY_LEN(list)},
        TEXT("mixed", "%RESPONSE_CODE%!%REQ(X-B)%"),
        TEXT("no\"ne", ""),
    };
    struct conf_json root = {.kind = CONF_JSON_OBJECT, .v = members, .n = ARRAY_LEN(members)};
    struct conf_format conf = {.json = &root};
    char *got = print(&conf, false);
    assert_string_equal(got, "{\"absent\":null,\"body\":\"no \\\"luck\\\"\\n\","
                             "\"bytes\":\"\xc3\xa4\\u00ff\\t\",\"code\":503,"
                             "\"list\":[\"HTTP/1.1\",1.5,null],\"mixed\":\"503!-\","
                             "\"no\\\"ne\":\"\"}\n");
    mem_free(got);
    conf.omits_empty = true;
    got = print(&conf, false);
    assert_string_equal(got, "{\"body\":\"no \\\"luck\\\"\\n\",\"bytes\":\"\xc3\xa4\\u00ff\\t\","
                             "\"code\":503,\"list\":[\"HTTP/1.1\",1.5],\"mixed\":\"503!\","
                             "\"no\\\"ne\":\"\"}\n");
    mem_free(got);
    members[0].text = STR("%X%");
    got = print(&conf, false);
    assert_string_equal(got, "absent: Not supported field in StreamInfo: X");
    mem_free(got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_text), cmocka_unit_test(test_json)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
