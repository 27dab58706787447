/* Downloads of modules over http(s) and from OCI registries, by libcurl on main's loop. Nothing
 * is trusted: sizes, times and redirects are bounded, addresses are checked when a connection is
 * made (fetch_policy.h). What arrives is raw: the caller verifies it (verify.h).
 * [main]. Source: Envoy's HttpUri and RetryPolicy; OCI distribution spec 1.1; Docker's token
 * authentication; Istio's agent for layouts. */
#ifndef WASM_FETCH_H
#define WASM_FETCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "wasm/rollout.h"
#include "wasm/stage.h"

struct blob;
struct fetch;
struct fetcher;
struct loop;

struct fetch_request {
    const char *uri;     /* http://, https://, oci:// */
    const char *cluster; /* whose endpoint is connected to instead, where it is known; "" none */
    const char *sha256;  /* OCI: of the manifest or the index, "" none */
    uint32_t timeout_ms; /* of each attempt, as a whole; 0: 5 s */
    uint32_t num_retries;
    const char *pull_secret; /* docker config JSON or NULL */
};

struct fetch_result {
    struct blob *body; /* borrowed */
    bool is_oci;
    char layer_sha256[65]; /* OCI, of the descriptor */
    uint64_t layer_size;
    bool is_tar; /* OCI: the module is plugin.wasm inside */
};

/* res NULL: failed, with e (FETCH, or VERIFY for a manifest that does not match). From the loop,
 * once, unless cancelled. The fetch is over. */
typedef void (*fetch_done_fn)(void *arg, const struct fetch_result *res,
                              const struct stage_error *e);

int fetcher_create(struct loop *loop, const struct rollout_options *o,
                   const struct rollout_ops *ops, struct fetcher **f_r, struct error *err);
/* Cancels what is under way. */
void fetcher_destroy(struct fetcher **f);

/* Copies the request. */
struct fetch *fetch_start(struct fetcher *fetcher, const struct fetch_request *req,
                          fetch_done_fn done, void *arg);
/* No callback any more; sets *f to NULL. */
void fetch_cancel(struct fetch **f);

#endif
