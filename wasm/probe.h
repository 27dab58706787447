/* The probe: compiles and instantiates a module for the first time in a process of its own, with
 * limits, so that what exhausts or crashes V8 does so there.
 *
 * A zygote is forked early, before threads and V8; it forks a child per module, watches its memory
 * and time, and reports its end. The child starts the engine, compiles, and instantiates with the
 * same host functions the plugin will find, its start section included. */
#ifndef WASM_PROBE_H
#define WASM_PROBE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "wasm/vm.h"

struct probe_options {
    struct vm_engine_options engine;
    const struct vm_host *host; /* what the guest's imports find; runs in the child */
    uint32_t cpu_s;             /* CPU time; 0: 10 */
    uint64_t memory_max;        /* bytes resident; 0: 512 MiB */
    uint32_t wall_s;            /* 0: 60 */
};

/* [main] first thing in the process. o is copied, o->host kept. */
int probe_start(const struct probe_options *o, struct error *err);
/* [any] thread, one probe at a time (callers queue). Blocks until the module is known to be good
 * (0) or bad: ERR_INVALID, ERR_NOT_FOUND or ERR_TERMINATED with the engine's text, ERR_LIMIT
 * "over ..." or "killed by signal N ...". Not the module's fault: ERR_AGAIN after wall_s, ERR_IO or
 * ERR_INTERNAL when it could not be tried, ERR_CLOSED when the zygote is gone. */
int probe_run(const void *bytes, size_t n, struct error *err);
/* Ends the zygote and what it runs. */
void probe_stop(void);

#endif
