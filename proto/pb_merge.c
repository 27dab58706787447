/* Merging one message into another, as protobuf's MergeFrom does. protobuf-c merges only while
 * parsing, and fails there on a oneof that neither side has set. */
#include <string.h>

#include "proto/pb.h"
#include "proto/reflect.h"

static int merge_repeated(ProtobufCMessage *to, const ProtobufCMessage *from,
                          const ProtobufCFieldDescriptor *f, struct pb_arena *a)
{
    size_t size = reflect_size(f), n = reflect_count(to, f), more = reflect_count(from, f);
    char **list = reflect_at(to, f->offset);
    char *joined = pb_arena_alloc(a, (n + more) * size);
    if (!joined)
        return -ERR_LIMIT;
    if (n)
        memcpy(joined, *list, n * size);
    memcpy(joined + n * size, *(char **)reflect_at(from, f->offset), more * size);
    *list = joined;
    *(size_t *)reflect_at(to, f->quantifier_offset) = n + more;
    return 0;
}

static int merge_field(ProtobufCMessage *to, const ProtobufCMessage *from,
                       const ProtobufCFieldDescriptor *f, struct pb_arena *a)
{
    if (f->label == PROTOBUF_C_LABEL_REPEATED)
        return merge_repeated(to, from, f, a);
    if (f->type == PROTOBUF_C_TYPE_MESSAGE && reflect_is_set(to, f))
        return pb_merge(*(ProtobufCMessage **)reflect_at(to, f->offset),
                        *(ProtobufCMessage **)reflect_at(from, f->offset), a);
    memcpy(reflect_at(to, f->offset), reflect_at(from, f->offset), reflect_size(f));
    if (reflect_is_oneof(f))
        *(uint32_t *)reflect_at(to, f->quantifier_offset) = f->id;
    return 0;
}

int pb_merge(ProtobufCMessage *to, const ProtobufCMessage *from, struct pb_arena *a)
{
    for (unsigned i = 0; i < from->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &from->descriptor->fields[i];
        int rc = reflect_is_set(from, f) ? merge_field(to, from, f, a) : 0;
        if (rc)
            return rc;
    }
    return 0;
}
