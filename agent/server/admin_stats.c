/* /stats as text and as JSON. Source: Envoy's stats_render. */
#include <stdio.h>

#include "base/mem.h"
#include "base/regex.h"
#include "server/admin_private.h"
#include "server/server.h"

static const double quantiles[] = {0, 25, 50, 75, 90, 95, 99, 99.5, 99.9, 100};

struct render {
    struct admin_request *r;
    json_t *stats, *histograms; /* of the JSON form */
};

/* Upper bound of the bucket that holds this share of the samples. */
static double quantile(const struct stat_value *v, double percent)
{
    uint64_t want = (uint64_t)((double)v->value * percent / 100), seen = 0;
    size_t b = 0;
    while (b < STAT_BUCKETS - 1 && (seen += v->buckets[b]) <= want && seen < v->value)
        b++;
    return b < STAT_BUCKETS - 1 ? stat_bucket_bounds[b] : stat_bucket_bounds[b - 1];
}

static void print_histogram(struct sbuf *out, const struct stat_value *v)
{
    if (!v->value) {
        sbuf_printf(out, "%s: No recorded values\n", v->name);
        return;
    }
    sbuf_printf(out, "%s:", v->name);
    for (size_t q = 0; q < ARRAY_LEN(quantiles); q++)
        sbuf_printf(out, " P%g(nan,%g)", quantiles[q], quantile(v, quantiles[q]));
    sbuf_addc(out, '\n');
}

static void print_text(const struct stat_value *v, void *arg)
{
    struct render *x = arg;
    if (v->kind == STAT_TEXT)
        sbuf_printf(&x->r->out, "%s: \"%s\"\n", v->name, v->text ? v->text : "");
    else if (v->kind == STAT_HISTOGRAM)
        print_histogram(&x->r->out, v);
    else
        sbuf_printf(&x->r->out, "%s: %lu\n", v->name, (unsigned long)v->value);
}

/* ---- JSON ---- */

static void add_histogram(struct render *x, const struct stat_value *v)
{
    json_t *values = json_array();
    for (size_t q = 0; q < ARRAY_LEN(quantiles); q++)
        json_array_append_new(
            values, json_pack("{s:n s:o}", "interval", "cumulative",
                              v->value ? json_real(quantile(v, quantiles[q])) : json_null()));
    json_array_append_new(x->histograms, json_pack("{s:s s:o}", "name", v->name, "values", values));
}

/* Hashes of versions use all 64 bits. */
static json_t *number(uint64_t value)
{
    return value <= INT64_MAX ? json_integer((json_int_t)value) : json_real((double)value);
}

static void add_json(const struct stat_value *v, void *arg)
{
    struct render *x = arg;
    if (v->kind == STAT_HISTOGRAM)
        add_histogram(x, v);
    else if (v->kind == STAT_TEXT)
        json_array_append_new(
            x->stats, json_pack("{s:s s:s}", "name", v->name, "value", v->text ? v->text : ""));
    else
        json_array_append_new(x->stats,
                              json_pack("{s:s s:o}", "name", v->name, "value", number(v->value)));
}

static void reply_json(struct admin_request *r)
{
    struct render x = {.r = r, .stats = json_array(), .histograms = json_array()};
    if (admin_each_stat(r, add_json, &x) == 0) {
        json_t *supported = json_array();
        for (size_t q = 0; q < ARRAY_LEN(quantiles); q++)
            json_array_append_new(supported, json_real(quantiles[q]));
        json_array_append_new(x.stats,
                              json_pack("{s:{s:o s:O}}", "histograms", "supported_quantiles",
                                        supported, "computed_quantiles", x.histograms));
        admin_reply_json(r, json_pack("{s:O}", "stats", x.stats));
    }
    json_decref(x.stats);
    json_decref(x.histograms);
}

/* ---- shared with Prometheus' form ---- */

struct selection {
    struct regex *filter;
    bool used_only;
    void (*fn)(const struct stat_value *v, void *arg);
    void *arg;
};

static void pass_on(const struct stat_value *v, void *arg)
{
    const struct selection *s = arg;
    if (s->used_only && !v->is_used)
        return;
    if (!s->filter || regex_search(s->filter, str_of(v->name)))
        s->fn(v, s->arg);
}

int admin_each_stat(struct admin_request *r, void (*fn)(const struct stat_value *v, void *arg),
                    void *arg)
{
    char v[256];
    struct error err;
    struct selection s = {
        .used_only = admin_query(r, "usedonly", v, sizeof(v)), .fn = fn, .arg = arg};
    if (admin_query(r, "filter", v, sizeof(v)) && regex_create(str_of(v), &s.filter, &err)) {
        r->status = 400;
        sbuf_addz(&r->out, "Invalid re2 regex\n");
        return -ERR_INVALID;
    }
    server_update_stats(r->server);
    stat_each(pass_on, &s);
    regex_destroy(&s.filter);
    return 0;
}

void admin_stats(struct admin_request *r)
{
    char v[64];
    struct render x = {.r = r};
    bool has_format = admin_query(r, "format", v, sizeof(v));
    if (has_format && str_is(str_of(v), "prometheus")) {
        admin_prometheus(r);
    } else if (has_format && str_is(str_of(v), "json")) {
        reply_json(r);
    } else if (has_format && !str_is(str_of(v), "text")) {
        r->status = 400;
        sbuf_addz(&r->out, "usage: /stats?format=(json|prometheus|text)\n");
    } else {
        admin_each_stat(r, print_text, &x);
    }
}
