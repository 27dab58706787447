#include "conf/stats.h"

#include "base/mem.h"
#include "base/regex.h"

bool conf_stats_rejects(struct str name, void *arg)
{
    const struct conf_stats *c = arg;
    size_t i = 0;
    while (i < c->list_n && !conf_string_matches(&c->list[i], name))
        i++;
    switch (c->kept) {
    case CONF_STATS_ALL:
        return false;
    case CONF_STATS_NONE:
        return true;
    case CONF_STATS_BUT:
        return i < c->list_n;
    case CONF_STATS_ONLY:
        return i == c->list_n;
    }
    return false;
}

const struct conf_stat_buckets *conf_stats_buckets(const struct conf_stats *c, struct str name)
{
    static double bounds[] = {0.5,   1,      5,      10,      25,     50,    100,
                              250,   500,    1000,   2500,    5000,   10000, 30000,
                              60000, 300000, 600000, 1800000, 3600000};
    static const struct conf_stat_buckets defaults = {.bounds = bounds, .n = ARRAY_LEN(bounds)};
    for (size_t i = 0; i < c->buckets_n; i++)
        if (conf_string_matches(&c->buckets[i].match, name))
            return &c->buckets[i];
    return &defaults;
}

void conf_stats_fini(struct conf_stats *c)
{
    conf_stat_tags_fini(&c->tags);
    for (size_t i = 0; i < c->list_n; i++)
        regex_destroy(&c->list[i].regex);
    for (size_t i = 0; i < c->buckets_n; i++)
        regex_destroy(&c->buckets[i].match.regex);
}
