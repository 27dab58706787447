#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "base/regex.h"
#include "conf/retry.h"
#include "xds/decode.h"
#include "yaml.h"

#define TYPE "envoy.config.route.v3.RouteConfiguration"

static struct conf_route_config *decode(const char *yaml, struct error *err)
{
    struct arena a;
    struct conf_route_config *rc;
    arena_init(&a, 0);
    int result = decode_route_config(yaml_pack(&a, TYPE, yaml), NULL, &rc, err);
    assert_int_equal(result == 0, rc != NULL);
    arena_fini(&a);
    return rc;
}

/* %s: a route's fields, in flow style. */
#define ROUTE(fields) \
    "{name: rc, virtual_hosts: [{name: v, domains: ['*'], routes: [{" fields "}]}]}"
#define AT_ROUTE "virtual_hosts[0].routes[0]."
#define TO "route: {cluster: c}"

static const struct {
    const char *name, *yaml, *error;
} bad[] = {
    {"vhost without name", "{virtual_hosts: [{domains: [a]}]}",
     "virtual_hosts[0].name: must not be empty"},
    {"vhost without domains", "{virtual_hosts: [{name: a}]}",
     "virtual_hosts[0].domains: at least one is required"},
    {"domain twice",
     "{name: rc, virtual_hosts: [{name: a, domains: [d, e]}, {name: b, domains: [f, E]}]}",
     "virtual_hosts[1].domains[1]: Only unique values for domains are permitted. Duplicate entry "
     "of domain e in route rc"},
    {"two wildcards",
     "{name: rc, virtual_hosts: [{name: a, domains: ['*']}, {name: b, domains: ['*']}]}",
     "virtual_hosts[1].domains[0]: Only a single wildcard domain is permitted in route rc"},
    {"discovered virtual hosts from nowhere", "{name: rc, vhds: {}}",
     "vhds.config_source: required"},
    {"discovered virtual hosts of nobody", "{vhds: {config_source: {ads: {}}}}",
     "name: required by vhds"},
    {"no match", ROUTE(TO), AT_ROUTE "match: required"},
    {"no path", ROUTE("match: {}, " TO), AT_ROUTE "match.path_specifier: required"},
    {"no action", ROUTE("match: {prefix: /}"), AT_ROUTE "action: required"},
    {"port of a redirect", ROUTE("match: {prefix: /}, redirect: {port_redirect: 65536}"),
     AT_ROUTE "redirect.port_redirect: must not be above 65535"},
    {"line end in a redirect", ROUTE("match: {prefix: /}, redirect: {path_redirect: \"/\\n\"}"),
     AT_ROUTE "redirect.path_redirect: must not contain line ends"},
    {"group that is not there",
     ROUTE("match: {prefix: /}, redirect: {regex_rewrite: {pattern: {regex: a}, substitution: "
           "'\\1'}}"),
     AT_ROUTE "redirect.regex_rewrite.substitution: Rewrite schema requests 1 matches, but the "
              "regexp only has 0 parenthesized subexpressions."},
    {"two path rewrites",
     ROUTE("match: {prefix: /}, route: {cluster: c, prefix_rewrite: /, regex_rewrite: {pattern: "
           "{regex: a}}}"),
     AT_ROUTE "route.Cannot specify both prefix_rewrite and regex_rewrite"},
    {"bad regex", ROUTE("match: {safe_regex: {regex: '('}}, " TO),
     AT_ROUTE "match.safe_regex.regex: regex: missing ): ("},
    {"separated prefix with a slash at the end", ROUTE("match: {path_separated_prefix: /a/}, " TO),
     AT_ROUTE "match.path_separated_prefix: must start with /, must not end with it nor contain ? "
              "or #"},
    {"query parameter without name",
     ROUTE("match: {prefix: /, query_parameters: [{name: ''}]}, " TO),
     AT_ROUTE "match.query_parameters[0].name: must have 1 to 1024 bytes"},
    {"cookie without condition", ROUTE("match: {prefix: /, cookies: [{name: a}]}, " TO),
     AT_ROUTE "match.cookies[0].string_match: required"},
    {"fraction without default", ROUTE("match: {prefix: /, runtime_fraction: {}}, " TO),
     AT_ROUTE "match.runtime_fraction.default_value: required"},
    {"dynamic metadata",
     ROUTE("match: {prefix: /, dynamic_metadata: [{filter: a, path: [{key: b}], value: "
           "{present_match: true}}]}, " TO),
     AT_ROUTE "match.dynamic_metadata: not supported"},
    {"no cluster", ROUTE("match: {prefix: /}, route: {}"),
     AT_ROUTE "route.cluster_specifier: required"},
    {"empty cluster", ROUTE("match: {prefix: /}, route: {cluster: ''}"),
     AT_ROUTE "route.cluster: must not be empty"},
    {"weighted clusters", ROUTE("match: {prefix: /}, route: {weighted_clusters: {}}"),
     AT_ROUTE "route.weighted_clusters.clusters: at least one is required"},
    {"weights of nothing",
     ROUTE("match: {prefix: /}, route: {weighted_clusters: {clusters: [{name: a, weight: 0}]}}"),
     AT_ROUTE "route.weighted_clusters.Sum of weights in the weighted_cluster must be greater than "
              "0."},
    {"weights beyond 32 bits",
     ROUTE("match: {prefix: /}, route: {weighted_clusters: {clusters: [{name: a, weight: "
           "4294967295}, {name: b, weight: 1}]}}"),
     AT_ROUTE "route.weighted_clusters.The sum of weights of all weighted clusters must not exceed "
              "4294967295"},
    {"weighted cluster by two ways",
     ROUTE(
         "match: {prefix: /}, route: {weighted_clusters: {clusters: [{name: a, cluster_header: b, "
         "weight: 1}]}}"),
     AT_ROUTE "route.weighted_clusters.clusters[0].Only one of name or cluster_header can be "
              "specified"},
    {"subset of a cluster",
     ROUTE(
         "match: {prefix: /}, route: {cluster: c, metadata_match: {filter_metadata: {envoy.lb: {a: "
         "b}}}}"),
     AT_ROUTE "route.metadata_match: subsets are not supported"},
    {"hash of filter state",
     ROUTE("match: {prefix: /}, route: {cluster: c, hash_policy: [{filter_state: {key: a}}]}"),
     AT_ROUTE "route.hash_policy[0].filter_state: not supported"},
#define RETRY(fields) ROUTE("match: {prefix: /}, route: {cluster: c, retry_policy: {" fields "}}")
    {"backoff without a base", RETRY("retry_back_off: {max_interval: 1s}"),
     AT_ROUTE "route.retry_policy.retry_back_off.base_interval: required"},
    {"backoff that shrinks", RETRY("retry_back_off: {base_interval: 2s, max_interval: 1s}"),
     AT_ROUTE "route.retry_policy.retry_back_off.max_interval: must not be below base_interval"},
    {"reset headers of nothing", RETRY("rate_limited_retry_back_off: {max_interval: 1s}"),
     AT_ROUTE "route.retry_policy.rate_limited_retry_back_off.reset_headers: at least one is "
              "required"},
    {"retries of canaries",
     RETRY("retry_host_predicate: [{name: a, typed_config: {'@type': "
           "type.googleapis.com/google.protobuf.Empty}}]"),
     AT_ROUTE "route.retry_policy.retry_host_predicate[0]: only previous_hosts is supported"},
    {"bad header of a retry", RETRY("retriable_headers: [{name: 'a b'}]"),
     AT_ROUTE "route.retry_policy.retriable_headers[0].name: not a header name: \"a b\""},
    {"hedged requests", ROUTE("match: {prefix: /}, route: {cluster: c, hedge_policy: {}}"),
     AT_ROUTE "route.hedge_policy: not supported"},
    {"mirror to nowhere",
     ROUTE("match: {prefix: /}, route: {cluster: c, request_mirror_policies: [{}]}"),
     AT_ROUTE "route.request_mirror_policies[0]: either cluster or cluster_header is required"},
    {"negative timeout", ROUTE("match: {prefix: /}, route: {cluster: c, timeout: -1s}"),
     AT_ROUTE "route.timeout: negative duration"},
    {"host rewrite by a format", ROUTE("match: {prefix: /}, route: {cluster: c, host_rewrite: a}"),
     AT_ROUTE "route.host_rewrite: not supported"},
    {"direct response status", ROUTE("match: {prefix: /}, direct_response: {status: 99}"),
     AT_ROUTE "direct_response.status: must be within 200 and 599"},
    {"direct response too long",
     "{max_direct_response_body_size_bytes: 3, virtual_hosts: [{name: v, domains: ['*'], routes: "
     "[{match: {prefix: /}, direct_response: {status: 200, body: {inline_string: long}}}]}]}",
     AT_ROUTE "direct_response.body.specifier: 4 bytes, at most 3 are allowed"},
    {"header name", ROUTE("match: {prefix: /, headers: [{name: 'a b'}]}, " TO),
     AT_ROUTE "match.headers[0].name: not a header name: \"a b\""},
    {"empty prefix of a header",
     ROUTE("match: {prefix: /, headers: [{name: a, string_match: {prefix: ''}}]}, " TO),
     AT_ROUTE "match.headers[0].string_match.match_pattern: must not be empty"},
    {"host may not be added",
     ROUTE("match: {prefix: /}, request_headers_to_add: [{header: {key: Host, value: a}}], " TO),
     AT_ROUTE "request_headers_to_add[0].header.key: :-prefixed or host headers may not be "
              "modified"},
    {"pseudo header may not be removed",
     ROUTE("match: {prefix: /}, response_headers_to_remove: [a, ':status'], " TO),
     AT_ROUTE "response_headers_to_remove[1]: :-prefixed or host headers may not be modified"},
    {"line end in a header",
     ROUTE("match: {prefix: /}, request_headers_to_add: [{header: {key: a, value: \"b\\r\\nc\"}}]"
           ", " TO),
     AT_ROUTE "request_headers_to_add[0].header.value: must not contain line ends or NUL"},
    {"per-route filter settings",
     ROUTE("match: {prefix: /}, typed_per_filter_config: {f: {'@type': "
           "type.googleapis.com/google.protobuf.Empty}}, " TO),
     AT_ROUTE "typed_per_filter_config[f]: Didn't find a registered implementation for 'f' with "
              "type URL: 'google.protobuf.Empty'"},
    {"settings of an unknown filter",
     ROUTE("match: {prefix: /}, typed_per_filter_config: {f: {'@type': "
           "type.googleapis.com/envoy.config.route.v3.FilterConfig, config: {'@type': "
           "type.googleapis.com/google.protobuf.Empty}}}, " TO),
     AT_ROUTE "typed_per_filter_config[f]: Didn't find a registered implementation for 'f' with "
              "type URL: 'google.protobuf.Empty'"},
    {"nothing to say about a filter",
     ROUTE("match: {prefix: /}, typed_per_filter_config: {f: {'@type': "
           "type.googleapis.com/envoy.config.route.v3.FilterConfig}}, " TO),
     AT_ROUTE "typed_per_filter_config[f]: Empty route/virtual host per filter configuration for f "
              "filter"},
};

static void test_bad(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct error err = {0};
        struct conf_route_config *rc = decode(bad[i].yaml, &err);
        conf_object_unref(rc);
        if (rc || strcmp(err.text, bad[i].error) != 0)
            fail_msg("%s: \"%s\"", bad[i].name, err.text);
    }
}

static struct conf_route_config *decode_good(const char *yaml)
{
    struct error err = {0};
    struct conf_route_config *rc = decode(yaml, &err);
    if (!rc)
        fail_msg("%s", err.text);
    return rc;
}

static const struct conf_route *only_route(const struct conf_route_config *rc)
{
    assert_int_equal(rc->vhosts_n, 1);
    assert_int_equal(rc->vhosts[0].routes_n, 1);
    return &rc->vhosts[0].routes[0];
}

#define assert_str(s, text)                                     \
    do {                                                        \
        if (!str_is((s), (text)))                               \
            fail_msg("\"%.*s\" is not %s", STR_ARG(s), (text)); \
    } while (0)

static void test_defaults(void **state)
{
    (void)state;
    struct conf_route_config *rc = decode_good(ROUTE("match: {prefix: /a}, " TO));
    const struct conf_route *r = only_route(rc);
    assert_string_equal(rc->object.name, "rc");
    assert_ptr_equal(rc->any_domain, &rc->vhosts[0]);
    assert_int_equal(r->path_kind, CONF_PATH_PREFIX);
    assert_str(r->path, "/a");
    assert_true(r->case_sensitive);
    assert_int_equal(r->action, CONF_ACTION_CLUSTER);
    assert_str(r->cluster, "c");
    assert_int_equal(r->timeout_ms, 15000);
    assert_false(r->has_idle_timeout);
    assert_int_equal(r->cluster_not_found_status, 503);
    assert_null(r->prefix_rewrite.p);
    assert_null(r->host_rewrite.p);
    conf_object_unref(rc);
}

static void test_action(void **state)
{
    (void)state;
    struct conf_route_config *rc = decode_good(ROUTE(
        "name: rt, match: {path: /x, case_sensitive: false}, route: {cluster: c, timeout: 0s, "
        "idle_timeout: 0.0001s, prefix_rewrite: /, host_rewrite_literal: h, "
        "cluster_not_found_response_code: INTERNAL_SERVER_ERROR, retry_policy: {retry_on: "
        "5xx}}"));
    const struct conf_route *r = only_route(rc);
    assert_str(r->name, "rt");
    assert_int_equal(r->path_kind, CONF_PATH_EXACT);
    assert_false(r->case_sensitive);
    assert_int_equal(r->timeout_ms, 0);
    assert_true(r->has_idle_timeout);
    assert_int_equal(r->idle_timeout_ms, 1);
    assert_str(r->prefix_rewrite, "/");
    assert_str(r->host_rewrite, "h");
    assert_int_equal(r->cluster_not_found_status, 500);
    conf_object_unref(rc);
}

static void test_retry(void **state)
{
    (void)state;
    struct conf_route_config *rc = decode_good(
        "{name: rc, virtual_hosts: [{name: v, domains: ['*'], include_request_attempt_count: true, "
        "per_request_buffer_limit_bytes: 7, retry_policy: {retry_on: reset}, "
        "request_mirror_policies: [{cluster: m, runtime_fraction: {default_value: {numerator: 5, "
        "denominator: MILLION}}}], routes: [{match: {prefix: /}, route: {cluster: c, "
        "max_stream_duration: {max_stream_duration: 3s, grpc_timeout_header_max: 0s}, "
        "retry_policy: {retry_on: '5xx, cancelled,nonsense', num_retries: 4, per_try_timeout: 2s, "
        "retriable_status_codes: [418], retriable_headers: [{name: a, safe_regex_match: {regex: "
        "b}}], retry_back_off: {base_interval: 0.1s}, rate_limited_retry_back_off: {reset_headers: "
        "[{name: X-Reset, format: UNIX_TIMESTAMP}]}, host_selection_retry_max_attempts: 5, "
        "retry_host_predicate: [{name: envoy.retry_host_predicates.previous_hosts}]}}}]}]}");
    const struct conf_virtual_host *v = &rc->vhosts[0];
    const struct conf_route *r = &v->routes[0];
    const struct conf_retry_policy *p = r->retry;
    assert_int_equal(p->on, CONF_RETRY_5XX | CONF_RETRY_GRPC_CANCELLED);
    assert_int_equal(p->num_retries, 4);
    assert_int_equal(p->per_try_timeout_ms, 2000);
    assert_int_equal(p->codes[0], 418);
    assert_non_null(p->headers[0].string.regex);
    assert_int_equal(p->base_ms, 100);
    assert_int_equal(p->max_ms, 1000);
    assert_str(p->resets[0].name, "x-reset");
    assert_true(p->resets[0].is_timestamp);
    assert_int_equal(p->reset_max_ms, 300000);
    assert_true(p->previous_hosts);
    assert_int_equal(p->host_attempts, 5);
    assert_int_equal(r->timeouts.stream_duration_ms, 3000);
    assert_true(r->timeouts.has_grpc_header_max && !r->timeouts.has_grpc_max);
    assert_true(v->include_attempts_in_request && !v->include_attempts_in_response);
    assert_int_equal(v->request_kept_max, 7);
    assert_int_equal(v->retry->on, CONF_RETRY_RESET);
    assert_int_equal(v->retry->num_retries, 1);
    assert_int_equal(v->retry->base_ms, 25);
    assert_int_equal(v->mirrors.n, 1);
    assert_int_equal(v->mirrors.v[0].numerator, 5);
    assert_int_equal(v->mirrors.v[0].denominator, 1000000);
    conf_object_unref(rc);
}

static void test_headers(void **state)
{
    (void)state;
    struct conf_route_config *rc = decode_good(
        ROUTE("match: {safe_regex: {regex: '/[a-z]+'}, headers: [{name: X-A, exact_match: v}, "
              "{name: ':method', string_match: {safe_regex: {regex: GET|PUT}}, invert_match: true},"
              "{name: num, range_match: {start: -5, end: 9}}, {name: p, present_match: false}, "
              "{name: q, treat_missing_header_as_empty: true}]}, "
              "request_headers_to_add: [{header: {key: X-B, value: '100%%'}}, {header: {key: c, "
              "value: ''}}, {header: {key: d, value: ''}, keep_empty_value: true, append_action: "
              "OVERWRITE_IF_EXISTS_OR_ADD}, {header: {key: e, value: f}, append: false}], "
              "response_headers_to_remove: [X-C], direct_response: {status: 503, body: "
              "{inline_string: b}}"));
    const struct conf_route *r = only_route(rc);
    assert_true(regex_match(r->path_regex, STR("/abc")));
    assert_int_equal(r->headers_n, 5);
    assert_str(r->headers[0].name, "x-a");
    assert_int_equal(r->headers[0].kind, CONF_HEADER_STRING);
    assert_int_equal(r->headers[0].string.kind, CONF_STRING_EXACT);
    assert_true(regex_match(r->headers[1].string.regex, STR("PUT")));
    assert_true(r->headers[1].invert);
    assert_int_equal(r->headers[2].range_start, -5);
    assert_int_equal(r->headers[2].range_end, 9);
    assert_int_equal(r->headers[3].kind, CONF_HEADER_PRESENT);
    assert_false(r->headers[3].present);
    assert_true(r->headers[4].present);
    assert_true(r->headers[4].treat_missing_as_empty);
    assert_int_equal(r->request_headers.add_n, 3);
    assert_str(r->request_headers.add[0].name, "x-b");
    assert_str(r->request_headers.add[0].value, "100%");
    assert_int_equal(r->request_headers.add[0].action, CONF_APPEND_OR_ADD);
    assert_str(r->request_headers.add[1].name, "d");
    assert_int_equal(r->request_headers.add[1].action, CONF_OVERWRITE_OR_ADD);
    assert_int_equal(r->request_headers.add[2].action, CONF_OVERWRITE_OR_ADD);
    assert_str(r->response_headers.remove[0], "x-c");
    assert_int_equal(r->direct_status, 503);
    assert_str(r->direct_body, "b");
    conf_object_unref(rc);
}

#define FILTER(name, more) \
    name ": {'@type': type.googleapis.com/envoy.config.route.v3.FilterConfig" more "}"

static void test_overrides(void **state)
{
    (void)state;
    struct conf_route_config *rc =
        decode_good(ROUTE("match: {prefix: /}, typed_per_filter_config: {" FILTER(
            "off",
            ", disabled: true") ", " FILTER("on",
                                            ", config: {}") ", " FILTER("maybe",
                                                                        ", is_optional: true, "
                                                                        "config: {'@type': "
                                                                        "type.googleapis.com/"
                                                                        "google.protobuf."
                                                                        "Empty}") "}, " TO));
    const struct conf_filter_overrides *o = &only_route(rc)->overrides;
    assert_true(rc->has_overrides);
    assert_int_equal(o->n, 2);
    for (size_t i = 0; i < o->n; i++)
        assert_int_equal(o->v[i].is_disabled, str_is(o->v[i].filter, "off"));
    conf_object_unref(rc);
}

/* The last of the virtual hosts were discovered. */
static void test_merged(void **state)
{
    static const struct {
        const char *yaml, *error;
        size_t added, culprit;
    } rows[] = {
        {"{virtual_hosts: [{name: a, domains: [a]}, {name: b, domains: [b]}]}", "", 1, 1},
        {"{virtual_hosts: [{name: a}, {name: b, domains: [b]}]}",
         "virtual_hosts[0].domains: at least one is required", 1, 1},
        {"{virtual_hosts: [{name: a, domains: [a]}, {name: b, domains: [b, A]}]}",
         "domains[1]: Only unique values for domains are permitted. Duplicate entry of domain a in "
         "route ",
         1, 0},
        {"{virtual_hosts: [{name: a, domains: [a]}, {name: b, domains: [b]}, {name: c}]}",
         "domains: at least one is required", 2, 1},
        {"{virtual_hosts: [{name: a, domains: [a]}], vhds: {config_source: {ads: {}}}}",
         "name: required by vhds", 1, 1},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct error err = {0};
        struct arena a;
        struct conf_route_config *rc;
        size_t culprit;
        arena_init(&a, 0);
        int result = decode_merged_routes(yaml_pack(&a, TYPE, rows[i].yaml), rows[i].added, NULL,
                                          &rc, &culprit, &err);
        if (!result != !*rows[i].error || !rc != !!result || culprit != rows[i].culprit ||
            strcmp(err.text, rows[i].error) != 0)
            fail_msg("row %zu: %zu, \"%s\"", i, culprit, err.text);
        conf_object_unref(rc);
        arena_fini(&a);
    }
}

static void test_virtual_host(void **state)
{
    static const char *const bad[][2] = {
        {"{domains: [a]}", "name: must not be empty"},
        {"{name: a}", "domains: at least one is required"},
        {"{name: a, domains: [a, a]}", "domains[1]: Only unique values for domains are permitted. "
                                       "Duplicate entry of domain a in route "},
        {"{name: a, domains: [a], rate_limits: [{}]}", "rate_limits: not supported"},
    };
    struct arena a;
    struct error err;
    (void)state;
    arena_init(&a, 0);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct str bytes = yaml_pack(&a, "envoy.config.route.v3.VirtualHost", bad[i][0]);
        assert_int_not_equal(decode_check_virtual_host(bytes, NULL, &err), 0);
        assert_string_equal(err.text, bad[i][1]);
    }
    assert_int_equal(decode_check_virtual_host(yaml_pack(&a, "envoy.config.route.v3.VirtualHost",
                                                         "{name: a, domains: [a]}"),
                                               NULL, &err),
                     0);
    arena_fini(&a);
}

static void test_hash_is_of_the_bytes(void **state)
{
    (void)state;
    struct conf_route_config *a = decode_good(ROUTE("match: {prefix: /a}, " TO));
    struct conf_route_config *b = decode_good(ROUTE("match: {prefix: /a}, " TO));
    struct conf_route_config *c = decode_good(ROUTE("match: {prefix: /b}, " TO));
    assert_int_equal(a->object.hash, b->object.hash);
    assert_int_not_equal(a->object.hash, c->object.hash);
    conf_object_unref(a);
    conf_object_unref(b);
    conf_object_unref(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_action),
        cmocka_unit_test(test_headers),
        cmocka_unit_test(test_retry),
        cmocka_unit_test(test_overrides),
        cmocka_unit_test(test_merged),
        cmocka_unit_test(test_virtual_host),
        cmocka_unit_test(test_hash_is_of_the_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
