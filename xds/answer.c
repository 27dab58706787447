/* Answers. Each response has a ticket until it is answered, once. A NACK of bytes that were NACKed
 * before is held back for a while, because servers send a refused version again at once. */
#include "base/log.h"
#include "base/mem.h"
#include "xds/ads_private.h"
#include "xds/peek.h"

static void free_ticket(struct ticket *k)
{
    loop_timer_stop(&k->timer);
    list_del(&k->node);
    mem_free(k->nonce);
    mem_free(k->version);
    mem_free(k->detail);
    mem_free(k);
}

void ticket_drop(struct ticket *k)
{
    free_ticket(k);
}

/* What a string of the protocol may hold: UTF-8 within bounds. Texts come from guests and
 * registries, too. */
static char *clean_detail(const char *detail)
{
    struct sbuf out = {0};
    struct str rest = str_of(detail);
    while (rest.n && out.n < ADS_DETAIL_MAX) {
        size_t n = peek_utf8((struct str){
            rest.p, rest.n < ADS_DETAIL_MAX - out.n ? rest.n : ADS_DETAIL_MAX - out.n});
        sbuf_add(&out, rest.p, n);
        rest = (struct str){rest.p + n, rest.n - n};
        if (!rest.n || out.n + 4 > ADS_DETAIL_MAX)
            break;
        sbuf_addc(&out, '?');
        rest = (struct str){rest.p + 1, rest.n - 1};
    }
    if (rest.n)
        sbuf_addz(&out, "...");
    return sbuf_take(&out);
}

static void send_answer(struct ads *a, struct ads_type *t, const char *nonce, const char *version,
                        const char *detail)
{
    char *clean = detail ? clean_detail(detail) : NULL;
    a->protocol->answer(a, t, nonce, version, clean);
    mem_free(clean);
    /* A subscription change may have waited for this. */
    ads_flush_later(a);
}

static void on_timer(struct loop_timer *timer)
{
    struct ticket *k = container_of(timer, struct ticket, timer);
    struct ads_type *t = k->type;
    /* Without a text it is the silent refusal. */
    send_answer(t->ads, t, k->nonce, t->version, k->detail[0] ? k->detail : NULL);
    free_ticket(k);
}

struct ticket *ticket_open(struct ads *a, struct ads_type *t, const struct ads_response *r)
{
    struct ticket *k = MEM_NEW(struct ticket);
    k->type = t;
    k->id = a->next_ticket++;
    k->stream = a->stream_id;
    k->nonce = mem_strdup(r->nonce);
    k->version = mem_strdup(r->version);
    loop_timer_init(&k->timer, a->loop, on_timer);
    list_add_tail(&t->tickets, &k->node);
    return k;
}

bool ticket_is_waiting(const struct ads *a, const struct ads_type *t)
{
    if (list_is_empty(&t->tickets))
        return false;
    return container_of(t->tickets.prev, struct ticket, node)->stream == a->stream_id;
}

static void note_accepted(struct ads_type *t, const struct ticket *k)
{
    t->is_nacked = false;
    t->repeats = 0;
    /* Responses may be answered in another order than they came. */
    if (k->id < t->version_id)
        return;
    t->version_id = k->id;
    mem_free(t->version);
    t->version = mem_strdup(k->version);
}

/* Milliseconds before this refusal may go out. */
static uint64_t pause_of(struct ads_type *t, uint64_t hash)
{
    bool is_repeated = t->is_nacked && t->nacked_hash == hash;
    t->is_nacked = true;
    t->nacked_hash = hash;
    if (!is_repeated) {
        t->repeats = 0;
        return 0;
    }
    uint64_t ms = ADS_REPEAT_MIN_MS;
    for (unsigned i = 0; i < t->repeats && ms < ADS_REPEAT_MAX_MS; i++)
        ms *= 2;
    t->repeats++;
    return ms < ADS_REPEAT_MAX_MS ? ms : ADS_REPEAT_MAX_MS;
}

/* detail "": refused without a reason. */
static void refuse(struct ads *a, struct ticket *k, const char *detail)
{
    struct ads_type *t = k->type;
    uint64_t ms = pause_of(t, k->hash);
    if (ms) {
        k->detail = mem_strdup(detail);
        loop_timer_start(&k->timer, ms);
        return;
    }
    send_answer(a, t, k->nonce, t->version, detail[0] ? detail : NULL);
    free_ticket(k);
}

void ticket_answer(struct ads *a, struct ticket *k, const char *detail)
{
    struct ads_type *t = k->type;
    bool is_current = a->stream && k->stream == a->stream_id;
    if (!detail)
        note_accepted(t, k);
    if (detail && is_current) {
        refuse(a, k, detail[0] ? detail : "refused");
        return;
    }
    if (is_current)
        send_answer(a, t, k->nonce, k->version, NULL);
    free_ticket(k);
}

void ticket_refuse_silently(struct ads *a, struct ticket *k)
{
    refuse(a, k, "");
}

void ticket_end_stream(struct ads_type *t)
{
    list_for_each_safe (it, tmp, &t->tickets) {
        struct ticket *k = container_of(it, struct ticket, node);
        if (k->detail)
            free_ticket(k);
    }
}

void ticket_drop_all(struct ads_type *t)
{
    list_for_each_safe (it, tmp, &t->tickets)
        free_ticket(container_of(it, struct ticket, node));
}

/* ---- the receiver's side ---- */

static struct ticket *find_ticket(struct ads *a, uint64_t id)
{
    for (size_t i = 0; i < XDS_TYPE_COUNT; i++) {
        list_for_each (it, &a->types[i].tickets) {
            struct ticket *k = container_of(it, struct ticket, node);
            if (k->id == id)
                return k;
        }
    }
    return NULL;
}

void ads_answer(struct ads *a, uint64_t ticket, const char *detail)
{
    struct ticket *k = find_ticket(a, ticket);
    /* One with a detail was answered, and waits. */
    if (k && !k->detail)
        ticket_answer(a, k, detail);
}

void ads_nack_late(struct ads *a, enum xds_type type, const char *detail)
{
    struct ads_type *t = &a->types[type];
    if (!a->stream || !t->nonce) {
        log_debug(LOG_CONFIG, "%s: nothing to refuse on this stream: %s", xds_type_url(type),
                  detail);
        return;
    }
    if (t->late.n < ADS_DETAIL_MAX) {
        if (t->late.n)
            sbuf_addz(&t->late, "; ");
        sbuf_addz(&t->late, detail);
    }
    ads_flush_later(a);
}

void ticket_send_late(struct ads *a, struct ads_type *t)
{
    char *detail = sbuf_take(&t->late);
    t->is_nacked = true;
    t->nacked_hash = t->hash;
    t->repeats = 0;
    send_answer(a, t, t->nonce, t->version, detail);
    mem_free(detail);
}
