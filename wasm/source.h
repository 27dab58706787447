/* Where the bytes of a plugin come from: a local file, inline code, or a download through the
 * disk cache. Whatever the way, the bytes are verified and out of their archives when they
 * arrive. Equal downloads are done once. [main]. */
#ifndef WASM_SOURCE_H
#define WASM_SOURCE_H

#include <stdint.h>

#include "wasm/rollout.h"
#include "wasm/stage.h"

struct blob;
struct source;
struct source_load;
struct stager;

/* Someone who waits for bytes; embedded in its object. */
struct source_want {
    struct list node;
    struct source_load *load;                                     /* NULL: not waiting */
    void (*on_state)(struct source_want *w, enum plugin_state s); /* VERIFYING */
    /* e NULL: module (borrowed) and its sha256. Always from the loop; w is free again. */
    void (*on_done)(struct source_want *w, struct blob *module, const char *digest,
                    const struct stage_error *e);
};

int source_create(struct loop *loop, struct stager *stager, const struct rollout_options *o,
                  const struct rollout_ops *ops, struct source **s_r, struct error *err);
/* Nobody may be waiting any more. */
void source_destroy(struct source **s);
/* Starts or joins the load that conf asks for; in FETCHING until on_state says more. */
void source_get(struct source *s, struct conf_plugin *conf, struct source_want *w);
/* Stops waiting; idempotent. The download ends with its last waiter. */
void source_drop(struct source_want *w);

#endif
