/* /stats?format=json, written as it comes: a tree of hundreds of thousands of rows would take ten
 * times the memory of the text. Source: Envoy's StatsJsonRender. */
#include "base/json_text.h"
#include "base/mem.h"
#include "server/admin_private.h"
#include "server/server.h"

struct render {
    struct sbuf *out;
    const struct conf_stats *conf;
    enum admin_histogram_form form;
    size_t values_n, histograms_n;
};

static void add_name(struct sbuf *out, const struct stat_value *v)
{
    sbuf_addz(out, "{\"name\":");
    json_text_add(out, str_of(v->name));
}

static void add_value(const struct stat_value *v, void *arg)
{
    struct render *x = arg;
    if (x->values_n++)
        sbuf_addc(x->out, ',');
    add_name(x->out, v);
    sbuf_addz(x->out, ",\"value\":");
    if (v->kind == STAT_TEXT)
        json_text_add(x->out, str_of(v->text ? v->text : ""));
    else
        sbuf_add_u64(x->out, v->value);
    sbuf_addc(x->out, '}');
}

/* ---- histograms ---- */

static void add_quantile(struct sbuf *out, const char *name, const struct stat_hist *h, size_t q)
{
    sbuf_printf(out, "\"%s\":", name);
    if (h && h->count)
        sbuf_add_double(out, stat_hist_quantile(h, stat_quantiles[q]));
    else
        sbuf_addz(out, "null");
}

static void add_quantiles(struct sbuf *out, const char *name, const struct stat_value *v)
{
    sbuf_printf(out, ",\"%s\":[", name);
    for (size_t q = 0; q < STAT_QUANTILES; q++) {
        sbuf_addz(out, q ? ",{" : "{");
        add_quantile(out, "cumulative", v->hist, q);
        sbuf_addc(out, ',');
        add_quantile(out, "interval", v->interval, q);
        sbuf_addc(out, '}');
    }
    sbuf_addc(out, ']');
}

static void add_buckets(const struct render *x, const struct stat_value *v)
{
    const struct conf_stat_buckets *b = conf_stats_buckets(x->conf, str_of(v->name));
    bool is_disjoint = x->form == ADMIN_HISTOGRAM_DISJOINT;
    uint64_t *last = admin_count_buckets(v->interval, b, is_disjoint);
    uint64_t *all = admin_count_buckets(v->hist, b, is_disjoint);
    sbuf_addz(x->out, ",\"buckets\":[");
    for (size_t i = 0; i < b->n; i++)
        sbuf_printf(x->out, "%s{\"upper_bound\":%.15g,\"interval\":%lu,\"cumulative\":%lu}",
                    i ? "," : "", b->bounds[i], (unsigned long)last[i], (unsigned long)all[i]);
    sbuf_addc(x->out, ']');
    mem_free(last);
    mem_free(all);
}

static void add_bins(struct sbuf *out, const char *name, const struct stat_hist *h)
{
    size_t it = 0;
    struct stat_bin bin;
    sbuf_printf(out, ",\"%s\":[", name);
    for (const char *comma = ""; h && stat_hist_next(h, &it, &bin); comma = ",")
        sbuf_printf(out, "%s{\"lower_bound\":%.15g,\"width\":%.15g,\"count\":%lu}", comma,
                    bin.start, bin.width, (unsigned long)bin.n);
    sbuf_addc(out, ']');
}

/* In front of the first histogram. */
static void begin_histograms(const struct render *x)
{
    bool is_detailed = x->form == ADMIN_HISTOGRAM_DETAILED;
    sbuf_addz(x->out, x->values_n ? ",{\"histograms\":" : "{\"histograms\":");
    if (!is_detailed && x->form > ADMIN_HISTOGRAM_SUMMARY) {
        sbuf_addc(x->out, '[');
        return;
    }
    sbuf_printf(x->out, "{\"supported_%s\":[", is_detailed ? "percentiles" : "quantiles");
    for (size_t q = 0; q < STAT_QUANTILES; q++)
        sbuf_printf(x->out, "%s%.15g", q ? "," : "", stat_quantiles[q] * 100);
    sbuf_printf(x->out, "],\"%s\":[", is_detailed ? "details" : "computed_quantiles");
}

static void end_histograms(const struct render *x)
{
    bool is_list = x->form == ADMIN_HISTOGRAM_CUMULATIVE || x->form == ADMIN_HISTOGRAM_DISJOINT;
    sbuf_addz(x->out, is_list ? "]}" : "]}}");
}

static void add_histogram(const struct stat_value *v, void *arg)
{
    struct render *x = arg;
    if (x->histograms_n++)
        sbuf_addc(x->out, ',');
    else
        begin_histograms(x);
    add_name(x->out, v);
    if (x->form == ADMIN_HISTOGRAM_DETAILED) {
        add_bins(x->out, "totals", v->hist);
        add_bins(x->out, "intervals", v->interval);
        add_quantiles(x->out, "percentiles", v);
    } else if (x->form > ADMIN_HISTOGRAM_SUMMARY) {
        add_buckets(x, v);
    } else {
        add_quantiles(x->out, "values", v);
    }
    sbuf_addc(x->out, '}');
}

void admin_stats_json(struct admin_request *r, const struct admin_stats_query *q)
{
    struct render x = {.out = &r->out, .conf = &r->server->bootstrap->stats, .form = q->form};
    r->content_type = "application/json";
    sbuf_addz(x.out, "{\"stats\":[");
    admin_each_stat(q, STAT_SET(STAT_TEXT), add_value, &x);
    admin_each_stat(q, STAT_SET(STAT_COUNTER) | STAT_SET(STAT_GAUGE), add_value, &x);
    admin_each_stat(q, STAT_SET(STAT_HISTOGRAM), add_histogram, &x);
    if (x.histograms_n)
        end_histograms(&x);
    sbuf_addz(x.out, "]}\n");
}
