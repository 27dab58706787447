/* ScopedRouteConfiguration, and HttpConnectionManager's scoped_routes. */
#include "envoy/config/route/v3/scoped_route.pb-c.h"
#include "xds/decode_private.h"

typedef Envoy__Config__Route__V3__ScopedRouteConfiguration scope_msg;
typedef Envoy__Extensions__Filters__Network__HttpConnectionManager__V3__ScopedRoutes scoped_msg;
typedef Envoy__Extensions__Filters__Network__HttpConnectionManager__V3__ScopedRoutes__ScopeKeyBuilder__FragmentBuilder__HeaderValueExtractor
    extractor_msg;

#define EXTRACT(x) \
    ENVOY__EXTENSIONS__FILTERS__NETWORK__HTTP_CONNECTION_MANAGER__V3__SCOPED_ROUTES__SCOPE_KEY_BUILDER__FRAGMENT_BUILDER__HEADER_VALUE_EXTRACTOR__EXTRACT_TYPE_##x
#define SCOPES(x) \
    ENVOY__EXTENSIONS__FILTERS__NETWORK__HTTP_CONNECTION_MANAGER__V3__SCOPED_ROUTES__CONFIG_SPECIFIER_##x

/* ---- one scope ---- */

static int set_key(const scope_msg *m, struct conf_scope *s, struct error *err)
{
    struct sbuf key = {0};
    if (!m->key || !m->key->n_fragments)
        return error_set(err, ERR_INVALID, "key.fragments: at least one is required");
    for (size_t i = 0; i < m->key->n_fragments; i++) {
        if (!m->key->fragments[i]->type_case) {
            sbuf_fini(&key);
            return error_set(err, ERR_INVALID, "key.fragments[%zu].type: required", i);
        }
        conf_scope_key_add(&key, str_of(m->key->fragments[i]->string_key));
    }
    s->key = (struct str){arena_strndup(&s->object.arena, key.p, key.n), key.n};
    sbuf_fini(&key);
    return 0;
}

static int fill_scope(const scope_msg *m, struct conf_scope *s, struct error *err)
{
    if (!*m->name)
        return error_set(err, ERR_INVALID, "name: must not be empty");
    if (*m->route_configuration_name && m->route_configuration)
        return error_set(err, ERR_INVALID,
                         "route_configuration_name: not beside route_configuration");
    if (!*m->route_configuration_name && !m->route_configuration)
        return error_set(err, ERR_INVALID, "route_configuration_name: must not be empty");
    if (*m->route_configuration_name)
        s->route_name = arena_strdup(&s->object.arena, m->route_configuration_name);
    if (m->route_configuration &&
        decode_route_message(m->route_configuration, &s->route_config, err))
        return error_prefix(err, "route_configuration.");
    return set_key(m, s, err);
}

static int decode_scope_message(const scope_msg *m, struct conf_scope **scope_r, struct error *err)
{
    struct conf_scope *s = conf_scope_create(m->name);
    int rc = fill_scope(m, s, err);
    *scope_r = rc ? NULL : s;
    if (rc)
        conf_object_unref(s);
    return rc;
}

int decode_scoped_route(struct str bytes, const struct pb_unknown *unknown,
                        struct conf_scope **scope_r, struct error *err)
{
    struct decode d;
    ProtobufCMessage *msg;
    *scope_r = NULL;
    int rc =
        decode_begin(&d, bytes, unknown,
                     &envoy__config__route__v3__scoped_route_configuration__descriptor, &msg, err);
    if (!rc)
        rc = decode_scope_message((const scope_msg *)msg, scope_r, err);
    if (!rc)
        (*scope_r)->object.hash = hash_xx64(bytes.p, bytes.n, 0);
    decode_end(&d);
    return rc;
}

/* ---- in a connection manager ---- */

static int set_fragment(struct decode *d, const extractor_msg *m, struct conf_scope_fragment *f,
                        struct error *err)
{
    f->header = decode_lower(d, m->name);
    if (str_is(f->header, "host")) /* one header, whichever the protocol calls it */
        f->header = STR(":authority");
    f->element_separator = decode_str(d, m->element_separator);
    if (!f->header.n)
        return error_set(err, ERR_INVALID, "name: must not be empty");
    switch (m->extract_type_case) {
    case EXTRACT(INDEX):
        f->place = m->index;
        if (!f->element_separator.n && f->place)
            return error_set(err, ERR_INVALID,
                             "index: must be 0 when there is no element_separator");
        return 0;
    case EXTRACT(ELEMENT):
        f->by_key = true;
        f->key = decode_str(d, m->element->key);
        f->separator = decode_str(d, m->element->separator);
        if (!f->key.n || !f->separator.n)
            return error_set(err, ERR_INVALID, "element: key and separator must not be empty");
        return 0;
    default:
        return error_set(err, ERR_INVALID, "extract_type: required");
    }
}

static int set_builder(struct decode *d, const scoped_msg *m, struct conf_scoped_routes *s,
                       struct error *err)
{
    size_t n = m->scope_key_builder ? m->scope_key_builder->n_fragments : 0;
    if (!n)
        return error_set(err, ERR_INVALID, "scope_key_builder.fragments: at least one is required");
    s->fragments = DECODE_ARRAY(d, struct conf_scope_fragment, n);
    for (; s->fragments_n < n; s->fragments_n++) {
        size_t i = s->fragments_n;
        const extractor_msg *e = m->scope_key_builder->fragments[i]->type_case
                                     ? m->scope_key_builder->fragments[i]->header_value_extractor
                                     : NULL;
        if (!e)
            return error_set(err, ERR_INVALID, "scope_key_builder.fragments[%zu].type: required",
                             i);
        if (set_fragment(d, e, &s->fragments[i], err))
            return error_prefix(err, "scope_key_builder.fragments[%zu].header_value_extractor.", i);
    }
    return 0;
}

static int set_list(struct decode *d, const scoped_msg *m, struct conf_scoped_routes *s,
                    struct error *err)
{
    size_t n = m->scoped_route_configurations_list->n_scoped_route_configurations;
    if (!n)
        return error_set(err, ERR_INVALID,
                         "scoped_route_configurations_list.scoped_route_configurations: at least "
                         "one is required");
    s->scopes = DECODE_ARRAY(d, struct conf_scope *, n);
    for (size_t i = 0; i < n; i++) {
        struct conf_scope *scope;
        if (decode_scope_message(
                m->scoped_route_configurations_list->scoped_route_configurations[i], &scope, err))
            return error_prefix(
                err, "scoped_route_configurations_list.scoped_route_configurations[%zu].", i);
        s->scopes[s->scopes_n++] = scope;
        if (hash_set(&s->by_key, scope->key, scope))
            return error_set(
                err, ERR_DUPLICATE,
                "scoped_route_configurations_list.scoped_route_configurations[%zu].key:"
                " scope key conflict found",
                i);
    }
    return 0;
}

int decode_scoped_routes(struct decode *d, const hcm_msg *hcm, struct conf_hcm *h,
                         struct error *err)
{
    const scoped_msg *m = hcm->scoped_routes;
    struct conf_scoped_routes *s = h->scoped = DECODE_NEW(d, struct conf_scoped_routes);
    s->name = decode_text(d, m->name);
    if (!*m->name)
        return error_set(err, ERR_INVALID, "name: must not be empty");
    int rc = set_builder(d, m, s, err);
    if (rc)
        return rc;
    if (m->config_specifier_case == SCOPES(SCOPED_RDS)) {
        s->is_subscribed = true;
        if (decode_config_source(d, m->scoped_rds->scoped_rds_config_source, &s->source, err))
            return error_prefix(err, "scoped_rds.scoped_rds_config_source: ");
        return decode_config_source(d, m->rds_config_source, &s->rds_source, err)
                   ? error_prefix(err, "rds_config_source: ")
                   : 0;
    }
    if (m->config_specifier_case != SCOPES(SCOPED_ROUTE_CONFIGURATIONS_LIST))
        return error_set(err, ERR_INVALID, "config_specifier: required");
    rc = set_list(d, m, s, err);
    for (size_t i = 0; !rc && i < s->scopes_n; i++)
        if (*s->scopes[i]->route_name) {
            if (decode_config_source(d, m->rds_config_source, &s->rds_source, err))
                return error_prefix(err, "rds_config_source: ");
            break;
        }
    return rc;
}
