#include "wasm/watchdog.h"

#include <assert.h>
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/mem.h"

enum phase { PHASE_IDLE, PHASE_RUNNING, PHASE_KILLING, PHASE_KILLED, PHASE_MASK = 3 };
enum { SEQ_STEP = PHASE_MASK + 1 };

/* Ticks without any new call before the watchdog sleeps: a call costs the caller a wake-up only
 * after a quiet spell, and an idle process is not woken at all. */
enum { QUIET_TICKS = 2 };

struct watchdog_slot {
    _Atomic uint64_t word; /* sequence number and phase */
    _Atomic uint64_t limit_ns;
    void *_Atomic target;
    clockid_t cpu_clock;
    struct list node;
    /* The watchdog's own notes. */
    uint64_t seen_word, cpu_at_sight_ns, limit_at_sight_ns;
};

static struct {
    pthread_mutex_t lock; /* slots */
    struct list slots;
    pthread_t thread;
    pthread_key_t slot_key;
    void (*kill)(void *target);
    _Atomic uint32_t is_asleep, is_closing;
} dog = {.lock = PTHREAD_MUTEX_INITIALIZER};

static __thread struct watchdog_slot *thread_slot;

static void futex_wake(_Atomic uint32_t *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void futex_wait(_Atomic uint32_t *word, uint32_t while_value)
{
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, while_value, NULL, NULL, 0);
}

static uint64_t cpu_ns(clockid_t clock)
{
    struct timespec t;
    if (clock_gettime(clock, &t) != 0)
        return 0;
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void kill_call(struct watchdog_slot *s, uint64_t running)
{
    /* The target belongs to this call only while the word says so: read it before, use it after
     * the swap has fixed the call in place. */
    void *target = atomic_load(&s->target);
    if (!atomic_compare_exchange_strong(&s->word, &running, (running & ~3ull) | PHASE_KILLING))
        return;
    dog.kill(target);
    atomic_store(&s->word, (running & ~3ull) | PHASE_KILLED);
}

/* Looks at one slot. Returns how long it may be left alone, UINT64_MAX when it is idle. */
static uint64_t look(struct watchdog_slot *s, bool *is_new_r)
{
    uint64_t word = atomic_load(&s->word);
    if (word != s->seen_word) {
        s->seen_word = word;
        *is_new_r = true;
        if ((word & PHASE_MASK) == PHASE_RUNNING) {
            s->limit_at_sight_ns = atomic_load(&s->limit_ns);
            s->cpu_at_sight_ns = cpu_ns(s->cpu_clock);
        }
    }
    if ((word & PHASE_MASK) != PHASE_RUNNING)
        return UINT64_MAX;
    /* limit_at_sight may belong to a later call if this one ended meanwhile; then the word has
     * changed too and the swap in kill_call fails. */
    uint64_t used = cpu_ns(s->cpu_clock) - s->cpu_at_sight_ns;
    if (used < s->limit_at_sight_ns) {
        uint64_t left = s->limit_at_sight_ns - used;
        uint64_t quarter = s->limit_at_sight_ns / 4;
        return left < quarter ? left : quarter;
    }
    kill_call(s, word);
    return UINT64_MAX;
}

static uint64_t look_at_all(bool *is_new_r)
{
    uint64_t next = UINT64_MAX;
    pthread_mutex_lock(&dog.lock);
    list_for_each (it, &dog.slots) {
        uint64_t n = look(container_of(it, struct watchdog_slot, node), is_new_r);
        if (n < next)
            next = n;
    }
    pthread_mutex_unlock(&dog.lock);
    return next;
}

static void sleep_ns(uint64_t ns)
{
    if (ns > WATCHDOG_TICK_MAX_NS)
        ns = WATCHDOG_TICK_MAX_NS;
    if (ns < WATCHDOG_TICK_MIN_NS)
        ns = WATCHDOG_TICK_MIN_NS;
    struct timespec t = {0, (long)ns};
    nanosleep(&t, NULL);
}

static void *watch(void *arg)
{
    (void)arg;
    pthread_setname_np(pthread_self(), "watchdog");
    unsigned quiet = 0;
    while (!atomic_load(&dog.is_closing)) {
        bool is_new = false;
        uint64_t next = look_at_all(&is_new);
        quiet = is_new || next != UINT64_MAX ? 0 : quiet + 1;
        if (quiet < QUIET_TICKS) {
            sleep_ns(next);
            continue;
        }
        /* Announce sleep, then look again: a caller stores its word before it reads is_asleep. */
        atomic_store(&dog.is_asleep, 1);
        is_new = false;
        if (look_at_all(&is_new) == UINT64_MAX && !is_new && !atomic_load(&dog.is_closing))
            futex_wait(&dog.is_asleep, 1);
        atomic_store(&dog.is_asleep, 0);
        quiet = 0;
    }
    return NULL;
}

static void release_slot(void *arg)
{
    struct watchdog_slot *s = arg;
    assert((atomic_load(&s->word) & PHASE_MASK) == PHASE_IDLE);
    pthread_mutex_lock(&dog.lock);
    list_del(&s->node);
    pthread_mutex_unlock(&dog.lock);
    mem_free(s);
}

void watchdog_open(void (*kill)(void *target))
{
    dog.kill = kill;
    list_init(&dog.slots);
    atomic_store(&dog.is_closing, 0);
    int rc = pthread_key_create(&dog.slot_key, release_slot);
    if (rc == 0)
        rc = pthread_create(&dog.thread, NULL, watch, NULL);
    assert(rc == 0);
    (void)rc;
}

void watchdog_close(void)
{
    atomic_store(&dog.is_closing, 1);
    atomic_store(&dog.is_asleep, 0);
    futex_wake(&dog.is_asleep);
    pthread_join(dog.thread, NULL);
}

struct watchdog_slot *watchdog_slot(void)
{
    if (thread_slot)
        return thread_slot;
    struct watchdog_slot *s = MEM_NEW(struct watchdog_slot);
    int rc = pthread_getcpuclockid(pthread_self(), &s->cpu_clock);
    assert(rc == 0);
    (void)rc;
    pthread_mutex_lock(&dog.lock);
    list_add_tail(&dog.slots, &s->node);
    pthread_mutex_unlock(&dog.lock);
    pthread_setspecific(dog.slot_key, s);
    thread_slot = s;
    return s;
}

void watchdog_start(struct watchdog_slot *s, void *target, uint64_t limit_ns)
{
    uint64_t word = atomic_load_explicit(&s->word, memory_order_relaxed);
    assert((word & PHASE_MASK) == PHASE_IDLE);
    atomic_store_explicit(&s->limit_ns, limit_ns, memory_order_relaxed);
    atomic_store_explicit(&s->target, target, memory_order_relaxed);
    /* Sequentially consistent against the watchdog's "announce sleep, then look again". */
    atomic_exchange(&s->word, ((word & ~3ull) + SEQ_STEP) | PHASE_RUNNING);
    if (atomic_load(&dog.is_asleep) && atomic_exchange(&dog.is_asleep, 0))
        futex_wake(&dog.is_asleep);
}

bool watchdog_stop(struct watchdog_slot *s)
{
    uint64_t word = atomic_load_explicit(&s->word, memory_order_relaxed);
    uint64_t seq = word & ~3ull;
    uint64_t running = seq | PHASE_RUNNING;
    if (atomic_compare_exchange_strong(&s->word, &running, seq | PHASE_IDLE))
        return false;
    while ((atomic_load(&s->word) & PHASE_MASK) != PHASE_KILLED)
        sched_yield();
    atomic_store(&s->word, seq | PHASE_IDLE);
    return true;
}

bool watchdog_is_killed(const struct watchdog_slot *s)
{
    return (atomic_load_explicit(&s->word, memory_order_relaxed) & PHASE_MASK) >= PHASE_KILLING;
}
