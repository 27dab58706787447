#include "net/tls_stats.h"

#include <stdio.h>

#include "base/mem.h"

struct tls_stats *tls_stats_create(const char *prefix)
{
    struct tls_stats *s = MEM_NEW(struct tls_stats);
    s->refs = 1;
    s->prefix = mem_strdup(prefix);
#define X(name) s->name = stat_define(STAT_COUNTER, "%s.ssl." #name, prefix);
    TLS_STAT_MAP(X)
#undef X
    return s;
}

struct tls_stats *tls_stats_ref(struct tls_stats *s)
{
    s->refs++;
    return s;
}

void tls_stats_unref(struct tls_stats *s)
{
    struct hash_entry *e;
    size_t it = 0;
    if (!s || --s->refs)
        return;
#define X(name) stat_release(s->name);
    TLS_STAT_MAP(X)
#undef X
    while ((e = hash_next(&s->names, &it)))
        stat_release((stat_id)((uintptr_t)e->value - 1));
    hash_fini(&s->names);
    mem_free(s->prefix);
    mem_free(s);
}

void tls_stats_count_name(struct tls_stats *s, const char *kind, const char *name)
{
    char key[128];
    int n = snprintf(key, sizeof(key), "%s.%s", kind, name);
    if (n < 0 || (size_t)n >= sizeof(key))
        return;
    struct str k = {key, (size_t)n};
    uintptr_t id = (uintptr_t)hash_find(&s->names, k);
    if (!id) { /* as many as the library knows */
        id = (uintptr_t)stat_define(STAT_COUNTER, "%s.ssl.%s", s->prefix, key) + 1;
        hash_set(&s->names, k, (void *)id);
    }
    stat_inc((stat_id)(id - 1));
}
