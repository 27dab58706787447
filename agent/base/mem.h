/* Heap allocation that never returns NULL: running out of memory for small objects aborts.
 * Sizes chosen by outsiders are bounded by the caller first.
 * [any] thread. Memory is released with mem_free. */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>

#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

void *mem_alloc(size_t n);
void *mem_zalloc(size_t n);
void *mem_realloc(void *p, size_t n);
void *mem_dup(const void *p, size_t n);
char *mem_strdup(const char *s);
char *mem_strndup(const char *s, size_t n);
void mem_free(void *p);

/* Grows the array *p of elements of elem_size bytes so that it holds at least `need` elements;
 * *cap is its capacity in elements. */
void mem_grow(void **p, size_t *cap, size_t need, size_t elem_size);

#define MEM_NEW(type) ((type *)mem_zalloc(sizeof(type)))

#endif
