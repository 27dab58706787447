/* The filter istio.alpn. */
#include "contrib/envoy/extensions/filters/http/alpn/v3/alpn.pb-c.h"
#include "xds/decode_private.h"

typedef Istio__Envoy__Config__Filter__Http__Alpn__V2alpha1__FilterConfig config_msg;

#define PROTOCOL(x) ISTIO__ENVOY__CONFIG__FILTER__HTTP__ALPN__V2ALPHA1__FILTER_CONFIG__PROTOCOL__##x

int decode_istio_alpn(struct decode *d, const Google__Protobuf__Any *any,
                      struct conf_http_filter *f, struct error *err)
{
    ProtobufCMessage *msg;
    if (decode_any(d, any, &msg, err))
        return error_code(err);
    const config_msg *m = (const config_msg *)msg;
    struct conf_alpn *out = DECODE_NEW(d, struct conf_alpn);
    f->alpn = out;
    for (size_t i = 0; i < m->n_alpn_override; i++) {
        struct str list;
        if (decode_alpn(d, m->alpn_override[i]->alpn_override, m->alpn_override[i]->n_alpn_override,
                        "alpn_override", &list, err))
            return error_prefix(err, "typed_config.alpn_override[%zu].", i);
        /* HTTP10 is never spoken to an upstream. */
        if (m->alpn_override[i]->upstream_protocol == PROTOCOL(HTTP2))
            out->http2 = list;
        else if (m->alpn_override[i]->upstream_protocol == PROTOCOL(HTTP11))
            out->http1 = list;
    }
    return 0;
}

bool decode_keeps_alpn(const Envoy__Config__Core__V3__Metadata *m)
{
    for (size_t i = 0; m && i < m->n_filter_metadata; i++) {
        const Google__Protobuf__Struct *s = m->filter_metadata[i]->value;
        if (!s || strcmp(m->filter_metadata[i]->key, "istio"))
            continue;
        for (size_t k = 0; k < s->n_fields; k++) {
            const Google__Protobuf__Value *v = s->fields[k]->value;
            if (!strcmp(s->fields[k]->key, "alpn_override") && v &&
                v->kind_case == GOOGLE__PROTOBUF__VALUE__KIND_STRING_VALUE)
                return !strcmp(v->string_value, "false");
        }
    }
    return false;
}
