/* Clusters. A cluster serves when it knows its endpoints: static ones at
 * once, DNS ones after the first resolution, EDS ones with their ClusterLoadAssignment - the one
 * at hand is used, whatever the order of arrival. The version before serves until then. */
#include "base/log.h"
#include "base/mem.h"
#include "xds/control_private.h"

static bool is_dns(const struct conf_cluster *c)
{
    return c->type == CONF_CLUSTER_STRICT_DNS || c->type == CONF_CLUSTER_LOGICAL_DNS;
}

static void publish(struct control *c, const char *name, struct conf_cluster *cluster,
                    struct conf_endpoints *endpoints)
{
    struct conf_cluster_entry *e = conf_cluster_entry_create(cluster, endpoints);
    snapshot_set_cluster(c->o.ops.edit(c->o.ops.arg), name, e);
    conf_object_unref(e);
    control_edited(c);
}

static void refer(struct control *c, struct entry *e, const struct conf_cluster *cluster)
{
    if (cluster->type == CONF_CLUSTER_EDS) {
        sources_want(c->sources, &cluster->eds_source, XDS_EDS, cluster->eds_name);
        eds_want(c, e, cluster->eds_name);
    }
    sds_want_of_cluster(c, cluster);
}

static void unrefer(struct control *c, struct entry *e, const struct conf_cluster *cluster)
{
    if (!cluster)
        return;
    if (cluster->type == CONF_CLUSTER_EDS) {
        sources_unwant(c->sources, &cluster->eds_source, XDS_EDS, cluster->eds_name);
        eds_unwant(c, e, cluster->eds_name);
    }
    sds_unwant_of_cluster(c, cluster);
}

static uint32_t timeout_of(struct control *c, const struct conf_cluster *cluster)
{
    uint32_t eds =
        cluster->type == CONF_CLUSTER_EDS ? cluster->eds_source.initial_fetch_timeout_ms : 0;
    uint32_t sds = sds_timeout_of_cluster(c, cluster);
    return eds > sds ? eds : sds;
}

void cds_count(struct control *c)
{
    size_t active = 0, warming = 0, it = 0;
    struct hash_entry *h;
    while ((h = hash_next(&c->store[XDS_CDS], &it))) {
        struct entry *e = h->value;
        active += e->active != NULL;
        warming += e->warming != NULL;
    }
    stat_set(c->active_clusters, active);
    stat_set(c->warming_clusters, warming);
}

/* Endpoints that a cluster can serve with now; false: still to come. */
static bool find_endpoints(struct control *c, struct entry *e, const struct conf_cluster *cluster,
                           struct conf_endpoints **endpoints_r)
{
    *endpoints_r = cluster->inline_endpoints;
    if (!e->is_timed_out && !sds_is_ready_for_cluster(c, cluster))
        return false;
    if (cluster->type == CONF_CLUSTER_EDS) {
        struct entry *cla = store_find(c, XDS_EDS, cluster->eds_name);
        *endpoints_r = cla ? (struct conf_endpoints *)cla->active : NULL;
        return *endpoints_r || e->is_timed_out || e->has_no_endpoints;
    }
    return !is_dns(cluster) || e->is_timed_out;
}

void cds_check(struct control *c, struct entry *e)
{
    struct conf_cluster *next = (struct conf_cluster *)e->warming;
    struct conf_endpoints *endpoints;
    if (!next || !find_endpoints(c, e, next, &endpoints))
        return;
    struct conf_cluster *old = (struct conf_cluster *)e->active;
    publish(c, e->name, next, endpoints);
    unrefer(c, e, old);
    store_activate(e);
    control_check_later(c); /* counts, too */
}

static int check_cluster_sources(struct control *c, const struct batch *b,
                                 const struct conf_cluster *cluster, struct error *err)
{
    if (cluster->type == CONF_CLUSTER_EDS &&
        sources_check(c->sources, &cluster->eds_source, b->source, XDS_EDS, err))
        return error_prefix(err, "eds_cluster_config.eds_config: ");
    return sds_check_cluster(c, b, cluster, err);
}

void cds_apply(struct control *c, struct batch *b, const struct xds_resource *r, bool is_static)
{
    struct entry *e = store_get(c, XDS_CDS, r->name);
    struct error err;
    e->is_listed = true;
    if (e->is_static && !is_static) {
        error_set(&err, ERR_INVALID, "a static cluster cannot be changed by CDS");
        control_refuse(c, b, e, r, &err);
        return;
    }
    if (control_is_unchanged(c, b, e, r))
        return;
    struct conf_cluster *cluster;
    if (decode_cluster(r->value, control_unknown(c, is_static), &cluster, &err)) {
        control_refuse(c, b, e, r, &err);
        return;
    }
    if (check_cluster_sources(c, b, cluster, &err)) {
        conf_object_unref(cluster);
        control_refuse(c, b, e, r, &err);
        return;
    }
    e->is_static = cluster->is_static = is_static;
    stat_inc(e->active ? c->cluster_modified : c->cluster_added);
    refer(c, e, cluster);
    unrefer(c, e, (struct conf_cluster *)e->warming); /* superseded before it served */
    store_set_warming(e, b, cluster, r->value, r->version);
    uint32_t ms = timeout_of(c, cluster);
    if (ms)
        loop_timer_start(&e->timer, ms);
    c->o.ops.resolve(c->o.ops.arg, e->name, is_dns(cluster) ? cluster : NULL);
    cds_check(c, e);
    control_check_later(c); /* counts, too */
}

void cds_remove(struct control *c, struct entry *e)
{
    struct conf_cluster *versions[] = {(struct conf_cluster *)e->active,
                                       (struct conf_cluster *)e->warming};
    for (size_t i = 0; i < ARRAY_LEN(versions); i++)
        unrefer(c, e, versions[i]);
    if (e->active) {
        stat_inc(c->cluster_removed);
        snapshot_set_cluster(c->o.ops.edit(c->o.ops.arg), e->name, NULL);
        control_edited(c);
    }
    c->o.ops.resolve(c->o.ops.arg, e->name, NULL);
    store_remove(c, e);
    control_check_later(c); /* counts, too */
}

void cds_set_endpoints(struct control *c, struct entry *e, const char *eds_name,
                       struct conf_endpoints *endpoints)
{
    struct conf_cluster *cluster = (struct conf_cluster *)e->active;
    if (cluster && cluster->type == CONF_CLUSTER_EDS && !strcmp(cluster->eds_name, eds_name))
        publish(c, e->name, cluster, endpoints);
    cds_check(c, e);
}

void control_set_endpoints(struct control *c, const char *name, struct conf_endpoints *endpoints)
{
    struct entry *e = store_find(c, XDS_CDS, name);
    if (!e)
        return;
    if (e->warming && is_dns((struct conf_cluster *)e->warming)) {
        publish(c, name, (struct conf_cluster *)e->warming, endpoints);
        store_activate(e);
    } else if (e->active && is_dns((struct conf_cluster *)e->active)) {
        publish(c, name, (struct conf_cluster *)e->active, endpoints);
    }
    control_check_later(c);
}
