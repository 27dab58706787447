/* Which cluster of a route, and what the load balancer shall hash. Source: Envoy's HashPolicyImpl,
 * WeightedClusterEntry. */
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/regex.h"
#include "http/route_match.h"

enum { HASH_VALUES_MAX = 32, REWRITTEN_MAX = 64 * 1024 };

/* ---- hash policies ---- */

static int by_text(const void *a, const void *b)
{
    const struct str *x = a, *y = b;
    size_t n = x->n < y->n ? x->n : y->n;
    int order = n ? memcmp(x->p, y->p, n) : 0;
    return order ? order : (x->n > y->n) - (x->n < y->n);
}

/* All values, sorted, so that their order does not matter. */
static bool hash_header(const struct conf_hash_policy *p, const struct headers *h, uint64_t *hash_r)
{
    struct str values[HASH_VALUES_MAX];
    size_t n = 0;
    for (size_t i = 0; i < h->n && n < HASH_VALUES_MAX; i++)
        if (str_eq(header_name(h, &h->v[i]), p->name))
            values[n++] = header_value(h, &h->v[i]);
    if (!n)
        return false;
    struct sbuf texts[HASH_VALUES_MAX] = {{0}};
    for (size_t i = 0; p->rewrite.regex && i < n; i++)
        if (regex_replace(p->rewrite.regex, values[i], p->rewrite.to, REWRITTEN_MAX, &texts[i]))
            values[i] = (struct str){texts[i].p, texts[i].n};
    qsort(values, n, sizeof(values[0]), by_text);
    *hash_r = 0;
    for (size_t i = 0; i < n; i++)
        *hash_r = hash_xx64(values[i].p ? values[i].p : "", values[i].n, *hash_r);
    for (size_t i = 0; p->rewrite.regex && i < n; i++)
        sbuf_fini(&texts[i]);
    return true;
}

/* The same for all requests of one connection, so that streams racing for it agree. */
static struct str make_cookie(const struct conf_hash_policy *p, const struct route_facts *facts,
                              struct arena *arena, struct route_choice *c)
{
    char peer[ADDR_TEXT_MAX], local[ADDR_TEXT_MAX], age[40] = "";
    const char *ends = arena_printf(arena, "%s%s", addr_format(facts->peer, peer),
                                    addr_format(facts->local, local));
    unsigned long long value = hash_xx64(ends, strlen(ends), 0);
    char *text = arena_printf(arena, "%llx", value);
    if (p->ttl_s)
        snprintf(age, sizeof(age), "; Max-Age=%llu", (unsigned long long)p->ttl_s);
    c->set_cookie =
        str_of(arena_printf(arena, "%.*s=\"%s\"%s%s%.*s%.*s; HttpOnly", STR_ARG(p->name), text, age,
                            p->path.n ? "; Path=" : "", STR_ARG(p->path), STR_ARG(p->attributes)));
    return str_of(text);
}

static bool hash_cookie(const struct conf_hash_policy *p, const struct headers *h,
                        const struct route_facts *facts, struct arena *arena,
                        struct route_choice *c, uint64_t *hash_r)
{
    struct str v = route_cookie(h, p->name);
    if (!v.n && p->makes_cookie && facts->makes_cookies)
        v = make_cookie(p, facts, arena, c);
    if (v.n)
        *hash_r = hash_xx64(v.p, v.n, 0);
    return v.n;
}

static bool hash_policy(const struct conf_hash_policy *p, const struct headers *h,
                        const struct route_facts *facts, struct arena *arena,
                        struct route_choice *c, uint64_t *hash_r)
{
    char ip[ADDR_TEXT_MAX];
    struct str v;
    switch (p->kind) {
    case CONF_HASH_HEADER:
        return hash_header(p, h, hash_r);
    case CONF_HASH_COOKIE:
        return hash_cookie(p, h, facts, arena, c, hash_r);
    case CONF_HASH_SOURCE_IP:
        v = str_of(addr_format_ip(facts->peer, ip));
        break;
    case CONF_HASH_QUERY_PARAMETER:
        v = route_query(headers_get(h, HDR_PATH), p->name);
        break;
    default:
        return false;
    }
    if (v.p)
        *hash_r = hash_xx64(v.p, v.n, 0);
    return v.p;
}

static void compute_hash(const struct headers *h, const struct route_facts *facts,
                         struct arena *arena, struct route_choice *c)
{
    for (size_t i = 0; i < c->route->hash_n; i++) {
        const struct conf_hash_policy *p = &c->route->hash[i];
        uint64_t one;
        if (hash_policy(p, h, facts, arena, c, &one)) {
            /* Rotated, so that two equal hashes do not cancel each other out. */
            c->hash = c->has_hash ? ((c->hash << 1) | (c->hash >> 63)) ^ one : one;
            c->has_hash = true;
        }
        if (p->terminal && c->has_hash)
            return;
    }
}

/* ---- clusters ---- */

static uint64_t weight(const struct conf_weighted_cluster *c, const struct runtime *runtime)
{
    uint64_t w = c->weight;
    if (c->runtime_key.n)
        w = runtime_integer(runtime, c->runtime_key, w);
    return w > UINT32_MAX ? UINT32_MAX : w;
}

static const struct conf_weighted_cluster *pick_weighted(const struct conf_weighted *w,
                                                         const struct headers *h,
                                                         const struct route_facts *facts,
                                                         const struct route_choice *c)
{
    uint64_t value = facts->random, given, total = 0;
    for (size_t i = 0; i < w->n; i++)
        total += weight(&w->v[i], facts->runtime);
    if (!total)
        return NULL;
    if (w->use_hash_policy && c->has_hash)
        value = c->hash;
    if (w->header_name.n && str_to_u64(headers_get_name(h, w->header_name), UINT64_MAX, &given))
        value = given;
    value %= total;
    for (size_t i = 0; i < w->n; i++) {
        uint64_t one = weight(&w->v[i], facts->runtime);
        if (value < one)
            return &w->v[i];
        value -= one;
    }
    return NULL;
}

void route_choose_cluster(const struct headers *h, const struct route_facts *facts,
                          struct arena *arena, struct route_choice *c)
{
    const struct conf_route *r = c->route;
    struct str header = r->cluster_header;
    c->cluster = r->cluster;
    if (r->hash_n)
        compute_hash(h, facts, arena, c);
    if (r->weighted) {
        c->weighted = pick_weighted(r->weighted, h, facts, c);
        if (!c->weighted)
            return;
        c->cluster = c->weighted->name;
        header = c->weighted->cluster_header;
    }
    if (header.n)
        c->cluster = headers_get_name(h, header);
    if (!c->cluster.n)
        c->cluster = STR_NULL;
}

/* ---- filters ---- */

static const struct conf_filter_override *find(const struct conf_filter_overrides *o,
                                               struct str filter)
{
    for (size_t i = 0; i < o->n; i++)
        if (str_eq(o->v[i].filter, filter))
            return &o->v[i];
    return NULL;
}

const struct conf_filter_override *route_override(const struct conf_route_config *rc,
                                                  const struct route_choice *c, struct str filter)
{
    const struct conf_filter_override *o = NULL;
    if (c->weighted)
        o = find(&c->weighted->overrides, filter);
    if (!o && c->route)
        o = find(&c->route->overrides, filter);
    if (!o && c->vhost)
        o = find(&c->vhost->overrides, filter);
    return o ? o : find(&rc->overrides, filter);
}
