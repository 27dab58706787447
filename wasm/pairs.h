/* Header maps as the ABI serializes them: u32 count, count x (u32 key length, u32 value length),
 * then key, NUL, value, NUL for each, little-endian. [any] thread.
 * Source: proxy-wasm ABI 0.2.1 "Serialized map". */
#ifndef WASM_PAIRS_H
#define WASM_PAIRS_H

#include "http/headers.h"

/* 0 for an empty map. */
size_t pairs_size(const struct headers *h);
/* dst holds pairs_size bytes. */
void pairs_encode(const struct headers *h, char *dst);
/* Adds the pairs to h, names in lower case. False, and h as it was, when the bytes are not a
 * serialized map, or too large, or hold a name or value that no header may have. */
bool pairs_decode(struct str s, struct headers *h);
/* May a guest set this header? Names are tokens or known pseudo headers, whose values have no
 * blanks: what goes out on a connection must not be splittable. */
bool pairs_is_header(struct str name, struct str value);

#endif
