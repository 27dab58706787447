#include "wasm/blob.h"

#include "base/mem.h"

struct blob *blob_take(void *p, size_t n)
{
    struct blob *b = MEM_NEW(struct blob);
    *b = (struct blob){1, n, p};
    return b;
}

struct blob *blob_copy(const void *p, size_t n)
{
    return blob_take(mem_dup(p, n), n);
}

struct blob *blob_ref(struct blob *b)
{
    __atomic_fetch_add(&b->refs, 1, __ATOMIC_RELAXED);
    return b;
}

void blob_unref(struct blob **bp)
{
    struct blob *b = *bp;
    *bp = NULL;
    if (!b || __atomic_sub_fetch(&b->refs, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    mem_free(b->p);
    mem_free(b);
}
