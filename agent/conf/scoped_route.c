#include "conf/scoped_route.h"

#include "base/mem.h"

static void fini_scope(struct conf_object *o)
{
    conf_object_unref(container_of(o, struct conf_scope, object)->route_config);
}

struct conf_scope *conf_scope_create(const char *name)
{
    struct conf_scope *s = conf_object_create(sizeof(*s), name);
    s->object.fini = fini_scope;
    s->route_name = "";
    return s;
}

void conf_scope_key_add(struct sbuf *key, struct str fragment)
{
    sbuf_printf(key, "%zu:", fragment.n);
    sbuf_add(key, fragment.p, fragment.n);
}

void conf_scoped_routes_fini(struct conf_scoped_routes *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->scopes_n; i++)
        conf_object_unref(s->scopes[i]);
    hash_fini(&s->by_key);
}
