#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/mem.h"
#include "wasm/docker_auth.h"
#include "wasm/oci.h"

static bool equal(const char *a, const char *b)
{
    return str_eq(str_of(a), str_of(b));
}

static void test_find(void **state)
{
    (void)state;
    static const struct {
        const char *auths, *registry, *repository, *basic;
        int rc;
    } rows[] = {
        {"\"r\":{\"auth\":\"QQ==\"}", "r", "x", "QQ==", 0},
        {"\"r\":{\"auth\":\"QQ==\"}", "R", "x", "QQ==", 0},
        {"\"r\":{\"auth\":\"QQ==\"}", "r:5000", "x", NULL, 0},
        {"\"https://r:5000/v2/\":{\"auth\":\"QQ==\"}", "r:5000", "x", "QQ==", 0},
        {"\"r\":{\"username\":\"a\",\"password\":\"b\"}", "r", "x", "YTpi", 0},
        {"\"r\":{\"username\":\"ab\",\"password\":\"c\"}", "r", "x", "YWI6Yw==", 0},
        {"\"r\":{\"username\":\"ab\",\"password\":\"cd\"}", "r", "x", "YWI6Y2Q=", 0},
        {"\"r\":{\"username\":\"\u00ff\",\"password\":\"~~\"}", "r", "x", "w786fn4=", 0},
        {"\"r\":{\"auth\":\"A\"},\"r/team\":{\"auth\":\"B\"}", "r", "team/x", "B", 0},
        {"\"r/team\":{\"auth\":\"B\"},\"r\":{\"auth\":\"A\"}", "r", "teams/x", "A", 0},
        {"\"https://index.docker.io/v1/\":{\"auth\":\"H\"}", "docker.io", "library/x", "H", 0},
        {"\"docker.io\":{\"auth\":\"H\"}", "evil-docker.io", "x", NULL, 0},
        {"\"r\":{}", "r", "x", NULL, 0},
        {"\"r\":{\"auth\":\"a\\r\\nX: y\"}", "r", "x", NULL, -ERR_INVALID},
        {"\"r\":{\"auth\":7}", "r", "x", NULL, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char json[512];
        struct docker_auth auth;
        struct error err = {0};
        snprintf(json, sizeof(json), "{\"auths\":{%s}}", rows[i].auths);
        int rc = docker_auth_find(json, rows[i].registry, rows[i].repository, &auth, &err);
        if (rc != rows[i].rc || !equal(auth.basic, rows[i].basic))
            fail_msg("row %zu: %d %s", i, rc, err.text);
        docker_auth_wipe(&auth);
    }
}

static void test_bad_secrets_are_not_quoted(void **state)
{
    (void)state;
    static const char *const bad[] = {"",        "null",          "{}", "{\"auths\":[\"hunter2\"]}",
                                      "hunter2", "{\"auths\":{}", "[]"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct docker_auth auth;
        struct error err = {0};
        assert_int_not_equal(docker_auth_find(bad[i], "r", "x", &auth, &err), 0);
        assert_null(strstr(err.text, "hunter2"));
        assert_null(auth.basic);
    }
}

static void test_challenges(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum docker_scheme scheme;
        const char *realm, *service, *scope;
    } rows[] = {
        {"", DOCKER_NONE, NULL, NULL, NULL},
        {"Basic realm=\"x\"\n", DOCKER_BASIC, NULL, NULL, NULL},
        {"Bearer realm=\"https://a/t\",service=\"s\",scope=\"repository:x:pull\"\n", DOCKER_BEARER,
         "https://a/t", "s", "repository:x:pull"},
        {"bearer  realm=https , service=\"a\\\"b\"\n", DOCKER_BEARER, "https", "a\"b", NULL},
        {"Basic realm=\"x\"\nBearer realm=\"y\"\n", DOCKER_BEARER, "y", NULL, NULL},
        {"Bearer realm=\"y\"\nBasic realm=\"x\"\n", DOCKER_BEARER, "y", NULL, NULL},
        {"Bearer realm=\"a\",realm=\"b\"\n", DOCKER_BEARER, "a", NULL, NULL},
        {"Bearer realm=\"unterminated\n", DOCKER_BEARER, "unterminated", NULL, NULL},
        {"Bearer realm=\"x\\\n", DOCKER_BEARER, "x\\", NULL, NULL},
        {"Bearer\n", DOCKER_BEARER, NULL, NULL, NULL},
        {"Negotiate abc\n", DOCKER_NONE, NULL, NULL, NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct docker_challenge c;
        docker_challenge_parse(rows[i].text, &c);
        if (c.scheme != rows[i].scheme || !equal(c.realm, rows[i].realm) ||
            !equal(c.service, rows[i].service) || !equal(c.scope, rows[i].scope))
            fail_msg("%s: %d %s", rows[i].text, c.scheme, c.realm ? c.realm : "-");
        docker_challenge_fini(&c);
    }
}

static void test_tokens(void **state)
{
    (void)state;
    static const struct {
        const char *json, *token;
    } rows[] = {
        {"{\"token\":\"abc\"}", "abc"},
        {"{\"access_token\":\"abc\"}", "abc"},
        {"{\"token\":\"\",\"access_token\":\"abc\"}", "abc"},
        {"{\"token\":\"a b\"}", NULL},
        {"{\"token\":\"a\\nb\"}", NULL},
        {"{\"token\":1}", NULL},
        {"{}", NULL},
        {"", NULL},
        {"[]", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char *token = NULL;
        struct error err;
        int rc = docker_token_parse(rows[i].json, strlen(rows[i].json), &token, &err);
        assert_int_equal(rc == 0, rows[i].token != NULL);
        assert_true(equal(token, rows[i].token));
        docker_auth_wipe_text(&token);
    }
}

static void test_references(void **state)
{
    (void)state;
    static const char hex[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    static const struct {
        const char *url, *registry, *host, *repository, *tag;
        bool has_digest;
    } rows[] = {
        {"oci://r:5000/a/b:v1", "r:5000", "r:5000", "a/b", "v1", false},
        {"oci://r/a", "r", "r", "a", "latest", false},
        {"oci://docker.io/a", "docker.io", "registry-1.docker.io", "library/a", "latest", false},
        {"oci://docker.io/a/b:c", "docker.io", "registry-1.docker.io", "a/b", "c", false},
        {"oci://r/a@sha256:HEX", "r", "r", "a", "", true},
        {"oci://r/a:v@sha256:HEX", "r", "r", "a", "v", true},
        {"oci://r/a@sha256:12", NULL, NULL, NULL, NULL, false},
        {"oci://r/a@md5:12", NULL, NULL, NULL, NULL, false},
        {"oci://r/", NULL, NULL, NULL, NULL, false},
        {"oci://r/A", NULL, NULL, NULL, NULL, false},
        {"oci://r/a//b", NULL, NULL, NULL, NULL, false},
        {"oci://r/a/%2e%2e/b", NULL, NULL, NULL, NULL, false},
        {"oci://r/a:v1?x=y", NULL, NULL, NULL, NULL, false},
        {"oci://r/a:v 1", NULL, NULL, NULL, NULL, false},
        {"oci://r/a:", NULL, NULL, NULL, NULL, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct sbuf b = {0};
        const char *at = strstr(rows[i].url, "HEX");
        sbuf_add(&b, rows[i].url, at ? (size_t)(at - rows[i].url) : strlen(rows[i].url));
        if (at)
            sbuf_addz(&b, hex);
        struct fetch_url url;
        struct oci_ref ref;
        struct error err;
        int rc = fetch_policy_parse_url(b.p, &url, &err);
        if (!rc)
            rc = oci_ref_parse(&url, &ref, &err);
        if ((rc == 0) != (rows[i].registry != NULL))
            fail_msg("%s: %d", b.p, rc);
        if (!rc && (!equal(ref.registry, rows[i].registry) || !equal(ref.host, rows[i].host) ||
                    !equal(ref.repository, rows[i].repository) || !equal(ref.tag, rows[i].tag)))
            fail_msg("%s: %s %s %s %s", b.p, ref.registry, ref.host, ref.repository, ref.tag);
        if (!rc)
            assert_string_equal(ref.sha256, rows[i].has_digest ? hex : "");
        sbuf_fini(&b);
    }
}

#define HEX64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void test_hostile_manifests(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "[]",
        "{}",
        "{\"schemaVersion\":1,\"fsLayers\":[]}",
        "{\"schemaVersion\":2}",
        "{\"schemaVersion\":2,\"layers\":[]}",
        "{\"schemaVersion\":2,\"manifests\":[]}",
        "{\"schemaVersion\":2,\"layers\":[1]}",
        "{\"schemaVersion\":2,\"layers\":[{\"mediaType\":\"application/wasm\"}]}",
        "{\"schemaVersion\":2,\"layers\":[{\"mediaType\":\"application/wasm\",\"digest\":\"sha256:"
        "../../../../etc/passwd\",\"size\":1}]}",
        "{\"schemaVersion\":2,\"layers\":[{\"mediaType\":\"application/"
        "wasm\",\"digest\":\"sha256:" HEX64 "\",\"size\":-1}]}",
        "{\"schemaVersion\":2,\"layers\":[{\"mediaType\":\"application/"
        "wasm\",\"digest\":\"sha256:" HEX64 "\"}]}",
        "{\"schemaVersion\":2,\"layers\":[],\"manifests\":[{\"digest\":\"sha256:" HEX64
        "\",\"size\":1}]}",
    };
    struct oci_manifest m;
    struct error err;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (oci_manifest_parse(bad[i], strlen(bad[i]), &m, &err) == 0)
            fail_msg("%s", bad[i]);
    static const char good[] =
        "{\"schemaVersion\":2,\"layers\":[{\"mediaType\":\"application/wasm\","
        "\"digest\":\"sha256:" HEX64 "\",\"size\":12}]}";
    assert_int_equal(oci_manifest_parse(good, sizeof(good) - 1, &m, &err), 0);
    assert_int_equal(m.kind, OCI_WASM);
    assert_string_equal(m.child.sha256, HEX64);
    assert_int_equal(m.child.size, 12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_find),       cmocka_unit_test(test_bad_secrets_are_not_quoted),
        cmocka_unit_test(test_challenges), cmocka_unit_test(test_tokens),
        cmocka_unit_test(test_references), cmocka_unit_test(test_hostile_manifests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
