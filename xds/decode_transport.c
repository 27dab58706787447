/* Transport sockets of filter chains and clusters: plain TCP or TLS, and which of a cluster's is
 * for which host. */
#include "envoy/extensions/transport_sockets/proxy_protocol/v3/upstream_proxy_protocol.pb-c.h"
#include "net/proxy_protocol.h"
#include "xds/decode_private.h"

typedef Envoy__Extensions__TransportSockets__ProxyProtocol__V3__ProxyProtocolUpstreamTransport
    proxy_out_msg;

#define VERSION(x) ENVOY__CONFIG__CORE__V3__PROXY_PROTOCOL_CONFIG__VERSION__##x
#define SOCKETS "envoy.extensions.transport_sockets."
#define MATCH_KEY "envoy.transport_socket_match"

static int add_tlvs(struct decode *d, const Envoy__Config__Core__V3__ProxyProtocolConfig *m,
                    struct conf_proxy_out *out, struct error *err)
{
    struct sbuf tlvs = {0};
    int rc = 0;
    for (size_t i = 0; i < m->n_added_tlvs && !rc; i++) {
        const Envoy__Config__Core__V3__TlvEntry *t = m->added_tlvs[i];
        if (t->type > UINT8_MAX)
            rc = error_set(err, ERR_INVALID, "added_tlvs[%zu].type: must be below 256", i);
        else if (!t->value.len)
            rc = error_set(err, ERR_INVALID, "added_tlvs[%zu].value: must not be empty", i);
        else if (!proxy_protocol_add_tlv(&tlvs, (uint8_t)t->type,
                                         (struct str){(char *)t->value.data, t->value.len}))
            rc = error_set(err, ERR_LIMIT, "added_tlvs: too long");
    }
    out->added = (struct str){arena_strndup(d->out, tlvs.n ? tlvs.p : "", tlvs.n), tlvs.n};
    sbuf_fini(&tlvs);
    return rc;
}

static int decode_proxy_out(struct decode *d, const proxy_out_msg *m, struct conf_proxy_out *out,
                            struct error *err)
{
    out->version = 1;
    if (!m->config)
        return 0;
    if (m->config->version != VERSION(V1) && m->config->version != VERSION(V2))
        return error_set(err, ERR_INVALID, "config.version: unknown value %d",
                         (int)m->config->version);
    out->version = m->config->version == VERSION(V2) ? 2 : 1;
    int rc = decode_pass_tlvs(m->config->pass_through_tlvs, out->passes, err);
    if (!rc)
        rc = add_tlvs(d, m->config, out, err);
    return rc ? error_prefix(err, "config.") : 0;
}

static int decode_socket(struct decode *d, const Envoy__Config__Core__V3__TransportSocket *t,
                         bool is_server, struct conf_tls **tls_r, struct error *err);

/* The header goes before what is inside, plain or TLS. */
static int decode_wrapped(struct decode *d, const Google__Protobuf__Any *any,
                          struct conf_tls **tls_r, struct error *err)
{
    ProtobufCMessage *msg;
    if (decode_any(d, any, &msg, err))
        return error_code(err);
    const proxy_out_msg *m = (const proxy_out_msg *)msg;
    if (!m->transport_socket)
        return error_set(err, ERR_INVALID, "typed_config.transport_socket: required");
    int rc = decode_socket(d, m->transport_socket, false, tls_r, err);
    if (!rc && *tls_r && (*tls_r)->proxy_out)
        rc = error_set(err, ERR_INVALID, "transport_socket: a header within a header");
    if (rc)
        return error_prefix(err, "typed_config.");
    if (!*tls_r) {
        *tls_r = conf_tls_create(false);
        (*tls_r)->is_plain = true;
    }
    struct conf_tls *tls = *tls_r;
    struct arena *saved = d->out;
    struct conf_proxy_out *out;
    d->out = &tls->object.arena;
    out = DECODE_NEW(d, struct conf_proxy_out);
    tls->proxy_out = out;
    rc = decode_proxy_out(d, m, out, err);
    tls->object.hash = hash_xx64(any->value.data, any->value.len, tls->object.hash + 1);
    d->out = saved;
    return rc ? error_prefix(err, "typed_config.") : 0;
}

static int decode_socket(struct decode *d, const Envoy__Config__Core__V3__TransportSocket *t,
                         bool is_server, struct conf_tls **tls_r, struct error *err)
{
    *tls_r = NULL;
    if (!t)
        return 0;
    struct str type = pb_any_type(t->typed_config);
    if (str_is(type, SOCKETS "raw_buffer.v3.RawBuffer"))
        return 0;
    if (!is_server && str_is(type, SOCKETS "proxy_protocol.v3.ProxyProtocolUpstreamTransport"))
        return decode_wrapped(d, t->typed_config, tls_r, err)
                   ? error_prefix(err, "transport_socket.")
                   : 0;
    if (!str_is(type, is_server ? SOCKETS "tls.v3.DownstreamTlsContext"
                                : SOCKETS "tls.v3.UpstreamTlsContext"))
        return error_set(err, ERR_UNSUPPORTED, "transport_socket: '%s' is not supported", t->name);
    return decode_tls(d, t->typed_config, is_server, tls_r, err)
               ? error_prefix(err, "transport_socket.")
               : 0;
}

int decode_transport_down(struct decode *d, const Envoy__Config__Core__V3__TransportSocket *t,
                          struct conf_tls **tls_r, struct error *err)
{
    return decode_socket(d, t, true, tls_r, err);
}

/* ---- which socket ---- */

/* False: a value of a kind that nothing is compared with. */
static bool format_value(struct decode *d, const Google__Protobuf__Value *v, struct str *text_r)
{
    const char *text;
    switch (v->kind_case) {
    case GOOGLE__PROTOBUF__VALUE__KIND_STRING_VALUE:
        text = arena_printf(d->out, "s%s", v->string_value);
        break;
    case GOOGLE__PROTOBUF__VALUE__KIND_BOOL_VALUE:
        text = v->bool_value ? "true" : "false";
        break;
    case GOOGLE__PROTOBUF__VALUE__KIND_NUMBER_VALUE:
        text = arena_printf(d->out, "%.17g", v->number_value);
        break;
    default:
        return false;
    }
    *text_r = str_of(text);
    return true;
}

static int set_values(struct decode *d, const Google__Protobuf__Struct *s, bool is_strict,
                      struct conf_socket_value **values_r, size_t *n_r, struct error *err)
{
    size_t n = s ? s->n_fields : 0;
    *values_r = DECODE_ARRAY(d, struct conf_socket_value, n);
    *n_r = 0;
    for (size_t i = 0; i < n; i++) {
        struct conf_socket_value *v = &(*values_r)[*n_r];
        if (s->fields[i]->value && format_value(d, s->fields[i]->value, &v->value)) {
            v->key = decode_str(d, s->fields[i]->key);
            ++*n_r;
        } else if (is_strict) {
            return error_set(err, ERR_UNSUPPORTED,
                             "match.%s: only texts, numbers and booleans are supported",
                             s->fields[i]->key);
        }
    }
    return 0;
}

void decode_socket_values(struct decode *d, const Envoy__Config__Core__V3__Metadata *m,
                          struct conf_endpoint *e)
{
    const Envoy__Config__Core__V3__Metadata__FilterMetadataEntry *found =
        m ? PB_MAP_FIND(m, filter_metadata, MATCH_KEY) : NULL;
    if (found && found->value)
        set_values(d, found->value, false, &e->socket_values, &e->socket_values_n, NULL);
}

static int decode_match(struct decode *d,
                        const Envoy__Config__Cluster__V3__Cluster__TransportSocketMatch *m,
                        struct conf_transport *t, struct error *err)
{
    t->name = decode_text(d, m->name);
    if (set_values(d, m->match, true, &t->match, &t->match_n, err))
        return -ERR_UNSUPPORTED;
    if (!m->transport_socket)
        return error_set(err, ERR_INVALID, "transport_socket: required");
    return decode_socket(d, m->transport_socket, false, &t->tls, err);
}

int decode_transports(struct decode *d, const Envoy__Config__Cluster__V3__Cluster *m,
                      struct conf_cluster *c, struct error *err)
{
    c->transport.name = "";
    if (decode_socket(d, m->transport_socket, false, &c->transport.tls, err))
        return error_code(err);
    c->transport_matches = DECODE_ARRAY(d, struct conf_transport, m->n_transport_socket_matches);
    for (size_t i = 0; i < m->n_transport_socket_matches; i++)
        if (decode_match(d, m->transport_socket_matches[i],
                         &c->transport_matches[c->transport_matches_n++], err))
            return error_prefix(err, "transport_socket_matches[%zu].", i);
    return 0;
}
