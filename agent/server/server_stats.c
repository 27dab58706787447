/* The server.* statistics that are only computed when somebody looks. Source: Envoy's
 * source/server/server.h (ALL_SERVER_STATS). [main] */
#include <malloc.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/version.h"
#include "server/server.h"

#define NO_CERTIFICATE_DAYS UINT32_MAX /* Envoy's value where there is none */

/* "1.2.3" as one number, in place of the revision that Envoy shows. */
static uint64_t version_number(void)
{
    uint32_t numbers[VERSION_PARTS];
    uint64_t number = 0;
    version_numbers(numbers);
    for (int i = 0; i < VERSION_PARTS; i++)
        number = number << 8 | numbers[i];
    return number;
}

/* 0 once it is over. */
static uint64_t seconds_left(int64_t end_s)
{
    int64_t now_s = (int64_t)(clock_wall_ns() / 1000000000u);
    return end_s > now_s ? (uint64_t)(end_s - now_s) : 0;
}

/* Days until a certificate expires, 0 once it has. */
static uint64_t days_left(struct server *s)
{
    const struct snapshot *now = s->publish ? publish_current(s->publish) : NULL;
    if (!now)
        return NO_CERTIFICATE_DAYS;
    cert_stats_update(s->cert_stats, now);
    int64_t first = cert_stats_first_expiry(s->cert_stats);
    return first ? seconds_left(first) / 86400 : NO_CERTIFICATE_DAYS;
}

void server_update_stats(struct server *s)
{
    struct mallinfo2 m = mallinfo2();
    const struct conf_stats *conf = &s->bootstrap->stats;
    const struct {
        const char *name;
        uint64_t value;
    } rows[] = {
        {"uptime", (clock_wall_ns() - s->start_wall_ns) / 1000000000u},
        {"memory_allocated", m.uordblks + m.hblkhd},
        {"memory_heap_size", m.arena + m.hblkhd},
        {"parent_connections", 0}, /* there is no hot restart, so no parent */
        {"hot_restart_epoch", s->options->restart_epoch},
        {"days_until_first_cert_expiring", days_left(s)},
        {"seconds_until_first_ocsp_response_expiring",
         seconds_left(cert_stats_first_staple(s->cert_stats))},
        {"version", conf->has_version ? conf->version : version_number()},
    };
    enum { ROWS = ARRAY_LEN(rows) };
    static stat_id ids[ROWS];
    static bool is_defined;
    for (size_t i = 0; i < ROWS; i++) {
        if (!is_defined)
            ids[i] = stat_define(STAT_GAUGE, "server.%s", rows[i].name);
        stat_set(ids[i], rows[i].value);
    }
    is_defined = true;
}

static void on_interval(struct loop_timer *t)
{
    struct server *s = container_of(t, struct server, stats_timer);
    stat_end_interval();
    loop_timer_start(t, s->bootstrap->stats.flush_interval_ms);
}

void server_start_stats(struct server *s)
{
    const struct conf_stats *conf = &s->bootstrap->stats;
    stat_define(STAT_GAUGE, "server.total_connections"); /* listeners count it */
    loop_timer_init(&s->stats_timer, s->loop, on_interval);
    if (!conf->flush_on_admin)
        loop_timer_start(&s->stats_timer, conf->flush_interval_ms);
}
