/* RoutesConfigDump and ScopedRoutesConfigDump of /config_dump. Source: Envoy's
 * RouteConfigProviderManager and ScopedRoutesConfigProviderManager. */
#include <string.h>

#include "server/admin_dump_private.h"

/* ---- routes ---- */

struct inline_routes {
    struct dump *dump;
    json_t *last_updated; /* of the listener that they stand in */
};

static void add_routes_of_hcm(json_t *hcm, void *arg)
{
    struct inline_routes *in = arg;
    json_t *routes = json_object_get(hcm, "route_config");
    const char *name = json_string_value(json_object_get(routes, "name"));
    if (!routes || !dump_is_wanted(in->dump, name ? name : ""))
        return;
    json_t *typed = json_pack("{s:s}", "@type", xds_type_url(XDS_RDS));
    json_object_update(typed, routes);
    json_t *json = json_pack("{s:o}", "route_config", typed);
    json_object_set(json, "last_updated", in->last_updated);
    json_array_append_new(in->dump->lists[0], json);
}

static void add_routes_of_listener(const json_t *listener, json_t *last_updated, void *arg)
{
    struct inline_routes in = {arg, last_updated};
    dump_each_hcm(listener, add_routes_of_hcm, &in);
}

static void add_routes(const struct control_row *row, void *arg)
{
    struct dump *d = arg;
    if (dump_is_wanted(d, row->name))
        json_array_append_new(d->lists[1], dump_with_error(dump_state(row, "route_config"), row));
}

json_t *dump_routes(struct dump *d)
{
    static const char *const keys[] = {"static_route_configs", "dynamic_route_configs"};
    json_t *json = dump_section("RoutesConfigDump");
    dump_begin_lists(d);
    dump_each_listener(d, add_routes_of_listener, d);
    control_each(d->server->control, XDS_RDS, add_routes, d);
    dump_end_lists(d, json, keys, ARRAY_LEN(keys));
    return json;
}

/* ---- scopes ---- */

struct scopes {
    json_t *configs;
    uint64_t updated_ns;
};

static void add_scope(const struct control_row *row, void *arg)
{
    struct scopes *s = arg;
    json_t *scope = row->status == CONTROL_ACTIVE
                        ? dump_message(xds_type_url(XDS_SRDS), row->value, true)
                        : NULL;
    if (!scope)
        return;
    json_array_append_new(s->configs, scope);
    if (row->updated_ns > s->updated_ns)
        s->updated_ns = row->updated_ns;
}

/* Scopes that stand in the connection manager, each with its type. */
static json_t *typed_scopes(const json_t *list)
{
    size_t i;
    json_t *scope, *all = json_array();
    json_array_foreach(list, i, scope)
    {
        json_t *typed = json_pack("{s:s}", "@type", xds_type_url(XDS_SRDS));
        json_object_update(typed, scope);
        json_array_append_new(all, typed);
    }
    return all;
}

static bool has_named(const json_t *list, const char *name)
{
    size_t i;
    const json_t *one;
    json_array_foreach(list, i, one)
    {
        if (strcmp(json_string_value(json_object_get(one, "name")), name) == 0)
            return true;
    }
    return false;
}

static void add_scopes_of_hcm(json_t *hcm, void *arg)
{
    struct inline_routes *in = arg;
    struct dump *d = in->dump;
    struct control *c = d->server->control;
    const json_t *scoped = json_object_get(hcm, "scoped_routes");
    const json_t *list = json_object_get(scoped, "scoped_route_configurations_list");
    const char *name = json_string_value(json_object_get(scoped, "name"));
    json_t *to = d->lists[list ? 0 : 1];
    if (!scoped || !dump_is_wanted(d, name ? name : "") || has_named(to, name ? name : ""))
        return;
    struct scopes s = {NULL, 0};
    json_t *json = json_pack("{s:s}", "name", name ? name : "");
    if (list) {
        s.configs = typed_scopes(json_object_get(list, "scoped_route_configurations"));
    } else {
        s.configs = json_array();
        control_each(c, XDS_SRDS, add_scope, &s);
        dump_set_text(json, "version_info", control_version(c, XDS_SRDS));
    }
    json_object_set_new(json, "scoped_route_configs", s.configs);
    json_object_set(json, "last_updated", in->last_updated);
    if (s.updated_ns)
        dump_set_time(json, "last_updated", s.updated_ns);
    json_array_append_new(to, json);
}

static void add_scopes_of_listener(const json_t *listener, json_t *last_updated, void *arg)
{
    struct inline_routes in = {arg, last_updated};
    dump_each_hcm(listener, add_scopes_of_hcm, &in);
}

json_t *dump_scoped_routes(struct dump *d)
{
    static const char *const keys[] = {"inline_scoped_route_configs",
                                       "dynamic_scoped_route_configs"};
    json_t *json = dump_section("ScopedRoutesConfigDump");
    dump_begin_lists(d);
    dump_each_listener(d, add_scopes_of_listener, d);
    dump_end_lists(d, json, keys, ARRAY_LEN(keys));
    return json;
}
