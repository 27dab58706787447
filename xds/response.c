/* Incoming responses, up to the receiver: the checks that both protocols share. */
#include "base/log.h"
#include "base/mem.h"
#include "proto/value.h"
#include "xds/ads_private.h"
#include "xds/peek.h"

/* Both response messages number these alike. */
enum { FIELD_TYPE_URL = 4, FIELD_NONCE = 5 };

static struct ads_type *find_type(struct ads *a, struct str type_url)
{
    for (size_t i = 0; i < XDS_TYPE_COUNT; i++)
        if (str_is(type_url, xds_type_url((enum xds_type)i)))
            return &a->types[i];
    return NULL;
}

/* ---- listing ---- */

int ads_lister_init(struct ads_lister *l, struct ads *a, struct ads_type *t, size_t max,
                    struct error *err)
{
    *l = (struct ads_lister){.ads = a, .type = t};
    l->resources = pb_arena_alloc(&a->arena, (max + 1) * sizeof(*l->resources));
    l->heartbeats = pb_arena_alloc(&a->arena, (max + 1) * sizeof(*l->heartbeats));
    return l->resources && l->heartbeats ? 0
                                         : error_set(err, ERR_LIMIT, "decode: too many resources");
}

int ads_lister_note_name(struct ads_lister *l, struct str name, struct error *err)
{
    if (!name.n)
        return error_set(err, ERR_INVALID, "validate: a resource without a name");
    if (hash_set(&l->seen, name, l))
        return error_set(err, ERR_DUPLICATE, "%.*s: validate: duplicate name in one response",
                         STR_ARG(name));
    l->hash = hash_xx64(name.p, name.n, l->hash);
    return 0;
}

int ads_lister_add(struct ads_lister *l, const char *name, const char *version, struct str value,
                   struct error *err)
{
    int rc = ads_lister_note_name(l, str_of(name), err);
    if (rc)
        return rc;
    l->hash = hash_xx64(value.p, value.n, l->hash);
    if (!subs_is_wanted(&l->type->subs, name)) {
        log_debug(LOG_CONFIG, "%s: %s was not asked for", xds_type_url(l->type->type), name);
        return 0;
    }
    l->resources[l->n++] = (struct xds_resource){.name = name, .version = version, .value = value};
    return 0;
}

int ads_lister_add_wrapped(struct ads_lister *l, const Envoy__Service__Discovery__V3__Resource *r,
                           const char *name, const char *version, struct error *err)
{
    uint64_t ms;
    size_t before = l->n;
    int rc = pb_duration_ms(r->ttl, 0, &ms, err);
    if (rc)
        return error_prefix(err, "%.200s: decode: ttl: ", name);
    if (r->ttl && !ms)
        ms = 1; /* over at once; 0 is for ever */
    uint32_t ttl_ms = ms < UINT32_MAX ? (uint32_t)ms : UINT32_MAX;
    if (r->resource)
        rc = ads_lister_add(
            l, name, version,
            (struct str){(const char *)r->resource->value.data, r->resource->value.len}, err);
    else
        rc = ads_lister_note_name(l, str_of(name), err);
    if (l->n > before)
        l->resources[before].ttl_ms = ttl_ms;
    if (!rc && !r->resource)
        l->heartbeats[l->heartbeats_n++] =
            (struct xds_resource){.name = name, .version = version, .ttl_ms = ttl_ms};
    return rc;
}

void ads_lister_finish(struct ads_lister *l, struct ads_response *r)
{
    r->hash = l->hash;
    r->update.resources = l->resources;
    r->update.resources_n = l->n;
    r->update.heartbeats = l->heartbeats;
    r->update.heartbeats_n = l->heartbeats_n;
    hash_fini(&l->seen);
}

/* ---- receiving ---- */

static void note_connected(struct ads *a)
{
    a->failures = 0;
    a->has_received = true;
    if (a->is_connected)
        return;
    a->is_connected = true;
    loop_timer_stop(&a->silent_timer);
    a->ops.on_connected(a->ops.arg, a->source, true, "");
}

static struct ads_type *check_type(struct ads *a, struct str url)
{
    struct ads_type *t = find_type(a, url);
    if (t && t->is_requested)
        return t;
    /* Answering for a type that the server has no state of would confuse it at best. */
    log_warn(LOG_CONFIG, "response of a type that was not asked for ignored: '%.*s'", STR_ARG(url));
    return NULL;
}

static struct ticket *note_response(struct ads *a, struct ads_type *t, struct ads_response *r)
{
    mem_free(t->nonce);
    t->nonce = mem_strdup(r->nonce);
    return ticket_open(a, t, r);
}

static bool is_too_long(const char *token)
{
    return strlen(token) > ADS_TOKEN_MAX;
}

static size_t count_tickets(const struct ads_type *t)
{
    size_t n = 0;
    list_for_each (it, &t->tickets)
        n++;
    return n;
}

/* The whole does not decode. When it still says what it answers, it is refused; without that only
 * the stream can be given up. */
static void handle_garbage(struct ads *a, struct str bytes, const struct error *err)
{
    struct str url, nonce;
    peek_string(bytes, FIELD_TYPE_URL, &url);
    peek_string(bytes, FIELD_NONCE, &nonce);
    struct ads_type *t = find_type(a, url);
    if (!nonce.n || nonce.n > ADS_TOKEN_MAX || !t || !t->is_requested) {
        struct sbuf text = {0};
        sbuf_printf(&text, "undecodable response: %s", err->text);
        ads_fail(a, text.p);
        sbuf_fini(&text);
        return;
    }
    struct sbuf detail = {0};
    char *token = mem_strndup(nonce.p, nonce.n);
    struct ads_response r = {.nonce = token, .version = ""};
    sbuf_printf(&detail, "decode: %s", err->text);
    struct ticket *k = note_response(a, t, &r);
    /* The bytes hold the nonce, which differs each time, so one fault looks like the next. */
    k->hash = t->hash = hash_xx64(err->text, strlen(err->text), 1);
    ticket_answer(a, k, detail.p);
    sbuf_fini(&detail);
    mem_free(token);
}

/* Nobody wants the type any more. */
static void handle_unwatched(struct ads *a, struct ads_type *t, struct ticket *k,
                             const struct ads_response *r)
{
    if (a->is_delta) {
        ticket_answer(a, k, NULL);
    } else if (r->is_empty) {
        mem_free(t->version);
        t->version = mem_strdup(r->version);
        ticket_drop(k);
    } else {
        ticket_refuse_silently(a, k);
    }
}

static void handle_response(struct ads *a, struct ads_type *t, struct ads_response *r)
{
    struct error err;
    struct ticket *k = note_response(a, t, r);
    int rc = a->protocol->list(a, t, r, &err);
    k->hash = t->hash = r->hash;
    if (subs_is_empty(&t->subs)) {
        handle_unwatched(a, t, k, r);
        return;
    }
    if (rc) {
        log_warn(LOG_CONFIG, "%s: response refused: %s", xds_type_url(t->type), err.text);
        ticket_answer(a, k, err.text);
        return;
    }
    r->update.type = t->type;
    r->update.is_delta = a->is_delta;
    r->update.version = r->version;
    r->update.ticket = k->id;
    r->update.source = a->source;
    a->ops.on_update(a->ops.arg, &r->update);
}

void ads_receive(struct ads *a, struct str bytes)
{
    struct ads_response r = {0};
    struct error err;
    pb_arena_reset(&a->arena, pb_budget(bytes.n));
    if (a->protocol->decode(a, bytes, &r, &err)) {
        handle_garbage(a, bytes, &err);
        return;
    }
    note_connected(a);
    ads_count_queued(a);
    struct ads_type *t = check_type(a, str_of(r.type_url));
    if (!t)
        return;
    if (is_too_long(r.nonce) || is_too_long(r.version))
        ads_fail(a, "nonce or version too long");
    else if (count_tickets(t) >= ADS_TICKETS_MAX)
        ads_fail(a, "too many responses before the first was answered");
    else
        handle_response(a, t, &r);
}
