#include "http/log_filter.h"

#include "http/route_match.h"

static bool compare(const struct conf_log_filter *f, uint64_t v)
{
    switch (f->op) {
    case CONF_COMPARE_EQ:
        return v == f->value;
    case CONF_COMPARE_GE:
        return v >= f->value;
    case CONF_COMPARE_LE:
        return v <= f->value;
    case CONF_COMPARE_NE:
        return v != f->value;
    }
    return false;
}

static bool has_flag(const struct conf_log_filter *f, uint32_t flags)
{
    struct sbuf text = {0};
    struct str rest, one;
    bool found = false;
    if (!flags || !f->flags_n)
        return flags;
    response_flags_format(flags, &text);
    rest = (struct str){text.p, text.n};
    while (!found && str_next(&rest, ',', &one))
        for (size_t i = 0; i < f->flags_n; i++)
            found = found || str_eq(one, f->flags[i]);
    sbuf_fini(&text);
    return found;
}

/* The depth was bounded when it was decoded. */
bool log_filter_matches(const struct conf_log_filter *f, const struct stream_info *info,
                        const struct stream *s)
{
    bool is_and = f->kind == CONF_LOG_FILTER_AND;
    switch (f->kind) {
    case CONF_LOG_FILTER_STATUS:
        return compare(f, info->status);
    case CONF_LOG_FILTER_DURATION:
        return info->end_us && compare(f, (info->end_us - info->start_us) / 1000);
    case CONF_LOG_FILTER_HEADER:
        return s && route_match_headers(&f->header, 1, &s->req);
    case CONF_LOG_FILTER_FLAGS:
        return has_flag(f, info->flags);
    case CONF_LOG_FILTER_AND:
    case CONF_LOG_FILTER_OR:
        for (size_t i = 0; i < f->filters_n; i++)
            if (log_filter_matches(&f->filters[i], info, s) != is_and)
                return !is_and;
        return is_and;
    }
    return false;
}
