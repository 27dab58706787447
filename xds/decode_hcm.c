#include <string.h>

#include "xds/decode_private.h"

enum {
    HEADERS_KB = 60,
    HEADERS_KB_MAX = 8192,
    HEADERS_COUNT = 100,
    IDLE_TIMEOUT_MS = 3600 * 1000,
    STREAM_IDLE_TIMEOUT_MS = 300 * 1000,
    DRAIN_TIMEOUT_MS = 5000,
    DELAYED_CLOSE_TIMEOUT_MS = 1000,
};

#define HCM(x) \
    ENVOY__EXTENSIONS__FILTERS__NETWORK__HTTP_CONNECTION_MANAGER__V3__HTTP_CONNECTION_MANAGER__##x

static int set_codec(const hcm_msg *m, struct conf_hcm *h, struct error *err)
{
    switch (m->codec_type) {
    case HCM(CODEC_TYPE__AUTO):
        h->codec = CONF_CODEC_AUTO;
        break;
    case HCM(CODEC_TYPE__HTTP1):
        h->codec = CONF_CODEC_HTTP1;
        break;
    case HCM(CODEC_TYPE__HTTP2):
        h->codec = CONF_CODEC_HTTP2;
        break;
    default:
        return error_set(err, ERR_UNSUPPORTED,
                         "codec_type: only AUTO, HTTP1 and HTTP2 are "
                         "supported");
    }
    if (decode_http2(m->http2_protocol_options, &h->http2, err))
        return error_prefix(err, "http2_protocol_options.");
    return 0;
}

static int set_xfcc(const hcm_msg *m, struct conf_hcm *h, struct error *err)
{
    static const enum conf_xfcc modes[] = {CONF_XFCC_SANITIZE, CONF_XFCC_FORWARD, CONF_XFCC_APPEND,
                                           CONF_XFCC_SET, CONF_XFCC_ALWAYS_FORWARD};
    unsigned mode = (unsigned)m->forward_client_cert_details;
    if (mode >= ARRAY_LEN(modes))
        return error_set(err, ERR_INVALID, "forward_client_cert_details: unknown value %u", mode);
    h->xfcc = modes[mode];
    if (m->set_current_client_cert_details) {
        h->xfcc_subject = pb_bool(m->set_current_client_cert_details->subject, false);
        h->xfcc_cert = m->set_current_client_cert_details->cert;
        h->xfcc_chain = m->set_current_client_cert_details->chain;
        h->xfcc_uri = m->set_current_client_cert_details->uri;
        h->xfcc_dns = m->set_current_client_cert_details->dns;
    }
    return 0;
}

static int set_routes(struct decode *d, const hcm_msg *m, struct conf_hcm *h, struct error *err)
{
    switch (m->route_specifier_case) {
    case HCM(ROUTE_SPECIFIER_RDS):
        if (!*m->rds->route_config_name)
            return error_set(err, ERR_INVALID, "rds.route_config_name: must not be empty");
        h->rds_name = decode_text(d, m->rds->route_config_name);
        if (decode_config_source(d, m->rds->config_source, &h->rds_source, err))
            return error_prefix(err, "rds.config_source: ");
        return 0;
    case HCM(ROUTE_SPECIFIER_ROUTE_CONFIG):
        if (decode_route_message(m->route_config, &h->route_config, err))
            return error_prefix(err, "route_config.");
        return 0;
    case HCM(ROUTE_SPECIFIER__NOT_SET):
        return error_set(err, ERR_INVALID, "route_specifier: required");
    default:
        return decode_scoped_routes(d, m, h, err) ? error_prefix(err, "scoped_routes.") : 0;
    }
}

static int set_headers(struct decode *d, const hcm_msg *m, struct conf_hcm *h, struct error *err)
{
    uint32_t kb = pb_u32(m->max_request_headers_kb, HEADERS_KB);
    if (!kb || kb > HEADERS_KB_MAX)
        return error_set(err, ERR_INVALID, "max_request_headers_kb: must be within 1 and %d",
                         HEADERS_KB_MAX);
    h->request_headers_size_max = kb * 1024;
    h->request_headers_count_max = HEADERS_COUNT;
    h->server_name = *m->server_name ? decode_text(d, m->server_name) : "envoy";
    switch (m->server_header_transformation) {
    case HCM(SERVER_HEADER_TRANSFORMATION__OVERWRITE):
        h->server_header = CONF_SERVER_OVERWRITE;
        break;
    case HCM(SERVER_HEADER_TRANSFORMATION__APPEND_IF_ABSENT):
        h->server_header = CONF_SERVER_APPEND_IF_ABSENT;
        break;
    case HCM(SERVER_HEADER_TRANSFORMATION__PASS_THROUGH):
        h->server_header = CONF_SERVER_PASS;
        break;
    default:
        return error_set(err, ERR_INVALID, "server_header_transformation: unknown value %d",
                         (int)m->server_header_transformation);
    }
    h->via = decode_text(d, m->via);
    h->use_remote_address = pb_bool(m->use_remote_address, false);
    h->skip_xff_append = m->skip_xff_append;
    h->xff_num_trusted_hops = m->xff_num_trusted_hops;
    h->generate_request_id = pb_bool(m->generate_request_id, true);
    h->preserve_external_request_id = m->preserve_external_request_id;
    h->always_set_request_id_in_response = m->always_set_request_id_in_response;
    h->proxy_100_continue = m->proxy_100_continue;
    h->normalize_path = pb_bool(m->normalize_path, false);
    h->merge_slashes = m->merge_slashes;
    return decode_hcm_rules(d, m, h, err);
}

#define UNDERSCORES(x) \
    ENVOY__CONFIG__CORE__V3__HTTP_PROTOCOL_OPTIONS__HEADERS_WITH_UNDERSCORES_ACTION__##x

static int set_underscores(const Envoy__Config__Core__V3__HttpProtocolOptions *o,
                           struct conf_hcm *h, struct error *err)
{
    switch (o->headers_with_underscores_action) {
    case UNDERSCORES(ALLOW):
        h->underscores = CONF_UNDERSCORES_ALLOW;
        return 0;
    case UNDERSCORES(REJECT_REQUEST):
        h->underscores = CONF_UNDERSCORES_REJECT;
        return 0;
    case UNDERSCORES(DROP_HEADER):
        h->underscores = CONF_UNDERSCORES_DROP;
        return 0;
    default:
        return error_set(err, ERR_INVALID, "headers_with_underscores_action: unknown value %d",
                         (int)o->headers_with_underscores_action);
    }
}

static int set_common(const Envoy__Config__Core__V3__HttpProtocolOptions *o, struct conf_hcm *h,
                      struct error *err)
{
    h->idle_timeout_ms = IDLE_TIMEOUT_MS;
    if (!o)
        return 0;
    h->request_headers_count_max = pb_u32(o->max_headers_count, HEADERS_COUNT);
    h->max_requests_per_connection = pb_u32(o->max_requests_per_connection, 0);
    if (!h->request_headers_count_max)
        return error_set(err, ERR_INVALID, "max_headers_count: must be at least 1");
    if (set_underscores(o, h, err))
        return error_code(err);
    int rc = decode_ms(o->max_connection_duration, 0, "max_connection_duration",
                       &h->max_connection_duration_ms, err);
    if (!rc)
        rc = decode_ms(o->max_stream_duration, 0, "max_stream_duration", &h->max_stream_duration_ms,
                       err);
    return rc ? rc
              : decode_ms(o->idle_timeout, IDLE_TIMEOUT_MS, "idle_timeout", &h->idle_timeout_ms,
                          err);
}

static int set_http1(struct decode *d, const Envoy__Config__Core__V3__Http1ProtocolOptions *o,
                     struct conf_hcm *h, struct error *err)
{
    h->h1_trailers = o && o->enable_trailers;
    h->default_host_for_http_10 = o ? decode_text(d, o->default_host_for_http_10) : "";
    h->accept_http_10 = o && o->accept_http_10;
    h->h1_any_method = o && o->allow_custom_methods;
    h->h1_keeps_absolute = o && o->allow_absolute_url && !o->allow_absolute_url->value;
    h->h1_chunked_beats_length = o && o->allow_chunked_length;
    return decode_header_case(d, o, &h->h1_case, err);
}

static int set_upgrades(struct decode *d, const hcm_msg *m, struct conf_hcm *h, struct error *err)
{
    h->upgrades = DECODE_ARRAY(d, struct conf_upgrade, m->n_upgrade_configs);
    h->upgrades_n = m->n_upgrade_configs;
    for (size_t i = 0; i < h->upgrades_n; i++)
        if (decode_upgrade(d, m->upgrade_configs[i]->upgrade_type, m->upgrade_configs[i]->enabled,
                           h->upgrades, i, err))
            return error_code(err);
    return 0;
}

static int set_timeouts(const hcm_msg *m, struct conf_hcm *h, struct error *err)
{
    const struct {
        const Google__Protobuf__Duration *from;
        uint32_t def_ms;
        const char *field;
        uint32_t *to;
    } rows[] = {
        {m->stream_idle_timeout, STREAM_IDLE_TIMEOUT_MS, "stream_idle_timeout",
         &h->stream_idle_timeout_ms},
        {m->request_timeout, 0, "request_timeout", &h->request_timeout_ms},
        {m->request_headers_timeout, 0, "request_headers_timeout", &h->request_headers_timeout_ms},
        {m->drain_timeout, DRAIN_TIMEOUT_MS, "drain_timeout", &h->drain_timeout_ms},
        {m->delayed_close_timeout, DELAYED_CLOSE_TIMEOUT_MS, "delayed_close_timeout",
         &h->delayed_close_timeout_ms},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (decode_ms(rows[i].from, rows[i].def_ms, rows[i].field, rows[i].to, err))
            return error_code(err);
    return 0;
}

int decode_hcm(struct decode *d, const ProtobufCMessage *msg, struct conf_net_filter *f,
               struct error *err)
{
    const hcm_msg *m = (const hcm_msg *)msg;
    struct conf_hcm *h = f->hcm = DECODE_NEW(d, struct conf_hcm);
    if (!*m->stat_prefix)
        return error_set(err, ERR_INVALID, "stat_prefix: must not be empty");
    h->stat_prefix = decode_text(d, m->stat_prefix);
    if (set_http1(d, m->http_protocol_options, h, err))
        return error_prefix(err, "http_protocol_options.");
    int rc = set_codec(m, h, err);
    if (!rc)
        rc = set_xfcc(m, h, err);
    if (!rc)
        rc = set_headers(d, m, h, err);
    if (!rc && set_common(m->common_http_protocol_options, h, err))
        rc = error_prefix(err, "common_http_protocol_options.");
    if (!rc)
        rc = set_upgrades(d, m, h, err);
    if (!rc)
        rc = set_timeouts(m, h, err);
    if (!rc)
        rc = set_routes(d, m, h, err);
    if (!rc)
        rc = decode_local_reply(d, m, h, err);
    if (!rc)
        rc = decode_access_logs(d, m->access_log, m->n_access_log, false, &h->access_logs,
                                &h->access_logs_n, err);
    return rc ? rc : decode_http_filters(d, m, h, err);
}
