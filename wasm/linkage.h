/* What a module imports and exports, with types, read from its bytes. V8's API names neither
 * signatures nor limits, and error texts and type checks of exports need them.
 * Owned by whoever embeds it; immutable after linkage_parse, then for [any] thread. */
#ifndef WASM_LINKAGE_H
#define WASM_LINKAGE_H

#include "base/arena.h"
#include "base/err.h"
#include "wasm/wire.h"

#ifdef __cplusplus
extern "C" {
#endif

struct linkage_import {
    const char *module, *name;
    enum wire_kind kind;
    const char *sig;           /* functions: "iil:i" */
    struct wire_limits limits; /* tables and memories */
    uint8_t elem_type;         /* tables */
};

struct linkage_export {
    const char *name;
    enum wire_kind kind;
    const char *sig; /* functions; NULL otherwise */
};

struct linkage {
    struct linkage_import *imports;
    size_t import_count;
    struct linkage_export *exports;
    size_t export_count;
    struct arena arena;
};

/* bytes may be freed after. On an error nothing is held. */
int linkage_parse(const void *bytes, size_t n, struct linkage *l_r, struct error *err);
void linkage_fini(struct linkage *l);
/* NULL when there is no such export. */
const struct linkage_export *linkage_find_export(const struct linkage *l, const char *name);
/* "i32 i32 -> i32" as Envoy's messages have it ("void" for nothing); cut to size. */
void linkage_format_sig(const char *sig, char *dst, size_t size);

#ifdef __cplusplus
}
#endif
#endif
