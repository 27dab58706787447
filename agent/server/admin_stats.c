/* /stats and /stats/prometheus. Source: Envoy's stats_render, prometheus_stats. */
#include <stdio.h>

#include "base/regex.h"
#include "base/stat.h"
#include "server/admin_private.h"
#include "server/server.h"

struct render {
    struct admin_request *r;
    struct regex *filter;
    bool used_only;
};

static bool is_wanted(const struct render *x, const struct stat_value *v)
{
    if (x->used_only && !v->is_used)
        return false;
    return !x->filter || regex_search(x->filter, str_of(v->name));
}

static void print_histogram(struct sbuf *out, const struct stat_value *v)
{
    if (!v->value) {
        sbuf_printf(out, "%s: No recorded values\n", v->name);
        return;
    }
    static const double quantiles[] = {0, 25, 50, 75, 90, 95, 99, 99.5, 99.9, 100};
    sbuf_printf(out, "%s:", v->name);
    for (size_t q = 0; q < sizeof(quantiles) / sizeof(quantiles[0]); q++) {
        uint64_t want = (uint64_t)((double)v->value * quantiles[q] / 100), seen = 0;
        size_t b = 0;
        while (b < STAT_BUCKETS - 1 && (seen += v->buckets[b]) <= want && seen < v->value)
            b++;
        double bound = b < STAT_BUCKETS - 1 ? stat_bucket_bounds[b] : stat_bucket_bounds[b - 1];
        sbuf_printf(out, " P%g(nan,%g)", quantiles[q], bound);
    }
    sbuf_addc(out, '\n');
}

static void print_text(const struct stat_value *v, void *arg)
{
    struct render *x = arg;
    if (!is_wanted(x, v))
        return;
    if (v->kind == STAT_TEXT)
        sbuf_printf(&x->r->out, "%s: \"%s\"\n", v->name, v->text ? v->text : "");
    else if (v->kind == STAT_HISTOGRAM)
        print_histogram(&x->r->out, v);
    else
        sbuf_printf(&x->r->out, "%s: %lu\n", v->name, (unsigned long)v->value);
}

static void run(struct admin_request *r, void (*print)(const struct stat_value *v, void *arg))
{
    char v[256];
    struct error err;
    struct render x = {.r = r, .used_only = admin_query(r, "usedonly", v, sizeof(v))};
    if (admin_query(r, "filter", v, sizeof(v)) && regex_create(str_of(v), &x.filter, &err)) {
        r->status = 400;
        sbuf_addz(&r->out, "Invalid re2 regex\n");
        return;
    }
    server_update_stats(r->server);
    stat_each(print, &x);
    regex_destroy(&x.filter);
}

/* ---- Prometheus ---- */

struct tagged {
    struct sbuf name, labels;
};

static void add_label(struct tagged *t, const char *tag, struct str value)
{
    sbuf_printf(&t->labels, "%s%s=\"", t->labels.n ? "," : "", tag);
    for (size_t i = 0; i < value.n; i++) {
        if (value.p[i] == '"' || value.p[i] == '\\')
            sbuf_addc(&t->labels, '\\');
        sbuf_addc(&t->labels, value.p[i]);
    }
    sbuf_addc(&t->labels, '"');
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
        size_t dot = rest.n;
        while (dot > 0 && rest.p[dot - 1] != '.')
            dot--;
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

static void print_prometheus(const struct stat_value *v, void *arg)
{
    struct render *x = arg;
    struct tagged t = {0};
    if (v->kind == STAT_TEXT || !is_wanted(x, v))
        return;
    struct str full = str_of(v->name);
    bool is_custom = str_starts(full, STR("wasmcustom."));
    struct str rest = is_custom ? (struct str){full.p + 11, full.n - 11} : cut_root(&t, full);
    if (!is_custom)
        cut_code(&t, &rest);
    sbuf_add(&t.name, rest.p ? rest.p : "", rest.n);
    for (size_t i = 0; i < t.name.n; i++) {
        char c = t.name.p[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')))
            t.name.p[i] = '_';
    }
    const char *prefix = is_custom ? "" : "envoy_";
    const char *labels = t.labels.p ? t.labels.p : "";
    struct sbuf *out = &x->r->out;
    static const char *const kinds[] = {"counter", "gauge", "histogram"};
    sbuf_printf(out, "# TYPE %s%s %s\n", prefix, t.name.p, kinds[v->kind]);
    if (v->kind != STAT_HISTOGRAM) {
        sbuf_printf(out, "%s%s{%s} %lu\n", prefix, t.name.p, labels, (unsigned long)v->value);
    } else {
        uint64_t seen = 0;
        const char *comma = t.labels.n ? "," : "";
        for (size_t b = 0; b < STAT_BUCKETS - 1; b++) {
            seen += v->buckets[b];
            sbuf_printf(out, "%s%s_bucket{%s%sle=\"%g\"} %lu\n", prefix, t.name.p, labels, comma,
                        stat_bucket_bounds[b], (unsigned long)seen);
        }
        sbuf_printf(out, "%s%s_bucket{%s%sle=\"+Inf\"} %lu\n", prefix, t.name.p, labels, comma,
                    (unsigned long)v->value);
        sbuf_printf(out, "%s%s_sum{%s} %g\n", prefix, t.name.p, labels, v->sum);
        sbuf_printf(out, "%s%s_count{%s} %lu\n", prefix, t.name.p, labels,
                    (unsigned long)v->value);
    }
    sbuf_fini(&t.name);
    sbuf_fini(&t.labels);
}

void admin_prometheus(struct admin_request *r)
{
    run(r, print_prometheus);
}

void admin_stats(struct admin_request *r)
{
    char v[64];
    bool has_format = admin_query(r, "format", v, sizeof(v));
    if (has_format && str_is(str_of(v), "prometheus")) {
        run(r, print_prometheus);
    } else if (has_format && !str_is(str_of(v), "text")) {
        r->status = 400;
        sbuf_addz(&r->out, "usage: /stats?format=(prometheus|text)\n");
    } else {
        run(r, print_text);
    }
}
