/* /server_info and the short ones. Source: Envoy's server_info_handler. */
#include <jansson.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/version.h"
#include "server/admin_private.h"
#include "server/publish.h"
#include "server/server.h"
#include "xds/dump.h"

static json_t *seconds(uint64_t ms)
{
    if (ms % 1000)
        return json_sprintf("%lu.%03lus", (unsigned long)(ms / 1000), (unsigned long)(ms % 1000));
    return json_sprintf("%lus", (unsigned long)(ms / 1000));
}

static json_t *numbers(const struct options *o)
{
    static const char *const modes[] = {"Serve", "Validate", "InitOnly"};
    return json_pack("{s:o s:I s:o s:o s:o s:o s:I s:I s:s s:s s:s}", "base_id",
                     json_sprintf("%u", o->base_id), "concurrency", (json_int_t)o->concurrency,
                     "file_flush_interval", seconds(o->file_flush_interval_ms), "drain_time",
                     seconds((uint64_t)o->drain_time_s * 1000), "parent_shutdown_time",
                     seconds((uint64_t)o->parent_shutdown_time_s * 1000), "disabled_extensions",
                     o->disabled_extensions[0] ? json_pack("[s]", o->disabled_extensions)
                                               : json_array(),
                     "restart_epoch", (json_int_t)o->restart_epoch, "socket_mode",
                     (json_int_t)strtoul(o->socket_mode, NULL, 8), "mode", modes[o->mode],
                     "local_address_ip_version", o->local_address_ip_version == 6 ? "v6" : "v4",
                     "drain_strategy", o->drain_immediate ? "Immediate" : "Gradual");
}

static void add_texts(json_t *json, const struct options *o)
{
    const struct {
        const char *key, *value;
    } rows[] = {
        {"base_id_path", o->base_id_path},
        {"config_path", o->config_path},
        {"config_yaml", o->config_yaml},
        {"admin_address_path", o->admin_address_path},
        {"log_level", log_level_name(o->log_level)},
        {"component_log_level", o->component_log_level},
        {"log_format", o->log_format ? o->log_format : log_default_format},
        {"log_path", o->log_path},
        {"service_cluster", o->service_cluster},
        {"service_node", o->service_node},
        {"service_zone", o->service_zone},
        {"socket_path", o->socket_path},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        json_object_set_new(json, rows[i].key, json_string(rows[i].value));
}

static void add_switches(json_t *json, const struct options *o)
{
    const struct {
        const char *key;
        bool value;
    } rows[] = {
        {"use_dynamic_base_id", o->use_dynamic_base_id},
        {"skip_hot_restart_on_no_parent", o->skip_hot_restart_on_no_parent},
        {"skip_hot_restart_parent_stats", o->skip_hot_restart_parent_stats},
        {"allow_unknown_static_fields", o->allow_unknown_static_fields},
        {"reject_unknown_dynamic_fields", o->reject_unknown_dynamic_fields},
        {"ignore_unknown_dynamic_fields", o->ignore_unknown_dynamic_fields},
        {"skip_deprecated_logs", o->skip_deprecated_logs},
        {"log_format_escaped", o->log_format_escaped},
        {"disable_hot_restart", o->disable_hot_restart},
        {"enable_mutex_tracing", o->enable_mutex_tracing},
        {"cpuset_threads", o->cpuset_threads},
        {"enable_fine_grain_logging", o->enable_fine_grain_logging},
        {"enable_core_dump", o->enable_core_dump},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        json_object_set_new(json, rows[i].key, json_boolean(rows[i].value));
}

static json_t *options_json(const struct options *o)
{
    json_t *json = numbers(o);
    json_t *tags = json_array();
    add_texts(json, o);
    add_switches(json, o);
    json_object_set_new(json, "file_flush_min_size", json_integer(o->file_flush_min_kb));
    for (size_t i = 0; i < o->stats_tags_n; i++)
        json_array_append_new(tags, json_string(o->stats_tags[i]));
    json_object_set_new(json, "stats_tag", tags);
    return json;
}

/* Fields that are not there are shown with their defaults, as Envoy does on this page. */
static json_t *node_json(const struct server *s)
{
    json_t *node =
        dump_message("type.googleapis.com/envoy.config.core.v3.Node", s->bootstrap->node, false);
    json_t *locality = json_object_get(node, "locality");
    json_t *build = json_object_get(node, "user_agent_build_version");
    json_t *defaults =
        json_pack("{s:s s:s s:{} s:[] s:[] s:[]}", "id", "", "cluster", "", "dynamic_parameters",
                  "extensions", "client_features", "listening_addresses");
    json_t *of_locality = json_pack("{s:s s:s s:s}", "region", "", "zone", "", "sub_zone", "");
    json_t *of_version =
        json_pack("{s:i s:i s:i}", "major_number", 0, "minor_number", 0, "patch", 0);
    if (!node)
        node = json_object();
    json_object_update_missing(node, defaults);
    json_object_update_missing(locality, of_locality);
    json_object_update_missing(json_object_get(build, "version"), of_version);
    json_decref(defaults);
    json_decref(of_locality);
    json_decref(of_version);
    return node;
}

void admin_server_info(struct admin_request *r)
{
    const struct server *s = r->server;
    enum server_state state = s->is_health_failed ? SERVER_DRAINING : s->state;
    uint64_t up_ms = (clock_wall_ns() - s->start_wall_ns) / 1000000;
    json_t *json =
        json_pack("{s:s s:s s:o s:o s:s}", "version", version_text, "state",
                  server_state_text(state), "uptime_current_epoch", seconds(up_ms - up_ms % 1000),
                  "uptime_all_epochs", seconds(up_ms - up_ms % 1000), "hot_restart_version",
                  s->restart ? restart_version_text : "disabled");
    json_object_set_new(json, "command_line_options", options_json(s->options));
    json_object_set_new(json, "node", node_json(s));
    admin_reply_json(r, json);
}

/* ---- the short ones ---- */

void admin_hot_restart_version(struct admin_request *r)
{
    sbuf_addz(&r->out, r->server->restart ? restart_version_text : "disabled");
}

void admin_contention(struct admin_request *r)
{
    sbuf_addz(&r->out, "Mutex contention tracing is not enabled. To enable, run Envoy with flag "
                       "--enable-mutex-tracing.");
}
