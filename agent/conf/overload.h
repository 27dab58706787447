/* The overload manager's configuration (envoy.config.overload.v3). Lives with the bootstrap. */
#ifndef CONF_OVERLOAD_H
#define CONF_OVERLOAD_H

#include <stddef.h>
#include <stdint.h>

#include "base/overload.h"

enum conf_monitor_kind { CONF_MONITOR_FIXED_HEAP, CONF_MONITOR_CGROUP, CONF_MONITOR_INJECTED };

struct conf_monitor {
    const char *name;
    enum conf_monitor_kind kind;
    uint64_t max;         /* bytes; 0: the cgroup's limit alone */
    const char *filename; /* CONF_MONITOR_INJECTED */
};

/* The level is 0 up to `from` and full at `to`; a threshold has both alike. */
struct conf_overload_trigger {
    size_t monitor; /* place in the list */
    double from, to;
};

struct conf_overload_action {
    enum overload_action action;
    struct conf_overload_trigger *triggers;
    size_t triggers_n;
};

struct conf_overload {
    struct conf_monitor *monitors;
    struct conf_overload_action *actions;
    size_t monitors_n, actions_n;
    uint32_t refresh_ms;
    uint64_t connections_max; /* downstream; 0: no limit */
};

#endif
