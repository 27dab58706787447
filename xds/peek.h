/* One string out of an encoded message, without decoding the rest: the name of a resource, or what
 * is needed to refuse a response that does not decode. [any] */
#ifndef XDS_PEEK_H
#define XDS_PEEK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

/* The string field `id` of the message (the last one wins, as in every decoder); "" when it is
 * absent. False when the members are malformed, or the string is not UTF-8 or holds a NUL: *r is
 * then what had been found before the fault. */
bool peek_string(struct str msg, uint32_t id, struct str *r);

/* Length of the longest prefix that is UTF-8 without NUL. */
size_t peek_utf8(struct str s);

#endif
