/* Time. Monotonic for intervals, wall clock for people. [any] thread. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

uint64_t clock_mono_ns(void);
uint64_t clock_wall_ns(void);       /* since the Unix epoch */
uint64_t clock_thread_cpu_ns(void); /* CPU time of the calling thread */

/* "2016-04-15T20:17:00.310Z" of a wall time; dst holds at least 32 bytes. */
void clock_format_utc_ms(uint64_t wall_ns, char *dst);

#endif
