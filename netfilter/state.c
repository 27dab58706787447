#include "netfilter/state.h"

#include "base/mem.h"

bool state_is_our_chain(const char *chain)
{
    return strncmp(chain, "ISTIO_", 6) == 0;
}

bool state_is_our_jump(const char *line)
{
    const char *j = strstr(line, " -j ISTIO_");
    return j || strstr(line, " -g ISTIO_");
}

static struct state_chain *find_or_add(struct state *s, struct state_table *t, struct str name)
{
    for (size_t i = 0; i < t->n; i++)
        if (str_is(name, t->chains[i].name))
            return &t->chains[i];
    mem_grow((void **)&t->chains, &t->cap, t->n + 1, sizeof(*t->chains));
    t->chains[t->n] = (struct state_chain){.name = arena_strndup(&s->arena, name.p, name.n)};
    return &t->chains[t->n++];
}

static struct state_table *find_table(struct state *s, struct str name)
{
    for (enum table i = 0; i < TABLE_COUNT; i++)
        if (str_is(name, rules_table_name(i)))
            return &s->tables[i];
    return NULL;
}

static void parse_line(struct state *s, struct state_table *t, struct str line)
{
    struct str rest = {line.p + 1, line.n - 1}, name;
    if (line.p[0] == ':' && str_next(&rest, ' ', &name))
        find_or_add(s, t, name);
    if (!str_starts(line, STR("-A ")))
        return;
    rest = (struct str){line.p + 3, line.n - 3};
    if (str_next(&rest, ' ', &name)) {
        struct state_chain *c = find_or_add(s, t, name);
        words_add(&s->arena, &c->rules, line);
    }
}

void state_parse(struct state *s, struct str text)
{
    struct state_table *t = NULL;
    struct str line;

    *s = (struct state){0};
    arena_init(&s->arena, 0);
    while (str_next(&text, '\n', &line)) {
        line = str_trim(line);
        if (!line.n)
            continue;
        if (line.p[0] == '*')
            t = find_table(s, str_trim((struct str){line.p + 1, line.n - 1}));
        else if (t)
            parse_line(s, t, line);
    }
}

void state_fini(struct state *s)
{
    for (size_t i = 0; i < TABLE_COUNT; i++)
        mem_free(s->tables[i].chains);
    arena_fini(&s->arena);
}

const struct state_chain *state_find(const struct state *s, enum table table, const char *chain)
{
    const struct state_table *t = &s->tables[table];
    for (size_t i = 0; i < t->n; i++)
        if (strcmp(t->chains[i].name, chain) == 0)
            return &t->chains[i];
    return NULL;
}

static bool chain_is_ours_or_jumps(const struct state_chain *c)
{
    if (state_is_our_chain(c->name))
        return true;
    for (size_t i = 0; i < c->rules.n; i++)
        if (state_is_our_jump(c->rules.v[i]))
            return true;
    return false;
}

bool state_has_ours(const struct state *s)
{
    for (size_t t = 0; t < TABLE_COUNT; t++)
        for (size_t i = 0; i < s->tables[t].n; i++)
            if (chain_is_ours_or_jumps(&s->tables[t].chains[i]))
                return true;
    return false;
}

bool state_is_empty(const struct state *s)
{
    for (size_t t = 0; t < TABLE_COUNT; t++)
        for (size_t i = 0; i < s->tables[t].n; i++)
            if (s->tables[t].chains[i].rules.n ||
                !rules_is_builtin_chain(s->tables[t].chains[i].name))
                return false;
    return true;
}
