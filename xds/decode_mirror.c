/* Mirrors of requests, which a route, its virtual host or the configuration may have. */
#include "conf/mirror.h"

#include "xds/decode_private.h"

typedef Envoy__Config__Route__V3__RouteAction__RequestMirrorPolicy mirror_msg;

static uint32_t denominator(const Envoy__Type__V3__FractionalPercent *p)
{
    switch (p->denominator) {
    case ENVOY__TYPE__V3__FRACTIONAL_PERCENT__DENOMINATOR_TYPE__TEN_THOUSAND:
        return 10000;
    case ENVOY__TYPE__V3__FRACTIONAL_PERCENT__DENOMINATOR_TYPE__MILLION:
        return 1000000;
    default:
        return 100;
    }
}

static int decode_mirror(struct decode *d, const mirror_msg *m, struct conf_mirror *out,
                         struct error *err)
{
    if (!*m->cluster == !*m->cluster_header)
        return error_set(err, ERR_INVALID, "either cluster or cluster_header is required");
    out->cluster = decode_str(d, m->cluster);
    out->cluster_header = decode_lower(d, m->cluster_header);
    out->keeps_host = m->disable_shadow_host_suffix_append;
    if (*m->host_rewrite_literal)
        out->host_rewrite = decode_str(d, m->host_rewrite_literal);
    out->numerator = out->denominator = 100;
    if (!m->runtime_fraction)
        return 0;
    if (!m->runtime_fraction->default_value)
        return error_set(err, ERR_INVALID, "runtime_fraction.default_value: required");
    out->numerator = m->runtime_fraction->default_value->numerator;
    out->denominator = denominator(m->runtime_fraction->default_value);
    return 0;
}

int decode_mirrors(struct decode *d, mirror_msg *const *m, size_t n, struct conf_mirrors *mirrors,
                   struct error *err)
{
    mirrors->v = DECODE_ARRAY(d, struct conf_mirror, n);
    mirrors->n = n;
    for (size_t i = 0; i < n; i++)
        if (decode_mirror(d, m[i], &mirrors->v[i], err))
            return error_prefix(err, "request_mirror_policies[%zu]: ", i);
    return 0;
}
