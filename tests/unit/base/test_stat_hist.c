#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/stat.h"

static void add(struct stat_hist *h, uint64_t value, uint64_t n)
{
    unsigned block, bin;
    stat_hist_place(value, &block, &bin);
    stat_hist_add(h, block, bin, n);
    h->count += n;
    h->sum += (double)(value * n);
}

/* What Envoy 1.40 shows for the same samples. */
static const struct {
    uint64_t samples[6];
    size_t n;
    double q[5]; /* at 0, .25, .5, .99, 1 */
} rows[] = {
    {{2}, 1, {2.05, 2.05, 2.05, 2.05, 2.05}},
    {{0}, 1, {0, 0, 0, 0, 0}},
    {{15}, 1, {15.5, 15.5, 15.5, 15.5, 15.5}},
    {{150, 150, 150}, 3, {152.5, 152.5, 155, 157.5, 157.5}},
    {{1234}, 1, {1250, 1250, 1250, 1250, 1250}},
    {{1, 2, 3, 4}, 4, {1.05, 1.05, 2.05, 4.05, 4.05}},
    {{0, 0, 0, 0, 5, 5}, 6, {0, 0, 0, 5.066666667, 5.066666667}},
    {{3, 3, 3, 3, 3, 3}, 6, {3.014285714, 3.028571429, 3.042857143, 3.085714286, 3.085714286}},
    {{98765432109876543u}, 1, {9.95e10, 9.95e10, 9.95e10, 9.95e10, 9.95e10}},
};

static void test_quantiles(void **state)
{
    static const double at[] = {0, 0.25, 0.5, 0.99, 1};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct stat_hist h = {0};
        for (size_t k = 0; k < rows[i].n; k++)
            add(&h, rows[i].samples[k], 1);
        for (size_t k = 0; k < ARRAY_LEN(at); k++) {
            char got[32], want[32];
            snprintf(got, sizeof(got), "%.10g", stat_hist_quantile(&h, at[k]));
            snprintf(want, sizeof(want), "%.10g", rows[i].q[k]);
            if (strcmp(got, want))
                fail_msg("row %zu, quantile %g: %s, not %s", i, at[k], got, want);
        }
        stat_hist_fini(&h);
    }
}

static uint64_t below(const struct stat_hist *h, double bound)
{
    uint64_t n;
    stat_hist_below(h, &bound, 1, &n);
    return n;
}

static void test_below(void **state)
{
    struct stat_hist h = {0}, before = {0}, change;
    (void)state;
    add(&h, 0, 1);
    add(&h, 1, 2);
    add(&h, 100, 4);
    add(&h, 50000, 8);
    assert_int_equal(below(&h, 0.5), 1);
    assert_int_equal(below(&h, 1), 3);
    assert_int_equal(below(&h, 99), 3);
    assert_int_equal(below(&h, 100), 7);
    assert_int_equal(below(&h, 1e6), 15);
    uint64_t counts[4];
    stat_hist_below(&h, (double[]){0.5, 1, 100, 1e12}, 4, counts);
    assert_true(counts[0] == 1 && counts[1] == 3 && counts[2] == 7 && counts[3] == 15);
    add(&before, 1, 1);
    add(&before, 100, 4);
    stat_hist_difference(&h, &before, &change);
    assert_int_equal(change.count, 10);
    assert_int_equal(below(&change, 100), 2);
    stat_hist_fini(&h);
    stat_hist_fini(&before);
    stat_hist_fini(&change);
}

struct seen {
    uint64_t count;
    double median, interval;
};

static void look(const struct stat_value *v, void *arg)
{
    struct seen *s = arg;
    if (strcmp(v->name, "test.hist") != 0)
        return;
    s->count = v->value;
    s->median = v->value ? stat_hist_quantile(v->hist, 0.5) : -1;
    s->interval = v->interval ? stat_hist_quantile(v->interval, 0.5) : -1;
}

static struct seen get(void)
{
    struct seen s = {0};
    stat_each(&(struct stat_visit){.kinds = STAT_ALL, .fn = look, .arg = &s});
    return s;
}

static void test_intervals(void **state)
{
    (void)state;
    stat_id id = stat_define(STAT_HISTOGRAM, "test.%s", "hist");
    stat_record(id, 10);
    stat_record(id, 10);
    struct seen s = get();
    assert_int_equal(s.count, 2);
    assert_true(fabs(s.median - 10.333333) < 1e-3 && s.interval == -1);
    stat_end_interval();
    assert_true(fabs(get().interval - 10.333333) < 1e-3);
    stat_record(id, 2000);
    stat_end_interval();
    assert_true(get().interval == 2050 && get().count == 3);
    stat_end_interval();
    assert_true(get().interval == -1 && get().count == 3);
    stat_reset_counters();
    assert_int_equal(get().count, 3); /* it is no counter */
    stat_release(id);
    id = stat_define(STAT_HISTOGRAM, "test.%s", "hist");
    assert_int_equal(get().count, 0);
    stat_release(id);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_quantiles),
                                       cmocka_unit_test(test_below),
                                       cmocka_unit_test(test_intervals)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
