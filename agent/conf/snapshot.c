#include "conf/snapshot.h"

#include <string.h>

#include "base/mem.h"

static void unref_values(struct hash *t)
{
    struct hash_entry *e;
    size_t it = 0;
    while ((e = hash_next(t, &it)))
        conf_object_unref(e->value);
    hash_fini(t);
}

static void fini_snapshot(struct conf_object *o)
{
    struct snapshot *s = container_of(o, struct snapshot, object);
    for (size_t i = 0; i < s->listeners_n; i++)
        conf_object_unref(s->listeners[i]);
    mem_free(s->listeners);
    hash_fini(&s->listener_places);
    conf_object_unref(s->runtime);
    unref_values(&s->clusters);
    unref_values(&s->routes);
    unref_values(&s->scopes);
    unref_values(&s->secrets);
}

static void copy_values(struct hash *dst, const struct hash *src)
{
    struct hash_entry *e;
    size_t it = 0;
    while ((e = hash_next(src, &it)))
        hash_set(dst, (struct str){e->key, e->key_len}, conf_object_ref(e->value));
}

static void set_place(struct snapshot *s, size_t i)
{
    hash_set(&s->listener_places, str_of(s->listeners[i]->object.name), (void *)(uintptr_t)(i + 1));
}

struct snapshot *snapshot_copy(const struct snapshot *base)
{
    struct snapshot *s = conf_object_create(sizeof(*s), "");
    s->object.fini = fini_snapshot;
    s->generation = base ? base->generation + 1 : 1;
    if (!base)
        return s;
    mem_grow((void **)&s->listeners, &s->listeners_cap, base->listeners_n, sizeof(*s->listeners));
    for (size_t i = 0; i < base->listeners_n; i++) {
        s->listeners[i] = conf_object_ref(base->listeners[i]);
        set_place(s, i);
    }
    s->listeners_n = base->listeners_n;
    s->runtime = conf_object_ref(base->runtime);
    copy_values(&s->clusters, &base->clusters);
    copy_values(&s->routes, &base->routes);
    copy_values(&s->scopes, &base->scopes);
    copy_values(&s->secrets, &base->secrets);
    return s;
}

static void set_key(struct hash *t, struct str key, void *object)
{
    conf_object_unref(object ? hash_set(t, key, conf_object_ref(object)) : hash_remove(t, key));
}

static void set_value(struct hash *t, const char *name, void *object)
{
    set_key(t, str_of(name), object);
}

void snapshot_set_cluster(struct snapshot *s, const char *name, struct conf_cluster_entry *e)
{
    set_value(&s->clusters, name, e);
}

void snapshot_set_route(struct snapshot *s, const char *name, struct conf_route_config *r)
{
    set_value(&s->routes, name, r);
}

void snapshot_set_scope(struct snapshot *s, struct str key, struct conf_scope *scope)
{
    set_key(&s->scopes, key, scope);
}

void snapshot_set_secret(struct snapshot *s, const char *key, struct conf_secret *secret)
{
    set_value(&s->secrets, key, secret);
}

void snapshot_set_runtime(struct snapshot *s, struct runtime *r)
{
    struct runtime *old = s->runtime;
    s->runtime = conf_object_ref(r);
    conf_object_unref(old);
}

/* listeners_n: there is none. */
static size_t find_listener(const struct snapshot *s, const char *name)
{
    uintptr_t place = (uintptr_t)hash_find(&s->listener_places, str_of(name));
    return place ? place - 1 : s->listeners_n;
}

void snapshot_set_listener(struct snapshot *s, const char *name, struct conf_listener *l)
{
    size_t i = find_listener(s, name);
    struct conf_listener *old = i < s->listeners_n ? s->listeners[i] : NULL;
    if (l && !old) {
        mem_grow((void **)&s->listeners, &s->listeners_cap, s->listeners_n + 1,
                 sizeof(*s->listeners));
        s->listeners_n++;
    }
    if (l) {
        s->listeners[i] = conf_object_ref(l);
        set_place(s, i);
    } else if (old) {
        hash_remove(&s->listener_places, str_of(name));
        s->listeners[i] = s->listeners[--s->listeners_n];
        if (i < s->listeners_n)
            set_place(s, i);
    }
    conf_object_unref(old);
}

struct conf_cluster_entry *snapshot_cluster(const struct snapshot *s, struct str name)
{
    return hash_find(&s->clusters, name);
}

struct conf_route_config *snapshot_route(const struct snapshot *s, struct str name)
{
    return hash_find(&s->routes, name);
}

struct conf_scope *snapshot_scope(const struct snapshot *s, struct str key)
{
    return hash_find(&s->scopes, key);
}

struct conf_secret *snapshot_secret(const struct snapshot *s, const char *key)
{
    return hash_find(&s->secrets, str_of(key));
}

struct conf_listener *snapshot_listener(const struct snapshot *s, const char *name)
{
    size_t i = find_listener(s, name);
    return i < s->listeners_n ? s->listeners[i] : NULL;
}
