/* Earliest-deadline-first schedule in a binary heap. Each host returns 1/weight after its last
 * turn, so over time hosts are picked in proportion to their weights. */
#include "base/mem.h"
#include "upstream/lb.h"

static bool is_before(const struct lb_edf_entry *a, const struct lb_edf_entry *b)
{
    return a->deadline < b->deadline || (a->deadline == b->deadline && a->order < b->order);
}

static void swap(struct lb_edf_entry *a, struct lb_edf_entry *b)
{
    struct lb_edf_entry t = *a;
    *a = *b;
    *b = t;
}

void lb_edf_add(struct lb_edf *e, struct upstream_host *h, double weight)
{
    mem_grow((void **)&e->heap, &e->cap, e->n + 1, sizeof(*e->heap));
    size_t i = e->n++;
    e->heap[i] = (struct lb_edf_entry){e->now + 1.0 / weight, e->order++, h};
    while (i && is_before(&e->heap[i], &e->heap[(i - 1) / 2])) {
        swap(&e->heap[i], &e->heap[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
}

struct upstream_host *lb_edf_take(struct lb_edf *e)
{
    if (!e->n)
        return NULL;
    struct lb_edf_entry first = e->heap[0];
    e->now = first.deadline;
    e->heap[0] = e->heap[--e->n];
    for (size_t i = 0;;) {
        size_t least = i;
        for (size_t child = 2 * i + 1; child <= 2 * i + 2 && child < e->n; child++)
            if (is_before(&e->heap[child], &e->heap[least]))
                least = child;
        if (least == i)
            break;
        swap(&e->heap[i], &e->heap[least]);
        i = least;
    }
    return first.host;
}

void lb_edf_fini(struct lb_edf *e)
{
    mem_free(e->heap);
    *e = (struct lb_edf){0};
}
