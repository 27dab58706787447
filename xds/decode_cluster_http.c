/* How a cluster speaks HTTP to its hosts: HttpProtocolOptions, else the cluster's own fields of the
 * time before. */
#include "conf/tls.h"
#include "envoy/extensions/upstreams/http/v3/http_protocol_options.pb-c.h"
#include "xds/decode_private.h"

typedef Envoy__Config__Cluster__V3__Cluster cluster_msg;
typedef Envoy__Extensions__Upstreams__Http__V3__HttpProtocolOptions options_msg;
typedef Envoy__Config__Core__V3__Http1ProtocolOptions http1_msg;
typedef Envoy__Config__Core__V3__Http2ProtocolOptions http2_msg;

enum { IDLE_TIMEOUT_MS = 3600 * 1000, HEADERS_KB_MAX = 8192 };

#define OPTIONS(x) ENVOY__EXTENSIONS__UPSTREAMS__HTTP__V3__HTTP_PROTOCOL_OPTIONS__##x

static int set_common(const Envoy__Config__Core__V3__HttpProtocolOptions *o, struct conf_cluster *c,
                      struct error *err)
{
    c->idle_timeout_ms = IDLE_TIMEOUT_MS;
    if (!o)
        return 0;
    if (o->max_requests_per_connection)
        c->max_requests_per_connection = o->max_requests_per_connection->value;
    c->response_headers_count_max = pb_u32(o->max_headers_count, 0);
    if (o->max_headers_count && !c->response_headers_count_max)
        return error_set(err, ERR_INVALID,
                         "common_http_protocol_options.max_headers_count: must be at least 1");
    uint32_t kb = pb_u32(o->max_response_headers_kb, 0);
    if (o->max_response_headers_kb && (!kb || kb > HEADERS_KB_MAX))
        return error_set(err, ERR_INVALID,
                         "common_http_protocol_options.max_response_headers_kb: must be within 1 "
                         "and %d",
                         HEADERS_KB_MAX);
    c->response_headers_size_max = kb * 1024;
    int rc = decode_ms(o->idle_timeout, IDLE_TIMEOUT_MS, "idle_timeout", &c->idle_timeout_ms, err);
    if (!rc)
        rc = decode_ms(o->max_stream_duration, 0, "max_stream_duration", &c->max_stream_duration_ms,
                       err);
    if (!rc)
        rc = decode_ms(o->max_connection_duration, 0, "max_connection_duration",
                       &c->max_connection_duration_ms, err);
    return rc ? error_prefix(err, "common_http_protocol_options.") : 0;
}

static int set_protocol(struct decode *d, struct conf_cluster *c, enum conf_upstream_http http,
                        const http1_msg *h1, const http2_msg *h2, struct error *err)
{
    if (decode_header_case(d, h1, &c->h1_case, err))
        return error_prefix(err, "http_protocol_options.");
    c->http = http;
    c->http1_trailers = h1 && h1->enable_trailers;
    return decode_http2(h2, &c->http2, err) ? error_prefix(err, "http2_protocol_options.") : 0;
}

static int set_explicit(struct decode *d, const options_msg *o, struct conf_cluster *c,
                        struct error *err)
{
    switch (o->explicit_http_config->protocol_config_case) {
    case OPTIONS(EXPLICIT_HTTP_CONFIG__PROTOCOL_CONFIG_HTTP_PROTOCOL_OPTIONS):
        return set_protocol(d, c, CONF_UPSTREAM_HTTP1,
                            o->explicit_http_config->http_protocol_options, NULL, err);
    case OPTIONS(EXPLICIT_HTTP_CONFIG__PROTOCOL_CONFIG_HTTP2_PROTOCOL_OPTIONS):
        return set_protocol(d, c, CONF_UPSTREAM_HTTP2, NULL,
                            o->explicit_http_config->http2_protocol_options, err);
    default:
        return error_set(err, ERR_INVALID, "protocol_config: required");
    }
}

static int set_options(struct decode *d, const options_msg *o, struct conf_cluster *c,
                       struct error *err)
{
    switch (o->upstream_protocol_options_case) {
    case OPTIONS(UPSTREAM_PROTOCOL_OPTIONS_EXPLICIT_HTTP_CONFIG):
        return set_explicit(d, o, c, err) ? error_prefix(err, "explicit_http_config.") : 0;
    case OPTIONS(UPSTREAM_PROTOCOL_OPTIONS_USE_DOWNSTREAM_PROTOCOL_CONFIG):
        return set_protocol(d, c, CONF_UPSTREAM_AS_CLIENT,
                            o->use_downstream_protocol_config->http_protocol_options,
                            o->use_downstream_protocol_config->http2_protocol_options, err)
                   ? error_prefix(err, "use_downstream_protocol_config.")
                   : 0;
    case OPTIONS(UPSTREAM_PROTOCOL_OPTIONS_AUTO_CONFIG):
        return set_protocol(d, c, CONF_UPSTREAM_BY_ALPN, o->auto_config->http_protocol_options,
                            o->auto_config->http2_protocol_options, err)
                   ? error_prefix(err, "auto_config.")
                   : 0;
    default:
        return error_set(err, ERR_INVALID, "upstream_protocol_options: required");
    }
}

static void set_names(struct decode *d,
                      const Envoy__Config__Core__V3__UpstreamHttpProtocolOptions *o,
                      struct conf_cluster *c)
{
    if (!o)
        return;
    c->auto_sni = o->auto_sni;
    c->auto_san = o->auto_san_validation;
    char *name = arena_strdup(d->out, o->override_auto_sni_header);
    for (char *p = name; *p; p++)
        *p = str_lower(*p);
    c->auto_sni_header = name;
}

int decode_cluster_http(struct decode *d, const cluster_msg *m, struct conf_cluster *c,
                        struct error *err)
{
    static const char key[] = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
    const Envoy__Config__Cluster__V3__Cluster__TypedExtensionProtocolOptionsEntry *e =
        PB_MAP_FIND(m, typed_extension_protocol_options, key);
    ProtobufCMessage *msg;
    if (!e) {
        set_names(d, m->upstream_http_protocol_options, c);
        int rc = set_common(m->common_http_protocol_options, c, err);
        return rc ? rc
                  : set_protocol(
                        d, c, m->http2_protocol_options ? CONF_UPSTREAM_HTTP2 : CONF_UPSTREAM_HTTP1,
                        m->http_protocol_options, m->http2_protocol_options, err);
    }
    int rc = pb_any_unpack_as(
        e->value, &envoy__extensions__upstreams__http__v3__http_protocol_options__descriptor,
        &d->pb, &msg, err);
    if (rc)
        return error_prefix(err, "typed_extension_protocol_options.%s: ", key);
    const options_msg *o = (const options_msg *)msg;
    set_names(d, o->upstream_http_protocol_options, c);
    rc = set_common(o->common_http_protocol_options, c, err);
    if (!rc)
        rc = set_options(d, o, c, err);
    return rc ? error_prefix(err, "typed_extension_protocol_options.%s.", key) : 0;
}

int decode_check_alpn(const struct conf_cluster *c, struct error *err)
{
    bool has_plain = !c->transport.tls || c->transport.tls->is_plain;
    for (size_t i = 0; i < c->transport_matches_n; i++)
        has_plain |= !c->transport_matches[i].tls || c->transport_matches[i].tls->is_plain;
    return c->http == CONF_UPSTREAM_BY_ALPN && has_plain
               ? error_set(err, ERR_INVALID,
                           "ALPN configured for cluster %s which has a non-ALPN transport socket",
                           c->object.name)
               : 0;
}
