#include "http/log_filter.h"

#include "base/crypto.h"
#include "conf/runtime.h"
#include "http/hcm.h"
#include "http/route_match.h"

static const struct runtime *runtime_of(const struct stream *s)
{
    return s ? s->snapshot->runtime : NULL;
}

static bool compare(const struct conf_log_filter *f, const struct stream *s, uint64_t v)
{
    uint64_t with =
        f->runtime_key.n ? runtime_integer(runtime_of(s), f->runtime_key, f->value) : f->value;
    switch (f->op) {
    case CONF_COMPARE_EQ:
        return v == with;
    case CONF_COMPARE_GE:
        return v >= with;
    case CONF_COMPARE_LE:
        return v <= with;
    case CONF_COMPARE_NE:
        return v != with;
    }
    return false;
}

/* grpc-status of trailers or head, or what the status of HTTP means to gRPC. */
static unsigned grpc_status(const struct stream_info *info, const struct stream *s)
{
    enum { GRPC_UNKNOWN = 2, GRPC_MAX = 16 };
    uint64_t v;
    struct str text = s ? headers_get(&s->resp_trailers, HDR_GRPC_STATUS) : STR_NULL;
    if (s && !text.p)
        text = headers_get(&s->resp, HDR_GRPC_STATUS);
    if (text.p)
        return str_to_u64(text, GRPC_MAX, &v) ? (unsigned)v : GRPC_UNKNOWN;
    return info->status ? (unsigned)grpc_of_http(info->status) : GRPC_UNKNOWN;
}

/* The first eight hexadecimal digits of x-request-id, so that all proxies of a request decide
 * alike; else, or without one, chance. */
static uint64_t sample_number(const struct conf_log_filter *f, const struct stream *s)
{
    struct str id = s && !f->is_random ? headers_get(&s->req, HDR_X_REQUEST_ID) : STR_NULL;
    uint32_t number = 0;
    size_t i = 0;
    for (; i < 8 && i < id.n; i++) {
        char c = str_lower(id.p[i]);
        int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
        if (digit < 0)
            break;
        number = number << 4 | (uint32_t)digit;
    }
    if (i < 8)
        crypto_random(&number, sizeof(number));
    return number;
}

static bool is_sampled(const struct conf_log_filter *f, const struct stream *s)
{
    struct runtime_fraction def = {f->share.numerator, f->share.denominator};
    struct runtime_fraction share = runtime_share(runtime_of(s), f->share.runtime_key, def);
    return sample_number(f, s) % share.denominator < share.numerator;
}

static bool has_flag(const struct conf_log_filter *f, uint32_t flags)
{
    struct sbuf text = {0};
    struct str rest, one;
    bool found = false;
    if (!flags || !f->flags_n)
        return flags;
    response_flags_format(flags, false, &text);
    rest = (struct str){text.p, text.n};
    while (!found && str_next(&rest, ',', &one))
        for (size_t i = 0; i < f->flags_n; i++)
            found = found || str_eq(one, f->flags[i]);
    sbuf_fini(&text);
    return found;
}

static bool is_wanted(const struct conf_log_filter *f, unsigned v)
{
    return !(f->wanted & 1u << v) == f->excludes;
}

/* The depth was bounded when it was decoded. */
bool log_filter_matches(const struct conf_log_filter *f, const struct stream_info *info,
                        const struct stream *s)
{
    bool is_and = f->kind == CONF_LOG_FILTER_AND;
    switch (f->kind) {
    case CONF_LOG_FILTER_STATUS:
        return compare(f, s, info->status);
    case CONF_LOG_FILTER_DURATION:
        return info->end_us && compare(f, s, (info->end_us - info->start_us) / 1000);
    case CONF_LOG_FILTER_HEADER:
        return s && route_match_headers(&f->header, 1, &s->req);
    case CONF_LOG_FILTER_FLAGS:
        return has_flag(f, info->flags);
    case CONF_LOG_FILTER_GRPC:
        return is_wanted(f, grpc_status(info, s));
    case CONF_LOG_FILTER_TYPE:
        return is_wanted(f, s ? CONF_LOG_DOWNSTREAM_END : CONF_LOG_TCP_END);
    case CONF_LOG_FILTER_RUNTIME:
        return is_sampled(f, s);
    case CONF_LOG_FILTER_ALL:
        return true;
    case CONF_LOG_FILTER_AND:
    case CONF_LOG_FILTER_OR:
        for (size_t i = 0; i < f->filters_n; i++)
            if (log_filter_matches(&f->filters[i], info, s) != is_and)
                return !is_and;
        return is_and;
    }
    return false;
}
