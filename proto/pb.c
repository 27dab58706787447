#include "proto/pb.h"

#include <string.h>

#include "base/mem.h"

enum { BLOCK_SIZE = 256 * 1024, ALIGN = 8 };

struct pb_block {
    struct pb_block *next;
    size_t size, used; /* of bytes[] */
    char bytes[];
};

size_t pb_budget(size_t n)
{
    return n < PB_ARENA_MIN / 8 ? (size_t)PB_ARENA_MIN : n * 8;
}

static struct pb_block *take_block(struct pb_arena *a, size_t n)
{
    struct pb_block **spare = &a->spare;
    while (*spare && (*spare)->size < n)
        spare = &(*spare)->next;
    struct pb_block *b = *spare;
    if (b) {
        *spare = b->next;
    } else {
        /* Small arenas (one message on its own) stay small; the step grows with use. */
        size_t size = a->used < BLOCK_SIZE ? BLOCK_SIZE / 16 : BLOCK_SIZE;
        if (size < n)
            size = n;
        b = mem_alloc(sizeof(*b) + size);
        b->size = size;
    }
    b->used = 0;
    b->next = a->blocks;
    a->blocks = b;
    return b;
}

void *pb_arena_alloc(struct pb_arena *a, size_t n)
{
    if (n > a->budget - a->used || n > SIZE_MAX / 2) {
        a->is_exceeded = true;
        return NULL;
    }
    n = (n + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    struct pb_block *b = a->blocks;
    if (!b || b->size - b->used < n)
        b = take_block(a, n);
    void *p = b->bytes + b->used;
    b->used += n;
    a->used = n > a->budget - a->used ? a->budget : a->used + n;
    return p;
}

char *pb_arena_strndup(struct pb_arena *a, const char *s, size_t n)
{
    char *p = pb_arena_alloc(a, n + 1);
    if (p) {
        memcpy(p, s, n);
        p[n] = '\0';
    }
    return p;
}

static void *allocator_alloc(void *arena, size_t n)
{
    return pb_arena_alloc(arena, n);
}

/* Single objects are not given back; the arena goes as a whole. */
static void allocator_free(void *arena, void *p)
{
    (void)arena;
    (void)p;
}

void pb_arena_init(struct pb_arena *a, size_t budget)
{
    *a = (struct pb_arena){
        .allocator = {.alloc = allocator_alloc, .free = allocator_free, .allocator_data = a},
        .budget = budget};
}

static void free_blocks(struct pb_block *b)
{
    while (b) {
        struct pb_block *next = b->next;
        mem_free(b);
        b = next;
    }
}

void pb_arena_reset(struct pb_arena *a, size_t budget)
{
    struct pb_block *lists[] = {a->blocks, a->spare};
    size_t kept = 0;
    a->blocks = a->spare = NULL;
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        for (struct pb_block *b = lists[i], *next; b; b = next) {
            next = b->next;
            if (kept + b->size > PB_ARENA_RETAIN) {
                mem_free(b);
                continue;
            }
            kept += b->size;
            b->next = a->spare;
            a->spare = b;
        }
    }
    a->used = 0;
    a->budget = budget;
    a->is_exceeded = false;
}

void pb_arena_fini(struct pb_arena *a)
{
    free_blocks(a->blocks);
    free_blocks(a->spare);
    a->blocks = a->spare = NULL;
    a->used = 0;
}

int pb_unpack(const ProtobufCMessageDescriptor *desc, const void *bytes, size_t n,
              struct pb_arena *a, ProtobufCMessage **msg_r, struct error *err)
{
    int rc = pb_check(desc, bytes, n, a->budget - a->used, err);
    *msg_r = NULL;
    if (rc)
        return rc;
    *msg_r = protobuf_c_message_unpack(desc, &a->allocator, n, n ? bytes : (const void *)"");
    if (*msg_r)
        return 0;
    if (a->is_exceeded)
        return error_set(err, ERR_LIMIT, "%s takes more than %zu bytes of memory", desc->name,
                         a->budget);
    return error_set(err, ERR_INVALID, "malformed %s", desc->name);
}

void pb_pack(const ProtobufCMessage *msg, struct buf *out)
{
    size_t n = protobuf_c_message_get_packed_size(msg);
    if (n)
        buf_commit(out, protobuf_c_message_pack(msg, (uint8_t *)buf_reserve(out, n)));
}

ProtobufCMessage *pb_new(const ProtobufCMessageDescriptor *desc, struct pb_arena *a)
{
    ProtobufCMessage *m = pb_arena_alloc(a, desc->sizeof_message);
    if (m)
        protobuf_c_message_init(desc, m);
    return m;
}
