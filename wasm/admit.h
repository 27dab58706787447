/* Admission of a module to the proxy: its sections are counted against the limits, its ABI marker
 * is looked for, its memory and table maxima are lowered to the plugin's cap, and a digest that is
 * new to this process is compiled and instantiated once in a child with memory and time limits.
 * [stager], blocks. */
#ifndef WASM_ADMIT_H
#define WASM_ADMIT_H

#include <stdint.h>

#include "base/err.h"
#include "wasm/blob.h"

/* memory_max: bytes of linear memory. *admitted_r: what may be compiled (one reference). */
int admit_module(struct blob *module, uint64_t memory_max, struct blob **admitted_r,
                 struct error *err);

#endif
