/* /clusters: every cluster that serves, with its hosts. Source: Envoy's clusters_handler. */
#include <jansson.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/regex.h"
#include "server/admin_private.h"
#include "server/hosts.h"

#define HOST_STAT_MAP(X)          \
    X(cx_active, "GAUGE")         \
    X(cx_connect_fail, "COUNTER") \
    X(cx_total, "COUNTER")        \
    X(rq_active, "GAUGE")         \
    X(rq_error, "COUNTER")        \
    X(rq_pending_active, "GAUGE") \
    X(rq_success, "COUNTER")      \
    X(rq_timeout, "COUNTER")      \
    X(rq_total, "COUNTER")

/* ---- text ---- */

static const char *flags_text(enum conf_health h)
{
    switch (h) {
    case CONF_DEGRADED:
        return "/degraded_eds_health";
    case CONF_UNHEALTHY:
        return "/failed_eds_health";
    case CONF_DRAINING:
        return "/eds_status_draining";
    default:
        return "healthy";
    }
}

static void print_host(struct sbuf *out, const char *cluster, const struct host *h)
{
    char text[ADDR_TEXT_MAX];
    addr_format(&h->addr, text);
#define X(field, kind) \
    sbuf_printf(out, "%s::%s::" #field "::%lu\n", cluster, text, (unsigned long)h->stats.field);
    HOST_STAT_MAP(X)
#undef X
    char weight[12], priority[12];
    snprintf(weight, sizeof(weight), "%u", h->weight);
    snprintf(priority, sizeof(priority), "%u", h->priority);
    const struct {
        const char *key, *value;
    } rows[] = {
        {"hostname", h->hostname}, {"health_flags", flags_text(h->health)},
        {"weight", weight},        {"region", h->region},
        {"zone", h->zone},         {"sub_zone", h->sub_zone},
        {"canary", "false"},       {"priority", priority},
        {"success_rate", "-1"},    {"local_origin_success_rate", "-1"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        sbuf_printf(out, "%s::%s::%s::%s\n", cluster, text, rows[i].key, rows[i].value);
}

static void print_limits(struct sbuf *out, const char *name, const char *priority,
                         const struct conf_limits *l)
{
    sbuf_printf(out, "%s::%s::max_connections::%u\n", name, priority, l->max_connections);
    sbuf_printf(out, "%s::%s::max_pending_requests::%u\n", name, priority, l->max_pending_requests);
    sbuf_printf(out, "%s::%s::max_requests::%u\n", name, priority, l->max_requests);
    sbuf_printf(out, "%s::%s::max_retries::%u\n", name, priority, l->max_retries);
}

static json_t *limits_json(const struct conf_cluster *c)
{
    json_t *list = json_array();
    for (int i = 0; i < CONF_PRIORITIES; i++) {
        const struct conf_limits *l = &c->limits[i];
        json_t *json = json_object();
        if (i == CONF_PRIORITY_HIGH)
            json_object_set_new(json, "priority", json_string("HIGH"));
        json_object_set_new(json, "max_connections", json_integer(l->max_connections));
        json_object_set_new(json, "max_pending_requests", json_integer(l->max_pending_requests));
        json_object_set_new(json, "max_requests", json_integer(l->max_requests));
        json_object_set_new(json, "max_retries", json_integer(l->max_retries));
        json_array_append_new(list, json);
    }
    return list;
}

static void print_cluster(struct sbuf *out, const struct conf_cluster *c, const struct host_list *l)
{
    const char *name = c->object.name;
    sbuf_printf(out, "%s::observability_name::%s\n", name, name);
    print_limits(out, name, "default_priority", &c->limits[CONF_PRIORITY_DEFAULT]);
    print_limits(out, name, "high_priority", &c->limits[CONF_PRIORITY_HIGH]);
    sbuf_printf(out, "%s::added_via_api::%s\n", name, c->is_static ? "false" : "true");
    if (c->has_eds_service_name)
        sbuf_printf(out, "%s::eds_service_name::%s\n", name, c->eds_name);
    for (size_t i = 0; i < l->n; i++)
        print_host(out, name, &l->v[i]);
}

/* ---- JSON ---- */

static void add_stat(json_t *stats, const char *kind, const char *name, uint64_t value)
{
    char text[24];
    json_t *row = json_object();
    if (strcmp(kind, "COUNTER") != 0) /* the default is left out */
        json_object_set_new(row, "type", json_string(kind));
    json_object_set_new(row, "name", json_string(name));
    if (value) {
        snprintf(text, sizeof(text), "%lu", (unsigned long)value);
        json_object_set_new(row, "value", json_string(text));
    }
    json_array_append_new(stats, row);
}

static void set_text(json_t *json, const char *key, const char *value)
{
    if (*value)
        json_object_set_new(json, key, json_string(value));
}

static json_t *host_json(const struct host *h)
{
    static const char *const health[] = {
        [CONF_HEALTHY] = "HEALTHY",
        [CONF_DEGRADED] = "DEGRADED",
        [CONF_UNHEALTHY] = "UNHEALTHY",
        [CONF_DRAINING] = "DRAINING",
    };
    json_t *stats = json_array();
#define X(field, kind)                \
    if (strcmp(kind, "COUNTER") == 0) \
        add_stat(stats, kind, #field, h->stats.field);
    HOST_STAT_MAP(X)
#undef X
#define X(field, kind)              \
    if (strcmp(kind, "GAUGE") == 0) \
        add_stat(stats, kind, #field, h->stats.field);
    HOST_STAT_MAP(X)
#undef X
    json_t *json = json_pack("{s:o s:o s:{s:s} s:i}", "address", admin_address_json(&h->addr),
                             "stats", stats, "health_status", "eds_health_status",
                             health[h->health], "weight", (int)h->weight);
    set_text(json, "hostname", h->hostname);
    if (h->priority)
        json_object_set_new(json, "priority", json_integer(h->priority));
    json_t *locality = json_object();
    set_text(locality, "region", h->region);
    set_text(locality, "zone", h->zone);
    set_text(locality, "sub_zone", h->sub_zone);
    json_object_set_new(json, "locality", locality);
    return json;
}

static json_t *cluster_json(const struct conf_cluster *c, const struct host_list *l)
{
    json_t *json = json_pack("{s:s}", "name", c->object.name);
    if (!c->is_static)
        json_object_set_new(json, "added_via_api", json_true());
    json_t *hosts = json_array();
    for (size_t i = 0; i < l->n; i++)
        json_array_append_new(hosts, host_json(&l->v[i]));
    if (l->n)
        json_object_set(json, "host_statuses", hosts);
    json_decref(hosts);
    json_object_set_new(json, "circuit_breakers", json_pack("{s:o}", "thresholds", limits_json(c)));
    json_object_set_new(json, "observability_name", json_string(c->object.name));
    if (c->has_eds_service_name)
        json_object_set_new(json, "eds_service_name", json_string(c->eds_name));
    return json;
}

void admin_clusters(struct admin_request *r)
{
    char pattern[256];
    struct error err;
    struct regex *filter = NULL;
    bool is_json = admin_wants_json(r);
    if (admin_query(r, "filter", pattern, sizeof(pattern)) && *pattern &&
        regex_create(str_of(pattern), &filter, &err)) {
        r->status = 400;
        sbuf_addz(&r->out, "Invalid re2 regex");
        return;
    }
    json_t *all = json_array();
    size_t it = 0;
    struct hash_entry *e;
    while ((e = hash_next(&r->hosts->snapshot->clusters, &it))) {
        const struct conf_cluster *c = ((struct conf_cluster_entry *)e->value)->cluster;
        if (filter && !regex_search(filter, str_of(c->object.name)))
            continue;
        const struct host_list *l = hash_find(&r->hosts->by_cluster, str_of(c->object.name));
        if (is_json)
            json_array_append_new(all, cluster_json(c, l));
        else
            print_cluster(&r->out, c, l);
    }
    if (is_json)
        admin_reply_list(r, "cluster_statuses", all);
    else
        json_decref(all);
    regex_destroy(&filter);
}
