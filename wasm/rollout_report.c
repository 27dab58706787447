#include "wasm/rollout_private.h"

#include "base/log.h"

void report_create(struct version *v)
{
    v->live_stat = stat_define(STAT_GAUGE, "wasm.%s.rollout.serving", version_name(v));
    v->traps_stat = stat_define(STAT_COUNTER, "wasm.%s.traps", version_name(v));
    report_state(v, PLUGIN_RECEIVED);
}

void report_trap(struct version *v, unsigned worker, const char *text)
{
    stat_inc(v->traps_stat);
    log_error(LOG_WASM, "Plugin %s (%s) #%llu failed on worker %u: run: %s", version_name(v),
              v->slot->name, (unsigned long long)v->ticket, worker, text);
}

static void count_serving(struct version *v)
{
    bool is_live = v->state == PLUGIN_PROBATION || v->state == PLUGIN_LIVE;
    if (is_live != v->is_counted_live)
        stat_add(v->live_stat, is_live ? 1 : -1);
    v->is_counted_live = is_live;
}

/* One line and one count for each change of state. */
void report_state(struct version *v, enum plugin_state from)
{
    enum plugin_state s = v->state;
    const char *slot = v->slot->name;
    if (!v->has_stats[s]) {
        v->has_stats[s] = true;
        v->stats[s] =
            stat_define(STAT_COUNTER, "wasm.%s.rollout.%s", version_name(v), plugin_state_text(s));
    }
    stat_inc(v->stats[s]);
    count_serving(v);
    if (s == PLUGIN_RECEIVED)
        log_info(LOG_WASM, "Plugin %s (%s) #%llu: received, version \"%s\"", version_name(v), slot,
                 (unsigned long long)v->ticket, v->conf->resource_version);
    else if (s != PLUGIN_FAILED)
        log_info(LOG_WASM, "Plugin %s (%s) #%llu: %s -> %s%s%.12s", version_name(v), slot,
                 (unsigned long long)v->ticket, plugin_state_text(from), plugin_state_text(s),
                 v->digest[0] ? ", module " : "", v->digest);
    else if (v->attempts || v->failure.stage == STAGE_RUN)
        log_warn(LOG_WASM, "Plugin %s (%s) #%llu: %s -> failed: %s: %s", version_name(v), slot,
                 (unsigned long long)v->ticket, plugin_state_text(from),
                 stage_text(v->failure.stage), v->failure.err.text);
    else
        log_critical(LOG_WASM, "Plugin %s failed to load (%s) #%llu: %s -> failed: %s: %s",
                     version_name(v), slot, (unsigned long long)v->ticket, plugin_state_text(from),
                     stage_text(v->failure.stage), v->failure.err.text);
}

void report_reload(struct version *v, enum reload_stat s)
{
    if (!v->has_reload_stats) {
        static const char *const names[] = {"backoff", "success", "failure"};
        v->has_reload_stats = true;
        for (unsigned i = 0; i < 3; i++)
            v->reload_stats[i] =
                stat_define(STAT_COUNTER, "wasm.%s.vm_reload_%s", version_name(v), names[i]);
    }
    stat_inc(v->reload_stats[s]);
}

void report_release(struct version *v)
{
    for (unsigned i = 0; i < PLUGIN_STATE_COUNT; i++)
        if (v->has_stats[i])
            stat_release(v->stats[i]);
    for (unsigned i = 0; v->has_reload_stats && i < 3; i++)
        stat_release(v->reload_stats[i]);
    stat_release(v->live_stat);
    stat_release(v->traps_stat);
}

static unsigned count_vms(const struct rollout *r, const struct slot *slot)
{
    unsigned n = 0;
    struct hash_entry *e;
    for (size_t it = 0; (e = hash_next(&r->vms, &it));)
        n += ((const struct worker_vm *)e->value)->version->slot == slot;
    return n;
}

static void make_row(const struct rollout *r, const struct slot *slot, struct plugin_row *row)
{
    const struct version *v = slot->newest;
    const struct version *serving = slot->serving;
    bool has_failed = v && v->state == PLUGIN_FAILED;
    *row = (struct plugin_row){
        .slot = slot->name,
        .name = v ? version_name(v) : slot->name,
        .digest = v ? v->digest : "",
        .state = v ? v->state : PLUGIN_DRAINING,
        .stage = has_failed ? stage_text(v->failure.stage) : "",
        .last_error = slot->last_error,
        .resource_version = v && v->conf->resource_version ? v->conf->resource_version : "",
        .vms = count_vms(r, slot),
        .traps = slot->traps,
        .since_ns = v ? v->since_ns : 0,
        .serving_digest = serving ? serving->digest : "",
    };
}

void rollout_each(struct rollout *r, void (*fn)(const struct plugin_row *row, void *arg), void *arg)
{
    struct hash_entry *e;
    for (size_t it = 0; (e = hash_next(&r->slots, &it));) {
        struct plugin_row row;
        make_row(r, e->value, &row);
        fn(&row, arg);
    }
}
