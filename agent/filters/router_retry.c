#include "filters/router_retry.h"

#include "http/route_match.h"

enum { BASE_MS = 25 };

static void take_codes(struct retry_state *st, struct str list)
{
    struct str word;
    uint64_t code;
    while (st->codes_n < RETRY_CODES_MAX && str_next(&list, ',', &word))
        if (str_to_u64(str_trim(word), 599, &code))
            st->codes[st->codes_n++] = (uint16_t)code;
}

static const char *const own_headers[] = {
    "x-envoy-retry-on",
    "x-envoy-retry-grpc-on",
    "x-envoy-max-retries",
    "x-envoy-retriable-status-codes",
    "x-envoy-retriable-header-names",
    "x-envoy-hedge-on-per-try-timeout",
};

static void read_request(struct retry_state *st, const struct headers *h, struct arena *a)
{
    const struct conf_retry_policy *p = st->policy;
    uint64_t n;
    st->on |= conf_retry_parse(headers_get_name(h, STR("x-envoy-retry-on")), false);
    st->on |= conf_retry_parse(headers_get_name(h, STR("x-envoy-retry-grpc-on")), true);
    bool is_wanted = !p || !p->request_headers_n;
    for (size_t i = 0; !is_wanted && i < p->request_headers_n; i++)
        is_wanted = route_match_headers(&p->request_headers[i], 1, h);
    if (!is_wanted)
        st->on = 0;
    if (!st->on)
        return;
    if (str_to_u64(headers_get_name(h, STR("x-envoy-max-retries")), UINT32_MAX, &n))
        st->left = (uint32_t)n;
    take_codes(st, headers_get_name(h, STR("x-envoy-retriable-status-codes")));
    struct str names = headers_get_name(h, STR("x-envoy-retriable-header-names"));
    st->header_names = (struct str){arena_strndup(a, names.n ? names.p : "", names.n), names.n};
}

void retry_init(struct retry_state *st, const struct conf_retry_policy *policy,
                struct headers *request, struct arena *a)
{
    *st = (struct retry_state){.policy = policy, .left = 1, .interval_ms = BASE_MS};
    if (policy) {
        st->on = policy->on;
        st->left = policy->num_retries;
        st->interval_ms = policy->base_ms;
    }
    read_request(st, request, a);
    for (size_t i = 0; i < sizeof(own_headers) / sizeof(own_headers[0]); i++)
        headers_remove(request, str_of(own_headers[i]));
}

static bool has_code(const struct retry_state *st, unsigned status)
{
    for (unsigned i = 0; i < st->codes_n; i++)
        if (st->codes[i] == status)
            return true;
    for (size_t i = 0; st->policy && i < st->policy->codes_n; i++)
        if (st->policy->codes[i] == status)
            return true;
    return false;
}

static bool has_header(const struct retry_state *st, const struct headers *h)
{
    struct str names = st->header_names, name;
    for (size_t i = 0; st->policy && i < st->policy->headers_n; i++)
        if (route_match_headers(&st->policy->headers[i], 1, h))
            return true;
    while (str_next(&names, ',', &name)) {
        char lower[256];
        name = str_trim(name);
        if (!name.n || name.n > sizeof(lower))
            continue;
        for (size_t i = 0; i < name.n; i++)
            lower[i] = str_lower(name.p[i]);
        if (headers_find_name(h, (struct str){lower, name.n}))
            return true;
    }
    return false;
}

static uint32_t grpc_condition(const struct headers *h)
{
    uint64_t code = UINT64_MAX;
    if (!str_to_u64(headers_get(h, HDR_GRPC_STATUS), 16, &code))
        return 0;
    switch (code) {
    case 1:
        return CONF_RETRY_GRPC_CANCELLED;
    case 4:
        return CONF_RETRY_GRPC_DEADLINE_EXCEEDED;
    case 8:
        return CONF_RETRY_GRPC_RESOURCE_EXHAUSTED;
    case 13:
        return CONF_RETRY_GRPC_INTERNAL;
    case 14:
        return CONF_RETRY_GRPC_UNAVAILABLE;
    default:
        return 0;
    }
}

bool retry_wants_response(const struct retry_state *st, const struct headers *response)
{
    uint32_t on = st->on;
    unsigned status = headers_status(response);
    if (!on)
        return false;
    if (headers_find_name(response, STR("x-envoy-ratelimited")))
        return on & CONF_RETRY_RATELIMITED; /* another Envoy had enough of this client */
    return ((on & CONF_RETRY_5XX) && status >= 500 && status < 600) ||
           ((on & CONF_RETRY_GATEWAY_ERROR) && status >= 502 && status <= 504) ||
           ((on & CONF_RETRY_RETRIABLE_4XX) && status == 409) ||
           ((on & CONF_RETRY_STATUS_CODES) && has_code(st, status)) ||
           ((on & CONF_RETRY_HEADERS) && has_header(st, response)) ||
           (on & grpc_condition(response));
}

bool retry_wants_reset(const struct retry_state *st, enum upstream_reset why, bool request_started)
{
    uint32_t on = st->on;
    if (why == UPSTREAM_RESET_OVERFLOW)
        return false; /* more of the same would not help */
    if ((on & CONF_RETRY_CONNECT_FAILURE) &&
        (why == UPSTREAM_RESET_CONNECT_FAILED || why == UPSTREAM_RESET_CONNECT_TIMEOUT))
        return true;
    if ((on & CONF_RETRY_REFUSED_STREAM) && why == UPSTREAM_RESET_REMOTE_REFUSED)
        return true;
    if ((on & CONF_RETRY_RESET_BEFORE_REQUEST) && !request_started)
        return true;
    return on & (CONF_RETRY_RESET | CONF_RETRY_5XX | CONF_RETRY_GATEWAY_ERROR);
}

/* Milliseconds that the response asks to wait, 0 for none that counts. */
static uint64_t find_reset(const struct conf_retry_policy *p, const struct headers *response,
                           uint64_t wall_s)
{
    for (size_t i = 0; i < p->resets_n; i++) {
        uint64_t v;
        if (!str_to_u64(headers_get_name(response, p->resets[i].name), UINT32_MAX * 1000ull, &v))
            continue;
        if (p->resets[i].is_timestamp)
            v = v > wall_s ? v - wall_s : 0;
        if (v && v * 1000 <= p->reset_max_ms)
            return v * 1000;
    }
    return 0;
}

struct retry_delay retry_backoff(struct retry_state *st, const struct headers *response,
                                 uint64_t wall_s, struct lb_random *random)
{
    const struct conf_retry_policy *p = st->policy;
    uint64_t wait = p && response ? find_reset(p, response, wall_s) : 0;
    if (wait)
        return (struct retry_delay){(uint32_t)(wait + lb_random_below(random, wait / 2)), true};
    uint32_t interval = st->interval_ms, max = p ? p->max_ms : 10 * BASE_MS;
    st->interval_ms = interval < max / 2 ? interval * 2 : max;
    return (struct retry_delay){(uint32_t)lb_random_below(random, interval), false};
}
