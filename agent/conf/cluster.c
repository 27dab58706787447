#include "conf/cluster.h"

#include "base/mem.h"

static void fini_cluster(struct conf_object *o)
{
    struct conf_cluster *c = container_of(o, struct conf_cluster, object);
    conf_object_unref(c->inline_endpoints);
}

struct conf_cluster *conf_cluster_create(const char *name)
{
    struct conf_cluster *c = conf_object_create(sizeof(*c), name);
    c->object.fini = fini_cluster;
    return c;
}

const struct addr *conf_cluster_source(const struct conf_cluster *c, const struct addr *to)
{
    if (!c->sources[0].len)
        return NULL;
    return &c->sources[c->sources[1].sa.sa_family == to->sa.sa_family];
}

static void fini_entry(struct conf_object *o)
{
    struct conf_cluster_entry *e = container_of(o, struct conf_cluster_entry, object);
    conf_object_unref(e->cluster);
    conf_object_unref(e->endpoints);
}

struct conf_cluster_entry *conf_cluster_entry_create(struct conf_cluster *c,
                                                     struct conf_endpoints *e)
{
    struct conf_cluster_entry *entry = conf_object_create(sizeof(*entry), c->object.name);
    entry->cluster = conf_object_ref(c);
    entry->endpoints = conf_object_ref(e);
    entry->object.fini = fini_entry;
    return entry;
}
