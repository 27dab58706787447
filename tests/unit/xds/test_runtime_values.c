/* Texts and folders as runtime values; Structs are in the stories. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/mem.h"
#include "xds/runtime_values.h"

static struct runtime *create(void)
{
    struct runtime *r = runtime_create();
    assert_true(runtime_add_layer(r, "layer"));
    return r;
}

static void test_texts(void **state)
{
    static const struct {
        const char *text;
        uint32_t numerator, denominator; /* denominator 1: not a share */
    } rows[] = {
        {"numerator: 5", 5, 100},
        {"{\"numerator\": 7, \"denominator\": \"MILLION\"}", 7, 1000000},
        {"denominator: TEN_THOUSAND\nnumerator: 3", 3, 10000},
        {"numerator: 5\nother: 1", 0, 1},
        {"numerator", 0, 1},
        {"numerator: [", 0, 1},
        {"30", 30, 100},
        {"text", 0, 1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct runtime *r = create();
        const struct runtime_fraction none = {0, 1};
        assert_true(runtime_read_text(r, "k", rows[i].text));
        struct runtime_fraction f = runtime_share(r, STR("k"), none);
        if (f.numerator != rows[i].numerator || f.denominator != rows[i].denominator)
            fail_msg("%s: %u of %u", rows[i].text, f.numerator, f.denominator);
        assert_string_equal(runtime_text(r, STR("k"), ""), rows[i].text);
        conf_object_unref(r);
    }
}

static void test_limits(void **state)
{
    struct runtime *r = create();
    char *long_text = mem_zalloc(RUNTIME_FILE_MAX + 2);
    (void)state;
    memset(long_text, 'a', RUNTIME_FILE_MAX + 1);
    assert_false(runtime_read_text(r, "k", long_text));
    assert_false(runtime_read_text(r, long_text, "v"));
    assert_false(runtime_read_text(r, "", "v"));
    for (int i = 0; i < RUNTIME_KEYS_MAX; i++) {
        char key[16];
        snprintf(key, sizeof(key), "%d", i);
        assert_true(runtime_read_text(r, key, "v"));
    }
    assert_false(runtime_read_text(r, "one too many", "v"));
    mem_free(long_text);
    conf_object_unref(r);
}

static void write_file(const char *folder, const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void test_folder(void **state)
{
    char folder[] = "/tmp/runtime-values-XXXXXX", inner[64], command[128];
    struct error err;
    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(inner, sizeof(inner), "%s/in", folder);
    assert_int_equal(mkdir(inner, 0700), 0);
    write_file(folder, "plain", "1");
    write_file(folder, "comments", "# one\na \n#two\nb \n\n");
    write_file(folder, "nothing", "# only\n");
    write_file(folder, "..data", "hidden");
    write_file(inner, "side", "2");
    struct runtime *r = create();
    assert_int_equal(runtime_read_folder(r, folder, &err), 0);
    assert_int_equal(hash_count(&r->values), 4);
    assert_string_equal(runtime_text(r, STR("plain"), ""), "1");
    assert_string_equal(runtime_text(r, STR("comments"), ""), "a \nb");
    assert_string_equal(runtime_text(r, STR("nothing"), "-"), "");
    assert_string_equal(runtime_text(r, STR("in.side"), ""), "2");
    conf_object_unref(r);
    /* A link to above never ends. */
    char link[80];
    snprintf(link, sizeof(link), "%s/up", inner);
    assert_int_equal(symlink("..", link), 0);
    r = create();
    assert_int_not_equal(runtime_read_folder(r, folder, &err), 0);
    assert_non_null(strstr(err.text, "deeper than 16 folders"));
    conf_object_unref(r);
    snprintf(command, sizeof(command), "rm -r %s", folder);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
