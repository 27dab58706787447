#include "netfilter/render_iptables.h"

#include "base/hash.h"

static void render_match(struct sbuf *b, const struct match *m)
{
    static const struct {
        const char *module, *option;
    } words[] = {
        [MATCH_IN_INTERFACE] = {"", "-i"},
        [MATCH_OUT_INTERFACE] = {"", "-o"},
        [MATCH_SOURCE] = {"", "-s"},
        [MATCH_DESTINATION] = {"", "-d"},
        [MATCH_PROTOCOL] = {"", "-p"},
        [MATCH_DPORT] = {"", "--dport"},
        [MATCH_SPORT] = {"", "--sport"},
        [MATCH_DPORTS] = {"-m multiport ", "--dports"},
        [MATCH_UID] = {"-m owner ", "--uid-owner"},
        [MATCH_GID] = {"-m owner ", "--gid-owner"},
        [MATCH_CTSTATE] = {"-m conntrack ", "--ctstate"},
        [MATCH_MARK] = {"-m mark ", "--mark"},
        [MATCH_CONNMARK] = {"-m connmark ", "--mark"},
    };
    sbuf_printf(b, "%s%s%s %s ", words[m->kind].module, m->is_negated ? "! " : "",
                words[m->kind].option, m->value);
}

static bool is_udp(const struct rule *r)
{
    for (const struct match *m = r->matches; m->kind != MATCH_END; m++)
        if (m->kind == MATCH_PROTOCOL)
            return strcmp(m->value, "udp") == 0;
    return false;
}

static void render_target(struct sbuf *b, const struct rule *r)
{
    const struct target *t = &r->target;
    switch (t->kind) {
    case TARGET_RETURN:
        sbuf_addz(b, "-j RETURN");
        break;
    case TARGET_ACCEPT:
        sbuf_addz(b, "-j ACCEPT");
        break;
    case TARGET_DROP:
        sbuf_addz(b, "-j DROP");
        break;
    case TARGET_CHAIN:
        sbuf_printf(b, "-j %s", t->value);
        break;
    case TARGET_REDIRECT:
        /* Istio abbreviates the option where it redirects UDP; iptables takes both. */
        sbuf_printf(b, "-j REDIRECT --to-port%s %s", is_udp(r) ? "" : "s", t->value);
        break;
    case TARGET_SET_MARK:
        sbuf_printf(b, "-j MARK --set-mark %s", t->value);
        break;
    case TARGET_TPROXY:
        sbuf_printf(b, "-j TPROXY --tproxy-mark %s/0xffffffff --on-port %s", t->value, t->port);
        break;
    case TARGET_CT_ZONE:
        sbuf_printf(b, "-j CT --zone %s", t->value);
        break;
    case TARGET_SAVE_MARK:
        sbuf_addz(b, "-j CONNMARK --save-mark");
        break;
    case TARGET_RESTORE_MARK:
        sbuf_addz(b, "-j CONNMARK --restore-mark");
        break;
    }
}

void render_iptables_rule(struct sbuf *b, const struct rule *r)
{
    for (const struct match *m = r->matches; m->kind != MATCH_END; m++)
        render_match(b, m);
    render_target(b, r);
}

void render_iptables_rules(struct sbuf *b, const struct rule_set *set, enum table table)
{
    for (size_t i = 0; i < set->n; i++) {
        const struct rule *r = &set->rules[i];
        if (r->table != table)
            continue;
        if (r->position)
            sbuf_printf(b, "-I %s %u ", r->chain, r->position);
        else
            sbuf_printf(b, "-A %s ", r->chain);
        render_iptables_rule(b, r);
        sbuf_addc(b, '\n');
    }
}

void render_iptables_chains(const struct rule_set *set, enum table table,
                            void (*fn)(void *arg, const char *chain), void *arg)
{
    struct hash seen = {0};
    for (int pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < set->n; i++) {
            const struct rule *r = &set->rules[i];
            const char *chain = pass == 0 ? r->chain : r->target.value;
            if (r->table != table || (pass == 1 && r->target.kind != TARGET_CHAIN))
                continue;
            if (rules_is_builtin_chain(chain) || hash_set(&seen, str_of(chain), (void *)chain))
                continue;
            fn(arg, chain);
        }
    hash_fini(&seen);
}

static void add_new_chain(void *arg, const char *chain)
{
    sbuf_printf(arg, "-N %s\n", chain);
}

void render_iptables_restore(struct sbuf *b, const struct rule_set *set)
{
    for (enum table t = 0; t < TABLE_COUNT; t++) {
        struct sbuf rules = {0};
        render_iptables_rules(&rules, set, t);
        if (rules.n) {
            sbuf_printf(b, "* %s\n", rules_table_name(t));
            render_iptables_chains(set, t, add_new_chain, b);
            sbuf_add(b, rules.p, rules.n);
            sbuf_addz(b, "COMMIT\n");
        }
        sbuf_fini(&rules);
    }
}
