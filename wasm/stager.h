/* The stager: one thread (nice 19) that does what takes milliseconds and must not be done on
 * main or on a worker: hashing, unboxing, compiling, starting and disposing of VMs.
 *
 * A job belongs to whoever adds it until it is added and again from `done` on, which frees it.
 * [main] except where noted. */
#ifndef WASM_STAGER_H
#define WASM_STAGER_H

#include <stdbool.h>

#include "base/err.h"
#include "base/list.h"

struct loop;
struct stager;

enum stager_class {
    STAGER_WORK,
    STAGER_DISPOSAL /* done when nothing else waits, and always before the stager is gone */
};

struct stager_job {
    struct list node;
    void (*run)(struct stager_job *job); /* [stager] */
    /* Frees the job. is_dropped: the stager is being destroyed (run may not have happened). */
    void (*done)(struct stager_job *job, bool is_dropped);
};

int stager_create(struct loop *loop, struct stager **s_r, struct error *err);
/* Waits for the running job, drops the queued work, finishes the disposals. What is added later
 * is dropped at once, disposals are done on the caller's thread. */
void stager_stop(struct stager *s);
/* Stops it first if need be. */
void stager_destroy(struct stager **s);
/* The job must have its functions set and its node may hold anything. */
void stager_add(struct stager *s, enum stager_class c, struct stager_job *job);
/* Frees something on the stager: fn(arg) runs there. */
void stager_dispose(struct stager *s, void (*fn)(void *arg), void *arg);

#endif
