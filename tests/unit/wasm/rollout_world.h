/* A rollout with workers that exist on paper only, for the tests of the rollout against
 * fake_engine.h: they install what they are given and give back what was there before. The one
 * slot is "slot", the plugin is "headers". Functions fail the test that runs. */
#ifndef ROLLOUT_WORLD_H
#define ROLLOUT_WORLD_H

#include "fake_engine.h"
#include "wasm/rollout.h"

enum { WORKERS = 2, TURN_MS = 2, DEADLINE_MS = 10000 };

struct outcome_seen {
    int calls;
    bool is_ok;
    struct error err;
};

/* The workers of a test: what stands in the one slot, and whether they answer at once. */
struct world {
    struct loop *loop;
    struct rollout *rollout;
    struct pwasm_vm *vms[WORKERS];
    bool is_closed[WORKERS];
    bool is_silent; /* installs are not confirmed */
    uint64_t ticket;
    struct outcome_seen late;
    int live_late;
    struct loop_timer timer;
    uint64_t turns_left;
    bool (*is_done)(struct world *w);
    struct outcome_seen *awaited;
};

void open_world(struct world *w, uint32_t probation_ms);
void close_world(struct world *w);

/* Runs the loop until is_done or for ms; returns is_done. */
bool run_until(struct world *w, bool (*is_done)(struct world *w), unsigned ms);
bool never(struct world *w);

/* Inline code with `code` behind the header. */
struct conf_plugin *plugin(const char *code, const char *configuration,
                           enum conf_fail_policy policy);
/* Takes the reference. */
void push(struct world *w, struct conf_plugin *conf, struct outcome_seen *o);
void on_done(void *arg, const char *slot, const struct error *err); /* arg: outcome_seen */
/* Waits for the outcome. */
void await(struct world *w, struct outcome_seen *o);

/* The row of the slot, with copies of its texts. */
extern struct plugin_row last_row;
extern char last_error[1024], row_digest[65], row_serving[65];
void get_row(struct world *w);
bool is_row_live(struct world *w);

#endif
