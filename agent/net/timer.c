/* Timers: a FIFO per duration. Durations come from configuration, so there are few of them; an
 * idle connection's timer costs nothing until it reaches the head of its queue. */
#include "net/loop_private.h"

#include "base/mem.h"

static struct timer_queue *get_queue(struct timers *t, uint64_t delay_us)
{
    struct timer_queue **slot = &t->slots[(delay_us * 0x9e3779b97f4a7c15u) >> 58];
    for (struct timer_queue *q = *slot; q; q = q->next)
        if (q->delay_us == delay_us)
            return q;
    struct timer_queue *q = MEM_NEW(struct timer_queue);
    q->delay_us = delay_us;
    list_init(&q->timers);
    q->next = *slot;
    *slot = q;
    mem_grow((void **)&t->all, &t->cap, t->n + 1, sizeof(*t->all));
    t->all[t->n++] = q;
    return q;
}

/* Odd durations (jittered backoff) would leave a queue each behind: empty ones are swept when
 * there are many. */
static void sweep(struct timers *t)
{
    size_t kept = 0;
    for (size_t i = 0; i < t->n; i++) {
        struct timer_queue *q = t->all[i];
        if (!list_is_empty(&q->timers)) {
            t->all[kept++] = q;
            continue;
        }
        struct timer_queue **at = &t->slots[(q->delay_us * 0x9e3779b97f4a7c15u) >> 58];
        while (*at != q)
            at = &(*at)->next;
        *at = q->next;
        mem_free(q);
    }
    t->n = kept;
}

void timers_fini(struct timers *t)
{
    for (size_t i = 0; i < t->n; i++) {
        struct timer_queue *q = t->all[i];
        list_for_each_safe (it, tmp, &q->timers)
            list_del(it);
        mem_free(q);
    }
    mem_free(t->all);
    *t = (struct timers){0};
}

static struct loop_timer *head(const struct timer_queue *q)
{
    return list_is_empty(&q->timers) ? NULL : container_of(q->timers.next, struct loop_timer, node);
}

int timers_wait_ms(const struct timers *t, uint64_t now_us)
{
    uint64_t due = UINT64_MAX;
    for (size_t i = 0; i < t->n; i++) {
        const struct loop_timer *h = head(t->all[i]);
        if (h && h->due_us < due)
            due = h->due_us;
    }
    if (due == UINT64_MAX)
        return -1;
    if (due <= now_us)
        return 0;
    uint64_t ms = (due - now_us + 999) / 1000;
    return ms > 3600000 ? 3600000 : (int)ms;
}

void timers_run(struct timers *t, uint64_t now_us)
{
    for (size_t i = 0; i < t->n; i++) {
        struct loop_timer *h;
        while ((h = head(t->all[i])) && h->due_us <= now_us) {
            list_del(&h->node);
            h->on_timer(h);
        }
    }
    if (t->n > TIMER_SLOTS * 2)
        sweep(t);
}

void loop_timer_init(struct loop_timer *t, struct loop *loop,
                     void (*on_timer)(struct loop_timer *t))
{
    list_init(&t->node);
    t->loop = loop;
    t->due_us = 0;
    t->on_timer = on_timer;
}

void loop_timer_start(struct loop_timer *t, uint64_t delay_ms)
{
    list_del(&t->node);
    t->due_us = t->loop->now_us + delay_ms * 1000;
    list_add_tail(&get_queue(&t->loop->timers, delay_ms * 1000)->timers, &t->node);
}

void loop_timer_stop(struct loop_timer *t)
{
    list_del(&t->node);
}

bool loop_timer_is_on(const struct loop_timer *t)
{
    return !list_is_empty(&t->node);
}
