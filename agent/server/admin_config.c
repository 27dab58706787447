/* /config_dump: what was received, what serves of it, what was refused and why. Source: Envoy's
 * config_dump_handler, envoy.admin.v3.ConfigDump. */
#include "base/clock.h"
#include "base/mem.h"
#include "server/admin_dump_private.h"
#include "server/admin_private.h"

#define ADMIN_TYPE "type.googleapis.com/envoy.admin.v3."
#define CONFIG_TYPE "type.googleapis.com/envoy.config."

/* ---- what the sections share ---- */

bool dump_is_wanted(const struct dump *d, const char *name)
{
    return !d->name || regex_match(d->name, str_of(name));
}

void dump_set_time(json_t *json, const char *key, uint64_t wall_ns)
{
    char text[32];
    clock_format_utc_ms(wall_ns, text);
    json_object_set_new(json, key, json_string(text));
}

void dump_set_text(json_t *json, const char *key, const char *value)
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
    dump_set_time(json, "last_update_attempt", row->failed_ns);
    dump_set_text(json, "details", row->error);
    dump_set_text(json, "version_info", row->failed_version);
    return json;
}

json_t *dump_state(const struct control_row *row, const char *key)
{
    json_t *json = json_object();
    if (row->status != CONTROL_REFUSED) {
        dump_set_text(json, "version_info", row->version);
        set_resource(json, key, row->type, row->value);
        dump_set_time(json, "last_updated", row->updated_ns);
    }
    return json;
}

json_t *dump_with_error(json_t *json, const struct control_row *row)
{
    if (row->error[0])
        json_object_set_new(json, "error_state", error_state(row));
    return json;
}

json_t *dump_section(const char *type)
{
    json_t *json = json_object();
    json_object_set_new(json, "@type", json_sprintf(ADMIN_TYPE "%s", type));
    return json;
}

void dump_begin_lists(struct dump *d)
{
    for (size_t i = 0; i < ARRAY_LEN(d->lists); i++)
        d->lists[i] = json_array();
}

void dump_end_lists(struct dump *d, json_t *section, const char *const *keys, size_t n)
{
    for (size_t i = 0; i < ARRAY_LEN(d->lists); i++) {
        if (i < n && json_array_size(d->lists[i]))
            json_object_set(section, keys[i], d->lists[i]);
        json_decref(d->lists[i]);
    }
}

/* ---- sections ---- */

static json_t *bootstrap_section(struct dump *d)
{
    const struct bootstrap *b = d->server->bootstrap;
    json_t *json = dump_section("BootstrapConfigDump");
    json_t *boot = dump_message(CONFIG_TYPE "bootstrap.v3.Bootstrap", b->bytes, false);
    json_t *node = dump_message(CONFIG_TYPE "core.v3.Node", b->node, false);
    if (boot && node)
        json_object_set(boot, "node", node); /* with what the command line says */
    json_decref(node);
    json_object_set_new(json, "bootstrap", boot ? boot : json_object());
    dump_set_time(json, "last_updated", d->server->start_wall_ns);
    return json;
}

static void add_cluster(const struct control_row *row, void *arg)
{
    struct dump *d = arg;
    if (!dump_is_wanted(d, row->name))
        return;
    size_t list = row->is_static && row->status != CONTROL_REFUSED ? 0
                  : row->status == CONTROL_ACTIVE                  ? 1
                                                                   : 2;
    json_t *json = dump_state(row, "cluster");
    json_array_append_new(d->lists[list], list ? dump_with_error(json, row) : json);
}

static json_t *clusters_section(struct dump *d)
{
    static const char *const keys[] = {"static_clusters", "dynamic_active_clusters",
                                       "dynamic_warming_clusters"};
    json_t *json = dump_section("ClustersConfigDump");
    dump_begin_lists(d);
    dump_set_text(json, "version_info", control_version(d->server->control, XDS_CDS));
    control_each(d->server->control, XDS_CDS, add_cluster, d);
    dump_end_lists(d, json, keys, ARRAY_LEN(keys));
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
    if (row->is_static && row->status != CONTROL_REFUSED) {
        json_array_append_new(d->lists[0], dump_state(row, "listener"));
        return;
    }
    json_t *json = find_named(d->lists[1], row->name);
    if (!json) {
        json = json_pack("{s:s}", "name", row->name);
        json_array_append_new(d->lists[1], json);
    }
    if (row->status != CONTROL_REFUSED)
        json_object_set_new(json, row->status == CONTROL_ACTIVE ? "active_state" : "warming_state",
                            dump_state(row, "listener"));
    dump_with_error(json, row);
}

static const char *const listener_lists[] = {"static_listeners", "dynamic_listeners"};
static const char *const listener_states[] = {"active_state", "warming_state"};

/* Made once, for routes are taken out of it, too. */
static json_t *all_listeners(struct dump *d)
{
    if (d->listeners)
        return d->listeners;
    json_t *json = dump_section("ListenersConfigDump");
    dump_begin_lists(d);
    dump_set_text(json, "version_info", control_version(d->server->control, XDS_LDS));
    control_each(d->server->control, XDS_LDS, add_listener, d);
    dump_end_lists(d, json, listener_lists, ARRAY_LEN(listener_lists));
    return d->listeners = json;
}

static const char *name_of_listener(const json_t *entry)
{
    const char *name = json_string_value(json_object_get(entry, "name"));
    const json_t *listener = json_object_get(entry, "listener");
    return name ? name : json_string_value(json_object_get(listener, "name"));
}

/* The section without those that are not asked for. */
static json_t *listeners_section(struct dump *d)
{
    json_t *json = json_copy(all_listeners(d)), *entry;
    for (size_t i = 0; d->name && i < ARRAY_LEN(listener_lists); i++) {
        json_t *kept = json_array();
        size_t k;
        json_array_foreach(json_object_get(json, listener_lists[i]), k, entry)
        {
            const char *name = name_of_listener(entry);
            if (dump_is_wanted(d, name ? name : ""))
                json_array_append(kept, entry);
        }
        json_object_del(json, listener_lists[i]);
        if (json_array_size(kept))
            json_object_set(json, listener_lists[i], kept);
        json_decref(kept);
    }
    return json;
}

void dump_each_listener(struct dump *d,
                        void (*fn)(const json_t *listener, json_t *last_updated, void *arg),
                        void *arg)
{
    size_t k;
    json_t *entry;
    json_array_foreach(json_object_get(all_listeners(d), listener_lists[0]), k, entry)
        fn(json_object_get(entry, "listener"), json_object_get(entry, "last_updated"), arg);
    json_array_foreach(json_object_get(all_listeners(d), listener_lists[1]), k, entry)
    {
        for (size_t i = 0; i < ARRAY_LEN(listener_states); i++) {
            const json_t *state = json_object_get(entry, listener_states[i]);
            if (state)
                fn(json_object_get(state, "listener"), json_object_get(state, "last_updated"), arg);
        }
    }
}

/* A refused extension is shown by its name: readers expect a filter in every entry. */
static void add_extension(const struct control_row *row, void *arg)
{
    struct dump *d = arg;
    if (!dump_is_wanted(d, row->name))
        return;
    json_t *json = dump_state(row, "ecds_filter");
    if (!json_object_get(json, "ecds_filter"))
        json_object_set_new(
            json, "ecds_filter",
            json_pack("{s:s s:s}", "@type", xds_type_url(XDS_ECDS), "name", row->name));
    json_array_append_new(d->lists[0], dump_with_error(json, row));
}

/* NULL where no listener asks for extensions, as in Envoy. */
static json_t *extensions_section(struct dump *d)
{
    static const char *const keys[] = {"ecds_filters"};
    if (!control_wants_extensions(d->server->control))
        return NULL;
    json_t *json = dump_section("EcdsConfigDump");
    dump_begin_lists(d);
    control_each(d->server->control, XDS_ECDS, add_extension, d);
    dump_end_lists(d, json, keys, ARRAY_LEN(keys));
    return json;
}

static json_t *endpoints_section(struct dump *d)
{
    return d->include_eds ? dump_endpoints(d) : NULL;
}

/* In Envoy's order. NULL: there is no such section now. */
static json_t *(*const sections[])(struct dump *d) = {
    bootstrap_section, clusters_section,   extensions_section, endpoints_section,
    listeners_section, dump_scoped_routes, dump_routes,        dump_secrets,
};

static json_t *all_sections(struct dump *d)
{
    json_t *configs = json_array();
    for (size_t i = 0; i < ARRAY_LEN(sections); i++) {
        json_t *section = sections[i](d);
        if (section)
            json_array_append_new(configs, section);
    }
    return configs;
}

/* The elements of a repeated field; sections are made until one has it. */
static enum dump_result take_resource(struct dump *d, const char *field, json_t **configs)
{
    enum dump_result result = DUMP_NOT_FOUND;
    for (size_t i = 0; i < ARRAY_LEN(sections) && result == DUMP_NOT_FOUND; i++) {
        json_t *section = sections[i](d);
        if (!section)
            continue;
        json_decref(*configs);
        *configs = json_pack("[o]", section);
        result = dump_take_resource(configs, field);
    }
    return result;
}

/* ---- the whole, and parts of it ---- */

static void refuse(struct admin_request *r, unsigned status, const char *before, const char *what,
                   const char *after)
{
    r->status = status;
    sbuf_printf(&r->out, "%s%s%s", before, what, after);
}

/* False: the answer says why. */
static bool choose_sections(struct admin_request *r, struct dump *d, const char *resource,
                            json_t **configs)
{
    if (!*resource) {
        json_decref(*configs);
        *configs = all_sections(d);
        return true;
    }
    switch (take_resource(d, resource, configs)) {
    case DUMP_NOT_FOUND:
        refuse(r, 404, "", resource, " not found in config dump");
        return false;
    case DUMP_NOT_REPEATED:
        refuse(r, 400, "", resource, " is not a repeated field. Use ?mask=");
        sbuf_printf(&r->out, "%s to get only this field", resource);
        return false;
    case DUMP_OK:
        break;
    }
    return true;
}

static bool mask_sections(struct admin_request *r, bool has_resource, json_t **configs)
{
    char mask[512];
    if (!admin_query(r, "mask", mask, sizeof(mask)) || !*mask)
        return true;
    if (has_resource && !dump_mask_elements(*configs, mask)) {
        refuse(r, 400, "FieldMask ", mask, " could not be successfully used.");
        return false;
    }
    if (!has_resource && !dump_mask_sections(configs, mask)) {
        refuse(r, 400, "FieldMask ", mask, " could not be successfully applied to any configs.");
        return false;
    }
    return true;
}

static bool choose_names(struct admin_request *r, struct dump *d)
{
    char v[256];
    struct error err;
    if (!admin_query(r, "name_regex", v, sizeof(v)) || !*v ||
        !regex_create(str_of(v), &d->name, &err))
        return true;
    struct str why = str_of(err.text), own = STR("regex: ");
    refuse(r, 400, "INVALID_ARGUMENT: Error while parsing name_regex from ", v, ": ");
    if (str_starts(why, own))
        why = (struct str){why.p + own.n, why.n - own.n};
    sbuf_add(&r->out, why.p, why.n);
    return false;
}

void admin_config_dump(struct admin_request *r)
{
    char resource[128] = "", v[8];
    struct dump d = {.server = r->server};
    json_t *configs = json_array();
    d.include_eds = admin_query(r, "include_eds", v, sizeof(v));
    admin_query(r, "resource", resource, sizeof(resource));
    if (choose_names(r, &d) && choose_sections(r, &d, resource, &configs) &&
        mask_sections(r, *resource, &configs))
        admin_reply_list(r, "configs", configs);
    else
        json_decref(configs);
    json_decref(d.listeners);
    regex_destroy(&d.name);
}
