/* The host glue: a small WebAssembly module between a guest and the host's Fast API functions. It
 * imports them raw, and exports for each a function of the type the guest imports, which raises
 * traps and, for functions that hand bytes to the guest, calls the guest's allocator. So a fast
 * callback never has to enter V8 again.
 *
 * Imports, all from module GLUE_MODULE: "0".."n-1" the functions in the order of `used` (result
 * i32 always), "begin" (i32)->i32 called before the allocator, "commit" (i32 i32 i32)->i32.
 * Exports: "0".."n-1", and GLUE_TABLE, whose slot 0 takes the guest's allocator. [any] thread. */
#ifndef WASM_GLUE_H
#define WASM_GLUE_H

#include "base/str.h"
#include "wasm/vm.h"

#ifdef __cplusplus
extern "C" {
#endif

#define GLUE_MODULE "h"
#define GLUE_BEGIN "begin"
#define GLUE_COMMIT "commit"
#define GLUE_TABLE "t"

/* Appends the module's bytes to out. used holds n indices into host->funcs. */
void glue_build(const struct vm_host *host, const unsigned *used, unsigned n, struct sbuf *out);

#ifdef __cplusplus
}
#endif
#endif
