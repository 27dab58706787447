/* Parts of the program that stand in libraries of their own beside it (the Wasm engine, gRPC) and
 * are loaded at first use, so that commands without them start fast and small. */
#ifndef BASE_DYNLIB_H
#define BASE_DYNLIB_H

#include <stddef.h>

#include "base/err.h"

/* Loads `library` from the program's own folder, `folder` below it (as in the build tree) or
 * ../lib/remora (as installed); `env` names a variable that overrides the place, for tests.
 * Returns the table that the library exports as `symbol`, whose first member must be its size and
 * equal `size`; NULL with err otherwise. Never unloaded. [any], once. */
const void *dynlib_load(const char *library, const char *folder, const char *env,
                        const char *symbol, size_t size, struct error *err);

#endif
