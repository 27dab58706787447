/* Statistics of subscriptions, under Envoy's names: of a type, or of one name (secrets, route
 * configurations, discovered extensions). */
#include <stdarg.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "xds/control_private.h"

void counts_define(struct control_stats *s, const char *fmt, ...)
{
    struct sbuf prefix = {0};
    va_list args;
    va_start(args, fmt);
    sbuf_vprintf(&prefix, fmt, args);
    va_end(args);
#define X(kind, field, name) s->field = stat_define(STAT_##kind, "%s." name, prefix.p);
    CONTROL_STAT_MAP(X)
#undef X
    sbuf_fini(&prefix);
}

void counts_release(struct control_stats *s)
{
#define X(kind, field, name) stat_release(s->field);
    CONTROL_STAT_MAP(X)
#undef X
}

void counts_note(struct control_stats *s, const struct batch *b, bool is_good)
{
    const char *version = b && b->version ? b->version : "";
    stat_inc(s->attempt);
    stat_inc(is_good ? s->success : s->rejected);
    if (!is_good)
        return;
    stat_set(s->time, clock_wall_ns() / 1000000);
    stat_set(s->version, hash_xx64(version, strlen(version), 0));
    stat_set_text(s->version_text, str_of(version));
}
