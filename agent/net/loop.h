/* Event loop: one per thread, epoll underneath, edge-triggered. Everything that belongs to a loop
 * is touched by its thread only; other threads speak to it through its mailbox.
 *
 * Descriptors are registered once for reading and writing (edge-triggered), so no epoll_ctl is
 * spent when a stream pauses; users remember that they are readable or writable.
 * Timers are kept in one FIFO per duration: starting, stopping and re-arming are stores; odd
 * durations share the same machinery. The clock is read once per turn. */
#ifndef NET_LOOP_H
#define NET_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/list.h"

struct loop;

struct loop_io {
    int fd;
    /* events: EPOLLIN, EPOLLOUT, EPOLLRDHUP, EPOLLHUP, EPOLLERR. The object may not be freed
     * inside: use loop_defer. */
    void (*on_event)(struct loop_io *io, uint32_t events);
};

struct loop_timer {
    struct list node;
    struct loop *loop;
    uint64_t due_us;
    void (*on_timer)(struct loop_timer *t);
};

/* Runs at the end of the current turn; may be embedded in the object it frees. */
struct loop_task {
    struct loop_task *next;
    bool is_queued;
    void (*run)(struct loop_task *t);
};

/* A message posted from any thread and run by the loop's thread; embedded in the sender's heap
 * object, which `run` frees. */
struct loop_msg {
    struct loop_msg *next;
    void (*run)(struct loop_msg *m);
};

int loop_create(struct loop **loop_r, struct error *err);
void loop_destroy(struct loop **loop); /* runs what is left in the mailbox first */
/* Runs what the mailbox holds, without waiting: for the end, when the loop runs no more. */
void loop_run_messages(struct loop *loop);
/* Runs until loop_stop. */
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop); /* own thread, or by message */

int loop_add(struct loop *loop, struct loop_io *io); /* 0 or -ERR_IO */
/* Level-triggered read only: for descriptors that others read (eventfd, signalfd, listen). */
int loop_add_listen(struct loop *loop, struct loop_io *io);
/* Forgets io (before closing its fd); pending events of this turn are dropped. */
void loop_del(struct loop *loop, struct loop_io *io);

void loop_timer_init(struct loop_timer *t, struct loop *loop,
                     void (*on_timer)(struct loop_timer *t));
/* (Re)starts; one shot. */
void loop_timer_start(struct loop_timer *t, uint64_t delay_ms);
void loop_timer_stop(struct loop_timer *t); /* idempotent */
bool loop_timer_is_on(const struct loop_timer *t);

void loop_defer(struct loop *loop, struct loop_task *t);
/* [any] thread, lock-free. Order is kept per sender. */
void loop_post(struct loop *loop, struct loop_msg *m);

uint64_t loop_now_us(const struct loop *loop); /* monotonic, of this turn */
/* The caller has worked for long: timers that it starts begin now, not with the turn. */
void loop_refresh_now(struct loop *loop);
uint64_t loop_wall_ns(const struct loop *loop); /* wall clock of this turn */

#endif
