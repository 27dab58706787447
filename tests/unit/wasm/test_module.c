/* The section walker and the rewriting of maxima. argv[1]: guest.wasm. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "guest_host.h"
#include "wasm/linkage.h"
#include "wasm/module.h"

#define MAGIC "\0asm\1\0\0\0"
/* Export section with one function. */
#define EXPORT_OF(name23) "\x07\x1b\x01\x17" name23 "\x00\x00"
#define ABI EXPORT_OF("proxy_abi_version_0_2_1")
#define TYPES "\x01\x04\x01\x60\x00\x00"
#define MODULE(sections) MAGIC sections, sizeof(MAGIC sections) - 1

static const char *guest_path;

static const struct {
    const char *bytes;
    size_t n;
    int rc;
    enum module_abi abi;
    const char *text;
} cases[] = {
    {MODULE(ABI), 0, MODULE_ABI_0_2_1, NULL},
    {MODULE(EXPORT_OF("proxy_abi_version_0_2_0")), 0, MODULE_ABI_0_2_0, NULL},
    {MODULE(EXPORT_OF("proxy_abi_version_0_1_0")), 0, MODULE_ABI_0_1_0, NULL},
    {MODULE(EXPORT_OF("proxy_abi_version_0_3_0")), -ERR_INVALID, 0,
     "Missing or unknown Proxy-Wasm ABI version"},
    {MODULE(TYPES), -ERR_INVALID, 0, "Missing or unknown Proxy-Wasm ABI version"},
    /* The marker must be a function: here a memory has its name. */
    {MODULE("\x07\x1b\x01\x17proxy_abi_version_0_2_1\x02\x00"), -ERR_INVALID, 0, "ABI version"},
    {"", 0, -ERR_INVALID, 0, "not a WebAssembly module"},
    {"\0asm\1\0\0", 7, -ERR_INVALID, 0, "not a WebAssembly module"},
    {"\0asm\2\0\0\0", 8, -ERR_INVALID, 0, "not a WebAssembly module"},
    {"#!/bin/sh\n", 10, -ERR_INVALID, 0, "not a WebAssembly module"},
    {MODULE("\x01"), -ERR_INVALID, 0, "section header"},
    {MODULE("\x01\x05\x00"), -ERR_INVALID, 0, "section header"},
    {MODULE("\x0e\x00" ABI), -ERR_INVALID, 0, "unknown section"},
    /* LEB128: six bytes, and a fifth byte with bits above 32. */
    {MODULE("\x01\x80\x80\x80\x80\x80\x00"), -ERR_INVALID, 0, "section header"},
    {MODULE("\x01\x80\x80\x80\x80\x10"), -ERR_INVALID, 0, "section header"},
    {MODULE("\x01\x81\x80\x80\x80\x00\x00" ABI), 0, MODULE_ABI_0_2_1, NULL},
    {MODULE("\x01\x02\x01\x61" ABI), -ERR_INVALID, 0, "function type"},
    {MODULE("\x01\x03\x01\x60\x65" ABI), -ERR_LIMIT, 0, "101 parameters, the limit is 100"},
    {MODULE("\x01\x04\x01\x60\x00\x65" ABI), -ERR_LIMIT, 0, "101 results, the limit is 100"},
    {MODULE("\x01\x03\x01\x60\x05" ABI), -ERR_INVALID, 0, "function type"},
    {MODULE("\x03\x03\xa0\x8d\x06" ABI), 0, MODULE_ABI_0_2_1, NULL},
    {MODULE("\x03\x03\xa1\x8d\x06" ABI), -ERR_LIMIT, 0, "100001 functions, the limit is 100000"},
    {MODULE("\x02\x05\x01\x00\x00\x00\x00\x03\x03\xa0\x8d\x06" ABI), -ERR_LIMIT, 0,
     "100001 functions"},
    {MODULE("\x03\x05\xff\xff\xff\xff\x0f" ABI), -ERR_LIMIT, 0, "4294967295 functions"},
    {MODULE("\x02\x04\x01\x01"
            "a\x00" ABI),
     -ERR_INVALID, 0, "import"},
    {MODULE("\x02\x05\x01\x00\x00\x04\x00" ABI), -ERR_INVALID, 0, "import"},
    {MODULE("\x02\x03\x01\xff\x01" ABI), -ERR_INVALID, 0, "import"},
    {MODULE("\x04\x10\x05\x70\x00\x00\x70\x00\x00\x70\x00\x00\x70\x00\x00\x70\x00\x00" ABI),
     -ERR_LIMIT, 0, "5 tables, the limit is 4"},
    {MODULE("\x04\x06\x01\x70\x00\xa1\x8d\x06" ABI), -ERR_LIMIT, 0, "100001 table elements"},
    {MODULE("\x04\x0b\x02\x70\x00\xd0\x86\x03\x70\x00\xd1\x86\x03" ABI), -ERR_LIMIT, 0,
     "100001 table elements"},
    {MODULE("\x04\x0c\x02\x70\x00\x01\x70\x00\xff\xff\xff\xff\x0f" ABI), -ERR_LIMIT, 0,
     "4294967296 table elements"},
    {MODULE("\x05\x03\x01\x07\x00" ABI), -ERR_INVALID, 0, "memory"},
    {MODULE("\x06\x02\x91\x4e" ABI), -ERR_LIMIT, 0, "10001 globals"},
    {MODULE("\x09\x02\x91\x4e" ABI), -ERR_LIMIT, 0, "10001 element segments"},
    {MODULE("\x0b\x03\xa1\x8d\x06" ABI), -ERR_LIMIT, 0, "100001 data segments"},
    {MODULE("\x0a\x04\x01\x81\x80\x20" ABI), -ERR_LIMIT, 0, "524289 bytes of a function's body"},
    {MODULE("\x0a\x04\x01\x05\x00\x0b" ABI), -ERR_INVALID, 0, "function body"},
    /* One body of 9 bytes with two groups of locals, 10,000 and 1. */
    {MODULE("\x0a\x09\x01\x07\x02\x90\x4e\x7f\x01\x7e\x0b" ABI), -ERR_LIMIT, 0,
     "10001 locals of a function"},
    {MODULE("\x0a\x0d\x01\x0b\x02\xff\xff\xff\xff\x0f\x7f\x01\x7e\x0b\x0b" ABI), -ERR_LIMIT, 0,
     "4294967295 locals of a function"},
    {MODULE("\x0a\x05\x01\x03\x01\x05\x0b" ABI), 0, MODULE_ABI_0_2_1, NULL},
    {MODULE("\x00\x02\x05x" ABI), -ERR_INVALID, 0, "section header"},
};

/* An exact copy on the heap, so that the sanitizer sees a read behind the end. */
static void *exact(const void *bytes, size_t n)
{
    char *p = mem_alloc(n ? n : 1);
    memcpy(p, bytes, n);
    return n ? mem_realloc(p, n) : p;
}

static void test_check(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct error err = {0};
        struct module_info info = {0};
        void *bytes = exact(cases[i].bytes, cases[i].n);
        int rc = module_check(bytes, cases[i].n, &module_default_limits, &info, &err);
        mem_free(bytes);
        if (rc != cases[i].rc || (rc == 0 && info.abi != cases[i].abi) ||
            (rc != 0 && !strstr(err.text, cases[i].text)))
            fail_msg("row %zu: rc %d abi %d text \"%s\"", i, rc, info.abi, err.text);
    }
}

static void test_many_exports(void **state)
{
    (void)state;
    struct sbuf b = {0};
    enum { COUNT = 20001, ENTRY = 3 };
    sbuf_add(&b, MAGIC "\x07\xe6\xd4\x03\xa1\x9c\x01", 8 + 1 + 3 + 3);
    for (int i = 0; i < COUNT; i++)
        sbuf_add(&b, "\0\0\0", ENTRY);
    struct error err = {0};
    assert_int_equal(module_check(b.p, b.n, &module_default_limits, NULL, &err), -ERR_LIMIT);
    assert_non_null(strstr(err.text, "20001 exports, the limit is 20000"));
    sbuf_fini(&b);
}

static void test_guest_counts(void **state)
{
    (void)state;
    size_t n;
    void *bytes = guest_host_read(guest_path, &n);
    struct module_info info;
    struct error err = {0};
    assert_int_equal(module_check(bytes, n, &module_default_limits, &info, &err), 0);
    assert_int_equal(info.abi, MODULE_ABI_0_2_1);
    assert_int_equal(info.memory_min_pages, 2);
    assert_int_equal(info.tables, 1);
    assert_int_equal(info.table_sum, 4);
    assert_int_equal(info.globals, 2);
    mem_free(bytes);
}

static void test_every_prefix_and_many_mutations(void **state)
{
    (void)state;
    size_t n;
    uint8_t *bytes = guest_host_read(guest_path, &n);
    struct module_caps caps = {100, 100};
    unsigned seed = 7, accepted = 0;
    for (size_t i = 0; i < n + 20000; i++) {
        size_t len = i < n ? i : n;
        uint8_t *p = exact(bytes, len);
        if (i >= n)
            for (int k = rand_r(&seed) % 3; k >= 0; k--)
                p[8 + (size_t)rand_r(&seed) % (n - 8)] = (uint8_t)rand_r(&seed);
        struct sbuf out = {0};
        struct linkage l;
        accepted += module_check(p, len, &module_default_limits, NULL, NULL) == 0;
        if (module_rewrite(p, len, &caps, &out, NULL) == 0)
            assert_true(out.n <= len + 64);
        if (linkage_parse(p, len, &l, NULL) == 0)
            linkage_fini(&l);
        sbuf_fini(&out);
        mem_free(p);
    }
    assert_true(accepted > 0); /* most bytes are code, which is V8's to check */
    mem_free(bytes);
}

static const struct {
    const char *before;
    size_t before_n;
    uint32_t pages, elements;
    int rc;
    const char *after; /* or the text */
    size_t after_n;
} rewrites[] = {
    /* Memory without a maximum, above the cap, below it. */
    {MODULE("\x05\x03\x01\x00\x02"), 100, 9, 0, MODULE("\x05\x04\x01\x01\x02\x64")},
    {MODULE("\x05\x05\x01\x01\x02\x80\x02"), 100, 9, 0, MODULE("\x05\x04\x01\x01\x02\x64")},
    {MODULE("\x05\x04\x01\x01\x02\x40"), 100, 9, 0, MODULE("\x05\x04\x01\x01\x02\x40")},
    {MODULE("\x05\x03\x01\x00\x65"), 100, 9, -ERR_LIMIT,
     "memory starts with 101 pages of 64 KiB, its limit is 100", 0},
    {MODULE("\x05\x04\x01\x03\x01\x01"), 100, 9, -ERR_UNSUPPORTED, "memory is shared", 0},
    /* A cap that needs two bytes grows the section. */
    {MODULE("\x05\x03\x01\x00\x02"), 1024, 9, 0, MODULE("\x05\x05\x01\x01\x02\x80\x08")},
    {MODULE("\x04\x08\x02\x70\x00\x01\x6f\x01\x02\x05"), 1, 4, 0,
     MODULE("\x04\x09\x02\x70\x01\x01\x04\x6f\x01\x02\x04")},
    {MODULE("\x04\x04\x01\x70\x00\x05"), 1, 4, -ERR_LIMIT, "table starts with 5 elements", 0},
    {MODULE("\x04\x05\x01\x70\x00\x01\x00"), 1, 4, -ERR_INVALID, "malformed", 0},
    /* Imports: a function, a global, a memory and a table. */
    {MODULE("\x02\x1d\x04\x01"
            "a\x01"
            "b\x00\x00\x01"
            "a\x01"
            "c\x03\x7f\x00\x01"
            "a\x01"
            "m\x02\x00\x01\x01"
            "a\x01"
            "t\x01\x70\x00\x01"),
     7, 8, 0,
     MODULE("\x02\x1f\x04\x01"
            "a\x01"
            "b\x00\x00\x01"
            "a\x01"
            "c\x03\x7f\x00\x01"
            "a\x01"
            "m\x02\x01\x01\x07\x01"
            "a\x01"
            "t\x01\x70\x01\x01\x08")},
    /* Precompiled code goes, other custom sections stay. */
    {MODULE("\x00\x0e\x0dprecompiled_x\x00\x04\x01"
            "abc" ABI),
     1, 1, 0,
     MODULE("\x00\x04\x01"
            "abc" ABI)},
    {MODULE("\x00\x10\x0f.precompiled_v8" ABI), 1, 1, 0, MODULE(ABI)},
    {MODULE("\x05\x03\x01\x00"), 1, 1, -ERR_INVALID, "section header", 0},
};

static void test_rewrite(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rewrites); i++) {
        struct sbuf out = {0};
        struct error err = {0};
        struct module_caps caps = {rewrites[i].pages, rewrites[i].elements};
        int rc = module_rewrite(rewrites[i].before, rewrites[i].before_n, &caps, &out, &err);
        bool ok = rc == rewrites[i].rc;
        if (ok && rc != 0)
            ok = strstr(err.text, rewrites[i].after) && out.n == 0;
        if (ok && rc == 0)
            ok = out.n == rewrites[i].after_n && memcmp(out.p, rewrites[i].after, out.n) == 0;
        if (!ok)
            fail_msg("row %zu: rc %d, %zu bytes, text \"%s\"", i, rc, out.n, err.text);
        sbuf_fini(&out);
    }
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_check),        cmocka_unit_test(test_many_exports),
        cmocka_unit_test(test_guest_counts), cmocka_unit_test(test_every_prefix_and_many_mutations),
        cmocka_unit_test(test_rewrite),
    };
    if (argc < 2)
        return 2;
    guest_path = argv[1];
    return cmocka_run_group_tests_name("module", tests, NULL, NULL);
}
