/* /stats/prometheus. Source: Envoy's prometheus_stats, well_known_names. */
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "server/admin_private.h"
#include "server/server.h"

struct tagged {
    struct sbuf name, labels;
};

static void add_label(struct tagged *t, const char *tag, struct str value)
{
    sbuf_printf(&t->labels, "%s%s=\"", t->labels.n ? "," : "", tag);
    for (size_t i = 0; i < value.n; i++) {
        if (value.p[i] == '"' || value.p[i] == '\\' || value.p[i] == '\n')
            sbuf_addc(&t->labels, '\\');
        sbuf_addc(&t->labels, value.p[i] == '\n' ? 'n' : value.p[i]);
    }
    sbuf_addc(&t->labels, '"');
}

/* Where the name of a stat begins behind the value of a tag; 0: nowhere. */
static size_t end_of_value(struct str rest)
{
    static const struct str inner = {".circuit_breakers.", 18};
    for (size_t i = 0; i + inner.n <= rest.n; i++)
        if (!memcmp(rest.p + i, inner.p, inner.n))
            return i + 1;
    size_t dot = rest.n;
    while (dot > 0 && rest.p[dot - 1] != '.')
        dot--;
    return dot;
}

/* The token behind a root ("cluster.NAME.rest") becomes a label; cluster names may hold dots, so
 * the known stat names would be needed to cut them exactly: the last token ends the name. */
static struct str cut_root(struct tagged *t, struct str name)
{
    static const struct {
        struct str root;
        const char *tag;
    } roots[] = {
        {{"cluster.", 8}, "envoy_cluster_name"},
        {{"http.", 5}, "envoy_http_conn_manager_prefix"},
        {{"tcp.", 4}, "envoy_tcp_prefix"},
        {{"listener.", 9}, "envoy_listener_address"},
    };
    for (size_t i = 0; i < sizeof(roots) / sizeof(roots[0]); i++) {
        if (!str_starts(name, roots[i].root))
            continue;
        struct str rest = {name.p + roots[i].root.n, name.n - roots[i].root.n};
        size_t dot = end_of_value(rest);
        if (!dot)
            return name;
        add_label(t, roots[i].tag, (struct str){rest.p, dot - 1});
        sbuf_add(&t->name, roots[i].root.p, roots[i].root.n);
        return (struct str){rest.p + dot, rest.n - dot};
    }
    return name;
}

static void cut_code(struct tagged *t, struct str *name)
{
    ptrdiff_t at = -1;
    for (size_t i = 0; i + 6 < name->n + 1; i++)
        if (!memcmp(name->p + i, "_rq_", 4))
            at = (ptrdiff_t)i + 4;
    if (at < 0 || name->n - (size_t)at != 3)
        return;
    const char *c = name->p + at;
    if (c[0] < '1' || c[0] > '5')
        return;
    if (c[1] == 'x' && c[2] == 'x') {
        add_label(t, "envoy_response_code_class", (struct str){c, 1});
        name->n -= 3;
        sbuf_add(&t->name, name->p, name->n);
        sbuf_addz(&t->name, "xx");
        *name = STR_NULL;
    } else if (c[1] >= '0' && c[1] <= '9' && c[2] >= '0' && c[2] <= '9') {
        add_label(t, "envoy_response_code", (struct str){c, 3});
        name->n -= 4;
    }
}

/* Lines of one stat; those of one family stand together below one "# TYPE". */
struct line {
    char *family;
    enum stat_kind kind;
    size_t order;
    struct sbuf text;
};

struct page {
    const struct options *options;
    struct line *v;
    size_t n, cap;
};

static void make_name(struct sbuf *name)
{
    for (size_t i = 0; i < name->n; i++) {
        char c = name->p[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')))
            name->p[i] = '_';
    }
}

const struct stat_buckets *admin_buckets(const char *name)
{
    static const double bounds[] = {0.5,   1,      5,      10,      25,     50,    100,
                                    250,   500,    1000,   2500,    5000,   10000, 30000,
                                    60000, 300000, 600000, 1800000, 3600000};
    static const struct stat_buckets defaults = {bounds, ARRAY_LEN(bounds)};
    (void)name;
    return &defaults;
}

static void print_histogram(struct line *l, const struct stat_value *v, const char *labels)
{
    const struct stat_buckets *b = admin_buckets(v->name);
    const char *comma = *labels ? "," : "";
    for (size_t i = 0; i < b->n; i++)
        sbuf_printf(&l->text, "%s_bucket{%s%sle=\"%.15g\"} %lu\n", l->family, labels, comma,
                    b->bounds[i], (unsigned long)stat_hist_below(v->hist, b->bounds[i]));
    unsigned long n = (unsigned long)v->value;
    sbuf_printf(&l->text, "%s_bucket{%s%sle=\"+Inf\"} %lu\n", l->family, labels, comma, n);
    sbuf_printf(&l->text, "%s_sum{%s} %.15g\n", l->family, labels, v->hist->sum);
    sbuf_printf(&l->text, "%s_count{%s} %lu\n", l->family, labels, n);
}

/* --stats-tag name:value */
static void add_fixed_labels(struct tagged *t, const struct options *o)
{
    for (size_t i = 0; i < o->stats_tags_n; i++) {
        struct str rest = str_of(o->stats_tags[i]), key;
        struct sbuf name = {0};
        str_next(&rest, ':', &key);
        sbuf_add(&name, key.p, key.n);
        make_name(&name);
        add_label(t, name.p, rest);
        sbuf_fini(&name);
    }
}

static void add_stat(const struct stat_value *v, void *arg)
{
    struct page *page = arg;
    struct tagged t = {0};
    if (v->kind == STAT_TEXT)
        return;
    struct str full = str_of(v->name);
    bool is_custom = str_starts(full, STR("wasmcustom."));
    struct str rest = is_custom ? (struct str){full.p + 11, full.n - 11} : cut_root(&t, full);
    if (!is_custom)
        cut_code(&t, &rest);
    add_fixed_labels(&t, page->options);
    sbuf_add(&t.name, rest.p ? rest.p : "", rest.n);
    make_name(&t.name);
    mem_grow((void **)&page->v, &page->cap, page->n + 1, sizeof(*page->v));
    struct line *l = &page->v[page->n];
    struct sbuf family = {0};
    sbuf_printf(&family, "%s%s", is_custom ? "" : "envoy_", t.name.p);
    *l = (struct line){.family = sbuf_take(&family), .kind = v->kind, .order = page->n++};
    const char *labels = t.labels.p ? t.labels.p : "";
    if (v->kind == STAT_HISTOGRAM)
        print_histogram(l, v, labels);
    else
        sbuf_printf(&l->text, "%s{%s} %lu\n", l->family, labels, (unsigned long)v->value);
    sbuf_fini(&t.name);
    sbuf_fini(&t.labels);
}

static int compare(const void *left, const void *right)
{
    const struct line *a = left, *b = right;
    int by_name = strcmp(a->family, b->family);
    return by_name ? by_name : a->order < b->order ? -1 : 1;
}

void admin_prometheus(struct admin_request *r)
{
    static const char *const kinds[] = {"counter", "gauge", "histogram"};
    struct page page = {.options = r->server->options};
    admin_each_stat(r, add_stat, &page);
    if (page.n)
        qsort(page.v, page.n, sizeof(*page.v), compare);
    for (size_t i = 0; i < page.n; i++) {
        const struct line *l = &page.v[i];
        if (!i || strcmp(page.v[i - 1].family, l->family) != 0)
            sbuf_printf(&r->out, "# TYPE %s %s\n", l->family, kinds[l->kind]);
        sbuf_add(&r->out, l->text.p, l->text.n);
    }
    for (size_t i = 0; i < page.n; i++) {
        mem_free(page.v[i].family);
        sbuf_fini(&page.v[i].text);
    }
    mem_free(page.v);
}
