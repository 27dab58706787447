/* Endpoints by EDS. Which clusters take theirs from an assignment is kept by its name: one push
 * may bring ten thousand assignments, and none may look at every cluster. */
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "xds/control_private.h"

/* The clusters of one assignment, by references: a cluster whose active and warming versions
 * both ask for it stands here twice. */
struct users {
    struct entry **v;
    size_t n, cap;
};

void eds_want(struct control *c, struct entry *cluster, const char *name)
{
    struct users *u = hash_find(&c->eds_users, str_of(name));
    if (!u) {
        u = MEM_NEW(struct users);
        hash_set(&c->eds_users, str_of(name), u);
    }
    mem_grow((void **)&u->v, &u->cap, u->n + 1, sizeof(struct entry *));
    u->v[u->n++] = cluster;
}

static void destroy_users(struct users *u)
{
    mem_free(u->v);
    mem_free(u);
}

void eds_unwant(struct control *c, struct entry *cluster, const char *name)
{
    struct users *u = hash_find(&c->eds_users, str_of(name));
    size_t i = u->n;
    while (u->v[--i] != cluster)
        ;
    u->v[i] = u->v[--u->n];
    if (u->n)
        return;
    destroy_users(hash_remove(&c->eds_users, str_of(name)));
    forget_later(c, XDS_EDS, name);
}

bool eds_is_wanted(const struct control *c, const char *name)
{
    return hash_find(&c->eds_users, str_of(name)) != NULL;
}

void eds_fini(struct control *c)
{
    size_t it = 0;
    struct hash_entry *h;
    while ((h = hash_next(&c->eds_users, &it)))
        destroy_users(h->value);
    hash_fini(&c->eds_users);
}

/* Every cluster that takes its endpoints from this assignment gets the new ones; the clusters
 * themselves stay as they are. A cluster that gets warm by it changes who is in the list. */
static void spread(struct control *c, const char *name, struct conf_endpoints *endpoints)
{
    struct users *u = hash_find(&c->eds_users, str_of(name));
    if (!u)
        return;
    size_t n = u->n;
    struct entry **clusters = mem_dup(u->v, n * sizeof(struct entry *));
    for (size_t i = 0; i < n; i++)
        cds_set_endpoints(c, clusters[i], name, endpoints);
    mem_free(clusters);
}

void eds_apply(struct control *c, struct batch *b, const struct xds_resource *r)
{
    struct entry *e = store_get(c, XDS_EDS, r->name);
    struct error err;
    struct conf_endpoints *endpoints;
    e->is_listed = true;
    if (control_is_unchanged(c, b, e, r))
        return;
    if (decode_endpoints(r->value, control_unknown(c, false), &endpoints, &err)) {
        control_refuse(c, b, e, r, &err);
        return;
    }
    store_set_warming(e, b, endpoints, r->value, r->version);
    store_activate(e);
    spread(c, e->name, endpoints);
}

void eds_note_missing(struct control *c, const char *name)
{
    struct users *u = hash_find(&c->eds_users, str_of(name));
    size_t n = u ? u->n : 0;
    struct entry **clusters = mem_dup(u ? u->v : NULL, n * sizeof(struct entry *));
    for (size_t i = 0; i < n; i++) {
        const struct conf_cluster *next = (const struct conf_cluster *)clusters[i]->warming;
        if (!next || next->type != CONF_CLUSTER_EDS || strcmp(next->eds_name, name))
            continue;
        log_debug(LOG_CONFIG, "cds: '%s': its server has no endpoints '%s'", clusters[i]->name,
                  name);
        clusters[i]->has_no_endpoints = true;
        cds_check(c, clusters[i]);
    }
    mem_free(clusters);
}
