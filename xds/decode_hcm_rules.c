/* HttpConnectionManager: who the client is, and how paths and hosts are brought into form. */
#include "envoy/extensions/http/original_ip_detection/custom_header/v3/custom_header.pb-c.h"
#include "envoy/extensions/http/original_ip_detection/xff/v3/xff.pb-c.h"
#include "envoy/extensions/request_id/uuid/v3/uuid.pb-c.h"
#include "xds/decode_private.h"

typedef Envoy__Extensions__Http__OriginalIpDetection__Xff__V3__XffConfig xff_msg;
typedef Envoy__Extensions__Http__OriginalIpDetection__CustomHeader__V3__CustomHeaderConfig
    custom_msg;
typedef Envoy__Extensions__RequestId__Uuid__V3__UuidRequestIdConfig uuid_msg;

#define HCM(x) \
    ENVOY__EXTENSIONS__FILTERS__NETWORK__HTTP_CONNECTION_MANAGER__V3__HTTP_CONNECTION_MANAGER__##x
#define DETECTION "envoy.extensions.http.original_ip_detection."

static int set_xff(struct decode *d, const xff_msg *m, struct conf_detection *out,
                   struct error *err)
{
    out->hops = m->xff_num_trusted_hops;
    out->appends = !pb_bool(m->skip_xff_append, true);
    if (!m->xff_trusted_cidrs)
        return 0;
    if (m->xff_num_trusted_hops)
        return error_set(err, ERR_INVALID,
                         "Cannot set both xff_num_trusted_hops and xff_trusted_cidrs");
    out->trusted_n = m->xff_trusted_cidrs->n_cidrs;
    return decode_prefixes(d, m->xff_trusted_cidrs->cidrs, out->trusted_n,
                           "xff_trusted_cidrs.cidrs", &out->trusted, err);
}

static int set_custom(struct decode *d, const custom_msg *m, struct conf_detection *out,
                      struct error *err)
{
    out->header = decode_lower(d, m->header_name);
    out->is_trusted = m->allow_extension_to_set_address_as_trusted;
    /* What is no refusal becomes one. */
    if (m->reject_with_status)
        out->reject_status =
            m->reject_with_status->code >= 400 ? (unsigned)m->reject_with_status->code : 403;
    return out->header.n ? 0 : error_set(err, ERR_INVALID, "header_name: must not be empty");
}

static int set_detection(struct decode *d, const Envoy__Config__Core__V3__TypedExtensionConfig *m,
                         struct conf_detection *out, struct error *err)
{
    struct str type = pb_any_type(m->typed_config);
    bool is_xff = str_is(type, DETECTION "xff.v3.XffConfig");
    ProtobufCMessage *msg;
    if (!is_xff && !str_is(type, DETECTION "custom_header.v3.CustomHeaderConfig"))
        return error_set(err, ERR_UNSUPPORTED, "typed_config: not supported: %.*s", STR_ARG(type));
    int rc = decode_any(d, m->typed_config, &msg, err);
    if (rc)
        return rc;
    rc = is_xff ? set_xff(d, (const xff_msg *)msg, out, err)
                : set_custom(d, (const custom_msg *)msg, out, err);
    return rc ? error_prefix(err, "typed_config.") : 0;
}

static int set_detections(struct decode *d, const hcm_msg *m, struct conf_hcm *h, struct error *err)
{
    size_t n = m->n_original_ip_detection_extensions;
    h->detections = DECODE_ARRAY(d, struct conf_detection, n);
    if (n && h->use_remote_address)
        return error_set(
            err, ERR_INVALID,
            "Original IP detection extensions and use_remote_address may not be mixed");
    if (n && h->xff_num_trusted_hops)
        return error_set(
            err, ERR_INVALID,
            "Original IP detection extensions and xff_num_trusted_hops may not be mixed");
    for (; h->detections_n < n; h->detections_n++)
        if (set_detection(d, m->original_ip_detection_extensions[h->detections_n],
                          &h->detections[h->detections_n], err))
            return error_prefix(err, "original_ip_detection_extensions[%zu].", h->detections_n);
    return 0;
}

static int set_scheme(struct decode *d,
                      const Envoy__Config__Core__V3__SchemeHeaderTransformation *m,
                      struct conf_hcm *h, struct error *err)
{
    bool is_set =
        m &&
        m->transformation_case ==
            ENVOY__CONFIG__CORE__V3__SCHEME_HEADER_TRANSFORMATION__TRANSFORMATION_SCHEME_TO_OVERWRITE;
    h->scheme = is_set ? decode_text(d, m->scheme_to_overwrite) : "";
    if (is_set && !str_is(str_of(h->scheme), "http") && !str_is(str_of(h->scheme), "https"))
        return error_set(err, ERR_INVALID,
                         "scheme_header_transformation.scheme_to_overwrite: must be http or https");
    return 0;
}

static int set_slashes(const hcm_msg *m, struct conf_hcm *h, struct error *err)
{
    switch (m->path_with_escaped_slashes_action) {
    case HCM(PATH_WITH_ESCAPED_SLASHES_ACTION__IMPLEMENTATION_SPECIFIC_DEFAULT):
    case HCM(PATH_WITH_ESCAPED_SLASHES_ACTION__KEEP_UNCHANGED):
        h->escaped_slashes = CONF_SLASHES_KEEP;
        return 0;
    case HCM(PATH_WITH_ESCAPED_SLASHES_ACTION__REJECT_REQUEST):
        h->escaped_slashes = CONF_SLASHES_REJECT;
        return 0;
    case HCM(PATH_WITH_ESCAPED_SLASHES_ACTION__UNESCAPE_AND_REDIRECT):
        h->escaped_slashes = CONF_SLASHES_REDIRECT;
        return 0;
    case HCM(PATH_WITH_ESCAPED_SLASHES_ACTION__UNESCAPE_AND_FORWARD):
        h->escaped_slashes = CONF_SLASHES_FORWARD;
        return 0;
    default:
        return error_set(err, ERR_INVALID, "path_with_escaped_slashes_action: unknown value %d",
                         (int)m->path_with_escaped_slashes_action);
    }
}

static int set_request_id(struct decode *d, const hcm_msg *m, struct conf_hcm *h, struct error *err)
{
    ProtobufCMessage *msg;
    h->pack_trace_reason = true;
    if (!m->request_id_extension)
        return 0;
    if (!str_is(pb_any_type(m->request_id_extension->typed_config),
                "envoy.extensions.request_id.uuid.v3.UuidRequestIdConfig"))
        return error_set(err, ERR_UNSUPPORTED,
                         "request_id_extension.typed_config: only UuidRequestIdConfig is "
                         "supported");
    if (decode_any(d, m->request_id_extension->typed_config, &msg, err))
        return error_prefix(err, "request_id_extension.");
    h->pack_trace_reason = pb_bool(((const uuid_msg *)msg)->pack_trace_reason, true);
    return 0;
}

int decode_hcm_rules(struct decode *d, const hcm_msg *m, struct conf_hcm *h, struct error *err)
{
    const Envoy__Config__Core__V3__Http1ProtocolOptions *http1 = m->http_protocol_options;
    h->strip_any_port = m->strip_port_mode_case == HCM(STRIP_PORT_MODE_STRIP_ANY_HOST_PORT) &&
                        m->strip_any_host_port;
    h->strip_matching_port = m->strip_matching_host_port;
    h->keeps_broken = http1 && http1->override_stream_error_on_invalid_http_message
                          ? http1->override_stream_error_on_invalid_http_message->value
                          : pb_bool(m->stream_error_on_invalid_http_message, false);
    h->strip_host_dot = m->strip_trailing_host_dot;
    h->append_x_forwarded_port = m->append_x_forwarded_port;
    h->maps_ipv4 = m->represent_ipv4_remote_address_as_ipv4_mapped_ipv6;
    if (h->strip_any_port && h->strip_matching_port)
        return error_set(err, ERR_INVALID,
                         "Error: Only one of `strip_matching_host_port` or `strip_any_host_port` "
                         "can be set.");
    if (m->internal_address_config) {
        h->unix_is_internal = m->internal_address_config->unix_sockets;
        h->internal_n = m->internal_address_config->n_cidr_ranges;
        if (decode_prefixes(d, m->internal_address_config->cidr_ranges, h->internal_n,
                            "internal_address_config.cidr_ranges", &h->internal, err))
            return error_code(err);
    }
    int rc = set_detections(d, m, h, err);
    if (!rc)
        rc = set_scheme(d, m->scheme_header_transformation, h, err);
    if (!rc)
        rc = set_slashes(m, h, err);
    return rc ? rc : set_request_id(d, m, h, err);
}
