#include "filters/log_queue.h"

#include <string.h>

#include "base/mem.h"

enum { SEGMENT_SIZE = 16 * 1024 };

struct segment {
    struct segment *next; /* set by the worker when it is done with this one */
    size_t filled;        /* set by the worker, after the bytes */
    size_t size;
    char data[];
};

struct log_queue {
    size_t size_max;
    size_t added; /* bytes ever; written by the worker */
    struct segment *last;
    char apart[64]; /* what one thread writes to is in no cache line of the other's */
    size_t removed;
    struct segment *first;
    size_t done, peeked; /* bytes of the first segment: written, and peeked at */
};

static struct segment *segment_create(size_t size)
{
    struct segment *s = mem_alloc(sizeof(*s) + size);
    *s = (struct segment){.size = size};
    return s;
}

struct log_queue *log_queue_create(size_t size_max)
{
    struct log_queue *q = mem_alloc(sizeof(*q));
    *q = (struct log_queue){.size_max = size_max};
    q->first = q->last = segment_create(0); /* takes no line: the first one makes the next */
    return q;
}

void log_queue_destroy(struct log_queue **queue)
{
    struct log_queue *q = *queue;
    if (!q)
        return;
    for (struct segment *s = q->first, *next; s; s = next) {
        next = s->next;
        mem_free(s);
    }
    mem_free(q);
    *queue = NULL;
}

size_t log_queue_size(const struct log_queue *q)
{
    size_t removed = __atomic_load_n(&q->removed, __ATOMIC_RELAXED);
    return __atomic_load_n(&q->added, __ATOMIC_RELAXED) - removed;
}

bool log_queue_add(struct log_queue *q, struct str line)
{
    struct segment *s = q->last;
    if (line.n > q->size_max || log_queue_size(q) > q->size_max - line.n)
        return false;
    if (s->size - s->filled < line.n) {
        s = segment_create(line.n > SEGMENT_SIZE ? line.n : SEGMENT_SIZE);
        __atomic_store_n(&q->last->next, s, __ATOMIC_RELEASE);
        q->last = s;
    }
    if (line.n)
        memcpy(s->data + s->filled, line.p, line.n);
    __atomic_store_n(&q->added, q->added + line.n, __ATOMIC_RELAXED);
    __atomic_store_n(&s->filled, s->filled + line.n, __ATOMIC_RELEASE);
    return true;
}

struct str log_queue_peek(struct log_queue *q)
{
    for (;;) {
        struct segment *s = q->first;
        /* In this order: once there is a next one, `filled` does not change any more. */
        struct segment *next = __atomic_load_n(&s->next, __ATOMIC_ACQUIRE);
        size_t filled = __atomic_load_n(&s->filled, __ATOMIC_ACQUIRE);
        if (filled > q->done) {
            q->peeked = filled - q->done;
            return (struct str){s->data + q->done, q->peeked};
        }
        if (!next)
            return STR_NULL;
        q->first = next;
        q->done = 0;
        mem_free(s);
    }
}

void log_queue_skip(struct log_queue *q)
{
    q->done += q->peeked;
    __atomic_store_n(&q->removed, q->removed + q->peeked, __ATOMIC_RELAXED);
    q->peeked = 0;
}
