/* Compiled modules, shared by everything that runs the same bytes under the same memory cap:
 * each is checked, probed in a child process and compiled once, on the stager. Bytes that failed
 * are remembered by digest and not tried again. [main]. */
#ifndef WASM_COMPILED_H
#define WASM_COMPILED_H

#include <stdint.h>

#include "base/list.h"
#include "base/str.h"
#include "wasm/rollout.h"
#include "wasm/stage.h"

struct blob;
struct compiled;
struct compiled_store;
struct loop;
struct stager;
struct vm_module;

/* Someone who waits for a module; embedded in its object. */
struct compiled_want {
    struct list node;
    struct compiled *code; /* wanted or, after on_done with e NULL, held: compiled_drop it */
    void (*on_state)(struct compiled_want *w, enum plugin_state s); /* PROBING, COMPILING */
    /* e NULL: w->code is ready. Else w is free again. Always from the loop. */
    void (*on_done)(struct compiled_want *w, const struct stage_error *e);
};

struct compiled_store *compiled_store_create(struct loop *loop, struct stager *stager);
/* Nobody may want or hold anything any more. */
void compiled_store_destroy(struct compiled_store **s);

/* bytes: own reference taken while needed; digest: sha256 of them, 64 hex digits. */
void compiled_get(struct compiled_store *s, const char *digest, uint64_t memory_max,
                  struct blob *bytes, struct compiled_want *w);
/* Stops waiting, or gives back what is held. Idempotent. */
void compiled_drop(struct compiled_want *w);
/* One more holder of ready code, as if w had asked for it and got it. */
void compiled_share(struct compiled *code, struct compiled_want *w);
struct vm_module *compiled_module(const struct compiled *code);

#endif
