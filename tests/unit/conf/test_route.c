#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "conf/route.h"

enum { DOMAINS_MAX = 6 };

static const struct {
    const char *name;
    const char *domains[DOMAINS_MAX]; /* all of one virtual host */
    const char *error;                /* NULL: accepted */
    size_t bad;
    size_t exact, suffixes, prefixes;
    bool has_any;
    const char *first_suffix, *first_prefix;
} cases[] = {
    {.name = "one of each",
     .domains = {"A.com", "*.b.com", "c.*", "*"},
     .exact = 1,
     .suffixes = 1,
     .prefixes = 1,
     .has_any = true,
     .first_suffix = ".b.com",
     .first_prefix = "c."},
    {.name = "longest first",
     .domains = {"*.c", "*-x.B.c", "*.b.c", "a.*", "aa.*"},
     .suffixes = 3,
     .prefixes = 2,
     .first_suffix = "-x.b.c",
     .first_prefix = "aa."},
    {.name = "same exact domain",
     .domains = {"a", "b", "A"},
     .bad = 2,
     .error = "Only unique values for domains are permitted. Duplicate entry of domain a in route "
              "rc"},
    {.name = "same suffix",
     .domains = {"*.a", "*.a"},
     .bad = 1,
     .error = "Only unique values for domains are permitted. Duplicate entry of domain *.a in "
              "route rc"},
    {.name = "two stars",
     .domains = {"a", "*", "*"},
     .bad = 2,
     .error = "Only a single wildcard domain is permitted in route rc"},
    {.name = "empty domain", .domains = {"a", ""}, .bad = 1, .error = "a domain must not be empty"},
};

static void check_index(size_t i, const struct conf_route_config *rc)
{
    if (hash_count(&rc->exact_domains) != cases[i].exact ||
        hash_count(&rc->suffixes.domains) != cases[i].suffixes ||
        hash_count(&rc->prefixes.domains) != cases[i].prefixes ||
        (rc->any_domain != NULL) != cases[i].has_any)
        fail_msg("%s: %zu exact, %zu suffixes, %zu prefixes", cases[i].name,
                 hash_count(&rc->exact_domains), hash_count(&rc->suffixes.domains),
                 hash_count(&rc->prefixes.domains));
    if (cases[i].first_suffix && rc->suffixes.lengths[0] != strlen(cases[i].first_suffix))
        fail_msg("%s: %zu", cases[i].name, rc->suffixes.lengths[0]);
    if (cases[i].first_prefix && rc->prefixes.lengths[0] != strlen(cases[i].first_prefix))
        fail_msg("%s: %zu", cases[i].name, rc->prefixes.lengths[0]);
}

static void test_index(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct conf_route_config *rc = conf_route_config_create("rc");
        struct conf_domain list[DOMAINS_MAX];
        struct conf_virtual_host vhost = {0};
        struct error err = {0};
        size_t n = 0, bad = 99;
        for (; n < DOMAINS_MAX && cases[i].domains[n]; n++)
            list[n] = (struct conf_domain){str_of(cases[i].domains[n]), &vhost};
        int rc_index = conf_route_config_index(rc, list, n, &bad, &err);
        if (cases[i].error) {
            if (!rc_index || strcmp(err.text, cases[i].error) != 0 || bad != cases[i].bad)
                fail_msg("%s: %zu \"%s\"", cases[i].name, bad, err.text);
        } else if (rc_index) {
            fail_msg("%s: \"%s\"", cases[i].name, err.text);
        } else {
            check_index(i, rc);
        }
        conf_object_unref(rc);
    }
}

static void test_exact_domains_in_lower_case(void **state)
{
    (void)state;
    struct conf_route_config *rc = conf_route_config_create("rc");
    struct conf_virtual_host a = {0}, b = {0};
    struct conf_domain list[] = {{STR("Foo.COM:80"), &a}, {STR("bar"), &b}};
    size_t bad;
    assert_int_equal(conf_route_config_index(rc, list, 2, &bad, NULL), 0);
    assert_ptr_equal(hash_find(&rc->exact_domains, STR("foo.com:80")), &a);
    assert_ptr_equal(hash_find(&rc->exact_domains, STR("bar")), &b);
    assert_null(hash_find(&rc->exact_domains, STR("Foo.COM:80")));
    conf_object_unref(rc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_index),
        cmocka_unit_test(test_exact_domains_in_lower_case),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
