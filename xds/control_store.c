/* The store: what was accepted, what waits, what was refused, by type and name. */
#include "base/clock.h"
#include "base/mem.h"
#include "xds/control_private.h"

static struct str copy_bytes(struct str s)
{
    return (struct str){mem_dup(s.p, s.n), s.n};
}

static void drop_bytes(struct str *s)
{
    /* They may be a secret's. */
    if (s->p)
        explicit_bzero((char *)s->p, s->n);
    mem_free((char *)s->p);
    *s = STR_NULL;
}

static void set_text(char **text, const char *value)
{
    char *copy = mem_strdup(value);
    mem_free(*text);
    *text = copy;
}

struct entry *store_find(struct control *c, enum xds_type t, const char *name)
{
    return hash_find(&c->store[t], str_of(name));
}

static void on_timer(struct loop_timer *t)
{
    struct entry *e = container_of(t, struct entry, timer);
    e->is_timed_out = true;
    if (e->type == XDS_LDS)
        lds_note_timeout(e->control, e);
    else if (e->type == XDS_SRDS)
        rds_note_timeout(e->control, ((struct conf_scope *)e->warming)->route_name);
    else
        stat_inc(e->control->stats[e->type == XDS_CDS ? XDS_EDS : XDS_VHDS].timeout);
    control_check_later(e->control);
}

struct entry *store_get(struct control *c, enum xds_type t, const char *name)
{
    struct entry *e = store_find(c, t, name);
    if (e)
        return e;
    e = MEM_NEW(struct entry);
    e->type = t;
    e->control = c;
    e->name = mem_strdup(name);
    e->version = mem_strdup("");
    e->active_version = mem_strdup("");
    e->failed_version = mem_strdup("");
    e->error = mem_strdup("");
    loop_timer_init(&e->timer, c->loop, on_timer);
    ttl_init(e);
    hash_set(&c->store[t], str_of(name), e);
    return e;
}

static void free_entry(struct entry *e)
{
    loop_timer_stop(&e->timer);
    loop_timer_stop(&e->ttl_timer);
    loop_timer_stop(&e->forget_timer);
    conf_object_unref(e->active);
    conf_object_unref(e->warming);
    drop_bytes(&e->active_bytes);
    drop_bytes(&e->warming_bytes);
    drop_bytes(&e->failed_bytes);
    mem_free(e->name);
    mem_free(e->wire_name);
    mem_free(e->version);
    mem_free(e->active_version);
    mem_free(e->failed_version);
    mem_free(e->error);
    mem_free(e);
}

void store_remove(struct control *c, struct entry *e)
{
    sources_drop_held(c->sources, e->source, e->type, e->wire_name ? e->wire_name : e->name);
    hash_remove(&c->store[e->type], str_of(e->name));
    free_entry(e);
}

void store_set_warming(struct entry *e, const struct batch *b, void *object, struct str bytes,
                       const char *version)
{
    conf_object_unref(e->warming);
    e->warming = object;
    drop_bytes(&e->warming_bytes);
    e->warming_bytes = copy_bytes(bytes);
    set_text(&e->version, version);
    e->warming_ns = clock_wall_ns();
    e->is_timed_out = e->has_no_endpoints = false;
    e->has_predecessor = e->active != NULL;
    loop_timer_stop(&e->timer);
    store_clear_error(e);
    e->source = b->source;
    sources_set_held(e->control->sources, e->source, e->type, e->wire_name ? e->wire_name : e->name,
                     version);
}

void store_activate(struct entry *e)
{
    loop_timer_stop(&e->timer);
    conf_object_unref(e->active);
    e->active = e->warming;
    e->warming = NULL;
    drop_bytes(&e->active_bytes);
    e->active_bytes = e->warming_bytes;
    e->warming_bytes = STR_NULL;
    set_text(&e->active_version, e->version);
    e->updated_ns = e->warming_ns;
}

void store_drop_warming(struct entry *e)
{
    const char *name = e->wire_name ? e->wire_name : e->name;
    conf_object_unref(e->warming);
    e->warming = NULL;
    drop_bytes(&e->warming_bytes);
    set_text(&e->version, e->active_version);
    if (e->active)
        sources_set_held(e->control->sources, e->source, e->type, name, e->active_version);
    else
        sources_drop_held(e->control->sources, e->source, e->type, name);
}

void store_set_error(struct entry *e, struct str bytes, const char *version, const char *text)
{
    drop_bytes(&e->failed_bytes);
    if (e->type != XDS_SDS)
        e->failed_bytes = copy_bytes(bytes);
    set_text(&e->failed_version, version);
    set_text(&e->error, text);
    e->failed_ns = clock_wall_ns();
}

void store_clear_error(struct entry *e)
{
    drop_bytes(&e->failed_bytes);
    set_text(&e->error, "");
}

void store_fini(struct control *c)
{
    for (int t = 0; t < XDS_TYPE_COUNT; t++) {
        size_t it = 0;
        struct hash_entry *h;
        while ((h = hash_next(&c->store[t], &it)))
            free_entry(h->value);
        hash_fini(&c->store[t]);
    }
}
