/* What loop.c and timer.c share. */
#ifndef NET_LOOP_PRIVATE_H
#define NET_LOOP_PRIVATE_H

#include <stddef.h>

#include "net/loop.h"

/* One FIFO of timers per duration: deadlines in it only grow towards the tail, because a timer
 * that is started goes to the tail. */
struct timer_queue {
    struct timer_queue *next; /* in its slot */
    uint64_t delay_us;
    struct list timers;
};

enum { TIMER_SLOTS = 64 };

struct timers {
    struct timer_queue *slots[TIMER_SLOTS]; /* hashed by duration */
    struct timer_queue **all;
    size_t n, cap;
};

void timers_fini(struct timers *t);
/* Milliseconds until the next timer is due, -1 for none. */
int timers_wait_ms(const struct timers *t, uint64_t now_us);
void timers_run(struct timers *t, uint64_t now_us);

struct loop {
    int epoll_fd;
    struct loop_io wake; /* eventfd */
    bool is_stopped;
    uint64_t now_us;
    uint64_t wall_ns; /* of this turn; 0: not read yet */
    struct timers timers;
    struct loop_task *tasks, **tasks_tail;
    struct loop_msg *inbox; /* atomic; newest first */
    struct epoll_event *events;
    int events_n, events_at;
};

#endif
