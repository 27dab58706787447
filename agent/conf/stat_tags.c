#include "conf/stat_tags.h"

#include <ctype.h>
#include <string.h>

#include "base/mem.h"
#include "base/regex.h"

/* Positions in conf_stat_tags.v, rising. */
struct conf_stat_tag_list {
    size_t *v;
    size_t n, cap;
};

/* A part of a name that is cut out. */
struct cut {
    size_t from, to;
};

/* ---- the list ---- */

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

/* The token that each name begins with: "^cluster\.", "^listener(?=\.)", "cluster.$". */
static struct str first_token(const struct conf_stat_tag *t)
{
    const char *p = t->tokens ? t->tokens : t->pattern ? t->pattern : "";
    if (!t->tokens && *p++ != '^')
        return STR("");
    size_t n = 0;
    while (is_word(p[n]))
        n++;
    bool ends = t->tokens ? p[n] == '.' : str_starts(str_of(p + n), STR("\\."));
    return n && ends ? (struct str){p, n} : STR("");
}

static struct conf_stat_tag_list *list_of(struct conf_stat_tags *t, struct str first)
{
    struct conf_stat_tag_list *l = first.n ? hash_find(&t->by_first, first) : t->any;
    if (l)
        return l;
    l = MEM_NEW(struct conf_stat_tag_list);
    if (first.n)
        hash_set(&t->by_first, first, l);
    else
        t->any = l;
    return l;
}

void conf_stat_tags_add(struct conf_stat_tags *t, const struct conf_stat_tag *tag)
{
    struct conf_stat_tag_list *l = list_of(t, first_token(tag));
    mem_grow((void **)&t->v, &t->cap, t->n + 1, sizeof(*t->v));
    mem_grow((void **)&l->v, &l->cap, l->n + 1, sizeof(*l->v));
    l->v[l->n++] = t->n;
    t->v[t->n++] = *tag;
}

bool conf_stat_tags_add_default(struct conf_stat_tags *t, const char *name)
{
    bool is_known = false;
    for (size_t i = 0; i < conf_stat_default_tags_n; i++) {
        if (name && strcmp(name, conf_stat_default_tags[i].name) != 0)
            continue;
        conf_stat_tags_add(t, &conf_stat_default_tags[i]);
        is_known = true;
    }
    return is_known;
}

static void free_list(struct conf_stat_tag_list *l)
{
    if (l)
        mem_free(l->v);
    mem_free(l);
}

void conf_stat_tags_fini(struct conf_stat_tags *t)
{
    size_t it = 0;
    struct hash_entry *e;
    while ((e = hash_next(&t->by_first, &it)))
        free_list(e->value);
    hash_fini(&t->by_first);
    free_list(t->any);
    for (size_t i = 0; i < t->n; i++)
        regex_destroy(&t->v[i].regex);
    mem_free(t->v);
    *t = (struct conf_stat_tags){0};
}

/* ---- one extractor ---- */

/* The token at the front of *rest, which goes on behind its dot; p NULL: there is none. */
static struct str take_token(struct str *rest)
{
    if (!rest->p)
        return STR_NULL;
    ptrdiff_t dot = str_find(*rest, '.');
    struct str token = {rest->p, dot < 0 ? rest->n : (size_t)dot};
    *rest = dot < 0 ? STR_NULL : (struct str){rest->p + dot + 1, rest->n - (size_t)dot - 1};
    return token;
}

/* As deep as the pattern has "**". */
static bool match_tokens(struct str pattern, struct str name, struct str *value)
{
    while (pattern.p) {
        struct str want = take_token(&pattern);
        if (str_is(want, "**")) {
            if (!pattern.p)
                return true;
            for (struct str from = name; from.p; take_token(&from))
                if (match_tokens(pattern, from, value))
                    return true;
            return false;
        }
        struct str got = take_token(&name);
        if (!got.p)
            return false;
        if (str_is(want, "$"))
            *value = got;
        else if (!str_is(want, "*") && !str_eq(want, got))
            return false;
    }
    return !name.p;
}

static bool find_by_tokens(const struct conf_stat_tag *t, struct str name, struct str *value,
                           struct cut *cut)
{
    if (!match_tokens(str_of(t->tokens), name, value))
        return false;
    cut->from = (size_t)(value->p - name.p);
    cut->to = cut->from + value->n;
    if (cut->to < name.n)
        cut->to++; /* with the dot behind it */
    else if (cut->from)
        cut->from--; /* or before it */
    return true;
}

static bool find_by_regex(struct conf_stat_tag *t, struct str name, struct str *value,
                          struct cut *cut)
{
    struct str groups[3];
    struct error err;
    if (t->part && !memmem(name.p, name.n, t->part, strlen(t->part)))
        return false;
    if (!t->regex && regex_create(str_of(t->pattern), &t->regex, &err))
        return false;
    unsigned n = regex_groups(t->regex);
    if (!n || !regex_find(t->regex, name, groups, ARRAY_LEN(groups)))
        return false;
    *value = groups[n > 1 ? 2 : 1];
    if (t->but && str_is(*value, t->but))
        return false;
    if (!value->p) /* an optional group that took no part: the tag is there, and empty */
        *value = STR("");
    if (groups[1].p)
        *cut = (struct cut){(size_t)(groups[1].p - name.p),
                            (size_t)(groups[1].p - name.p) + groups[1].n};
    return true;
}

static bool find_one(struct conf_stat_tag *t, struct str name, struct str *value, struct cut *cut)
{
    *cut = (struct cut){0, 0};
    if (t->tokens)
        return find_by_tokens(t, name, value, cut);
    if (t->pattern)
        return find_by_regex(t, name, value, cut);
    *value = str_of(t->value);
    return true;
}

/* ---- all of them ---- */

struct search {
    struct conf_stat_tags *tags;
    struct str name;
    struct conf_stat_label *labels;
    struct cut *cuts; /* sorted */
    size_t n;
};

static bool has_label(const struct search *s, const char *name)
{
    for (size_t i = 0; i < s->n; i++)
        if (!strcmp(s->labels[i].name, name))
            return true;
    return false;
}

static void try_list(struct search *s, const struct conf_stat_tag_list *l)
{
    for (size_t i = 0; l && i < l->n; i++) {
        struct conf_stat_tag *t = &s->tags->v[l->v[i]];
        struct cut cut;
        struct str value;
        if (has_label(s, t->name) || !find_one(t, s->name, &value, &cut))
            continue;
        size_t at = s->n;
        for (; at && s->cuts[at - 1].from > cut.from; at--)
            s->cuts[at] = s->cuts[at - 1];
        s->cuts[at] = cut;
        s->labels[s->n++] = (struct conf_stat_label){t->name, value};
    }
}

static void add_rest(const struct search *s, struct sbuf *rest)
{
    size_t at = 0;
    for (size_t i = 0; i < s->n; i++) {
        if (s->cuts[i].from > at)
            sbuf_add(rest, s->name.p + at, s->cuts[i].from - at);
        if (s->cuts[i].to > at)
            at = s->cuts[i].to;
    }
    sbuf_add(rest, s->name.p + at, s->name.n - at);
}

size_t conf_stat_tags_find(struct conf_stat_tags *t, struct str name,
                           struct conf_stat_label *labels, struct sbuf *rest)
{
    enum { FEW = 32 };
    struct cut few[FEW];
    struct search s = {t, name, labels, t->n > FEW ? mem_alloc(t->n * sizeof(*s.cuts)) : few, 0};
    ptrdiff_t dot = str_find(name, '.');
    try_list(&s, t->any);
    if (dot > 0)
        try_list(&s, hash_find(&t->by_first, (struct str){name.p, (size_t)dot}));
    add_rest(&s, rest);
    if (s.cuts != few)
        mem_free(s.cuts);
    return s.n;
}
