#include "base/hash.h"

#include <sys/random.h>
#include <xxhash.h>

#include "base/mem.h"

static char deleted_mark[1];

static uint64_t seed;

__attribute__((constructor)) static void init_seed(void)
{
    if (getrandom(&seed, sizeof(seed), 0) != (ssize_t)sizeof(seed))
        seed = (uint64_t)(uintptr_t)&seed;
}

uint64_t hash_bytes(const void *p, size_t n)
{
    return XXH3_64bits_withSeed(p, n, seed);
}

uint64_t hash_xx64(const void *p, size_t n, uint64_t s)
{
    return XXH64(p, n, s);
}

void hash_fini(struct hash *t)
{
    for (size_t i = 0; i < t->cap; i++)
        if (t->slots[i].key && t->slots[i].key != deleted_mark)
            mem_free(t->slots[i].key);
    mem_free(t->slots);
    *t = (struct hash){0};
}

static struct hash_entry *find_slot(const struct hash *t, struct str key, uint64_t h)
{
    if (!t->cap)
        return NULL;
    for (size_t i = h & (t->cap - 1);; i = (i + 1) & (t->cap - 1)) {
        struct hash_entry *e = &t->slots[i];
        if (!e->key)
            return NULL;
        if (e->key != deleted_mark && e->h == h && e->key_len == key.n &&
            memcmp(e->key, key.p ? key.p : "", key.n) == 0)
            return e;
    }
}

void *hash_find(const struct hash *t, struct str key)
{
    struct hash_entry *e = find_slot(t, key, hash_bytes(key.p, key.n));
    return e ? e->value : NULL;
}

const char *hash_key(const struct hash *t, struct str key)
{
    struct hash_entry *e = find_slot(t, key, hash_bytes(key.p, key.n));
    return e ? e->key : NULL;
}

static void rehash(struct hash *t)
{
    struct hash old = *t;
    size_t cap = 16;
    while (cap < old.used * 2)
        cap *= 2;
    t->slots = mem_zalloc(cap * sizeof(*t->slots));
    t->cap = cap;
    t->filled = old.used;
    for (size_t i = 0; i < old.cap; i++) {
        struct hash_entry *e = &old.slots[i];
        if (!e->key || e->key == deleted_mark)
            continue;
        size_t at = e->h & (cap - 1);
        while (t->slots[at].key)
            at = (at + 1) & (cap - 1);
        t->slots[at] = *e;
    }
    mem_free(old.slots);
}

void *hash_set(struct hash *t, struct str key, void *value)
{
    uint64_t h = hash_bytes(key.p, key.n);
    struct hash_entry *e = find_slot(t, key, h);
    if (e) {
        void *old = e->value;
        e->value = value;
        return old;
    }
    if ((t->filled + 1) * 4 > t->cap * 3)
        rehash(t);
    size_t at = h & (t->cap - 1);
    while (t->slots[at].key && t->slots[at].key != deleted_mark)
        at = (at + 1) & (t->cap - 1);
    if (!t->slots[at].key)
        t->filled++;
    t->slots[at] = (struct hash_entry){mem_strndup(key.p, key.n), key.n, h, value};
    t->used++;
    return NULL;
}

void *hash_remove(struct hash *t, struct str key)
{
    struct hash_entry *e = find_slot(t, key, hash_bytes(key.p, key.n));
    if (!e)
        return NULL;
    void *old = e->value;
    mem_free(e->key);
    e->key = deleted_mark;
    e->value = NULL;
    t->used--;
    return old;
}

struct hash_entry *hash_next(const struct hash *t, size_t *it)
{
    while (*it < t->cap) {
        struct hash_entry *e = &t->slots[(*it)++];
        if (e->key && e->key != deleted_mark)
            return e;
    }
    return NULL;
}
