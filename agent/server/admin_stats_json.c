/* /stats?format=json. Source: Envoy's StatsJsonRender. */
#include "base/mem.h"
#include "server/admin_private.h"
#include "server/server.h"

struct render {
    const struct conf_stats *conf;
    enum admin_histogram_form form;
    json_t *stats, *histograms;
};

/* Hashes of versions use all 64 bits. */
static json_t *number(uint64_t value)
{
    return value <= INT64_MAX ? json_integer((json_int_t)value) : json_real((double)value);
}

static void add_value(const struct stat_value *v, void *arg)
{
    struct render *x = arg;
    json_t *value = v->kind == STAT_TEXT ? json_string(v->text ? v->text : "") : number(v->value);
    json_array_append_new(x->stats, json_pack("{s:s s:o}", "name", v->name, "value", value));
}

/* ---- histograms ---- */

static json_t *quantile(const struct stat_hist *h, size_t q)
{
    return h && h->count ? json_real(stat_hist_quantile(h, stat_quantiles[q])) : json_null();
}

static json_t *quantiles(const struct stat_value *v)
{
    json_t *out = json_array();
    for (size_t q = 0; q < STAT_QUANTILES; q++)
        json_array_append_new(out, json_pack("{s:o s:o}", "cumulative", quantile(v->hist, q),
                                             "interval", quantile(v->interval, q)));
    return out;
}

static json_t *buckets(const struct render *x, const struct stat_value *v)
{
    const struct conf_stat_buckets *b = conf_stats_buckets(x->conf, str_of(v->name));
    bool is_disjoint = x->form == ADMIN_HISTOGRAM_DISJOINT;
    json_t *out = json_array();
    for (size_t i = 0; i < b->n; i++)
        json_array_append_new(
            out, json_pack("{s:f s:o s:o}", "upper_bound", b->bounds[i], "interval",
                           number(admin_bucket(v->interval, b, i, is_disjoint)), "cumulative",
                           number(admin_bucket(v->hist, b, i, is_disjoint))));
    return out;
}

static json_t *bins(const struct stat_hist *h)
{
    json_t *out = json_array();
    struct stat_bin bin;
    for (size_t it = 0; h && stat_hist_next(h, &it, &bin);)
        json_array_append_new(out, json_pack("{s:f s:f s:o}", "lower_bound", bin.start, "width",
                                             bin.width, "count", number(bin.n)));
    return out;
}

static void add_histogram(const struct stat_value *v, void *arg)
{
    struct render *x = arg;
    json_t *one;
    if (x->form == ADMIN_HISTOGRAM_DETAILED)
        one = json_pack("{s:s s:o s:o s:o}", "name", v->name, "totals", bins(v->hist), "intervals",
                        bins(v->interval), "percentiles", quantiles(v));
    else if (x->form > ADMIN_HISTOGRAM_SUMMARY)
        one = json_pack("{s:s s:o}", "name", v->name, "buckets", buckets(x, v));
    else
        one = json_pack("{s:s s:o}", "name", v->name, "values", quantiles(v));
    json_array_append_new(x->histograms, one);
}

/* What stands as "histograms" at the end of the list. */
static json_t *wrap(const struct render *x)
{
    json_t *supported = json_array();
    bool is_detailed = x->form == ADMIN_HISTOGRAM_DETAILED;
    for (size_t q = 0; q < STAT_QUANTILES; q++)
        json_array_append_new(supported, json_real(stat_quantiles[q] * 100));
    return json_pack("{s:o s:O}", is_detailed ? "supported_percentiles" : "supported_quantiles",
                     supported, is_detailed ? "details" : "computed_quantiles", x->histograms);
}

void admin_stats_json(struct admin_request *r, const struct admin_stats_query *q)
{
    struct render x = {&r->server->bootstrap->stats, q->form, json_array(), json_array()};
    bool is_bare = q->form == ADMIN_HISTOGRAM_CUMULATIVE || q->form == ADMIN_HISTOGRAM_DISJOINT;
    admin_each_stat(q, STAT_SET(STAT_TEXT), add_value, &x);
    admin_each_stat(q, STAT_SET(STAT_COUNTER) | STAT_SET(STAT_GAUGE), add_value, &x);
    admin_each_stat(q, STAT_SET(STAT_HISTOGRAM), add_histogram, &x);
    if (json_array_size(x.histograms))
        json_array_append_new(x.stats, json_pack("{s:o}", "histograms",
                                                 is_bare ? json_incref(x.histograms) : wrap(&x)));
    admin_reply_json(r, json_pack("{s:O}", "stats", x.stats));
    json_decref(x.stats);
    json_decref(x.histograms);
}
