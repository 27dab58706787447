/* Secrets: certificates with their keys, session ticket keys, others. Whom to trust is decoded in
 * decode_validation.c. Keys live in the secret's arena, which is wiped. */
#include "net/tls_certs.h"
#include "net/tls_check.h"
#include "xds/decode_tls.h"

#define SECRET(x) ENVOY__EXTENSIONS__TRANSPORT_SOCKETS__TLS__V3__SECRET__TYPE_##x
#define SOURCE(x) ENVOY__CONFIG__CORE__V3__CONFIG_SOURCE__CONFIG_SOURCE_SPECIFIER_##x

int decode_secret_bytes(struct conf_secret *s, const Envoy__Config__Core__V3__DataSource *m,
                        const char *field, struct str *bytes_r, struct error *err)
{
    struct decode d = {.out = &s->object.arena};
    if (!m)
        return 0;
    if (decode_data_source(&d, m, SECRET_MAX, bytes_r, err))
        return error_prefix(err, "%s: ", field);
    s->object.hash = hash_xx64(bytes_r->p, bytes_r->n, s->object.hash + 1);
    if (m->specifier_case == ENVOY__CONFIG__CORE__V3__DATA_SOURCE__SPECIFIER_FILENAME &&
        s->files_n < ARRAY_LEN(s->files))
        s->files[s->files_n++] = decode_text(&d, m->filename);
    return 0;
}

static const char *path_of(const struct conf_secret *s,
                           const Envoy__Config__Core__V3__DataSource *m)
{
    bool is_file =
        m && m->specifier_case == ENVOY__CONFIG__CORE__V3__DATA_SOURCE__SPECIFIER_FILENAME;
    return is_file && s->files_n ? s->files[0] : "<inline>";
}

/* A secret that cannot be used gives way to its error. */
static int finish(struct conf_secret *s, const ProtobufCMessage *m, int rc,
                  struct conf_secret **secret_r)
{
    if (!rc)
        s->object.hash = decode_hash(m, s->object.hash);
    *secret_r = rc ? NULL : s;
    if (rc)
        conf_object_unref(s);
    return rc;
}

int decode_certificate(const certificate_msg *m, struct conf_secret **secret_r, struct error *err)
{
    struct conf_secret *s = conf_secret_create("", CONF_SECRET_CERTIFICATE);
    struct decode d = {.out = &s->object.arena};
    struct tls_certificate *c = &s->certificate;
    int rc = decode_secret_bytes(s, m->certificate_chain, "certificate_chain", &c->chain, err);
    c->path = path_of(s, m->certificate_chain);
    if (!rc)
        rc = decode_secret_bytes(s, m->private_key, "private_key", &c->key, err);
    if (!rc)
        rc = decode_secret_bytes(s, m->password, "password", &c->password, err);
    if (!rc)
        rc = decode_secret_bytes(s, m->ocsp_staple, "ocsp_staple", &c->ocsp_staple, err);
    if (!rc && !c->chain.n)
        rc = error_set(err, ERR_INVALID, "certificate_chain: must not be empty");
    if (!rc && !c->key.n)
        rc = error_set(err, ERR_INVALID, "private_key: must not be empty");
    if (m->watched_directory)
        s->watched_directory = decode_text(&d, m->watched_directory->path);
    if (!rc)
        rc = tls_check_certificate(c, err);
    if (!rc)
        s->expires_s = tls_certs_expiry(c->chain);
    return finish(s, &m->base, rc, secret_r);
}

int decode_ticket_keys(const ticket_keys_msg *m, struct conf_secret **secret_r, struct error *err)
{
    struct conf_secret *s = conf_secret_create("", CONF_SECRET_TICKET_KEYS);
    struct tls_ticket_keys *t = &s->ticket_keys;
    int rc = m->n_keys ? 0 : error_set(err, ERR_INVALID, "keys: must not be empty");
    t->keys = arena_zalloc(&s->object.arena, m->n_keys * sizeof(*t->keys));
    for (size_t i = 0; i < m->n_keys && !rc; i++) {
        struct str key = {0};
        rc = decode_secret_bytes(s, m->keys[i], "keys", &key, err);
        if (!rc && key.n != TLS_TICKET_KEY_SIZE)
            rc = error_set(err, ERR_INVALID,
                           "keys[%zu]: incorrect TLS session ticket key length: %zu, expected %d",
                           i, key.n, TLS_TICKET_KEY_SIZE);
        if (!rc)
            memcpy(t->keys[i], key.p, key.n);
    }
    t->n = m->n_keys;
    return finish(s, &m->base, rc, secret_r);
}

static int decode_generic(const Envoy__Extensions__TransportSockets__Tls__V3__GenericSecret *m,
                          struct conf_secret **secret_r, struct error *err)
{
    struct conf_secret *s = conf_secret_create("", CONF_SECRET_GENERIC);
    int rc = decode_secret_bytes(s, m->secret, "secret", &s->generic, err);
    return finish(s, &m->base, rc, secret_r);
}

static int decode_type(struct decode *d, const secret_msg *m, struct conf_secret **secret_r,
                       struct error *err)
{
    switch (m->type_case) {
    case SECRET(TLS_CERTIFICATE):
        return decode_certificate(m->tls_certificate, secret_r, err)
                   ? error_prefix(err, "tls_certificate.")
                   : 0;
    case SECRET(VALIDATION_CONTEXT):
        return decode_validation(d, m->validation_context, secret_r, err)
                   ? error_prefix(err, "validation_context.")
                   : 0;
    case SECRET(SESSION_TICKET_KEYS):
        return decode_ticket_keys(m->session_ticket_keys, secret_r, err)
                   ? error_prefix(err, "session_ticket_keys.")
                   : 0;
    case SECRET(GENERIC_SECRET):
        return decode_generic(m->generic_secret, secret_r, err)
                   ? error_prefix(err, "generic_secret.")
                   : 0;
    default:
        return error_set(err, ERR_INVALID, "type: required");
    }
}

int decode_secret(struct str bytes, const struct pb_unknown *unknown, struct conf_secret **secret_r,
                  struct error *err)
{
    struct decode d;
    ProtobufCMessage *msg;
    *secret_r = NULL;
    int rc =
        decode_begin(&d, bytes, unknown,
                     &envoy__extensions__transport_sockets__tls__v3__secret__descriptor, &msg, err);
    const secret_msg *m = (const secret_msg *)msg;
    if (!rc)
        rc = decode_type(&d, m, secret_r, err);
    if (!rc) {
        struct conf_object *o = &(*secret_r)->object;
        o->name = arena_strdup(&o->arena, m->name);
        o->hash = hash_xx64(bytes.p, bytes.n, o->hash);
    }
    decode_end(&d);
    return rc;
}

/* ---- references ---- */

static int set_api(struct decode *d, const Envoy__Config__Core__V3__ApiConfigSource *api,
                   struct conf_secret_ref *ref, struct error *err)
{
    const Envoy__Config__Core__V3__GrpcService *g =
        api->n_grpc_services ? api->grpc_services[0] : NULL;
    ref->source = CONF_SECRET_API;
    ref->is_delta =
        api->api_type == ENVOY__CONFIG__CORE__V3__API_CONFIG_SOURCE__API_TYPE__DELTA_GRPC;
    if (g && g->target_specifier_case ==
                 ENVOY__CONFIG__CORE__V3__GRPC_SERVICE__TARGET_SPECIFIER_ENVOY_GRPC)
        ref->target = decode_text(d, g->envoy_grpc->cluster_name);
    else if (api->n_cluster_names)
        ref->target = decode_text(d, api->cluster_names[0]);
    return *ref->target ? 0
                        : error_set(err, ERR_UNSUPPORTED,
                                    "api_config_source: neither grpc_services[0].envoy_grpc nor "
                                    "cluster_names[0] is set");
}

static int set_source(struct decode *d, const Envoy__Config__Core__V3__ConfigSource *s,
                      struct conf_secret_ref *ref, struct error *err)
{
    const Envoy__Config__Core__V3__PathConfigSource *path;
    if (decode_ms(s->initial_fetch_timeout, 15000, "initial_fetch_timeout",
                  &ref->initial_fetch_timeout_ms, err))
        return error_code(err);
    switch (s->config_source_specifier_case) {
    case SOURCE(ADS):
    case SOURCE(SELF):
        ref->source = CONF_SECRET_ADS;
        return 0;
    case SOURCE(API_CONFIG_SOURCE):
        return set_api(d, s->api_config_source, ref, err);
    case SOURCE(PATH):
        ref->source = CONF_SECRET_PATH;
        ref->target = decode_text(d, s->path);
        return 0;
    case SOURCE(PATH_CONFIG_SOURCE):
        path = s->path_config_source;
        ref->source = CONF_SECRET_PATH;
        ref->target = decode_text(d, path->path);
        if (path->watched_directory)
            ref->watched = decode_text(d, path->watched_directory->path);
        return 0;
    default:
        return error_set(err, ERR_INVALID, "config_source_specifier: required");
    }
}

int decode_secret_ref(struct decode *d, const sds_msg *m, enum conf_secret_kind kind,
                      struct conf_secret_ref *ref, struct error *err)
{
    *ref = (struct conf_secret_ref){
        .source = CONF_SECRET_STATIC, .target = "", .watched = "", .kind = kind};
    ref->name = ref->key = decode_text(d, m->name);
    if (!*m->name)
        return error_set(err, ERR_INVALID, "name: must not be empty");
    if (!m->sds_config)
        return 0;
    if (decode_config_source(d, m->sds_config, &ref->from, err) ||
        set_source(d, m->sds_config, ref, err))
        return error_prefix(err, "sds_config.");
    ref->key = arena_printf(d->out, "%s|%s", ref->source == CONF_SECRET_ADS ? "ads" : ref->target,
                            m->name);
    return 0;
}
