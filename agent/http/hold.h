/* A snapshot as one worker holds it: one atomic reference for the worker, and a plain count of
 * the streams and sessions that began with it. [worker] */
#ifndef HTTP_HOLD_H
#define HTTP_HOLD_H

#include "conf/snapshot.h"
#include "http/filter.h"

struct snapshot_hold {
    struct snapshot *snapshot; /* owned reference */
    size_t users;
};

/* The snapshot now in force; released by each stream with hold_release. */
struct snapshot_hold *hold_take(struct filter_env *env);
void hold_release(struct filter_env *env, struct snapshot_hold *h);
/* Puts another snapshot in force (takes its own reference; NULL at the end of the worker). */
void hold_switch(struct filter_env *env, struct snapshot *s);

#endif
