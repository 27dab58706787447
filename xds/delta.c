/* The incremental protocol: requests carry changes. Answers are tied to a response by nonce,
 * subscription changes to none; istiod takes a message that is both for a fault, so they go
 * apart. */
#include "base/mem.h"
#include "xds/ads_private.h"

/* ---- responses ---- */

static int decode(struct ads *a, struct str bytes, struct ads_response *r, struct error *err)
{
    ProtobufCMessage *msg;
    int rc = pb_unpack(&envoy__service__discovery__v3__delta_discovery_response__descriptor,
                       bytes.p, bytes.n, &a->arena, &msg, err);
    if (rc)
        return rc;
    const Envoy__Service__Discovery__V3__DeltaDiscoveryResponse *m = (const void *)msg;
    r->msg = msg;
    r->type_url = m->type_url;
    r->nonce = m->nonce;
    r->version = m->system_version_info;
    r->is_empty = m->n_resources == 0 && m->n_removed_resources == 0;
    return 0;
}

static int add(struct ads_lister *l, const Envoy__Service__Discovery__V3__Resource *r,
               struct error *err)
{
    const Google__Protobuf__Any *any = r->resource;
    if (any && strcmp(any->type_url, xds_type_url(l->type->type)))
        return error_set(err, ERR_INVALID,
                         "%.200s: decode: type_url '%.200s' in a response of type "
                         "'%s'",
                         r->name, any->type_url, xds_type_url(l->type->type));
    return ads_lister_add_wrapped(l, r, r->name, r->version, err);
}

static int list(struct ads *a, struct ads_type *t, struct ads_response *r, struct error *err)
{
    const Envoy__Service__Discovery__V3__DeltaDiscoveryResponse *m = (const void *)r->msg;
    struct ads_lister l;
    int rc = ads_lister_init(&l, a, t, m->n_resources, err);
    for (size_t i = 0; !rc && i < m->n_resources; i++)
        rc = add(&l, m->resources[i], err);
    for (size_t i = 0; !rc && i < m->n_removed_resources; i++)
        rc = ads_lister_note_name(&l, str_of(m->removed_resources[i]), err);
    ads_lister_finish(&l, r);
    r->update.removed = (const char *const *)m->removed_resources;
    r->update.removed_n = m->n_removed_resources;
    return rc;
}

/* ---- requests ---- */

typedef Envoy__Service__Discovery__V3__DeltaDiscoveryRequest request_t;
typedef Envoy__Service__Discovery__V3__DeltaDiscoveryRequest__InitialResourceVersionsEntry entry_t;

#define REQUEST_INIT ENVOY__SERVICE__DISCOVERY__V3__DELTA_DISCOVERY_REQUEST__INIT
#define ENTRY_INIT \
    ENVOY__SERVICE__DISCOVERY__V3__DELTA_DISCOVERY_REQUEST__INITIAL_RESOURCE_VERSIONS_ENTRY__INIT

static void start_request(struct ads *a, struct ads_type *t, request_t *m)
{
    m->node = ads_take_node(a);
    m->type_url = (char *)xds_type_url(t->type);
}

static void collect_changes(const struct subs *s, request_t *m)
{
    size_t room = hash_count(&s->names) + 1;
    m->resource_names_subscribe = mem_alloc(room * sizeof(char *));
    m->resource_names_unsubscribe = mem_alloc(room * sizeof(char *));
    list_for_each (it, &s->list) {
        struct sub *sub = container_of(it, struct sub, node);
        if (sub->count && !sub->is_sent)
            m->resource_names_subscribe[m->n_resource_names_subscribe++] = sub->name;
        else if (!sub->count && sub->is_sent)
            m->resource_names_unsubscribe[m->n_resource_names_unsubscribe++] = sub->name;
    }
    /* A first message without names is the wildcard. */
    if (s->is_all && !s->is_all_sent && (s->wanted || s->is_named))
        m->resource_names_subscribe[m->n_resource_names_subscribe++] = (char *)"*";
}

/* What is held of what is wanted. The keys matter more than the values: istiod gives no versions,
 * and takes the keys for what this client knows. */
static void collect_held(const struct subs *s, request_t *m)
{
    size_t room = hash_count(&s->names) + 1;
    m->initial_resource_versions = mem_alloc(room * sizeof(entry_t *));
    list_for_each (it, &s->list) {
        struct sub *sub = container_of(it, struct sub, node);
        if (!sub->version || !(s->is_all || sub->count))
            continue;
        entry_t *e = mem_alloc(sizeof(*e));
        *e = (entry_t)ENTRY_INIT;
        e->key = sub->name;
        e->value = sub->version;
        m->initial_resource_versions[m->n_initial_resource_versions++] = e;
    }
}

static void subscribe(struct ads *a, struct ads_type *t)
{
    request_t m = REQUEST_INIT;
    start_request(a, t, &m);
    collect_changes(&t->subs, &m);
    if (!t->is_requested)
        collect_held(&t->subs, &m);
    ads_send(a, &m.base);
    for (size_t i = 0; i < m.n_initial_resource_versions; i++)
        mem_free(m.initial_resource_versions[i]);
    mem_free(m.initial_resource_versions);
    mem_free(m.resource_names_subscribe);
    mem_free(m.resource_names_unsubscribe);
}

static void answer(struct ads *a, struct ads_type *t, const char *nonce, const char *version,
                   const char *detail)
{
    request_t m = REQUEST_INIT;
    Google__Rpc__Status status = GOOGLE__RPC__STATUS__INIT;
    (void)version; /* versions are per resource here */
    status.code = ADS_ERROR_CODE;
    status.message = (char *)detail;
    start_request(a, t, &m);
    m.response_nonce = (char *)nonce;
    m.error_detail = detail ? &status : NULL;
    ads_send(a, &m.base);
}

const struct ads_protocol delta_protocol = {
    decode,
    list,
    subscribe,
    answer,
};
