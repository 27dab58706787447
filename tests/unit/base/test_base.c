#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <pthread.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/crypto.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/json_text.h"
#include "base/mem.h"
#include "base/stat.h"
#include "base/str.h"

static void test_buf_keeps_bytes_in_order(void **state)
{
    (void)state;
    struct buf b = {0};
    char expect = 0;
    for (int round = 0; round < 1000; round++) {
        char block[97];
        for (size_t i = 0; i < sizeof(block); i++)
            block[i] = (char)(round * 97 + (int)i);
        buf_add(&b, block, sizeof(block));
        for (size_t i = 0; i < 60; i++)
            assert_int_equal(buf_head(&b)[i], (char)(expect + (char)i));
        buf_consume(&b, 60);
        expect = (char)(expect + 60);
    }
    assert_int_equal(b.len, 1000 * 37);
    buf_consume(&b, b.len);
    assert_null(b.mem);
}

static void test_buf_prepend(void **state)
{
    (void)state;
    struct buf b = {0};
    buf_add(&b, "world", 5);
    buf_prepend(&b, "hello ", 6);
    buf_consume(&b, 3);
    buf_prepend(&b, "HEL", 3);
    assert_true(str_is(buf_str(&b), "HELlo world"));
    buf_fini(&b);
}

static void test_hash_survives_churn(void **state)
{
    (void)state;
    struct hash t = {0};
    char key[32];
    for (int i = 0; i < 5000; i++) {
        snprintf(key, sizeof(key), "key-%d", i);
        assert_null(hash_set(&t, str_of(key), (void *)(intptr_t)(i + 1)));
        if (i >= 100) {
            snprintf(key, sizeof(key), "key-%d", i - 100);
            assert_int_equal((intptr_t)hash_remove(&t, str_of(key)), i - 99);
        }
    }
    assert_int_equal(hash_count(&t), 100);
    assert_true(t.cap <= 1024); /* deleted slots are swept, not kept */
    assert_null(hash_find(&t, STR("key-4899")));
    assert_int_equal((intptr_t)hash_find(&t, STR("key-4900")), 4901);
    hash_fini(&t);
}

static void test_error_prefix_is_cut_not_overrun(void **state)
{
    (void)state;
    struct error e;
    assert_int_equal(error_set(&e, ERR_LIMIT, "%01000d", 7), -ERR_LIMIT);
    assert_int_equal(error_prefix(&e, "listeners[%d]: ", 3), -ERR_LIMIT);
    assert_int_equal(strlen(e.text), sizeof(e.text) - 1 > 1014 ? 1014 : sizeof(e.text) - 1);
    assert_true(str_starts(str_of(e.text), STR("listeners[3]: 000")));
}

static void test_numbers(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t max;
        bool ok;
        uint64_t value;
    } rows[] = {
        {"0", 10, true, 0},
        {"10", 10, true, 10},
        {"11", 10, false, 0},
        {"", 10, false, 0},
        {"-1", 10, false, 0},
        {"1 ", 10, false, 0},
        {"18446744073709551615", UINT64_MAX, true, UINT64_MAX},
        {"18446744073709551616", UINT64_MAX, false, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint64_t v = 0;
        bool ok = str_to_u64(str_of(rows[i].text), rows[i].max, &v);
        if (ok != rows[i].ok || v != rows[i].value)
            fail_msg("row %zu: \"%s\"", i, rows[i].text);
    }
}

static void test_stats_sum_and_reuse(void **state)
{
    (void)state;
    stat_id a = stat_define(STAT_COUNTER, "cluster.%s.upstream_rq_total", "a");
    assert_int_equal(stat_define(STAT_COUNTER, "cluster.a.upstream_rq_total"), a);
    stat_add(a, 41);
    stat_inc(a);
    assert_int_equal(stat_read("cluster.a.upstream_rq_total"), 42);
    stat_release(a);
    stat_release(a);
    assert_int_equal(stat_read("cluster.a.upstream_rq_total"), 0);
    stat_id b = stat_define(STAT_GAUGE, "b");
    assert_int_equal(b, a);
    assert_int_equal(stat_read("b"), 0);
    stat_release(b);
}

static void add_name(const struct stat_value *v, void *arg)
{
    if (str_starts(str_of(v->name), STR("order.")))
        sbuf_printf(arg, "%s%s", v->name + 6, v->is_used ? "! " : " ");
}

static bool is_not_c(struct str name, void *arg)
{
    (void)arg;
    return !str_is(name, "order.c");
}

static void expect_order(const struct stat_visit *visit, const char *want)
{
    struct sbuf seen = {0};
    struct stat_visit v = *visit;
    v.fn = add_name;
    v.arg = &seen;
    sbuf_addz(&seen, "");
    stat_each(&v);
    assert_string_equal(seen.p, want);
    sbuf_fini(&seen);
}

/* The order is kept from one look to the next, also where an id goes to another name. */
static void test_stats_in_order(void **state)
{
    (void)state;
    const struct stat_visit all = {.kinds = STAT_ALL};
    stat_id z = stat_define(STAT_COUNTER, "order.z"), a = stat_define(STAT_COUNTER, "order.a"),
            m = stat_define(STAT_GAUGE, "order.m");
    expect_order(&all, "a m z ");
    stat_release(a);
    stat_id x = stat_define(STAT_COUNTER, "order.x"), c = stat_define(STAT_COUNTER, "order.c");
    assert_int_equal(x, a);
    expect_order(&all, "c m x z ");
    expect_order(&all, "c m x z ");
    stat_release(x);
    expect_order(&all, "c m z ");
    stat_inc(z);
    stat_set(m, 0);
    expect_order(&(struct stat_visit){.kinds = STAT_ALL, .used_only = true}, "m! z! ");
    expect_order(&(struct stat_visit){.kinds = STAT_SET(STAT_COUNTER)}, "c z! ");
    expect_order(&(struct stat_visit){.kinds = STAT_ALL, .wants = is_not_c}, "m! z! ");
    stat_release(z);
    stat_release(m);
    stat_release(c);
    expect_order(&all, "");
}

static void *set_level(void *id)
{
    stat_set((stat_id)(uintptr_t)id, 3);
    return NULL;
}

/* What threads agree on is not summed. */
static void test_stats_level(void **state)
{
    (void)state;
    pthread_t thread;
    stat_id id = stat_define(STAT_LEVEL, "order.level");
    stat_set(id, 3);
    assert_int_equal(pthread_create(&thread, NULL, set_level, (void *)(uintptr_t)id), 0);
    pthread_join(thread, NULL);
    assert_int_equal(stat_read("order.level"), 3);
    expect_order(&(struct stat_visit){.kinds = STAT_SET(STAT_GAUGE)}, "level! ");
    stat_release(id);
    id = stat_define(STAT_LEVEL, "order.level");
    assert_int_equal(stat_read("order.level"), 0);
    stat_release(id);
}

static void test_sbuf(void **state)
{
    (void)state;
    struct sbuf b = {0};
    sbuf_add_u64(&b, 0);
    sbuf_addc(&b, ' ');
    sbuf_add_u64(&b, UINT64_MAX);
    assert_string_equal(b.p, "0 18446744073709551615");
    for (size_t n = 0; n < 2000; n += 7) { /* in room that is there, or too little */
        size_t before = b.n;
        sbuf_printf(&b, "%*d", (int)n, 7);
        assert_int_equal(b.n, before + (n ? n : 1));
        assert_int_equal(strlen(b.p), b.n);
        assert_int_equal(b.p[b.n - 1], '7');
    }
    sbuf_fini(&b);
    static const struct {
        double value;
        const char *text;
    } rows[] = {{0, "0"},
                {0.1, "0.1"},
                {98250000, "98250000"},
                {3.0142857142857142, "3.0142857142857142"},
                {12571.42857142857, "12571.42857142857"},
                {1e300, "1e+300"}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        sbuf_add_double(&b, rows[i].value);
        assert_string_equal(b.p, rows[i].text);
        sbuf_fini(&b);
    }
}

static void test_json_text(void **state)
{
    (void)state;
    struct sbuf b = {0};
    json_text_add(&b, STR("a\"\\\n\x01\xc3\xa4\xff/"));
    assert_string_equal(b.p, "\"a\\\"\\\\\\n\\u0001\xc3\xa4\\u00ff/\"");
    sbuf_fini(&b);
}

static void test_sha256(void **state)
{
    (void)state;
    char hex[65];
    sha256_hex("abc", 3, hex);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static void test_arena(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 256);
    char *first = arena_strdup(&a, "first");
    for (int i = 0; i < 100; i++)
        memset(arena_alloc(&a, (size_t)i * 7), 0x55, (size_t)i * 7);
    assert_string_equal(first, "first");
    assert_string_equal(arena_printf(&a, "%s-%d", "x", 5), "x-5");
    arena_reset(&a);
    assert_int_equal(a.total, 0);
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_buf_keeps_bytes_in_order),
        cmocka_unit_test(test_buf_prepend),
        cmocka_unit_test(test_hash_survives_churn),
        cmocka_unit_test(test_error_prefix_is_cut_not_overrun),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_stats_sum_and_reuse),
        cmocka_unit_test(test_stats_in_order),
        cmocka_unit_test(test_stats_level),
        cmocka_unit_test(test_sbuf),
        cmocka_unit_test(test_json_text),
        cmocka_unit_test(test_sha256),
        cmocka_unit_test(test_arena),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
