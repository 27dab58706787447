#include "filters/access_log.h"

#include "base/mem.h"
#include "filters/access_log_private.h"
#include "http/format.h"
#include "http/log_filter.h"

struct access_logs {
    struct access_log_writer *writer;
    struct {
        struct log_lane *lane;
        struct format *format;
        const struct conf_log_filter *filter; /* or NULL */
    } * v;
    size_t n;
    struct sbuf line;
};

int access_log_check_format(const struct conf_format *format, struct error *err)
{
    struct format *f = NULL;
    int rc = format_create(format, &f, err);
    format_destroy(&f);
    return rc;
}

struct access_logs *access_logs_create(struct access_log_writer *w,
                                       const struct conf_access_log *conf, size_t n)
{
    if (!n || !w)
        return NULL;
    struct access_logs *a = MEM_NEW(struct access_logs);
    a->writer = w;
    a->n = n;
    a->v = mem_zalloc(n * sizeof(*a->v));
    for (size_t i = 0; i < n; i++) {
        a->v[i].lane = access_log_lane(w, &conf[i]);
        a->v[i].filter = conf[i].filter;
        if (format_create(&conf[i].format, &a->v[i].format, NULL))
            format_parse(NULL, &a->v[i].format, NULL); /* formats are checked when decoded */
    }
    return a;
}

void access_logs_destroy(struct access_logs **logs)
{
    struct access_logs *a = *logs;
    if (!a)
        return;
    for (size_t i = 0; i < a->n; i++)
        format_destroy(&a->v[i].format);
    sbuf_fini(&a->line);
    mem_free(a->v);
    mem_free(a);
    *logs = NULL;
}

void access_logs_write(struct access_logs *a, const struct stream_info *info,
                       const struct stream *s)
{
    for (size_t i = 0; a && i < a->n; i++) {
        if (a->v[i].filter && !log_filter_matches(a->v[i].filter, info, s))
            continue;
        a->line.n = 0;
        format_print(a->v[i].format, info, s, &a->line);
        access_log_lane_add(a->writer, a->v[i].lane, (struct str){a->line.p, a->line.n});
    }
}
