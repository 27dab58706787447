/* Takes a Wasm module out of gzip and tar wrappings, however they are nested, within bounds:
 * hostile archives fail with a text, they never fill the memory. Only the header bytes of what
 * is inside are looked at; nothing is parsed as Wasm. [any] thread. */
#ifndef WASM_UNBOX_H
#define WASM_UNBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct unbox_limits {
    uint64_t size_max;    /* bytes of any layer once unpacked */
    unsigned ratio_max;   /* unpacked / packed bytes, of all layers together */
    unsigned nesting_max; /* layers of gzip or tar */
};

extern const struct unbox_limits unbox_limits_default; /* 256 MiB, 200, 3 */

/* member: base name of the tar entry that is wanted ("plugin.wasm"), NULL: the first regular
 * file. Without any wrapping *out_r is NULL: the input is the module. Otherwise *out_r, *out_n_r
 * are the unpacked bytes (mem_free). Errors: ERR_LIMIT, ERR_INVALID, ERR_NOT_FOUND; the result
 * starts with the Wasm magic bytes in every successful case. */
int unbox_module(const uint8_t *in, size_t n, const char *member, const struct unbox_limits *limits,
                 uint8_t **out_r, size_t *out_n_r, struct error *err);

bool unbox_is_wasm(const uint8_t *p, size_t n);

/* Finds a regular file in a POSIX tar; the result points into it. member as above. */
int unbox_tar_find(const uint8_t *tar, size_t n, const char *member, const uint8_t **file_r,
                   size_t *file_n_r, struct error *err);

#endif
