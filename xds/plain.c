/* Discovery responses that did not come by a stream. */
#include "proto/json.h"
#include "proto/pb.h"
#include "proto/yaml.h"
#include "xds/peek.h"
#include "xds/sources_private.h"

#define RESOURCE_URL "type.googleapis.com/envoy.service.discovery.v3.Resource"

struct lister {
    enum xds_type type;
    const struct subs *subs;
    struct pb_arena *arena;
    struct hash seen;
    struct xds_resource *resources;
    size_t n;
};

static int add(struct lister *l, const Google__Protobuf__Any *any, const char *version, size_t i,
               struct error *err)
{
    struct str value = {(const char *)any->value.data, any->value.len}, name;
    if (strcmp(any->type_url, xds_type_url(l->type)))
        return error_set(err, ERR_INVALID,
                         "resources[%zu]: decode: type_url '%.200s' where '%s' is asked for", i,
                         any->type_url, xds_type_url(l->type));
    if (!peek_string(value, 1, &name))
        return error_set(err, ERR_INVALID, "resources[%zu]: decode: malformed message", i);
    if (!name.n)
        return error_set(err, ERR_INVALID, "resources[%zu]: validate: without a name", i);
    if (hash_set(&l->seen, name, l))
        return error_set(err, ERR_DUPLICATE, "%.*s: validate: duplicate name in one response",
                         STR_ARG(name));
    char *copy = pb_arena_strndup(l->arena, name.p, name.n);
    if (!copy)
        return error_set(err, ERR_LIMIT, "resources[%zu]: decode: response too large", i);
    if (subs_is_wanted(l->subs, copy))
        l->resources[l->n++] =
            (struct xds_resource){.name = copy, .version = version, .value = value};
    return 0;
}

static int add_any(struct lister *l, const Google__Protobuf__Any *any, const char *version,
                   size_t i, struct error *err)
{
    ProtobufCMessage *msg;
    if (strcmp(any->type_url, RESOURCE_URL))
        return add(l, any, version, i, err);
    if (pb_any_unpack_as(any, &envoy__service__discovery__v3__resource__descriptor, l->arena, &msg,
                         err))
        return error_prefix(err, "resources[%zu]: decode: ", i);
    const Envoy__Service__Discovery__V3__Resource *r = (const void *)msg;
    return r->resource ? add(l, r->resource, version, i, err) : 0;
}

static int list(const Envoy__Service__Discovery__V3__DiscoveryResponse *m, enum xds_type t,
                const struct subs *subs, struct pb_arena *arena, struct xds_update *u,
                struct error *err)
{
    struct lister l = {.type = t, .subs = subs, .arena = arena};
    int rc = 0;
    l.resources = pb_arena_alloc(arena, (m->n_resources + 1) * sizeof(*l.resources));
    if (!l.resources)
        return error_set(err, ERR_LIMIT, "decode: too many resources");
    for (size_t i = 0; i < m->n_resources && !rc; i++)
        rc = add_any(&l, m->resources[i], m->version_info, i, err);
    hash_fini(&l.seen);
    *u = (struct xds_update){
        .type = t,
        .is_complete = t == XDS_LDS || t == XDS_CDS || t == XDS_SRDS,
        .version = m->version_info,
        .resources = l.resources,
        .resources_n = l.n,
    };
    return rc;
}

static int parse(enum plain_form form, struct str text, struct pb_arena *arena,
                 ProtobufCMessage **msg_r, struct error *err)
{
    const ProtobufCMessageDescriptor *desc =
        &envoy__service__discovery__v3__discovery_response__descriptor;
    json_t *json = NULL;
    if (form == PLAIN_BYTES)
        return pb_unpack(desc, text.p, text.n, arena, msg_r, err);
    int rc = form == PLAIN_JSON ? pb_json_load(text.p, text.n, &json, err)
                                : pb_yaml_load(text.p, text.n, &json, err);
    if (!rc && !json_is_object(json))
        rc = error_set(err, ERR_INVALID, "a DiscoveryResponse must be an object");
    if (!rc)
        rc = pb_from_json(json, desc, arena, NULL, msg_r, err);
    json_decref(json);
    return rc;
}

int plain_read(enum plain_form form, struct str text, enum xds_type t, const struct subs *subs,
               struct pb_arena *arena, struct xds_update *u, struct error *err)
{
    ProtobufCMessage *msg;
    int rc = parse(form, text, arena, &msg, err);
    return rc ? rc : list((const void *)msg, t, subs, arena, u, err);
}
