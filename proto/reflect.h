/* Reading and writing fields of a decoded message by its descriptor. Inside proto/ only. */
#ifndef PROTO_REFLECT_H
#define PROTO_REFLECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <protobuf-c/protobuf-c.h>

/* Bytes one element takes in memory. */
static inline size_t reflect_size(const ProtobufCFieldDescriptor *f)
{
    switch (f->type) {
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return 8;
    case PROTOBUF_C_TYPE_BOOL:
        return sizeof(protobuf_c_boolean);
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE:
        return sizeof(void *);
    case PROTOBUF_C_TYPE_BYTES:
        return sizeof(ProtobufCBinaryData);
    default:
        return 4;
    }
}

static inline void *reflect_at(const void *msg, unsigned offset)
{
    return (char *)(uintptr_t)msg + offset;
}

static inline size_t reflect_count(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
    return *(size_t *)reflect_at(m, f->quantifier_offset);
}

/* Address of element i of a repeated field; of the field itself when it is singular. */
static inline void *reflect_elem(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f,
                                 size_t i)
{
    void *p = reflect_at(m, f->offset);
    return f->label == PROTOBUF_C_LABEL_REPEATED ? *(char **)p + i * reflect_size(f) : p;
}

static inline bool reflect_is_oneof(const ProtobufCFieldDescriptor *f)
{
    return f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF;
}

/* Member of a oneof that is chosen, repeated with elements, message present, or a scalar that
 * differs from its default: what proto3 would write. */
static inline bool reflect_is_set(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
    static const char zero[8];
    const void *p = reflect_at(m, f->offset);
    if (f->label == PROTOBUF_C_LABEL_REPEATED)
        return reflect_count(m, f) > 0;
    if (reflect_is_oneof(f) && *(uint32_t *)reflect_at(m, f->quantifier_offset) != f->id)
        return false;
    switch (f->type) {
    case PROTOBUF_C_TYPE_MESSAGE:
        return *(void *const *)p != NULL;
    case PROTOBUF_C_TYPE_STRING:
        return reflect_is_oneof(f) || (*(char *const *)p && **(char *const *)p);
    case PROTOBUF_C_TYPE_BYTES:
        return reflect_is_oneof(f) || ((const ProtobufCBinaryData *)p)->len > 0;
    default:
        return reflect_is_oneof(f) || memcmp(p, zero, reflect_size(f)) != 0;
    }
}

/* Whether a repeated field is a map, by the shape and name that protoc gives entry types
 * (proto/generate makes sure that no other message looks so). */
bool reflect_is_map(const ProtobufCMessageDescriptor *parent, const ProtobufCFieldDescriptor *f);

/* Where a walk stands, for error texts: "listeners[2].filter_chains[0]". Cut when too long. */
struct reflect_path {
    char text[512];
    size_t n;
};

/* Appends ".name" and, unless index is negative, "[index]"; returns the length to pop to. */
size_t reflect_push(struct reflect_path *p, const char *name, long index);
static inline void reflect_pop(struct reflect_path *p, size_t n)
{
    p->n = n;
    p->text[n] = '\0';
}

/* Name as proto3 JSON spells it (camelCase); false when it does not fit. */
bool reflect_json_name(const char *name, char *out, size_t cap);

/* UTF-8 without NUL, as proto3 strings have to be. */
bool reflect_is_text(const uint8_t *p, size_t n);

#endif
