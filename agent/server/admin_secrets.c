/* SecretsConfigDump of /config_dump; what is secret in it is taken out by dump_message. Source:
 * Envoy's SecretManagerImpl. */
#include "server/admin_dump_private.h"

#define BOOTSTRAP_TYPE "type.googleapis.com/envoy.config.bootstrap.v3.Bootstrap"

/* What Envoy says of a secret that has not come. */
static const char no_version[] = "uninitialized";

static void add_static(struct dump *d, const json_t *secret)
{
    const char *name = json_string_value(json_object_get(secret, "name"));
    if (!dump_is_wanted(d, name ? name : ""))
        return;
    json_t *typed = json_pack("{s:s}", "@type", xds_type_url(XDS_SDS));
    json_object_update(typed, (json_t *)secret);
    json_array_append_new(d->lists[0],
                          json_pack("{s:s s:o}", "name", name ? name : "", "secret", typed));
}

static void add_static_ones(struct dump *d)
{
    size_t i;
    json_t *secret, *bootstrap = dump_message(BOOTSTRAP_TYPE, d->server->bootstrap->bytes, false);
    const json_t *resources = json_object_get(bootstrap, "static_resources");
    json_array_foreach(json_object_get(resources, "secrets"), i, secret) add_static(d, secret);
    json_decref(bootstrap);
}

static void add_dynamic(const struct control_row *row, void *arg)
{
    struct dump *d = arg;
    if (!dump_is_wanted(d, row->name))
        return;
    bool is_active = row->status == CONTROL_ACTIVE;
    json_t *json = dump_state(row, "secret");
    json_object_set_new(json, "name", json_string(row->name));
    if (!is_active) {
        dump_set_text(json, "version_info", no_version);
        json_object_set_new(
            json, "secret",
            json_pack("{s:s s:s}", "@type", xds_type_url(XDS_SDS), "name", row->name));
    }
    json_array_append_new(d->lists[is_active ? 1 : 2], dump_with_error(json, row));
}

json_t *dump_secrets(struct dump *d)
{
    static const char *const keys[] = {"static_secrets", "dynamic_active_secrets",
                                       "dynamic_warming_secrets"};
    json_t *json = dump_section("SecretsConfigDump");
    dump_begin_lists(d);
    add_static_ones(d);
    control_each(d->server->control, XDS_SDS, add_dynamic, d);
    dump_end_lists(d, json, keys, ARRAY_LEN(keys));
    return json;
}
