/* YAML text. Held to: what is taken is a value that JSON can hold, of bounded depth, and reads
 * the same when it is written as JSON and read again. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "proto/json.h"
#include "proto/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
    if (!ok)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err;
    json_t *json, *again;
    if (pb_yaml_load((const char *)data, size, &json, &err))
        return 0;
    size_t n;
    char *text = pb_json_text(json, false, &n);
    check(pb_json_load(text, n, &again, &err) == 0 || err.code == ERR_LIMIT);
    check(!again || json_equal(json, again));
    json_decref(again);
    mem_free(text);
    json_decref(json);
    return 0;
}
