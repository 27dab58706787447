/* Proto3 JSON by message descriptors: bootstrap, TypedStruct, REST, admin. Reads snake_case and
 * camelCase, Duration also as an object (Envoy's bootstraps have it); writes snake_case and leaves
 * defaults out. Bounded in depth and count. [any] thread. */
#ifndef PROTO_JSON_H
#define PROTO_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <jansson.h>
#include <protobuf-c/protobuf-c.h>

#include "base/err.h"
#include "base/str.h"
#include "proto/pb.h"

/* Parses JSON text (UTF-8, no NUL, no duplicate keys, at most a million values). The caller
 * releases it with json_decref. Errors name line and column. */
int pb_json_load(const char *text, size_t n, json_t **json_r, struct error *err);
/* Message from JSON; unknown may be NULL. Errors name the path: "admin.address.foo: unknown field".
 */
int pb_from_json(const json_t *json, const ProtobufCMessageDescriptor *desc, struct pb_arena *a,
                 const struct pb_unknown *unknown, ProtobufCMessage **msg_r, struct error *err);
/* JSON from a message (a new reference); NULL when it is nested too deep or an Any's payload is
 * malformed. An Any of unknown type is shown as {"@type": ..., "value": base64}. */
json_t *pb_to_json(const ProtobufCMessage *msg, struct error *err);
/* Text of a JSON value: members in the order written, numbers short. mem_free it. */
char *pb_json_text(const json_t *json, bool is_pretty, size_t *n_r);

#endif
