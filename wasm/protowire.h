/* The least of protobuf's wire format, for the few messages that reach wasm/ as bytes. [any]
 * Source: protobuf encoding guide. */
#ifndef WASM_PROTOWIRE_H
#define WASM_PROTOWIRE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

enum { PROTOWIRE_VARINT = 0, PROTOWIRE_FIXED64 = 1, PROTOWIRE_BYTES = 2, PROTOWIRE_FIXED32 = 5 };

struct protowire_field {
    uint32_t number, type;
    uint64_t value;   /* varint, fixed */
    struct str bytes; /* PROTOWIRE_BYTES */
};

/* Takes the next field out of *s; false at the end or when malformed (then s->n is not 0). */
bool protowire_next(struct str *s, struct protowire_field *f);
/* Last occurrence of a length-delimited field, as protobuf merges scalars. */
bool protowire_find(struct str s, uint32_t number, struct str *bytes_r);

#endif
