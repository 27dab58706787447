/* Runtime layers by RTDS. Nothing else of the control plane is asked for before each of them has
 * come once, was refused, or was waited for long enough: as in Envoy, what depends on runtime keys
 * starts with them. */
#include <string.h>

#include "base/log.h"
#include "envoy/service/runtime/v3/rtds.pb-c.h"
#include "xds/control_private.h"
#include "xds/runtime_values.h"

static void settle(struct runtime_layer *l)
{
    struct control *c = l->control;
    loop_timer_stop(&l->timer);
    l->is_settled = true;
    control_check_later(c);
}

static void on_timer(struct loop_timer *t)
{
    struct runtime_layer *l = container_of(t, struct runtime_layer, timer);
    log_warn(LOG_CONFIG, "gRPC config: initial fetch timed out for %s", xds_type_url(XDS_RTDS));
    stat_inc(l->control->stats[XDS_RTDS].timeout);
    settle(l);
}

int rtds_want(struct control *c, struct runtime_layer *l, struct error *err)
{
    const struct bootstrap_layer *boot = l->boot;
    l->is_settled = false;
    loop_timer_init(&l->timer, c->loop, on_timer);
    if (sources_check(c->sources, &boot->source, 0, XDS_RTDS, err))
        return error_prefix(err, "layered_runtime: layer '%s': rtds_config: ", l->boot->name);
    sources_want(c->sources, &boot->source, XDS_RTDS, boot->rtds_name);
    if (boot->source.initial_fetch_timeout_ms)
        loop_timer_start(&l->timer, boot->source.initial_fetch_timeout_ms);
    return 0;
}

/* What a resource says goes into each layer that asks for it. bytes STR_NULL: nothing. */
static void fill(struct control *c, const char *name, struct str bytes)
{
    for (size_t i = 0; i < c->runtime_n; i++) {
        struct runtime_layer *l = &c->runtime[i];
        if (l->boot->kind != BOOTSTRAP_LAYER_RTDS || strcmp(l->boot->rtds_name, name) != 0)
            continue;
        struct pb_arena arena;
        struct error err;
        ProtobufCMessage *msg;
        struct runtime *values = runtime_layer_begin(l);
        pb_arena_init(&arena, pb_budget(bytes.n));
        if (bytes.p && !pb_unpack(&envoy__service__runtime__v3__runtime__descriptor, bytes.p,
                                  bytes.n, &arena, &msg, &err)) {
            const Envoy__Service__Runtime__V3__Runtime *m = (const void *)msg;
            if (m->layer)
                runtime_read_struct(values, m->layer);
        }
        pb_arena_fini(&arena);
        runtime_layer_set(l, values);
        settle(l);
    }
    runtime_publish(c);
}

void rtds_note_answer(struct control *c, const char *name)
{
    for (size_t i = 0; i < c->runtime_n; i++) {
        struct runtime_layer *l = &c->runtime[i];
        if (l->boot->kind == BOOTSTRAP_LAYER_RTDS && !strcmp(l->boot->rtds_name, name))
            settle(l);
    }
}

void rtds_apply(struct control *c, struct batch *b, const struct xds_resource *r)
{
    struct entry *e = store_get(c, XDS_RTDS, r->name);
    struct error err;
    if (control_is_unchanged(c, b, e, r))
        return;
    if (pb_check(&envoy__service__runtime__v3__runtime__descriptor, r->value.p, r->value.n,
                 pb_budget(r->value.n), &err)) {
        control_refuse(c, b, e, r, &err);
        rtds_note_answer(c, r->name);
        return;
    }
    store_set_warming(e, b, conf_object_create(sizeof(struct conf_object), r->name), r->value,
                      r->version);
    store_activate(e);
    fill(c, r->name, r->value);
}

void rtds_remove(struct control *c, struct entry *e)
{
    fill(c, e->name, STR_NULL);
    store_remove(c, e);
}
