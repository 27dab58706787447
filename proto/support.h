/* What we do about each field of each message (support.tsv): implemented, harmless to ignore, or
 * refused when set. A field that is not in the table is refused. [any] thread. */
#ifndef PROTO_SUPPORT_H
#define PROTO_SUPPORT_H

#include <protobuf-c/protobuf-c.h>

#include "base/err.h"
#include "proto/pb.h"

enum support_status { SUPPORT_REFUSED, SUPPORT_HARMLESS, SUPPORT_IMPLEMENTED };

/* Walks a message through its implemented fields and into Any payloads of known types. The first
 * refused field that is set fails with -ERR_UNSUPPORTED and its path:
 * "filter_chains[2].filters[0].typed_config.foo: not supported". Undeclared fields
 * go to unknown, NULL refuses them too. */
int support_check(const ProtobufCMessage *msg, const struct pb_unknown *unknown, struct error *err);
/* Status of one field; refused for unknown names. */
enum support_status support_find(const ProtobufCMessageDescriptor *desc, const char *field);

#endif
