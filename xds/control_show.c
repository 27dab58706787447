/* What the admin interface asks: what is there, what is warming, and what that waits for. */
#include "xds/control_private.h"

/* ---- rows ---- */

static void tell_rows(const struct entry *e, void (*fn)(const struct control_row *row, void *arg),
                      void *arg)
{
    struct control_row row = {.type = e->type,
                              .name = e->wire_name ? e->wire_name : e->name,
                              .is_static = e->is_static,
                              .failed = e->failed_bytes,
                              .error = e->error,
                              .failed_version = e->failed_version,
                              .failed_ns = e->failed_ns};
    if (e->active) {
        struct sbuf merged = {0};
        row.status = CONTROL_ACTIVE;
        row.version = e->active_version;
        row.value = e->active_bytes;
        row.updated_ns = e->updated_ns;
        if (e->type == XDS_RDS && ((struct conf_route_config *)e->active)->has_vhds) {
            vhds_show(e->control, e, &merged);
            row.value = (struct str){merged.p, merged.n};
        }
        fn(&row, arg);
        sbuf_fini(&merged);
    }
    if (e->warming) {
        row.status = CONTROL_WARMING;
        row.version = e->version;
        row.value = e->warming_bytes;
        row.updated_ns = e->warming_ns;
        fn(&row, arg);
    }
    if (!e->active && !e->warming) {
        row.status = CONTROL_REFUSED;
        row.version = e->version;
        fn(&row, arg);
    }
}

void control_each(struct control *c, enum xds_type t,
                  void (*fn)(const struct control_row *row, void *arg), void *arg)
{
    size_t it = 0;
    struct hash_entry *h;
    while ((h = hash_next(&c->store[t], &it)))
        tell_rows(h->value, fn, arg);
    if (t == XDS_SDS)
        sds_each_missing(c, fn, arg);
}

void control_find(struct control *c, enum xds_type t, const char *name,
                  void (*fn)(const struct control_row *row, void *arg), void *arg)
{
    const struct entry *e = store_find(c, t, name);
    if (e)
        tell_rows(e, fn, arg);
}

bool control_wants_extensions(const struct control *c)
{
    size_t it = 0;
    struct hash_entry *h;
    while ((h = hash_next(&c->slots, &it)))
        if (((const struct slot *)h->value)->is_discovered)
            return true;
    return false;
}

/* ---- what is warming: the same questions that lds_check and cds_check ask ---- */

struct visit {
    struct control *control;
    const struct control_unready_ops *ops;
};

static bool is_there(struct control *c, enum xds_type t, const char *name)
{
    const struct entry *e = store_find(c, t, name);
    return e && e->active;
}

static void visit_rds(const struct conf_hcm *hcm, const char *name,
                      const struct conf_source *source, void *arg)
{
    (void)hcm;
    (void)source;
    struct visit *v = arg;
    if (!is_there(v->control, XDS_RDS, name))
        v->ops->on_target(XDS_RDS, name, v->ops->arg);
}

static void visit_slot(const struct conf_slot_use *use, void *arg)
{
    struct visit *v = arg;
    bool is_missing = use->is_discovered && !is_there(v->control, XDS_ECDS, use->slot);
    if (is_missing || !rollout_is_live(v->control->o.rollout, use->slot))
        v->ops->on_target(XDS_ECDS, use->slot, v->ops->arg);
}

static void visit_scopes(const struct conf_hcm *hcm, void *arg)
{
    const struct conf_scoped_routes *s = hcm->scoped;
    struct visit *v = arg;
    v->ops->on_target(XDS_SRDS, s->name, v->ops->arg);
}

static void visit_secret(const struct conf_secret_ref *ref, void *arg)
{
    struct visit *v = arg;
    bool is_subscribed = ref->source != CONF_SECRET_INLINE && ref->source != CONF_SECRET_STATIC;
    if (is_subscribed && !is_there(v->control, XDS_SDS, ref->key))
        v->ops->on_target(XDS_SDS, ref->name, v->ops->arg);
}

static void visit_tls(const struct conf_tls *tls, void *arg)
{
    conf_tls_each_secret(tls, visit_secret, arg);
}

static void visit_listener(struct visit *v, const struct conf_listener *l)
{
    conf_listener_each_rds(l, visit_rds, v);
    conf_listener_each_slot(l, visit_slot, v);
    conf_listener_each_tls(l, visit_tls, v);
    if (!srds_is_ready_for_listener(v->control, l))
        conf_listener_each_scopes(l, visit_scopes, v);
}

static void visit_cluster(struct visit *v, const struct conf_cluster *cluster)
{
    conf_cluster_each_tls(cluster, visit_tls, v);
    if (cluster->type != CONF_CLUSTER_EDS || !is_there(v->control, XDS_EDS, cluster->eds_name))
        v->ops->on_target(XDS_EDS, cluster->eds_name, v->ops->arg);
}

void control_each_unready(struct control *c, enum xds_type t, const struct control_unready_ops *ops)
{
    struct visit v = {c, ops};
    struct hash_entry *h;
    size_t it = 0;
    while ((h = hash_next(&c->store[t], &it))) {
        const struct entry *e = h->value;
        if (!e->warming)
            continue;
        struct control_unready u = {t, e->name, e->warming->hash};
        ops->on_unready(&u, ops->arg);
        if (t == XDS_LDS)
            visit_listener(&v, (const struct conf_listener *)e->warming);
        else
            visit_cluster(&v, (const struct conf_cluster *)e->warming);
    }
}
