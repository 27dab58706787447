/* /stats/prometheus: counters, gauges, texts if asked for, then histograms, each by family; one
 * "# TYPE" to a family. Source: Envoy's prometheus_stats. */
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/mem.h"
#include "server/admin_private.h"
#include "server/server.h"

/* Names below it are a plugin's own and get no "envoy_" in front. */
#define CUSTOM_NAMESPACE "wasmcustom."

#define NO_LINE SIZE_MAX

struct family {
    const char *name;   /* the key in page.by_name */
    size_t first, last; /* lines */
};

/* Of one statistic; a histogram's has newlines. */
struct line {
    size_t at, n; /* in page.text */
    size_t next;  /* of the same family */
};

struct page {
    struct conf_stats *conf;
    enum admin_histogram_form form;
    struct conf_stat_label *found;
    struct hash by_name; /* struct family * */
    struct line *lines;
    size_t lines_n, lines_cap;
    struct sbuf text;
    struct sbuf rest, name, labels; /* of the statistic at hand */
    const struct conf_stat_buckets *bounds_of;
    char (*bounds)[64];
};

/* ---- names and labels ---- */

static void add_name(struct sbuf *out, struct str s)
{
    size_t from = out->n;
    sbuf_add(out, s.p, s.n);
    for (char *c = out->p + from; c < out->p + out->n; c++)
        if (!((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9')))
            *c = '_';
}

static void add_label(struct sbuf *out, const char *name, struct str value)
{
    if (out->n)
        sbuf_addc(out, ',');
    add_name(out, str_of(name));
    sbuf_addz(out, "=\"");
    size_t done = 0;
    for (size_t i = 0; i < value.n; i++) {
        char c = value.p[i];
        if (c != '"' && c != '\\' && c != '\n')
            continue;
        sbuf_add(out, value.p + done, i - done);
        sbuf_addc(out, '\\');
        sbuf_addc(out, c == '\n' ? 'n' : c);
        done = i + 1;
    }
    sbuf_add(out, value.p + done, value.n - done);
    sbuf_addc(out, '"');
}

static void clear(struct sbuf *b)
{
    b->n = 0;
    sbuf_addz(b, ""); /* ends it */
}

/* Into page.name and page.labels; false: the name is none for Prometheus. */
static bool name_stat(struct page *page, const struct stat_value *v)
{
    clear(&page->rest);
    clear(&page->name);
    clear(&page->labels);
    size_t n = conf_stat_tags_find(&page->conf->tags, str_of(v->name), page->found, &page->rest);
    for (size_t i = 0; i < n; i++)
        add_label(&page->labels, page->found[i].name, page->found[i].value);
    struct str rest = {page->rest.p, page->rest.n}, custom = STR(CUSTOM_NAMESPACE);
    if (!str_starts(rest, custom)) {
        sbuf_addz(&page->name, "envoy_");
        add_name(&page->name, rest);
        return true;
    }
    add_name(&page->name, (struct str){rest.p + custom.n, rest.n - custom.n});
    return page->name.n && (page->name.p[0] < '0' || page->name.p[0] > '9');
}

/* ---- lines ---- */

/* The bounds as text, from one histogram to the next; all digits, as in the names of Envoy's
 * series. */
static void format_bounds(struct page *page, const struct conf_stat_buckets *b)
{
    if (page->bounds_of == b)
        return;
    page->bounds_of = b;
    page->bounds = mem_realloc(page->bounds, b->n * sizeof(*page->bounds));
    for (size_t i = 0; i < b->n; i++)
        snprintf(page->bounds[i], sizeof(page->bounds[i]), "%.32g\"} ", b->bounds[i]);
}

static void print_buckets(struct page *page, const struct stat_value *v, const char *comma)
{
    const struct conf_stat_buckets *b = conf_stats_buckets(page->conf, str_of(v->name));
    uint64_t *counts = admin_count_buckets(v->hist, b, false);
    struct sbuf *out = &page->text;
    format_bounds(page, b);
    clear(&page->rest);
    sbuf_printf(&page->rest, "%s_bucket{%s%sle=\"", page->name.p, page->labels.p, comma);
    for (size_t i = 0; i <= b->n; i++) {
        sbuf_add(out, page->rest.p, page->rest.n);
        sbuf_addz(out, i < b->n ? page->bounds[i] : "+Inf\"} ");
        sbuf_add_u64(out, i < b->n ? counts[i] : v->value);
        sbuf_addc(out, '\n');
    }
    mem_free(counts);
}

static void print_quantiles(struct page *page, const struct stat_value *v, const char *comma)
{
    for (size_t q = 0; q < STAT_QUANTILES; q++) {
        sbuf_printf(&page->text, "%s{%s%squantile=\"%g\"} ", page->name.p, page->labels.p, comma,
                    stat_quantiles[q]);
        if (v->interval)
            sbuf_printf(&page->text, "%.32g\n", stat_hist_quantile(v->interval, stat_quantiles[q]));
        else
            sbuf_addz(&page->text, "nan\n");
    }
}

static void print_histogram(struct page *page, const struct stat_value *v)
{
    static const struct stat_hist none;
    const char *comma = page->labels.n ? "," : "";
    bool is_summary = page->form == ADMIN_HISTOGRAM_SUMMARY;
    const struct stat_hist *h = !is_summary ? v->hist : v->interval ? v->interval : &none;
    if (is_summary)
        print_quantiles(page, v, comma);
    else
        print_buckets(page, v, comma);
    sbuf_printf(&page->text, "%s_sum{%s} %.32g\n", page->name.p, page->labels.p, h->sum);
    sbuf_printf(&page->text, "%s_count{%s} %lu\n", page->name.p, page->labels.p,
                (unsigned long)h->count);
}

static void print_stat(struct page *page, const struct stat_value *v)
{
    if (v->kind == STAT_HISTOGRAM) {
        print_histogram(page, v);
        return;
    }
    if (v->kind == STAT_TEXT)
        add_label(&page->labels, "text_value", str_of(v->text ? v->text : ""));
    sbuf_printf(&page->text, "%s{%s} %lu\n", page->name.p, page->labels.p, (unsigned long)v->value);
}

static struct family *family_of(struct page *page)
{
    struct str name = {page->name.p, page->name.n};
    struct family *f = hash_find(&page->by_name, name);
    if (f)
        return f;
    f = MEM_NEW(struct family);
    hash_set(&page->by_name, name, f);
    *f = (struct family){hash_key(&page->by_name, name), NO_LINE, NO_LINE};
    return f;
}

static void add_stat(const struct stat_value *v, void *arg)
{
    struct page *page = arg;
    if (!name_stat(page, v))
        return;
    struct family *f = family_of(page);
    mem_grow((void **)&page->lines, &page->lines_cap, page->lines_n + 1, sizeof(*page->lines));
    size_t at = page->text.n, i = page->lines_n++;
    print_stat(page, v);
    page->lines[i] = (struct line){at, page->text.n - at, NO_LINE};
    if (f->first == NO_LINE)
        f->first = i;
    else
        page->lines[f->last].next = i;
    f->last = i;
}

/* ---- the page ---- */

static int by_name(const void *left, const void *right)
{
    const struct family *const *a = left, *const *b = right;
    return strcmp((*a)->name, (*b)->name);
}

static void print_family(const struct page *page, const struct family *f, const char *type,
                         struct sbuf *out)
{
    sbuf_printf(out, "# TYPE %s %s\n", f->name, type);
    for (size_t i = f->first; i != NO_LINE; i = page->lines[i].next)
        sbuf_add(out, page->text.p + page->lines[i].at, page->lines[i].n);
}

/* What was added since the last time. */
static void print_families(struct page *page, const char *type, struct sbuf *out)
{
    size_t n = 0, it = 0;
    struct hash_entry *e;
    struct family **all = mem_alloc((hash_count(&page->by_name) + 1) * sizeof(*all));
    while ((e = hash_next(&page->by_name, &it)))
        all[n++] = e->value;
    qsort(all, n, sizeof(*all), by_name);
    for (size_t i = 0; i < n; i++) {
        print_family(page, all[i], type, out);
        mem_free(all[i]);
    }
    mem_free(all);
    hash_fini(&page->by_name);
    page->lines_n = 0;
    page->text.n = 0;
}

static void print_kinds(struct page *page, const struct admin_stats_query *q, struct sbuf *out)
{
    const char *of_histograms = q->form == ADMIN_HISTOGRAM_SUMMARY ? "summary" : "histogram";
    const struct {
        enum stat_kind kind;
        const char *type;
    } rows[] = {{STAT_COUNTER, "counter"},
                {STAT_GAUGE, "gauge"},
                {STAT_TEXT, "gauge"},
                {STAT_HISTOGRAM, of_histograms}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (rows[i].kind == STAT_TEXT && !q->text_readouts)
            continue;
        admin_each_stat(q, STAT_SET(rows[i].kind), add_stat, page);
        print_families(page, rows[i].type, out);
    }
}

void admin_prometheus(struct admin_request *r)
{
    struct admin_stats_query q;
    if (!admin_stats_query(r, &q))
        return;
    if (q.form > ADMIN_HISTOGRAM_CUMULATIVE) {
        r->status = 400;
        sbuf_addz(&r->out, "unsupported prometheus histogram bucket mode\n");
        admin_stats_query_fini(&q);
        return;
    }
    struct conf_stats *conf = &r->server->bootstrap->stats;
    struct page page = {
        .conf = conf, .form = q.form, .found = mem_alloc((conf->tags.n + 1) * sizeof(*page.found))};
    print_kinds(&page, &q, &r->out);
    mem_free(page.found);
    mem_free(page.lines);
    mem_free(page.bounds);
    sbuf_fini(&page.text);
    sbuf_fini(&page.rest);
    sbuf_fini(&page.name);
    sbuf_fini(&page.labels);
    admin_stats_query_fini(&q);
}
