#include "proxy/chain_index.h"

#include <string.h>

#include "base/hash.h"
#include "base/mem.h"

enum { AFTER_PORT = 1, AFTER_NAME = 3 };

struct chains {
    const struct conf_filter_chain **v;
    size_t n, cap;
};

/* The chains of one destination port, or those for any port. */
struct port_group {
    struct chains all, nameless;
    struct hash by_name; /* "a.test", "*.test" -> struct chains */
    bool has_prefixes;
};

struct chain_index {
    struct hash by_port;    /* port -> struct port_group */
    struct port_group *any; /* NULL: none */
};

static void add(struct chains *c, const struct conf_filter_chain *chain)
{
    if (c->n && c->v[c->n - 1] == chain) /* a name said twice */
        return;
    if (c->n == c->cap) {
        c->cap = c->cap ? 2 * c->cap : 2;
        c->v = mem_realloc(c->v, c->cap * sizeof(*c->v));
    }
    c->v[c->n++] = chain;
}

static void add_to_group(struct port_group *g, const struct conf_filter_chain *chain)
{
    const struct conf_chain_match *m = &chain->match;
    add(&g->all, chain);
    g->has_prefixes |= m->prefixes_n != 0;
    if (!m->server_names_n)
        add(&g->nameless, chain);
    for (size_t i = 0; i < m->server_names_n; i++) {
        struct str name = str_of(m->server_names[i]);
        struct chains *c = hash_find(&g->by_name, name);
        if (!c) {
            c = MEM_NEW(struct chains);
            hash_set(&g->by_name, name, c);
        }
        add(c, chain);
    }
}

struct chain_index *chain_index_create(const struct conf_listener *l)
{
    struct chain_index *index = MEM_NEW(struct chain_index);
    for (size_t i = 0; i < l->chains_n; i++) {
        uint16_t port = l->chains[i].match.destination_port;
        struct str key = {(const char *)&port, sizeof(port)};
        struct port_group *g = hash_find(&index->by_port, key);
        if (!g) {
            g = MEM_NEW(struct port_group);
            hash_set(&index->by_port, key, g);
            if (!port)
                index->any = g;
        }
        add_to_group(g, &l->chains[i]);
    }
    return index;
}

static void destroy_group(struct port_group *g)
{
    struct hash_entry *e;
    size_t it = 0;
    while ((e = hash_next(&g->by_name, &it))) {
        struct chains *c = e->value;
        mem_free(c->v);
        mem_free(c);
    }
    hash_fini(&g->by_name);
    mem_free(g->all.v);
    mem_free(g->nameless.v);
    mem_free(g);
}

void chain_index_destroy(struct chain_index **index)
{
    struct hash_entry *e;
    size_t it = 0;
    if (!*index)
        return;
    while ((e = hash_next(&(*index)->by_port, &it)))
        destroy_group(e->value);
    hash_fini(&(*index)->by_port);
    mem_free(*index);
    *index = NULL;
}

static struct chain_candidates candidates(const struct chains *c, unsigned step)
{
    return (struct chain_candidates){c->v, c->n, step};
}

/* Exact, then by the longest suffix. */
static const struct chains *find_name(const struct port_group *g, struct str name)
{
    char key[256] = "*";
    const struct chains *c = name.n ? hash_find(&g->by_name, name) : NULL;
    for (size_t i = 1; i < name.n && !c; i++) {
        if (name.p[i] != '.' || name.n - i >= sizeof(key))
            continue;
        memcpy(key + 1, name.p + i, name.n - i);
        c = hash_find(&g->by_name, (struct str){key, 1 + name.n - i});
    }
    return c;
}

struct chain_candidates chain_index_find(const struct chain_index *index, uint16_t port,
                                         const char *server_name)
{
    const struct port_group *g =
        hash_find(&index->by_port, (struct str){(const char *)&port, sizeof(port)});
    if (!g)
        g = index->any;
    if (!g)
        return (struct chain_candidates){.n = 0};
    if (g->has_prefixes || !hash_count(&g->by_name))
        return candidates(&g->all, AFTER_PORT);
    const struct chains *c = find_name(g, str_of(server_name));
    return candidates(c ? c : &g->nameless, AFTER_NAME);
}
