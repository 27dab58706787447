/* The stream's life: it is opened at once, and again after each end with full-jitter backoff; what
 * is wanted is sent type by type, in the order of first subscription, once per loop turn. */
#include "xds/ads_private.h"

#include "base/crypto.h"
#include "base/log.h"
#include "base/mem.h"

const char *xds_type_url(enum xds_type t)
{
    static const char *const urls[] = {
#define X(name, url) url,
        XDS_TYPE_MAP(X)
#undef X
    };
    return urls[t];
}

/* ---- sending ---- */

void ads_send(struct ads *a, const ProtobufCMessage *msg)
{
    struct buf bytes = {0};
    pb_pack(msg, &bytes);
    grpc_stream_send(a->stream, buf_str(&bytes));
    buf_fini(&bytes);
}

Envoy__Config__Core__V3__Node *ads_take_node(struct ads *a)
{
    /* The incremental protocol's requests carry it always, as Envoy's do. */
    bool is_wanted = a->is_delta || !a->node_on_first_only || !a->is_node_sent;
    a->is_node_sent = true;
    return is_wanted ? a->node : NULL;
}

void ads_count_queued(struct ads *a)
{
    stat_set(a->pending, a->stream ? grpc_stream_queued(a->stream) : 0);
}

static void flush_type(struct ads *a, struct ads_type *t)
{
    bool is_waiting = ticket_is_waiting(a, t);
    if (t->late.n && !is_waiting)
        ticket_send_late(a, t);
    if (!subs_has_changes(&t->subs) || (!t->is_requested && subs_is_empty(&t->subs)))
        return;
    /* A SotW request with the newest nonce says that its response was accepted: not before it
     * was. */
    if (!a->is_delta && is_waiting)
        return;
    a->protocol->subscribe(a, t);
    t->is_requested = true;
    subs_mark_sent(&t->subs);
}

static void flush(struct loop_timer *timer)
{
    struct ads *a = container_of(timer, struct ads, flush_timer);
    for (size_t i = 0; i < a->order_n && a->stream; i++)
        flush_type(a, a->order[i]);
    ads_count_queued(a);
    if (a->stream && grpc_stream_queued(a->stream) > ADS_QUEUE_MAX)
        ads_fail(a, "the server does not read requests");
}

void ads_flush_later(struct ads *a)
{
    if (a->stream && !loop_timer_is_on(&a->flush_timer))
        loop_timer_start(&a->flush_timer, 0);
}

/* ---- the stream ---- */

/* Full jitter: anything from nothing to the cap, which doubles. */
static uint64_t draw_backoff(struct ads *a)
{
    uint64_t random, cap = ADS_BACKOFF_BASE_MS;
    /* A silent stream that stood this long was no failure either. */
    if (a->is_connected && loop_now_us(a->loop) - a->opened_us > ADS_BACKOFF_MAX_MS * 1000)
        a->failures = 0;
    for (unsigned i = 0; i < a->failures && cap < ADS_BACKOFF_MAX_MS; i++)
        cap *= 2;
    a->failures++;
    crypto_random(&random, sizeof(random));
    return random % (cap < ADS_BACKOFF_MAX_MS ? cap : ADS_BACKOFF_MAX_MS);
}

static void lose_stream(struct ads *a, const char *text)
{
    ads_disconnect(a, a->has_received || a->is_connected);
    loop_timer_start(&a->retry_timer, draw_backoff(a));
    a->is_connected = false;
    loop_timer_stop(&a->silent_timer);
    loop_timer_stop(&a->flush_timer);
    for (size_t i = 0; i < XDS_TYPE_COUNT; i++) {
        struct ads_type *t = &a->types[i];
        ticket_end_stream(t);
        subs_reset_stream(&t->subs);
        mem_free(t->nonce);
        t->nonce = NULL;
        t->is_requested = false;
        sbuf_fini(&t->late);
    }
    a->ops.on_connected(a->ops.arg, a->source, false, text);
}

void ads_fail(struct ads *a, const char *text)
{
    grpc_stream_close(&a->stream);
    lose_stream(a, text);
}

void ads_on_message(void *arg, struct str bytes)
{
    ads_receive(arg, bytes);
}

void ads_on_closed(void *arg, int status, const char *text)
{
    struct ads *a = arg;
    struct sbuf line = {0};
    a->stream = NULL;
    sbuf_printf(&line, "%d, %s", status, text);
    lose_stream(a, line.p);
    sbuf_fini(&line);
}

/* A server that has nothing newer than what we hold says nothing; the connection tells that it is
 * there. */
static void on_silent(struct loop_timer *timer)
{
    struct ads *a = container_of(timer, struct ads, silent_timer);
    if (!grpc_client_is_ready(a->client)) {
        loop_timer_start(&a->silent_timer, ADS_SILENT_MS);
        return;
    }
    a->is_connected = true;
    a->ops.on_connected(a->ops.arg, a->source, true, "");
}

static void open_stream(struct loop_timer *timer)
{
    struct ads *a = container_of(timer, struct ads, retry_timer);
    struct error err;
    a->is_node_sent = false;
    a->has_received = false;
    a->stream_id++;
    a->opened_us = loop_now_us(a->loop);
    if (ads_connect(a, &err)) {
        lose_stream(a, err.text);
        return;
    }
    loop_timer_start(&a->silent_timer, ADS_SILENT_MS);
    ads_flush_later(a);
}

/* ---- what is wanted ---- */

static struct ads_type *get_type(struct ads *a, enum xds_type type)
{
    struct ads_type *t = &a->types[type];
    for (size_t i = 0; i < a->order_n; i++)
        if (a->order[i] == t)
            return t;
    a->order[a->order_n++] = t;
    return t;
}

void ads_want_all(struct ads *a, enum xds_type t)
{
    get_type(a, t)->subs.is_all = true;
    ads_flush_later(a);
}

void ads_want(struct ads *a, enum xds_type t, const char *name)
{
    if (subs_want(&get_type(a, t)->subs, name))
        log_warn(LOG_CONFIG, "%s: more than %d names wanted, %s is not asked for", xds_type_url(t),
                 SUBS_NAMES_MAX, name);
    ads_flush_later(a);
}

void ads_unwant(struct ads *a, enum xds_type t, const char *name)
{
    subs_unwant(&a->types[t].subs, name);
    ads_flush_later(a);
}

void ads_set_held(struct ads *a, enum xds_type t, const char *name, const char *version)
{
    subs_set_held(&a->types[t].subs, name, version);
}

void ads_drop_held(struct ads *a, enum xds_type t, const char *name)
{
    subs_drop_held(&a->types[t].subs, name);
}

/* ---- start and end ---- */

static int set_node(struct ads *a, struct str node, struct error *err)
{
    ProtobufCMessage *msg;
    pb_arena_init(&a->node_arena, pb_budget(node.n));
    if (pb_unpack(&envoy__config__core__v3__node__descriptor, node.p, node.n, &a->node_arena, &msg,
                  err))
        return error_prefix(err, "node: ");
    a->node = (Envoy__Config__Core__V3__Node *)msg;
    return 0;
}

static void free_ads(struct ads *a)
{
    for (size_t i = 0; i < XDS_TYPE_COUNT; i++) {
        struct ads_type *t = &a->types[i];
        ticket_drop_all(t);
        subs_fini(&t->subs);
        mem_free(t->version);
        mem_free(t->nonce);
        sbuf_fini(&t->late);
    }
    pb_arena_fini(&a->arena);
    pb_arena_fini(&a->node_arena);
    stat_release(a->pending);
    mem_free(a);
}

int ads_create(struct loop *loop, const struct ads_options *o, const struct ads_ops *ops,
               struct ads **a_r, struct error *err)
{
    struct ads *a = MEM_NEW(struct ads);
    a->loop = loop;
    a->ops = *ops;
    a->server = o->server;
    a->only = o->type;
    a->source = o->source;
    a->is_delta = o->server->is_delta;
    a->protocol = a->is_delta ? &delta_protocol : &sotw_protocol;
    a->node_on_first_only = o->server->node_on_first_only;
    a->next_ticket = 1;
    a->pending = stat_define(STAT_GAUGE, "control_plane.pending_requests");
    pb_arena_init(&a->arena, pb_budget(0));
    loop_timer_init(&a->retry_timer, loop, open_stream);
    loop_timer_init(&a->silent_timer, loop, on_silent);
    loop_timer_init(&a->flush_timer, loop, flush);
    for (size_t i = 0; i < XDS_TYPE_COUNT; i++) {
        struct ads_type *t = &a->types[i];
        t->ads = a;
        t->type = (enum xds_type)i;
        t->version = mem_strdup("");
        subs_init(&t->subs);
        list_init(&t->tickets);
    }
    int rc = set_node(a, o->node, err);
    if (rc) {
        free_ads(a);
        return rc;
    }
    loop_timer_start(&a->retry_timer, 0);
    *a_r = a;
    return 0;
}

void ads_destroy(struct ads **ads)
{
    struct ads *a = *ads;
    if (!a)
        return;
    loop_timer_stop(&a->retry_timer);
    loop_timer_stop(&a->silent_timer);
    loop_timer_stop(&a->flush_timer);
    if (a->stream)
        grpc_stream_close(&a->stream);
    if (a->client)
        grpc_client_destroy(&a->client);
    free_ads(a);
    *ads = NULL;
}
