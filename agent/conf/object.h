/* What every configuration object starts with: a reference count, because threads share it, and
 * the arena in which all of it lives. Written on main before it is published, read-only after.
 * [any] thread may ref and unref. */
#ifndef CONF_OBJECT_H
#define CONF_OBJECT_H

#include <stdint.h>

#include "base/arena.h"

struct conf_object {
    int refs; /* atomic */
    struct arena arena;
    const char *name;    /* of the resource */
    uint64_t hash;       /* of its bytes: equal hash, equal object */
    const char *version; /* version text it came with; "" for static ones */
    uint64_t updated_ns; /* wall clock */
    /* Releases what does not live in the arena; may be NULL. */
    void (*fini)(struct conf_object *o);
};

/* size: of the whole struct that starts with a conf_object; zeroed. One reference. */
void *conf_object_create(size_t size, const char *name);
void *conf_object_ref(void *o); /* NULL stays NULL */
void conf_object_unref(void *o);

#endif
