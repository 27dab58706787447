#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "filters/log_queue.h"

/* Everything that waits, in one text. */
static void take_all(struct log_queue *q, struct sbuf *out)
{
    struct str text;
    while ((text = log_queue_peek(q)).n) {
        sbuf_add(out, text.p, text.n);
        log_queue_skip(q);
    }
}

static void test_order(void **state)
{
    (void)state;
    struct log_queue *q = log_queue_create(1000);
    struct sbuf out = {0};
    assert_int_equal(log_queue_peek(q).n, 0);
    for (int round = 0; round < 3; round++) {
        assert_true(log_queue_add(q, STR("one\n")));
        assert_true(log_queue_add(q, STR("")));
        assert_true(log_queue_add(q, STR("two\n")));
        assert_int_equal(log_queue_size(q), 8);
        out.n = 0;
        take_all(q, &out);
        assert_int_equal(out.n, 8);
        assert_memory_equal(out.p, "one\ntwo\n", 8);
        assert_int_equal(log_queue_size(q), 0);
    }
    sbuf_fini(&out);
    log_queue_destroy(&q);
    assert_null(q);
}

static void test_bound(void **state)
{
    (void)state;
    struct log_queue *q = log_queue_create(10);
    assert_false(log_queue_add(q, STR("12345678901")));
    assert_true(log_queue_add(q, STR("1234567")));
    assert_false(log_queue_add(q, STR("8901")));
    assert_true(log_queue_add(q, STR("890")));
    assert_false(log_queue_add(q, STR("x")));
    struct str text = log_queue_peek(q);
    assert_true(text.n > 0);
    assert_false(log_queue_add(q, STR("x"))); /* what is peeked at still waits */
    log_queue_skip(q);
    assert_true(log_queue_add(q, STR("x")));
    log_queue_destroy(&q); /* with what is in it */
}

/* Lines that do not fit a segment, and those that fill it to the last byte. */
static void test_sizes(void **state)
{
    static const size_t sizes[] = {1, 16384, 16383, 1, 1, 16384, 100000, 3, 16385, 16380, 4, 5};
    (void)state;
    struct log_queue *q = log_queue_create(1 << 20);
    struct sbuf want = {0}, got = {0};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        char *line = mem_alloc(sizes[i]);
        memset(line, (int)('a' + i), sizes[i]);
        sbuf_add(&want, line, sizes[i]);
        assert_true(log_queue_add(q, (struct str){line, sizes[i]}));
        mem_free(line);
        if (i % 3 == 2)
            take_all(q, &got);
    }
    take_all(q, &got);
    assert_int_equal(got.n, want.n);
    assert_memory_equal(got.p, want.p, want.n);
    sbuf_fini(&want);
    sbuf_fini(&got);
    log_queue_destroy(&q);
}

/* ---- two threads ---- */

enum { LINES = 200000, QUEUE_SIZE = 100000 };

struct worker {
    struct log_queue *queue;
    unsigned dropped;
    bool is_done; /* atomic */
};

static void *add_lines(void *arg)
{
    struct worker *w = arg;
    for (unsigned i = 0; i < LINES; i++) {
        char line[64];
        int n = snprintf(line, sizeof(line), "%u %.*s\n", i, (int)(i % 37),
                         "....................................");
        w->dropped += !log_queue_add(w->queue, (struct str){line, (size_t)n});
    }
    __atomic_store_n(&w->is_done, true, __ATOMIC_RELEASE);
    return NULL;
}

/* Whole lines, whose numbers rise. */
static unsigned count_lines(struct str text, long *last)
{
    unsigned n = 0;
    struct str line;
    assert_int_equal(text.p[text.n - 1], '\n');
    while (text.n && str_next(&text, '\n', &line)) {
        struct str number;
        uint64_t i;
        assert_true(str_next(&line, ' ', &number));
        assert_true(str_to_u64(number, LINES, &i));
        assert_true((long)i > *last);
        assert_int_equal(line.n, i % 37);
        *last = (long)i;
        n++;
    }
    return n;
}

static void test_two_threads(void **state)
{
    (void)state;
    struct worker w = {log_queue_create(QUEUE_SIZE), 0, false};
    pthread_t thread;
    long last = -1;
    unsigned n = 0;
    assert_int_equal(pthread_create(&thread, NULL, add_lines, &w), 0);
    for (bool was_done = false; !was_done;) {
        was_done = __atomic_load_n(&w.is_done, __ATOMIC_ACQUIRE);
        struct str text;
        while ((text = log_queue_peek(w.queue)).n) {
            assert_true(log_queue_size(w.queue) <= QUEUE_SIZE);
            n += count_lines(text, &last);
            log_queue_skip(w.queue);
        }
        sched_yield();
    }
    pthread_join(thread, NULL);
    assert_int_equal(n + w.dropped, LINES);
    assert_int_equal(log_queue_size(w.queue), 0);
    log_queue_destroy(&w.queue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_bound),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_two_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
