/* A module's bytes. Held to: nothing outside the input is read; what was counted and rewritten is
 * counted the same again and rewriting it once more changes nothing. */
#include <stdlib.h>

#include "base/mem.h"
#include "wasm/linkage.h"
#include "wasm/module.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
    if (!ok)
        abort();
}

static void rewrite(const uint8_t *data, size_t size)
{
    static const struct module_caps caps = {1024, 10000};
    struct module_info before, after;
    struct sbuf once = {0}, twice = {0};
    struct error err;
    bool is_counted = module_check(data, size, &module_default_limits, &before, &err) == 0;
    if (module_rewrite(data, size, &caps, &once, &err) == 0) {
        bool again = module_check(once.p, once.n, &module_default_limits, &after, &err) == 0;
        check(again || !is_counted);
        if (is_counted)
            check(before.abi == after.abi && before.functions == after.functions &&
                  before.table_sum == after.table_sum && before.exports == after.exports &&
                  before.memory_min_pages == after.memory_min_pages);
        check(module_rewrite(once.p, once.n, &caps, &twice, &err) == 0);
        check(once.n == twice.n && memcmp(once.p, twice.p, once.n) == 0);
    }
    sbuf_fini(&once);
    sbuf_fini(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct linkage l;
    char text[64];
    rewrite(data, size);
    if (linkage_parse(data, size, &l, NULL) != 0)
        return 0;
    for (size_t i = 0; i < l.export_count; i++)
        if (l.exports[i].sig)
            linkage_format_sig(l.exports[i].sig, text, sizeof(text));
    for (size_t i = 0; i < l.import_count; i++)
        check(l.imports[i].kind != WIRE_KIND_FUNC || l.imports[i].sig);
    linkage_fini(&l);
    return 0;
}
