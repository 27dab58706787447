#include "xds/bootstrap.h"

#include <string.h>

#include "base/log.h"
#include "base/regex.h"
#include "proto/support.h"
#include "xds/bootstrap_private.h"

struct str bootstrap_pack(struct bootstrap *b, const ProtobufCMessage *msg)
{
    size_t n = protobuf_c_message_get_packed_size(msg);
    char *p = arena_alloc(&b->arena, n + 1);
    protobuf_c_message_pack(msg, (uint8_t *)p);
    return (struct str){p, n};
}

/* ---- node ---- */

static const char *pick(struct decode *d, const char *flag, const char *value)
{
    return decode_text(d, flag && *flag ? flag : value);
}

/* What servers may rely on, after what the bootstrap says. The last two are one: the protocol's
 * description and its list of features differ. */
static void add_features(struct decode *d, Envoy__Config__Core__V3__Node *node)
{
    static const char *const ours[] = {
        "xds.config.supports-resource-ttl",
        "xds.config.resource-in-sotw",
        "xds.config.supports-resource-in-sotw",
    };
    char **all = DECODE_ARRAY(d, char *, node->n_client_features + ARRAY_LEN(ours));
    for (size_t i = 0; i < node->n_client_features; i++)
        all[i] = node->client_features[i];
    for (size_t i = 0; i < ARRAY_LEN(ours); i++)
        all[node->n_client_features++] = (char *)ours[i];
    node->client_features = all;
}

static void set_node(struct bootstrap *b, struct decode *d, const bootstrap_msg *m,
                     const struct bootstrap_options *o)
{
    Envoy__Config__Core__V3__Node node = ENVOY__CONFIG__CORE__V3__NODE__INIT;
    Envoy__Config__Core__V3__Locality locality = ENVOY__CONFIG__CORE__V3__LOCALITY__INIT;
    if (m->node)
        node = *m->node;
    if (node.locality)
        locality = *node.locality;
    b->node_id = node.id = (char *)pick(d, o->service_node, node.id);
    b->node_cluster = node.cluster = (char *)pick(d, o->service_cluster, node.cluster);
    b->zone = locality.zone = (char *)pick(d, o->service_zone, locality.zone);
    b->region = decode_text(d, locality.region);
    b->sub_zone = decode_text(d, locality.sub_zone);
    if (node.locality || *b->zone)
        node.locality = &locality;
    bootstrap_set_agent(d, &node);
    add_features(d, &node);
    b->node_metadata = node.metadata ? bootstrap_pack(b, &node.metadata->base) : STR("");
    b->node = bootstrap_pack(b, &node.base);
}

/* ---- admin ---- */

static int set_admin_paths(struct bootstrap *b, struct decode *d,
                           const Envoy__Config__Bootstrap__V3__Admin *a, struct error *err)
{
    b->admin_paths = DECODE_ARRAY(d, struct conf_string_match, a->n_allow_paths);
    for (size_t i = 0; i < a->n_allow_paths; i++) {
        b->admin_paths_n = i + 1; /* what it holds is released in any case */
        if (decode_string_match(d, a->allow_paths[i], &b->admin_paths[i], err))
            return error_prefix(err, "allow_paths[%zu].", i);
    }
    return 0;
}

static int set_admin(struct bootstrap *b, struct decode *d, const bootstrap_msg *m,
                     struct error *err)
{
    const Envoy__Config__Bootstrap__V3__Admin *a = m->admin;
    if (!a)
        return 0;
    int rc = a->address ? decode_address(a->address, &b->admin_address, err) : 0;
    if (!rc)
        rc = decode_access_logs(d, a->access_log, a->n_access_log, false, &b->admin_access_logs,
                                &b->admin_access_logs_n, err);
    if (!rc)
        rc = set_admin_paths(b, d, a, err);
    if (!rc && *a->access_log_path && !b->admin_access_logs_n) {
        b->admin_access_logs = DECODE_NEW(d, struct conf_access_log);
        b->admin_access_logs[b->admin_access_logs_n++] = (struct conf_access_log){
            .sink = CONF_LOG_FILE, .path = decode_text(d, a->access_log_path)};
    }
    return rc ? error_prefix(err, "admin.") : 0;
}

/* ---- static resources ---- */

static int add_cluster(struct bootstrap *b, const Envoy__Config__Cluster__V3__Cluster *m,
                       const struct pb_unknown *unknown, struct error *err)
{
    struct bootstrap_cluster *c = &b->clusters[b->clusters_n];
    for (size_t i = 0; i < b->clusters_n; i++)
        if (strcmp(b->clusters[i].cluster->object.name, m->name) == 0)
            return error_set(err, ERR_DUPLICATE, "name: cluster manager: duplicate cluster '%s'",
                             m->name);
    c->bytes = bootstrap_pack(b, &m->base);
    int rc = decode_cluster(c->bytes, unknown, &c->cluster, err);
    if (rc)
        return rc;
    c->cluster->is_static = true;
    b->clusters_n++;
    return 0;
}

static int add_listener(struct bootstrap *b, const Envoy__Config__Listener__V3__Listener *m,
                        const struct pb_unknown *unknown, struct error *err)
{
    struct bootstrap_listener *l = &b->listeners[b->listeners_n];
    for (size_t i = 0; i < b->listeners_n; i++)
        if (strcmp(b->listeners[i].listener->object.name, m->name) == 0)
            return error_set(err, ERR_DUPLICATE, "name: duplicate listener '%s'", m->name);
    l->bytes = bootstrap_pack(b, &m->base);
    int rc = decode_listener(l->bytes, unknown, &l->listener, err);
    if (rc)
        return rc;
    l->listener->is_static = true;
    b->listeners_n++;
    return 0;
}

static int add_secret(struct bootstrap *b,
                      const Envoy__Extensions__TransportSockets__Tls__V3__Secret *m,
                      const struct pb_unknown *unknown, struct error *err)
{
    if (!*m->name)
        return error_set(err, ERR_INVALID, "name: must not be empty");
    for (size_t i = 0; i < b->secrets_n; i++)
        if (strcmp(b->secrets[i]->object.name, m->name) == 0)
            return error_set(err, ERR_DUPLICATE, "name: duplicate secret '%s'", m->name);
    int rc = decode_secret(bootstrap_pack(b, &m->base), unknown, &b->secrets[b->secrets_n], err);
    b->secrets_n += !rc;
    return rc;
}

int bootstrap_check_secret(const struct bootstrap *b, const struct conf_secret_ref *ref,
                           struct error *err)
{
    if (ref->source != CONF_SECRET_STATIC)
        return 0;
    for (size_t i = 0; i < b->secrets_n; i++)
        if (!strcmp(b->secrets[i]->object.name, ref->name))
            return b->secrets[i]->kind == ref->kind
                       ? 0
                       : error_set(err, ERR_INVALID, "static secret '%s' is of another kind",
                                   ref->name);
    return error_set(err, ERR_INVALID, "Unknown static secret: '%s'", ref->name);
}

struct secret_check {
    const struct bootstrap *b;
    struct error *err;
    int rc;
};

static void check_secret(const struct conf_secret_ref *ref, void *arg)
{
    struct secret_check *c = arg;
    if (!c->rc)
        c->rc = bootstrap_check_secret(c->b, ref, c->err);
}

static void check_tls(const struct conf_tls *tls, void *arg)
{
    conf_tls_each_secret(tls, check_secret, arg);
}

static int check_secrets(const struct bootstrap *b, struct error *err)
{
    struct secret_check c = {b, err, 0};
    for (size_t i = 0; i < b->clusters_n && !c.rc; i++) {
        conf_cluster_each_tls(b->clusters[i].cluster, check_tls, &c);
        if (c.rc)
            return error_prefix(err, "static_resources.clusters[%zu].transport_socket: ", i);
    }
    for (size_t i = 0; i < b->listeners_n && !c.rc; i++) {
        conf_listener_each_tls(b->listeners[i].listener, check_tls, &c);
        if (c.rc)
            return error_prefix(err, "static_resources.listeners[%zu].transport_socket: ", i);
    }
    return 0;
}

static int set_static(struct bootstrap *b, const bootstrap_msg *m, const struct pb_unknown *unknown,
                      struct error *err)
{
    const Envoy__Config__Bootstrap__V3__Bootstrap__StaticResources *s = m->static_resources;
    if (!s)
        return 0;
    b->clusters = arena_zalloc(&b->arena, (s->n_clusters + 1) * sizeof(*b->clusters));
    b->listeners = arena_zalloc(&b->arena, (s->n_listeners + 1) * sizeof(*b->listeners));
    b->secrets = arena_zalloc(&b->arena, (s->n_secrets + 1) * sizeof(struct conf_secret *));
    for (size_t i = 0; i < s->n_secrets; i++)
        if (add_secret(b, s->secrets[i], unknown, err))
            return error_prefix(err, "static_resources.secrets[%zu].", i);
    for (size_t i = 0; i < s->n_clusters; i++)
        if (add_cluster(b, s->clusters[i], unknown, err))
            return error_prefix(err, "static_resources.clusters[%zu].", i);
    for (size_t i = 0; i < s->n_listeners; i++)
        if (add_listener(b, s->listeners[i], unknown, err))
            return error_prefix(err, "static_resources.listeners[%zu].", i);
    return check_secrets(b, err);
}

/* ---- the whole ---- */

/* Istio's bootstrap declares internal listeners; using one is refused where it happens. */
static int check_extensions(const bootstrap_msg *m, struct error *err)
{
    for (size_t i = 0; i < m->n_bootstrap_extensions; i++) {
        const Envoy__Config__Core__V3__TypedExtensionConfig *e = m->bootstrap_extensions[i];
        struct str type = pb_any_type(e->typed_config);
        if (!str_is(type, "envoy.extensions.bootstrap.internal_listener.v3.InternalListener"))
            return error_set(err, ERR_UNSUPPORTED,
                             "bootstrap_extensions[%zu]: Didn't find a registered implementation "
                             "for '%s' with type URL: '%.*s'",
                             i, e->name, STR_ARG(type));
    }
    return 0;
}

/* Unknown fields of static resources were reported when the bootstrap was checked. */
static void on_known(void *arg, const char *path)
{
    (void)arg;
    (void)path;
}

static const struct pb_unknown known = {on_known, NULL};

static int decode_all(struct bootstrap *b, struct decode *d, const bootstrap_msg *m,
                      const struct bootstrap_options *o, struct error *err)
{
    d->out = &b->arena;
    set_node(b, d, m, o);
    int rc = set_admin(b, d, m, err);
    if (!rc)
        rc = bootstrap_set_stats(b, d, m, o, err);
    if (!rc)
        rc = check_extensions(m, err);
    if (!rc)
        rc = bootstrap_set_overload(b, d, m, err);
    if (!rc)
        rc = set_static(b, m, o->allow_unknown_static_fields ? &known : NULL, err);
    return rc ? rc : bootstrap_set_sources(b, d, m, err);
}

static int load(const struct bootstrap_options *o, struct bootstrap *b, struct error *err)
{
    struct decode d;
    ProtobufCMessage *msg;
    struct pb_arena arena;
    pb_arena_init(&arena, BOOTSTRAP_BUDGET);
    int rc = bootstrap_read(o, &arena, &msg, err);
    if (!rc)
        b->bytes = bootstrap_pack(b, msg);
    pb_arena_fini(&arena);
    if (rc)
        return rc;
    rc = decode_begin(&d, b->bytes, bootstrap_unknown(o),
                      &envoy__config__bootstrap__v3__bootstrap__descriptor, &msg, err);
    if (!rc)
        rc = decode_all(b, &d, (const bootstrap_msg *)msg, o, err);
    decode_end(&d);
    return rc;
}

int bootstrap_load(const struct bootstrap_options *o, struct bootstrap **b_r, struct error *err)
{
    struct bootstrap *b = MEM_NEW(struct bootstrap);
    arena_init(&b->arena, 0);
    if (load(o, b, err)) {
        bootstrap_destroy(&b);
        *b_r = NULL;
        return error_prefix(
            err, "error initializing configuration '%s': ", o->config_path ? o->config_path : "");
    }
    *b_r = b;
    return 0;
}

void bootstrap_destroy(struct bootstrap **bp)
{
    struct bootstrap *b = *bp;
    if (!b)
        return;
    for (size_t i = 0; i < b->listeners_n; i++)
        conf_object_unref(b->listeners[i].listener);
    for (size_t i = 0; i < b->clusters_n; i++)
        conf_object_unref(b->clusters[i].cluster);
    for (size_t i = 0; i < b->secrets_n; i++)
        conf_object_unref(b->secrets[i]);
    for (size_t i = 0; i < b->admin_paths_n; i++)
        regex_destroy(&b->admin_paths[i].regex);
    conf_stats_fini(&b->stats);
    arena_fini(&b->arena);
    mem_free(b);
    *bp = NULL;
}
