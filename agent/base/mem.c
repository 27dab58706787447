#include "base/mem.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void die_of_memory(size_t n)
{
    fprintf(stderr, "remora: out of memory (%zu bytes)\n", n);
    abort();
}

void *mem_alloc(size_t n)
{
    void *p = malloc(n ? n : 1);
    if (!p)
        die_of_memory(n);
    return p;
}

void *mem_zalloc(size_t n)
{
    void *p = calloc(1, n ? n : 1);
    if (!p)
        die_of_memory(n);
    return p;
}

void *mem_realloc(void *old, size_t n)
{
    void *p = realloc(old, n ? n : 1);
    if (!p)
        die_of_memory(n);
    return p;
}

void *mem_dup(const void *p, size_t n)
{
    void *copy = mem_alloc(n);
    if (n)
        memcpy(copy, p, n);
    return copy;
}

char *mem_strdup(const char *s)
{
    return mem_strndup(s, strlen(s));
}

char *mem_strndup(const char *s, size_t n)
{
    char *copy = mem_alloc(n + 1);
    if (n)
        memcpy(copy, s, n);
    copy[n] = 0;
    return copy;
}

void mem_free(void *p)
{
    free(p);
}

void mem_grow(void **p, size_t *cap, size_t need, size_t elem_size)
{
    if (need <= *cap)
        return;
    size_t n = *cap ? *cap * 2 : 8;
    if (n < need)
        n = need;
    if (n > SIZE_MAX / elem_size)
        die_of_memory(SIZE_MAX);
    *p = mem_realloc(*p, n * elem_size);
    *cap = n;
}
