/* Protobuf messages from outside, safely: protobuf-c has no limit on depth, grows its input sixty
 * times and takes NUL and broken UTF-8 in strings, so every unpack goes through pb_unpack. What
 * it returns lives in a struct pb_arena and dies with it. One thread at a time per arena. */
#ifndef PROTO_PB_H
#define PROTO_PB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <protobuf-c/protobuf-c.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "google/protobuf/any.pb-c.h"

enum {
    PB_DEPTH_MAX = 100,               /* nested messages, as in other protobuf runtimes */
    PB_ARENA_MIN = 16 * 1024 * 1024,  /* least budget pb_budget gives */
    PB_ARENA_RETAIN = 2 * 1024 * 1024 /* bytes of blocks that a reset keeps */
};

struct pb_block;

/* Who hears of fields that a message type does not declare. Where none is given such a field is an
 * error. path ("listeners[0].foo", "node.#99") is valid during the call. */
struct pb_unknown {
    void (*on_unknown)(void *arg, const char *path);
    void *arg;
};

struct pb_arena {
    ProtobufCAllocator allocator;
    struct pb_block *blocks, *spare; /* in use, newest first; kept by a reset */
    size_t used, budget;             /* bytes; what would exceed the budget is refused */
    bool is_exceeded;                /* an allocation was refused since init or reset */
    /* For TypedStructs decoded into this arena; NULL after init, kept by a reset. */
    const struct pb_unknown *unknown;
};

/* Memory that decoding n bytes of input may take: eight times, at least PB_ARENA_MIN. */
size_t pb_budget(size_t n);
/* Takes no memory before the first allocation. The arena must not move while in use. */
void pb_arena_init(struct pb_arena *a, size_t budget);
/* Forgets every allocation, keeps PB_ARENA_RETAIN bytes of blocks and sets a new budget. */
void pb_arena_reset(struct pb_arena *a, size_t budget);
void pb_arena_fini(struct pb_arena *a);
/* 8-byte aligned; NULL when the budget is used up. */
void *pb_arena_alloc(struct pb_arena *a, size_t n);
char *pb_arena_strndup(struct pb_arena *a, const char *s, size_t n);

/* Checks wire bytes against a message type without decoding: depth, memory need, wire types, UTF-8,
 * no NUL in strings. Errors name the field: "endpoints[3].lb_endpoints[0].metadata: ...". */
int pb_check(const ProtobufCMessageDescriptor *desc, const void *bytes, size_t n, size_t mem_max,
             struct error *err);
/* Checks, then decodes into the arena. -ERR_INVALID for malformed bytes, -ERR_LIMIT for too deep
 * or too large ones. The bytes need not outlive the call. */
int pb_unpack(const ProtobufCMessageDescriptor *desc, const void *bytes, size_t n,
              struct pb_arena *a, ProtobufCMessage **msg_r, struct error *err);
/* Merges `from` into `to`, a message of the same type in the arena, as protobuf's MergeFrom does:
 * repeated fields are joined, messages merged, the rest overwritten. Parts of `from` are shared.
 * -ERR_LIMIT when the budget is used up. */
int pb_merge(ProtobufCMessage *to, const ProtobufCMessage *from, struct pb_arena *a);
/* Appends the encoded message. */
void pb_pack(const ProtobufCMessage *msg, struct buf *out);
/* A fresh message with default values; NULL when the budget is used up. */
ProtobufCMessage *pb_new(const ProtobufCMessageDescriptor *desc, struct pb_arena *a);

/* Message type by full name ("google.protobuf.Any"), NULL when unknown. */
const ProtobufCMessageDescriptor *pb_find(struct str full_name);
/* The part of a type URL after its last slash; STR_NULL when there is no slash. */
struct str pb_type_name(const char *type_url);
const ProtobufCMessageDescriptor *pb_find_url(const char *type_url);
/* Full name of what an Any holds; looks inside a TypedStruct of either package without decoding
 * its value. Points into the Any. "" for an empty or malformed one. */
struct str pb_any_type(const Google__Protobuf__Any *any);
/* Decodes what an Any holds. A TypedStruct becomes the message it names. -ERR_NOT_FOUND when
 * the type is unknown. any may be NULL (-ERR_INVALID). */
int pb_any_unpack(const Google__Protobuf__Any *any, struct pb_arena *a, ProtobufCMessage **msg_r,
                  struct error *err);
/* The same, refusing every type but desc. */
int pb_any_unpack_as(const Google__Protobuf__Any *any, const ProtobufCMessageDescriptor *desc,
                     struct pb_arena *a, ProtobufCMessage **msg_r, struct error *err);
/* Encodes msg into a new Any with the prefix type.googleapis.com/; NULL over the budget. */
Google__Protobuf__Any *pb_any_pack(const ProtobufCMessage *msg, struct pb_arena *a);

#endif
