/* A module's bytes, shared by reference while they travel from the network or the disk through
 * verification to the compiler. Immutable once shared. [any] thread. */
#ifndef WASM_BLOB_H
#define WASM_BLOB_H

#include <stddef.h>
#include <stdint.h>

struct blob {
    int refs; /* atomic */
    size_t n;
    uint8_t *p;
};

/* Takes p (from mem_alloc), n bytes; one reference. */
struct blob *blob_take(void *p, size_t n);
struct blob *blob_copy(const void *p, size_t n);
struct blob *blob_ref(struct blob *b);
/* NULL stays NULL; sets *b to NULL. */
void blob_unref(struct blob **b);

#endif
