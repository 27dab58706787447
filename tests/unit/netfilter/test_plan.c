/* From the present rules, as iptables-save prints them, to what has to be done. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/socket.h>

#include "base/mem.h"
#include "netfilter/plan.h"

/* A small rule set of a shape like the real one. */
static void build(struct rule_set *set)
{
    static const struct match tcp[] = {{MATCH_PROTOCOL, false, "tcp"}, {0}};
    static const struct match nic[] = {{MATCH_OUT_INTERFACE, false, "eth9"}, {0}};
    static const struct rule rules[] = {
        {TABLE_NAT, "OUTPUT", 0, nic, {TARGET_RETURN, NULL, NULL}},
        {TABLE_NAT, "OUTPUT", 0, tcp, {TARGET_CHAIN, "ISTIO_OUTPUT", NULL}},
        {TABLE_NAT, "ISTIO_OUTPUT", 0, tcp, {TARGET_REDIRECT, "15001", NULL}},
    };
    *set = (struct rule_set){.family = AF_INET};
    arena_init(&set->arena, 0);
    set->rules = mem_dup(rules, sizeof(rules));
    set->n = ARRAY_LEN(rules);
}

/* Takes a rule for present if its text stands in the list given as arg. */
static bool exists(void *arg, const char *table, const char *chain, const char *rule)
{
    struct sbuf line = {0};
    sbuf_printf(&line, "%s %s %s\n", table, chain, rule);
    bool found = strstr(arg, line.p) != NULL;
    sbuf_fini(&line);
    return found;
}

#define NIC "nat OUTPUT -o eth9 -j RETURN\n"
#define ALL                                                                                  \
    NIC "nat OUTPUT -p tcp -j ISTIO_OUTPUT\nnat ISTIO_OUTPUT -p tcp -j REDIRECT --to-ports " \
        "15001\n"
#define IN_PLACE                                                                              \
    "*nat\n:OUTPUT ACCEPT [1:60]\n:ISTIO_OUTPUT - [0:0]\n-A OUTPUT -o eth9 -j RETURN\n"       \
    "-A OUTPUT -p tcp -j ISTIO_OUTPUT\n-A ISTIO_OUTPUT -p tcp -j REDIRECT --to-ports 15001\n" \
    "COMMIT\n"
#define FRESH                                                                                 \
    "* nat\n-N ISTIO_OUTPUT\n-A OUTPUT -o eth9 -j RETURN\n-A OUTPUT -p tcp -j ISTIO_OUTPUT\n" \
    "-A ISTIO_OUTPUT -p tcp -j REDIRECT --to-ports 15001\nCOMMIT\n"
#define RULES                                                         \
    "-A OUTPUT -o eth9 -j RETURN\n-A OUTPUT -p tcp -j ISTIO_OUTPUT\n" \
    "-A ISTIO_OUTPUT -p tcp -j REDIRECT --to-ports 15001\nCOMMIT\n"

static const struct {
    const char *name, *save, *present;
    bool is_needed;
    const char *apply, *cleanup;
} rows[] = {
    {"nothing there", "", "", true, FRESH, ""},
    {"empty tables", "*nat\n:OUTPUT ACCEPT [0:0]\nCOMMIT\n", "", true, FRESH, ""},
    {"all in place", IN_PLACE, ALL, false,
     "* nat\n:ISTIO_OUTPUT - [0:0]\n-D OUTPUT -p tcp -j ISTIO_OUTPUT\n"
     "-D OUTPUT -o eth9 -j RETURN\n" RULES,
     "* nat\n:ISTIO_OUTPUT - [0:0]\n-D OUTPUT -p tcp -j ISTIO_OUTPUT\n"
     "-D OUTPUT -o eth9 -j RETURN\n-X ISTIO_OUTPUT\nCOMMIT\n"},
    {"another rule in our chain",
     "*nat\n:ISTIO_OUTPUT - [0:0]\n-A OUTPUT -j ISTIO_OUTPUT\n-A ISTIO_OUTPUT -j ACCEPT\nCOMMIT\n",
     NIC, true,
     "* nat\n:ISTIO_OUTPUT - [0:0]\n-D OUTPUT -j ISTIO_OUTPUT\n-D OUTPUT -o eth9 -j RETURN\n" RULES,
     "* nat\n:ISTIO_OUTPUT - [0:0]\n-D OUTPUT -j ISTIO_OUTPUT\n-D OUTPUT -o eth9 -j RETURN\n"
     "-X ISTIO_OUTPUT\nCOMMIT\n"},
    {"a chain that is not wanted, and a table of its own",
     "*nat\n:ISTIO_OLD - [0:0]\n-A PREROUTING -p tcp -j ISTIO_OLD\nCOMMIT\n"
     "*mangle\n:ISTIO_DROP - [0:0]\n-A ISTIO_DROP -j DROP\nCOMMIT\n",
     "", true,
     "* mangle\n:ISTIO_DROP - [0:0]\n-X ISTIO_DROP\nCOMMIT\n"
     "* nat\n:ISTIO_OUTPUT - [0:0]\n:ISTIO_OLD - [0:0]\n-D PREROUTING -p tcp -j ISTIO_OLD\n"
     "-X ISTIO_OLD\n" RULES,
     "* mangle\n:ISTIO_DROP - [0:0]\n-X ISTIO_DROP\nCOMMIT\n"
     "* nat\n:ISTIO_OLD - [0:0]\n-D PREROUTING -p tcp -j ISTIO_OLD\n-X ISTIO_OLD\nCOMMIT\n"},
    {"foreign rules only",
     "*filter\n:OTHERS - [0:0]\n-A OTHERS -j DROP\nCOMMIT\n*security\n-A INPUT -j X\nCOMMIT\n", "",
     true, "* nat\n:ISTIO_OUTPUT - [0:0]\n" RULES, ""},
    {"a missing rule", IN_PLACE, NIC "nat OUTPUT -p tcp -j ISTIO_OUTPUT\n", true,
     "* nat\n:ISTIO_OUTPUT - [0:0]\n-D OUTPUT -p tcp -j ISTIO_OUTPUT\n"
     "-D OUTPUT -o eth9 -j RETURN\n" RULES,
     "* nat\n:ISTIO_OUTPUT - [0:0]\n-D OUTPUT -p tcp -j ISTIO_OUTPUT\n"
     "-D OUTPUT -o eth9 -j RETURN\n-X ISTIO_OUTPUT\nCOMMIT\n"},
};

static void check_text(const char *row, const struct rule_set *set, const struct rule_set *wanted,
                       const struct state *s, const char *present, const char *expected)
{
    struct sbuf text = {0};
    plan_replace(&text, set, wanted, s, exists, (void *)(uintptr_t)present);
    const char *actual = text.p ? text.p : "";
    if (strcmp(actual, expected))
        fail_msg("%s: expected\n%s\nactual\n%s", row, expected, actual);
    sbuf_fini(&text);
}

static void test_plans(void **state)
{
    (void)state;
    struct rule_set set;
    build(&set);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct state s;
        const char *reason;
        state_parse(&s, str_of(rows[i].save));
        bool is_needed =
            plan_is_needed(&set, &s, exists, (void *)(uintptr_t)rows[i].present, &reason);
        if (is_needed != rows[i].is_needed)
            fail_msg("%s: %d (%s)", rows[i].name, is_needed, reason);
        check_text(rows[i].name, &set, &set, &s, rows[i].present, rows[i].apply);
        check_text(rows[i].name, &set, NULL, &s, rows[i].present, rows[i].cleanup);
        state_fini(&s);
    }
    rule_set_fini(&set);
}

static void test_state_takes_any_text(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "*",
        "*nat",
        "-A",
        "-A \n",
        "*nat\n-A ",
        "*nat\n:",
        "*nat\n: \n-A  -j X\n",
        ":X\n-A X\n\n\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct state s;
        state_parse(&s, str_of(texts[i]));
        if (state_has_ours(&s))
            fail_msg("row %zu", i);
        state_fini(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plans),
        cmocka_unit_test(test_state_takes_any_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
