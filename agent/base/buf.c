#include "base/buf.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"

enum { POOL_MAX = 64 };

static __thread char *pool[POOL_MAX];
static __thread unsigned pool_n;

static char *block_get(void)
{
    return pool_n ? pool[--pool_n] : mem_alloc(BUF_BLOCK);
}

static void mem_put(char *mem, size_t cap)
{
    if (cap == BUF_BLOCK && pool_n < POOL_MAX)
        pool[pool_n++] = mem;
    else
        mem_free(mem);
}

void buf_pool_drain(void)
{
    while (pool_n)
        mem_free(pool[--pool_n]);
}

char *buf_reserve(struct buf *b, size_t n)
{
    if (b->cap - b->off - b->len >= n)
        return b->mem + b->off + b->len;
    if (b->cap - b->len >= n && b->off >= b->len) {
        memmove(b->mem, b->mem + b->off, b->len);
        b->off = 0;
        return b->mem + b->len;
    }
    size_t cap = BUF_BLOCK;
    while (cap < b->len + n)
        cap *= 2;
    char *mem = cap == BUF_BLOCK ? block_get() : mem_alloc(cap);
    if (b->len)
        memcpy(mem, b->mem + b->off, b->len);
    if (b->mem)
        mem_put(b->mem, b->cap);
    b->mem = mem;
    b->cap = cap;
    b->off = 0;
    return b->mem + b->len;
}

void buf_commit(struct buf *b, size_t n)
{
    assert(n <= b->cap - b->off - b->len);
    b->len += n;
}

void buf_add(struct buf *b, const void *p, size_t n)
{
    if (!n)
        return;
    memcpy(buf_reserve(b, n), p, n);
    b->len += n;
}

void buf_adds(struct buf *b, struct str s)
{
    buf_add(b, s.p, s.n);
}

void buf_prepend(struct buf *b, const void *p, size_t n)
{
    if (b->off >= n) {
        b->off -= n;
        memcpy(b->mem + b->off, p, n);
        b->len += n;
        return;
    }
    struct buf tail = *b;
    *b = (struct buf){0};
    buf_add(b, p, n);
    buf_move(b, &tail);
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    char none[2]; /* gcc's sanitizers take NULL for a mistake */
    int n = vsnprintf(none, sizeof(none), fmt, ap);
    va_end(ap);
    vsnprintf(buf_reserve(b, (size_t)n + 1), (size_t)n + 1, fmt, again);
    va_end(again);
    b->len += (size_t)n;
}

void buf_consume(struct buf *b, size_t n)
{
    assert(n <= b->len);
    b->off += n;
    b->len -= n;
    buf_trim(b);
}

void buf_trim(struct buf *b)
{
    if (b->len)
        return;
    if (b->mem)
        mem_put(b->mem, b->cap);
    *b = (struct buf){0};
}

void buf_move(struct buf *dst, struct buf *src)
{
    if (!dst->len) {
        struct buf spare = *dst;
        *dst = *src;
        *src = spare;
        buf_trim(src);
        return;
    }
    buf_move_n(dst, src, src->len);
}

void buf_move_n(struct buf *dst, struct buf *src, size_t n)
{
    if (!n)
        return;
    buf_add(dst, src->mem + src->off, n);
    buf_consume(src, n);
}

void buf_fini(struct buf *b)
{
    if (b->mem)
        mem_put(b->mem, b->cap);
    *b = (struct buf){0};
}
