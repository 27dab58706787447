#include "xds/sources.h"

#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "xds/sources_private.h"

/* ---- one source ---- */

static void free_source(struct source *s)
{
    list_del(&s->node);
    loop_timer_stop(&s->close_timer);
    ads_destroy(&s->ads);
    file_close(&s->file);
    rest_close(&s->rest);
    arena_fini(&s->arena);
    mem_free(s->key);
    mem_free(s);
}

static void close_unused(struct loop_timer *t)
{
    struct source *s = container_of(t, struct source, close_timer);
    if (!s->wants)
        free_source(s);
}

static struct source *new_source(struct sources *ss, enum xds_type t)
{
    struct source *s = MEM_NEW(struct source);
    s->sources = ss;
    s->id = ++ss->next_id;
    s->type = t;
    loop_timer_init(&s->close_timer, ss->loop, close_unused);
    arena_init(&s->arena, 0);
    list_add_tail(&ss->list, &s->node);
    return s;
}

static int open_stream(struct source *s, const struct xds_server *server, struct error *err)
{
    struct sources *ss = s->sources;
    const struct ads_options o = {
        .server = server, .node = ss->boot->node, .type = s->type, .source = s->id};
    return ads_create(ss->loop, &o, &ss->ops, &s->ads, err);
}

static int open_source(struct source *s, struct error *err)
{
    struct sources *ss = s->sources;
    if (s->boot.kind == BOOTSTRAP_SOURCE_FILE)
        return file_open(ss->loop, s, &ss->ops, &s->file, err);
    if (s->boot.server.api == XDS_API_REST)
        return rest_open(ss->loop, s, ss->boot->node, &ss->ops, &s->rest, err);
    return open_stream(s, &s->boot.server, err);
}

static struct source *find_id(const struct sources *ss, unsigned id)
{
    list_for_each (it, &ss->list) {
        struct source *s = container_of(it, struct source, node);
        if (s->id == id)
            return s;
    }
    return NULL;
}

static char *make_key(const struct conf_source *from, enum xds_type t, const char *name)
{
    struct sbuf key = {0};
    uint64_t hash = hash_xx64(from->bytes.p, from->bytes.n, 0);
    sbuf_printf(&key, "%d %016llx %016llx %s", (int)t, (unsigned long long)hash,
                (unsigned long long)hash_xx64(from->bytes.p, from->bytes.n, 1),
                t == XDS_SDS && name ? name : "");
    return sbuf_take(&key);
}

static struct source *find_key(const struct sources *ss, const char *key)
{
    list_for_each (it, &ss->list) {
        struct source *s = container_of(it, struct source, node);
        if (s->key && !strcmp(s->key, key))
            return s;
    }
    return NULL;
}

/* The source for a name, opened if that is to be; NULL: there is none. */
static struct source *find_source(struct sources *ss, const struct conf_source *from,
                                  enum xds_type t, const char *name, bool do_open)
{
    struct error err;
    if (from->kind != CONF_FROM_OWN)
        return ss->boot->ads.api ? find_id(ss, SOURCES_ADS) : NULL;
    char *key = make_key(from, t, name);
    struct source *s = find_key(ss, key);
    if (s || !do_open) {
        mem_free(key);
        return s;
    }
    s = new_source(ss, t);
    s->key = key;
    int rc = bootstrap_find_source(ss->boot, from, &s->arena, &s->boot, &err);
    if (!rc)
        rc = open_source(s, &err);
    if (!rc)
        return s;
    log_error(LOG_CONFIG, "%s: %s", xds_type_url(t), err.text);
    free_source(s);
    return NULL;
}

/* ---- what is wanted ---- */

static int check_aggregated(const struct sources *ss, enum xds_type t, struct error *err)
{
    if (!ss->boot->ads.api)
        return error_set(err, ERR_INVALID, "ads: there is no dynamic_resources.ads_config");
    if (!ads_has_method(t, ss->boot->ads.is_delta))
        return error_set(err, ERR_UNSUPPORTED,
                         "ads: dynamic_resources.ads_config.api_type has to be DELTA_GRPC");
    return 0;
}

int sources_check(struct sources *ss, const struct conf_source *from, unsigned parent,
                  enum xds_type t, struct error *err)
{
    struct bootstrap_source boot = {0};
    struct arena arena;
    int rc = 0;
    if (from->kind == CONF_FROM_SELF && parent != SOURCES_ADS)
        return error_set(err, ERR_UNSUPPORTED, "self: only what comes by ADS may say so");
    if (from->kind == CONF_FROM_ADS || from->kind == CONF_FROM_SELF)
        return check_aggregated(ss, t, err);
    if (from->kind != CONF_FROM_OWN)
        return error_set(err, ERR_INVALID, "required");
    arena_init(&arena, 0);
    rc = bootstrap_find_source(ss->boot, from, &arena, &boot, err);
    if (!rc && boot.kind == BOOTSTRAP_SOURCE_OWN && boot.server.api == XDS_API_GRPC &&
        !ads_has_method(t, boot.server.is_delta))
        rc = error_set(err, ERR_UNSUPPORTED, "api_config_source.api_type: has to be DELTA_GRPC");
    if (!rc && boot.kind == BOOTSTRAP_SOURCE_FILE && t == XDS_VHDS)
        rc = error_set(err, ERR_UNSUPPORTED, "path_config_source: not for this type");
    arena_fini(&arena);
    return rc;
}

static void want(struct subs *subs, const char *name)
{
    if (!name)
        subs->is_all = true;
    else
        subs_want(subs, name);
}

void sources_want(struct sources *ss, const struct conf_source *from, enum xds_type t,
                  const char *name)
{
    struct source *s = ss ? find_source(ss, from, t, name, true) : NULL;
    if (!s)
        return;
    ss->is_used = true;
    s->wants++;
    if (s->ads && name)
        ads_want(s->ads, t, name);
    else if (s->ads)
        ads_want_all(s->ads, t);
    else if (s->file)
        want(file_subs(s->file), name);
    else
        want(rest_subs(s->rest), name);
    if (s->file)
        file_changed(s->file);
    if (s->rest)
        rest_changed(s->rest);
}

unsigned sources_find(struct sources *ss, const struct conf_source *from, enum xds_type t,
                      const char *name)
{
    const struct source *s = ss ? find_source(ss, from, t, name, false) : NULL;
    return s ? s->id : 0;
}

void sources_unwant(struct sources *ss, const struct conf_source *from, enum xds_type t,
                    const char *name)
{
    struct source *s = ss ? find_source(ss, from, t, name, false) : NULL;
    if (!s || !s->wants)
        return;
    s->wants--;
    if (s->ads && name)
        ads_unwant(s->ads, t, name);
    else if (name)
        subs_unwant(s->file ? file_subs(s->file) : rest_subs(s->rest), name);
    /* It may be what is calling. */
    if (!s->wants && s->id != SOURCES_ADS)
        loop_timer_start(&s->close_timer, 0);
}

/* ---- what came ---- */

void sources_answer(struct sources *ss, unsigned source, uint64_t ticket, const char *detail)
{
    struct source *s = ss ? find_id(ss, source) : NULL;
    if (s && s->ads)
        ads_answer(s->ads, ticket, detail);
    else if (s && s->rest)
        rest_answer(s->rest, ticket, detail);
}

void sources_nack_late(struct sources *ss, unsigned source, enum xds_type t, const char *detail)
{
    struct source *s = ss ? find_id(ss, source) : NULL;
    if (s && s->ads)
        ads_nack_late(s->ads, t, detail);
}

void sources_set_held(struct sources *ss, unsigned source, enum xds_type t, const char *name,
                      const char *version)
{
    struct source *s = ss ? find_id(ss, source) : NULL;
    if (s && s->ads)
        ads_set_held(s->ads, t, name, version);
}

void sources_drop_held(struct sources *ss, unsigned source, enum xds_type t, const char *name)
{
    struct source *s = ss ? find_id(ss, source) : NULL;
    if (s && s->ads)
        ads_drop_held(s->ads, t, name);
}

bool sources_is_open(const struct sources *ss, unsigned source)
{
    return ss && find_id(ss, source);
}

bool sources_has_answered(const struct sources *ss, unsigned source)
{
    const struct source *s = ss ? find_id(ss, source) : NULL;
    return s && s->has_answered;
}

void sources_set_answered(struct sources *ss, unsigned source)
{
    struct source *s = ss ? find_id(ss, source) : NULL;
    if (s)
        s->has_answered = true;
}

bool sources_is_used(const struct sources *ss)
{
    return ss && ss->is_used;
}

/* ---- start and end ---- */

int sources_create(struct loop *loop, const struct bootstrap *b, const struct ads_ops *ops,
                   struct sources **s_r, struct error *err)
{
    struct sources *ss = MEM_NEW(struct sources);
    ss->loop = loop;
    ss->boot = b;
    ss->ops = *ops;
    list_init(&ss->list);
    ss->next_id = SOURCES_ADS - 1;
    *s_r = ss;
    struct source *ads = new_source(ss, XDS_TYPE_COUNT);
    if (!b->ads.api || !open_stream(ads, &b->ads, err))
        return 0;
    sources_destroy(s_r);
    return error_prefix(err, "dynamic_resources.ads_config: ");
}

void sources_destroy(struct sources **s)
{
    struct sources *ss = *s;
    if (!ss)
        return;
    list_for_each_safe (it, tmp, &ss->list)
        free_source(container_of(it, struct source, node));
    mem_free(ss);
    *s = NULL;
}
