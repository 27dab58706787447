/* Deadlines without an engine: the target only notes who is killed when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "wasm/watchdog.h"

enum { MS = 1000000 };

struct target {
    _Atomic int is_running; /* set while the call is on */
    _Atomic unsigned kills, kills_outside;
};

static _Atomic int kill_takes_ms;

static void sleep_ms(int ms)
{
    struct timespec t = {ms / 1000, (long)(ms % 1000) * MS};
    nanosleep(&t, NULL);
}

static void on_kill(void *arg)
{
    struct target *t = arg;
    unsigned outside = !t->is_running;
    if (kill_takes_ms)
        sleep_ms(kill_takes_ms);
    outside += !t->is_running;
    t->kills_outside += outside;
    t->kills++;
}

static void burn(uint64_t ns)
{
    uint64_t end = clock_thread_cpu_ns() + ns;
    while (clock_thread_cpu_ns() < end)
        ;
}

static bool run_call(struct target *t, uint64_t limit_ns, uint64_t work_ns)
{
    struct watchdog_slot *s = watchdog_slot();
    t->is_running = 1;
    watchdog_start(s, t, limit_ns);
    burn(work_ns);
    bool was_killed = watchdog_stop(s);
    t->is_running = 0;
    return was_killed;
}

static void test_kills_what_runs_too_long(void **state)
{
    (void)state;
    struct target t = {.is_running = 1};
    uint64_t give_up = clock_thread_cpu_ns() + 3000ull * MS; /* the machine may be busy */
    watchdog_start(watchdog_slot(), &t, 4 * MS);
    while (!watchdog_is_killed(watchdog_slot()) && clock_thread_cpu_ns() < give_up)
        ;
    assert_true(watchdog_stop(watchdog_slot()));
    t.is_running = 0;
    assert_int_equal(t.kills, 1);
    assert_false(run_call(&t, 40 * MS, 1 * MS));
    sleep_ms(60);
    assert_int_equal(t.kills, 1);
    assert_int_equal(t.kills_outside, 0);
}

static void test_waiting_is_not_cpu_time(void **state)
{
    (void)state;
    struct target t = {.is_running = 1};
    watchdog_start(watchdog_slot(), &t, 20 * MS);
    sleep_ms(150);
    assert_false(watchdog_is_killed(watchdog_slot()));
    assert_false(watchdog_stop(watchdog_slot()));
    assert_int_equal(t.kills, 0);
}

static void test_running_call_can_ask(void **state)
{
    (void)state;
    struct target t = {.is_running = 1};
    uint64_t give_up = clock_thread_cpu_ns() + 2000ull * MS;
    watchdog_start(watchdog_slot(), &t, 2 * MS);
    while (!watchdog_is_killed(watchdog_slot()) && clock_thread_cpu_ns() < give_up)
        ;
    assert_true(watchdog_is_killed(watchdog_slot()));
    assert_true(watchdog_stop(watchdog_slot()));
    assert_false(watchdog_is_killed(watchdog_slot()));
}

struct racer {
    pthread_t thread;
    struct target target;
    unsigned rounds, killed;
};

/* Calls that end about when their deadline does: some are killed, some not, and every kill must
 * fall into its own call, never between two or into the next. */
static void *race(void *arg)
{
    struct racer *r = arg;
    unsigned seed = (unsigned)(uintptr_t)r;
    for (unsigned i = 0; i < r->rounds; i++)
        r->killed += run_call(&r->target, 1 * MS, (uint64_t)(rand_r(&seed) % 3000) * 1000);
    return NULL;
}

static void race_all(unsigned rounds, int kill_ms)
{
    enum { RACERS = 4 };
    static struct racer racers[RACERS];
    memset(racers, 0, sizeof(racers));
    kill_takes_ms = kill_ms;
    for (int i = 0; i < RACERS; i++) {
        racers[i].rounds = rounds;
        pthread_create(&racers[i].thread, NULL, race, &racers[i]);
    }
    unsigned killed = 0;
    for (int i = 0; i < RACERS; i++) {
        pthread_join(racers[i].thread, NULL);
        assert_int_equal(racers[i].target.kills, racers[i].killed);
        assert_int_equal(racers[i].target.kills_outside, 0);
        killed += racers[i].killed;
    }
    kill_takes_ms = 0;
    assert_true(killed > 0);
    assert_true(killed < rounds * RACERS);
}

static void test_kill_never_hits_another_call(void **state)
{
    (void)state;
    race_all(400, 0);
    race_all(100, 2);
}

/* Voluntary context switches of the thread called "watchdog". */
static long watchdog_switches(void)
{
    DIR *d = opendir("/proc/self/task");
    long found = -1;
    for (struct dirent *e; d && (e = readdir(d));) {
        char path[300], line[200];
        snprintf(path, sizeof(path), "/proc/self/task/%s/status", e->d_name);
        FILE *f = fopen(path, "r");
        bool is_dog = false;
        while (f && fgets(line, sizeof(line), f)) {
            is_dog = is_dog || strcmp(line, "Name:\twatchdog\n") == 0;
            if (is_dog)
                sscanf(line, "voluntary_ctxt_switches: %ld", &found);
        }
        if (f)
            fclose(f);
    }
    closedir(d);
    return found;
}

static void test_sleeps_while_nothing_runs(void **state)
{
    (void)state;
    struct target t = {0};
    run_call(&t, 100 * MS, 0);
    sleep_ms(300);
    long before = watchdog_switches();
    assert_true(before > 0);
    sleep_ms(300);
    assert_int_equal(watchdog_switches(), before);
    assert_true(run_call(&t, 2 * MS, 100 * MS)); /* and wakes up again */
}

static int open_dog(void **state)
{
    (void)state;
    watchdog_open(on_kill);
    return 0;
}

static int close_dog(void **state)
{
    (void)state;
    watchdog_close();
    return 0;
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kills_what_runs_too_long),
        cmocka_unit_test(test_waiting_is_not_cpu_time),
        cmocka_unit_test(test_running_call_can_ask),
        cmocka_unit_test(test_kill_never_hits_another_call),
        cmocka_unit_test(test_sleeps_while_nothing_runs),
    };
    return cmocka_run_group_tests_name("watchdog", tests, open_dog, close_dog);
}
