/* Virtual hosts that are discovered, named "ROUTE_CONFIGURATION/HOST". As in Envoy nothing is asked
 * for by name: the source sends all it has. Each is kept, also when its route configuration is not
 * there yet, and a route configuration is made anew, whole, when one of its virtual hosts comes,
 * changes or goes.
 *
 * The fields of two messages one after the other are the merged message: so the bytes of a route
 * configuration with its virtual hosts appended is what is decoded, and shown by /config_dump. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "xds/control_private.h"

enum {
    VIRTUAL_HOSTS_TAG = 2 << 3 | 2, /* RouteConfiguration.virtual_hosts, length-delimited */
    REFUSALS_MAX = 16,              /* of one route configuration and update, one by one */
};

/* The virtual hosts of one route configuration: those of before first, each part by name. */
struct hosts {
    struct entry **v;
    size_t n;
};

static bool is_of(const char *name, const char *routes)
{
    const char *slash = strrchr(name, '/');
    size_t n = strlen(routes);
    return slash && (size_t)(slash - name) == n && !memcmp(name, routes, n);
}

static int compare(const void *a, const void *b)
{
    const struct entry *const *x = a, *const *y = b;
    if (!(*x)->warming != !(*y)->warming)
        return (*x)->warming ? 1 : -1;
    return strcmp((*x)->name, (*y)->name);
}

static void collect(struct control *c, const char *name, const struct conf_route_config *routes,
                    struct hosts *hosts)
{
    unsigned source = sources_find(c->sources, &routes->vhds_source, XDS_VHDS, NULL);
    size_t it = 0;
    struct hash_entry *h;
    *hosts =
        (struct hosts){mem_alloc((hash_count(&c->store[XDS_VHDS]) + 1) * sizeof(*hosts->v)), 0};
    while (source && (h = hash_next(&c->store[XDS_VHDS], &it))) {
        struct entry *e = h->value;
        if ((e->active || e->warming) && e->source == source && is_of(e->name, name))
            hosts->v[hosts->n++] = e;
    }
    qsort(hosts->v, hosts->n, sizeof(struct entry *), compare);
}

static void append(struct sbuf *out, struct str vhost)
{
    size_t n = vhost.n;
    sbuf_addc(out, VIRTUAL_HOSTS_TAG);
    for (; n > 0x7f; n >>= 7)
        sbuf_addc(out, (char)(n | 0x80));
    sbuf_addc(out, (char)n);
    sbuf_add(out, vhost.p, vhost.n);
}

static void join(struct str routes, const struct hosts *hosts, struct sbuf *out)
{
    sbuf_add(out, routes.p, routes.n);
    for (size_t i = 0; i < hosts->n; i++)
        append(out, hosts->v[i]->warming ? hosts->v[i]->warming_bytes : hosts->v[i]->active_bytes);
}

/* *culprit_r: which of the hosts is at fault; hosts->n: none of them. */
static int decode(struct control *c, struct str routes, const struct hosts *hosts,
                  struct conf_route_config **config_r, size_t *culprit_r, struct error *err)
{
    struct sbuf bytes = {0};
    join(routes, hosts, &bytes);
    int rc = decode_merged_routes((struct str){bytes.p, bytes.n}, hosts->n,
                                  control_unknown(c, false), config_r, culprit_r, err);
    sbuf_fini(&bytes);
    return rc;
}

/* ---- for route configurations ---- */

int vhds_merge(struct control *c, const char *name, struct str bytes,
               struct conf_route_config **routes, struct error *err)
{
    struct conf_route_config *merged = NULL;
    struct hosts hosts;
    size_t culprit;
    int rc = 0;
    collect(c, name, *routes, &hosts);
    if (hosts.n)
        rc = decode(c, bytes, &hosts, &merged, &culprit, err);
    if (rc && culprit < hosts.n)
        error_prefix(err, "virtual host '%s': ", hosts.v[culprit]->name);
    if (merged) {
        conf_object_unref(*routes);
        *routes = merged;
    }
    mem_free(hosts.v);
    return rc;
}

void vhds_show(struct control *c, const struct entry *e, struct sbuf *out)
{
    struct hosts hosts;
    collect(c, e->name, (const struct conf_route_config *)e->active, &hosts);
    join(e->active_bytes, &hosts, out);
    mem_free(hosts.v);
}

bool vhds_want(struct control *c, const struct entry *e, const struct conf_route_config *routes)
{
    const struct conf_route_config *old = (const struct conf_route_config *)e->active;
    if (!routes->has_vhds)
        return true;
    unsigned source = sources_find(c->sources, &routes->vhds_source, XDS_VHDS, NULL);
    bool has_answered = source && sources_has_answered(c->sources, source);
    bool is_same = old && old->has_vhds &&
                   sources_find(c->sources, &old->vhds_source, XDS_VHDS, NULL) == source;
    sources_want(c->sources, &routes->vhds_source, XDS_VHDS, NULL);
    /* What serves already, or can without, does not wait for hosts that may never come. */
    return has_answered && (is_same || routes->vhosts_n);
}

void vhds_unwant(struct control *c, const struct conf_route_config *routes)
{
    if (routes && routes->has_vhds)
        sources_unwant(c->sources, &routes->vhds_source, XDS_VHDS, NULL);
}

bool vhds_is_ready(struct control *c, const struct entry *e)
{
    const struct conf_route_config *routes = (const struct conf_route_config *)e->warming;
    struct hosts hosts;
    if (!routes->has_vhds || e->has_vhds_answer)
        return true;
    collect(c, e->name, routes, &hosts);
    mem_free(hosts.v);
    return hosts.n > 0;
}

/* ---- what came ---- */

/* The route configurations that the host is of are made anew by vhds_finish. */
static void mark(struct control *c, const char *name)
{
    const char *slash = strrchr(name, '/');
    if (!slash)
        return;
    struct entry *e = hash_find(&c->store[XDS_RDS], (struct str){name, (size_t)(slash - name)});
    if (e)
        e->has_changed_hosts = true;
}

void vhds_apply(struct control *c, struct batch *b, const struct xds_resource *r)
{
    struct entry *e = store_get(c, XDS_VHDS, r->name);
    const char *slash = strrchr(r->name, '/');
    bool is_moved = e->source != b->source;
    struct error err;
    int rc = 0;
    if (control_is_unchanged(c, b, e, r)) {
        if (is_moved)
            mark(c, r->name);
        return;
    }
    if (!slash || slash == r->name)
        rc = error_set(&err, ERR_INVALID, "name: has to be ROUTE_CONFIGURATION/HOST");
    if (!rc)
        rc = decode_check_virtual_host(r->value, control_unknown(c, false), &err);
    if (rc) {
        control_refuse(c, b, e, r, &err);
        return;
    }
    store_set_warming(e, b, conf_object_create(sizeof(struct conf_object), r->name), r->value,
                      r->version);
    mark(c, r->name);
}

void vhds_remove(struct control *c, struct entry *e)
{
    mark(c, e->name);
    store_remove(c, e);
}

static void refuse(struct control *c, struct batch *b, struct entry *e, const struct error *err)
{
    char *version = mem_strdup(e->version);
    struct str bytes = {mem_dup(e->warming_bytes.p, e->warming_bytes.n), e->warming_bytes.n};
    const struct xds_resource r = {.name = e->name, .version = version, .value = bytes};
    control_refuse(c, b, e, &r, err);
    store_drop_warming(e);
    mem_free((char *)bytes.p);
    mem_free(version);
}

/* The routes with the hosts of now; those of this update that do not go with the others are
 * refused. NULL: they stay as they are. */
static struct conf_route_config *remake(struct control *c, struct batch *b, const struct entry *e,
                                        struct str bytes, const struct conf_object *routes)
{
    struct conf_route_config *merged = NULL;
    for (unsigned refused = 0; !merged; refused++) {
        struct hosts hosts;
        struct error err;
        size_t culprit;
        collect(c, e->name, (const struct conf_route_config *)routes, &hosts);
        int rc = decode(c, bytes, &hosts, &merged, &culprit, &err);
        bool is_new = rc && culprit < hosts.n && hosts.v[culprit]->warming;
        if (is_new)
            refuse(c, b, hosts.v[culprit], &err);
        if (is_new && refused == REFUSALS_MAX) {
            error_set(&err, ERR_LIMIT, "not tried: too many of this update were refused");
            for (size_t i = 0; i < hosts.n; i++)
                if (hosts.v[i]->warming)
                    refuse(c, b, hosts.v[i], &err);
        }
        mem_free(hosts.v);
        if (rc && !is_new) {
            log_warn(LOG_CONFIG, "routes '%s' stay as they were: %s", e->name, err.text);
            return NULL;
        }
    }
    return merged;
}

static void renew(struct control *c, struct batch *b, struct entry *e)
{
    struct conf_route_config *routes;
    if (e->active && ((struct conf_route_config *)e->active)->has_vhds &&
        (routes = remake(c, b, e, e->active_bytes, e->active))) {
        conf_object_unref(e->active);
        e->active = &routes->object;
        rds_publish(c, e);
    }
    if (e->warming && ((struct conf_route_config *)e->warming)->has_vhds &&
        (routes = remake(c, b, e, e->warming_bytes, e->warming))) {
        conf_object_unref(e->warming);
        e->warming = &routes->object;
    }
}

static void note_answer(struct control *c, struct entry *e, unsigned source)
{
    const struct conf_route_config *routes = (const struct conf_route_config *)e->warming;
    if (routes && routes->has_vhds &&
        sources_find(c->sources, &routes->vhds_source, XDS_VHDS, NULL) == source)
        e->has_vhds_answer = true;
}

void vhds_finish(struct control *c, struct batch *b)
{
    size_t it = 0;
    struct hash_entry *h;
    while ((h = hash_next(&c->store[XDS_RDS], &it))) {
        struct entry *e = h->value;
        if (b)
            note_answer(c, e, b->source);
        if (e->has_changed_hosts)
            renew(c, b, e);
        e->has_changed_hosts = false;
    }
    it = 0;
    while ((h = hash_next(&c->store[XDS_VHDS], &it))) {
        struct entry *e = h->value;
        if (e->warming)
            store_activate(e);
    }
    if (b)
        sources_set_answered(c->sources, b->source);
    control_check_later(c);
}

void vhds_sweep(struct control *c)
{
    size_t it = 0;
    struct hash_entry *h;
    while ((h = hash_next(&c->store[XDS_VHDS], &it))) {
        struct entry *e = h->value;
        if (!sources_is_open(c->sources, e->source))
            store_remove(c, e);
    }
}
