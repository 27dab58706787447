#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "net/loop.h"

enum { WORK_MS = 60, TIMER_MS = 30 };

struct work {
    struct loop *loop;
    struct loop_task task;
    struct loop_msg wake;
    struct loop_timer timer;
    bool refreshes;
    uint64_t begin_us, end_us;
};

static uint64_t now_us(void)
{
    return clock_mono_ns() / 1000;
}

/* Works for longer than the timer that it starts then. */
static void do_work(struct loop_task *t)
{
    struct work *w = container_of(t, struct work, task);
    uint64_t end_us = now_us() + WORK_MS * 1000;
    while (now_us() < end_us)
        ;
    if (w->refreshes)
        loop_refresh_now(w->loop);
    w->begin_us = now_us();
    loop_timer_start(&w->timer, TIMER_MS);
    loop_post(w->loop, &w->wake); /* the next turn does not wait */
}

static void do_nothing(struct loop_msg *m)
{
    (void)m;
}

static void on_timer(struct loop_timer *t)
{
    struct work *w = container_of(t, struct work, timer);
    w->end_us = now_us();
    loop_stop(w->loop);
}

static uint64_t run_ms(bool refreshes)
{
    struct error err;
    struct work w = {.task.run = do_work, .wake.run = do_nothing, .refreshes = refreshes};
    assert_int_equal(loop_create(&w.loop, &err), 0);
    loop_timer_init(&w.timer, w.loop, on_timer);
    loop_defer(w.loop, &w.task);
    loop_run(w.loop);
    loop_destroy(&w.loop);
    return (w.end_us - w.begin_us) / 1000;
}

static void test_timers_after_long_work(void **state)
{
    (void)state;
    assert_true(run_ms(true) >= TIMER_MS - 1);
    assert_true(run_ms(false) < TIMER_MS - 1); /* began with the turn, and is over */
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_timers_after_long_work)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
