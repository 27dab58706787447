#include "conf/tls_slot.h"

#include "base/log.h"
#include "base/mem.h"
#include "conf/snapshot.h"

enum { SECRETS_MAX = TLS_CERTIFICATES_MAX + 3 };

/* All secrets of a context, in order; NULL: missing. */
struct secrets {
    struct conf_secret *v[SECRETS_MAX];
    size_t n;
};

struct tls_slot {
    unsigned refs;
    struct conf_tls *conf; /* own reference */
    struct tls_stats *stats;
    struct tls_context *ctx; /* own reference; NULL before the secrets are there */
    struct secrets tried;    /* what ctx was last made of, or failed with; not referenced */
    uint64_t tried_hash;
    stat_id updates, not_ready;
    char *why;
};

/* Keeps what a context points into. */
struct owner {
    struct conf_tls *conf;
    struct secrets secrets;
};

struct tls_slot *tls_slot_create(struct conf_tls *conf, const char *prefix)
{
    struct tls_slot *s = MEM_NEW(struct tls_slot);
    const char *factory =
        conf->is_server ? "server_ssl_socket_factory" : "client_ssl_socket_factory";
    s->refs = 1;
    s->conf = conf_object_ref(conf);
    s->stats = tls_stats_create(prefix);
    s->updates = stat_define(STAT_COUNTER, "%s.%s.ssl_context_update_by_sds", prefix, factory);
    s->not_ready = stat_define(STAT_COUNTER, "%s.%s.%s_context_secrets_not_ready", prefix, factory,
                               conf->is_server ? "downstream" : "upstream");
    return s;
}

struct tls_slot *tls_slot_ref(struct tls_slot *slot)
{
    if (slot)
        slot->refs++;
    return slot;
}

void tls_slot_unref(struct tls_slot *s)
{
    if (!s || --s->refs)
        return;
    tls_context_unref(s->ctx);
    tls_stats_unref(s->stats);
    stat_release(s->updates);
    stat_release(s->not_ready);
    conf_object_unref(s->conf);
    mem_free(s->why);
    mem_free(s);
}

/* False: one is missing. */
static bool collect(const struct conf_tls *t, const struct snapshot *s, struct secrets *out)
{
    bool is_whole = true;
    out->n = 0;
    for (size_t i = 0; i < t->certificates_n; i++)
        is_whole &= (out->v[out->n++] = conf_secret_find(&t->certificates[i], s)) != NULL;
    for (size_t i = 0; i < t->validations_n; i++)
        is_whole &= (out->v[out->n++] = conf_secret_find(&t->validations[i], s)) != NULL;
    if (t->has_ticket_keys)
        is_whole &= (out->v[out->n++] = conf_secret_find(&t->ticket_keys, s)) != NULL;
    return is_whole;
}

static uint64_t hash_of(const struct secrets *s)
{
    uint64_t hash = 1;
    for (size_t i = 0; i < s->n; i++)
        hash = hash_xx64(&s->v[i]->object.hash, sizeof(uint64_t), hash);
    return hash;
}

static void release(void *arg)
{
    struct owner *o = arg;
    for (size_t i = 0; i < o->secrets.n; i++)
        conf_object_unref(o->secrets.v[i]);
    conf_object_unref(o->conf);
    mem_free(o);
}

static int build(const struct tls_slot *slot, const struct secrets *found,
                 struct tls_context **ctx_r, struct error *err)
{
    const struct conf_tls *t = slot->conf;
    struct owner *o = MEM_NEW(struct owner);
    struct tls_sources src = {
        .is_server = t->is_server,
        .params = &t->params,
        .hash = hash_of(found),
        .matches_sni = t->auto_sni_san_validation,
        .release = release,
        .owner = o,
    };
    size_t k = 0;
    for (size_t i = 0; i < t->certificates_n; i++)
        src.certificates[src.certificates_n++] = &found->v[k++]->certificate;
    for (size_t i = 0; i < t->validations_n; i++)
        src.validations[src.validations_n++] = &found->v[k++]->validation;
    if (t->has_ticket_keys)
        src.ticket_keys = &found->v[k]->ticket_keys;
    o->conf = conf_object_ref(slot->conf);
    o->secrets.n = found->n;
    for (size_t i = 0; i < found->n; i++)
        o->secrets.v[i] = conf_object_ref(found->v[i]);
    int rc = tls_context_create(&src, ctx_r, err);
    if (rc)
        release(o);
    return rc;
}

/* Whether these are not the secrets of the last try. An address alone may have been used again. */
static bool is_new(const struct tls_slot *slot, const struct secrets *found)
{
    for (size_t i = 0; i < found->n; i++)
        if (i >= slot->tried.n || found->v[i] != slot->tried.v[i])
            return true;
    return slot->tried_hash != hash_of(found);
}

static void refresh(struct tls_slot *slot, const struct secrets *found)
{
    struct error err;
    struct tls_context *next;
    slot->tried = *found;
    slot->tried_hash = hash_of(found);
    if (build(slot, found, &next, &err)) {
        log_warn(LOG_CONFIG, "%s: TLS: %s%s", slot->stats->prefix, err.text,
                 slot->ctx ? "; the secrets before stay in use" : "");
        mem_free(slot->why);
        slot->why = mem_strdup(err.text);
        return;
    }
    if (slot->ctx)
        stat_inc(slot->updates);
    tls_context_unref(slot->ctx);
    slot->ctx = next;
}

struct tls_context *tls_slot_context(struct tls_slot *slot, const struct snapshot *s,
                                     const char **why_r)
{
    struct secrets found;
    if (!collect(slot->conf, s, &found)) {
        *why_r = "TLS error: Secret is not supplied by SDS";
        if (!slot->ctx)
            stat_inc(slot->not_ready);
        return slot->ctx;
    }
    if (is_new(slot, &found))
        refresh(slot, &found);
    *why_r = slot->why ? slot->why : "";
    return slot->ctx;
}

struct tls_stats *tls_slot_stats(struct tls_slot *slot)
{
    return slot->stats;
}

const struct conf_tls *tls_slot_conf(const struct tls_slot *slot)
{
    return slot->conf;
}
