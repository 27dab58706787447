#include "wasm/rollout_private.h"

#include <stdio.h>

#include "base/crypto.h"
#include "base/log.h"
#include "base/mem.h"
#include "wasm/stager.h"

enum { PROBATION_MS = 10000 };

/* --- outcomes --- */

static void tell(struct outcome *o)
{
    if (o->done)
        o->done(o->arg, o->slot, o->is_ok ? NULL : &o->err);
    mem_free(o->slot);
    mem_free(o);
}

static void on_tell(struct loop_timer *t)
{
    struct rollout *r = container_of(t, struct rollout, tell);
    while (!list_is_empty(&r->outcomes)) {
        struct outcome *o = container_of(r->outcomes.next, struct outcome, node);
        list_del(&o->node);
        tell(o);
    }
}

void rollout_tell(struct rollout *r, struct outcome *o, const struct error *err)
{
    o->is_ok = !err;
    if (err)
        o->err = *err;
    list_add_tail(&r->outcomes, &o->node);
    loop_timer_start(&r->tell, 0);
}

uint32_t rollout_jitter(uint32_t ms)
{
    uint32_t random;
    crypto_random(&random, sizeof(random));
    return ms / 2 + (ms ? random % ms : 0);
}

/* --- slots --- */

static struct slot *get_slot(struct rollout *r, const char *name)
{
    struct slot *slot = hash_find(&r->slots, str_of(name));
    if (!slot) {
        slot = MEM_NEW(struct slot);
        slot->rollout = r;
        slot->name = mem_strdup(name);
        hash_set(&r->slots, str_of(name), slot);
    }
    slot->is_removed = false;
    return slot;
}

static void forget_good(struct slot *slot)
{
    compiled_drop(&slot->good_code);
    conf_object_unref(slot->good_conf);
    slot->good_conf = NULL;
}

void slot_free_if_unused(struct slot *slot)
{
    if (!slot->is_removed || slot->versions)
        return;
    hash_remove(&slot->rollout->slots, str_of(slot->name));
    mem_free(slot->name);
    mem_free(slot);
}

void slot_set_good(struct version *v)
{
    struct slot *slot = v->slot;
    struct compiled *code = v->code.code;
    v->traps = 0;
    if (slot->good_conf == v->conf)
        return;
    forget_good(slot);
    slot->good_conf = conf_object_ref(v->conf);
    compiled_share(code, &slot->good_code);
    memcpy(slot->good_digest, v->digest, sizeof(slot->good_digest));
}

static void drop_rollback(struct slot *slot)
{
    if (slot->rollback && slot->rollback != slot->serving)
        version_supersede(slot->rollback, "superseded");
    slot_forget_rollback(slot, slot->rollback);
}

void slot_take_over(struct version *v)
{
    struct slot *slot = v->slot;
    struct version *old = slot->serving;
    if (slot->rollback != v)
        drop_rollback(slot); /* it would bring back what is older */
    slot->serving = version_ref(v);
    if (old) {
        version_drain(old);
        version_unref(old);
    }
}

void slot_forget_rollback(struct slot *slot, struct version *v)
{
    if (!v || slot->rollback != v)
        return;
    slot->rollback = NULL;
    version_unref(v);
}

/* For a plugin that fails closed, going back would be a lever to downgrade it. */
bool slot_roll_back(struct slot *slot, const struct version *v)
{
    if (v->conf->fail_policy == CONF_FAIL_CLOSED || v->is_rollback || !slot->good_conf ||
        slot->good_conf == v->conf || slot->rollback)
        return false;
    log_warn(LOG_WASM, "Plugin %s (%s) is rolled back to module %.12s after repeated failures",
             version_name(v), slot->name, slot->good_digest);
    slot->rollback = version_create(slot, slot->good_conf);
    slot->rollback->is_rollback = true;
    version_start_compiled(slot->rollback, slot->good_code.code, slot->good_digest);
    return true;
}

/* The newest version makes room; it stays if the workers run it. */
static void drop_newest(struct slot *slot, const char *why)
{
    struct version *v = slot->newest;
    if (!v)
        return;
    slot->newest = NULL;
    if (v != slot->serving)
        version_supersede(v, why);
    version_unref(v);
}

/* Tells the workers what requests see while nothing serves. */
static void set_empty(struct slot *slot, bool is_closed)
{
    struct rollout *r = slot->rollout;
    for (unsigned i = 0; i < r->workers; i++)
        r->ops.install(r->ops.arg, i, slot->name, NULL, is_closed, 0);
}

/* --- pushes --- */

static bool has_config(const struct version *v, const struct conf_plugin *conf)
{
    return v && (v->conf == conf || v->conf->object.hash == conf->object.hash);
}

static void failure_text(const struct version *v, struct error *err)
{
    error_set(err, v->failure.err.code, "%s: %s", stage_text(v->failure.stage),
              v->failure.err.text);
}

/* The outcome of a version that exists: now, or when it is known. */
static void await(struct version *v, struct outcome *o)
{
    struct error err;
    switch (v->state) {
    case PLUGIN_PROBATION:
    case PLUGIN_LIVE:
        rollout_tell(v->slot->rollout, o, NULL);
        break;
    case PLUGIN_FAILED:
        failure_text(v, &err);
        rollout_tell(v->slot->rollout, o, &err);
        break;
    default:
        list_add_tail(&v->outcomes, &o->node);
    }
}

void rollout_push(struct rollout *r, struct conf_plugin *conf, rollout_done_fn done, void *arg)
{
    struct slot *slot = get_slot(r, conf->slot);
    struct outcome *o = MEM_NEW(struct outcome);
    *o = (struct outcome){.slot = mem_strdup(conf->slot), .done = done, .arg = arg};
    if (has_config(slot->newest, conf)) {
        await(slot->newest, o);
        return;
    }
    drop_newest(slot, "superseded by a newer configuration");
    if (has_config(slot->serving, conf)) {
        slot->newest = version_ref(slot->serving);
        await(slot->newest, o);
        return;
    }
    slot->last_error[0] = 0;
    slot->newest = version_create(slot, conf);
    if (!slot->serving)
        set_empty(slot, conf->fail_policy != CONF_FAIL_OPEN);
    list_add_tail(&slot->newest->outcomes, &o->node);
    version_start(slot->newest);
}

static void release_slot(struct slot *slot)
{
    struct version *serving = slot->serving;
    slot->is_removed = true;
    slot->versions++; /* holds the slot while its versions go */
    drop_rollback(slot);
    drop_newest(slot, "the plugin was removed");
    slot->serving = NULL;
    if (serving) {
        version_drain(serving);
        version_unref(serving);
    }
    forget_good(slot);
    slot->versions--;
    slot_free_if_unused(slot);
}

void rollout_remove(struct rollout *r, const char *name)
{
    struct slot *slot = hash_find(&r->slots, str_of(name));
    if (!slot || slot->is_removed)
        return;
    set_empty(slot, false);
    release_slot(slot);
}

bool rollout_is_live(const struct rollout *r, const char *name)
{
    const struct slot *slot = hash_find(&r->slots, str_of(name));
    const struct version *v = slot ? slot->serving : NULL;
    return v && v->installed == r->workers;
}

/* --- life --- */

int rollout_create(struct loop *loop, const struct rollout_options *o,
                   const struct rollout_ops *ops, struct rollout **r_r, struct error *err)
{
    struct rollout *r = MEM_NEW(struct rollout);
    r->loop = loop;
    r->ops = *ops;
    r->workers = o->workers ? o->workers : 1;
    r->probation_ms = o->probation_ms ? o->probation_ms : PROBATION_MS;
    r->retry_base_ms = o->retry_base_ms ? o->retry_base_ms : RETRY_BASE_MS;
    loop_timer_init(&r->tell, loop, on_tell);
    list_init(&r->outcomes);
    int rc = stager_create(loop, &r->stager, err);
    if (!rc)
        rc = source_create(loop, r->stager, o, &r->ops, &r->source, err);
    if (rc) {
        stager_destroy(&r->stager);
        mem_free(r);
        return rc;
    }
    r->compiled = compiled_store_create(loop, r->stager);
    *r_r = r;
    return 0;
}

/* VMs that a worker never gave back: only their records can be freed here. */
static void forget_vms(struct rollout *r)
{
    struct hash_entry *e;
    for (size_t it = 0; (e = hash_next(&r->vms, &it));) {
        struct worker_vm *out = e->value;
        struct version *v = out->version;
        if (v->seats[out->worker].out == out)
            v->seats[out->worker].out = NULL;
        mem_free(out);
        version_unref(v);
    }
}

void rollout_destroy(struct rollout **rp)
{
    struct rollout *r = *rp;
    *rp = NULL;
    if (!r)
        return;
    struct hash_entry *e;
    for (size_t it = 0; (e = hash_next(&r->slots, &it));) {
        struct slot *slot = e->value;
        if (!slot->is_removed)
            release_slot(slot);
    }
    stager_stop(r->stager);
    forget_vms(r);
    on_tell(&r->tell);
    loop_timer_stop(&r->tell);
    source_destroy(&r->source);
    compiled_store_destroy(&r->compiled);
    stager_destroy(&r->stager);
    hash_fini(&r->slots);
    hash_fini(&r->vms);
    hash_fini(&r->versions);
    mem_free(r);
}
