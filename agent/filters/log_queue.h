/* Lines of one worker for one file, on their way to the thread that writes them. No lock: a list of
 * segments, of which the worker fills the last and the writer empties the first. Lines stay whole
 * and in order. Bounded in bytes. */
#ifndef FILTERS_LOG_QUEUE_H
#define FILTERS_LOG_QUEUE_H

#include <stdbool.h>

#include "base/str.h"

struct log_queue;

/* size_max: bytes that may wait. [any] */
struct log_queue *log_queue_create(size_t size_max);
void log_queue_destroy(struct log_queue **q); /* nobody uses it any more */

/* [worker] False: the line does not fit, and is dropped. */
bool log_queue_add(struct log_queue *q, struct str line);
/* [any] Bytes that wait. */
size_t log_queue_size(const struct log_queue *q);

/* [writer] The next whole lines, empty when there are none. They hold until log_queue_skip. */
struct str log_queue_peek(struct log_queue *q);
/* [writer] Forgets what was peeked last. */
void log_queue_skip(struct log_queue *q);

#endif
