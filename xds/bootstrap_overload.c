/* The bootstrap's overload_manager. One without actions leaves the guard that is there by default:
 * the cgroup's memory limit. */
#include "base/log.h"
#include "envoy/config/overload/v3/overload.pb-c.h"
#include "envoy/extensions/resource_monitors/cgroup_memory/v3/cgroup_memory.pb-c.h"
#include "envoy/extensions/resource_monitors/downstream_connections/v3/downstream_connections.pb-c.h"
#include "envoy/extensions/resource_monitors/fixed_heap/v3/fixed_heap.pb-c.h"
#include "envoy/extensions/resource_monitors/injected_resource/v3/injected_resource.pb-c.h"
#include "xds/bootstrap_private.h"

typedef Envoy__Config__Overload__V3__OverloadManager manager_msg;
typedef Envoy__Config__Overload__V3__OverloadAction action_msg;
typedef Envoy__Config__Overload__V3__ResourceMonitor monitor_msg;
typedef Envoy__Config__Overload__V3__Trigger trigger_msg;

#define MONITOR(name) "envoy.extensions.resource_monitors." name

enum { REFRESH_MS = 1000 };

/* Memory that the container may have: give back, then let connections go, then refuse. */
static void set_defaults(struct decode *d, struct conf_overload *o)
{
    static const struct {
        enum overload_action action;
        double at;
    } guards[] = {
        {OVERLOAD_SHRINK_HEAP, 0.90},
        {OVERLOAD_DISABLE_HTTP_KEEPALIVE, 0.95},
        {OVERLOAD_STOP_ACCEPTING_REQUESTS, 0.98},
    };
    o->monitors = DECODE_NEW(d, struct conf_monitor);
    o->monitors_n = 1;
    *o->monitors =
        (struct conf_monitor){"envoy.resource_monitors.cgroup_memory", CONF_MONITOR_CGROUP, 0, ""};
    o->actions = DECODE_ARRAY(d, struct conf_overload_action, ARRAY_LEN(guards));
    o->actions_n = ARRAY_LEN(guards);
    for (size_t i = 0; i < ARRAY_LEN(guards); i++) {
        o->actions[i].action = guards[i].action;
        o->actions[i].triggers = DECODE_NEW(d, struct conf_overload_trigger);
        o->actions[i].triggers_n = 1;
        o->actions[i].triggers->from = o->actions[i].triggers->to = guards[i].at;
    }
}

/* *is_counted_r: it is one that measures here. The limit on connections holds where they are
 * accepted. */
static int decode_monitor(struct decode *d, const monitor_msg *m, struct conf_overload *o,
                          bool *is_counted_r, struct error *err)
{
    struct conf_monitor *out = &o->monitors[o->monitors_n];
    struct str type = m->typed_config ? pb_any_type(m->typed_config) : STR_NULL;
    ProtobufCMessage *msg;
    out->name = decode_text(d, m->name);
    out->filename = "";
    *is_counted_r = !str_is(type, MONITOR("downstream_connections.v3.DownstreamConnectionsConfig"));
    if (decode_any(d, m->typed_config, &msg, err))
        return error_code(err);
    if (str_is(type, MONITOR("fixed_heap.v3.FixedHeapConfig"))) {
        out->kind = CONF_MONITOR_FIXED_HEAP;
        out->max =
            ((const Envoy__Extensions__ResourceMonitors__FixedHeap__V3__FixedHeapConfig *)msg)
                ->max_heap_size_bytes;
        if (!out->max)
            return error_set(err, ERR_INVALID, "max_heap_size_bytes: must be above 0");
    } else if (str_is(type, MONITOR("cgroup_memory.v3.CgroupMemoryConfig"))) {
        out->kind = CONF_MONITOR_CGROUP;
        out->max =
            ((const Envoy__Extensions__ResourceMonitors__CgroupMemory__V3__CgroupMemoryConfig *)msg)
                ->max_memory_bytes;
    } else if (str_is(type, MONITOR("injected_resource.v3.InjectedResourceConfig"))) {
        out->kind = CONF_MONITOR_INJECTED;
        out->filename = decode_text(
            d,
            ((const Envoy__Extensions__ResourceMonitors__InjectedResource__V3__InjectedResourceConfig
                  *)msg)
                ->filename);
    } else if (!*is_counted_r) {
        int64_t max =
            ((const Envoy__Extensions__ResourceMonitors__DownstreamConnections__V3__DownstreamConnectionsConfig
                  *)msg)
                ->max_active_downstream_connections;
        if (max <= 0)
            return error_set(err, ERR_INVALID,
                             "max_active_downstream_connections: must be above 0");
        o->connections_max = (uint64_t)max;
    } else {
        return error_set(err, ERR_UNSUPPORTED, "%.*s: not supported", STR_ARG(type));
    }
    return 0;
}

static int find_monitor(const struct conf_overload *o, const char *name, size_t *i_r)
{
    for (*i_r = 0; *i_r < o->monitors_n; ++*i_r)
        if (!strcmp(o->monitors[*i_r].name, name))
            return 0;
    return -1;
}

static int decode_trigger(const struct conf_overload *o, const trigger_msg *m,
                          struct conf_overload_trigger *out, struct error *err)
{
    if (find_monitor(o, m->name, &out->monitor))
        return error_set(err, ERR_INVALID, "name: Unknown trigger resource %s", m->name);
    if (m->trigger_oneof_case == ENVOY__CONFIG__OVERLOAD__V3__TRIGGER__TRIGGER_ONEOF_THRESHOLD) {
        out->from = out->to = m->threshold->value;
    } else if (m->trigger_oneof_case ==
               ENVOY__CONFIG__OVERLOAD__V3__TRIGGER__TRIGGER_ONEOF_SCALED) {
        out->from = m->scaled->scaling_threshold;
        out->to = m->scaled->saturation_threshold;
        if (out->from >= out->to)
            return error_set(err, ERR_INVALID,
                             "scaled: scaling_threshold must be less than saturation_threshold");
    } else {
        return error_set(err, ERR_INVALID, "trigger_oneof: required");
    }
    if (!(out->from >= 0 && out->to <= 1))
        return error_set(err, ERR_INVALID, "a threshold must be within 0 and 1");
    return 0;
}

static int decode_action(struct decode *d, const struct conf_overload *o, const action_msg *m,
                         struct conf_overload_action *out, struct error *err)
{
    static const char *const names[] = {
#define X(name, text) "envoy.overload_actions." text,
        OVERLOAD_ACTION_MAP(X)
#undef X
    };
    unsigned i = 0;
    while (i < OVERLOAD_ACTIONS && strcmp(names[i], m->name) != 0)
        i++;
    if (i == OVERLOAD_ACTIONS)
        return error_set(err, ERR_INVALID, "name: Unknown Overload Action %s", m->name);
    if (i >= OVERLOAD_REDUCE_TIMEOUTS)
        log_warn(LOG_CONFIG, "overload action %s is accepted and has no effect", m->name);
    if (!m->n_triggers)
        return error_set(err, ERR_INVALID, "triggers: at least one is required");
    out->action = (enum overload_action)i;
    out->triggers = DECODE_ARRAY(d, struct conf_overload_trigger, m->n_triggers);
    out->triggers_n = m->n_triggers;
    for (size_t j = 0; j < m->n_triggers; j++)
        if (decode_trigger(o, m->triggers[j], &out->triggers[j], err))
            return error_prefix(err, "triggers[%zu].", j);
    return 0;
}

static int decode_manager(struct decode *d, const manager_msg *m, struct conf_overload *o,
                          struct error *err)
{
    o->monitors = DECODE_ARRAY(d, struct conf_monitor, m->n_resource_monitors);
    for (size_t i = 0; i < m->n_resource_monitors; i++) {
        bool is_counted;
        if (decode_monitor(d, m->resource_monitors[i], o, &is_counted, err))
            return error_prefix(err, "resource_monitors[%zu].", i);
        o->monitors_n += is_counted;
    }
    o->actions = DECODE_ARRAY(d, struct conf_overload_action, m->n_actions);
    for (size_t i = 0; i < m->n_actions; i++, o->actions_n++)
        if (decode_action(d, o, m->actions[i], &o->actions[i], err))
            return error_prefix(err, "actions[%zu].", i);
    return decode_ms(m->refresh_interval, REFRESH_MS, "refresh_interval", &o->refresh_ms, err);
}

int bootstrap_set_overload(struct bootstrap *b, struct decode *d, const bootstrap_msg *m,
                           struct error *err)
{
    struct conf_overload *o = &b->overload;
    o->refresh_ms = REFRESH_MS;
    if (m->overload_manager && decode_manager(d, m->overload_manager, o, err))
        return error_prefix(err, "overload_manager.");
    if (!o->refresh_ms)
        o->refresh_ms = REFRESH_MS;
    if (!o->actions_n)
        set_defaults(d, o);
    return 0;
}
