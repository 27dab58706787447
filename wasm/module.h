/* A module's bytes before V8 sees them: its sections counted against limits, its ABI marker found,
 * and the maxima of its memory and tables lowered to a plugin's cap. V8's own flags are
 * process-wide, and V8 aborts the process where hostile modules exhaust it.
 *
 * [any] thread. Source: WebAssembly core specification 2.0, chapter 5; proxy-wasm ABI versions. */
#ifndef WASM_MODULE_H
#define WASM_MODULE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct module_limits {
    uint32_t functions; /* defined and imported */
    uint32_t exports, globals;
    uint32_t params;     /* of one function type; the same for its results */
    uint32_t locals;     /* of one function, without its parameters */
    uint32_t body_bytes; /* of one function */
    uint32_t tables;     /* defined and imported */
    uint32_t table_sum;  /* elements that all tables start with */
    uint32_t data_segments, element_segments;
    uint32_t element_bytes; /* of the element section: an element takes at least one */
    uint32_t custom_sections;
};

extern const struct module_limits module_default_limits;

enum module_abi { MODULE_ABI_UNKNOWN, MODULE_ABI_0_1_0, MODULE_ABI_0_2_0, MODULE_ABI_0_2_1 };

struct module_info {
    enum module_abi abi; /* the first marker among the exports */
    uint32_t functions, exports, globals, tables, table_sum;
    uint32_t data_segments, element_segments, custom_sections;
    uint32_t memory_min_pages; /* 0 also when there is no memory */
};

/* Walks all sections. Errors: ERR_INVALID malformed, ERR_LIMIT naming the limit, and ERR_INVALID
 * "Missing or unknown Proxy-Wasm ABI version". info_r may be NULL. */
int module_check(const void *bytes, size_t n, const struct module_limits *limits,
                 struct module_info *info_r, struct error *err);
const char *module_abi_name(enum module_abi abi); /* "0.2.1" */

struct module_caps {
    uint32_t memory_pages;   /* of the memory, 64 KiB each */
    uint32_t table_elements; /* of each table */
};

/* Appends the module to out with the maximum of each memory and table, defined or imported, set to
 * the cap where it is absent or above, and without the custom sections whose name contains
 * "precompiled_". ERR_LIMIT when the module starts with more than its cap; then out holds
 * nothing. Digests are checked before: the bytes change. */
int module_rewrite(const void *bytes, size_t n, const struct module_caps *caps, struct sbuf *out,
                   struct error *err);

#endif
