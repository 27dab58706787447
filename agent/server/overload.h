/* Measures resources and sets the levels of what is done about them. [main]
 * Source: Envoy's OverloadManagerImpl. */
#ifndef SERVER_OVERLOAD_H
#define SERVER_OVERLOAD_H

#include "conf/overload.h"
#include "net/loop.h"

struct overload;

/* conf outlives it. */
struct overload *overload_create(struct loop *loop, const struct conf_overload *conf);
void overload_destroy(struct overload **o);

/* A trigger's level (0 to OVERLOAD_FULL) at a pressure. */
uint32_t overload_level_of(const struct conf_overload_trigger *t, double pressure);
/* Share of the cgroup's memory in use, page cache that can be dropped left out; root: where the
 * hierarchy is mounted. 0 without a limit; max: another one (0 none). */
double overload_cgroup_pressure(const char *root, uint64_t max);

#endif
