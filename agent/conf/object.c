#include "conf/object.h"

#include "base/mem.h"

void *conf_object_create(size_t size, const char *name)
{
    struct conf_object *o = mem_zalloc(size);
    o->refs = 1;
    arena_init(&o->arena, 1024);
    o->name = arena_strdup(&o->arena, name);
    o->version = "";
    return o;
}

void *conf_object_ref(void *object)
{
    struct conf_object *o = object;
    if (o)
        __atomic_fetch_add(&o->refs, 1, __ATOMIC_RELAXED);
    return o;
}

void conf_object_unref(void *object)
{
    struct conf_object *o = object;
    if (!o || __atomic_sub_fetch(&o->refs, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    if (o->fini)
        o->fini(o);
    arena_fini(&o->arena);
    mem_free(o);
}
