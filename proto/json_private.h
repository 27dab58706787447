/* Between json_read.c and json_known.c. */
#ifndef PROTO_JSON_PRIVATE_H
#define PROTO_JSON_PRIVATE_H

#include <jansson.h>

#include "proto/json.h"
#include "proto/reflect.h"

struct json_reader {
    struct pb_arena *arena;
    const struct pb_unknown *unknown;
    struct error *err;
    unsigned depth;
    struct reflect_path path;
};

/* Sets the error with the path before it and returns the negative code. */
int json_fail(struct json_reader *r, enum err code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Arena memory; NULL after json_fail. */
void *json_alloc(struct json_reader *r, size_t n);
/* Fills a fresh message of any type. */
int json_read_message(struct json_reader *r, const json_t *json, ProtobufCMessage *msg);
/* Fills a message from the members of an object; "@type" is skipped where an Any has it. */
int json_read_object(struct json_reader *r, const json_t *json, ProtobufCMessage *msg,
                     bool skips_type);
/* Writes a value to the memory of a field's element. */
int json_read_value(struct json_reader *r, const json_t *json, const ProtobufCFieldDescriptor *f,
                    void *at);
int json_read_scalar(struct json_reader *r, const json_t *json, const ProtobufCFieldDescriptor *f,
                     void *at);

/* Reads one of the types with a JSON form of their own; NULL for every other type. */
typedef int json_known_fn(struct json_reader *r, const json_t *json, ProtobufCMessage *msg);
json_known_fn *json_find_known(const ProtobufCMessageDescriptor *desc);

#endif
