/* State of the world: every request names all that is wanted, and is tied to the newest response
 * by its nonce. */
#include "base/mem.h"
#include "xds/ads_private.h"
#include "xds/peek.h"

#define RESOURCE_URL "type.googleapis.com/envoy.service.discovery.v3.Resource"

/* ---- responses ---- */

static int decode(struct ads *a, struct str bytes, struct ads_response *r, struct error *err)
{
    ProtobufCMessage *msg;
    int rc = pb_unpack(&envoy__service__discovery__v3__discovery_response__descriptor, bytes.p,
                       bytes.n, &a->arena, &msg, err);
    if (rc)
        return rc;
    const Envoy__Service__Discovery__V3__DiscoveryResponse *m = (const void *)msg;
    r->msg = msg;
    r->type_url = m->type_url;
    r->nonce = m->nonce;
    r->version = m->version_info;
    r->is_empty = m->n_resources == 0;
    return 0;
}

static struct str any_value(const Google__Protobuf__Any *any)
{
    return (struct str){(const char *)any->value.data, any->value.len};
}

static int check_url(struct ads_type *t, const Google__Protobuf__Any *any, size_t i,
                     struct error *err)
{
    if (!strcmp(any->type_url, xds_type_url(t->type)))
        return 0;
    return error_set(err, ERR_INVALID,
                     "resources[%zu]: decode: type_url '%.200s' in a response of "
                     "type '%s'",
                     i, any->type_url, xds_type_url(t->type));
}

/* Every one of our types has its name in field 1. */
static int get_name(struct ads_lister *l, const Google__Protobuf__Any *any, size_t i,
                    const char **name_r, struct error *err)
{
    struct str name;
    if (!peek_string(any_value(any), 1, &name))
        return error_set(err, ERR_INVALID, "resources[%zu]: decode: malformed message", i);
    *name_r = pb_arena_strndup(&l->ads->arena, name.p, name.n);
    return *name_r ? 0 : error_set(err, ERR_LIMIT, "resources[%zu]: decode: response too large", i);
}

static int add_plain(struct ads_lister *l, const Google__Protobuf__Any *any, const char *version,
                     size_t i, struct error *err)
{
    const char *name;
    int rc = check_url(l->type, any, i, err);
    if (!rc)
        rc = get_name(l, any, i, &name, err);
    return rc ? rc : ads_lister_add(l, name, version, any_value(any), err);
}

static int add_wrapped(struct ads_lister *l, const Google__Protobuf__Any *any, const char *version,
                       size_t i, struct error *err)
{
    ProtobufCMessage *msg;
    if (pb_any_unpack_as(any, &envoy__service__discovery__v3__resource__descriptor, &l->ads->arena,
                         &msg, err))
        return error_prefix(err, "resources[%zu]: decode: ", i);
    const Envoy__Service__Discovery__V3__Resource *r = (const void *)msg;
    if (r->resource && check_url(l->type, r->resource, i, err))
        return -(int)err->code;
    const char *name = r->name;
    if (!*name && r->resource && get_name(l, r->resource, i, &name, err))
        return -(int)err->code;
    return ads_lister_add_wrapped(l, r, name, version, err);
}

static int list(struct ads *a, struct ads_type *t, struct ads_response *r, struct error *err)
{
    const Envoy__Service__Discovery__V3__DiscoveryResponse *m = (const void *)r->msg;
    struct ads_lister l;
    int rc = ads_lister_init(&l, a, t, m->n_resources, err);
    for (size_t i = 0; !rc && i < m->n_resources; i++) {
        const Google__Protobuf__Any *any = m->resources[i];
        rc = strcmp(any->type_url, RESOURCE_URL) ? add_plain(&l, any, r->version, i, err)
                                                 : add_wrapped(&l, any, r->version, i, err);
    }
    ads_lister_finish(&l, r);
    /* Heartbeats alone say nothing of what there is. */
    r->update.is_complete = (t->type == XDS_LDS || t->type == XDS_CDS || t->type == XDS_SRDS) &&
                            (!l.heartbeats_n || m->n_resources > l.heartbeats_n);
    return rc;
}

/* ---- requests ---- */

/* Either what the stream has been told, or what is wanted now. */
static char **collect_names(const struct subs *s, bool is_new, size_t *n_r)
{
    char **names = mem_alloc((hash_count(&s->names) + 1) * sizeof(*names));
    size_t n = 0;
    bool is_all = is_new ? s->is_all : s->is_all_sent;
    list_for_each (it, &s->list) {
        struct sub *sub = container_of(it, struct sub, node);
        if (is_new ? sub->count > 0 : sub->is_sent)
            names[n++] = sub->name;
    }
    /* No name at all is the wildcard, as long as none was sent. */
    if (is_all && (n || s->is_named))
        names[n++] = (char *)"*";
    *n_r = n;
    return names;
}

static void send_request(struct ads *a, struct ads_type *t, bool is_new, const char *nonce,
                         const char *version, const char *detail)
{
    Envoy__Service__Discovery__V3__DiscoveryRequest m =
        ENVOY__SERVICE__DISCOVERY__V3__DISCOVERY_REQUEST__INIT;
    Google__Rpc__Status status = GOOGLE__RPC__STATUS__INIT;
    status.code = ADS_ERROR_CODE;
    status.message = (char *)detail;
    m.node = ads_take_node(a);
    m.type_url = (char *)xds_type_url(t->type);
    m.version_info = (char *)version;
    m.response_nonce = (char *)nonce;
    m.error_detail = detail ? &status : NULL;
    m.resource_names = collect_names(&t->subs, is_new, &m.n_resource_names);
    ads_send(a, &m.base);
    mem_free(m.resource_names);
}

static void subscribe(struct ads *a, struct ads_type *t)
{
    send_request(a, t, true, t->nonce ? t->nonce : "", t->version, NULL);
}

static void answer(struct ads *a, struct ads_type *t, const char *nonce, const char *version,
                   const char *detail)
{
    send_request(a, t, false, nonce, version, detail);
}

const struct ads_protocol sotw_protocol = {
    decode,
    list,
    subscribe,
    answer,
};
