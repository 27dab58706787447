/* /stats as text and as JSON. Source: Envoy's stats_render. */
#include <stdio.h>

#include "base/mem.h"
#include "base/regex.h"
#include "server/admin_private.h"
#include "server/server.h"

enum histogram_form { FORM_SUMMARY, FORM_CUMULATIVE, FORM_DISJOINT };

struct render {
    struct admin_request *r;
    enum histogram_form form;
    json_t *stats, *histograms; /* of the JSON form */
};

static void print_summary(struct sbuf *out, const struct stat_value *v)
{
    for (size_t q = 0; q < STAT_QUANTILES; q++) {
        sbuf_printf(out, " P%g(", stat_quantiles[q] * 100);
        if (v->interval)
            sbuf_printf(out, "%.15g", v->interval[q]);
        else
            sbuf_addz(out, "nan");
        sbuf_printf(out, ",%.15g)", stat_hist_quantile(v->hist, stat_quantiles[q]));
    }
}

/* Only the whole time is kept in buckets, not the interval. */
static void print_buckets(struct sbuf *out, const struct stat_value *v, bool is_disjoint)
{
    const struct stat_buckets *b = admin_buckets(v->name);
    uint64_t before = 0;
    for (size_t i = 0; i < b->n; i++) {
        uint64_t n = stat_hist_below(v->hist, b->bounds[i]);
        sbuf_printf(out, " B%.15g(%lu)", b->bounds[i],
                    (unsigned long)(is_disjoint ? n - before : n));
        before = n;
    }
}

static void print_histogram(const struct render *x, const struct stat_value *v)
{
    struct sbuf *out = &x->r->out;
    if (!v->value) {
        sbuf_printf(out, "%s: No recorded values\n", v->name);
        return;
    }
    sbuf_printf(out, "%s:", v->name);
    if (x->form == FORM_SUMMARY)
        print_summary(out, v);
    else
        print_buckets(out, v, x->form == FORM_DISJOINT);
    sbuf_addc(out, '\n');
}

static void print_text(const struct stat_value *v, void *arg)
{
    struct render *x = arg;
    if (v->kind == STAT_TEXT)
        sbuf_printf(&x->r->out, "%s: \"%s\"\n", v->name, v->text ? v->text : "");
    else if (v->kind == STAT_HISTOGRAM)
        print_histogram(x, v);
    else
        sbuf_printf(&x->r->out, "%s: %lu\n", v->name, (unsigned long)v->value);
}

/* ---- JSON ---- */

static json_t *quantile_or_null(const double *values, size_t q)
{
    return values ? json_real(values[q]) : json_null();
}

static void add_histogram(struct render *x, const struct stat_value *v)
{
    json_t *values = json_array();
    for (size_t q = 0; q < STAT_QUANTILES; q++) {
        double all = v->value ? stat_hist_quantile(v->hist, stat_quantiles[q]) : 0;
        json_array_append_new(values,
                              json_pack("{s:o s:o}", "interval", quantile_or_null(v->interval, q),
                                        "cumulative", v->value ? json_real(all) : json_null()));
    }
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
        for (size_t q = 0; q < STAT_QUANTILES; q++)
            json_array_append_new(supported, json_real(stat_quantiles[q] * 100));
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

/* False: the answer says why. */
static bool choose_form(struct admin_request *r, enum histogram_form *form_r)
{
    char v[32];
    *form_r = FORM_SUMMARY;
    if (!admin_query(r, "histogram_buckets", v, sizeof(v)) || str_is(str_of(v), "summary") ||
        str_is(str_of(v), "none"))
        return true;
    if (str_is(str_of(v), "cumulative"))
        *form_r = FORM_CUMULATIVE;
    else if (str_is(str_of(v), "disjoint"))
        *form_r = FORM_DISJOINT;
    else {
        r->status = 400;
        sbuf_addz(&r->out, "usage: /stats?histogram_buckets=(cumulative|disjoint|none|summary)\n");
        return false;
    }
    return true;
}

void admin_stats(struct admin_request *r)
{
    char v[64];
    struct render x = {.r = r};
    if (!choose_form(r, &x.form))
        return;
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
