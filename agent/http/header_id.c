/* Well-known header names by hashing. The table is filled from HDR_MAP before main, so a name
 * added there is found without a second list to keep in step. */
#include <assert.h>

#include "base/mem.h"
#include "http/chars.h"
#include "http/headers.h"

enum { SLOTS = 256 };

static const struct str names[HDR_COUNT] = {[HDR_OTHER] = {"", 0},
#define X(id, text) [HDR_##id] = {(text), sizeof(text) - 1},
                                            HDR_MAP(X)
#undef X
};

static struct slot {
    const char *name;
    uint32_t n; /* 0: free */
    uint32_t id;
} slots[SLOTS];

static_assert(HDR_COUNT < SLOTS / 2, "probing needs free slots");

static inline unsigned slot_of(struct str s)
{
    const unsigned char *p = (const unsigned char *)s.p;
    return (unsigned)(p[0] + p[s.n - 1] * 9u + p[s.n / 2] * 31u + s.n * 5u) & (SLOTS - 1);
}

__attribute__((constructor)) static void fill_slots(void)
{
    for (unsigned id = 1; id < HDR_COUNT; id++) {
        unsigned i = slot_of(names[id]);
        while (slots[i].n)
            i = (i + 1) & (SLOTS - 1);
        slots[i] = (struct slot){names[id].p, (uint32_t)names[id].n, id};
    }
}

enum hdr header_id(struct str lower_name)
{
    if (!lower_name.n)
        return HDR_OTHER;
    for (unsigned i = slot_of(lower_name); slots[i].n; i = (i + 1) & (SLOTS - 1))
        if (slots[i].n == lower_name.n && chars_eq(slots[i].name, lower_name.p, lower_name.n))
            return (enum hdr)slots[i].id;
    return HDR_OTHER;
}

struct str header_id_name(enum hdr id)
{
    return names[id];
}
