/* What the HTTP and the network filter of Wasm plugins share. [worker] */
#ifndef FILTERS_WASM_PRIVATE_H
#define FILTERS_WASM_PRIVATE_H

#include "base/arena.h"
#include "conf/listener.h"
#include "http/filter.h"
#include "wasm/context.h"

/* Filter state "wasm.KEY" that plugins set on a stream. */
struct wasm_state {
    struct wasm_state *next;
    struct str key, value;
};

/* Bytes of keys and values that one filter keeps for one stream. */
enum { WASM_STATE_MAX = 1 << 20 };

const struct wasm_state *wasm_state_find(const struct wasm_state *first, struct str key);
/* A value that is there already is replaced in place of the key. */
enum pwasm_status wasm_state_set(struct wasm_state **first, struct arena *arena, size_t *used,
                                 struct str key, struct str value);

/* The slot of a filter; the host learns how to make calls on this worker. */
struct pwasm_slot *wasm_slot(struct filter_env *env, const char *name);

/* Begins with the plugin; what a slot nobody ever filled means for an inline configuration is
 * said by its policy. */
enum pwasm_entry wasm_enter(struct pwasm_slot *slot, const struct conf_plugin *inline_conf,
                            const struct pwasm_stream_ops *ops, struct pwasm_context *c);

#endif
