#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/mem.h"
#include "wasm/fetch_policy.h"

static void test_addresses(void **state)
{
    (void)state;
    static const struct {
        const char *ip;
        bool is_ok, is_ok_with_loopback;
    } rows[] = {
        {"10.1.2.3", true, true},
        {"192.168.1.1", true, true},
        {"8.8.8.8", true, true},
        {"2001:db8::1", true, true},
        {"fd00::1", true, true},
        {"64:ff9b::808:808", true, true},
        {"127.0.0.1", false, true},
        {"127.255.0.1", false, true},
        {"::1", false, true},
        {"::ffff:127.0.0.1", false, true},
        {"::127.0.0.1", false, true},
        {"169.254.169.254", false, false},
        {"169.254.0.1", false, false},
        {"::ffff:169.254.169.254", false, false},
        {"64:ff9b::a9fe:a9fe", false, false},
        {"2002:a9fe:a9fe::1", false, false},
        {"fe80::1", false, false},
        {"febf::1", false, false},
        {"100.100.100.200", false, false},
        {"fd00:ec2::254", false, false},
        {"168.63.129.16", false, false},
        {"0.0.0.0", false, false},
        {"0.1.2.3", false, false},
        {"::", false, false},
        {"224.0.0.1", false, false},
        {"255.255.255.255", false, false},
        {"ff02::1", false, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct addr a;
        struct error err;
        assert_int_equal(addr_from_ip(str_of(rows[i].ip), 80, &a, &err), 0);
        if ((fetch_policy_check_addr(&a, false, &err) == 0) != rows[i].is_ok)
            fail_msg("%s", rows[i].ip);
        if ((fetch_policy_check_addr(&a, true, &err) == 0) != rows[i].is_ok_with_loopback)
            fail_msg("%s with loopback", rows[i].ip);
    }
    struct addr unix_addr;
    assert_int_equal(addr_from_path(STR("/run/x"), &unix_addr, NULL), 0);
    assert_int_not_equal(fetch_policy_check_addr(&unix_addr, true, NULL), 0);
}

static void test_urls(void **state)
{
    (void)state;
    static const struct {
        const char *url, *scheme, *host;
        unsigned port;
        const char *path, *shown;
    } rows[] = {
        {"http://a/b?c=d", "http", "a", 80, "/b?c=d", "http://a/b"},
        {"https://A.Example:8443", "https", "a.example", 8443, "/", "https://A.Example:8443"},
        {"oci://r:5000/x/y:v1", "oci", "r", 5000, "/x/y:v1", "oci://r:5000/x/y:v1"},
        {"https://[::1]:1/x", "https", "::1", 1, "/x", "https://[::1]:1/x"},
        {"http://127.1/", "http", "127.0.0.1", 80, "/", "http://127.1/"},
        {"http://u:p@h/x", NULL, NULL, 0, NULL, "http://h/x"},
        {"http://u@h/x", NULL, NULL, 0, NULL, "http://h/x"},
        {"file:///etc/passwd", NULL, NULL, 0, NULL, "file:///etc/passwd"},
        {"http://h/a b", NULL, NULL, 0, NULL, "http://h/a?b"},
        {"http://h/a\r\nX: y", NULL, NULL, 0, NULL, NULL},
        {"http://h:0/", NULL, NULL, 0, NULL, NULL},
        {"http://h:99999/", NULL, NULL, 0, NULL, NULL},
        {"http://", NULL, NULL, 0, NULL, NULL},
        {"", NULL, NULL, 0, NULL, NULL},
        {"/relative", NULL, NULL, 0, NULL, NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct fetch_url u;
        struct error err;
        struct sbuf shown = {0};
        int rc = fetch_policy_parse_url(rows[i].url, &u, &err);
        if ((rc == 0) != (rows[i].scheme != NULL))
            fail_msg("%s: %d", rows[i].url, rc);
        fetch_policy_format_url(rows[i].url, &shown);
        if (rows[i].shown)
            assert_string_equal(shown.p, rows[i].shown);
        sbuf_fini(&shown);
        if (rc)
            continue;
        assert_string_equal(u.scheme, rows[i].scheme);
        assert_string_equal(u.host, rows[i].host);
        assert_int_equal(u.port, rows[i].port);
        assert_string_equal(u.path, rows[i].path);
    }
}

static struct fetch_url url(const char *text)
{
    struct fetch_url u;
    struct error err;
    if (fetch_policy_parse_url(text, &u, &err))
        fail_msg("%s", err.text);
    return u;
}

static void test_insecure_list(void **state)
{
    (void)state;
    static const struct {
        const char *list, *url;
        bool is_listed;
    } rows[] = {
        {NULL, "https://a/", false},
        {"", "https://a/", false},
        {"*", "https://a/", true},
        {"a", "https://a/", true},
        {"A", "https://a:5000/", true},
        {"b, a:5000", "https://a:5000/", true},
        {"a:5000", "https://a/", false},
        {"a:443", "https://a/", true},
        {"aa", "https://a/", false},
        {"a.b", "https://x.a.b/", false},
        {"[::1]:5", "https://[::1]:5/", true},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct fetch_url u = url(rows[i].url);
        if (fetch_policy_is_insecure(rows[i].list, &u) != rows[i].is_listed)
            fail_msg("%s on %s", rows[i].url, rows[i].list);
    }
}

static void test_redirects(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to;
        unsigned hop;
        const char *insecure;
        bool is_ok;
    } rows[] = {
        {"http://a/", "https://b/", 1, NULL, true},  {"http://a/", "http://b/", 10, NULL, true},
        {"http://a/", "http://b/", 11, NULL, false}, {"https://a/", "http://b/", 1, NULL, false},
        {"https://a/", "http://b/", 1, "b", true},   {"http://a/", "oci://b/c", 1, NULL, false},
        {"https://a/", "http://b/", 1, "a", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct fetch_url from = url(rows[i].from), to = url(rows[i].to);
        struct error err;
        int rc = fetch_policy_check_redirect(&from, &to, rows[i].hop, rows[i].insecure, &err);
        if ((rc == 0) != rows[i].is_ok)
            fail_msg("%s to %s", rows[i].from, rows[i].to);
    }
}

static void test_realms(void **state)
{
    (void)state;
    static const struct {
        const char *registry, *realm, *insecure;
        bool is_ok;
    } rows[] = {
        {"https://r/", "https://auth.example/token", NULL, true},
        {"https://r/", "https://r/token", NULL, true},
        {"https://r/", "http://auth.example/token", NULL, false},
        {"https://r/", "http://auth.example/token", "auth.example", true},
        {"http://r/", "http://auth.example/token", NULL, true},
        {"https://r/", "https://localhost/token", NULL, false},
        {"https://r/", "https://x.localhost/token", NULL, false},
        {"https://r/", "https://metadata.google.internal/", NULL, false},
        {"https://r/", "https://10.0.0.1/token", NULL, false},
        {"https://10.0.0.1:5000/", "https://10.0.0.1:5001/token", NULL, true},
        {"https://r/", "https://127.0.0.1/token", NULL, false},
        {"https://r/", "https://169.254.169.254/token", NULL, false},
        {"https://r/", "https://[::ffff:10.0.0.1]/token", NULL, false},
        {"https://r/", "https://[fd00::1]/token", NULL, false},
        {"https://r/", "https://8.8.8.8/token", NULL, true},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct fetch_url registry = url(rows[i].registry), realm = url(rows[i].realm);
        struct error err;
        int rc = fetch_policy_check_realm(&registry, &realm, rows[i].insecure, &err);
        if ((rc == 0) != rows[i].is_ok)
            fail_msg("%s by %s", rows[i].realm, rows[i].registry);
    }
}

static void test_tags(void **state)
{
    (void)state;
    static const struct {
        const char *uri;
        bool has_tag;
    } rows[] = {
        {"oci://r/x", false},   {"oci://r:5000/x", false},    {"oci://r:5000/x:v1", true},
        {"oci://r/x/y", false}, {"oci://r/x@sha256:0", true},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_int_equal(fetch_policy_has_tag(str_of(rows[i].uri)), rows[i].has_tag);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses),     cmocka_unit_test(test_urls),
        cmocka_unit_test(test_insecure_list), cmocka_unit_test(test_redirects),
        cmocka_unit_test(test_realms),        cmocka_unit_test(test_tags),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
