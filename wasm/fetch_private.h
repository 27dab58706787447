/* What the fetcher's files share. An xfer is one HTTP exchange with its redirects; an attempt is
 * the exchanges that a download takes; a fetch is its attempts. */
#ifndef WASM_FETCH_PRIVATE_H
#define WASM_FETCH_PRIVATE_H

#include "base/list.h"
#include "net/loop.h"
#include "wasm/fetch.h"
#include "wasm/fetch_policy.h"

struct blob;
struct xfer;
struct oci_pull;
struct xfer_engine;

struct fetcher {
    struct loop *loop;
    const struct rollout_ops *ops;
    struct xfer_engine *engine;
    uint64_t module_max;
    char *insecure; /* list or NULL */
    struct list fetches;
};

struct fetch {
    struct list node;
    struct fetcher *fetcher;
    char *uri, *cluster, *sha256, *pull_secret;
    char *shown; /* the URI as it may be shown */
    uint32_t timeout_ms;
    unsigned retries_left, attempts;
    uint64_t deadline_us; /* of the attempt */
    struct fetch_url url;
    struct loop_timer timer; /* next attempt */
    struct xfer *xfer;       /* http(s) */
    struct oci_pull *pull;   /* oci */
    fetch_done_fn done;
    void *arg;
};

/* --- fetch_curl.c: exchanges --- */

struct xfer_request {
    const char *url;           /* http(s) */
    const char *authorization; /* header value; sent to the URL's own origin only. NULL: none */
    const char *accept;        /* NULL: any */
    const char *form;          /* POST body, application/x-www-form-urlencoded; NULL: GET */
    uint64_t size_max;         /* of the body; more is an error */
    uint32_t timeout_ms;       /* with all redirects */
    bool is_last;              /* the connection will not be needed again */
    const struct rollout_endpoint *endpoint; /* connect there; NULL: where the URL says */
};

struct xfer_result {
    unsigned status;
    struct blob *body;      /* borrowed */
    const char *challenges; /* WWW-Authenticate values, a line each; "" none */
};

/* err (then res is NULL): no answer; ERR_IO and ERR_TIMEOUT are the network's, ERR_UNSUPPORTED
 * means that the other side does not speak TLS (or listens nowhere). err->text is the bare cause.
 * The xfer is over. */
typedef void (*xfer_done_fn)(void *arg, const struct xfer_result *res, const struct error *err);

int xfer_engine_create(struct loop *loop, const struct rollout_options *o, struct xfer_engine **e_r,
                       struct error *err);
void xfer_engine_destroy(struct xfer_engine **e);
/* Copies the request. done comes from the loop, never from inside; not at all on error. */
int xfer_start(struct xfer_engine *e, const struct xfer_request *req, xfer_done_fn done, void *arg,
               struct xfer **x_r, struct error *err);
void xfer_cancel(struct xfer **x); /* NULL is fine */

/* --- fetch.c --- */

/* The end of an attempt: res, or an error whose text is prefixed with the shown URI already. */
void fetch_attempt_done(struct fetch *f, const struct fetch_result *res,
                        const struct stage_error *e, bool may_retry);
/* The same for an attempt that failed in stage s; err NULL: with the status of an answer. what
 * ("manifest") is put before the cause, "" none. */
void fetch_attempt_failed(struct fetch *f, enum stage s, const char *what, unsigned status,
                          const struct error *err);
uint32_t fetch_ms_left(const struct fetch *f); /* of the attempt; at least 1 */

/* --- fetch_http.c, fetch_oci.c --- */
void fetch_http_start(struct fetch *f);
void fetch_oci_start(struct fetch *f);
void fetch_oci_cancel(struct fetch *f);

#endif
