/* Retry policies of routes and virtual hosts, and what else limits the time of a request. */
#include "conf/retry.h"

#include "envoy/extensions/retry/host/previous_hosts/v3/previous_hosts.pb-c.h"
#include "xds/decode_private.h"

typedef Envoy__Config__Route__V3__RetryPolicy policy_msg;

enum { BASE_MS = 25, RESET_MAX_MS = 300000, HOST_ATTEMPTS_MAX = 1000 };

static int set_backoff(const policy_msg *m, struct conf_retry_policy *p, struct error *err)
{
    const Envoy__Config__Route__V3__RetryPolicy__RetryBackOff *b = m->retry_back_off;
    p->base_ms = BASE_MS;
    p->max_ms = 10 * BASE_MS;
    if (!b)
        return 0;
    if (!b->base_interval)
        return error_set(err, ERR_INVALID, "retry_back_off.base_interval: required");
    if (decode_ms(b->base_interval, 0, "retry_back_off.base_interval", &p->base_ms, err))
        return error_code(err);
    if (!p->base_ms)
        return error_set(err, ERR_INVALID, "retry_back_off.base_interval: must be above 0");
    uint32_t def = p->base_ms > UINT32_MAX / 10 ? UINT32_MAX : p->base_ms * 10;
    if (decode_ms(b->max_interval, def, "retry_back_off.max_interval", &p->max_ms, err))
        return error_code(err);
    if (p->max_ms < p->base_ms)
        return error_set(err, ERR_INVALID,
                         "retry_back_off.max_interval: must not be below base_interval");
    return 0;
}

static int set_resets(struct decode *d, const policy_msg *m, struct conf_retry_policy *p,
                      struct error *err)
{
    const Envoy__Config__Route__V3__RetryPolicy__RateLimitedRetryBackOff *b =
        m->rate_limited_retry_back_off;
    if (!b)
        return 0;
    if (!b->n_reset_headers)
        return error_set(err, ERR_INVALID,
                         "rate_limited_retry_back_off.reset_headers: at least one is required");
    p->resets = DECODE_ARRAY(d, struct conf_reset_header, b->n_reset_headers);
    for (size_t i = 0; i < b->n_reset_headers; i++) {
        p->resets[i].name = decode_lower(d, b->reset_headers[i]->name);
        p->resets[i].is_timestamp =
            b->reset_headers[i]->format ==
            ENVOY__CONFIG__ROUTE__V3__RETRY_POLICY__RESET_HEADER_FORMAT__UNIX_TIMESTAMP;
        if (!p->resets[i].name.n)
            return error_set(
                err, ERR_INVALID,
                "rate_limited_retry_back_off.reset_headers[%zu].name: must not be empty", i);
    }
    p->resets_n = b->n_reset_headers;
    return decode_ms(b->max_interval, RESET_MAX_MS, "rate_limited_retry_back_off.max_interval",
                     &p->reset_max_ms, err);
}

static int set_hosts(const policy_msg *m, struct conf_retry_policy *p, struct error *err)
{
    static const char previous[] =
        "envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate";
    int64_t attempts = m->host_selection_retry_max_attempts;
    if (attempts < 0)
        return error_set(err, ERR_INVALID,
                         "host_selection_retry_max_attempts: must not be below 0");
    p->host_attempts =
        attempts ? attempts < HOST_ATTEMPTS_MAX ? (uint32_t)attempts : HOST_ATTEMPTS_MAX : 1;
    for (size_t i = 0; i < m->n_retry_host_predicate; i++) {
        const Envoy__Config__Route__V3__RetryPolicy__RetryHostPredicate *h =
            m->retry_host_predicate[i];
        struct str type = h->typed_config ? pb_any_type(h->typed_config) : STR_NULL;
        if (!str_is(type, previous) &&
            (type.n || strcmp(h->name, "envoy.retry_host_predicates.previous_hosts") != 0))
            return error_set(err, ERR_UNSUPPORTED,
                             "retry_host_predicate[%zu]: only previous_hosts is supported", i);
        p->previous_hosts = true;
    }
    return 0;
}

static int set_conditions(struct decode *d, const policy_msg *m, struct conf_retry_policy *p,
                          struct error *err)
{
    struct str words = str_of(m->retry_on);
    p->on = conf_retry_parse(words, false) | conf_retry_parse(words, true);
    p->num_retries = pb_u32(m->num_retries, 1);
    p->codes = DECODE_ARRAY(d, uint32_t, m->n_retriable_status_codes);
    p->codes_n = m->n_retriable_status_codes;
    for (size_t i = 0; i < p->codes_n; i++)
        p->codes[i] = m->retriable_status_codes[i];
    p->headers = DECODE_ARRAY(d, struct conf_header_match, m->n_retriable_headers);
    p->headers_n = m->n_retriable_headers;
    p->request_headers = DECODE_ARRAY(d, struct conf_header_match, m->n_retriable_request_headers);
    p->request_headers_n = m->n_retriable_request_headers;
    if (decode_header_matches(d, m->retriable_headers, p->headers_n, p->headers, err))
        return error_prefix(err, "retriable_");
    if (decode_header_matches(d, m->retriable_request_headers, p->request_headers_n,
                              p->request_headers, err))
        return error_prefix(err, "retriable_request_");
    return 0;
}

int decode_retry(struct decode *d, const policy_msg *m, const struct conf_retry_policy **policy_r,
                 struct error *err)
{
    if (!m)
        return 0;
    struct conf_retry_policy *p = DECODE_NEW(d, struct conf_retry_policy);
    *policy_r = p;
    int rc = set_conditions(d, m, p, err);
    if (!rc)
        rc = decode_ms(m->per_try_timeout, 0, "per_try_timeout", &p->per_try_timeout_ms, err);
    if (!rc)
        rc = decode_ms(m->per_try_idle_timeout, 0, "per_try_idle_timeout",
                       &p->per_try_idle_timeout_ms, err);
    if (!rc)
        rc = set_backoff(m, p, err);
    if (!rc)
        rc = set_resets(d, m, p, err);
    if (!rc)
        rc = set_hosts(m, p, err);
    return rc ? error_prefix(err, "retry_policy.") : 0;
}

static int set_stream_duration(const Envoy__Config__Route__V3__RouteAction__MaxStreamDuration *m,
                               struct conf_route_timeouts *t, struct error *err)
{
    if (!m)
        return 0;
    t->has_stream_duration = true;
    t->has_stream_duration_value = m->max_stream_duration != NULL;
    t->has_grpc_header_max = m->grpc_timeout_header_max != NULL;
    int rc =
        decode_ms(m->max_stream_duration, 0, "max_stream_duration", &t->stream_duration_ms, err);
    if (!rc)
        rc = decode_ms(m->grpc_timeout_header_max, 0, "grpc_timeout_header_max",
                       &t->grpc_header_max_ms, err);
    if (!rc)
        rc = decode_ms(m->grpc_timeout_header_offset, 0, "grpc_timeout_header_offset",
                       &t->grpc_header_offset_ms, err);
    return rc ? error_prefix(err, "max_stream_duration.") : 0;
}

int decode_timeouts(const Envoy__Config__Route__V3__RouteAction *m, struct conf_route_timeouts *t,
                    struct error *err)
{
    t->has_grpc_max = m->max_grpc_timeout != NULL;
    int rc = decode_ms(m->max_grpc_timeout, 0, "max_grpc_timeout", &t->grpc_max_ms, err);
    if (!rc)
        rc = decode_ms(m->grpc_timeout_offset, 0, "grpc_timeout_offset", &t->grpc_offset_ms, err);
    return rc ? rc : set_stream_duration(m->max_stream_duration, t, err);
}

uint32_t decode_kept_max(const Google__Protobuf__UInt32Value *v)
{
    return v ? v->value ? v->value : 1 : 0;
}
