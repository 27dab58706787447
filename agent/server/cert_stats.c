#include "server/cert_stats.h"

#include <stdio.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/stat.h"
#include "net/tls_certs.h"
#include "proxy/listener.h"

/* Certificates that stand in the transport socket have no names; these are Envoy's for them. */
#define UNNAMED_CERT "unnamed_cert_e3b0c442"
#define UNNAMED_CA_CERT "unnamed_ca_cert_e3b0c442"

struct cert_stat {
    char *name;
    stat_id id;
    int64_t expires_s;
    uint64_t generation; /* of the snapshot that has it */
};

struct cert_stats {
    struct hash by_name;
    uint64_t generation;
    int64_t first_s, first_staple_s;
};

/* The transport sockets of one listener or cluster. */
struct scope {
    struct cert_stats *all;
    const struct snapshot *snapshot;
    const char *prefix;
};

struct cert_stats *cert_stats_create(void)
{
    return MEM_NEW(struct cert_stats);
}

static void free_stat(struct cert_stat *st)
{
    stat_release(st->id);
    mem_free(st->name);
    mem_free(st);
}

void cert_stats_destroy(struct cert_stats **stats)
{
    struct cert_stats *c = *stats;
    struct hash_entry *h;
    size_t it = 0;
    if (!c)
        return;
    while ((h = hash_next(&c->by_name, &it)))
        free_stat(h->value);
    hash_fini(&c->by_name);
    mem_free(c);
    *stats = NULL;
}

static struct cert_stat *get_stat(struct cert_stats *c, struct str name)
{
    struct cert_stat *st = hash_find(&c->by_name, name);
    if (st)
        return st;
    st = MEM_NEW(struct cert_stat);
    st->name = mem_strndup(name.p, name.n);
    st->id = stat_define(STAT_GAUGE, "%s", st->name);
    hash_set(&c->by_name, str_of(st->name), st);
    return st;
}

/* Of several certificates of one name the first to expire counts. */
static void add(struct scope *scope, const struct conf_secret_ref *ref, const char *unnamed)
{
    struct cert_stats *c = scope->all;
    const struct conf_secret *secret = conf_secret_find(ref, scope->snapshot);
    if (!secret || !secret->expires_s)
        return;
    struct sbuf name = {0};
    sbuf_printf(&name, "%s.ssl.certificate.%s.expiration_unix_time_seconds", scope->prefix,
                *ref->name ? ref->name : unnamed);
    struct cert_stat *st = get_stat(c, (struct str){name.p, name.n});
    sbuf_fini(&name);
    if (st->generation != scope->snapshot->generation || secret->expires_s < st->expires_s)
        st->expires_s = secret->expires_s;
    st->generation = scope->snapshot->generation;
    if (!c->first_s || secret->expires_s < c->first_s)
        c->first_s = secret->expires_s;
}

static void add_staple(struct scope *scope, const struct conf_secret_ref *ref)
{
    struct cert_stats *c = scope->all;
    const struct conf_secret *secret = conf_secret_find(ref, scope->snapshot);
    time_t from, to;
    if (secret && secret->kind == CONF_SECRET_CERTIFICATE &&
        tls_ocsp_times(secret->certificate.ocsp_staple, &from, &to) && to &&
        (!c->first_staple_s || to < c->first_staple_s))
        c->first_staple_s = to;
}

static void add_tls(const struct conf_tls *tls, void *arg)
{
    for (size_t i = 0; i < tls->certificates_n; i++) {
        add(arg, &tls->certificates[i], UNNAMED_CERT);
        add_staple(arg, &tls->certificates[i]);
    }
    for (size_t i = 0; i < tls->validations_n; i++)
        add(arg, &tls->validations[i], UNNAMED_CA_CERT);
}

static void add_listener(struct cert_stats *c, const struct snapshot *s,
                         const struct conf_listener *l)
{
    char of_listener[LISTENER_PREFIX_MAX], prefix[LISTENER_PREFIX_MAX + 16];
    listener_format_prefix(l, of_listener);
    snprintf(prefix, sizeof(prefix), "listener.%s", of_listener);
    struct scope scope = {c, s, prefix};
    conf_listener_each_tls(l, add_tls, &scope);
}

static void add_cluster(struct cert_stats *c, const struct snapshot *s,
                        const struct conf_cluster *cluster)
{
    struct sbuf prefix = {0};
    sbuf_printf(&prefix, "cluster.%s", cluster->object.name);
    struct scope scope = {c, s, prefix.p};
    conf_cluster_each_tls(cluster, add_tls, &scope);
    sbuf_fini(&prefix);
}

/* Those of the snapshot are set, others go away. */
static void settle(struct cert_stats *c)
{
    struct hash_entry *h;
    size_t it = 0;
    while ((h = hash_next(&c->by_name, &it))) {
        struct cert_stat *st = h->value;
        if (st->generation == c->generation) {
            stat_set(st->id, (uint64_t)st->expires_s);
            continue;
        }
        hash_remove(&c->by_name, str_of(st->name));
        free_stat(st);
    }
}

void cert_stats_update(struct cert_stats *c, const struct snapshot *s)
{
    struct hash_entry *h;
    size_t it = 0;
    if (c->generation == s->generation)
        return;
    c->generation = s->generation;
    c->first_s = c->first_staple_s = 0;
    for (size_t i = 0; i < s->listeners_n; i++)
        add_listener(c, s, s->listeners[i]);
    while ((h = hash_next(&s->clusters, &it)))
        add_cluster(c, s, ((struct conf_cluster_entry *)h->value)->cluster);
    settle(c);
}

int64_t cert_stats_first_staple(const struct cert_stats *c)
{
    return c->first_staple_s;
}

int64_t cert_stats_first_expiry(const struct cert_stats *c)
{
    return c->first_s;
}
