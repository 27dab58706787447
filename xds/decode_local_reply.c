/* HttpConnectionManager's local_reply_config, and the access log filters that it uses. */
#include <string.h>

#include "xds/decode_private.h"

typedef Envoy__Config__Accesslog__V3__AccessLogFilter filter_msg;
typedef Envoy__Config__Accesslog__V3__ComparisonFilter compare_msg;
typedef Envoy__Extensions__Filters__Network__HttpConnectionManager__V3__ResponseMapper mapper_msg;
typedef Envoy__Config__Core__V3__SubstitutionFormatString format_msg;

enum { FILTER_DEPTH_MAX = 16, BODY_MAX = 64 * 1024 };

#define FILTER(x) ENVOY__CONFIG__ACCESSLOG__V3__ACCESS_LOG_FILTER__FILTER_SPECIFIER_##x

static int decode_filter(struct decode *d, const filter_msg *m, unsigned depth,
                         struct conf_log_filter *f, struct error *err);

static int set_compare(struct decode *d, const compare_msg *m, enum conf_log_filter_kind kind,
                       struct conf_log_filter *f, struct error *err)
{
    f->kind = kind;
    if (!m || !m->value)
        return error_set(err, ERR_INVALID, "comparison.value: required");
    if ((unsigned)m->op > CONF_COMPARE_NE)
        return error_set(err, ERR_INVALID, "comparison.op: unknown value %d", (int)m->op);
    f->op = (enum conf_compare)m->op; /* numbered alike */
    f->value = m->value->default_value;
    f->runtime_key = decode_str(d, m->value->runtime_key);
    return 0;
}

static int set_list(struct decode *d, filter_msg *const *m, size_t n, unsigned depth,
                    struct conf_log_filter *f, struct error *err)
{
    if (n < 2)
        return error_set(err, ERR_INVALID, "filters: at least two are required");
    if (depth >= FILTER_DEPTH_MAX)
        return error_set(err, ERR_LIMIT, "filters: nested too deep");
    f->filters = DECODE_ARRAY(d, struct conf_log_filter, n);
    for (size_t i = 0; i < n; i++)
        if (decode_filter(d, m[i], depth + 1, &f->filters[f->filters_n++], err))
            return error_prefix(err, "filters[%zu].", i);
    return 0;
}

static int set_flags(struct decode *d, char *const *flags, size_t n, struct conf_log_filter *f)
{
    f->kind = CONF_LOG_FILTER_FLAGS;
    f->flags = DECODE_ARRAY(d, struct str, n);
    for (; f->flags_n < n; f->flags_n++)
        f->flags[f->flags_n] = decode_str(d, flags[f->flags_n]);
    return 0;
}

static int set_grpc(const Envoy__Config__Accesslog__V3__GrpcStatusFilter *m,
                    struct conf_log_filter *f, struct error *err)
{
    enum { GRPC_MAX = 16 };
    f->kind = CONF_LOG_FILTER_GRPC;
    f->excludes = m->exclude;
    for (size_t i = 0; i < m->n_statuses; i++) {
        if ((unsigned)m->statuses[i] > GRPC_MAX)
            return error_set(err, ERR_INVALID, "grpc_status_filter.statuses[%zu]: unknown value %d",
                             i, (int)m->statuses[i]);
        f->wanted |= 1u << m->statuses[i];
    }
    return 0;
}

static int set_types(const Envoy__Config__Accesslog__V3__LogTypeFilter *m,
                     struct conf_log_filter *f, struct error *err)
{
    enum { TYPE_MAX = 31 };
    f->kind = CONF_LOG_FILTER_TYPE;
    f->excludes = m->exclude;
    for (size_t i = 0; i < m->n_types; i++) {
        if ((unsigned)m->types[i] > TYPE_MAX)
            return error_set(err, ERR_INVALID, "log_type_filter.types[%zu]: unknown value %d", i,
                             (int)m->types[i]);
        f->wanted |= 1u << m->types[i];
    }
    return 0;
}

static int set_runtime(struct decode *d, const Envoy__Config__Accesslog__V3__RuntimeFilter *m,
                       struct conf_log_filter *f, struct error *err)
{
    f->kind = CONF_LOG_FILTER_RUNTIME;
    f->is_random = m->use_independent_randomness;
    if (!*m->runtime_key)
        return error_set(err, ERR_INVALID, "runtime_filter.runtime_key: must not be empty");
    f->share = (struct conf_fraction){0, 100, decode_str(d, m->runtime_key)};
    if (m->percent_sampled) {
        f->share.numerator = m->percent_sampled->numerator;
        f->share.denominator = decode_denominator(m->percent_sampled);
    }
    return 0;
}

static int decode_filter(struct decode *d, const filter_msg *m, unsigned depth,
                         struct conf_log_filter *f, struct error *err)
{
    switch (m->filter_specifier_case) {
    case FILTER(STATUS_CODE_FILTER):
        return set_compare(d, m->status_code_filter->comparison, CONF_LOG_FILTER_STATUS, f, err)
                   ? error_prefix(err, "status_code_filter.")
                   : 0;
    case FILTER(DURATION_FILTER):
        return set_compare(d, m->duration_filter->comparison, CONF_LOG_FILTER_DURATION, f, err)
                   ? error_prefix(err, "duration_filter.")
                   : 0;
    case FILTER(HEADER_FILTER):
        f->kind = CONF_LOG_FILTER_HEADER;
        if (!m->header_filter->header)
            return error_set(err, ERR_INVALID, "header_filter.header: required");
        return decode_header_matches(d, &m->header_filter->header, 1, &f->header, err)
                   ? error_prefix(err, "header_filter.")
                   : 0;
    case FILTER(RESPONSE_FLAG_FILTER):
        return set_flags(d, m->response_flag_filter->flags, m->response_flag_filter->n_flags, f);
    case FILTER(GRPC_STATUS_FILTER):
        return set_grpc(m->grpc_status_filter, f, err);
    case FILTER(LOG_TYPE_FILTER):
        return set_types(m->log_type_filter, f, err);
    case FILTER(RUNTIME_FILTER):
        return set_runtime(d, m->runtime_filter, f, err);
    case FILTER(NOT_HEALTH_CHECK_FILTER):
        f->kind = CONF_LOG_FILTER_ALL;
        return 0;
    case FILTER(AND_FILTER):
        f->kind = CONF_LOG_FILTER_AND;
        return set_list(d, m->and_filter->filters, m->and_filter->n_filters, depth, f, err)
                   ? error_prefix(err, "and_filter.")
                   : 0;
    case FILTER(OR_FILTER):
        f->kind = CONF_LOG_FILTER_OR;
        return set_list(d, m->or_filter->filters, m->or_filter->n_filters, depth, f, err)
                   ? error_prefix(err, "or_filter.")
                   : 0;
    case ENVOY__CONFIG__ACCESSLOG__V3__ACCESS_LOG_FILTER__FILTER_SPECIFIER__NOT_SET:
        return error_set(err, ERR_INVALID, "filter_specifier: required");
    default:
        return error_set(err, ERR_UNSUPPORTED, "filter_specifier: not supported");
    }
}

int decode_log_filter(struct decode *d, const filter_msg *m, struct conf_log_filter **filter_r,
                      struct error *err)
{
    *filter_r = DECODE_NEW(d, struct conf_log_filter);
    return decode_filter(d, m, 0, *filter_r, err);
}

/* ---- local replies ---- */

static int set_format(struct decode *d, const format_msg *m, struct conf_body_format *f,
                      struct error *err)
{
    f->content_type = "";
    if (!m)
        return 0;
    f->content_type = decode_text(d, m->content_type);
    if (strpbrk(m->content_type, "\r\n"))
        return error_set(err, ERR_INVALID, "content_type: must not contain line ends");
    return decode_format(d, m, &f->format, err);
}

static int decode_mapper(struct decode *d, const mapper_msg *m, struct conf_reply_mapper *out,
                         struct error *err)
{
    const struct decode_header_ops ops = {m->headers_to_add, NULL, m->n_headers_to_add, 0};
    if (!m->filter)
        return error_set(err, ERR_INVALID, "filter: required");
    if (decode_log_filter(d, m->filter, &out->filter, err))
        return error_prefix(err, "filter.");
    out->status = pb_u32(m->status_code, 0);
    if (m->status_code && (out->status < 200 || out->status > 599))
        return error_set(err, ERR_INVALID, "status_code: must be within 200 and 599");
    out->has_body = m->body;
    if (m->body && decode_data_source(d, m->body, BODY_MAX, &out->body, err))
        return error_prefix(err, "body.");
    if (set_format(d, m->body_format_override, &out->format, err))
        return error_prefix(err, "body_format_override.");
    return decode_header_ops(d, &ops, "", &out->headers, err);
}

int decode_local_reply(struct decode *d, const hcm_msg *hcm, struct conf_hcm *h, struct error *err)
{
    const Envoy__Extensions__Filters__Network__HttpConnectionManager__V3__LocalReplyConfig *m =
        hcm->local_reply_config;
    if (!m)
        return 0;
    struct conf_local_reply *r = h->local_reply = DECODE_NEW(d, struct conf_local_reply);
    r->mappers = DECODE_ARRAY(d, struct conf_reply_mapper, m->n_mappers);
    for (size_t i = 0; i < m->n_mappers; i++)
        if (decode_mapper(d, m->mappers[i], &r->mappers[r->mappers_n++], err))
            return error_prefix(err, "local_reply_config.mappers[%zu].", i);
    return set_format(d, m->body_format, &r->format, err)
               ? error_prefix(err, "local_reply_config.body_format.")
               : 0;
}
