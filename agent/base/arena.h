/* Arena: many small allocations freed at once; one per stream, per decoded message, per config
 * object. Owned by whoever embeds it; one thread at a time. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stddef.h>

struct arena_block;

struct arena {
    struct arena_block *blocks; /* newest first */
    size_t block_size;          /* bytes asked from the heap at a time */
    size_t total;               /* bytes handed out since init or reset */
};

/* block_size 0 means 4 KiB. No memory is taken before the first allocation. */
void arena_init(struct arena *a, size_t block_size);
void arena_fini(struct arena *a);
/* Overwrites all that was handed out: before arena_fini, where secrets were kept. */
void arena_wipe(struct arena *a);
/* Forgets every allocation but keeps one block for reuse. */
void arena_reset(struct arena *a);
/* 16-byte aligned, never NULL. */
void *arena_alloc(struct arena *a, size_t n);
void *arena_zalloc(struct arena *a, size_t n);
char *arena_strndup(struct arena *a, const char *s, size_t n);
char *arena_strdup(struct arena *a, const char *s);
char *arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
