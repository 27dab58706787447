/* Rollout of plugins, on main: received -> fetching -> verifying -> probing -> compiling ->
 * starting -> probation -> live, or failed(stage, reason); what is replaced drains and goes.
 * Verified modules are kept on disk. A newer push supersedes a pending candidate; the last good
 * one serves until the candidate is live on every worker.
 *
 * [main], driven by main's loop; the stager is a thread of its own (nice 19). Source: Envoy's
 * RemoteDataSource; Istio's agent for oci:// and pull secrets. */
#ifndef WASM_ROLLOUT_H
#define WASM_ROLLOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "conf/plugin.h"
#include "net/addr.h"
#include "net/loop.h"
#include "wasm/plugin.h"

struct rollout;

#define PLUGIN_STATE_MAP(X)   \
    X(RECEIVED, "received")   \
    X(FETCHING, "fetching")   \
    X(VERIFYING, "verifying") \
    X(PROBING, "probing")     \
    X(COMPILING, "compiling") \
    X(STARTING, "starting")   \
    X(PROBATION, "probation") \
    X(LIVE, "live")           \
    X(FAILED, "failed")       \
    X(DRAINING, "draining")   \
    X(GONE, "gone")

enum plugin_state {
#define X(name, text) PLUGIN_##name,
    PLUGIN_STATE_MAP(X)
#undef X
};
const char *plugin_state_text(enum plugin_state s);

struct rollout_options {
    const char *data_dir;   /* module cache; created with mode 0700. NULL: nothing is kept */
    uint64_t module_max;    /* bytes, compressed and unpacked; 0: 256 MiB */
    bool allow_loopback;    /* fetch from loopback addresses */
    const char *ca_file;    /* PEM, trusted for https beside the system's; NULL: none */
    uint32_t probation_ms;  /* 0: 10000 */
    uint32_t retry_base_ms; /* of a failed fetch in the background; 0: 500, doubled up to 60 s */
    unsigned workers;
    /* Comma list of host[:port], or "*": plain http allowed, TLS not checked. NULL: none. */
    const char *insecure_registries;
};

/* Where http_uri.cluster leads. */
struct rollout_endpoint {
    struct addr addr;
    bool is_tls;
    struct str ca_pem; /* trusted alone; empty: as for any other download */
    const char *sni;   /* asked for and verified in place of the URL's host; NULL or "": none */
};

/* What the rollout asks of its surroundings. [main] */
struct rollout_ops {
    /* Sends a started VM to worker i, which installs it and then posts rollout_installed. */
    void (*install)(void *arg, unsigned worker, const char *slot, struct pwasm_vm *vm, bool closed,
                    uint64_t ticket);
    /* Resolves http_uri.cluster: true when it is a known cluster that has an endpoint. May be
     * NULL: none is known. Texts are borrowed for the moment. */
    bool (*cluster_endpoint)(void *arg, const char *cluster, struct rollout_endpoint *r);
    /* A configuration that was reported as live failed later ("run: cause"), once per
     * configuration: the late answer upstream. May be NULL. */
    void (*failed_late)(void *arg, const char *slot, const struct error *err);
    void *arg;
    /* A configuration whose failure was reported became live after all (a download that was
     * retried): what waits for the slot may go on. May be NULL. */
    void (*live_late)(void *arg, const char *slot);
};

int rollout_create(struct loop *loop, const struct rollout_options *o,
                   const struct rollout_ops *ops, struct rollout **r_r, struct error *err);
void rollout_destroy(struct rollout **r);

/* Outcome of one push: called once, from the loop; with ERR_CLOSED when superseded, removed or
 * the rollout is destroyed. err NULL: live on every worker. Else err->text is "STAGE: cause". */
typedef void (*rollout_done_fn)(void *arg, const char *slot, const struct error *err);

/* A configuration for its slot (conf->slot); own reference taken. Pushing an equal one (hash)
 * calls done with its outcome, known or still to come. done may be NULL. */
void rollout_push(struct rollout *r, struct conf_plugin *conf, rollout_done_fn done, void *arg);
/* No configuration wants the slot any more: its VMs drain and go. */
void rollout_remove(struct rollout *r, const char *slot);
/* Is any configuration live in the slot? */
bool rollout_is_live(const struct rollout *r, const char *slot);

/* [main], told by workers through messages. Every VM that install handed out comes back by
 * rollout_retired exactly once, and is named by its pointer until then. Installs of an emptied
 * slot (vm NULL) carry ticket 0 and need no answer. r may be NULL: messages that arrive after
 * rollout_destroy have no effect, except that a retired VM is disposed of. */
void rollout_installed(struct rollout *r, uint64_t ticket, unsigned worker);
void rollout_retired(struct rollout *r, struct pwasm_vm *vm);
void rollout_vm_failed(struct rollout *r, const struct pwasm_vm *vm, const char *text);
/* Asks for a fresh VM in place of a failed one, after the configuration's reload backoff. conf is
 * borrowed; ignored when the slot has moved on. */
void rollout_want_vm(struct rollout *r, struct conf_plugin *conf, unsigned worker);

/* For GET /plugins. */
struct plugin_row {
    const char *slot, *name, *digest; /* sha256 of the module, "" unknown */
    enum plugin_state state;          /* of the newest configuration */
    const char *stage, *last_error;   /* "" when none */
    const char *resource_version;     /* of the newest configuration, "" none */
    unsigned vms;
    uint64_t traps;
    uint64_t since_ns;          /* wall clock of the last change of state */
    const char *serving_digest; /* what requests see now; "" nothing */
};
void rollout_each(struct rollout *r, void (*fn)(const struct plugin_row *row, void *arg),
                  void *arg);

#endif
