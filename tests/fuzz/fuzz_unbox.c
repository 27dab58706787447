/* A module's archives. Held to: limits, and that what comes out starts as a module does. */
#include <stdlib.h>

#include "base/mem.h"
#include "wasm/unbox.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct unbox_limits limits = {1 << 20, 200, 3};
    static const char *const members[] = {NULL, "plugin.wasm"};
    for (size_t i = 0; i < ARRAY_LEN(members); i++) {
        struct error err;
        uint8_t *out;
        size_t n;
        if (unbox_module(data, size, members[i], &limits, &out, &n, &err))
            continue;
        if (!unbox_is_wasm(out ? out : data, out ? n : size) || (out && n > limits.size_max))
            abort();
        mem_free(out);
    }
    return 0;
}
