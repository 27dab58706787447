/* /stats: what is asked for, and its text form. Source: Envoy's stats_params, stats_render. */
#include <stdio.h>

#include "base/mem.h"
#include "base/regex.h"
#include "server/admin_private.h"
#include "server/server.h"

/* ---- the query ---- */

static bool refuse(struct admin_request *r, const char *why)
{
    r->status = 400;
    sbuf_printf(&r->out, "%s\n", why);
    return false;
}

static bool set_type(struct admin_request *r, struct admin_stats_query *q)
{
    static const struct {
        const char *name;
        unsigned kinds;
    } rows[] = {
        {"All", STAT_ALL},
        {"Counters", STAT_SET(STAT_COUNTER)},
        {"Gauges", STAT_SET(STAT_GAUGE)},
        {"Histograms", STAT_SET(STAT_HISTOGRAM)},
        {"TextReadouts", STAT_SET(STAT_TEXT)},
    };
    char v[32];
    if (!admin_query(r, "type", v, sizeof(v)))
        return true;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (str_is(str_of(v), rows[i].name)) {
            q->kinds = rows[i].kinds;
            return true;
        }
    return refuse(r, "invalid &type= param");
}

static bool set_form(struct admin_request *r, struct admin_stats_query *q)
{
    static const struct {
        const char *name;
        enum admin_histogram_form form;
    } rows[] = {
        {"none", ADMIN_HISTOGRAM_DEFAULT},          {"summary", ADMIN_HISTOGRAM_SUMMARY},
        {"cumulative", ADMIN_HISTOGRAM_CUMULATIVE}, {"disjoint", ADMIN_HISTOGRAM_DISJOINT},
        {"detailed", ADMIN_HISTOGRAM_DETAILED},
    };
    char v[32];
    if (!admin_query(r, "histogram_buckets", v, sizeof(v)))
        return true;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (str_is(str_of(v), rows[i].name)) {
            q->form = rows[i].form;
            return true;
        }
    return refuse(r, "usage: /stats?histogram_buckets=(cumulative|disjoint|detailed|summary)");
}

/* No statistic is hidden, as some of Envoy's gauges are. */
static bool set_hidden(struct admin_request *r, struct admin_stats_query *q)
{
    char v[32];
    if (!admin_query(r, "hidden", v, sizeof(v)))
        return true;
    if (str_is(str_of(v), "only"))
        q->kinds = 0;
    else if (!str_is(str_of(v), "include") && !str_is(str_of(v), "exclude"))
        return refuse(r, "usage: /stats?hidden=(include|only|exclude)\n");
    return true;
}

static bool set_filter(struct admin_request *r, struct admin_stats_query *q)
{
    struct error err;
    char *v = mem_alloc(r->query.n + 1);
    bool is_good = true;
    if (admin_query(r, "filter", v, r->query.n + 1) && regex_create(str_of(v), &q->filter, &err)) {
        r->status = 400;
        sbuf_printf(&r->out, "Invalid re2 %s\n", err.text);
        is_good = false;
    }
    mem_free(v);
    return is_good;
}

bool admin_stats_query(struct admin_request *r, struct admin_stats_query *q)
{
    char v[2];
    *q = (struct admin_stats_query){
        .kinds = STAT_ALL,
        .used_only = admin_query(r, "usedonly", v, sizeof(v)),
        .text_readouts = admin_query(r, "text_readouts", v, sizeof(v)),
    };
    if (!set_type(r, q) || !set_form(r, q) || !set_hidden(r, q) || !set_filter(r, q))
        return false;
    server_update_stats(r->server);
    if (r->server->bootstrap->stats.flush_on_admin)
        stat_end_interval();
    return true;
}

void admin_stats_query_fini(struct admin_stats_query *q)
{
    regex_destroy(&q->filter);
}

/* ---- what all forms share ---- */

struct selection {
    const struct admin_stats_query *query;
    void (*fn)(const struct stat_value *v, void *arg);
    void *arg;
};

static bool passes_filter(struct str name, void *arg)
{
    const struct selection *s = arg;
    return regex_search(s->query->filter, name);
}

static void pass_on(const struct stat_value *v, void *arg)
{
    const struct selection *s = arg;
    s->fn(v, s->arg);
}

void admin_each_stat(const struct admin_stats_query *q, unsigned kinds,
                     void (*fn)(const struct stat_value *v, void *arg), void *arg)
{
    struct selection s = {q, fn, arg};
    stat_each(&(struct stat_visit){.kinds = q->kinds & kinds,
                                   .used_only = q->used_only,
                                   .wants = q->filter ? passes_filter : NULL,
                                   .fn = pass_on,
                                   .arg = &s});
}

uint64_t *admin_count_buckets(const struct stat_hist *h, const struct conf_stat_buckets *b,
                              bool is_disjoint)
{
    uint64_t *counts = mem_zalloc(b->n * sizeof(*counts));
    if (h)
        stat_hist_below(h, b->bounds, b->n, counts);
    for (size_t i = b->n; is_disjoint && i-- > 1;)
        counts[i] -= counts[i - 1];
    return counts;
}

/* ---- as text ---- */

struct render {
    struct admin_request *r;
    enum admin_histogram_form form;
};

static void print_summary(struct sbuf *out, const struct stat_value *v)
{
    for (size_t q = 0; q < STAT_QUANTILES; q++) {
        sbuf_printf(out, "%sP%g(", q ? " " : "", stat_quantiles[q] * 100);
        if (v->interval)
            sbuf_add_double(out, stat_hist_quantile(v->interval, stat_quantiles[q]));
        else
            sbuf_addz(out, "nan");
        sbuf_addc(out, ',');
        sbuf_add_double(out, stat_hist_quantile(v->hist, stat_quantiles[q]));
        sbuf_addc(out, ')');
    }
}

static void print_buckets(const struct render *x, const struct stat_value *v)
{
    const struct conf_stat_buckets *b =
        conf_stats_buckets(&x->r->server->bootstrap->stats, str_of(v->name));
    bool is_disjoint = x->form == ADMIN_HISTOGRAM_DISJOINT;
    uint64_t *last = admin_count_buckets(v->interval, b, is_disjoint);
    uint64_t *all = admin_count_buckets(v->hist, b, is_disjoint);
    for (size_t i = 0; i < b->n; i++)
        sbuf_printf(&x->r->out, " B%g(%lu,%lu)", b->bounds[i], (unsigned long)last[i],
                    (unsigned long)all[i]);
    mem_free(last);
    mem_free(all);
}

static void print_bins(struct sbuf *out, const char *title, const struct stat_hist *h)
{
    size_t it = 0;
    struct stat_bin bin;
    sbuf_printf(out, "\n  %s=", title);
    for (const char *comma = ""; h && stat_hist_next(h, &it, &bin); comma = ", ")
        sbuf_printf(out, "%s%.15g,%.15g:%lu", comma, bin.start, bin.width, (unsigned long)bin.n);
}

static void print_histogram(const struct render *x, const struct stat_value *v)
{
    struct sbuf *out = &x->r->out;
    sbuf_printf(out, "%s:", v->name);
    if (!v->value) {
        sbuf_addz(out, " No recorded values");
    } else if (x->form == ADMIN_HISTOGRAM_DETAILED) {
        print_bins(out, "totals", v->hist);
        print_bins(out, "intervals", v->interval);
        sbuf_addz(out, "\n  summary=");
        print_summary(out, v);
    } else if (x->form > ADMIN_HISTOGRAM_SUMMARY) {
        print_buckets(x, v);
    } else {
        sbuf_addc(out, ' ');
        print_summary(out, v);
    }
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

static void reply_text(struct admin_request *r, const struct admin_stats_query *q)
{
    struct render x = {r, q->form};
    admin_each_stat(q, STAT_SET(STAT_TEXT), print_text, &x);
    admin_each_stat(q, STAT_SET(STAT_COUNTER) | STAT_SET(STAT_GAUGE), print_text, &x);
    admin_each_stat(q, STAT_SET(STAT_HISTOGRAM), print_text, &x);
}

void admin_stats(struct admin_request *r)
{
    char v[64];
    struct admin_stats_query q;
    bool has_format = admin_query(r, "format", v, sizeof(v));
    if (has_format && str_is(str_of(v), "prometheus")) {
        admin_prometheus(r);
        return;
    }
    bool is_json = has_format && str_is(str_of(v), "json");
    if (has_format && !is_json && !str_is(str_of(v), "text")) {
        refuse(r, "usage: /stats?format=(json|prometheus|text)\n");
        return;
    }
    if (!admin_stats_query(r, &q))
        return;
    if (is_json)
        admin_stats_json(r, &q);
    else
        reply_text(r, &q);
    admin_stats_query_fini(&q);
}
