#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include <zlib.h>

#include "base/crypto.h"
#include "base/mem.h"
#include "base/str.h"
#include "wasm/unbox.h"
#include "wasm/verify.h"

static const char module[] = "\0asm\1\0\0\0the module";
enum { MODULE_SIZE = sizeof(module) - 1 };

static void gzip(struct sbuf *b)
{
    size_t cap = compressBound(b->n) + 64;
    char *out = mem_alloc(cap);
    z_stream z = {0};
    deflateInit2(&z, 9, Z_DEFLATED, 31, 9, Z_DEFAULT_STRATEGY);
    z.next_in = (Bytef *)b->p;
    z.avail_in = (uInt)b->n;
    z.next_out = (Bytef *)out;
    z.avail_out = (uInt)cap;
    deflate(&z, Z_FINISH);
    size_t n = cap - z.avail_out;
    deflateEnd(&z);
    sbuf_fini(b);
    sbuf_add(b, out, n);
    mem_free(out);
}

static void add_member(struct sbuf *b, const char *name, char type, const void *p, size_t n)
{
    char h[512] = {0};
    unsigned sum = 0;
    snprintf(h, 100, "%s", name);
    snprintf(h + 124, 12, "%011zo", n);
    h[156] = type;
    memcpy(h + 257, "ustar", 6);
    memset(h + 148, ' ', 8);
    for (size_t i = 0; i < sizeof(h); i++)
        sum += (unsigned char)h[i];
    snprintf(h + 148, 8, "%06o", sum & 0777777);
    sbuf_add(b, h, sizeof(h));
    sbuf_add(b, p, n);
    static const char zeros[512];
    sbuf_add(b, zeros, (512 - n % 512) % 512);
}

static void tar(struct sbuf *b, const char *name)
{
    struct sbuf out = {0};
    static const char zeros[1024];
    add_member(&out, "pax", 'x', "20 comment=hello...\n", 20);
    add_member(&out, "dir/", '5', "", 0);
    add_member(&out, name, '0', b->p, b->n);
    sbuf_add(&out, zeros, sizeof(zeros));
    sbuf_fini(b);
    *b = out;
}

/* Letters from the inside out: m module, j junk, g gzip, t tar, z a MiB of zeros. */
static struct sbuf build(const char *recipe)
{
    struct sbuf b = {0};
    for (; *recipe; recipe++) {
        if (*recipe == 'm')
            sbuf_add(&b, module, MODULE_SIZE);
        else if (*recipe == 'j')
            sbuf_addz(&b, "no module at all, whatever one may think");
        else if (*recipe == 'z')
            for (int i = 0; i < 1 << 20; i++)
                sbuf_addc(&b, 0);
        else if (*recipe == 'g')
            gzip(&b);
        else
            tar(&b, "a/b/plugin.wasm");
    }
    return b;
}

static void test_recipes(void **state)
{
    (void)state;
    static const struct {
        const char *recipe, *member;
        int rc;
    } rows[] = {
        {"m", NULL, 0},
        {"mg", NULL, 0},
        {"mt", NULL, 0},
        {"mtg", "plugin.wasm", 0},
        {"mtg", "other.wasm", -ERR_NOT_FOUND},
        {"mtg", "ugin.wasm", -ERR_NOT_FOUND},
        {"mgt", "plugin.wasm", 0},
        {"mggg", NULL, 0},
        {"mgggg", NULL, -ERR_LIMIT},
        {"mtgt", NULL, 0},
        {"mtgtg", NULL, -ERR_LIMIT},
        {"j", NULL, -ERR_INVALID},
        {"jg", NULL, -ERR_INVALID},
        {"jt", NULL, -ERR_INVALID},
        {"", NULL, -ERR_INVALID},
        {"zg", NULL, -ERR_LIMIT},
        {"mzg", NULL, -ERR_LIMIT},
        {"mzgg", NULL, -ERR_LIMIT}, /* the ratio counts from outside */
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct error err = {0};
        uint8_t *out;
        size_t n;
        struct sbuf b = build(rows[i].recipe);
        int rc = unbox_module((uint8_t *)b.p, b.n, rows[i].member, &unbox_limits_default, &out, &n,
                              &err);
        if (rc != rows[i].rc)
            fail_msg("%s: %d %s", rows[i].recipe, rc, err.text);
        if (!rc && out) {
            assert_int_equal(n, MODULE_SIZE);
            assert_memory_equal(out, module, n);
            mem_free(out);
        } else if (!rc) {
            assert_string_equal(rows[i].recipe, "m");
        }
        sbuf_fini(&b);
    }
}

static void test_size_limit_is_exact(void **state)
{
    (void)state;
    struct sbuf b = build("mg");
    struct unbox_limits limits = {MODULE_SIZE, 200, 3};
    struct error err;
    uint8_t *out;
    size_t n;
    assert_int_equal(unbox_module((uint8_t *)b.p, b.n, NULL, &limits, &out, &n, &err), 0);
    mem_free(out);
    limits.size_max = MODULE_SIZE - 1;
    assert_int_equal(unbox_module((uint8_t *)b.p, b.n, NULL, &limits, &out, &n, &err), -ERR_LIMIT);
    sbuf_fini(&b);
}

/* Every cut and every flipped byte either fails or gives the module; never more. */
static void test_damage(void **state)
{
    (void)state;
    struct sbuf b = build("mtg");
    for (size_t i = 0; i < b.n * 2; i++) {
        struct error err;
        uint8_t *out;
        size_t n = i < b.n ? i : b.n, size;
        uint8_t *copy = mem_dup(b.p, n);
        if (i >= b.n)
            copy[i - b.n] ^= 0x55;
        if (unbox_module(copy, n, NULL, &unbox_limits_default, &out, &size, &err) == 0) {
            assert_non_null(out);
            mem_free(out);
        }
        mem_free(copy);
    }
    sbuf_fini(&b);
}

static void test_hostile_tar_headers(void **state)
{
    (void)state;
    static const char *const sizes[] = {"77777777777", "-1", "00000001000", "9", ""};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct sbuf b = {0};
        const uint8_t *file;
        size_t n;
        add_member(&b, "plugin.wasm", '0', module, MODULE_SIZE);
        memset(b.p + 124, 0, 12);
        memcpy(b.p + 124, sizes[i], strlen(sizes[i]));
        assert_int_not_equal(
            unbox_tar_find((uint8_t *)b.p, b.n, NULL, &file, &n, &(struct error){0}), 0);
        sbuf_fini(&b);
    }
}

static void digest_of(const struct sbuf *b, char hex[65])
{
    sha256_hex(b->p, b->n, hex);
}

static void test_checksum_rules(void **state)
{
    (void)state;
    char raw[65], inner[65], wrong[65], got[65];
    struct sbuf b = build("mtg"), m = build("m");
    digest_of(&b, raw);
    digest_of(&m, inner);
    memset(wrong, '0', 64);
    wrong[64] = 0;
    const struct {
        const char *what;
        enum verify_kind kind;
        const char *sha256, *layer;
        int size_off, rc;
    } rows[] = {
        {"raw", VERIFY_HTTP, raw, NULL, 0, 0},
        {"module", VERIFY_HTTP, inner, NULL, 0, 0},
        {"none", VERIFY_HTTP, "", NULL, 0, 0},
        {"wrong", VERIFY_HTTP, wrong, NULL, 0, -ERR_INVALID},
        {"local", VERIFY_LOCAL, wrong, NULL, 0, 0},
        {"layer", VERIFY_OCI, wrong, raw, 0, 0},
        {"module is not the layer", VERIFY_OCI, "", inner, 0, -ERR_INVALID},
        {"layer size", VERIFY_OCI, "", raw, 1, -ERR_INVALID},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct verify_rules rules = {.kind = rows[i].kind,
                                     .origin = "there",
                                     .sha256 = rows[i].sha256,
                                     .layer_sha256 = rows[i].layer,
                                     .layer_size = b.n + (size_t)rows[i].size_off,
                                     .limits = unbox_limits_default};
        struct blob *body = blob_copy(b.p, b.n), *out = NULL;
        struct error err = {0};
        int rc = verify_module(&rules, body, &out, got, &err);
        if (rc != rows[i].rc)
            fail_msg("%s: %d %s", rows[i].what, rc, err.text);
        if (!rc)
            assert_string_equal(got, inner);
        blob_unref(&out);
        blob_unref(&body);
    }
    sbuf_fini(&b);
    sbuf_fini(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recipes),        cmocka_unit_test(test_size_limit_is_exact),
        cmocka_unit_test(test_damage),         cmocka_unit_test(test_hostile_tar_headers),
        cmocka_unit_test(test_checksum_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
