/* Route configurations. They serve as they come; one whose virtual hosts are discovered (VHDS)
 * serves when the first of them are there, or there are none, and the version before it until
 * then. */
#include "xds/control_private.h"

/* ---- who wants what ---- */

void rds_want(struct control *c, const char *name, const struct conf_source *source)
{
    uintptr_t n = (uintptr_t)hash_find(&c->rds_users, str_of(name));
    hash_set(&c->rds_users, str_of(name), (void *)(n + 1));
    sources_want(c->sources, source, XDS_RDS, name);
}

void rds_unwant(struct control *c, const char *name, const struct conf_source *source)
{
    uintptr_t n = (uintptr_t)hash_find(&c->rds_users, str_of(name));
    sources_unwant(c->sources, source, XDS_RDS, name);
    if (n > 1) {
        hash_set(&c->rds_users, str_of(name), (void *)(n - 1));
        return;
    }
    hash_remove(&c->rds_users, str_of(name));
    forget_later(c, XDS_RDS, name);
}

bool rds_is_wanted(const struct control *c, const char *name)
{
    return hash_find(&c->rds_users, str_of(name)) != NULL;
}

/* ---- resources ---- */

static struct conf_route_config *routes_of(struct conf_object *o)
{
    return (struct conf_route_config *)o;
}

void rds_publish(struct control *c, struct entry *e)
{
    snapshot_set_route(c->o.ops.edit(c->o.ops.arg), e->name, routes_of(e->active));
    control_edited(c);
}

void rds_check(struct control *c, struct entry *e)
{
    if (!e->warming || !(e->is_timed_out || vhds_is_ready(c, e)))
        return;
    struct conf_object *old = conf_object_ref(e->active);
    store_activate(e);
    vhds_unwant(c, routes_of(old));
    conf_object_unref(old);
    rds_publish(c, e);
    control_check_later(c); /* listeners may have waited for it */
}

static int make_routes(struct control *c, const struct batch *b, const struct xds_resource *r,
                       struct conf_route_config **routes_r, struct error *err)
{
    int rc = decode_route_config(r->value, control_unknown(c, false), routes_r, err);
    if (rc || !(*routes_r)->has_vhds)
        return rc;
    rc = sources_check(c->sources, &(*routes_r)->vhds_source, b->source, XDS_VHDS, err);
    if (rc)
        error_prefix(err, "vhds.config_source: ");
    else
        rc = vhds_merge(c, r->name, r->value, routes_r, err);
    if (!rc)
        return 0;
    conf_object_unref(*routes_r);
    *routes_r = NULL;
    return rc;
}

void rds_apply(struct control *c, struct batch *b, const struct xds_resource *r)
{
    struct entry *e = store_get(c, XDS_RDS, r->name);
    struct error err;
    struct conf_route_config *routes;
    e->is_listed = true;
    if (control_is_unchanged(c, b, e, r))
        return;
    if (make_routes(c, b, r, &routes, &err)) {
        control_refuse(c, b, e, r, &err);
        return;
    }
    bool has_answer = vhds_want(c, e, routes);
    vhds_unwant(c, routes_of(e->warming));
    store_set_warming(e, b, routes, r->value, r->version);
    e->has_vhds_answer = has_answer;
    if (routes->has_vhds && routes->vhds_source.initial_fetch_timeout_ms)
        loop_timer_start(&e->timer, routes->vhds_source.initial_fetch_timeout_ms);
    rds_check(c, e);
}

void rds_remove(struct control *c, struct entry *e)
{
    vhds_unwant(c, routes_of(e->active));
    vhds_unwant(c, routes_of(e->warming));
    if (e->active) {
        snapshot_set_route(c->o.ops.edit(c->o.ops.arg), e->name, NULL);
        control_edited(c);
    }
    store_remove(c, e);
}
