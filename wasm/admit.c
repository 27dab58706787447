#include "wasm/admit.h"

#include "wasm/module.h"
#include "wasm/probe.h"

enum { PAGE = 65536, MEMORY_MAX_DEFAULT = 64 << 20, TABLE_MAX = 10000, PAGES_MAX = 65536 };

int admit_module(struct blob *module, uint64_t memory_max, struct blob **admitted_r,
                 struct error *err)
{
    uint64_t pages = (memory_max ? memory_max : MEMORY_MAX_DEFAULT) / PAGE;
    struct module_caps caps = {(uint32_t)(pages > PAGES_MAX ? PAGES_MAX : pages), TABLE_MAX};
    struct sbuf out = {0};
    int rc = module_check(module->p, module->n, &module_default_limits, NULL, err);
    if (!rc)
        rc = module_rewrite(module->p, module->n, &caps, &out, err);
    if (!rc)
        rc = probe_run(out.p, out.n, err);
    if (rc) {
        sbuf_fini(&out);
        return rc;
    }
    size_t n = out.n;
    *admitted_r = blob_take(sbuf_take(&out), n);
    return 0;
}
