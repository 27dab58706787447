#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "server/options.h"

enum { WORDS_MAX = 24 };

static int parse(const char *const *words, struct options *o, struct error *err)
{
    char *argv[WORDS_MAX + 2] = {(char *)(uintptr_t) "remora"};
    int n = 1;
    for (; n <= WORDS_MAX && words[n - 1]; n++)
        argv[n] = (char *)(uintptr_t)words[n - 1];
    return options_parse(n, argv, o, err);
}

static const struct {
    const char *words[4];
    const char *error;
} bad[] = {
    {{"--foo"}, "error: couldn't find match for argument '--foo'"},
    {{"-x"}, "error: couldn't find match for argument '-x'"},
    {{"--configpath=a"}, "error: couldn't find match for argument '--configpath=a'"},
    {{"serve"}, "error: unexpected argument 'serve'"},
    {{"-c"}, "error: missing a value for --config-path"},
    {{"--concurrency", "-1"}, "error: couldn't read argument value for --concurrency from '-1'"},
    {{"--concurrency=2x"}, "error: couldn't read argument value for --concurrency from '2x'"},
    {{"--drain-time-s", "4294967296"},
     "error: couldn't read argument value for --drain-time-s from '4294967296'"},
    {{"--mode", "x"}, "error: unknown mode 'x'"},
    {{"--local-address-ip-version=v5"}, "error: unknown IP address version 'v5'"},
    {{"--drain-strategy", "slow"}, "error: unknown drain-strategy 'slow'"},
    {{"-l", "loud"}, "error: invalid log level specified 'loud'"},
    {{"--socket-mode", "9"}, "error: invalid socket-mode '9'"},
    {{"--stats-tag", "novalue"},
     "error: misformatted stats-tag 'novalue', expected name:value, at most 16"},
    {{"--enable-core-dump=1"}, "error: --enable-core-dump takes no value"},
};

static void test_bad(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct options o;
        struct error err = {0};
        if (!parse(bad[i].words, &o, &err) || strcmp(err.text, bad[i].error) != 0)
            fail_msg("%s: \"%s\"", bad[i].words[0], err.text);
    }
}

static void test_defaults(void **state)
{
    (void)state;
    const char *const none[] = {NULL};
    struct options o;
    assert_int_equal(parse(none, &o, NULL), 0);
    assert_int_equal(o.print, OPTIONS_RUN);
    assert_int_equal(o.mode, OPTIONS_SERVE);
    assert_string_equal(o.config_path, "");
    assert_string_equal(o.config_yaml, "");
    assert_true(o.concurrency >= 1);
    assert_int_equal(o.concurrency, options_default_concurrency());
    assert_int_equal(o.log_level, LEVEL_INFO);
    assert_int_equal(o.drain_time_s, 600);
    assert_int_equal(o.file_flush_interval_ms, 10000);
    assert_int_equal(o.local_address_ip_version, 4);
    assert_null(o.log_format);
    assert_null(o.data_dir);
    assert_int_equal(o.xds_answer_wait_ms, 5000);
    assert_int_equal(o.wasm_probation_ms, 10000);
}

/* What Istio's agent starts its proxy with. */
static void test_istio(void **state)
{
    (void)state;
    const char *const words[] = {"-c",
                                 "etc/istio/proxy/envoy-rev.json",
                                 "--drain-time-s",
                                 "45",
                                 "--drain-strategy",
                                 "immediate",
                                 "--local-address-ip-version",
                                 "v6",
                                 "--file-flush-interval-msec",
                                 "1000",
                                 "--disable-hot-restart",
                                 "--allow-unknown-static-fields",
                                 "--file-flush-min-size-kb=8",
                                 "-l",
                                 "warning",
                                 "--component-log-level",
                                 "misc:error",
                                 "--config-yaml={\"node\":{}}",
                                 "--concurrency",
                                 "0",
                                 NULL};
    struct options o;
    struct error err = {0};
    if (parse(words, &o, &err))
        fail_msg("%s", err.text);
    assert_string_equal(o.config_path, "etc/istio/proxy/envoy-rev.json");
    assert_string_equal(o.config_yaml, "{\"node\":{}}");
    assert_int_equal(o.drain_time_s, 45);
    assert_true(o.drain_immediate);
    assert_int_equal(o.local_address_ip_version, 6);
    assert_int_equal(o.file_flush_interval_ms, 1000);
    assert_true(o.disable_hot_restart);
    assert_true(o.allow_unknown_static_fields);
    assert_int_equal(o.log_level, LEVEL_WARN);
    assert_string_equal(o.component_log_level, "misc:error");
    assert_int_equal(o.concurrency, 1);
}

static void test_print_and_tags(void **state)
{
    (void)state;
    const char *const version[] = {"--version", "--foo", NULL}, *const help[] = {"-h", NULL};
    const char *const tags[] = {"--stats-tag", "a:b", "--stats-tag=c:d", "--mode=validate", NULL};
    struct options o;
    assert_int_equal(parse(version, &o, NULL), 0);
    assert_int_equal(o.print, OPTIONS_VERSION);
    assert_int_equal(parse(help, &o, NULL), 0);
    assert_int_equal(o.print, OPTIONS_HELP);
    assert_int_equal(parse(tags, &o, NULL), 0);
    assert_int_equal(o.mode, OPTIONS_VALIDATE);
    assert_int_equal(o.stats_tags_n, 2);
    assert_string_equal(o.stats_tags[1], "c:d");
    char *usage = options_usage();
    assert_non_null(strstr(usage, "-c, --config-path"));
    assert_non_null(strstr(usage, "--xds-answer-wait-ms"));
    mem_free(usage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_istio),
        cmocka_unit_test(test_print_and_tags),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
