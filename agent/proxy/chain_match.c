/* Each step gives every chain still in play a score - how specific its rule is for this
 * connection, or NO_MATCH - and keeps only those with the best one. That is Envoy's tree walk
 * without the tree: the best branch is taken, and what fails later in it does not come back. The
 * index answers the first steps. */
#include "proxy/chain_match.h"

#include "base/mem.h"
#include "base/str.h"

enum { NO_MATCH = -1 };

typedef int (*score_fn)(const struct conf_chain_match *m, const struct chain_match_input *in);

static int by_destination_port(const struct conf_chain_match *m, const struct chain_match_input *in)
{
    if (!m->destination_port)
        return 0;
    return m->destination_port == addr_port(in->local) ? 1 : NO_MATCH;
}

static int best_prefix(const struct conf_prefix *p, size_t n, const struct addr *a)
{
    int best = n ? NO_MATCH : 0;
    for (size_t i = 0; i < n; i++)
        if (addr_in_prefix(a, &p[i].base, p[i].len) && (int)p[i].len > best)
            best = (int)p[i].len;
    return best;
}

static int by_destination_ip(const struct conf_chain_match *m, const struct chain_match_input *in)
{
    return best_prefix(m->prefixes, m->prefixes_n, in->local);
}

static int by_server_name(const struct conf_chain_match *m, const struct chain_match_input *in)
{
    int best = m->server_names_n ? NO_MATCH : 0;
    struct str sni = str_of(in->server_name);
    for (size_t i = 0; i < m->server_names_n; i++) {
        struct str rule = str_of(m->server_names[i]);
        if (str_eq(rule, sni) && sni.n)
            return INT16_MAX;
        if (rule.n > 1 && rule.p[0] == '*' && sni.n > rule.n - 1 &&
            str_ends(sni, (struct str){rule.p + 1, rule.n - 1}) && (int)rule.n > best)
            best = (int)rule.n;
    }
    return best;
}

static int by_transport_protocol(const struct conf_chain_match *m,
                                 const struct chain_match_input *in)
{
    if (!m->transport_protocol[0])
        return 0;
    return str_is(str_of(m->transport_protocol), in->transport_protocol) ? 1 : NO_MATCH;
}

static int by_application_protocols(const struct conf_chain_match *m,
                                    const struct chain_match_input *in)
{
    if (!m->application_protocols_n)
        return 0;
    for (size_t c = 0; c < in->application_protocols_n; c++)
        for (size_t i = 0; i < m->application_protocols_n; i++)
            if (str_is(str_of(m->application_protocols[i]), in->application_protocols[c]))
                return (int)(in->application_protocols_n - c);
    return NO_MATCH;
}

static int by_direct_source_ip(const struct conf_chain_match *m, const struct chain_match_input *in)
{
    return best_prefix(m->direct_prefixes, m->direct_prefixes_n, in->direct_remote);
}

static int by_source_type(const struct conf_chain_match *m, const struct chain_match_input *in)
{
    if (m->source_type == CONF_SOURCE_ANY)
        return 0;
    return (int)m->source_type == chain_source_type(in) ? 1 : NO_MATCH;
}

static int by_source_ip(const struct conf_chain_match *m, const struct chain_match_input *in)
{
    return best_prefix(m->source_prefixes, m->source_prefixes_n, in->remote);
}

static int by_source_port(const struct conf_chain_match *m, const struct chain_match_input *in)
{
    if (!m->source_ports_n)
        return 0;
    for (size_t i = 0; i < m->source_ports_n; i++)
        if (m->source_ports[i] == addr_port(in->remote))
            return 1;
    return NO_MATCH;
}

static const score_fn steps[STEP_COUNT] = {
    [STEP_DESTINATION_PORT] = by_destination_port,
    [STEP_DESTINATION_IP] = by_destination_ip,
    [STEP_SERVER_NAME] = by_server_name,
    [STEP_TRANSPORT_PROTOCOL] = by_transport_protocol,
    [STEP_APPLICATION_PROTOCOLS] = by_application_protocols,
    [STEP_DIRECT_SOURCE_IP] = by_direct_source_ip,
    [STEP_SOURCE_TYPE] = by_source_type,
    [STEP_SOURCE_IP] = by_source_ip,
    [STEP_SOURCE_PORT] = by_source_port,
};

/* Keeps the best of in_play; returns how many are left. */
static size_t narrow(const struct conf_filter_chain **in_play, size_t n, score_fn score,
                     const struct chain_match_input *in)
{
    int best = NO_MATCH;
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        int s = score(&in_play[i]->match, in);
        if (s == NO_MATCH || s < best)
            continue;
        if (s > best)
            kept = 0;
        best = s;
        in_play[kept++] = in_play[i];
    }
    return kept;
}

const struct conf_filter_chain *chain_match(const struct conf_listener *l,
                                            const struct chain_index *index,
                                            const struct chain_match_input *in)
{
    const struct conf_filter_chain *small[64];
    const struct conf_filter_chain **in_play = small;
    struct chain_candidates c = chain_index_find(index, in);
    size_t n = c.n;
    if (n > ARRAY_LEN(small))
        in_play = mem_alloc(n * sizeof(*in_play));
    for (size_t i = 0; i < n; i++)
        in_play[i] = c.v[i];
    for (enum chain_step i = c.step; n && i < STEP_COUNT; i++)
        n = narrow(in_play, n, steps[i], in);
    const struct conf_filter_chain *found = n ? in_play[0] : l->default_chain;
    if (in_play != small)
        mem_free(in_play);
    return found;
}
