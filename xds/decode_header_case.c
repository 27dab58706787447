/* Http1ProtocolOptions.header_key_format. */
#include "envoy/extensions/http/header_formatters/preserve_case/v3/preserve_case.pb-c.h"
#include "xds/decode_private.h"

typedef Envoy__Config__Core__V3__Http1ProtocolOptions http1_msg;
typedef Envoy__Extensions__Http__HeaderFormatters__PreserveCase__V3__PreserveCaseFormatterConfig
    preserve_msg;

#define FORMAT(x) \
    ENVOY__CONFIG__CORE__V3__HTTP1_PROTOCOL_OPTIONS__HEADER_KEY_FORMAT__HEADER_FORMAT_##x

static int decode_preserve(struct decode *d, const Envoy__Config__Core__V3__TypedExtensionConfig *m,
                           enum conf_header_case *out, struct error *err)
{
    ProtobufCMessage *msg;
    if (pb_any_unpack_as(
            m->typed_config,
            &envoy__extensions__http__header_formatters__preserve_case__v3__preserve_case_formatter_config__descriptor,
            &d->pb, &msg, err))
        return error_prefix(err, "typed_config: ");
    const preserve_msg *p = (const preserve_msg *)msg;
    if ((unsigned)p->formatter_type_on_envoy_headers > 1)
        return error_set(err, ERR_INVALID,
                         "typed_config.formatter_type_on_envoy_headers: unknown value %d",
                         (int)p->formatter_type_on_envoy_headers);
    *out = p->formatter_type_on_envoy_headers ? CONF_CASE_PRESERVE_PROPER : CONF_CASE_PRESERVE;
    return 0;
}

int decode_header_case(struct decode *d, const http1_msg *o, enum conf_header_case *out,
                       struct error *err)
{
    *out = CONF_CASE_LOWER;
    if (!o || !o->header_key_format)
        return 0;
    switch (o->header_key_format->header_format_case) {
    case FORMAT(PROPER_CASE_WORDS):
        *out = CONF_CASE_PROPER;
        return 0;
    case FORMAT(STATEFUL_FORMATTER):
        return decode_preserve(d, o->header_key_format->stateful_formatter, out, err)
                   ? error_prefix(err, "header_key_format.stateful_formatter.")
                   : 0;
    default:
        return error_set(err, ERR_INVALID, "header_key_format.header_format: required");
    }
}
