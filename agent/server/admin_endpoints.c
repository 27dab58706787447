/* EndpointsConfigDump of /config_dump?include_eds: the hosts that each cluster has, with what a
 * ClusterLoadAssignment leaves to its defaults. Source: Envoy's ConfigDumpHandler::
 * dumpEndpointConfigs. */
#include <string.h>

#include "server/admin_dump_private.h"
#include "server/admin_private.h"

enum { DEFAULT_OVERPROVISIONING = 140 };

/* One cluster. */
struct assignment {
    struct dump *dump;
    const struct conf_cluster *cluster;
    const struct conf_endpoints *hosts; /* or NULL */
    json_t *raw;                        /* as it was received, or NULL */
    json_t *json;                       /* the entry, when it is done */
};

static const char *health_text(enum conf_health h)
{
    return h == CONF_HEALTHY ? "HEALTHY" : h == CONF_DEGRADED ? "DEGRADED" : "UNHEALTHY";
}

static void set_default(json_t *json, const char *key, json_t *value)
{
    if (json_object_get(json, key))
        json_decref(value);
    else
        json_object_set_new(json, key, value);
}

/* As it was received; the health is that of conf_endpoint i, which was made of it. */
static json_t *received_host(const struct assignment *a, const json_t *raw, size_t i)
{
    json_t *json = json_deep_copy(raw);
    json_t *endpoint = json_object_get(json, "endpoint");
    set_default(endpoint, "health_check_config", json_object());
    enum conf_health h = a->hosts && i < a->hosts->n ? a->hosts->v[i].health : CONF_HEALTHY;
    json_object_set_new(json, "health_status", json_string(health_text(h)));
    set_default(json, "load_balancing_weight", json_integer(1));
    return json;
}

static json_t *resolved_host(const struct conf_endpoint *e)
{
    json_t *endpoint =
        json_pack("{s:o s:{}}", "address", admin_address_json(&e->address), "health_check_config");
    dump_set_text(endpoint, "hostname", e->hostname);
    return json_pack("{s:o s:s s:I}", "endpoint", endpoint, "health_status", health_text(e->health),
                     "load_balancing_weight", (json_int_t)e->weight);
}

static bool is_text(const json_t *locality, const char *key, const char *want)
{
    const char *text = json_string_value(json_object_get(locality, key));
    return strcmp(text ? text : "", want) == 0;
}

/* The addresses that the names of a locality were resolved to. */
static void add_resolved(const struct assignment *a, const json_t *raw, json_t *hosts)
{
    const json_t *locality = json_object_get(raw, "locality");
    json_int_t priority = json_integer_value(json_object_get(raw, "priority"));
    for (size_t i = 0; a->hosts && i < a->hosts->n; i++) {
        const struct conf_endpoint *e = &a->hosts->v[i];
        if (e->address.len && e->priority == priority && is_text(locality, "region", e->region) &&
            is_text(locality, "zone", e->zone) && is_text(locality, "sub_zone", e->sub_zone))
            json_array_append_new(hosts, resolved_host(e));
    }
}

static bool is_dns(const struct conf_cluster *c)
{
    return c->type == CONF_CLUSTER_STRICT_DNS || c->type == CONF_CLUSTER_LOGICAL_DNS;
}

/* *next: index of its first host among all of the assignment. */
static void add_locality(struct assignment *a, json_t *localities, const json_t *raw, size_t *next)
{
    size_t i;
    json_t *host, *hosts = json_array();
    if (is_dns(a->cluster)) {
        add_resolved(a, raw, hosts);
    } else {
        json_array_foreach(json_object_get(raw, "lb_endpoints"), i, host)
            json_array_append_new(hosts, received_host(a, host, (*next)++));
    }
    if (!json_array_size(hosts)) {
        json_decref(hosts);
        return;
    }
    json_t *json = json_object();
    json_object_set(json, "locality", json_object_get(raw, "locality"));
    set_default(json, "locality", json_object());
    json_object_set_new(json, "lb_endpoints", hosts);
    json_object_set(json, "load_balancing_weight", json_object_get(raw, "load_balancing_weight"));
    set_default(json, "load_balancing_weight", json_integer(0));
    json_object_set(json, "priority", json_object_get(raw, "priority"));
    json_array_append_new(localities, json);
}

static json_t *assignment_json(struct assignment *a)
{
    size_t i, next = 0;
    json_t *locality, *localities = json_array();
    json_t *json =
        json_pack("{s:s s:s}", "@type", xds_type_url(XDS_EDS), "cluster_name",
                  *a->cluster->eds_name ? a->cluster->eds_name : a->cluster->object.name);
    json_array_foreach(json_object_get(a->raw, "endpoints"), i, locality)
        add_locality(a, localities, locality, &next);
    if (json_array_size(localities))
        json_object_set(json, "endpoints", localities);
    json_decref(localities);
    json_t *factor = json_object_get(json_object_get(a->raw, "policy"), "overprovisioning_factor");
    json_t *policy = json_object();
    json_object_set(policy, "overprovisioning_factor", factor);
    set_default(policy, "overprovisioning_factor", json_integer(DEFAULT_OVERPROVISIONING));
    json_object_set_new(json, "policy", policy);
    return json;
}

/* ---- what was received ---- */

static void read_assignment(const struct control_row *row, void *arg)
{
    struct assignment *a = arg;
    if (row->status != CONTROL_REFUSED)
        a->raw = dump_message(xds_type_url(XDS_EDS), row->value, false);
    a->json = dump_state(row, "endpoint_config");
    dump_with_error(a->json, row);
}

static void read_cluster(const struct control_row *row, void *arg)
{
    struct assignment *a = arg;
    if (row->status != CONTROL_ACTIVE)
        return;
    json_t *cluster = dump_message(xds_type_url(XDS_CDS), row->value, false);
    a->raw = json_incref(json_object_get(cluster, "load_assignment"));
    json_decref(cluster);
}

static void add_cluster(struct dump *d, const struct conf_cluster_entry *entry)
{
    const struct conf_cluster *cluster = entry->cluster;
    struct control *c = d->server->control;
    struct assignment a = {d, cluster, entry->endpoints, NULL, NULL};
    if (!dump_is_wanted(d, cluster->object.name))
        return;
    if (cluster->type == CONF_CLUSTER_EDS)
        control_find(c, XDS_EDS, cluster->eds_name, read_assignment, &a);
    else
        control_find(c, XDS_CDS, cluster->object.name, read_cluster, &a);
    json_t *json = a.json ? a.json : json_object();
    json_object_set_new(json, "endpoint_config", assignment_json(&a));
    json_decref(a.raw);
    json_array_append_new(d->lists[cluster->is_static ? 0 : 1], json);
}

static bool has_assignment(const json_t *list, const char *name)
{
    size_t i;
    const json_t *one;
    json_array_foreach(list, i, one)
    {
        if (is_text(json_object_get(one, "endpoint_config"), "cluster_name", name))
            return true;
    }
    return false;
}

/* Refused ones of clusters that still wait for them. */
static void add_refused(const struct control_row *row, void *arg)
{
    struct dump *d = arg;
    if (row->status == CONTROL_REFUSED && dump_is_wanted(d, row->name) &&
        !has_assignment(d->lists[1], row->name))
        json_array_append_new(d->lists[1], dump_with_error(json_object(), row));
}

json_t *dump_endpoints(struct dump *d)
{
    static const char *const keys[] = {"static_endpoint_configs", "dynamic_endpoint_configs"};
    const struct snapshot *snapshot = publish_current(d->server->publish);
    json_t *json = dump_section("EndpointsConfigDump");
    struct hash_entry *h;
    size_t it = 0;
    dump_begin_lists(d);
    while ((h = hash_next(&snapshot->clusters, &it)))
        add_cluster(d, h->value);
    control_each(d->server->control, XDS_EDS, add_refused, d);
    dump_end_lists(d, json, keys, ARRAY_LEN(keys));
    return json;
}
