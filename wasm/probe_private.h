/* What the probe's three processes share: the proxy asks, the zygote watches, the child tries. */
#ifndef WASM_PROBE_PRIVATE_H
#define WASM_PROBE_PRIVATE_H

#include "wasm/probe.h"

/* The outcome, from the child to the zygote and on to the proxy. */
struct probe_answer {
    int rc; /* 0 or -ERR_x */
    char text[1024];
};

/* [child] Tries the module in module_fd (n bytes), writes a probe_answer to answer_fd and exits;
 * or dies. */
void probe_child_run(const struct probe_options *o, int module_fd, size_t n, int answer_fd)
    __attribute__((noreturn));

/* [zygote] Serves requests from the socket until it closes. */
void probe_zygote_run(const struct probe_options *o, int sock) __attribute__((noreturn));

#endif
