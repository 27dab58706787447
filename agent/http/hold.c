#include "http/hold.h"

#include "base/mem.h"

static void drop_if_unused(struct filter_env *env, struct snapshot_hold *h)
{
    if (h->users || h == env->current)
        return;
    snapshot_unref(h->snapshot);
    mem_free(h);
}

struct snapshot_hold *hold_take(struct filter_env *env)
{
    env->current->users++;
    return env->current;
}

void hold_release(struct filter_env *env, struct snapshot_hold *h)
{
    h->users--;
    drop_if_unused(env, h);
}

void hold_switch(struct filter_env *env, struct snapshot *s)
{
    struct snapshot_hold *old = env->current;
    env->current = NULL;
    if (s) {
        env->current = MEM_NEW(struct snapshot_hold);
        env->current->snapshot = snapshot_ref(s);
    }
    if (old)
        drop_if_unused(env, old);
}
