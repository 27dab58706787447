/* SPIFFECertValidatorConfig, the one validator of its kind that there is: authorities by trust
 * domain. Source: Envoy's SPIFFEValidator; SPIFFE Trust Domain and Bundle, section 4. */
#include "base/mem.h"
#include "envoy/extensions/transport_sockets/tls/v3/tls_spiffe_validator_config.pb-c.h"
#include "proto/json.h"
#include "proto/value.h"
#include "xds/decode_tls.h"

typedef Envoy__Extensions__TransportSockets__Tls__V3__SPIFFECertValidatorConfig spiffe_msg;

static int add_domain(struct conf_secret *s, const char *name,
                      const Envoy__Config__Core__V3__DataSource *bundle, struct error *err)
{
    struct tls_validation *v = &s->validation;
    struct tls_trust_domain *d = &v->domains[v->domains_n];
    for (size_t i = 0; i < v->domains_n; i++)
        if (str_is(v->domains[i].name, name))
            return error_set(err, ERR_DUPLICATE,
                             "name: Multiple trust bundles are given for one trust domain for %s",
                             name);
    if (!*name || !bundle)
        return error_set(err, ERR_INVALID, "%s: required", *name ? "trust_bundle" : "name");
    d->name = str_of(arena_strdup(&s->object.arena, name));
    v->domains_n++;
    return decode_secret_bytes(s, bundle, "trust_bundle", &d->bundle, err);
}

static int set_domains(struct conf_secret *s, const spiffe_msg *m, struct error *err)
{
    s->validation.domains =
        arena_zalloc(&s->object.arena, m->n_trust_domains * sizeof(*s->validation.domains));
    for (size_t i = 0; i < m->n_trust_domains; i++)
        if (add_domain(s, m->trust_domains[i]->name, m->trust_domains[i]->trust_bundle, err))
            return error_prefix(err, "trust_domains[%zu].", i);
    return 0;
}

/* ---- a set of bundles in JSON ---- */

static const Google__Protobuf__ListValue *list_of(const Google__Protobuf__Struct *s,
                                                  const char *key)
{
    const Google__Protobuf__Value *v = pb_struct_get(s, key);
    return v && v->kind_case == GOOGLE__PROTOBUF__VALUE__KIND_LIST_VALUE ? v->list_value : NULL;
}

/* A certificate in base64, as PEM has it: in lines. */
static void add_pem(struct sbuf *b, struct str base64)
{
    enum { LINE = 64 };
    sbuf_addz(b, "-----BEGIN CERTIFICATE-----\n");
    for (size_t at = 0; at < base64.n; at += LINE) {
        sbuf_add(b, base64.p + at, base64.n - at < LINE ? base64.n - at : LINE);
        sbuf_addc(b, '\n');
    }
    sbuf_addz(b, "-----END CERTIFICATE-----\n");
}

/* Authorities are the keys for X.509; others sign tokens. */
static int add_key(const Google__Protobuf__Value *v, struct sbuf *pem, struct error *err)
{
    if (v->kind_case != GOOGLE__PROTOBUF__VALUE__KIND_STRUCT_VALUE)
        return error_set(err, ERR_INVALID, "must be an object");
    const char *use = pb_struct_string(v->struct_value, "use");
    if (!use)
        return error_set(err, ERR_INVALID, "use: required");
    if (strcmp(use, "x509-svid"))
        return 0;
    const Google__Protobuf__ListValue *certs = list_of(v->struct_value, "x5c");
    if (!certs || !certs->n_values)
        return error_set(err, ERR_INVALID, "x5c: must not be empty");
    for (size_t i = 0; i < certs->n_values; i++) {
        if (certs->values[i]->kind_case != GOOGLE__PROTOBUF__VALUE__KIND_STRING_VALUE)
            return error_set(err, ERR_INVALID, "x5c[%zu]: must be a string", i);
        add_pem(pem, str_of(certs->values[i]->string_value));
    }
    return 0;
}

static int add_bundle(struct conf_secret *s, const Google__Protobuf__Struct *domains,
                      const char *name, struct error *err)
{
    struct tls_trust_domain *d = &s->validation.domains[s->validation.domains_n];
    const Google__Protobuf__ListValue *keys = list_of(pb_struct_struct(domains, name), "keys");
    struct sbuf pem = {0};
    int rc = 0;
    if (!keys)
        return error_set(err, ERR_INVALID, "keys: required");
    for (size_t i = 0; i < keys->n_values && !rc; i++)
        if ((rc = add_key(keys->values[i], &pem, err)))
            error_prefix(err, "keys[%zu].", i);
    if (!rc && !pem.n)
        rc = error_set(err, ERR_INVALID, "keys: none is an authority for X.509 (use: x509-svid)");
    if (!rc) {
        d->name = str_of(arena_strdup(&s->object.arena, name));
        d->bundle = (struct str){arena_strndup(&s->object.arena, pem.p, pem.n), pem.n};
        s->validation.domains_n++;
    }
    sbuf_fini(&pem);
    return rc;
}

static int add_bundles(struct conf_secret *s, const Google__Protobuf__Struct *all,
                       struct error *err)
{
    const Google__Protobuf__Struct *domains = pb_struct_struct(all, "trust_domains");
    if (!domains || !domains->n_fields)
        return error_set(err, ERR_INVALID, "trust_domains: must not be empty");
    s->validation.domains =
        arena_zalloc(&s->object.arena, domains->n_fields * sizeof(*s->validation.domains));
    for (size_t i = 0; i < domains->n_fields; i++)
        if (add_bundle(s, domains, domains->fields[i]->key, err))
            return error_prefix(err, "trust_domains.%s.", domains->fields[i]->key);
    return 0;
}

static int set_bundles(struct decode *d, struct conf_secret *s,
                       const Envoy__Config__Core__V3__DataSource *m, struct error *err)
{
    struct str text;
    json_t *json;
    ProtobufCMessage *msg;
    int rc = decode_secret_bytes(s, m, "trust_bundles", &text, err);
    if (rc)
        return rc;
    rc = pb_json_load(text.p, text.n, &json, err);
    if (!rc) {
        rc = pb_from_json(json, &google__protobuf__struct__descriptor, &d->pb, NULL, &msg, err);
        json_decref(json);
    }
    if (!rc)
        rc = add_bundles(s, (const Google__Protobuf__Struct *)msg, err);
    return rc ? error_prefix(err, "trust_bundles: ") : 0;
}

int decode_spiffe_validator(struct decode *d, struct conf_secret *s,
                            const Envoy__Config__Core__V3__TypedExtensionConfig *m,
                            struct error *err)
{
    ProtobufCMessage *msg;
    int rc = 0;
    if (!m)
        return 0;
    if (pb_any_unpack_as(
            m->typed_config,
            &envoy__extensions__transport_sockets__tls__v3__spiffecert_validator_config__descriptor,
            &d->pb, &msg, err))
        return error_prefix(err, "custom_validator_config.typed_config: ");
    const spiffe_msg *c = (const spiffe_msg *)msg;
    if (c->trust_bundles) /* alone, as in Envoy */
        rc = set_bundles(d, s, c->trust_bundles, err);
    else if (c->n_trust_domains)
        rc = set_domains(s, c, err);
    else
        rc = error_set(err, ERR_INVALID, "trust_domains: must not be empty");
    return rc ? error_prefix(err, "custom_validator_config.typed_config.") : 0;
}
