/* The bootstrap's words about statistics. Source: envoy.config.metrics.v3.StatsConfig with its
 * rules, Envoy's TagProducerImpl, StatsMatcherImpl, HistogramSettingsImpl. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/regex.h"
#include "envoy/config/metrics/v3/stats.pb-c.h"
#include "xds/bootstrap_private.h"

typedef Envoy__Config__Metrics__V3__StatsConfig stats_msg;
typedef Envoy__Config__Metrics__V3__TagSpecifier tag_msg;
typedef Envoy__Config__Metrics__V3__StatsMatcher matcher_msg;
typedef Envoy__Config__Metrics__V3__HistogramBucketSettings buckets_msg;

#define TAG(x) ENVOY__CONFIG__METRICS__V3__TAG_SPECIFIER__TAG_VALUE_##x
#define MATCHER(x) ENVOY__CONFIG__METRICS__V3__STATS_MATCHER__STATS_MATCHER_##x

enum {
    FLUSH_INTERVAL_MS = 5000,
    FLUSH_INTERVAL_MAX_MS = 300 * 1000,
    TAG_REGEX_MAX = 1024,
};

/* ---- tags ---- */

static int add_regex(struct decode *d, struct conf_stats *c, const tag_msg *m, struct error *err)
{
    struct conf_stat_tag tag = {.name = decode_text(d, m->tag_name)};
    struct sbuf pattern = {0}, part = {0};
    if (strlen(m->regex) > TAG_REGEX_MAX)
        return error_set(err, ERR_LIMIT, "regex: more than %d bytes", TAG_REGEX_MAX);
    conf_stat_pattern(m->regex, &pattern);
    tag.pattern = decode_text(d, pattern.p);
    if (conf_stat_pattern_part(pattern.p, &part))
        tag.part = decode_text(d, part.p);
    sbuf_fini(&part);
    sbuf_fini(&pattern);
    if (regex_create(str_of(tag.pattern), &tag.regex, err))
        return error_prefix(err, "regex: ");
    conf_stat_tags_add(&c->tags, &tag);
    return 0;
}

static int add_tag(struct decode *d, struct conf_stats *c, const tag_msg *m, struct error *err)
{
    if (!*m->tag_name)
        return error_set(err, ERR_INVALID, "tag_name: cannot be empty");
    if (m->tag_value_case == TAG(FIXED_VALUE)) {
        conf_stat_tags_add(&c->tags,
                           &(struct conf_stat_tag){.name = decode_text(d, m->tag_name),
                                                   .value = decode_text(d, m->fixed_value)});
        return 0;
    }
    if (m->tag_value_case == TAG(REGEX) && *m->regex)
        return add_regex(d, c, m, err);
    if (conf_stat_tags_add_default(&c->tags, m->tag_name))
        return 0;
    return error_set(err, ERR_INVALID,
                     "regex: No regex specified for tag specifier and no default regex for "
                     "name: '%s'",
                     m->tag_name);
}

/* --stats-tag name:value */
static void add_flag(struct decode *d, struct conf_stats *c, const char *flag)
{
    struct str rest = str_of(flag), name;
    str_next(&rest, ':', &name);
    char *copy = arena_strndup(d->out, name.p, name.n);
    conf_stat_tags_add(&c->tags,
                       &(struct conf_stat_tag){.name = copy, .value = decode_text(d, rest.p)});
}

/* ---- which are kept ---- */

static int decode_list(struct decode *d, struct conf_stats *c,
                       const Envoy__Type__Matcher__V3__ListStringMatcher *m, struct error *err)
{
    if (!m->n_patterns)
        return error_set(err, ERR_INVALID, "patterns: at least one is required");
    c->list = DECODE_ARRAY(d, struct conf_string_match, m->n_patterns);
    for (size_t i = 0; i < m->n_patterns; i++) {
        if (decode_string_match(d, m->patterns[i], &c->list[i], err))
            return error_prefix(err, "patterns[%zu].", i);
        c->list_n++;
    }
    return 0;
}

static int decode_matcher(struct decode *d, struct conf_stats *c, const matcher_msg *m,
                          struct error *err)
{
    switch (m->stats_matcher_case) {
    case MATCHER(REJECT_ALL):
        c->kept = m->reject_all ? CONF_STATS_NONE : CONF_STATS_ALL;
        return 0;
    case MATCHER(EXCLUSION_LIST):
        c->kept = CONF_STATS_BUT;
        return decode_list(d, c, m->exclusion_list, err) ? error_prefix(err, "exclusion_list.") : 0;
    case MATCHER(INCLUSION_LIST):
        c->kept = CONF_STATS_ONLY;
        return decode_list(d, c, m->inclusion_list, err) ? error_prefix(err, "inclusion_list.") : 0;
    default:
        return error_set(err, ERR_INVALID, "stats_matcher: required");
    }
}

/* ---- buckets ---- */

static int compare(const void *left, const void *right)
{
    const double *a = left, *b = right;
    return *a < *b ? -1 : *a > *b;
}

static int decode_buckets(struct decode *d, const buckets_msg *m, struct conf_stat_buckets *out,
                          struct error *err)
{
    if (!m->match)
        return error_set(err, ERR_INVALID, "match: required");
    if (!m->n_buckets)
        return error_set(err, ERR_INVALID, "buckets: at least one is required");
    out->bounds = DECODE_ARRAY(d, double, m->n_buckets);
    out->n = m->n_buckets;
    memcpy(out->bounds, m->buckets, m->n_buckets * sizeof(double));
    for (size_t i = 0; i < out->n; i++)
        if (!(out->bounds[i] > 0))
            return error_set(err, ERR_INVALID, "buckets[%zu]: must be above 0", i);
    qsort(out->bounds, out->n, sizeof(double), compare);
    for (size_t i = 1; i < out->n; i++)
        if (out->bounds[i] == out->bounds[i - 1])
            return error_set(err, ERR_DUPLICATE, "buckets: %.15g stands there twice",
                             out->bounds[i]);
    return decode_string_match(d, m->match, &out->match, err) ? error_prefix(err, "match.") : 0;
}

/* ---- the whole ---- */

static int decode_config(struct decode *d, struct conf_stats *c, const stats_msg *m,
                         struct error *err)
{
    for (size_t i = 0; i < m->n_stats_tags; i++)
        if (add_tag(d, c, m->stats_tags[i], err))
            return error_prefix(err, "stats_tags[%zu].", i);
    if (m->stats_matcher && decode_matcher(d, c, m->stats_matcher, err))
        return error_prefix(err, "stats_matcher.");
    c->buckets = DECODE_ARRAY(d, struct conf_stat_buckets, m->n_histogram_bucket_settings);
    for (size_t i = 0; i < m->n_histogram_bucket_settings; i++) {
        if (decode_buckets(d, m->histogram_bucket_settings[i], &c->buckets[i], err))
            return error_prefix(err, "histogram_bucket_settings[%zu].", i);
        c->buckets_n++;
    }
    return 0;
}

static int decode_flush(struct conf_stats *c, const bootstrap_msg *m, struct error *err)
{
    bool on_admin = m->stats_flush_case ==
                    ENVOY__CONFIG__BOOTSTRAP__V3__BOOTSTRAP__STATS_FLUSH_STATS_FLUSH_ON_ADMIN;
    if (decode_ms(m->stats_flush_interval, FLUSH_INTERVAL_MS, "stats_flush_interval",
                  &c->flush_interval_ms, err))
        return error_code(err);
    if (!c->flush_interval_ms || c->flush_interval_ms >= FLUSH_INTERVAL_MAX_MS)
        return error_set(err, ERR_INVALID,
                         "stats_flush_interval: must be at least 1ms and below 300s");
    if (on_admin && !m->stats_flush_on_admin)
        return error_set(err, ERR_INVALID, "stats_flush_on_admin: must be true");
    if (on_admin && m->stats_flush_interval)
        return error_set(err, ERR_INVALID,
                         "Only one of stats_flush_interval or stats_flush_on_admin should be "
                         "set!");
    c->flush_on_admin = on_admin;
    return 0;
}

int bootstrap_set_stats(struct bootstrap *b, struct decode *d, const bootstrap_msg *m,
                        const struct bootstrap_options *o, struct error *err)
{
    struct conf_stats *c = &b->stats;
    const stats_msg *s = m->stats_config;
    if (!s || !s->use_all_default_tags || s->use_all_default_tags->value)
        conf_stat_tags_add_default(&c->tags, NULL);
    for (size_t i = 0; i < o->stats_tags_n; i++)
        add_flag(d, c, o->stats_tags[i]);
    if (s && decode_config(d, c, s, err))
        return error_prefix(err, "stats_config.");
    for (size_t i = 0; i < m->n_stats_sinks; i++)
        log_warn(LOG_CONFIG, "stats_sinks[%zu]: %s is accepted and is not fed", i,
                 m->stats_sinks[i]->name);
    c->has_version = m->stats_server_version_override != NULL;
    c->version = c->has_version ? m->stats_server_version_override->value : 0;
    return decode_flush(c, m, err);
}
