/* Route configurations. They serve as they come; one whose virtual hosts are discovered (VHDS)
 * serves when the first of them are there, or there are none, and the version before it until
 * then. */
#include "base/clock.h"
#include "base/mem.h"
#include "xds/control_private.h"

/* ---- who wants what ---- */

/* Of one name. */
struct use {
    unsigned users;
    struct control_stats stats; /* under the prefix of who asked first, as in Envoy */
    stat_id reload, reload_time;
};

static struct use *find_use(const struct control *c, const char *name)
{
    return hash_find(&c->rds_users, str_of(name));
}

static void define_stats(struct use *u, const char *stat_prefix, const char *name)
{
    counts_define(&u->stats, "http.%s.rds.%s", stat_prefix, name);
    u->reload = stat_define(STAT_COUNTER, "http.%s.rds.%s.config_reload", stat_prefix, name);
    u->reload_time =
        stat_define(STAT_GAUGE, "http.%s.rds.%s.config_reload_time_ms", stat_prefix, name);
}

static void destroy_use(struct use *u)
{
    counts_release(&u->stats);
    stat_release(u->reload);
    stat_release(u->reload_time);
    mem_free(u);
}

void rds_fini(struct control *c)
{
    size_t it = 0;
    struct hash_entry *h;
    while ((h = hash_next(&c->rds_users, &it)))
        destroy_use(h->value);
    hash_fini(&c->rds_users);
}

void rds_want(struct control *c, const char *stat_prefix, const char *name,
              const struct conf_source *source)
{
    struct use *u = find_use(c, name);
    if (!u) {
        u = MEM_NEW(struct use);
        hash_set(&c->rds_users, str_of(name), u);
        define_stats(u, stat_prefix, hash_key(&c->rds_users, str_of(name)));
        stat_inc(u->stats.attempt);
    }
    u->users++;
    sources_want(c->sources, source, XDS_RDS, name);
}

void rds_unwant(struct control *c, const char *name, const struct conf_source *source)
{
    struct use *u = find_use(c, name);
    sources_unwant(c->sources, source, XDS_RDS, name);
    if (--u->users)
        return;
    destroy_use(hash_remove(&c->rds_users, str_of(name)));
    forget_later(c, XDS_RDS, name);
}

void rds_note_timeout(struct control *c, const char *name)
{
    struct use *u = find_use(c, name);
    if (u)
        stat_inc(u->stats.timeout);
}

void rds_note_failure(struct control *c)
{
    size_t it = 0;
    struct hash_entry *h;
    while ((h = hash_next(&c->rds_users, &it)))
        stat_inc(((struct use *)h->value)->stats.failure);
}

bool rds_is_wanted(const struct control *c, const char *name)
{
    return find_use(c, name) != NULL;
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

static void count_reload(struct control *c, const char *name)
{
    struct use *u = find_use(c, name);
    if (!u)
        return;
    stat_inc(u->reload);
    stat_set(u->reload_time, clock_wall_ns() / 1000000);
}

void rds_check(struct control *c, struct entry *e)
{
    if (!e->warming || !(e->is_timed_out || vhds_is_ready(c, e)))
        return;
    struct conf_object *old = conf_object_ref(e->active);
    store_activate(e);
    count_reload(c, e->name);
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

static void count_update(struct control *c, const struct batch *b, const char *name, bool is_good)
{
    struct use *u = find_use(c, name);
    if (u)
        counts_note(&u->stats, b, is_good);
}

void rds_apply(struct control *c, struct batch *b, const struct xds_resource *r)
{
    struct entry *e = store_get(c, XDS_RDS, r->name);
    struct error err;
    struct conf_route_config *routes;
    e->is_listed = true;
    if (control_is_unchanged(c, b, e, r)) {
        count_update(c, b, r->name, true);
        return;
    }
    int rc = make_routes(c, b, r, &routes, &err);
    count_update(c, b, r->name, !rc);
    if (rc) {
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
