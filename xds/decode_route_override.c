/* typed_per_filter_config: of a route configuration, a virtual host, a route or a weighted
 * cluster. */
#include "base/log.h"
#include "xds/decode_route_private.h"

typedef Envoy__Config__Route__V3__Route__TypedPerFilterConfigEntry entry_msg;
typedef Envoy__Config__Route__V3__FilterConfig config_msg;

#define FILTER_CONFIG "envoy.config.route.v3.FilterConfig"

static int refuse(const char *name, struct str type, struct error *err)
{
    return error_set(
        err, ERR_UNSUPPORTED,
        "typed_per_filter_config[%s]: Didn't find a registered implementation for '%s' "
        "with type URL: '%.*s'",
        name, name, STR_ARG(type));
}

/* What the no-op filters take as long as it says nothing. */
static bool is_empty_noop(const Google__Protobuf__Any *any, struct str type)
{
    return any && !any->value.len &&
           (str_is(type, "envoy.extensions.filters.http.fault.v3.HTTPFault") ||
            str_is(type, "envoy.extensions.filters.http.cors.v3.CorsPolicy"));
}

/* Sets *has_r when there is something to keep. */
static int decode_filter_config(const char *name, const config_msg *c, bool *disabled_r,
                                bool *has_r, struct error *err)
{
    struct str type = c->config ? pb_any_type(c->config) : STR("");
    *disabled_r = c->disabled;
    *has_r = true;
    if (c->disabled)
        return 0;
    if (!c->config)
        return error_set(err, ERR_INVALID,
                         "typed_per_filter_config[%s]: Empty route/virtual host per filter "
                         "configuration for %s filter",
                         name, name);
    if (!type.n || is_empty_noop(c->config, type))
        return 0;
    *has_r = false;
    if (!c->is_optional)
        return refuse(name, type, err);
    log_warn(LOG_CONFIG, "optional settings of HTTP filter '%s' are unknown and left out", name);
    return 0;
}

int decode_overrides(struct decode *d, ProtobufCMessage *const *entries, size_t n,
                     struct conf_filter_overrides *out, struct error *err)
{
    out->v = DECODE_ARRAY(d, struct conf_filter_override, n);
    for (size_t i = 0; i < n; i++) {
        /* The entries of all maps of this shape are alike. */
        const entry_msg *e = (const entry_msg *)entries[i];
        struct str type = pb_any_type(e->value);
        bool is_disabled = false, has = false;
        ProtobufCMessage *msg;
        if (str_is(type, FILTER_CONFIG)) {
            if (pb_any_unpack(e->value, &d->pb, &msg, err))
                return error_prefix(err, "typed_per_filter_config[%s]: ", e->key);
            if (decode_filter_config(e->key, (const config_msg *)msg, &is_disabled, &has, err))
                return -ERR_UNSUPPORTED;
        } else if (!is_empty_noop(e->value, type)) {
            return refuse(e->key, type, err);
        }
        if (has)
            out->v[out->n++] = (struct conf_filter_override){decode_str(d, e->key), is_disabled};
    }
    return 0;
}
