/* Plugins that come by ECDS, and the way of every plugin into its rollout. */
#include "base/log.h"
#include "base/mem.h"
#include "xds/control_private.h"

/* ---- statistics ---- */

void slot_define_stats(struct slot *s)
{
    const char *kind = s->is_network ? "network_filter" : "http_filter";
    counts_define(&s->stats, "extension_config_discovery.%s.%s", kind, s->name);
    s->reload =
        stat_define(STAT_COUNTER, "extension_config_discovery.%s.%s.config_reload", kind, s->name);
    s->fail =
        stat_define(STAT_COUNTER, "extension_config_discovery.%s.%s.config_fail", kind, s->name);
}

void slot_destroy(struct slot *s)
{
    if (s->is_discovered) {
        counts_release(&s->stats);
        stat_release(s->reload);
        stat_release(s->fail);
    }
    mem_free(s->name);
    mem_free(s);
}

/* An update was taken and its plugin serves, or it was refused; also long after it was taken. */
static void count_outcome(struct control *c, const struct batch *b, const char *name, bool is_good)
{
    struct slot *s = hash_find(&c->slots, str_of(name));
    if (!s || !s->is_discovered)
        return;
    counts_note(&s->stats, b, is_good);
    stat_inc(is_good ? s->reload : s->fail);
}

void slot_note_timeout(struct control *c, const char *name)
{
    struct slot *s = hash_find(&c->slots, str_of(name));
    if (s && s->is_discovered)
        stat_inc(s->stats.timeout);
}

void slots_note_failure(struct control *c)
{
    size_t it = 0;
    struct hash_entry *h;
    while ((h = hash_next(&c->slots, &it)))
        if (((struct slot *)h->value)->is_discovered)
            stat_inc(((struct slot *)h->value)->stats.failure);
}

/* ---- the way into the rollout ---- */

struct push {
    struct batch *batch;
    char *resource; /* xDS resource that brought it: listener or ECDS name */
};

static void on_rolled_out(void *arg, const char *slot, const struct error *err)
{
    struct push *p = arg;
    struct batch *b = p->batch;
    if (b->type == XDS_ECDS && !(err && err->code == ERR_CLOSED))
        count_outcome(b->control, b, slot, !err);
    if (err && err->code != ERR_CLOSED) {
        struct entry *e = store_find(b->control, b->type, p->resource);
        if (e)
            store_set_error(e, STR_NULL, e->version, err->text);
        if (p->resource && strcmp(p->resource, slot)) {
            struct sbuf text = {0}; /* an inline plugin: the listener is the resource */
            sbuf_printf(&text, "%s (plugin %s)", err->text, slot);
            batch_add_error(b, p->resource, NULL, text.p);
            sbuf_fini(&text);
        } else {
            batch_add_error(b, slot, NULL, err->text);
        }
    }
    control_check_later(b->control);
    batch_release(b);
    mem_free(p->resource);
    mem_free(p);
}

void control_push_plugin(struct control *c, struct batch *b, const char *resource,
                         struct conf_plugin *plugin)
{
    struct push *p = MEM_NEW(struct push);
    p->batch = b;
    p->resource = mem_strdup(resource);
    batch_hold(b);
    rollout_push(c->o.rollout, plugin, on_rolled_out, p);
}

void ecds_apply(struct control *c, struct batch *b, const struct xds_resource *r)
{
    struct entry *e = store_get(c, XDS_ECDS, r->name);
    struct error err;
    struct conf_plugin *plugin;
    e->is_listed = true;
    struct slot *s = hash_find(&c->slots, str_of(r->name));
    if (!s) {
        store_remove(c, e); /* nobody asked for it (any more) */
        return;
    }
    /* Bytes that come again are pushed again: the rollout knows the outcome, and a NACK repeats. */
    if (!e->error[0] && control_is_unchanged(c, b, e, r)) {
        counts_note(&s->stats, b, true);
        return;
    }
    if (decode_extension(r->value, control_unknown(c, false), &plugin, &err)) {
        count_outcome(c, b, r->name, false);
        control_refuse(c, b, e, r, &err);
        return;
    }
    if (plugin->is_network != s->is_network) {
        conf_object_unref(plugin);
        error_set(&err, ERR_INVALID, "typed_config: the filter that asks for it is %s filter",
                  s->is_network ? "a network" : "an HTTP");
        count_outcome(c, b, r->name, false);
        control_refuse(c, b, e, r, &err);
        return;
    }
    store_set_warming(e, b, conf_object_ref(plugin), r->value, r->version);
    store_activate(e);
    control_push_plugin(c, b, r->name, plugin);
    conf_object_unref(plugin);
    control_check_later(c);
}

/* A filter still asks for it, so the last good goes on: taking the plugin out by removing its
 * resource would be a way around a policy that fails closed. It goes with the listener. */
void ecds_remove(struct control *c, struct entry *e)
{
    store_remove(c, e);
}

void control_plugin_failed(struct control *c, const char *name, const struct error *err)
{
    struct slot *s = hash_find(&c->slots, str_of(name));
    if (!s || c->is_closing)
        return;
    enum xds_type t = s->is_discovered ? XDS_ECDS : XDS_LDS;
    struct entry *e = store_find(c, t, name);
    struct sbuf detail = {0};
    sbuf_printf(&detail, "%s: %s", name, err->text);
    if (e)
        store_set_error(e, STR_NULL, e->version, err->text);
    if (s->is_discovered)
        count_outcome(c, NULL, name, false);
    else
        stat_inc(c->stats[t].rejected);
    sources_nack_late(c->sources, e ? e->source : SOURCES_ADS, t, detail.p);
    sbuf_fini(&detail);
}

void control_plugin_live(struct control *c)
{
    control_check_later(c);
}
