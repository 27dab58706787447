#include <malloc.h>
#include <stdio.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/stat.h"
#include "server/admin_private.h"
#include "server/server.h"

void admin_ready(struct admin_request *r)
{
    struct server *s = r->server;
    enum server_state state = s->is_health_failed ? SERVER_DRAINING : s->state;
    r->status = state == SERVER_LIVE ? 200 : 503;
    sbuf_printf(&r->out, "%s\n", server_state_text(state));
}

void admin_memory(struct admin_request *r)
{
    struct mallinfo2 m = mallinfo2();
    r->content_type = "application/json";
    sbuf_printf(&r->out,
                "{\n \"allocated\": \"%zu\",\n \"heap_size\": \"%zu\",\n"
                " \"pageheap_unmapped\": \"0\",\n \"pageheap_free\": \"%zu\",\n"
                " \"total_thread_cache\": \"0\",\n \"total_physical_bytes\": \"%zu\"\n}\n",
                m.uordblks + m.hblkhd, m.arena + m.hblkhd, m.fordblks, m.arena + m.hblkhd);
}

static void list_loggers(struct admin_request *r)
{
    sbuf_addz(&r->out, "active loggers:\n");
    for (int c = 0; c < LOG_COMPONENT_COUNT; c++)
        sbuf_printf(&r->out, "  %s: %s\n", log_component_name(c), log_level_name(log_levels[c]));
    sbuf_addc(&r->out, '\n');
}

/* One "name:level" of paths; set only when do_set. */
static const char *set_path(struct str part, bool do_set)
{
    struct str name = STR_NULL;
    enum log_component c;
    enum log_level level;
    str_next(&part, ':', &name);
    if (!name.n || !part.n)
        return "empty logger name or empty logger level";
    if (!log_level_parse(part, &level))
        return "unknown logger level";
    if (!log_component_find(name, &c))
        return "unknown logger name";
    if (do_set)
        log_levels[c] = (unsigned char)level;
    return NULL;
}

/* All of them, or none. */
static const char *set_paths(struct str list)
{
    for (int do_set = 0; do_set < 2; do_set++) {
        struct str rest = list, part;
        while (str_next(&rest, ',', &part)) {
            const char *reason = set_path(part, do_set);
            if (reason)
                return reason;
        }
    }
    return NULL;
}

static const char *set_level(struct str name, struct str value)
{
    enum log_component c;
    enum log_level level;
    if (str_is(name, "group"))
        return "group parameter requires fine-grain logging to be enabled";
    if (str_is(name, "paths"))
        return set_paths(value);
    if (!log_level_parse(value, &level))
        return "unknown logger level";
    if (str_is(name, "level"))
        log_set_all(level);
    else if (log_component_find(name, &c))
        log_levels[c] = (unsigned char)level;
    else
        return "unknown logger name";
    return NULL;
}

/* A parameter without a value asks for nothing, as in Envoy. NULL: done. */
static const char *set_levels(struct str query)
{
    struct str part, name, chosen = STR_NULL, value = STR_NULL;
    unsigned n = 0;
    while (str_next(&query, '&', &part)) {
        if (!str_next(&part, '=', &name) || !part.n)
            continue;
        chosen = name;
        value = part;
        n++;
    }
    if (n > 1)
        return "invalid number of parameters";
    return n ? set_level(chosen, value) : NULL;
}

void admin_logging(struct admin_request *r)
{
    const char *reason = set_levels(r->query);
    if (reason) {
        r->status = 400;
        sbuf_printf(&r->out,
                    "error: %s\n\n"
                    "usage: /logging?<name>=<level> (change single level)\n"
                    "usage: /logging?paths=name1:level1,name2:level2,... (change multiple levels)\n"
                    "usage: /logging?level=<level> (change all levels)\n"
                    "usage: /logging?group=<group_name>:<level> (change group of loggers)\n"
                    "levels: trace debug info warning error critical off \n",
                    reason);
    }
    list_loggers(r);
}

static void ok(struct admin_request *r)
{
    sbuf_addz(&r->out, "OK\n");
}

void admin_quit(struct admin_request *r)
{
    ok(r);
    server_stop(r->server, 0); /* the answer is flushed before the loop ends */
}

void admin_drain_listeners(struct admin_request *r)
{
    char v[8];
    bool is_graceful = admin_query(r, "graceful", v, sizeof(v));
    bool skip_exit = admin_query(r, "skip_exit", v, sizeof(v));
    server_drain(r->server, admin_query(r, "inboundonly", v, sizeof(v)), is_graceful, skip_exit);
    ok(r);
}

void admin_healthcheck_fail(struct admin_request *r)
{
    server_set_health_failed(r->server, true);
    ok(r);
}

void admin_healthcheck_ok(struct admin_request *r)
{
    server_set_health_failed(r->server, false);
    ok(r);
}

void admin_reopen_logs(struct admin_request *r)
{
    log_reopen();
    access_log_writer_reopen(r->server->logs);
    ok(r);
}

void admin_reset_counters(struct admin_request *r)
{
    stat_reset_counters();
    ok(r);
}

void admin_help(struct admin_request *r)
{
    sbuf_addz(&r->out, "admin commands are:\n");
    admin_list_paths(&r->out);
}
