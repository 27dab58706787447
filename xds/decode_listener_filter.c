/* Listener filters: what happens to a connection before its filter chain is chosen. They are known
 * by the type of their configuration. */
#include "envoy/extensions/filters/listener/original_src/v3/original_src.pb-c.h"
#include "envoy/extensions/filters/listener/proxy_protocol/v3/proxy_protocol.pb-c.h"
#include "xds/decode_private.h"

typedef Envoy__Config__Listener__V3__Listener listener_msg;
typedef Envoy__Extensions__Filters__Listener__OriginalSrc__V3__OriginalSrc original_src_msg;
typedef Envoy__Extensions__Filters__Listener__ProxyProtocol__V3__ProxyProtocol proxy_protocol_msg;

#define LISTENER_FILTER "envoy.extensions.filters.listener."

typedef Envoy__Config__Listener__V3__ListenerFilterChainMatchPredicate predicate_msg;
#define PREDICATE(x) ENVOY__CONFIG__LISTENER__V3__LISTENER_FILTER_CHAIN_MATCH_PREDICATE__RULE_##x

static int decode_predicate(struct decode *d, const predicate_msg *m, struct conf_predicate *out,
                            struct error *err);

static int decode_rules(struct decode *d, predicate_msg **m, size_t n, int kind,
                        struct conf_predicate *out, struct error *err)
{
    out->kind = kind;
    out->rules = arena_zalloc(d->out, n * sizeof(*out->rules));
    out->rules_n = n;
    for (size_t i = 0; i < n; i++)
        if (decode_predicate(d, m[i], &out->rules[i], err))
            return error_prefix(err, "rules[%zu].", i);
    return 0;
}

static int decode_predicate(struct decode *d, const predicate_msg *m, struct conf_predicate *out,
                            struct error *err)
{
    predicate_msg *one;
    switch (m->rule_case) {
    case PREDICATE(ANY_MATCH):
        out->kind = CONF_PREDICATE_ANY;
        return 0;
    case PREDICATE(OR_MATCH):
        return decode_rules(d, m->or_match->rules, m->or_match->n_rules, CONF_PREDICATE_OR, out,
                            err);
    case PREDICATE(AND_MATCH):
        return decode_rules(d, m->and_match->rules, m->and_match->n_rules, CONF_PREDICATE_AND, out,
                            err);
    case PREDICATE(NOT_MATCH):
        one = m->not_match;
        return decode_rules(d, &one, 1, CONF_PREDICATE_NOT, out, err);
    case PREDICATE(DESTINATION_PORT_RANGE):
        out->kind = CONF_PREDICATE_PORTS;
        out->start = (uint32_t)m->destination_port_range->start;
        out->end = (uint32_t)m->destination_port_range->end;
        return 0;
    default:
        return error_set(err, ERR_INVALID, "rule: value is required");
    }
}

static int decode_disabled(struct decode *d, const Envoy__Config__Listener__V3__ListenerFilter *m,
                           struct conf_predicate **out, struct error *err)
{
    if (!m->filter_disabled)
        return 0;
    *out = arena_zalloc(d->out, sizeof(**out));
    int rc = decode_predicate(d, m->filter_disabled, *out, err);
    return rc ? error_prefix(err, "filter_disabled.") : 0;
}

/* ---- proxy_protocol ---- */

#define PASS(x) ENVOY__CONFIG__CORE__V3__PROXY_PROTOCOL_PASS_THROUGH_TLVS__PASS_TLVS_MATCH_TYPE__##x

static int set_versions(const proxy_protocol_msg *m, struct conf_proxy_protocol *out,
                        struct error *err)
{
    for (size_t i = 0; i < m->n_disallowed_versions; i++) {
        if ((unsigned)m->disallowed_versions[i] > 1)
            return error_set(err, ERR_INVALID, "disallowed_versions[%zu]: unknown value %d", i,
                             (int)m->disallowed_versions[i]);
        out->is_disallowed[m->disallowed_versions[i]] = true;
    }
    return 0;
}

int decode_pass_tlvs(const Envoy__Config__Core__V3__ProxyProtocolPassThroughTLVs *m,
                     uint8_t passes[32], struct error *err)
{
    if (m && m->match_type == PASS(INCLUDE_ALL))
        memset(passes, 0xff, 32);
    for (size_t i = 0; m && m->match_type == PASS(INCLUDE) && i < m->n_tlv_type; i++) {
        if (m->tlv_type[i] > UINT8_MAX)
            return error_set(err, ERR_INVALID, "pass_through_tlvs.tlv_type[%zu]: above 255", i);
        passes[m->tlv_type[i] / 8] |= (uint8_t)(1 << m->tlv_type[i] % 8);
    }
    return 0;
}

static int decode_proxy_protocol(struct decode *d, const Google__Protobuf__Any *any,
                                 struct conf_listener *l, struct error *err)
{
    ProtobufCMessage *msg;
    int rc = decode_any(d, any, &msg, err);
    if (rc)
        return rc;
    const proxy_protocol_msg *m = (const proxy_protocol_msg *)msg;
    struct conf_proxy_protocol *out = l->proxy_protocol = DECODE_NEW(d, struct conf_proxy_protocol);
    out->stat_prefix = decode_text(d, m->stat_prefix);
    out->allows_none = m->allow_requests_without_proxy_protocol;
    rc = set_versions(m, out, err);
    if (!rc)
        rc = decode_pass_tlvs(m->pass_through_tlvs, out->passes, err);
    return rc ? error_prefix(err, "typed_config.") : 0;
}

/* ---- original_src ---- */

static int decode_original_src(struct decode *d, const Google__Protobuf__Any *any,
                               struct conf_listener *l, struct error *err)
{
    ProtobufCMessage *msg;
    if (decode_any(d, any, &msg, err))
        return error_code(err);
    const original_src_msg *m = (const original_src_msg *)msg;
    l->original_src = (struct conf_original_src){true, m->bind_port, m->mark};
    return 0;
}

/* ---- all of them ---- */

static int decode_listener_filter(struct decode *d,
                                  const Envoy__Config__Listener__V3__ListenerFilter *m,
                                  struct conf_listener *l, struct error *err)
{
    struct str type = STR("");
    if (m->config_type_case ==
        ENVOY__CONFIG__LISTENER__V3__LISTENER_FILTER__CONFIG_TYPE_TYPED_CONFIG)
        type = pb_any_type(m->typed_config);
    if (str_is(type, LISTENER_FILTER "original_dst.v3.OriginalDst")) {
        l->has_original_dst_filter = true;
        return m->filter_disabled
                   ? error_set(err, ERR_UNSUPPORTED, "filter_disabled: not supported")
                   : 0;
    }
    if (str_is(type, LISTENER_FILTER "tls_inspector.v3.TlsInspector")) {
        l->has_tls_inspector = true;
        return decode_disabled(d, m, &l->tls_inspector_disabled, err);
    }
    if (str_is(type, LISTENER_FILTER "http_inspector.v3.HttpInspector")) {
        l->has_http_inspector = true;
        return decode_disabled(d, m, &l->http_inspector_disabled, err);
    }
    if (str_is(type, LISTENER_FILTER "original_src.v3.OriginalSrc")) {
        int rc = decode_original_src(d, m->typed_config, l, err);
        return rc ? rc : decode_disabled(d, m, &l->original_src_disabled, err);
    }
    if (str_is(type, LISTENER_FILTER "proxy_protocol.v3.ProxyProtocol")) {
        int rc = decode_proxy_protocol(d, m->typed_config, l, err);
        return rc ? rc : decode_disabled(d, m, &l->proxy_protocol_disabled, err);
    }
    return error_set(
        err, ERR_UNSUPPORTED,
        "typed_config: Didn't find a registered implementation for '%s' with type URL: '%.*s'",
        m->name, STR_ARG(type));
}

int decode_listener_filters(struct decode *d, const listener_msg *m, struct conf_listener *l,
                            struct error *err)
{
    for (size_t i = 0; i < m->n_listener_filters; i++)
        if (decode_listener_filter(d, m->listener_filters[i], l, err))
            return error_prefix(err, "listener_filters[%zu].", i);
    return 0;
}
