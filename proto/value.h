/* Reading google.protobuf's Duration, wrappers, Struct and maps out of decoded messages. Pointers
 * returned point into the message. [any] thread. */
#ifndef PROTO_VALUE_H
#define PROTO_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "google/protobuf/duration.pb-c.h"
#include "google/protobuf/struct.pb-c.h"
#include "google/protobuf/timestamp.pb-c.h"
#include "google/protobuf/wrappers.pb-c.h"

/* Duration in range (0 to 10,000 years, nanos below a second); NULL reads as def_ms. A
 * positive duration below a millisecond counts as one, since 0 often means "off". */
int pb_duration_ms(const Google__Protobuf__Duration *d, uint64_t def_ms, uint64_t *ms_r,
                   struct error *err);
/* The same in nanoseconds; over 292 years is -ERR_LIMIT. */
int pb_duration_ns(const Google__Protobuf__Duration *d, uint64_t def_ns, uint64_t *ns_r,
                   struct error *err);

/* Wrapper messages; NULL reads as def. */
static inline uint32_t pb_u32(const Google__Protobuf__UInt32Value *w, uint32_t def)
{
    return w ? w->value : def;
}

static inline uint64_t pb_u64(const Google__Protobuf__UInt64Value *w, uint64_t def)
{
    return w ? w->value : def;
}

static inline int64_t pb_i64(const Google__Protobuf__Int64Value *w, int64_t def)
{
    return w ? w->value : def;
}

static inline bool pb_bool(const Google__Protobuf__BoolValue *w, bool def)
{
    return w ? w->value : def;
}

static inline double pb_double(const Google__Protobuf__DoubleValue *w, double def)
{
    return w ? w->value : def;
}

static inline const char *pb_string(const Google__Protobuf__StringValue *w, const char *def)
{
    return w ? w->value : def;
}

/* Entry of a map field with string keys, cast by the caller to its Entry type; NULL when absent.
 * Of equal keys the last one counts, as protobuf has it. */
void *pb_map_find(void *entries, size_t n, const char *key);
#define PB_MAP_FIND(msg, field, key) pb_map_find((msg)->field, (msg)->n_##field, key)

/* Value of a key, NULL when absent; s may be NULL. */
const Google__Protobuf__Value *pb_struct_get(const Google__Protobuf__Struct *s, const char *key);
/* NULL unless the key holds a value of that kind. */
const char *pb_struct_string(const Google__Protobuf__Struct *s, const char *key);
const Google__Protobuf__Struct *pb_struct_struct(const Google__Protobuf__Struct *s,
                                                 const char *key);
bool pb_struct_bool(const Google__Protobuf__Struct *s, const char *key, bool def);
double pb_struct_number(const Google__Protobuf__Struct *s, const char *key, double def);

#endif
