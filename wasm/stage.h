/* Where in its way to service a module failed. The text that people and the control plane read
 * is "STAGE: cause". [any] thread. */
#ifndef WASM_STAGE_H
#define WASM_STAGE_H

#include <stdbool.h>

#include "base/err.h"

#define STAGE_MAP(X)      \
    X(FETCH, "fetch")     \
    X(VERIFY, "verify")   \
    X(PROBE, "probe")     \
    X(COMPILE, "compile") \
    X(START, "start")     \
    X(RUN, "run")

enum stage {
#define X(name, text) STAGE_##name,
    STAGE_MAP(X)
#undef X
};

/* A failure and the stage it belongs to; err.text is the bare cause. */
struct stage_error {
    enum stage stage;
    struct error err;
};

const char *stage_text(enum stage s);
/* Does the failure lie in the surroundings (memory, processes, files, time) rather than in the
 * bytes? Only then is it worth trying the same bytes again. */
bool stage_error_is_passing(const struct stage_error *e);

#endif
