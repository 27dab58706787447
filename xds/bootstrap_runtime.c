/* layered_runtime of the bootstrap. */
#include <string.h>

#include "conf/runtime.h"
#include "xds/bootstrap_private.h"

typedef Envoy__Config__Bootstrap__V3__RuntimeLayer layer_msg;

#define LAYER(x) ENVOY__CONFIG__BOOTSTRAP__V3__RUNTIME_LAYER__LAYER_SPECIFIER_##x

static int set_rtds(struct bootstrap *b, struct decode *d,
                    const Envoy__Config__Bootstrap__V3__RuntimeLayer__RtdsLayer *m,
                    struct bootstrap_layer *l, struct error *err)
{
    struct bootstrap_source source = {0};
    l->kind = BOOTSTRAP_LAYER_RTDS;
    l->rtds_name = decode_text(d, m->name);
    if (!*l->rtds_name)
        return error_set(err, ERR_INVALID, "name: must not be empty");
    if (!m->rtds_config)
        return error_set(err, ERR_INVALID, "rtds_config: required");
    if (bootstrap_read_source(b, d, m->rtds_config, &source, err))
        return error_prefix(err, "rtds_config.");
    l->source = source.conf;
    return 0;
}

static int set_disk(struct bootstrap *b, struct decode *d,
                    const Envoy__Config__Bootstrap__V3__RuntimeLayer__DiskLayer *m,
                    struct bootstrap_layer *l, struct error *err)
{
    struct sbuf path = {0};
    l->kind = BOOTSTRAP_LAYER_DISK;
    if (!*m->symlink_root)
        return error_set(err, ERR_INVALID, "symlink_root: must not be empty");
    sbuf_printf(&path, "%s/%s", m->symlink_root, m->subdirectory);
    if (m->append_service_cluster)
        sbuf_printf(&path, "/%s", b->node_cluster);
    l->link = decode_text(d, m->symlink_root);
    l->path = decode_text(d, path.p);
    sbuf_fini(&path);
    return 0;
}

static int set_layer(struct bootstrap *b, struct decode *d, const layer_msg *m,
                     struct bootstrap_layer *l, struct error *err)
{
    l->name = decode_text(d, m->name);
    if (!*m->name)
        return error_set(err, ERR_INVALID, "name: must not be empty");
    switch (m->layer_specifier_case) {
    case LAYER(STATIC_LAYER):
        l->kind = BOOTSTRAP_LAYER_STATIC;
        l->values = bootstrap_pack(b, &m->static_layer->base);
        return 0;
    case LAYER(DISK_LAYER):
        return set_disk(b, d, m->disk_layer, l, err) ? error_prefix(err, "disk_layer.") : 0;
    case LAYER(RTDS_LAYER):
        return set_rtds(b, d, m->rtds_layer, l, err) ? error_prefix(err, "rtds_layer.") : 0;
    case LAYER(ADMIN_LAYER):
        l->kind = BOOTSTRAP_LAYER_ADMIN;
        return 0;
    default:
        return error_set(err, ERR_INVALID, "layer_specifier: required");
    }
}

/* One name and one administrator's layer at most, as in Envoy. */
static int check_layer(const struct bootstrap *b, const struct bootstrap_layer *l,
                       struct error *err)
{
    for (const struct bootstrap_layer *other = b->layers; other < l; other++) {
        if (!strcmp(other->name, l->name))
            return error_set(err, ERR_DUPLICATE, "name: Duplicate layer name: %s", l->name);
        if (l->kind == BOOTSTRAP_LAYER_ADMIN && other->kind == l->kind)
            return error_set(err, ERR_DUPLICATE,
                             "admin_layer: Too many admin layers specified in LayeredRuntime, at "
                             "most one may be specified");
    }
    return 0;
}

int bootstrap_set_layers(struct bootstrap *b, struct decode *d, const bootstrap_msg *m,
                         struct error *err)
{
    size_t n = m->layered_runtime ? m->layered_runtime->n_layers : 0;
    if (n > RUNTIME_LAYERS_MAX)
        return error_set(err, ERR_LIMIT, "layered_runtime.layers: at most %d", RUNTIME_LAYERS_MAX);
    b->layers = DECODE_ARRAY(d, struct bootstrap_layer, n);
    for (; b->layers_n < n; b->layers_n++) {
        struct bootstrap_layer *l = &b->layers[b->layers_n];
        int rc = set_layer(b, d, m->layered_runtime->layers[b->layers_n], l, err);
        if (rc || check_layer(b, l, err))
            return error_prefix(err, "layered_runtime.layers[%zu].", b->layers_n);
    }
    return 0;
}
