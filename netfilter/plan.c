#include "netfilter/plan.h"

#include "base/hash.h"
#include "netfilter/render_iptables.h"

static size_t count_rules(const struct rule_set *set, enum table table, const char *chain)
{
    size_t n = 0;
    for (size_t i = 0; i < set->n; i++)
        n += set->rules[i].table == table && strcmp(set->rules[i].chain, chain) == 0;
    return n;
}

static bool names_chain(const struct rule_set *set, enum table table, const char *chain)
{
    for (size_t i = 0; i < set->n; i++) {
        const struct rule *r = &set->rules[i];
        if (r->table != table)
            continue;
        if (strcmp(r->chain, chain) == 0 ||
            (r->target.kind == TARGET_CHAIN && strcmp(r->target.value, chain) == 0))
            return true;
    }
    return false;
}

static bool has_rule(const struct rule *r, plan_exists_fn *exists, void *arg)
{
    struct sbuf text = {0};
    render_iptables_rule(&text, r);
    bool found = exists(arg, rules_table_name(r->table), r->chain, text.p);
    sbuf_fini(&text);
    return found;
}

static bool has_other_chains(const struct rule_set *set, const struct state *s)
{
    for (enum table t = 0; t < TABLE_COUNT; t++)
        for (size_t i = 0; i < s->tables[t].n; i++) {
            const char *name = s->tables[t].chains[i].name;
            if (state_is_our_chain(name) && !names_chain(set, t, name))
                return true;
        }
    return false;
}

bool plan_is_needed(const struct rule_set *set, const struct state *s, plan_exists_fn *exists,
                    void *arg, const char **reason_r)
{
    for (size_t i = 0; i < set->n; i++) {
        const struct rule *r = &set->rules[i];
        if (rules_is_builtin_chain(r->chain))
            continue;
        const struct state_chain *c = state_find(s, r->table, r->chain);
        *reason_r = c ? "a chain has another number of rules" : "a chain is missing";
        if (!c || c->rules.n != count_rules(set, r->table, r->chain))
            return true;
    }
    *reason_r = "there is a chain that is not wanted";
    if (has_other_chains(set, s))
        return true;
    *reason_r = "a rule is missing";
    for (size_t i = 0; i < set->n; i++)
        if (!has_rule(&set->rules[i], exists, arg))
            return true;
    return false;
}

/* ":CHAIN - [0:0]" creates a chain or empties it. */
static void declare_chain(void *arg, const char *chain)
{
    sbuf_printf(arg, ":%s - [0:0]\n", chain);
}

static void declare_chains(struct sbuf *b, const struct rule_set *wanted, enum table t,
                           const struct state *s)
{
    if (wanted)
        render_iptables_chains(wanted, t, declare_chain, b);
    for (size_t i = 0; i < s->tables[t].n; i++) {
        const char *name = s->tables[t].chains[i].name;
        if (state_is_our_chain(name) && !(wanted && names_chain(wanted, t, name)))
            declare_chain(b, name);
    }
}

static void delete_jumps(struct sbuf *b, enum table t, const struct state *s)
{
    for (size_t i = 0; i < s->tables[t].n; i++) {
        const struct state_chain *c = &s->tables[t].chains[i];
        for (size_t r = 0; !state_is_our_chain(c->name) && r < c->rules.n; r++)
            if (state_is_our_jump(c->rules.v[r]))
                sbuf_printf(b, "-D %s\n", c->rules.v[r] + strlen("-A "));
    }
}

/* Rules of ours in the kernel's chains that lead nowhere else: "-i eth1 -j RETURN". They look
 * like anybody's, so only those that the same flags would make are taken for ours. */
static void delete_plain_rules(struct sbuf *b, const struct rule_set *ours, enum table t,
                               plan_exists_fn *exists, void *arg)
{
    struct hash done = {0};
    for (size_t i = 0; i < ours->n; i++) {
        const struct rule *r = &ours->rules[i];
        if (r->table != t || !rules_is_builtin_chain(r->chain) || r->target.kind == TARGET_CHAIN)
            continue;
        struct sbuf line = {0};
        sbuf_printf(&line, "-D %s ", r->chain);
        render_iptables_rule(&line, r);
        struct str key = {line.p, line.n};
        if (!hash_set(&done, key, (void *)r) && has_rule(r, exists, arg))
            sbuf_printf(b, "%s\n", line.p);
        sbuf_fini(&line);
    }
    hash_fini(&done);
}

static void delete_chains(struct sbuf *b, const struct rule_set *wanted, enum table t,
                          const struct state *s)
{
    for (size_t i = 0; i < s->tables[t].n; i++) {
        const char *name = s->tables[t].chains[i].name;
        if (state_is_our_chain(name) && !(wanted && names_chain(wanted, t, name)))
            sbuf_printf(b, "-X %s\n", name);
    }
}

void plan_replace(struct sbuf *b, const struct rule_set *ours, const struct rule_set *wanted,
                  const struct state *s, plan_exists_fn *exists, void *arg)
{
    bool is_clean = !state_has_ours(s);
    if (is_clean && state_is_empty(s)) {
        if (wanted)
            render_iptables_restore(b, wanted);
        return;
    }
    for (enum table t = 0; t < TABLE_COUNT; t++) {
        struct sbuf body = {0};
        declare_chains(&body, wanted, t, s);
        delete_jumps(&body, t, s);
        delete_plain_rules(&body, ours, t, exists, arg);
        delete_chains(&body, wanted, t, s);
        if (wanted)
            render_iptables_rules(&body, wanted, t);
        if (body.n)
            sbuf_printf(b, "* %s\n%sCOMMIT\n", rules_table_name(t), body.p);
        sbuf_fini(&body);
    }
}
