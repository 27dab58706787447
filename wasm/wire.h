/* Reading WebAssembly's binary format: a cursor that never leaves its bytes. All readers return
 * false at a malformed or cut value and leave the cursor where it is unusable: stop then.
 * [any] thread. Source: WebAssembly core specification 2.0, chapter 5. */
#ifndef WASM_WIRE_H
#define WASM_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

enum {
    WIRE_CUSTOM,
    WIRE_TYPE,
    WIRE_IMPORT,
    WIRE_FUNCTION,
    WIRE_TABLE,
    WIRE_MEMORY,
    WIRE_GLOBAL,
    WIRE_EXPORT,
    WIRE_START,
    WIRE_ELEMENT,
    WIRE_CODE,
    WIRE_DATA,
    WIRE_DATA_COUNT,
    WIRE_SECTION_COUNT
};

enum wire_kind { WIRE_KIND_FUNC, WIRE_KIND_TABLE, WIRE_KIND_MEMORY, WIRE_KIND_GLOBAL };

struct wire {
    const uint8_t *p, *end;
};

struct wire_section {
    unsigned id;
    const uint8_t *start; /* of the whole section, its id byte */
    struct wire body;
    struct str name; /* custom sections; body stands behind it */
};

/* Limits of a table or a memory. */
struct wire_limits {
    uint32_t min, max;
    bool has_max;
    uint8_t flags;
};

/* "\0asm" and version 1; the cursor then stands at the first section. */
bool wire_open(struct wire *w, const void *bytes, size_t n);
bool wire_u8(struct wire *w, uint8_t *value_r);
bool wire_u32(struct wire *w, uint32_t *value_r);
bool wire_skip(struct wire *w, size_t n);
/* A length and that many bytes, borrowed. */
bool wire_name(struct wire *w, struct str *name_r);
bool wire_limits(struct wire *w, struct wire_limits *limits_r);
/* The next section; false at the end (w->p == w->end) and when malformed (w->p != w->end). */
bool wire_next_section(struct wire *w, struct wire_section *section_r);

/* Letter of a value type as signatures use it: i l f d, x v128, r funcref, e externref; 0 for
 * anything else. */
char wire_type_letter(uint8_t type);

#endif
