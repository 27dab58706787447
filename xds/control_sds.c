/* Secrets. Listeners and clusters refer to them by source and name; what came is kept in the
 * snapshot under the reference's key, so that a rotated secret is published without its users being
 * made again. A use counts the references; while there is one the secret is asked for, and the
 * last good one stays. Files that a secret names are watched. */
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "xds/control_private.h"
#include "xds/watch.h"

/* Of one key. */
struct secret_use {
    struct control *control;
    char *key, *name;
    struct conf_source from; /* own copy */
    enum conf_secret_kind kind;
    unsigned users;
    uint64_t since_ns;   /* wall clock; when it was asked for */
    struct watch *watch; /* of the files it was read from, or NULL */
    struct control_stats stats;
    stat_id rotation_failed;
};

/* ---- statistics of each secret, beside those of all ---- */

static void define_stats(struct secret_use *u)
{
    counts_define(&u->stats, "sds.%s", u->name);
    u->rotation_failed = stat_define(STAT_COUNTER, "sds.%s.key_rotation_failed", u->name);
}

static void release_stats(struct secret_use *u)
{
    counts_release(&u->stats);
    stat_release(u->rotation_failed);
}

static void on_files_changed(void *arg);

static void free_use(struct secret_use *u)
{
    watch_close(&u->watch);
    release_stats(u);
    mem_free((char *)u->from.bytes.p);
    mem_free(u->key);
    mem_free(u->name);
    mem_free(u);
}

/* ---- who wants what ---- */

static bool is_subscribed(const struct conf_secret_ref *ref)
{
    return ref->source != CONF_SECRET_INLINE && ref->source != CONF_SECRET_STATIC;
}

static void want_secret(const struct conf_secret_ref *ref, void *arg)
{
    struct control *c = arg;
    if (!is_subscribed(ref))
        return;
    struct secret_use *u = hash_find(&c->secrets, str_of(ref->key));
    if (u) {
        u->users++;
        return;
    }
    u = MEM_NEW(struct secret_use);
    u->control = c;
    u->key = mem_strdup(ref->key);
    u->name = mem_strdup(ref->name);
    u->from = ref->from;
    u->from.bytes.p = mem_dup(ref->from.bytes.p, ref->from.bytes.n);
    u->kind = ref->kind;
    u->users = 1;
    define_stats(u);
    stat_inc(u->stats.attempt);
    u->since_ns = clock_wall_ns();
    hash_set(&c->secrets, str_of(u->key), u);
    sources_want(c->sources, &u->from, XDS_SDS, u->name);
}

static void unwant_secret(const struct conf_secret_ref *ref, void *arg)
{
    struct control *c = arg;
    struct secret_use *u = hash_find(&c->secrets, str_of(ref->key));
    if (!is_subscribed(ref) || !u || --u->users)
        return;
    struct entry *e = store_find(c, XDS_SDS, ref->key);
    if (e && e->active) {
        snapshot_set_secret(c->o.ops.edit(c->o.ops.arg), u->key, NULL);
        control_edited(c);
    }
    if (e)
        store_remove(c, e);
    sources_unwant(c->sources, &u->from, XDS_SDS, u->name);
    hash_remove(&c->secrets, str_of(u->key));
    free_use(u);
}

static void want_of_tls(const struct conf_tls *tls, void *arg)
{
    conf_tls_each_secret(tls, want_secret, arg);
}

static void unwant_of_tls(const struct conf_tls *tls, void *arg)
{
    conf_tls_each_secret(tls, unwant_secret, arg);
}

void sds_want_of_listener(struct control *c, const struct conf_listener *l)
{
    conf_listener_each_tls(l, want_of_tls, c);
}

void sds_unwant_of_listener(struct control *c, const struct conf_listener *l)
{
    conf_listener_each_tls(l, unwant_of_tls, c);
}

void sds_want_of_cluster(struct control *c, const struct conf_cluster *cluster)
{
    conf_cluster_each_tls(cluster, want_of_tls, c);
}

void sds_unwant_of_cluster(struct control *c, const struct conf_cluster *cluster)
{
    conf_cluster_each_tls(cluster, unwant_of_tls, c);
}

/* ---- what is needed ---- */

struct visit {
    struct control *control;
    unsigned parent;
    bool is_missing;
    uint32_t timeout_ms;
    int rc;
    struct error *err;
};

static void visit_secret(const struct conf_secret_ref *ref, void *arg)
{
    struct visit *v = arg;
    struct control *c = v->control;
    if (ref->source == CONF_SECRET_STATIC && v->err && !v->rc)
        v->rc = bootstrap_check_secret(c->o.bootstrap, ref, v->err);
    if (!is_subscribed(ref))
        return;
    struct entry *e = store_find(c, XDS_SDS, ref->key);
    if (!e || !e->active)
        v->is_missing = true;
    if (ref->initial_fetch_timeout_ms > v->timeout_ms)
        v->timeout_ms = ref->initial_fetch_timeout_ms;
    if (!v->err || v->rc)
        return;
    v->rc = sources_check(c->sources, &ref->from, v->parent, XDS_SDS, v->err);
    if (v->rc)
        error_prefix(v->err, "secret '%s': sds_config: ", ref->name);
}

static void visit_tls(const struct conf_tls *tls, void *arg)
{
    conf_tls_each_secret(tls, visit_secret, arg);
}

bool sds_is_ready_for_listener(struct control *c, const struct conf_listener *l)
{
    struct visit v = {.control = c};
    conf_listener_each_tls(l, visit_tls, &v);
    return !v.is_missing;
}

bool sds_is_ready_for_cluster(struct control *c, const struct conf_cluster *cluster)
{
    struct visit v = {.control = c};
    conf_cluster_each_tls(cluster, visit_tls, &v);
    return !v.is_missing;
}

uint32_t sds_timeout_of_listener(struct control *c, const struct conf_listener *l)
{
    struct visit v = {.control = c};
    conf_listener_each_tls(l, visit_tls, &v);
    return v.timeout_ms;
}

uint32_t sds_timeout_of_cluster(struct control *c, const struct conf_cluster *cluster)
{
    struct visit v = {.control = c};
    conf_cluster_each_tls(cluster, visit_tls, &v);
    return v.timeout_ms;
}

int sds_check_listener(struct control *c, const struct batch *b, const struct conf_listener *l,
                       struct error *err)
{
    struct visit v = {.control = c, .parent = b->source, .err = err};
    conf_listener_each_tls(l, visit_tls, &v);
    return v.rc;
}

int sds_check_cluster(struct control *c, const struct batch *b, const struct conf_cluster *cluster,
                      struct error *err)
{
    struct visit v = {.control = c, .parent = b->source, .err = err};
    conf_cluster_each_tls(cluster, visit_tls, &v);
    return v.rc;
}

/* ---- what came ---- */

static void publish(struct control *c, struct secret_use *u, struct conf_secret *secret)
{
    snapshot_set_secret(c->o.ops.edit(c->o.ops.arg), u->key, secret);
    control_edited(c);
    control_check_later(c);
}

/* Of the files that the new secret was read from; those of the old one are let go. */
static void watch_files(struct secret_use *u, const struct conf_secret *s)
{
    struct error err;
    watch_close(&u->watch);
    if (!s->files_n)
        return;
    if (watch_open(u->control->loop, s->files, s->files_n, s->watched_directory, on_files_changed,
                   u, &u->watch, &err))
        log_warn(LOG_CONFIG, "secret '%s': its files are not watched: %s", u->name, err.text);
}

static int read_secret(struct control *c, const struct secret_use *u, struct str bytes,
                       struct conf_secret **secret_r, struct error *err)
{
    int rc = decode_secret(bytes, control_unknown(c, false), secret_r, err);
    if (rc || (*secret_r)->kind == u->kind)
        return rc;
    conf_object_unref(*secret_r);
    *secret_r = NULL;
    return error_set(err, ERR_INVALID, "type: another kind of secret is asked for by this name");
}

static void on_files_changed(void *arg)
{
    struct secret_use *u = arg;
    struct control *c = u->control;
    struct entry *e = store_find(c, XDS_SDS, u->key);
    struct conf_secret *secret;
    struct error err;
    if (!e || !e->active)
        return;
    stat_inc(c->stats[XDS_SDS].attempt);
    if (read_secret(c, u, e->active_bytes, &secret, &err)) {
        log_warn(LOG_CONFIG, "secret '%s' stays as it was: %s", u->name, err.text);
        stat_inc(u->rotation_failed);
        stat_inc(c->stats[XDS_SDS].rejected);
        return;
    }
    stat_inc(c->stats[XDS_SDS].success);
    if (secret->object.hash == ((struct conf_secret *)e->active)->object.hash) {
        conf_object_unref(secret);
        return;
    }
    log_info(LOG_CONFIG, "secret '%s': its files have changed", u->name);
    conf_object_unref(e->active);
    e->active = (struct conf_object *)secret;
    watch_files(u, secret);
    publish(c, u, secret);
}

static void apply_to(struct control *c, struct batch *b, struct secret_use *u,
                     const struct xds_resource *r)
{
    struct entry *e = store_get(c, XDS_SDS, u->key);
    struct conf_secret *secret;
    struct error err;
    if (!e->wire_name)
        e->wire_name = mem_strdup(u->name);
    e->source = b->source;
    if (control_is_unchanged(c, b, e, r)) {
        counts_note(&u->stats, b, true);
        return;
    }
    int rc = read_secret(c, u, r->value, &secret, &err);
    counts_note(&u->stats, b, !rc);
    if (rc) {
        control_refuse(c, b, e, r, &err);
        return;
    }
    log_info(LOG_CONFIG, "sds: secret '%s' is there", u->name);
    store_set_warming(e, b, secret, r->value, r->version);
    store_activate(e);
    watch_files(u, secret);
    publish(c, u, secret);
}

void sds_apply(struct control *c, struct batch *b, const struct xds_resource *r)
{
    size_t it = 0;
    struct hash_entry *h;
    while ((h = hash_next(&c->secrets, &it))) {
        struct secret_use *u = h->value;
        if (!strcmp(u->name, r->name) &&
            sources_find(c->sources, &u->from, XDS_SDS, u->name) == b->source)
            apply_to(c, b, u, r);
    }
}

/* The last good one stays as long as something refers to it: a server that has lost its secrets
 * takes no listener down. */
void sds_remove(struct control *c, struct entry *e)
{
    (void)c;
    sources_drop_held(c->sources, e->source, XDS_SDS, e->wire_name);
    log_warn(LOG_CONFIG, "sds: secret '%s' was removed; the last one stays in use", e->wire_name);
}

void sds_remove_named(struct control *c, unsigned source, const char *name)
{
    size_t it = 0;
    struct hash_entry *h;
    while ((h = hash_next(&c->store[XDS_SDS], &it))) {
        struct entry *e = h->value;
        if (e->source == source && !strcmp(e->wire_name, name))
            sds_remove(c, e);
    }
}

void sds_each_missing(struct control *c, void (*fn)(const struct control_row *row, void *arg),
                      void *arg)
{
    size_t it = 0;
    struct hash_entry *h;
    while ((h = hash_next(&c->secrets, &it))) {
        const struct secret_use *u = h->value;
        struct control_row row = {.type = XDS_SDS,
                                  .name = u->name,
                                  .version = "",
                                  .status = CONTROL_WARMING,
                                  .error = "",
                                  .failed_version = "",
                                  .updated_ns = u->since_ns};
        if (!store_find(c, XDS_SDS, u->key))
            fn(&row, arg);
    }
}

void sds_fini(struct control *c)
{
    size_t it = 0;
    struct hash_entry *h;
    while ((h = hash_next(&c->secrets, &it)))
        free_use(h->value);
    hash_fini(&c->secrets);
}
