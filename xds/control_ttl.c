/* How resources end without a word of their server. Those with a time to live end when it
 * is over, unless the server sends them again, or a heartbeat: their name and version without them.
 * Routes and endpoints that nothing refers to any more are forgotten a while later. */
#include <string.h>

#include "base/log.h"
#include "xds/control_private.h"

static void on_expired(struct loop_timer *t)
{
    struct entry *e = container_of(t, struct entry, ttl_timer);
    struct control *c = e->control;
    enum xds_type type = e->type;
    if (c->is_closing)
        return;
    log_warn(LOG_CONFIG, "%s: the time to live of '%s' is over", xds_type_url(type),
             e->wire_name ? e->wire_name : e->name);
    control_end(c, e);
    if (type == XDS_VHDS)
        vhds_finish(c, NULL);
    control_check_later(c); /* publishes */
}

static void on_forgotten(struct loop_timer *t)
{
    struct entry *e = container_of(t, struct entry, forget_timer);
    struct control *c = e->control;
    if (c->is_closing ||
        (e->type == XDS_EDS ? eds_is_wanted(c, e->name) : rds_is_wanted(c, e->name)))
        return;
    log_debug(LOG_CONFIG, "%s: nothing refers to '%s' any more", xds_type_url(e->type), e->name);
    control_remove(c, e);
    control_check_later(c);
}

void forget_later(struct control *c, enum xds_type t, const char *name)
{
    struct entry *e = store_find(c, t, name);
    if (e)
        loop_timer_start(&e->forget_timer, c->o.forget_after_ms);
}

void ttl_init(struct entry *e)
{
    loop_timer_init(&e->ttl_timer, e->control->loop, on_expired);
    loop_timer_init(&e->forget_timer, e->control->loop, on_forgotten);
}

static void set(struct entry *e, uint32_t ms)
{
    loop_timer_stop(&e->ttl_timer);
    if (ms)
        loop_timer_start(&e->ttl_timer, ms);
}

/* What was refused leaves the version before it as it is, and its end too. */
static void note_resource(struct entry *e, const struct xds_update *u, const struct xds_resource *r)
{
    if (!e->is_static && e->source == u->source && !strcmp(e->version, r->version) && !e->error[0])
        set(e, r->ttl_ms);
}

/* Incremental heartbeats have the resource's version, others that of the type's last response. */
static bool is_current(const struct entry *e, const struct xds_update *u,
                       const struct xds_resource *r)
{
    if (u->is_delta)
        return !strcmp(e->version, r->version);
    return !e->error[0] && !strcmp(control_version(e->control, u->type), r->version);
}

static void note_heartbeat(struct entry *e, const struct xds_update *u,
                           const struct xds_resource *r)
{
    e->is_listed = true;
    if (!e->is_static && e->source == u->source && is_current(e, u, r))
        set(e, r->ttl_ms);
    else
        log_debug(LOG_CONFIG, "%s: a heartbeat of '%s' is of another version: '%s'",
                  xds_type_url(u->type), r->name, r->version);
}

typedef void note_fn(struct entry *e, const struct xds_update *u, const struct xds_resource *r);

/* Secrets are kept by reference, so a name may have several entries. */
static void each(struct control *c, const struct xds_update *u, const struct xds_resource *r,
                 note_fn *note)
{
    size_t it = 0;
    struct hash_entry *h;
    struct entry *e = u->type == XDS_SDS ? NULL : store_find(c, u->type, r->name);
    if (e)
        note(e, u, r);
    while (u->type == XDS_SDS && (h = hash_next(&c->store[XDS_SDS], &it)))
        if (!strcmp(((struct entry *)h->value)->wire_name, r->name))
            note(h->value, u, r);
}

void ttl_note(struct control *c, const struct xds_update *u)
{
    for (size_t i = 0; i < u->resources_n; i++)
        each(c, u, &u->resources[i], note_resource);
    for (size_t i = 0; i < u->heartbeats_n; i++)
        each(c, u, &u->heartbeats[i], note_heartbeat);
}
