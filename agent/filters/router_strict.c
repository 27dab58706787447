/* strict_check_headers: a value that would be ignored is an error instead.
 * Source: Envoy's FilterUtility::StrictHeaderChecker. */
#include "filters/router_private.h"

static bool are_words(struct str list, bool is_grpc)
{
    struct str word;
    while (str_next(&list, ',', &word))
        if (!conf_retry_parse(word, is_grpc) &&
            !(!is_grpc && str_starts(str_trim(word), STR("http3-"))))
            return false;
    return true;
}

static bool is_valid(struct str name, struct str value)
{
    uint64_t n;
    if (str_is(name, "x-envoy-retry-on"))
        return are_words(value, false);
    if (str_is(name, "x-envoy-retry-grpc-on"))
        return are_words(value, true);
    return str_to_u64(value, UINT32_MAX, &n);
}

bool router_check_strict(struct router_stream *r, const struct headers *h)
{
    const struct conf_router *o = router_options(r);
    for (size_t i = 0; i < o->strict_n; i++) {
        struct str name = o->strict[i], value = headers_get_name(h, name);
        if (!value.p || is_valid(name, value))
            continue;
        struct arena *a = &r->s->arena;
        const char *body = arena_printf(a, "invalid header '%.*s' with value '%.*s'", STR_ARG(name),
                                        STR_ARG(value));
        const char *details =
            arena_printf(a, "request_headers_failed_strict_check{%.*s}", STR_ARG(name));
        stream_local_reply(r->s, 400, str_of(body), details, FLAG_INVALID_ENVOY_REQUEST_HEADERS, -1,
                           NULL);
        return false;
    }
    return true;
}
