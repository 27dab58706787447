#include "xds/subs.h"

#include "base/err.h"
#include "base/mem.h"

void subs_init(struct subs *s)
{
    *s = (struct subs){0};
    list_init(&s->list);
}

static void free_sub(struct sub *sub)
{
    list_del(&sub->node);
    mem_free(sub->version);
    mem_free(sub);
}

void subs_fini(struct subs *s)
{
    list_for_each_safe (it, tmp, &s->list)
        free_sub(container_of(it, struct sub, node));
    hash_fini(&s->names);
}

static struct sub *find(const struct subs *s, const char *name)
{
    return hash_find(&s->names, str_of(name));
}

static struct sub *get(struct subs *s, const char *name)
{
    struct sub *sub = find(s, name);
    if (sub || hash_count(&s->names) >= SUBS_NAMES_MAX)
        return sub;
    size_t n = strlen(name) + 1;
    sub = mem_zalloc(sizeof(*sub) + n);
    memcpy(sub->name, name, n);
    list_add_tail(&s->list, &sub->node);
    hash_set(&s->names, str_of(name), sub);
    return sub;
}

/* Forgets a name that nothing speaks of any more. */
static void check(struct subs *s, struct sub *sub)
{
    if (sub->count || sub->is_sent || sub->version)
        return;
    hash_remove(&s->names, str_of(sub->name));
    free_sub(sub);
}

void subs_reset_stream(struct subs *s)
{
    s->is_all_sent = s->is_named = false;
    s->sent = 0;
    list_for_each_safe (it, tmp, &s->list) {
        struct sub *sub = container_of(it, struct sub, node);
        sub->is_sent = false;
        check(s, sub);
    }
}

int subs_want(struct subs *s, const char *name)
{
    struct sub *sub = get(s, name);
    if (!sub)
        return -ERR_LIMIT;
    s->wanted += !sub->count++;
    return 0;
}

void subs_unwant(struct subs *s, const char *name)
{
    struct sub *sub = find(s, name);
    if (!sub || !sub->count || --sub->count)
        return;
    s->wanted--;
    check(s, sub);
}

bool subs_is_wanted(const struct subs *s, const char *name)
{
    if (s->is_all)
        return true;
    const struct sub *sub = find(s, name);
    return sub && sub->count;
}

void subs_set_held(struct subs *s, const char *name, const char *version)
{
    struct sub *sub = get(s, name);
    if (!sub)
        return;
    mem_free(sub->version);
    sub->version = mem_strdup(version);
}

void subs_drop_held(struct subs *s, const char *name)
{
    struct sub *sub = find(s, name);
    if (!sub)
        return;
    mem_free(sub->version);
    sub->version = NULL;
    check(s, sub);
}

bool subs_has_changes(const struct subs *s)
{
    if (s->is_all != s->is_all_sent || s->wanted != s->sent)
        return true;
    list_for_each (it, &s->list) {
        const struct sub *sub = container_of(it, struct sub, node);
        if (sub->is_sent != (sub->count > 0))
            return true;
    }
    return false;
}

void subs_mark_sent(struct subs *s)
{
    s->is_all_sent = s->is_all;
    s->sent = s->wanted;
    s->is_named = s->is_named || s->wanted;
    list_for_each_safe (it, tmp, &s->list) {
        struct sub *sub = container_of(it, struct sub, node);
        sub->is_sent = sub->count > 0;
        check(s, sub);
    }
}
