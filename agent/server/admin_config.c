/* /config_dump and /init_dump: what was received, what serves of it, what was refused and why.
 * Source: Envoy's config_dump_handler, envoy.admin.v3.ConfigDump. */
#include "base/clock.h"
#include "base/mem.h"
#include "base/regex.h"
#include "server/admin_private.h"
#include "server/server.h"
#include "xds/dump.h"

#define ADMIN_TYPE "type.googleapis.com/envoy.admin.v3."
#define CONFIG_TYPE "type.googleapis.com/envoy.config."

struct dump {
    struct server *server;
    struct regex *name; /* ?name_regex=, or NULL */
    json_t *lists[3];   /* of the section at hand */
};

static bool is_wanted(const struct dump *d, const char *name)
{
    return !d->name || regex_match(d->name, str_of(name));
}

static void set_time(json_t *json, const char *key, uint64_t wall_ns)
{
    char text[32];
    clock_format_utc_ms(wall_ns, text);
    json_object_set_new(json, key, json_string(text));
}

static void set_text(json_t *json, const char *key, const char *value)
{
    if (*value)
        json_object_set_new(json, key, json_string(value));
}

static void set_resource(json_t *json, const char *key, enum xds_type t, struct str value)
{
    json_t *message = value.n ? dump_message(xds_type_url(t), value, true) : NULL;
    if (message)
        json_object_set_new(json, key, message);
}

/* envoy.admin.v3.UpdateFailureState; bytes that are no message of the type are left out. */
static json_t *error_state(const struct control_row *row)
{
    json_t *json = json_object();
    set_resource(json, "failed_configuration", row->type, row->failed.n ? row->failed : row->value);
    set_time(json, "last_update_attempt", row->failed_ns);
    set_text(json, "details", row->error);
    set_text(json, "version_info", row->failed_version);
    return json;
}

/* {version_info, KEY: resource, last_updated, error_state}: what most sections are made of. */
static json_t *resource_state(const struct control_row *row, const char *key)
{
    json_t *json = json_object();
    if (row->status != CONTROL_REFUSED) {
        set_text(json, "version_info", row->version);
        set_resource(json, key, row->type, row->value);
        set_time(json, "last_updated", row->updated_ns ? row->updated_ns : clock_wall_ns());
    }
    return json;
}

static json_t *with_error(json_t *json, const struct control_row *row)
{
    if (row->error[0])
        json_object_set_new(json, "error_state", error_state(row));
    return json;
}

/* ---- sections ---- */

static json_t *section(const char *type)
{
    json_t *json = json_object();
    json_object_set_new(json, "@type", json_sprintf(ADMIN_TYPE "%s", type));
    return json;
}

static void begin_lists(struct dump *d)
{
    for (size_t i = 0; i < ARRAY_LEN(d->lists); i++)
        d->lists[i] = json_array();
}

/* Empty lists are left out, as proto3 JSON does. */
static void end_lists(struct dump *d, json_t *to, const char *const *keys, size_t n)
{
    for (size_t i = 0; i < ARRAY_LEN(d->lists); i++) {
        if (i < n && json_array_size(d->lists[i]))
            json_object_set(to, keys[i], d->lists[i]);
        json_decref(d->lists[i]);
    }
}

static json_t *bootstrap_section(const struct dump *d)
{
    const struct bootstrap *b = d->server->bootstrap;
    json_t *json = section("BootstrapConfigDump");
    json_t *boot = dump_message(CONFIG_TYPE "bootstrap.v3.Bootstrap", b->bytes, false);
    json_t *node = dump_message(CONFIG_TYPE "core.v3.Node", b->node, false);
    if (boot && node)
        json_object_set(boot, "node", node); /* with what the command line says */
    json_decref(node);
    json_object_set_new(json, "bootstrap", boot ? boot : json_object());
    set_time(json, "last_updated", d->server->start_wall_ns);
    return json;
}

static void add_cluster(const struct control_row *row, void *arg)
{
    struct dump *d = arg;
    if (!is_wanted(d, row->name))
        return;
    size_t list = row->is_static && row->status != CONTROL_REFUSED ? 0
                  : row->status == CONTROL_ACTIVE                  ? 1
                                                                   : 2;
    json_t *json = resource_state(row, "cluster");
    json_array_append_new(d->lists[list], list ? with_error(json, row) : json);
}

static json_t *clusters_section(struct dump *d)
{
    static const char *const keys[] = {"static_clusters", "dynamic_active_clusters",
                                       "dynamic_warming_clusters"};
    json_t *json = section("ClustersConfigDump");
    begin_lists(d);
    set_text(json, "version_info", control_version(d->server->control, XDS_CDS));
    control_each(d->server->control, XDS_CDS, add_cluster, d);
    end_lists(d, json, keys, ARRAY_LEN(keys));
    return json;
}

static json_t *find_named(json_t *list, const char *name)
{
    json_t *last = json_array_get(list, json_array_size(list) - 1);
    const char *have = json_string_value(json_object_get(last, "name"));
    return have && strcmp(have, name) == 0 ? last : NULL;
}

/* The versions of one listener are one entry; they come one after the other. */
static void add_listener(const struct control_row *row, void *arg)
{
    struct dump *d = arg;
    if (!is_wanted(d, row->name))
        return;
    if (row->is_static && row->status != CONTROL_REFUSED) {
        json_array_append_new(d->lists[0], resource_state(row, "listener"));
        return;
    }
    json_t *json = find_named(d->lists[1], row->name);
    if (!json) {
        json = json_pack("{s:s}", "name", row->name);
        json_array_append_new(d->lists[1], json);
    }
    if (row->status != CONTROL_REFUSED)
        json_object_set_new(json, row->status == CONTROL_ACTIVE ? "active_state" : "warming_state",
                            resource_state(row, "listener"));
    with_error(json, row);
}

static json_t *listeners_section(struct dump *d)
{
    static const char *const keys[] = {"static_listeners", "dynamic_listeners"};
    json_t *json = section("ListenersConfigDump");
    begin_lists(d);
    set_text(json, "version_info", control_version(d->server->control, XDS_LDS));
    control_each(d->server->control, XDS_LDS, add_listener, d);
    end_lists(d, json, keys, ARRAY_LEN(keys));
    return json;
}

struct inline_routes {
    struct dump *dump;
    const struct control_row *row;
};

static void add_inline(json_t *routes, void *arg)
{
    struct inline_routes *in = arg;
    const char *name = json_string_value(json_object_get(routes, "name"));
    if (!is_wanted(in->dump, name ? name : ""))
        return;
    json_t *typed = json_pack("{s:s}", "@type", xds_type_url(XDS_RDS));
    json_object_update(typed, routes);
    json_t *json = json_pack("{s:o}", "route_config", typed);
    set_time(json, "last_updated", in->row->updated_ns);
    json_array_append_new(in->dump->lists[0], json);
}

static void add_routes_of_listener(const struct control_row *row, void *arg)
{
    struct inline_routes in = {arg, row};
    if (row->status != CONTROL_ACTIVE)
        return;
    json_t *listener = dump_message(xds_type_url(XDS_LDS), row->value, false);
    dump_each_inline_routes(listener, add_inline, &in);
    json_decref(listener);
}

static void add_routes(const struct control_row *row, void *arg)
{
    struct dump *d = arg;
    if (is_wanted(d, row->name))
        json_array_append_new(d->lists[1], with_error(resource_state(row, "route_config"), row));
}

static json_t *routes_section(struct dump *d)
{
    static const char *const keys[] = {"static_route_configs", "dynamic_route_configs"};
    json_t *json = section("RoutesConfigDump");
    begin_lists(d);
    control_each(d->server->control, XDS_LDS, add_routes_of_listener, d);
    control_each(d->server->control, XDS_RDS, add_routes, d);
    end_lists(d, json, keys, ARRAY_LEN(keys));
    return json;
}

static void add_assignment(const struct control_row *row, void *arg)
{
    struct dump *d = arg;
    if (is_wanted(d, row->name))
        json_array_append_new(d->lists[1], with_error(resource_state(row, "endpoint_config"), row));
}

static void add_inline_assignment(const struct control_row *row, void *arg)
{
    struct dump *d = arg;
    if (row->status != CONTROL_ACTIVE || !is_wanted(d, row->name))
        return;
    json_t *cluster = dump_message(xds_type_url(XDS_CDS), row->value, false);
    json_t *endpoints = json_object_get(cluster, "load_assignment");
    if (endpoints) {
        json_t *typed = json_pack("{s:s}", "@type", xds_type_url(XDS_EDS));
        json_object_update(typed, endpoints);
        json_array_append_new(d->lists[0], json_pack("{s:o}", "endpoint_config", typed));
    }
    json_decref(cluster);
}

static json_t *endpoints_section(struct dump *d)
{
    static const char *const keys[] = {"static_endpoint_configs", "dynamic_endpoint_configs"};
    json_t *json = section("EndpointsConfigDump");
    begin_lists(d);
    control_each(d->server->control, XDS_CDS, add_inline_assignment, d);
    control_each(d->server->control, XDS_EDS, add_assignment, d);
    end_lists(d, json, keys, ARRAY_LEN(keys));
    return json;
}

/* A refused extension is shown by its name: readers expect a filter in every entry. */
static void add_extension(const struct control_row *row, void *arg)
{
    struct dump *d = arg;
    if (!is_wanted(d, row->name))
        return;
    json_t *json = resource_state(row, "ecds_filter");
    if (!json_object_get(json, "ecds_filter"))
        json_object_set_new(
            json, "ecds_filter",
            json_pack("{s:s s:s}", "@type", xds_type_url(XDS_ECDS), "name", row->name));
    json_array_append_new(d->lists[0], with_error(json, row));
}

static json_t *extensions_section(struct dump *d)
{
    static const char *const keys[] = {"ecds_filters"};
    json_t *json = section("EcdsConfigDump");
    begin_lists(d);
    control_each(d->server->control, XDS_ECDS, add_extension, d);
    end_lists(d, json, keys, ARRAY_LEN(keys));
    return json;
}

/* What is secret in them is taken out by dump_message. */
static void add_secret(const struct control_row *row, void *arg)
{
    struct dump *d = arg;
    if (!is_wanted(d, row->name))
        return;
    json_t *json = resource_state(row, "secret");
    json_object_set_new(json, "name", json_string(row->name));
    json_array_append_new(d->lists[row->status == CONTROL_ACTIVE ? 0 : 1], with_error(json, row));
}

static json_t *secrets_section(struct dump *d)
{
    static const char *const keys[] = {"dynamic_active_secrets", "dynamic_warming_secrets"};
    json_t *json = section("SecretsConfigDump");
    begin_lists(d);
    control_each(d->server->control, XDS_SDS, add_secret, d);
    end_lists(d, json, keys, ARRAY_LEN(keys));
    return json;
}

/* ---- the whole, and parts of it ---- */

static json_t *all_sections(struct dump *d, bool include_eds)
{
    json_t *configs = json_array();
    json_array_append_new(configs, bootstrap_section(d));
    json_array_append_new(configs, clusters_section(d));
    json_array_append_new(configs, extensions_section(d));
    if (include_eds)
        json_array_append_new(configs, endpoints_section(d));
    json_array_append_new(configs, listeners_section(d));
    json_array_append_new(configs, section("ScopedRoutesConfigDump"));
    json_array_append_new(configs, routes_section(d));
    json_array_append_new(configs, secrets_section(d));
    return configs;
}

/* The repeated fields that ?resource= may name, with the message of their elements. */
static const struct {
    const char *field, *type;
} resources[] = {
    {"static_clusters", "ClustersConfigDump.StaticCluster"},
    {"dynamic_active_clusters", "ClustersConfigDump.DynamicCluster"},
    {"dynamic_warming_clusters", "ClustersConfigDump.DynamicCluster"},
    {"static_listeners", "ListenersConfigDump.StaticListener"},
    {"dynamic_listeners", "ListenersConfigDump.DynamicListener"},
    {"static_route_configs", "RoutesConfigDump.StaticRouteConfig"},
    {"dynamic_route_configs", "RoutesConfigDump.DynamicRouteConfig"},
    {"static_endpoint_configs", "EndpointsConfigDump.StaticEndpointConfig"},
    {"dynamic_endpoint_configs", "EndpointsConfigDump.DynamicEndpointConfig"},
    {"ecds_filters", "EcdsConfigDump.EcdsFilterConfig"},
};

static const char *resource_type(const char *field)
{
    for (size_t i = 0; i < ARRAY_LEN(resources); i++)
        if (strcmp(resources[i].field, field) == 0)
            return resources[i].type;
    return NULL;
}

/* The elements of one repeated field in place of the sections; NULL: there are none. */
static json_t *take_resource(json_t *sections, const char *field)
{
    size_t i, k;
    json_t *one, *element, *picked = json_array();
    json_array_foreach(sections, i, one)
    {
        json_array_foreach(json_object_get(one, field), k, element)
        {
            json_t *typed = section(resource_type(field));
            json_object_update(typed, element);
            json_array_append_new(picked, typed);
        }
    }
    json_decref(sections);
    if (json_array_size(picked))
        return picked;
    json_decref(picked);
    return NULL;
}

/* ?mask=a,b.c leaves those fields of each element. */
static void copy_path(json_t *to, json_t *from, const char *path)
{
    const char *dot = strchr(path, '.');
    char *key = mem_strndup(path, dot ? (size_t)(dot - path) : strlen(path));
    json_t *value = json_object_get(from, key);
    if (value && !dot) {
        json_object_set(to, key, value);
    } else if (json_is_object(value)) {
        json_t *sub = json_object_get(to, key);
        if (!sub) {
            json_t *type = json_object_get(value, "@type");
            sub = type ? json_pack("{s:O}", "@type", type) : json_object();
            json_object_set_new(to, key, sub);
        }
        copy_path(sub, value, dot + 1);
    }
    mem_free(key);
}

/* Sections without a masked field go away. */
static void apply_mask(json_t **configs, const char *mask)
{
    size_t i;
    json_t *one, *kept = json_array();
    json_array_foreach(*configs, i, one)
    {
        struct str rest = str_of(mask), path;
        json_t *to = json_object();
        while (str_next(&rest, ',', &path)) {
            char *text = mem_strndup(path.p, path.n);
            copy_path(to, one, text);
            mem_free(text);
        }
        if (json_object_size(to)) {
            json_t *typed = json_pack("{s:O}", "@type", json_object_get(one, "@type"));
            json_object_update(typed, to);
            json_array_append_new(kept, typed);
        }
        json_decref(to);
    }
    json_decref(*configs);
    *configs = kept;
}

static void refuse(struct admin_request *r, unsigned status, const char *before, const char *what,
                   const char *after)
{
    r->status = status;
    sbuf_printf(&r->out, "%s%s%s", before, what, after);
}

static void dump_parts(struct admin_request *r, json_t *configs)
{
    char resource[128], mask[512];
    if (admin_query(r, "resource", resource, sizeof(resource))) {
        if (!resource_type(resource) && strcmp(resource, "bootstrap") == 0) {
            json_decref(configs);
            refuse(r, 400, "", resource,
                   " is not a repeated field. Use ?mask=bootstrap to get only this field");
            return;
        }
        configs = take_resource(configs, resource);
    }
    if (!configs) {
        refuse(r, 404, "", resource, " not found in config dump");
        return;
    }
    if (admin_query(r, "mask", mask, sizeof(mask))) {
        apply_mask(&configs, mask);
        if (!json_array_size(configs)) {
            json_decref(configs);
            refuse(r, 400, "FieldMask ", mask,
                   " could not be successfully applied to any configs.");
            return;
        }
    }
    admin_reply_json(r, json_pack("{s:o}", "configs", configs));
}

void admin_config_dump(struct admin_request *r)
{
    char v[256];
    struct error err;
    struct dump d = {.server = r->server};
    bool include_eds = admin_query(r, "include_eds", v, sizeof(v));
    if (admin_query(r, "name_regex", v, sizeof(v)) && regex_create(str_of(v), &d.name, &err)) {
        refuse(r, 400, "Error while parsing name_regex from ", v, "");
        return;
    }
    dump_parts(r, all_sections(&d, include_eds));
    regex_destroy(&d.name);
}

/* ---- /init_dump ---- */

static void add_unready(const struct control_row *row, void *arg)
{
    if (row->status != CONTROL_WARMING)
        return;
    json_t *json = json_object();
    json_object_set_new(json, "name",
                        json_sprintf("init manager %s %s",
                                     row->type == XDS_LDS ? "Listener" : "Cluster", row->name));
    json_object_set_new(json, "target_names", json_pack("[s]", row->waiting_for));
    json_array_append_new(arg, json);
}

void admin_init_dump(struct admin_request *r)
{
    json_t *all = json_array();
    control_each(r->server->control, XDS_CDS, add_unready, all);
    control_each(r->server->control, XDS_LDS, add_unready, all);
    json_t *json = json_object();
    if (json_array_size(all))
        json_object_set(json, "unready_targets_dumps", all);
    json_decref(all);
    admin_reply_json(r, json);
}
