/* The types of resources, and how an update of one is worked off: what it brings, what it takes
 * away, and the answer. */
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "xds/control_private.h"

static void apply_cluster(struct control *c, struct batch *b, const struct xds_resource *r)
{
    cds_apply(c, b, r, false);
}

static void apply_listener(struct control *c, struct batch *b, const struct xds_resource *r)
{
    lds_apply(c, b, r, false);
}

static const struct {
    const char *stat_prefix;
    void (*apply)(struct control *c, struct batch *b, const struct xds_resource *r);
    void (*remove)(struct control *c, struct entry *e);
} types[XDS_TYPE_COUNT] = {
    [XDS_CDS] = {"cluster_manager.cds", apply_cluster, cds_remove},
    [XDS_EDS] = {"cluster_manager.eds", eds_apply, store_remove},
    [XDS_LDS] = {"listener_manager.lds", apply_listener, lds_remove},
    [XDS_RDS] = {"http.rds", rds_apply, rds_remove},
    [XDS_ECDS] = {"extension_config_discovery", ecds_apply, ecds_remove},
    [XDS_SDS] = {"sds", sds_apply, sds_remove},
    [XDS_RTDS] = {"runtime", rtds_apply, rtds_remove},
    [XDS_SRDS] = {"http.scoped_rds", srds_apply, srds_remove},
    [XDS_VHDS] = {"http.vhds", vhds_apply, vhds_remove},
};

const char *control_stat_prefix(enum xds_type t)
{
    return types[t].stat_prefix;
}

void control_remove(struct control *c, struct entry *e)
{
    types[e->type].remove(c, e);
}

void control_end(struct control *c, struct entry *e)
{
    if (e->type != XDS_EDS && e->type != XDS_RDS) {
        control_remove(c, e);
        return;
    }
    log_info(LOG_CONFIG, "%s: '%s' is gone at its server; it stays in use", xds_type_url(e->type),
             e->name);
    sources_drop_held(c->sources, e->source, e->type, e->name);
}

static void unlist_all(struct control *c, enum xds_type t)
{
    size_t it = 0;
    struct hash_entry *h;
    while ((h = hash_next(&c->store[t], &it)))
        ((struct entry *)h->value)->is_listed = false;
}

static void remove_unlisted(struct control *c, enum xds_type t, unsigned source)
{
    size_t it = 0;
    struct hash_entry *h;
    while ((h = hash_next(&c->store[t], &it))) {
        struct entry *e = h->value;
        if (!e->is_listed && !e->is_static && (!e->source || e->source == source))
            control_remove(c, e);
    }
}

static void remove_named(struct control *c, const struct xds_update *u, const char *name)
{
    if (u->type == XDS_SDS)
        sds_remove_named(c, u->source, name);
    if (u->type == XDS_RTDS)
        rtds_note_answer(c, name);
    if (u->type == XDS_EDS)
        eds_note_missing(c, name);
    struct entry *e = store_find(c, u->type, name);
    if (e && !e->is_static)
        control_end(c, e);
}

static void note_version(struct control *c, const struct xds_update *u)
{
    mem_free(c->versions[u->type]);
    c->versions[u->type] = mem_strdup(u->version);
}

void control_on_update(void *arg, const struct xds_update *u)
{
    struct control *c = arg;
    struct batch *b = batch_create(c, u->type, u->source, u->ticket);
    b->version = mem_strdup(u->version);
    if (u->is_complete)
        unlist_all(c, u->type);
    for (size_t i = 0; i < u->resources_n; i++)
        types[u->type].apply(c, b, &u->resources[i]);
    for (size_t i = 0; i < u->removed_n; i++)
        remove_named(c, u, u->removed[i]);
    ttl_note(c, u);
    if (u->is_complete)
        remove_unlisted(c, u->type, u->source);
    c->has_cds = c->has_cds || u->type == XDS_CDS;
    c->has_lds = c->has_lds || u->type == XDS_LDS;
    c->has_srds = c->has_srds || u->type == XDS_SRDS;
    if (u->type == XDS_VHDS)
        vhds_finish(c, b);
    note_version(c, u);
    control_check_later(c);
    batch_finish(b);
}
