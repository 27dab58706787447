/* The answer to one response: it collects refusals, waits for publishing and for plugins to
 * start, and goes out as soon as nothing is pending, at the latest after answer_wait_ms. What
 * fails later is sent as a late NACK. */
#include "base/log.h"
#include "base/mem.h"
#include "xds/control_private.h"

static void free_batch(struct batch *b)
{
    loop_timer_stop(&b->timer);
    list_del(&b->node);
    sbuf_fini(&b->errors);
    mem_free(b->version);
    mem_free(b);
}

static void unref(struct batch *b)
{
    if (--b->refs == 0)
        free_batch(b);
}

void batch_free_all(struct control *c)
{
    list_for_each_safe (it, tmp, &c->batches)
        free_batch(container_of(it, struct batch, node));
}

static void answer(struct batch *b)
{
    struct control *c = b->control;
    if (b->is_answered)
        return;
    b->is_answered = true;
    loop_timer_stop(&b->timer);
    const char *detail = b->errors.n ? b->errors.p : NULL;
    if (b->source) {
        counts_note(&c->stats[b->type], b, !detail);
        if (detail)
            log_warn(LOG_CONFIG, "gRPC config for %s rejected: %s", xds_type_url(b->type), detail);
    }
    if (b->ticket)
        sources_answer(c->sources, b->source, b->ticket, detail);
    unref(b);
}

static void on_timer(struct loop_timer *t)
{
    answer(container_of(t, struct batch, timer));
}

struct batch *batch_create(struct control *c, enum xds_type t, unsigned source, uint64_t ticket)
{
    struct batch *b = MEM_NEW(struct batch);
    b->control = c;
    b->type = t;
    b->ticket = ticket;
    b->source = source;
    b->refs = 1;
    b->pending = 1; /* until batch_finish */
    list_add_tail(&c->batches, &b->node);
    loop_timer_init(&b->timer, c->loop, on_timer);
    loop_timer_start(&b->timer, c->o.answer_wait_ms);
    return b;
}

void batch_add_error(struct batch *b, const char *name, const char *stage, const char *text)
{
    struct control *c = b->control;
    struct sbuf line = {0};
    sbuf_printf(&line, "%s: %s%s%s", name, stage ? stage : "", stage ? ": " : "", text);
    if (!b->is_answered) {
        if (b->errors.n)
            sbuf_addz(&b->errors, "; ");
        sbuf_add(&b->errors, line.p, line.n);
    } else if (b->source && !c->is_closing) {
        stat_inc(c->stats[b->type].rejected);
        sources_nack_late(c->sources, b->source, b->type, line.p);
    }
    sbuf_fini(&line);
}

void batch_hold(struct batch *b)
{
    b->pending++;
    b->refs++;
}

void batch_release(struct batch *b)
{
    if (--b->pending == 0)
        answer(b);
    unref(b);
}

static void on_published(void *arg)
{
    batch_release(arg);
}

void batch_finish(struct batch *b)
{
    struct control *c = b->control;
    b->refs++; /* for on_published; `pending` already counts it */
    c->is_edited = false;
    c->o.ops.commit(c->o.ops.arg, on_published, b);
}
