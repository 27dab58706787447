#include "netfilter/rules.h"

#include <sys/socket.h>

#include "base/mem.h"
#include "netfilter/rules_private.h"

bool rules_is_builtin_chain(const char *chain)
{
    static const char *const builtin[] = {"INPUT", "OUTPUT", "FORWARD", "PREROUTING",
                                          "POSTROUTING"};
    for (size_t i = 0; i < ARRAY_LEN(builtin); i++)
        if (strcmp(chain, builtin[i]) == 0)
            return true;
    return false;
}

const char *rules_table_name(enum table table)
{
    static const char *const names[TABLE_COUNT] = {"filter", "mangle", "nat", "raw"};
    return names[table];
}

void rule_set_add(struct rule_set *set, enum table table, const char *chain, unsigned position,
                  struct target target, const struct match *matches)
{
    size_t n = 0;
    while (matches[n].kind != MATCH_END)
        n++;
    struct match *copy = arena_alloc(&set->arena, (n + 1) * sizeof(*copy));
    memcpy(copy, matches, (n + 1) * sizeof(*copy));
    mem_grow((void **)&set->rules, &set->cap, set->n + 1, sizeof(*set->rules));
    set->rules[set->n++] = (struct rule){table, chain, position, copy, target};
}

const char *rules_number(struct build *b, unsigned value)
{
    return arena_printf(&b->set->arena, "%u", value);
}

void rule_set_fini(struct rule_set *set)
{
    mem_free(set->rules);
    arena_fini(&set->arena);
    *set = (struct rule_set){0};
}
