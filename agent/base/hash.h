/* Hash table from byte strings to pointers, seeded per process so that outsiders cannot aim at
 * one bucket. The table copies keys and does not own values. One thread at a time. */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

struct hash_entry {
    char *key; /* NUL-terminated copy; NULL: free or deleted slot */
    size_t key_len;
    uint64_t h;
    void *value;
};

struct hash {
    struct hash_entry *slots;
    size_t cap, used, filled;
};

/* Zero-initialised is an empty table. */
void hash_fini(struct hash *t);
void *hash_find(const struct hash *t, struct str key); /* NULL when absent */
/* The table's own copy of a key, for as long as it stands there; NULL when absent. */
const char *hash_key(const struct hash *t, struct str key);
/* Sets key to value (not NULL) and returns the value that stood there before, or NULL. */
void *hash_set(struct hash *t, struct str key, void *value);
/* Returns the removed value or NULL. */
void *hash_remove(struct hash *t, struct str key);
/* Iteration: size_t it = 0; while ((e = hash_next(t, &it))) ...; removing the current entry is
 * allowed, adding is not. Order is arbitrary. */
struct hash_entry *hash_next(const struct hash *t, size_t *it);
static inline size_t hash_count(const struct hash *t)
{
    return t->used;
}

/* Seeded hash of bytes (XXH3); differs from process to process. */
uint64_t hash_bytes(const void *p, size_t n);
/* Unseeded XXH64, for ring positions, version gauges and unchanged-resource checks. */
uint64_t hash_xx64(const void *p, size_t n, uint64_t seed);

#endif
