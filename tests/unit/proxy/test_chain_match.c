/* The index against a scan of all chains: random chains, random connections. */
#include "proxy/chain_match.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"

enum { ROUNDS = 400, CHAINS = 24, ASKED = 60 };

static const char *const names[] = {"a.test", "b.a.test", "*.a.test",
                                    "*.test", "test",     "*.b.a.test"};
static const char *const asked_names[] = {"",     "a.test", "b.a.test", "c.a.test", "x.b.a.test",
                                          "test", "d.test", "other",    ".test",    "a..test"};
static const char *const transports[] = {"", "tls", "raw_buffer"};
static const char *const protocols[] = {"h2", "http/1.1"};

static unsigned below(unsigned n)
{
    return (unsigned)(random() % n);
}

struct made {
    const char *names[2], *protocols[1];
    struct conf_prefix prefixes[1], sources[2], direct[1];
    uint16_t ports[1];
};

static struct conf_prefix random_prefix(void)
{
    static const struct {
        const char *ip;
        unsigned len;
    } rows[] = {{"10.0.0.0", 8},  {"10.1.0.0", 16},   {"10.1.2.3", 32}, {"0.0.0.0", 0},
                {"10.1.0.0", 15}, {"2001:db8::", 33}, {"::", 0}};
    struct conf_prefix p;
    unsigned i = below(7);
    addr_from_ip(str_of(rows[i].ip), 0, &p.base, NULL);
    p.len = rows[i].len;
    return p;
}

static void make_match(struct conf_chain_match *m, struct made *of, bool with_prefixes)
{
    memset(m, 0, sizeof(*m));
    m->destination_port = (uint16_t)(below(3) ? 0 : 80 + below(2));
    m->server_names = of->names;
    m->server_names_n = below(3);
    for (size_t i = 0; i < m->server_names_n; i++)
        of->names[i] = names[below(6)];
    m->application_protocols = of->protocols;
    m->application_protocols_n = below(4) == 0;
    of->protocols[0] = protocols[below(2)];
    m->transport_protocol = transports[below(3)];
    of->prefixes[0] = random_prefix();
    of->sources[0] = random_prefix();
    of->sources[1] = random_prefix();
    of->direct[0] = random_prefix();
    of->ports[0] = (uint16_t)(5000 + below(2));
    m->prefixes = of->prefixes;
    m->prefixes_n = with_prefixes && below(2);
    m->source_prefixes = of->sources;
    m->source_prefixes_n = below(4) ? 0 : 1 + below(2);
    m->direct_prefixes = of->direct;
    m->direct_prefixes_n = below(5) == 0;
    m->source_ports = of->ports;
    m->source_ports_n = below(5) == 0;
    m->source_type = below(3);
}

static void ask(const struct conf_listener *l, const struct chain_index *index,
                const struct chain_index *scan, int round)
{
    static const char *const ips[] = {"10.1.2.3",  "10.1.9.9",      "10.9.9.9",
                                      "192.0.2.1", "2001:db8:1::1", "::1"};
    struct addr local, remote, direct;
    addr_from_ip(str_of(ips[below(6)]), (uint16_t)(80 + below(3)), &local, NULL);
    addr_from_ip(str_of(ips[below(6)]), (uint16_t)(5000 + below(2)), &remote, NULL);
    addr_from_ip(str_of(ips[below(6)]), 5000, &direct, NULL);
    struct chain_match_input in = {.local = &local,
                                   .remote = &remote,
                                   .direct_remote = &direct,
                                   .server_name = asked_names[below(10)],
                                   .transport_protocol = transports[1 + below(2)],
                                   .application_protocols = protocols,
                                   .application_protocols_n = below(3)};
    const struct conf_filter_chain *got = chain_match(l, index, &in);
    const struct conf_filter_chain *want = chain_match(l, scan, &in);
    if (got != want)
        fail_msg("round %d: '%s' at port %u", round, in.server_name, addr_port(&local));
}

static void test_against_scan(void **state)
{
    static struct conf_filter_chain chains[CHAINS], last;
    static struct made made[CHAINS];
    (void)state;
    srandom(1);
    for (int round = 0; round < ROUNDS; round++) {
        struct conf_listener l = {.chains = chains, .chains_n = below(CHAINS + 1)};
        l.default_chain = below(2) ? &last : NULL;
        for (size_t i = 0; i < l.chains_n; i++)
            make_match(&chains[i].match, &made[i], round % 2);
        struct chain_index *index = chain_index_create(&l, below(6));
        struct chain_index *scan = chain_index_create(&l, SIZE_MAX);
        for (int i = 0; i < ASKED; i++)
            ask(&l, index, scan, round);
        chain_index_destroy(&index);
        chain_index_destroy(&scan);
    }
}

/* What is left to be weighed does not grow with the number of chains. */
static void test_many(void **state)
{
    enum { MANY = 10000 };
    struct conf_filter_chain *chains = mem_zalloc(MANY * sizeof(*chains));
    char(*text)[24] = mem_zalloc(MANY * sizeof(*text));
    const char **list = mem_zalloc(MANY * sizeof(*list));
    struct conf_prefix *sources = mem_zalloc(MANY * sizeof(*sources));
    struct conf_listener l = {.chains = chains, .chains_n = MANY};
    struct addr local, remote;
    struct chain_match_input in = {.local = &local,
                                   .remote = &remote,
                                   .direct_remote = &remote,
                                   .server_name = "n777.test",
                                   .transport_protocol = "tls"};
    (void)state;
    for (int i = 0; i < MANY; i++) {
        snprintf(text[i], sizeof(text[i]), i % 2 ? "n%d.test" : "*.n%d.test", i);
        list[i] = text[i];
        chains[i].match = (struct conf_chain_match){
            .server_names = &list[i], .server_names_n = i < MANY / 2, .transport_protocol = "tls"};
        char ip[24];
        snprintf(ip, sizeof(ip), "10.%d.%d.0", i / 256, i % 256);
        addr_from_ip(str_of(ip), 0, &sources[i].base, NULL);
        sources[i].len = 24;
        chains[i].match.source_prefixes = &sources[i];
        chains[i].match.source_prefixes_n = i >= MANY / 2;
    }
    addr_from_ip(str_of("10.1.1.1"), 443, &local, NULL);
    addr_from_ip(str_of("10.30.7.9"), 443, &remote, NULL);
    struct chain_index *index = chain_index_create(&l, 4);
    struct chain_candidates c = chain_index_find(index, &in);
    assert_true(c.n == 1 && c.v[0] == &chains[777]);
    in.server_name = "x.n778.test";
    c = chain_index_find(index, &in);
    assert_true(c.n == 1 && c.v[0] == &chains[778]);
    in.server_name = "none.test";
    c = chain_index_find(index, &in);
    assert_true(c.n == 1 && c.v[0] == &chains[30 * 256 + 7]);
    chain_index_destroy(&index);
    mem_free(sources);
    mem_free(list);
    mem_free(text);
    mem_free(chains);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_scan),
        cmocka_unit_test(test_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
