/* The runtime: layers of the bootstrap, of folders, of the administrator and by RTDS, put together
 * anew whenever one of them changes, in the order of the bootstrap. Each layer keeps its own
 * values, so a folder that cannot be read leaves what it said before. */
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/mem.h"
#include "proto/pb.h"
#include "xds/control_private.h"
#include "xds/runtime_values.h"

/* ---- one layer ---- */

struct runtime *runtime_layer_begin(const struct runtime_layer *l)
{
    struct runtime *values = runtime_create();
    runtime_add_layer(values, l->boot->name);
    return values;
}

void runtime_layer_set(struct runtime_layer *l, struct runtime *values)
{
    conf_object_unref(l->values);
    l->values = values;
}

static void read_static(struct runtime_layer *l)
{
    struct pb_arena arena;
    struct error err;
    ProtobufCMessage *msg;
    struct runtime *values = runtime_layer_begin(l);
    pb_arena_init(&arena, pb_budget(l->boot->values.n));
    if (!pb_unpack(&google__protobuf__struct__descriptor, l->boot->values.p, l->boot->values.n,
                   &arena, &msg, &err))
        runtime_read_struct(values, (const Google__Protobuf__Struct *)msg);
    pb_arena_fini(&arena);
    runtime_layer_set(l, values);
}

/* A folder that is not there is no layer. */
static void read_folder(struct runtime_layer *l)
{
    struct control *c = l->control;
    struct error err;
    struct stat st;
    if (stat(l->boot->path, &st) || !S_ISDIR(st.st_mode)) {
        runtime_layer_set(l, NULL);
        return;
    }
    struct runtime *values = runtime_layer_begin(l);
    if (!runtime_read_folder(values, l->boot->path, &err)) {
        runtime_layer_set(l, values);
        return;
    }
    conf_object_unref(values);
    stat_inc(c->runtime_stats.load_error);
    log_warn(LOG_CONFIG, "runtime layer '%s' stays as it was: %s", l->boot->name, err.text);
}

static void on_replaced(void *arg)
{
    struct runtime_layer *l = arg;
    read_folder(l);
    runtime_publish(l->control);
}

static void watch_folder(struct runtime_layer *l)
{
    struct error err;
    if (watch_open(l->control->loop, &l->boot->link, 1, NULL, on_replaced, l, &l->watch, &err))
        log_warn(LOG_CONFIG, "runtime layer '%s': a change will not be noticed: %s", l->boot->name,
                 err.text);
}

/* ---- all of them ---- */

static void copy_values(struct runtime *to, const struct runtime *from)
{
    size_t it = 0;
    struct hash_entry *h;
    while ((h = hash_next(&from->values, &it))) {
        const struct runtime_value *v = h->value;
        runtime_set(to, str_of(v->key), v->text, v->is_fraction ? &v->fraction : NULL);
    }
}

void runtime_publish(struct control *c)
{
    struct runtime *r = runtime_create();
    size_t folders = 0;
    for (size_t i = 0; i < c->runtime_n; i++) {
        const struct runtime_layer *l = &c->runtime[i];
        if (!l->values || !runtime_add_layer(r, l->boot->name))
            continue;
        folders += l->boot->kind == BOOTSTRAP_LAYER_DISK;
        copy_values(r, l->values);
    }
    stat_set(c->runtime_stats.keys, hash_count(&r->values));
    stat_set(c->runtime_stats.layers, r->layers_n);
    stat_inc(c->runtime_stats.load_success);
    stat_inc(folders > 1 ? c->runtime_stats.override_dir_exists
                         : c->runtime_stats.override_dir_not_exists);
    snapshot_set_runtime(c->o.ops.edit(c->o.ops.arg), r);
    conf_object_unref(r);
    control_edited(c);
    control_check_later(c);
}

/* ---- the administrator's ---- */

static struct runtime_layer *find_admin(struct control *c)
{
    for (size_t i = 0; i < c->runtime_n; i++)
        if (c->runtime[i].boot->kind == BOOTSTRAP_LAYER_ADMIN)
            return &c->runtime[i];
    return NULL;
}

static bool is_overridden(const struct control_override *o, size_t n, const char *key)
{
    for (size_t i = 0; i < n; i++)
        if (!strcmp(o[i].key, key))
            return true;
    return false;
}

int control_modify_runtime(struct control *c, const struct control_override *o, size_t n,
                           struct error *err)
{
    struct runtime_layer *l = find_admin(c);
    size_t it = 0;
    struct hash_entry *h;
    if (!l)
        return error_set(err, ERR_NOT_FOUND, "No admin layer specified");
    struct runtime *values = runtime_layer_begin(l);
    while ((h = hash_next(&l->values->values, &it))) {
        const struct runtime_value *v = h->value;
        if (!is_overridden(o, n, v->key))
            runtime_set(values, str_of(v->key), v->text, v->is_fraction ? &v->fraction : NULL);
    }
    for (size_t i = 0; i < n; i++)
        if (*o[i].value && !runtime_read_text(values, o[i].key, o[i].value)) {
            conf_object_unref(values);
            return error_set(err, ERR_LIMIT, "%.100s: too long, or too many keys", o[i].key);
        }
    runtime_layer_set(l, values);
    stat_set(c->runtime_stats.admin_overrides_active, hash_count(&values->values) > 0);
    runtime_publish(c);
    return 0;
}

/* ---- start and end ---- */

static void define_stats(struct control *c)
{
#define X(kind, field, name) c->runtime_stats.field = stat_define(STAT_##kind, "runtime." name);
    RUNTIME_STAT_MAP(X)
#undef X
}

static int start_layer(struct control *c, struct runtime_layer *l, struct error *err)
{
    switch (l->boot->kind) {
    case BOOTSTRAP_LAYER_STATIC:
        read_static(l);
        return 0;
    case BOOTSTRAP_LAYER_DISK:
        read_folder(l);
        watch_folder(l);
        return 0;
    case BOOTSTRAP_LAYER_ADMIN:
        runtime_layer_set(l, runtime_layer_begin(l));
        return 0;
    default:
        runtime_layer_set(l, runtime_layer_begin(l));
        return rtds_want(c, l, err);
    }
}

int runtime_start(struct control *c, struct error *err)
{
    const struct bootstrap *b = c->o.bootstrap;
    int rc = 0;
    define_stats(c);
    c->runtime = mem_zalloc((b->layers_n + 1) * sizeof(*c->runtime));
    c->runtime_n = b->layers_n;
    for (size_t i = 0; i < b->layers_n; i++)
        c->runtime[i] =
            (struct runtime_layer){.control = c, .boot = &b->layers[i], .is_settled = true};
    for (size_t i = 0; i < b->layers_n && !rc; i++)
        rc = start_layer(c, &c->runtime[i], err);
    if (!rc)
        runtime_publish(c);
    return rc;
}

bool runtime_is_ready(const struct control *c)
{
    for (size_t i = 0; i < c->runtime_n; i++)
        if (!c->runtime[i].is_settled)
            return false;
    return true;
}

void runtime_close(struct control *c)
{
    for (size_t i = 0; i < c->runtime_n; i++) {
        watch_close(&c->runtime[i].watch);
        if (c->runtime[i].boot->kind == BOOTSTRAP_LAYER_RTDS)
            loop_timer_stop(&c->runtime[i].timer);
    }
}

void runtime_fini(struct control *c)
{
    for (size_t i = 0; i < c->runtime_n; i++)
        conf_object_unref(c->runtime[i].values);
    mem_free(c->runtime);
}
