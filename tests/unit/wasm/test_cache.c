#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/crypto.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "wasm/cache.h"

static char dir[64];

static int make_dir(void **state)
{
    (void)state;
    snprintf(dir, sizeof(dir), "/tmp/remora-cache-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    (void)state;
    char command[100];
    snprintf(command, sizeof(command), "rm -rf '%s'", dir);
    return system(command);
}

static struct cache *open_cache(uint64_t total_max)
{
    struct cache *c = NULL;
    struct error err;
    if (cache_open(dir, total_max, &c, &err))
        fail_msg("%s", err.text);
    return c;
}

static void put(struct cache *c, const char *request, char fill, size_t n, char digest[65])
{
    char *p = mem_alloc(n);
    memset(p, fill, n);
    struct blob *b = blob_take(p, n);
    struct error err;
    sha256_hex(p, n, digest);
    assert_int_equal(cache_write(c, digest, b, &err), 0);
    cache_add(c, request, digest, n);
    blob_unref(&b);
}

static void test_survives_a_restart(void **state)
{
    (void)state;
    char digest[65], found[65];
    struct cache *c = open_cache(1000);
    assert_false(cache_find(c, "request", found));
    put(c, "request", 'a', 100, digest);
    cache_close(&c);
    c = open_cache(1000);
    assert_int_equal(cache_count(c), 1);
    assert_true(cache_find(c, "request", found));
    assert_string_equal(found, digest);
    assert_false(cache_find(c, "other", found));
    assert_true(cache_has(c, digest));
    struct blob *b;
    struct error err;
    assert_int_equal(cache_read(c, digest, 100, &b, &err), 0);
    assert_int_equal(b->n, 100);
    blob_unref(&b);
    assert_int_equal(cache_read(c, digest, 99, &b, &err), -ERR_LIMIT);
    cache_close(&c);
}

static void test_total_is_bounded(void **state)
{
    (void)state;
    char digests[5][65], found[65], request[16];
    struct cache *c = open_cache(1000);
    for (int i = 0; i < 5; i++) {
        snprintf(request, sizeof(request), "request-%d", i);
        put(c, request, (char)('a' + i), 300, digests[i]);
        assert_true(cache_find(c, request, found)); /* the newest always stays */
        assert_true(cache_count(c) <= 3);
    }
    struct blob *big = blob_take(mem_zalloc(1001), 1001);
    char hex[65];
    sha256_hex(big->p, big->n, hex);
    assert_int_equal(cache_write(c, hex, big, NULL), -ERR_LIMIT);
    blob_unref(&big);
    cache_close(&c);
    c = open_cache(300);
    assert_int_equal(cache_count(c), 1);
    cache_close(&c);
}

static void test_forgets(void **state)
{
    (void)state;
    char digest[65], found[65];
    struct cache *c = open_cache(1000);
    put(c, "one", 'x', 10, digest);
    put(c, "two", 'x', 10, digest);
    assert_int_equal(cache_count(c), 1);
    cache_forget(c, digest);
    assert_false(cache_find(c, "one", found));
    assert_false(cache_find(c, "two", found));
    assert_false(cache_has(c, digest));
    cache_close(&c);
}

static void write_index(const char *text)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/wasm/index", dir);
    FILE *f = fopen(path, "w");
    fputs(text, f);
    fclose(f);
}

static void test_hostile_index(void **state)
{
    (void)state;
    /* clang-format off */
    static const char *const bad[] = {
        "module ../../../../etc/passwd 10 5\n",
        "module\n",
        "module  \n",
        "request x y\n",
        "\n\n\n",
        "module 0000000000000000000000000000000000000000000000000000000000000000 10 5\n",
        "module 0000000000000000000000000000000000000000000000000000000000000000 99999999999999999999 5\n",
    };
    /* clang-format on */
    char digest[65], found[65], good[512], text[2048];
    struct cache *c = open_cache(1000);
    put(c, "request", 'h', 10, digest);
    cache_close(&c);
    snprintf(good, sizeof(good), "module %s 10 5\n", digest);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        snprintf(text, sizeof(text), "%s%s%s", bad[i], good, bad[i]);
        write_index(text);
        c = open_cache(1000);
        assert_int_equal(cache_count(c), 1);
        assert_true(cache_has(c, digest));
        assert_false(cache_find(c, "request", found));
        cache_close(&c);
    }
    /* Without an index the files still count. */
    write_index("");
    c = open_cache(1000);
    assert_true(cache_has(c, digest));
    cache_close(&c);
}

static void test_file_of_another_kind(void **state)
{
    (void)state;
    char digest[65], path[200];
    struct cache *c = open_cache(1000);
    put(c, "request", 's', 10, digest);
    snprintf(path, sizeof(path), "%s/wasm/%s.wasm", dir, digest);
    struct blob *b;
    struct error err;
    assert_int_equal(chmod(path, 0666), 0);
    assert_int_equal(cache_read(c, digest, 100, &b, &err), -ERR_DENIED);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(cache_read(c, digest, 100, &b, &err), -ERR_DENIED); /* does not hang */
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink("/etc/passwd", path), 0);
    assert_true(cache_read(c, digest, 100000, &b, &err) < 0);
    cache_close(&c);
}

static void test_folder_of_another(void **state)
{
    (void)state;
    char path[128];
    struct cache *c = NULL;
    struct error err;
    snprintf(path, sizeof(path), "%s/wasm", dir);
    assert_int_equal(symlink("/tmp", path), 0);
    assert_true(cache_open(dir, 1000, &c, &err) < 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(chmod(path, 0777), 0);
    assert_true(cache_open(dir, 1000, &c, &err) < 0);
    assert_null(c);
}

static void test_folder_is_made(void **state)
{
    (void)state;
    char path[128];
    struct cache *c = NULL;
    struct error err;
    struct stat st;
    snprintf(path, sizeof(path), "%s/a/b//c/", dir);
    assert_int_equal(cache_open(path, 1000, &c, &err), 0);
    cache_close(&c);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    assert_true(cache_open("/dev/null/x", 1000, &c, &err) < 0);
    assert_true(cache_open("", 1000, &c, &err) < 0);
}

int main(void)
{
    log_set_all(LEVEL_OFF);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_survives_a_restart, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(test_total_is_bounded, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(test_forgets, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(test_hostile_index, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(test_file_of_another_kind, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(test_folder_is_made, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(test_folder_of_another, make_dir, remove_dir),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
