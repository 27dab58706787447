/* The router filter's own options. */
#include "envoy/extensions/filters/http/router/v3/router.pb-c.h"
#include "xds/decode_private.h"

static const char *const strict_names[] = {
    "x-envoy-upstream-rq-timeout-ms",
    "x-envoy-upstream-rq-per-try-timeout-ms",
    "x-envoy-max-retries",
    "x-envoy-retry-on",
    "x-envoy-retry-grpc-on",
};

int decode_router(struct decode *d, const Google__Protobuf__Any *any, struct conf_http_filter *f,
                  struct error *err)
{
    ProtobufCMessage *msg;
    if (decode_any(d, any, &msg, err))
        return error_code(err);
    const Envoy__Extensions__Filters__Http__Router__V3__Router *m =
        (const Envoy__Extensions__Filters__Http__Router__V3__Router *)msg;
    struct conf_router *r = DECODE_NEW(d, struct conf_router);
    f->router = r;
    r->suppress_envoy_headers = m->suppress_envoy_headers;
    r->respect_expected_timeout = m->respect_expected_rq_timeout;
    r->strict = DECODE_ARRAY(d, struct str, m->n_strict_check_headers);
    for (size_t i = 0; i < m->n_strict_check_headers; i++) {
        struct str name = decode_lower(d, m->strict_check_headers[i]);
        bool is_known = false;
        for (size_t j = 0; j < ARRAY_LEN(strict_names); j++)
            is_known = is_known || str_is(name, strict_names[j]);
        if (!is_known)
            return error_set(err, ERR_INVALID,
                             "typed_config.strict_check_headers[%zu]: cannot be checked: %s", i,
                             name.p);
        r->strict[r->strict_n++] = name;
    }
    return 0;
}
