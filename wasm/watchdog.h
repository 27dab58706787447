/* Deadlines of guest calls, in CPU time of the thread that makes the call. One watchdog thread per
 * process; it sleeps while no call is running anywhere.
 *
 * A call is started by two stores into a slot of the calling thread. The watchdog, not the caller,
 * reads the thread's CPU clock: it takes its first sight of a call as the start, so a call may run
 * up to one tick (a quarter of its limit, at most WATCHDOG_TICK_MAX_NS) longer than its limit.
 *
 * Handshake: the slot's word holds the call's sequence number and a phase. The watchdog kills only
 * after swapping (seq, RUNNING) for (seq, KILLING), and says so with (seq, KILLED) when its kill
 * has returned. watchdog_stop swaps (seq, RUNNING) for (seq, IDLE); if that fails it waits for
 * KILLED. So a kill always falls into the call it is meant for, and the target outlives it. */
#ifndef WASM_WATCHDOG_H
#define WASM_WATCHDOG_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { WATCHDOG_TICK_MAX_NS = 25000000, WATCHDOG_TICK_MIN_NS = 500000 };

struct watchdog_slot;

/* [main] kill(target) is called on the watchdog thread; it must be quick and may not call back. */
void watchdog_open(void (*kill)(void *target));
/* Joins the thread; no call may be running. */
void watchdog_close(void);

/* The calling thread's slot, made at first use and released when the thread ends. */
struct watchdog_slot *watchdog_slot(void);
/* [the slot's thread] limit_ns is not 0. One call at a time per slot. */
void watchdog_start(struct watchdog_slot *s, void *target, uint64_t limit_ns);
/* Ends the call. True: it was killed, and the kill is over. */
bool watchdog_stop(struct watchdog_slot *s);
/* For long host functions: was the running call killed? [the slot's thread] */
bool watchdog_is_killed(const struct watchdog_slot *s);

#ifdef __cplusplus
}
#endif
#endif
