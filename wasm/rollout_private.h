/* What the rollout's files share.
 *
 * A slot is the place of a plugin. Each pushed configuration becomes a version:
 *
 *   slot.newest   the last one pushed, in whatever state
 *   slot.serving  the one whose VMs the workers got last; newest itself once it is installed
 *   slot.good     configuration and code of the one that last finished probation
 *   others        DRAINING until all of their VMs came back
 *
 * A version is referenced by its slot (newest, serving), by each VM that is out, each start that
 * is under way and each callback that runs. */
#ifndef WASM_ROLLOUT_PRIVATE_H
#define WASM_ROLLOUT_PRIVATE_H

#include "base/hash.h"
#include "base/stat.h"
#include "wasm/compiled.h"
#include "wasm/rollout.h"
#include "wasm/source.h"
#include "wasm/stage.h"

enum {
    PROBATION_TRAPS = 3, /* this many in probation are "repeated" */
    RETRY_BASE_MS = 500,
    RETRY_MAX_MS = 60000,
    PLUGIN_STATE_COUNT = PLUGIN_GONE + 1,
    ERROR_TEXT_MAX = 1024
};

struct rollout {
    struct loop *loop;
    struct rollout_ops ops;
    unsigned workers;
    uint32_t probation_ms, retry_base_ms;
    struct stager *stager;
    struct source *source;
    struct compiled_store *compiled;
    struct hash slots;    /* name -> struct slot */
    struct hash vms;      /* pointer -> struct worker_vm, of those that are out */
    struct hash versions; /* ticket -> struct version */
    uint64_t last_ticket;
    struct list outcomes;   /* struct outcome, to be told from the loop */
    struct loop_timer tell; /* a timer, because it can be stopped */
};

/* Who waits for the outcome of a push. */
struct outcome {
    struct list node;
    char *slot;
    rollout_done_fn done;
    void *arg;
    bool is_ok;
    struct error err;
};

struct slot {
    struct rollout *rollout;
    char *name;
    unsigned versions; /* that exist */
    bool is_removed;
    struct version *newest, *serving;
    struct version *rollback; /* under way, from good */
    struct conf_plugin *good_conf;
    struct compiled_want good_code;
    char good_digest[65];
    uint64_t traps;
    char last_error[ERROR_TEXT_MAX];
};

/* A VM that was handed to a worker. */
struct worker_vm {
    struct pwasm_vm *vm;
    struct version *version;
    unsigned worker;
    bool is_failed;
};

/* What a version has on one worker. */
struct seat {
    struct version *version;
    unsigned worker;
    struct pwasm_vm *ready;         /* started, not handed out yet */
    struct worker_vm *out;          /* the newest that was handed out */
    bool is_starting, is_installed; /* at least once */
    struct loop_timer reload;
    uint64_t started_us;      /* when a VM was last asked for */
    unsigned reload_failures; /* since the last success */
};

struct version {
    struct slot *slot;
    unsigned refs;
    struct conf_plugin *conf;
    uint64_t ticket;
    enum plugin_state state;
    uint64_t since_ns;
    bool is_rollback; /* started from slot.good */
    bool is_answered, is_reported_late;
    struct stage_error failure;
    struct list outcomes; /* struct outcome */
    char digest[65];
    struct source_want source;
    struct compiled_want code;
    struct seat *seats; /* one per worker */
    unsigned epoch;     /* starts of an older epoch are nobody's any more */
    unsigned starting, installed, traps;
    unsigned attempts; /* of fetching */
    struct loop_timer retry, probation;
    stat_id stats[PLUGIN_STATE_COUNT];
    stat_id live_stat, traps_stat, reload_stats[3];
    bool has_stats[PLUGIN_STATE_COUNT], has_reload_stats;
    bool is_counted_live;
};

enum reload_stat { RELOAD_BACKOFF, RELOAD_SUCCESS, RELOAD_FAILURE };

/* rollout_version.c: the way of one configuration. */
struct version *version_create(struct slot *slot, struct conf_plugin *conf);
struct version *version_ref(struct version *v);
void version_unref(struct version *v);
void version_start(struct version *v);
/* From code that is compiled already (rollback). */
void version_start_compiled(struct version *v, struct compiled *code, const char *digest);
/* Another configuration takes its place before it was handed out. */
void version_supersede(struct version *v, const char *why);
/* Its VMs were replaced on the workers. */
void version_drain(struct version *v);
void version_fail(struct version *v, const struct stage_error *e);
void version_set_state(struct version *v, enum plugin_state s);
void version_answer(struct version *v, const struct error *err); /* err NULL: live */
void version_begin_probation(struct version *v);
const char *version_name(const struct version *v); /* of the plugin */

/* rollout_vms.c: its VMs. */
void seats_create(struct version *v);
void seats_destroy(struct version *v);
void seats_start(struct version *v);          /* starts one VM per worker, then installs all */
void seats_release(struct version *v);        /* disposes of what is ready, stops reloads */
bool seats_are_up(const struct version *v);   /* every worker has a VM that did not fail */
bool seats_are_down(const struct version *v); /* no worker has one */

/* rollout.c: slots. */
void slot_take_over(struct version *v); /* v is what the workers run from now on */
void slot_set_good(struct version *v);
/* Starts the last good configuration again in place of v, where that is allowed. */
bool slot_roll_back(struct slot *slot, const struct version *v);
/* The rollback v, if it is one, has come to its end. */
void slot_forget_rollback(struct slot *slot, struct version *v);
void slot_free_if_unused(struct slot *slot);
void rollout_tell(struct rollout *r, struct outcome *o, const struct error *err);
/* uniform in [ms/2, 3*ms/2) */
uint32_t rollout_jitter(uint32_t ms);

/* rollout_report.c: log lines and stats, all with the plugin's name. */
void report_create(struct version *v);
void report_trap(struct version *v, unsigned worker, const char *text);
void report_state(struct version *v, enum plugin_state from);
void report_reload(struct version *v, enum reload_stat s);
void report_release(struct version *v);

#endif
