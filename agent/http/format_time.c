/* Time patterns of START_TIME and its like. */
#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "http/format_private.h"

enum { NS_DIGITS = 9 };

static void add_fraction(struct sbuf *out, uint64_t ns, unsigned digits)
{
    char text[16];
    snprintf(text, sizeof(text), "%09u", (unsigned)(ns % 1000000000u));
    sbuf_add(out, text, digits);
}

/* One specifier that strftime does not have, p behind its '%'; the bytes used, 0: it is not one. */
static size_t add_special(struct sbuf *out, const char *p, uint64_t ns, const struct tm *tm)
{
    bool is_digit = *p >= '1' && *p <= '9';
    if (*p == 's') {
        sbuf_printf(out, "%llu", (unsigned long long)(ns / 1000000000u));
        return 1;
    }
    if (*p == 'f') {
        add_fraction(out, ns, NS_DIGITS);
        return 1;
    }
    if (is_digit && p[1] == 'f') {
        add_fraction(out, ns, (unsigned)(*p - '0'));
        return 2;
    }
    if (*p == 'E' && p[1] >= '1' && p[1] <= '9' && (p[2] == 'S' || p[2] == 'f')) {
        if (p[2] == 'S')
            sbuf_printf(out, "%02d.", tm->tm_sec);
        add_fraction(out, ns, (unsigned)(p[1] - '0'));
        return 3;
    }
    return 0;
}

bool format_time(uint64_t wall_ns, const char *pattern, bool is_local, struct sbuf *out)
{
    time_t t = (time_t)(wall_ns / 1000000000u);
    struct tm tm;
    char text[128];
    if (!pattern && !is_local) {
        clock_format_utc_ms(wall_ns, text);
        sbuf_addz(out, text);
        return true;
    }
    if (!pattern)
        pattern = "%Y-%m-%dT%H:%M:%E3S%z";
    if (is_local)
        localtime_r(&t, &tm);
    else
        gmtime_r(&t, &tm);
    while (*pattern) {
        if (*pattern != '%' || !pattern[1]) {
            sbuf_addc(out, *pattern++);
            continue;
        }
        size_t used = add_special(out, ++pattern, wall_ns, &tm);
        if (!used) {
            char one[4] = {'%', *pattern, 0};
            used = 1;
            if ((*pattern == 'E' || *pattern == 'O') && pattern[1])
                one[2] = pattern[used++];
            sbuf_add(out, text, strftime(text, sizeof(text), one, &tm));
        }
        pattern += used;
    }
    return true;
}
