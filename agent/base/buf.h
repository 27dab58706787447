/* Byte queue: written at the tail, consumed at the head, contiguous in between. Empty buffers
 * hold no memory: 16 KiB blocks are borrowed from a per-thread pool and go back when drained.
 * Owned by whoever embeds it; one thread at a time (a drained buffer may change thread). */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

enum { BUF_BLOCK = 16384 };

struct buf {
    char *mem;
    size_t cap, off, len;
};

static inline char *buf_head(const struct buf *b)
{
    return b->mem ? b->mem + b->off : NULL;
}

static inline struct str buf_str(const struct buf *b)
{
    return (struct str){b->mem ? b->mem + b->off : "", b->len};
}

/* Makes room for n more bytes and returns where they go; buf_commit says how many came. */
char *buf_reserve(struct buf *b, size_t n);
void buf_commit(struct buf *b, size_t n);
void buf_add(struct buf *b, const void *p, size_t n);
void buf_adds(struct buf *b, struct str s);
void buf_prepend(struct buf *b, const void *p, size_t n);
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Drops n bytes (n <= len) from the head; returns the memory when nothing is left. */
void buf_consume(struct buf *b, size_t n);
/* Moves all (or the first n) bytes of src to the end of dst; swaps memory when dst is empty. */
void buf_move(struct buf *dst, struct buf *src);
void buf_move_n(struct buf *dst, struct buf *src, size_t n);
/* Returns reserved but unused memory of an empty buffer. */
void buf_trim(struct buf *b);
void buf_fini(struct buf *b);
/* Frees this thread's pool; at thread end. */
void buf_pool_drain(void);

#endif
