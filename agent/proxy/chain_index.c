#include "proxy/chain_index.h"

#include <string.h>

#include "base/hash.h"
#include "base/mem.h"

enum { KEY_MAX = 256, PREFIX_LENS = 129 };

struct branch {
    struct hash children; /* what a rule of this step says -> struct node */
    struct node *any;     /* of the chains without such a rule; NULL: none */
    uint8_t *lens;        /* of prefixes: the lengths there are, longest first */
    size_t lens_n;
};

struct node {
    struct chains {
        const struct conf_filter_chain **v;
        size_t n, cap;
    } chains;              /* empty in a branch */
    struct branch *branch; /* NULL: the chains are what is left */
    enum chain_step step;
};

struct chain_index {
    struct node root;
};

int chain_source_type(const struct chain_match_input *in)
{
    bool is_local = in->remote->sa.sa_family == AF_UNIX || addr_is_localhost(in->remote) ||
                    addr_is_same_ip(in->remote, in->local);
    return is_local ? CONF_SOURCE_SAME_IP_OR_LOOPBACK : CONF_SOURCE_EXTERNAL;
}

/* ---- keys ---- */

/* How many values the rule has at this step; 0: matches anything. */
static size_t count(const struct conf_chain_match *m, enum chain_step step)
{
    const size_t n[STEP_COUNT] = {
        [STEP_DESTINATION_PORT] = m->destination_port != 0,
        [STEP_DESTINATION_IP] = m->prefixes_n,
        [STEP_SERVER_NAME] = m->server_names_n,
        [STEP_TRANSPORT_PROTOCOL] = m->transport_protocol[0] != 0,
        [STEP_APPLICATION_PROTOCOLS] = m->application_protocols_n,
        [STEP_DIRECT_SOURCE_IP] = m->direct_prefixes_n,
        [STEP_SOURCE_TYPE] = m->source_type != CONF_SOURCE_ANY,
        [STEP_SOURCE_IP] = m->source_prefixes_n,
        [STEP_SOURCE_PORT] = m->source_ports_n,
    };
    return n[step];
}

static const struct conf_prefix *prefixes_of(const struct conf_chain_match *m, enum chain_step step)
{
    switch (step) {
    case STEP_DESTINATION_IP:
        return m->prefixes;
    case STEP_DIRECT_SOURCE_IP:
        return m->direct_prefixes;
    case STEP_SOURCE_IP:
        return m->source_prefixes;
    default:
        return NULL;
    }
}

static struct str port_key(char buf[KEY_MAX], uint16_t port)
{
    memcpy(buf, &port, sizeof(port));
    return (struct str){buf, sizeof(port)};
}

/* The length, the family, and the address up to there. p NULL: no IP address, or one too short. */
static struct str prefix_key(char buf[KEY_MAX], const struct addr *a, unsigned len)
{
    const unsigned char *bytes;
    unsigned bits;
    if (!addr_ip_bytes(a, &bytes, &bits))
        return STR_NULL;
    if (len > bits)
        return STR_NULL;
    size_t n = (len + 7) / 8;
    buf[0] = (char)len;
    buf[1] = (char)bits;
    memcpy(buf + 2, bytes, n);
    if (len % 8)
        buf[1 + n] = (char)(bytes[n - 1] & (0xff << (8 - len % 8)));
    return (struct str){buf, 2 + n};
}

/* Value i of the rule at this step. */
static struct str rule_key(char buf[KEY_MAX], const struct conf_chain_match *m,
                           enum chain_step step, size_t i)
{
    switch (step) {
    case STEP_DESTINATION_PORT:
        return port_key(buf, m->destination_port);
    case STEP_SERVER_NAME:
        return str_of(m->server_names[i]);
    case STEP_TRANSPORT_PROTOCOL:
        return str_of(m->transport_protocol);
    case STEP_APPLICATION_PROTOCOLS:
        return str_of(m->application_protocols[i]);
    case STEP_SOURCE_TYPE:
        return port_key(buf, (uint16_t)m->source_type);
    case STEP_SOURCE_PORT:
        return port_key(buf, m->source_ports[i]);
    default: {
        const struct conf_prefix *p = &prefixes_of(m, step)[i];
        return prefix_key(buf, &p->base, p->len);
    }
    }
}

/* ---- building ---- */

static void add(struct node *n, const struct conf_filter_chain *chain)
{
    struct chains *c = &n->chains;
    if (c->n && c->v[c->n - 1] == chain) /* a value said twice */
        return;
    mem_grow((void **)&c->v, &c->cap, c->n + 1, sizeof(struct conf_filter_chain *));
    c->v[c->n++] = chain;
}

static void add_child(struct branch *b, struct str key, const struct conf_filter_chain *chain)
{
    struct node *n = hash_find(&b->children, key);
    if (!n) {
        n = MEM_NEW(struct node);
        hash_set(&b->children, key, n);
    }
    add(n, chain);
}

/* No rule about addresses is as specific as a prefix of length 0. */
static void add_unruled(struct branch *b, const struct conf_filter_chain *chain)
{
    static const char zero[][2] = {{0, 32}, {0, 128}};
    if (!b->any)
        b->any = MEM_NEW(struct node);
    add(b->any, chain);
    for (size_t i = 0; b->lens_n && !b->lens[b->lens_n - 1] && i < ARRAY_LEN(zero); i++)
        add_child(b, (struct str){zero[i], sizeof(zero[i])}, chain);
}

static void add_to_branch(struct branch *b, enum chain_step step,
                          const struct conf_filter_chain *chain)
{
    char buf[KEY_MAX];
    size_t values = count(&chain->match, step);
    if (!values)
        add_unruled(b, chain);
    for (size_t i = 0; i < values; i++)
        add_child(b, rule_key(buf, &chain->match, step, i), chain);
}

static void set_lens(struct branch *b, enum chain_step step, const struct chains *c)
{
    bool seen[PREFIX_LENS] = {0};
    uint8_t lens[PREFIX_LENS];
    for (size_t i = 0; i < c->n; i++) {
        const struct conf_chain_match *m = &c->v[i]->match;
        for (size_t k = 0; prefixes_of(m, step) && k < count(m, step); k++)
            seen[prefixes_of(m, step)[k].len] = true;
    }
    for (unsigned len = PREFIX_LENS; len-- > 0;)
        if (seen[len])
            lens[b->lens_n++] = (uint8_t)len;
    b->lens = mem_dup(lens, b->lens_n);
}

/* The first step from n->step on that divides the chains; STEP_COUNT: none. */
static enum chain_step dividing_step(const struct node *n)
{
    for (enum chain_step s = n->step; s < STEP_COUNT; s++)
        for (size_t i = 0; i < n->chains.n; i++)
            if (count(&n->chains.v[i]->match, s))
                return s;
    return STEP_COUNT;
}

static void divide(struct node *n, size_t scan_max)
{
    size_t it = 0;
    struct hash_entry *h;
    n->step = dividing_step(n);
    if (n->chains.n <= scan_max || n->step == STEP_COUNT)
        return;
    n->branch = MEM_NEW(struct branch);
    set_lens(n->branch, n->step, &n->chains);
    for (size_t i = 0; i < n->chains.n; i++)
        add_to_branch(n->branch, n->step, n->chains.v[i]);
    mem_free(n->chains.v);
    n->chains = (struct chains){0};
    while ((h = hash_next(&n->branch->children, &it))) {
        struct node *child = h->value;
        child->step = n->step + 1;
        divide(child, scan_max);
    }
    if (n->branch->any) {
        n->branch->any->step = n->step + 1;
        divide(n->branch->any, scan_max);
    }
}

struct chain_index *chain_index_create(const struct conf_listener *l, size_t scan_max)
{
    struct chain_index *index = MEM_NEW(struct chain_index);
    for (size_t i = 0; i < l->chains_n; i++)
        add(&index->root, &l->chains[i]);
    divide(&index->root, scan_max);
    return index;
}

static void destroy_content(struct node *n)
{
    size_t it = 0;
    struct hash_entry *h;
    mem_free(n->chains.v);
    if (!n->branch)
        return;
    while ((h = hash_next(&n->branch->children, &it))) {
        destroy_content(h->value);
        mem_free(h->value);
    }
    if (n->branch->any)
        destroy_content(n->branch->any);
    mem_free(n->branch->any);
    mem_free(n->branch->lens);
    hash_fini(&n->branch->children);
    mem_free(n->branch);
}

void chain_index_destroy(struct chain_index **index)
{
    if (!*index)
        return;
    destroy_content(&(*index)->root);
    mem_free(*index);
    *index = NULL;
}

/* ---- looking up ---- */

/* By the longest prefix. */
static struct node *find_prefix(const struct branch *b, const struct addr *a)
{
    char buf[KEY_MAX];
    struct node *n = NULL;
    for (size_t i = 0; i < b->lens_n && !n; i++) {
        struct str key = prefix_key(buf, a, b->lens[i]);
        n = key.p ? hash_find(&b->children, key) : NULL;
    }
    return n;
}

/* Exact, then by the longest suffix. */
static struct node *find_name(const struct branch *b, struct str name)
{
    char key[KEY_MAX] = "*";
    struct node *n = name.n ? hash_find(&b->children, name) : NULL;
    for (size_t i = 1; i < name.n && !n; i++) {
        if (name.p[i] != '.' || name.n - i >= sizeof(key))
            continue;
        memcpy(key + 1, name.p + i, name.n - i);
        n = hash_find(&b->children, (struct str){key, 1 + name.n - i});
    }
    return n;
}

/* By the first of the client's protocols that a rule names. */
static struct node *find_protocol(const struct branch *b, const struct chain_match_input *in)
{
    struct node *n = NULL;
    for (size_t i = 0; i < in->application_protocols_n && !n; i++)
        n = hash_find(&b->children, str_of(in->application_protocols[i]));
    return n;
}

static struct node *find_child(const struct branch *b, enum chain_step step,
                               const struct chain_match_input *in)
{
    char buf[KEY_MAX];
    switch (step) {
    case STEP_DESTINATION_PORT:
        return hash_find(&b->children, port_key(buf, addr_port(in->local)));
    case STEP_DESTINATION_IP:
        return find_prefix(b, in->local);
    case STEP_SERVER_NAME:
        return find_name(b, str_of(in->server_name));
    case STEP_TRANSPORT_PROTOCOL:
        return hash_find(&b->children, str_of(in->transport_protocol));
    case STEP_APPLICATION_PROTOCOLS:
        return find_protocol(b, in);
    case STEP_DIRECT_SOURCE_IP:
        return find_prefix(b, in->direct_remote);
    case STEP_SOURCE_TYPE:
        return hash_find(&b->children, port_key(buf, (uint16_t)chain_source_type(in)));
    case STEP_SOURCE_IP:
        return find_prefix(b, in->remote);
    case STEP_SOURCE_PORT:
        return hash_find(&b->children, port_key(buf, addr_port(in->remote)));
    default:
        return NULL;
    }
}

struct chain_candidates chain_index_find(const struct chain_index *index,
                                         const struct chain_match_input *in)
{
    const struct node *n = &index->root;
    while (n && n->branch) {
        const struct node *child = find_child(n->branch, n->step, in);
        n = child ? child : n->branch->any;
    }
    if (!n)
        return (struct chain_candidates){.n = 0};
    return (struct chain_candidates){n->chains.v, n->chains.n, n->step};
}
