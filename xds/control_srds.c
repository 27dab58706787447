/* Scoped route configurations. All of them are asked for when a listener subscribes to scopes; each
 * one asks for its route configuration, and serves when that is there, so that a scope that turns
 * to other routes keeps those it has until then. */
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "xds/control_private.h"

struct visit {
    struct control *control;
    unsigned parent;
    bool is_missing;
    uint32_t timeout_ms;
    int rc;
    struct error *err;
};

/* ---- listeners ---- */

static void copy_source(struct conf_source *to, const struct conf_source *from)
{
    mem_free((char *)to->bytes.p);
    *to = *from;
    to->bytes.p = mem_dup(from->bytes.p, from->bytes.n);
}

static void want_scopes(const struct conf_hcm *hcm, void *arg)
{
    const struct conf_scoped_routes *s = hcm->scoped;
    struct control *c = arg;
    if (!c->scopes_wanted++) {
        copy_source(&c->scope_routes, &s->rds_source);
        mem_free(c->scope_prefix);
        c->scope_prefix = mem_strdup(hcm->stat_prefix);
    }
    sources_want(c->sources, &s->source, XDS_SRDS, NULL);
}

static void unwant_scopes(const struct conf_hcm *hcm, void *arg)
{
    const struct conf_scoped_routes *s = hcm->scoped;
    struct control *c = arg;
    c->scopes_wanted--;
    sources_unwant(c->sources, &s->source, XDS_SRDS, NULL);
}

void srds_want_of_listener(struct control *c, const struct conf_listener *l)
{
    conf_listener_each_scopes(l, want_scopes, c);
}

void srds_unwant_of_listener(struct control *c, const struct conf_listener *l)
{
    conf_listener_each_scopes(l, unwant_scopes, c);
}

static void visit_scopes(const struct conf_hcm *hcm, void *arg)
{
    const struct conf_scoped_routes *s = hcm->scoped;
    struct visit *v = arg;
    struct control *c = v->control;
    size_t it = 0;
    struct hash_entry *h;
    v->is_missing = v->is_missing || !c->has_srds;
    while ((h = hash_next(&c->store[XDS_SRDS], &it))) {
        const struct entry *e = h->value;
        v->is_missing = v->is_missing || (e->warming && !e->active);
    }
    if (s->source.initial_fetch_timeout_ms > v->timeout_ms)
        v->timeout_ms = s->source.initial_fetch_timeout_ms;
    if (!v->err || v->rc)
        return;
    v->rc = sources_check(c->sources, &s->source, v->parent, XDS_SRDS, v->err);
    if (v->rc) {
        error_prefix(v->err, "scoped_routes '%s': scoped_rds_config_source: ", s->name);
        return;
    }
    v->rc = sources_check(c->sources, &s->rds_source, v->parent, XDS_RDS, v->err);
    if (v->rc)
        error_prefix(v->err, "scoped_routes '%s': rds_config_source: ", s->name);
}

bool srds_is_ready_for_listener(struct control *c, const struct conf_listener *l)
{
    struct visit v = {.control = c};
    conf_listener_each_scopes(l, visit_scopes, &v);
    return !v.is_missing;
}

uint32_t srds_timeout_of_listener(struct control *c, const struct conf_listener *l)
{
    struct visit v = {.control = c};
    conf_listener_each_scopes(l, visit_scopes, &v);
    return v.timeout_ms;
}

int srds_check_listener(struct control *c, const struct batch *b, const struct conf_listener *l,
                        struct error *err)
{
    struct visit v = {.control = c, .parent = b->source, .err = err};
    conf_listener_each_scopes(l, visit_scopes, &v);
    return v.rc;
}

/* ---- resources ---- */

static void want_routes(struct control *c, const struct conf_object *scope)
{
    const struct conf_scope *s = (const struct conf_scope *)scope;
    if (s && *s->route_name)
        rds_want(c, c->scope_prefix, s->route_name, &c->scope_routes);
}

static void unwant_routes(struct control *c, const struct conf_object *scope)
{
    const struct conf_scope *s = (const struct conf_scope *)scope;
    if (s && *s->route_name)
        rds_unwant(c, s->route_name, &c->scope_routes);
}

static void unpublish(struct control *c, const struct conf_object *scope)
{
    const struct conf_scope *s = (const struct conf_scope *)scope;
    if (!s)
        return;
    snapshot_set_scope(c->o.ops.edit(c->o.ops.arg), s->key, NULL);
    control_edited(c);
}

void srds_check(struct control *c, struct entry *e)
{
    struct conf_scope *s = (struct conf_scope *)e->warming;
    if (!s)
        return;
    const struct entry *routes = *s->route_name ? store_find(c, XDS_RDS, s->route_name) : NULL;
    if (*s->route_name && !(routes && routes->active) && !e->is_timed_out)
        return;
    struct conf_scope *old = (struct conf_scope *)e->active;
    if (old && !str_eq(old->key, s->key))
        unpublish(c, e->active);
    unwant_routes(c, e->active);
    store_activate(e);
    snapshot_set_scope(c->o.ops.edit(c->o.ops.arg), s->key, s);
    control_edited(c);
    control_check_later(c); /* listeners may have waited for it */
}

/* Two scopes of one key would be as good as a coin. */
static int check_key(struct control *c, const struct entry *own, const struct conf_scope *s,
                     struct error *err)
{
    size_t it = 0;
    struct hash_entry *h;
    while ((h = hash_next(&c->store[XDS_SRDS], &it))) {
        const struct entry *e = h->value;
        const struct conf_scope *other =
            (const struct conf_scope *)(e->warming ? e->warming : e->active);
        if (e != own && other && e->is_listed && str_eq(other->key, s->key))
            return error_set(err, ERR_DUPLICATE, "key: scope key conflict found, the first is '%s'",
                             e->name);
    }
    return 0;
}

void srds_apply(struct control *c, struct batch *b, const struct xds_resource *r)
{
    struct entry *e = store_get(c, XDS_SRDS, r->name);
    struct conf_scope *scope;
    struct error err;
    e->is_listed = true;
    if (control_is_unchanged(c, b, e, r))
        return;
    if (decode_scoped_route(r->value, control_unknown(c, false), &scope, &err)) {
        control_refuse(c, b, e, r, &err);
        return;
    }
    if (check_key(c, e, scope, &err)) {
        conf_object_unref(scope);
        control_refuse(c, b, e, r, &err);
        return;
    }
    want_routes(c, &scope->object);
    unwant_routes(c, e->warming);
    store_set_warming(e, b, scope, r->value, r->version);
    if (c->scope_routes.initial_fetch_timeout_ms)
        loop_timer_start(&e->timer, c->scope_routes.initial_fetch_timeout_ms);
    srds_check(c, e);
}

void srds_remove(struct control *c, struct entry *e)
{
    unpublish(c, e->active);
    unwant_routes(c, e->active);
    unwant_routes(c, e->warming);
    store_remove(c, e);
}
