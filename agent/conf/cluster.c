#include "conf/cluster.h"

#include "base/mem.h"

static void fini_cluster(struct conf_object *o)
{
    struct conf_cluster *c = container_of(o, struct conf_cluster, object);
    conf_object_unref(c->inline_endpoints);
    conf_object_unref(c->transport.tls);
    for (size_t i = 0; i < c->transport_matches_n; i++)
        conf_object_unref(c->transport_matches[i].tls);
}

struct conf_cluster *conf_cluster_create(const char *name)
{
    struct conf_cluster *c = conf_object_create(sizeof(*c), name);
    c->object.fini = fini_cluster;
    c->auto_sni_header = "";
    return c;
}

static bool has_value(const struct conf_socket_value *values, size_t n,
                      const struct conf_socket_value *wanted)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(values[i].key, wanted->key))
            return str_eq(values[i].value, wanted->value);
    return false;
}

size_t conf_cluster_transport(const struct conf_cluster *c, const struct conf_socket_value *values,
                              size_t n)
{
    for (size_t i = 0; i < c->transport_matches_n; i++) {
        const struct conf_transport *t = &c->transport_matches[i];
        size_t found = 0;
        while (found < t->match_n && has_value(values, n, &t->match[found]))
            found++;
        if (found == t->match_n)
            return i + 1;
    }
    return 0;
}

void conf_cluster_each_tls(const struct conf_cluster *c,
                           void (*fn)(const struct conf_tls *tls, void *arg), void *arg)
{
    if (c->transport.tls)
        fn(c->transport.tls, arg);
    for (size_t i = 0; i < c->transport_matches_n; i++)
        if (c->transport_matches[i].tls)
            fn(c->transport_matches[i].tls, arg);
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
