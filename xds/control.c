#include "xds/control.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "xds/control_private.h"

/* ---- shared by the types ---- */

bool control_is_unchanged(struct control *c, const struct batch *b, struct entry *e,
                          const struct xds_resource *r)
{
    struct str have = e->warming ? e->warming_bytes : e->active_bytes;
    if (!(e->active || e->warming) || !str_eq(have, r->value))
        return false;
    mem_free(e->version);
    e->version = mem_strdup(r->version);
    if (!e->warming) {
        mem_free(e->active_version);
        e->active_version = mem_strdup(r->version);
    }
    store_clear_error(e);
    if (!e->is_static)
        e->source = b->source;
    sources_set_held(c->sources, e->source, e->type, e->name, r->version);
    return true;
}

/* Malformed bytes are refused at "decode", everything that reads well but cannot be at
 * "validate". */
static const char *stage_of(enum xds_type t, struct str value)
{
    struct error err;
    const ProtobufCMessageDescriptor *d = pb_find_url(xds_type_url(t));
    return d && pb_check(d, value.p, value.n, pb_budget(value.n), &err) ? "decode" : "validate";
}

void control_refuse(struct control *c, struct batch *b, struct entry *e,
                    const struct xds_resource *r, const struct error *err)
{
    batch_add_error(b, r->name, stage_of(e->type, r->value), err->text);
    store_set_error(e, r->value, r->version, err->text);
    (void)c;
}

/* ---- warming ---- */

static void each(struct control *c, enum xds_type t, void (*fn)(struct control *c, struct entry *e))
{
    size_t it = 0;
    struct hash_entry *h;
    while ((h = hash_next(&c->store[t], &it)))
        fn(c, h->value);
}

static bool is_warm(struct control *c, enum xds_type t)
{
    size_t it = 0;
    struct hash_entry *h;
    while ((h = hash_next(&c->store[t], &it)))
        if (((struct entry *)h->value)->warming)
            return false;
    return true;
}

/* Listeners are asked for when the first clusters are there, so that none serves without them. */
static void want_listeners(struct control *c)
{
    if (c->is_lds_wanted)
        return;
    c->is_lds_wanted = true;
    loop_timer_stop(&c->cds_timer);
    log_info(LOG_MAIN, "cm init: all clusters initialized");
    const struct bootstrap_source *lds = &c->o.bootstrap->lds;
    if (lds->kind == BOOTSTRAP_SOURCE_NONE) {
        c->has_lds = true;
        return;
    }
    stat_inc(c->stats[XDS_LDS].attempt);
    sources_want(c->sources, &lds->conf, XDS_LDS, NULL);
    if (lds->conf.initial_fetch_timeout_ms)
        loop_timer_start(&c->lds_timer, lds->conf.initial_fetch_timeout_ms);
}

static void want_clusters(struct control *c)
{
    const struct bootstrap_source *cds = &c->o.bootstrap->cds;
    c->is_cds_wanted = true;
    log_info(LOG_MAIN, "cm init: initializing cds");
    if (cds->kind == BOOTSTRAP_SOURCE_NONE) {
        c->has_cds = true;
        return;
    }
    stat_inc(c->stats[XDS_CDS].attempt);
    sources_want(c->sources, &cds->conf, XDS_CDS, NULL);
    if (cds->conf.initial_fetch_timeout_ms)
        loop_timer_start(&c->cds_timer, cds->conf.initial_fetch_timeout_ms);
}

static void check_initialized(struct control *c)
{
    if (c->is_initialized || !runtime_is_ready(c))
        return;
    if (!c->is_cds_wanted)
        want_clusters(c);
    bool is_dynamic = sources_is_used(c->sources) || c->o.bootstrap->lds.kind;
    if (is_dynamic && c->has_cds && is_warm(c, XDS_CDS))
        want_listeners(c);
    if (is_dynamic && !(c->has_lds && is_warm(c, XDS_LDS)))
        return;
    c->is_initialized = true;
    loop_timer_stop(&c->lds_timer);
    c->o.ops.on_initialized(c->o.ops.arg);
}

static void run_check(struct loop_task *t)
{
    struct control *c = container_of(t, struct control, check_task);
    each(c, XDS_CDS, cds_check);
    cds_count(c);
    vhds_sweep(c);
    each(c, XDS_RDS, rds_check);
    each(c, XDS_SRDS, srds_check);
    each(c, XDS_LDS, lds_check);
    lds_count(c);
    if (c->is_edited) {
        c->is_edited = false;
        c->o.ops.commit(c->o.ops.arg, NULL, NULL);
    }
    check_initialized(c);
}

void control_check_later(struct control *c)
{
    if (!c->is_closing)
        loop_defer(c->loop, &c->check_task);
}

static void on_cds_timeout(struct loop_timer *t)
{
    struct control *c = container_of(t, struct control, cds_timer);
    log_warn(LOG_CONFIG, "gRPC config: initial fetch timed out for %s", xds_type_url(XDS_CDS));
    stat_inc(c->stats[XDS_CDS].timeout);
    want_listeners(c);
    check_initialized(c);
}

static void on_lds_timeout(struct loop_timer *t)
{
    struct control *c = container_of(t, struct control, lds_timer);
    log_warn(LOG_CONFIG, "gRPC config: initial fetch timed out for %s", xds_type_url(XDS_LDS));
    stat_inc(c->stats[XDS_LDS].timeout);
    c->has_lds = true;
    check_initialized(c);
}

/* ---- what sources say ---- */

static void on_connected(void *arg, unsigned source, bool is_connected, const char *text)
{
    struct control *c = arg;
    if (source == SOURCES_ADS || !c->o.bootstrap->ads.api)
        stat_set(c->connected, is_connected);
    if (is_connected) {
        log_info(LOG_CONFIG, "connected to the management server");
        return;
    }
    log_warn(LOG_CONFIG, "gRPC config stream closed: %s", text);
    stat_inc(c->stats[XDS_CDS].failure);
    stat_inc(c->stats[XDS_LDS].failure);
    rds_note_failure(c);
    slots_note_failure(c);
}

static void on_failure(void *arg, enum xds_type t, const char *text)
{
    struct control *c = arg;
    (void)text; /* was logged */
    if (t == XDS_RDS)
        rds_note_failure(c);
    else if (t == XDS_ECDS)
        slots_note_failure(c);
    stat_inc(c->stats[t].attempt);
    stat_inc(c->stats[t].failure);
}

static void on_unknown(void *arg, const char *path)
{
    struct control *c = arg;
    stat_inc(c->dynamic_unknown);
    log_warn(LOG_CONFIG, "unknown field ignored: %s", path);
}

static void on_known(void *arg, const char *path)
{
    (void)arg;
    (void)path;
}

const struct pb_unknown *control_unknown(const struct control *c, bool is_static)
{
    static const struct pb_unknown nobody = {on_known, NULL};
    if (is_static) /* reported, or refused, when the bootstrap was read */
        return &nobody;
    if (c->o.reject_unknown_fields)
        return NULL;
    return c->o.ignore_unknown_fields ? &nobody : &c->unknown;
}

/* ---- start and end ---- */

static void define_stats(struct control *c)
{
    for (int t = 0; t < XDS_TYPE_COUNT; t++)
        if (t != XDS_RDS && t != XDS_ECDS) /* those have some of each name */
            counts_define(&c->stats[t], "%s", control_stat_prefix((enum xds_type)t));
    const struct {
        stat_id *id;
        enum stat_kind kind;
        const char *name;
    } rows[] = {
        {&c->connected, STAT_GAUGE, "control_plane.connected_state"},
        {&c->dynamic_unknown, STAT_COUNTER, "server.dynamic_unknown_fields"},
        {&c->static_unknown, STAT_COUNTER, "server.static_unknown_fields"},
        {&c->active_clusters, STAT_GAUGE, "cluster_manager.active_clusters"},
        {&c->warming_clusters, STAT_GAUGE, "cluster_manager.warming_clusters"},
        {&c->cluster_added, STAT_COUNTER, "cluster_manager.cluster_added"},
        {&c->cluster_modified, STAT_COUNTER, "cluster_manager.cluster_modified"},
        {&c->cluster_removed, STAT_COUNTER, "cluster_manager.cluster_removed"},
        {&c->active_listeners, STAT_GAUGE, "listener_manager.total_listeners_active"},
        {&c->warming_listeners, STAT_GAUGE, "listener_manager.total_listeners_warming"},
        {&c->listener_added, STAT_COUNTER, "listener_manager.listener_added"},
        {&c->listener_in_place_updated, STAT_COUNTER, "listener_manager.listener_in_place_updated"},
        {&c->listener_modified, STAT_COUNTER, "listener_manager.listener_modified"},
        {&c->listener_removed, STAT_COUNTER, "listener_manager.listener_removed"},
        {&c->listener_create_success, STAT_COUNTER, "listener_manager.listener_create_success"},
        {&c->listener_create_failure, STAT_COUNTER, "listener_manager.listener_create_failure"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        *rows[i].id = stat_define(rows[i].kind, "%s", rows[i].name);
}

int control_create(struct loop *loop, const struct control_options *o, struct control **c_r,
                   struct error *err)
{
    (void)err;
    struct control *c = MEM_NEW(struct control);
    c->loop = loop;
    c->o = *o;
    c->check_task.run = run_check;
    list_init(&c->batches);
    c->unknown = (struct pb_unknown){on_unknown, c};
    loop_timer_init(&c->cds_timer, loop, on_cds_timeout);
    loop_timer_init(&c->lds_timer, loop, on_lds_timeout);
    define_stats(c);
    *c_r = c;
    return 0;
}

static int check_static(struct batch *b, struct error *err)
{
    return b->errors.n ? error_set(err, ERR_INVALID, "%s", b->errors.p) : 0;
}

int control_start(struct control *c, struct error *err)
{
    const struct bootstrap *boot = c->o.bootstrap;
    /* Connected first: static resources may refer to what comes by ADS. */
    const struct ads_ops ops = {control_on_update, on_connected, on_failure, c};
    if (sources_create(c->loop, boot, &ops, &c->sources, err) || runtime_start(c, err))
        return -(int)err->code;
    struct batch *b = batch_create(c, XDS_LDS, 0, 0);
    for (size_t i = 0; i < boot->secrets_n; i++)
        snapshot_set_secret(c->o.ops.edit(c->o.ops.arg), boot->secrets[i]->object.name,
                            boot->secrets[i]);
    for (size_t i = 0; i < boot->clusters_n; i++) {
        const struct xds_resource r = {.name = boot->clusters[i].cluster->object.name,
                                       .version = "",
                                       .value = boot->clusters[i].bytes};
        cds_apply(c, b, &r, true);
    }
    for (size_t i = 0; i < boot->listeners_n; i++) {
        const struct xds_resource r = {.name = boot->listeners[i].listener->object.name,
                                       .version = "",
                                       .value = boot->listeners[i].bytes};
        lds_apply(c, b, &r, true);
    }
    int rc = check_static(b, err);
    if (!rc && runtime_is_ready(c))
        want_clusters(c);
    control_check_later(c);
    batch_finish(b);
    return rc;
}

static void free_slots(struct control *c)
{
    size_t it = 0;
    struct hash_entry *h;
    while ((h = hash_next(&c->slots, &it)))
        slot_destroy(h->value);
    hash_fini(&c->slots);
}

void control_close(struct control *c)
{
    c->is_closing = true;
    loop_timer_stop(&c->cds_timer);
    loop_timer_stop(&c->lds_timer);
    runtime_close(c);
    sources_destroy(&c->sources);
}

void control_destroy(struct control **control)
{
    struct control *c = *control;
    if (!c)
        return;
    batch_free_all(c);
    store_fini(c);
    free_slots(c);
    sds_fini(c);
    runtime_fini(c);
    eds_fini(c);
    rds_fini(c);
    mem_free((char *)c->scope_routes.bytes.p);
    mem_free(c->scope_prefix);
    for (int t = 0; t < XDS_TYPE_COUNT; t++)
        mem_free(c->versions[t]);
    mem_free(c);
    *control = NULL;
}

const char *control_version(const struct control *c, enum xds_type t)
{
    return c->versions[t] ? c->versions[t] : "";
}
