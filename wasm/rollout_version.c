#include "wasm/rollout_private.h"

#include <stdio.h>

#include "base/mem.h"

static void on_source_state(struct source_want *w, enum plugin_state s);
static void on_source_done(struct source_want *w, struct blob *module, const char *digest,
                           const struct stage_error *e);
static void on_code_state(struct compiled_want *w, enum plugin_state s);
static void on_code_done(struct compiled_want *w, const struct stage_error *e);

/* --- life --- */

static void on_retry(struct loop_timer *t)
{
    version_start(container_of(t, struct version, retry));
}

static void on_probation_over(struct loop_timer *t)
{
    struct version *v = container_of(t, struct version, probation);
    version_set_state(v, PLUGIN_LIVE);
    slot_set_good(v);
}

static struct str ticket_key(const uint64_t *ticket)
{
    return (struct str){(const char *)ticket, sizeof(*ticket)};
}

struct version *version_create(struct slot *slot, struct conf_plugin *conf)
{
    struct rollout *r = slot->rollout;
    struct version *v = MEM_NEW(struct version);
    v->slot = slot;
    v->refs = 1;
    v->conf = conf_object_ref(conf);
    v->ticket = ++r->last_ticket;
    v->since_ns = loop_wall_ns(r->loop);
    v->source = (struct source_want){.on_state = on_source_state, .on_done = on_source_done};
    v->code = (struct compiled_want){.on_state = on_code_state, .on_done = on_code_done};
    list_init(&v->outcomes);
    loop_timer_init(&v->retry, r->loop, on_retry);
    loop_timer_init(&v->probation, r->loop, on_probation_over);
    seats_create(v);
    slot->versions++;
    hash_set(&r->versions, ticket_key(&v->ticket), v);
    report_create(v);
    return v;
}

struct version *version_ref(struct version *v)
{
    v->refs++;
    return v;
}

void version_unref(struct version *v)
{
    if (--v->refs)
        return;
    struct slot *slot = v->slot;
    version_set_state(v, PLUGIN_GONE);
    hash_remove(&slot->rollout->versions, ticket_key(&v->ticket));
    source_drop(&v->source);
    compiled_drop(&v->code);
    loop_timer_stop(&v->retry);
    loop_timer_stop(&v->probation);
    seats_destroy(v);
    report_release(v);
    conf_object_unref(v->conf);
    mem_free(v);
    slot->versions--;
    slot_free_if_unused(slot);
}

const char *version_name(const struct version *v)
{
    return v->conf->name && v->conf->name[0] ? v->conf->name : v->slot->name;
}

void version_set_state(struct version *v, enum plugin_state s)
{
    enum plugin_state from = v->state;
    if (from == s)
        return;
    v->state = s;
    v->since_ns = loop_wall_ns(v->slot->rollout->loop);
    report_state(v, from);
}

void version_answer(struct version *v, const struct error *err)
{
    struct rollout *r = v->slot->rollout;
    if (!err || err->code != ERR_CLOSED)
        v->is_answered = true;
    while (!list_is_empty(&v->outcomes)) {
        struct outcome *o = container_of(v->outcomes.next, struct outcome, node);
        list_del(&o->node);
        rollout_tell(r, o, err);
    }
}

/* --- fetch, verify, probe, compile --- */

void version_start(struct version *v)
{
    version_set_state(v, PLUGIN_FETCHING);
    source_get(v->slot->rollout->source, v->conf, &v->source);
}

static void on_source_state(struct source_want *w, enum plugin_state s)
{
    version_set_state(container_of(w, struct version, source), s);
}

static void on_source_done(struct source_want *w, struct blob *module, const char *digest,
                           const struct stage_error *e)
{
    struct version *v = container_of(w, struct version, source);
    if (e) {
        version_fail(v, e);
        return;
    }
    memcpy(v->digest, digest, sizeof(v->digest));
    /* A version that fell back to fetching tries what it holds no more. */
    compiled_drop(&v->code);
    compiled_get(v->slot->rollout->compiled, digest, v->conf->memory_max, module, &v->code);
}

static void on_code_state(struct compiled_want *w, enum plugin_state s)
{
    version_set_state(container_of(w, struct version, code), s);
}

static void on_code_done(struct compiled_want *w, const struct stage_error *e)
{
    struct version *v = container_of(w, struct version, code);
    if (e) {
        version_fail(v, e);
        return;
    }
    version_set_state(v, PLUGIN_STARTING);
    seats_start(v);
}

void version_start_compiled(struct version *v, struct compiled *code, const char *digest)
{
    memcpy(v->digest, digest, sizeof(v->digest));
    compiled_share(code, &v->code);
    version_set_state(v, PLUGIN_STARTING);
    seats_start(v);
}

/* --- serving, and its end --- */

void version_begin_probation(struct version *v)
{
    v->traps = 0;
    version_set_state(v, PLUGIN_PROBATION);
    loop_timer_start(&v->probation, v->slot->rollout->probation_ms);
}

static void stop_work(struct version *v)
{
    source_drop(&v->source);
    loop_timer_stop(&v->retry);
    loop_timer_stop(&v->probation);
    seats_release(v);
}

void version_supersede(struct version *v, const char *why)
{
    struct error err;
    error_set(&err, ERR_CLOSED, "%s", why);
    stop_work(v);
    compiled_drop(&v->code);
    version_answer(v, &err);
}

void version_drain(struct version *v)
{
    stop_work(v);
    struct error err;
    error_set(&err, ERR_CLOSED, "superseded");
    version_answer(v, &err);
    /* The row of a configuration that failed goes on saying so after a rollback. */
    if (v->slot->newest != v || v->state != PLUGIN_FAILED)
        version_set_state(v, PLUGIN_DRAINING);
}

static void retry_later(struct version *v)
{
    uint64_t ms = v->slot->rollout->retry_base_ms;
    for (unsigned i = 0; i < v->attempts && ms < RETRY_MAX_MS; i++)
        ms *= 2;
    v->attempts++;
    loop_timer_start(&v->retry, rollout_jitter((uint32_t)(ms > RETRY_MAX_MS ? RETRY_MAX_MS : ms)));
}

/* The plugin as seen by people: the text, the log line, the metric; then its waiters. */
void version_fail(struct version *v, const struct stage_error *e)
{
    struct slot *slot = v->slot;
    struct error err;
    v->failure = *e;
    loop_timer_stop(&v->probation);
    error_set(&err, e->err.code == ERR_CLOSED ? ERR_INTERNAL : e->err.code, "%s: %s",
              stage_text(e->stage), e->err.text);
    snprintf(slot->last_error, sizeof(slot->last_error), "%s", err.text);
    version_set_state(v, PLUGIN_FAILED);
    version_ref(v);
    if (e->stage == STAGE_RUN) {
        /* It was reported as live: that answer is corrected once. */
        if (v->is_answered && !v->is_reported_late && !v->is_rollback &&
            slot->rollout->ops.failed_late)
            slot->rollout->ops.failed_late(slot->rollout->ops.arg, slot->name, &err);
        v->is_reported_late = true;
    } else {
        seats_release(v);
        compiled_drop(&v->code);
        if (stage_error_is_passing(e) && !v->is_rollback)
            retry_later(v);
    }
    version_answer(v, &err);
    slot_forget_rollback(slot, v);
    version_unref(v);
}
