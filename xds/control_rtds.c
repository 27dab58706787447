/* Runtime layers: what the bootstrap says, and what comes by RTDS for the layers that ask for it.
 * They are put together anew whenever one changes, in the order of the bootstrap. */
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "envoy/config/bootstrap/v3/bootstrap.pb-c.h"
#include "envoy/service/runtime/v3/rtds.pb-c.h"
#include "proto/value.h"
#include "xds/control_private.h"

typedef Google__Protobuf__Struct struct_msg;
typedef Google__Protobuf__Value value_msg;

#define KIND(x) GOOGLE__PROTOBUF__VALUE__KIND_##x

enum { DEPTH_MAX = 16, KEYS_MAX = 10000, KEY_MAX = 1024 };

/* ---- values ---- */

static bool read_fraction(const struct_msg *s, struct runtime_fraction *f)
{
    const value_msg *n = pb_struct_get(s, "numerator"), *d = pb_struct_get(s, "denominator");
    if (!n || n->kind_case != KIND(NUMBER_VALUE) || n->number_value < 0 ||
        n->number_value > UINT32_MAX)
        return false;
    *f = (struct runtime_fraction){(uint32_t)n->number_value, 100};
    if (d && d->kind_case == KIND(STRING_VALUE) && !strcmp(d->string_value, "TEN_THOUSAND"))
        f->denominator = 10000;
    else if (d && d->kind_case == KIND(STRING_VALUE) && !strcmp(d->string_value, "MILLION"))
        f->denominator = 1000000;
    else if (d && d->kind_case == KIND(STRING_VALUE) && strcmp(d->string_value, "HUNDRED") != 0)
        return false;
    return true;
}

static void add_struct(struct runtime *r, const char *prefix, const struct_msg *s, unsigned depth);

static void add_fraction(struct runtime *r, struct str key, const struct runtime_fraction *f)
{
    struct sbuf text = {0};
    sbuf_printf(&text, "{\"numerator\":%u,\"denominator\":\"%s\"}", f->numerator,
                f->denominator == 100     ? "HUNDRED"
                : f->denominator == 10000 ? "TEN_THOUSAND"
                                          : "MILLION");
    runtime_set(r, key, text.p, f);
    sbuf_fini(&text);
}

static void add_value(struct runtime *r, const char *key, const value_msg *v, unsigned depth)
{
    struct runtime_fraction fraction;
    struct sbuf text = {0};
    if (hash_count(&r->values) >= KEYS_MAX || strlen(key) > KEY_MAX)
        return;
    switch (v->kind_case) {
    case KIND(NUMBER_VALUE):
        sbuf_printf(&text, "%.15g", v->number_value);
        runtime_set(r, str_of(key), text.p, NULL);
        sbuf_fini(&text);
        break;
    case KIND(BOOL_VALUE):
        runtime_set(r, str_of(key), v->bool_value ? "true" : "false", NULL);
        break;
    case KIND(STRING_VALUE):
        runtime_set(r, str_of(key), v->string_value, NULL);
        break;
    case KIND(STRUCT_VALUE):
        if (read_fraction(v->struct_value, &fraction))
            add_fraction(r, str_of(key), &fraction);
        else
            add_struct(r, key, v->struct_value, depth + 1);
        break;
    default:
        log_warn(LOG_CONFIG, "runtime: %s: a list or null is no runtime value", key);
    }
}

/* Nested maps are names with dots. */
static void add_struct(struct runtime *r, const char *prefix, const struct_msg *s, unsigned depth)
{
    for (size_t i = 0; s && i < s->n_fields && depth < DEPTH_MAX; i++) {
        struct sbuf key = {0};
        sbuf_printf(&key, "%s%s%s", prefix, *prefix ? "." : "", s->fields[i]->key);
        if (s->fields[i]->value)
            add_value(r, key.p, s->fields[i]->value, depth);
        sbuf_fini(&key);
    }
}

/* ---- layers ---- */

static void add_discovered(struct control *c, struct runtime *r, const char *name)
{
    struct pb_arena arena;
    struct error err;
    ProtobufCMessage *msg;
    const struct entry *e = store_find(c, XDS_RTDS, name);
    if (!e || !e->active)
        return;
    pb_arena_init(&arena, pb_budget(e->active_bytes.n));
    if (!pb_unpack(&envoy__service__runtime__v3__runtime__descriptor, e->active_bytes.p,
                   e->active_bytes.n, &arena, &msg, &err))
        add_struct(r, "", ((const Envoy__Service__Runtime__V3__Runtime *)msg)->layer, 0);
    pb_arena_fini(&arena);
}

static void publish(struct control *c)
{
    const struct bootstrap *b = c->o.bootstrap;
    struct error err;
    struct pb_arena arena;
    ProtobufCMessage *msg;
    struct runtime *r = runtime_create();
    for (size_t i = 0; i < b->layers_n; i++) {
        const struct bootstrap_layer *l = &b->layers[i];
        if (!runtime_add_layer(r, l->name))
            break;
        if (*l->rtds_name) {
            add_discovered(c, r, l->rtds_name);
            continue;
        }
        pb_arena_init(&arena, pb_budget(l->values.n));
        if (!pb_unpack(&google__protobuf__struct__descriptor, l->values.p, l->values.n, &arena,
                       &msg, &err))
            add_struct(r, "", (const struct_msg *)msg, 0);
        pb_arena_fini(&arena);
    }
    stat_set(c->runtime_keys, hash_count(&r->values));
    snapshot_set_runtime(c->o.ops.edit(c->o.ops.arg), r);
    conf_object_unref(r);
    control_edited(c);
    control_check_later(c);
}

void rtds_start(struct control *c)
{
    const struct bootstrap *b = c->o.bootstrap;
    if (!b->layers_n)
        return;
    stat_set(c->runtime_layers, b->layers_n);
    for (size_t i = 0; i < b->layers_n; i++)
        if (*b->layers[i].rtds_name)
            sources_want(c->sources, &b->layers[i].source, XDS_RTDS, b->layers[i].rtds_name);
    publish(c);
}

/* ---- resources ---- */

void rtds_apply(struct control *c, struct batch *b, const struct xds_resource *r)
{
    struct entry *e = store_get(c, XDS_RTDS, r->name);
    struct error err;
    if (control_is_unchanged(c, b, e, r))
        return;
    if (pb_check(&envoy__service__runtime__v3__runtime__descriptor, r->value.p, r->value.n,
                 pb_budget(r->value.n), &err)) {
        control_refuse(c, b, e, r, &err);
        return;
    }
    store_set_warming(e, b, conf_object_create(sizeof(struct conf_object), r->name), r->value,
                      r->version);
    store_activate(e);
    publish(c);
}

void rtds_remove(struct control *c, struct entry *e)
{
    store_remove(c, e);
    publish(c);
}
