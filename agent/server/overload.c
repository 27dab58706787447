#include "server/overload.h"

#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/stat.h"
#include "base/str.h"

static const char *const action_names[] = {
#define X(name, text) text,
    OVERLOAD_ACTION_MAP(X)
#undef X
};

struct monitor_state {
    double pressure;
    stat_id pressure_gauge, failed;
};

struct action_state {
    stat_id active, scale;
    uint32_t level;
};

struct overload {
    const struct conf_overload *conf;
    struct loop_timer timer;
    struct monitor_state *monitors;
    struct action_state *actions;
};

/* ---- measuring ---- */

static bool read_text(const char *path, char *dst, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t n = read(fd, dst, size - 1);
    close(fd);
    dst[n > 0 ? n : 0] = 0;
    return n > 0;
}

/* A file that holds one number; "max" is none. */
static bool read_number(const char *root, const char *file, uint64_t *v)
{
    char path[512], text[64];
    snprintf(path, sizeof(path), "%s/%s", root, file);
    if (!read_text(path, text, sizeof(text)))
        return false;
    return str_to_u64((struct str){text, strcspn(text, "\n")}, UINT64_MAX, v);
}

/* Page cache that goes when it is asked for counts as free. */
static uint64_t inactive_file(const char *root, const char *file, const char *key)
{
    char path[512], text[8192];
    uint64_t v = 0;
    snprintf(path, sizeof(path), "%s/%s", root, file);
    if (!read_text(path, text, sizeof(text)))
        return 0;
    struct str rest = str_of(text), line, name;
    while (str_next(&rest, '\n', &line))
        if (str_next(&line, ' ', &name) && str_is(name, key))
            str_to_u64(line, UINT64_MAX, &v);
    return v;
}

static double share(uint64_t used, uint64_t cache, uint64_t max)
{
    used = used > cache ? used - cache : 0;
    return max ? (double)used / (double)max : 0;
}

double overload_cgroup_pressure(const char *root, uint64_t max)
{
    uint64_t used, limit;
    if (read_number(root, "memory.current", &used)) {
        if (!read_number(root, "memory.max", &limit))
            limit = 0;
        if (max && (!limit || max < limit))
            limit = max;
        return share(used, inactive_file(root, "memory.stat", "inactive_file"), limit);
    }
    if (!read_number(root, "memory/memory.usage_in_bytes", &used) ||
        !read_number(root, "memory/memory.limit_in_bytes", &limit))
        return 0;
    if (limit > UINT64_MAX / 4) /* v1's way to say none */
        limit = 0;
    if (max && (!limit || max < limit))
        limit = max;
    return share(used, inactive_file(root, "memory/memory.stat", "total_inactive_file"), limit);
}

static bool measure_heap(uint64_t max, double *pressure)
{
    char text[128];
    uint64_t pages;
    struct str rest, word;
    if (!read_text("/proc/self/statm", text, sizeof(text)))
        return false;
    rest = str_of(text);
    str_next(&rest, ' ', &word);
    if (!str_next(&rest, ' ', &word) || !str_to_u64(word, UINT64_MAX, &pages))
        return false;
    *pressure = (double)(pages * (uint64_t)sysconf(_SC_PAGESIZE)) / (double)max;
    return true;
}

static bool measure_injected(const char *path, double *pressure)
{
    char text[64], *end;
    if (!read_text(path, text, sizeof(text)))
        return false;
    *pressure = strtod(text, &end);
    return end != text && *pressure >= 0 && *pressure <= 1;
}

static bool measure(const struct conf_monitor *m, double *pressure)
{
    switch (m->kind) {
    case CONF_MONITOR_FIXED_HEAP:
        return measure_heap(m->max, pressure);
    case CONF_MONITOR_INJECTED:
        return measure_injected(m->filename, pressure);
    case CONF_MONITOR_CGROUP:
        break;
    }
    *pressure = overload_cgroup_pressure("/sys/fs/cgroup", m->max);
    return true;
}

/* ---- acting ---- */

uint32_t overload_level_of(const struct conf_overload_trigger *t, double pressure)
{
    if (pressure >= t->to)
        return OVERLOAD_FULL;
    if (pressure <= t->from)
        return 0;
    return (uint32_t)((pressure - t->from) / (t->to - t->from) * OVERLOAD_FULL);
}

static void set_action(struct overload *o, size_t i)
{
    const struct conf_overload_action *a = &o->conf->actions[i];
    struct action_state *st = &o->actions[i];
    uint32_t level = 0;
    for (size_t j = 0; j < a->triggers_n; j++) {
        const struct conf_overload_trigger *t = &a->triggers[j];
        uint32_t l = overload_level_of(t, o->monitors[t->monitor].pressure);
        level = l > level ? l : level;
    }
    if ((level > 0) != (st->level > 0))
        log_warn(LOG_MAIN, "Overload action envoy.overload_actions.%s became %s",
                 action_names[a->action], level ? "active" : "inactive");
    st->level = level;
    overload_set(a->action, level);
    stat_set(st->active, level == OVERLOAD_FULL);
    stat_set(st->scale, level * 100 / OVERLOAD_FULL);
    if (a->action == OVERLOAD_SHRINK_HEAP && level == OVERLOAD_FULL)
        malloc_trim(0);
}

static void on_refresh(struct loop_timer *t)
{
    struct overload *o = container_of(t, struct overload, timer);
    for (size_t i = 0; i < o->conf->monitors_n; i++) {
        struct monitor_state *st = &o->monitors[i];
        double pressure;
        if (!measure(&o->conf->monitors[i], &pressure)) {
            stat_inc(st->failed);
            continue;
        }
        st->pressure = pressure;
        stat_set(st->pressure_gauge, (uint64_t)(pressure * 100));
    }
    for (size_t i = 0; i < o->conf->actions_n; i++)
        set_action(o, i);
    loop_timer_start(&o->timer, o->conf->refresh_ms);
}

struct overload *overload_create(struct loop *loop, const struct conf_overload *conf)
{
    struct overload *o = MEM_NEW(struct overload);
    o->conf = conf;
    overload_set_connections_max(conf->connections_max);
    o->monitors = mem_zalloc((conf->monitors_n + 1) * sizeof(*o->monitors));
    o->actions = mem_zalloc((conf->actions_n + 1) * sizeof(*o->actions));
    for (size_t i = 0; i < conf->monitors_n; i++) {
        const char *name = conf->monitors[i].name;
        o->monitors[i].pressure_gauge = stat_define(STAT_GAUGE, "overload.%s.pressure", name);
        o->monitors[i].failed = stat_define(STAT_COUNTER, "overload.%s.failed_updates", name);
    }
    for (size_t i = 0; i < conf->actions_n; i++) {
        const char *name = action_names[conf->actions[i].action];
        o->actions[i].active =
            stat_define(STAT_GAUGE, "overload.envoy.overload_actions.%s.active", name);
        o->actions[i].scale =
            stat_define(STAT_GAUGE, "overload.envoy.overload_actions.%s.scale_percent", name);
    }
    loop_timer_init(&o->timer, loop, on_refresh);
    on_refresh(&o->timer);
    return o;
}

void overload_destroy(struct overload **overload)
{
    struct overload *o = *overload;
    if (!o)
        return;
    *overload = NULL;
    loop_timer_stop(&o->timer);
    for (size_t i = 0; i < o->conf->actions_n; i++)
        overload_set(o->conf->actions[i].action, 0);
    mem_free(o->monitors);
    mem_free(o->actions);
    mem_free(o);
}
