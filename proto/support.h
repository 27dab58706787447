/* What we do about each field of each message (support.tsv): implemented, harmless to ignore, or
 * refused when set. A field that is not in the table is refused. [any] thread. */
#ifndef PROTO_SUPPORT_H
#define PROTO_SUPPORT_H

#include <protobuf-c/protobuf-c.h>

#include "base/err.h"
#include "proto/pb.h"

enum support_status { SUPPORT_REFUSED, SUPPORT_HARMLESS, SUPPORT_IMPLEMENTED };

struct support_opts {
    /* Fields of numbers that the message does not declare; NULL: they are an error. path names
     * the field as "filter_chains[0].#999". */
    void (*on_unknown)(void *arg, const char *path);
    void *arg;
};

/* Walks a message through its implemented fields and into Any payloads of known types. The first
 * refused field that is set fails with -ERR_UNSUPPORTED and its path:
 * "filter_chains[2].filters[0].typed_config.foo: not supported". opts may be NULL.
 */
int support_check(const ProtobufCMessage *msg, const struct support_opts *opts, struct error *err);
/* Status of one field; refused for unknown names. */
enum support_status support_find(const ProtobufCMessageDescriptor *desc, const char *field);

#endif
