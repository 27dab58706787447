/* Listeners and the plugin slots they refer to. A listener serves when its routes are there, its
 * discovered plugins have arrived, and - where a version before it serves - its new inline plugins
 * are live. */
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "xds/control_private.h"

/* ---- what a listener refers to ---- */

struct reference {
    struct control *control;
    struct batch *batch;
    const char *listener;
    bool is_ready, is_timed_out, has_predecessor;
};

static void want_rds(const struct conf_hcm *hcm, const char *name, const struct conf_source *source,
                     void *arg)
{
    struct reference *ref = arg;
    rds_want(ref->control, hcm->stat_prefix, name, source);
}

static void unwant_rds(const struct conf_hcm *hcm, const char *name,
                       const struct conf_source *source, void *arg)
{
    (void)hcm;
    struct reference *ref = arg;
    rds_unwant(ref->control, name, source);
}

static void want_slot(const struct conf_slot_use *use, void *arg)
{
    struct reference *ref = arg;
    struct control *c = ref->control;
    struct slot *s = hash_find(&c->slots, str_of(use->slot));
    if (!s) {
        s = MEM_NEW(struct slot);
        s->name = mem_strdup(use->slot);
        s->is_discovered = use->is_discovered;
        s->is_network = use->is_network;
        if (s->is_discovered) {
            slot_define_stats(s);
            stat_inc(s->stats.attempt);
        }
        hash_set(&c->slots, str_of(use->slot), s);
    }
    s->users++;
    if (use->is_discovered)
        sources_want(c->sources, use->source, XDS_ECDS, use->slot);
    else if (use->plugin)
        control_push_plugin(c, ref->batch, ref->listener, use->plugin);
}

static void unwant_slot(const struct conf_slot_use *use, void *arg)
{
    struct reference *ref = arg;
    struct control *c = ref->control;
    struct slot *s = hash_find(&c->slots, str_of(use->slot));
    if (use->is_discovered)
        sources_unwant(c->sources, use->source, XDS_ECDS, use->slot);
    if (!s || --s->users)
        return;
    struct entry *e = store_find(c, XDS_ECDS, use->slot);
    if (e)
        store_remove(c, e);
    rollout_remove(c->o.rollout, use->slot);
    hash_remove(&c->slots, str_of(use->slot));
    slot_destroy(s);
}

static void refer(struct control *c, struct batch *b, struct conf_listener *l)
{
    struct reference ref = {.control = c, .batch = b, .listener = l->object.name};
    conf_listener_each_rds(l, want_rds, &ref);
    conf_listener_each_slot(l, want_slot, &ref);
    sds_want_of_listener(c, l);
    srds_want_of_listener(c, l);
}

static void unrefer(struct control *c, struct conf_object *l)
{
    struct reference ref = {.control = c};
    if (!l)
        return;
    conf_listener_each_rds((struct conf_listener *)l, unwant_rds, &ref);
    conf_listener_each_slot((struct conf_listener *)l, unwant_slot, &ref);
    sds_unwant_of_listener(c, (struct conf_listener *)l);
    srds_unwant_of_listener(c, (struct conf_listener *)l);
}

/* A listener that will not serve. */
static void give_up(struct control *c, struct conf_object *l)
{
    if (l)
        c->o.ops.release_listener(c->o.ops.arg, (struct conf_listener *)l);
    unrefer(c, l);
}

/* ---- warming ---- */

static void check_rds(const struct conf_hcm *hcm, const char *name,
                      const struct conf_source *source, void *arg)
{
    (void)hcm;
    (void)source;
    struct reference *ref = arg;
    struct entry *e = store_find(ref->control, XDS_RDS, name);
    if ((!e || !e->active) && !ref->is_timed_out)
        ref->is_ready = false;
}

static void note_rds_timeout(const struct conf_hcm *hcm, const char *name,
                             const struct conf_source *source, void *arg)
{
    (void)hcm;
    (void)source;
    struct control *c = arg;
    struct entry *e = store_find(c, XDS_RDS, name);
    if (!e || !e->active)
        rds_note_timeout(c, name);
}

static void note_slot_timeout(const struct conf_slot_use *use, void *arg)
{
    struct control *c = arg;
    if (use->is_discovered && !store_find(c, XDS_ECDS, use->slot))
        slot_note_timeout(c, use->slot);
}

void lds_note_timeout(struct control *c, struct entry *e)
{
    const struct conf_listener *l = (const struct conf_listener *)e->warming;
    if (!l)
        return;
    conf_listener_each_rds(l, note_rds_timeout, c);
    conf_listener_each_slot(l, note_slot_timeout, c);
}

static void check_slot(const struct conf_slot_use *use, void *arg)
{
    struct reference *ref = arg;
    struct entry *e = use->is_discovered ? store_find(ref->control, XDS_ECDS, use->slot) : NULL;
    if (ref->is_timed_out)
        return;
    if (use->is_discovered && (!e || !e->active))
        ref->is_ready = false;
    if (ref->has_predecessor && !rollout_is_live(ref->control->o.rollout, use->slot))
        ref->is_ready = false;
}

/* The fetch timed out: default_config serves, where there is one. */
static void push_default(const struct conf_slot_use *use, void *arg)
{
    struct reference *ref = arg;
    struct entry *e = use->is_discovered ? store_find(ref->control, XDS_ECDS, use->slot) : NULL;
    if (use->is_discovered && use->default_plugin && (!e || !e->active))
        rollout_push(ref->control->o.rollout, use->default_plugin, NULL, NULL);
}

void lds_count(struct control *c)
{
    size_t active = 0, warming = 0, it = 0;
    struct hash_entry *h;
    while ((h = hash_next(&c->store[XDS_LDS], &it))) {
        struct entry *e = h->value;
        active += e->active != NULL;
        warming += e->warming != NULL;
    }
    stat_set(c->active_listeners, active);
    stat_set(c->warming_listeners, warming);
}

void lds_check(struct control *c, struct entry *e)
{
    struct conf_listener *l = (struct conf_listener *)e->warming;
    if (!l)
        return;
    struct reference ref = {.control = c,
                            .is_ready = true,
                            .is_timed_out = e->is_timed_out,
                            .has_predecessor = e->has_predecessor};
    conf_listener_each_rds(l, check_rds, &ref);
    conf_listener_each_slot(l, check_slot, &ref);
    if (!ref.is_ready || (!e->is_timed_out &&
                          !(sds_is_ready_for_listener(c, l) && srds_is_ready_for_listener(c, l))))
        return;
    conf_listener_each_slot(l, push_default, &ref);
    if (e->active && ((struct conf_listener *)e->active)->base_hash == l->base_hash)
        stat_inc(c->listener_in_place_updated);
    log_info(LOG_CONFIG, "lds: add/update listener '%s'", e->name);
    snapshot_set_listener(c->o.ops.edit(c->o.ops.arg), e->name, l);
    control_edited(c);
    c->o.ops.release_listener(c->o.ops.arg, l);
    struct conf_object *old = conf_object_ref(e->active);
    store_activate(e);
    unrefer(c, old);
    conf_object_unref(old);
    control_check_later(c); /* counts, too */
}

static uint32_t fetch_timeout_of(const struct conf_filter_chain *chain)
{
    uint32_t ms = 0;
    for (size_t i = 0; i < chain->filters_n; i++) {
        const struct conf_net_filter *f = &chain->filters[i];
        if (f->is_discovered && f->source.initial_fetch_timeout_ms > ms)
            ms = f->source.initial_fetch_timeout_ms;
        if (f->kind != CONF_NET_HCM)
            continue;
        if (f->hcm->rds_name && f->hcm->rds_source.initial_fetch_timeout_ms > ms)
            ms = f->hcm->rds_source.initial_fetch_timeout_ms;
        for (size_t k = 0; k < f->hcm->filters_n; k++)
            if (f->hcm->filters[k].is_discovered &&
                f->hcm->filters[k].source.initial_fetch_timeout_ms > ms)
                ms = f->hcm->filters[k].source.initial_fetch_timeout_ms;
    }
    return ms;
}

static void start_timer(struct entry *e, const struct conf_listener *l)
{
    uint32_t ms = sds_timeout_of_listener(e->control, l);
    if (srds_timeout_of_listener(e->control, l) > ms)
        ms = srds_timeout_of_listener(e->control, l);
    if (l->default_chain && fetch_timeout_of(l->default_chain) > ms)
        ms = fetch_timeout_of(l->default_chain);
    for (size_t i = 0; i < l->chains_n; i++) {
        uint32_t of_chain = fetch_timeout_of(&l->chains[i]);
        if (of_chain > ms)
            ms = of_chain;
    }
    if (ms)
        loop_timer_start(&e->timer, ms);
}

/* Only the plugins inside differ: they are swapped in place and no connection notices. */
static bool is_same_listener(const struct entry *e, const struct conf_listener *l)
{
    const struct conf_object *have = e->warming ? e->warming : e->active;
    return have && have->hash == l->object.hash;
}

struct source_check {
    struct control *control;
    unsigned parent;
    int rc;
    struct error *err;
};

static void check_rds_source(const struct conf_hcm *hcm, const char *name,
                             const struct conf_source *source, void *arg)
{
    (void)hcm;
    struct source_check *k = arg;
    if (k->rc)
        return;
    k->rc = sources_check(k->control->sources, source, k->parent, XDS_RDS, k->err);
    if (k->rc)
        error_prefix(k->err, "rds '%s': config_source: ", name);
}

static void check_slot_source(const struct conf_slot_use *use, void *arg)
{
    struct source_check *k = arg;
    if (k->rc || !use->is_discovered)
        return;
    k->rc = sources_check(k->control->sources, use->source, k->parent, XDS_ECDS, k->err);
    if (k->rc)
        error_prefix(k->err, "filter '%s': config_discovery.config_source: ", use->slot);
}

/* Better refused than waited for where nobody sends it. */
static int check_sources(struct control *c, const struct batch *b, const struct conf_listener *l,
                         struct error *err)
{
    struct source_check k = {c, b->source, 0, err};
    conf_listener_each_rds(l, check_rds_source, &k);
    conf_listener_each_slot(l, check_slot_source, &k);
    if (!k.rc)
        k.rc = sds_check_listener(c, b, l, err);
    return k.rc ? k.rc : srds_check_listener(c, b, l, err);
}

void lds_apply(struct control *c, struct batch *b, const struct xds_resource *r, bool is_static)
{
    struct entry *e = store_get(c, XDS_LDS, r->name);
    struct error err;
    struct conf_listener *l;
    e->is_listed = true;
    if (e->is_static && !is_static) {
        error_set(&err, ERR_INVALID, "a static listener cannot be changed by LDS");
        control_refuse(c, b, e, r, &err);
        return;
    }
    if (control_is_unchanged(c, b, e, r))
        return;
    int rc = decode_listener(r->value, control_unknown(c, is_static), &l, &err);
    if (!rc && (rc = check_sources(c, b, l, &err)))
        conf_object_unref(l);
    if (!rc && c->o.ops.open_listener(c->o.ops.arg, l, &err)) {
        stat_inc(c->listener_create_failure);
        batch_add_error(b, r->name, "bind", err.text);
        store_set_error(e, r->value, r->version, err.text);
        conf_object_unref(l);
        return;
    }
    if (rc) {
        control_refuse(c, b, e, r, &err);
        return;
    }
    e->is_static = l->is_static = is_static;
    bool is_same = is_same_listener(e, l);
    stat_inc(e->active ? c->listener_modified : c->listener_added);
    refer(c, b, l);
    give_up(c, e->warming); /* superseded before it served */
    store_set_warming(e, b, l, r->value, r->version);
    if (is_same && e->active && e->active->hash == l->object.hash) {
        struct conf_object *old = conf_object_ref(e->active);
        c->o.ops.release_listener(c->o.ops.arg, l);
        store_activate(e); /* the new plugins are under way; the snapshot keeps the old object */
        unrefer(c, old);
        conf_object_unref(old);
    } else {
        stat_inc(c->listener_create_success);
        start_timer(e, l);
        lds_check(c, e);
    }
    control_check_later(c); /* counts, too */
}

void lds_remove(struct control *c, struct entry *e)
{
    log_info(LOG_CONFIG, "lds: remove listener '%s'", e->name);
    stat_inc(c->listener_removed);
    if (e->active) {
        snapshot_set_listener(c->o.ops.edit(c->o.ops.arg), e->name, NULL);
        control_edited(c);
    }
    unrefer(c, e->active);
    give_up(c, e->warming);
    store_remove(c, e);
    control_check_later(c); /* counts, too */
}
