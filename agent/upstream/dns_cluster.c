#include "upstream/dns_cluster.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"

/* One entry of the load assignment. */
struct target {
    struct dns_cluster *cluster;
    const struct conf_endpoint *conf; /* in the cluster's configuration */
    struct dns_query *query;
    struct loop_timer timer;
    bool was_asked; /* to the end, at least once */
    struct addr *addrs;
    size_t n;
};

struct dns_cluster {
    struct conf_cluster *conf; /* own reference */
    struct dns *dns;
    dns_cluster_fn *fn;
    void *arg;
    bool is_ready;
    struct loop_timer no_names; /* nothing to ask for: the first call comes from here */
    struct target *targets;
    size_t targets_n;
};

static void copy_socket_values(struct conf_endpoint *to, struct arena *a)
{
    const struct conf_socket_value *from = to->socket_values;
    to->socket_values = arena_zalloc(a, to->socket_values_n * sizeof(*from));
    for (size_t i = 0; i < to->socket_values_n; i++)
        to->socket_values[i] = (struct conf_socket_value){
            {arena_strndup(a, from[i].key.p, from[i].key.n), from[i].key.n},
            {arena_strndup(a, from[i].value.p, from[i].value.n), from[i].value.n}};
}

static struct conf_endpoints *make_endpoints(const struct dns_cluster *c)
{
    size_t n = 0;
    struct conf_endpoints *e = conf_object_create(sizeof(*e), c->conf->eds_name);
    for (size_t i = 0; i < c->targets_n; i++)
        n += c->targets[i].n;
    e->v = arena_zalloc(&e->object.arena, (n ? n : 1) * sizeof(*e->v));
    for (size_t i = 0; i < c->targets_n; i++) {
        const struct target *t = &c->targets[i];
        for (size_t j = 0; j < t->n; j++) {
            struct conf_endpoint *to = &e->v[e->n++];
            *to = *t->conf;
            to->address = t->addrs[j];
            /* Texts of the cluster's arena: the endpoints may outlive it. */
            copy_socket_values(to, &e->object.arena);
            to->hostname = arena_strdup(&e->object.arena, t->conf->hostname);
            to->region = arena_strdup(&e->object.arena, t->conf->region ? t->conf->region : "");
            to->zone = arena_strdup(&e->object.arena, t->conf->zone ? t->conf->zone : "");
            to->sub_zone =
                arena_strdup(&e->object.arena, t->conf->sub_zone ? t->conf->sub_zone : "");
        }
    }
    return e;
}

static bool all_were_asked(const struct dns_cluster *c)
{
    for (size_t i = 0; i < c->targets_n; i++)
        if (!c->targets[i].was_asked)
            return false;
    return true;
}

static int compare(const void *a, const void *b)
{
    const struct addr *x = a, *y = b;
    if (x->len != y->len)
        return x->len < y->len ? -1 : 1;
    return memcmp(&x->ss, &y->ss, x->len);
}

static bool has_addr(const struct addr *v, size_t n, const struct addr *a)
{
    for (size_t i = 0; i < n; i++)
        if (addr_eq(&v[i], a))
            return true;
    return false;
}

/* Takes over the addresses; false when they are those we had, in whatever order. */
static bool set_addrs(struct target *t, const struct addr *addrs, size_t n)
{
    struct addr *fresh = n ? mem_dup(addrs, n * sizeof(*addrs)) : NULL;
    for (size_t i = 0; i < n; i++)
        addr_set_port(&fresh[i], t->conf->port);
    if (t->cluster->conf->type == CONF_CLUSTER_LOGICAL_DNS && n) {
        /* One logical host: its address stays as long as the name still has it. */
        if (t->n && has_addr(fresh, n, &t->addrs[0]))
            fresh[0] = t->addrs[0];
        n = 1;
    }
    if (n > 1)
        qsort(fresh, n, sizeof(*fresh), compare);
    bool is_same = n == t->n;
    for (size_t i = 0; is_same && i < n; i++)
        is_same = addr_eq(&fresh[i], &t->addrs[i]);
    if (is_same) {
        mem_free(fresh);
        return false;
    }
    mem_free(t->addrs);
    t->addrs = fresh;
    t->n = n;
    return true;
}

static void on_answer(int status, const struct addr *addrs, size_t n, void *arg)
{
    struct target *t = arg;
    struct dns_cluster *c = t->cluster;
    bool changed = false;
    bool is_failure = status || (!n && c->conf->type == CONF_CLUSTER_LOGICAL_DNS);
    t->query = NULL;
    t->was_asked = true;
    if (is_failure)
        log_debug(LOG_DNS, "%s: cannot resolve %s: %s", c->conf->object.name, t->conf->hostname,
                  status ? err_text(status) : "no address");
    else
        changed = set_addrs(t, addrs, n);
    loop_timer_start(&t->timer, c->conf->dns_refresh_ms ? c->conf->dns_refresh_ms : 5000);
    if (!all_were_asked(c) || (c->is_ready && !changed))
        return;
    c->is_ready = true;
    c->fn(make_endpoints(c), c->arg);
}

static void ask(struct target *t)
{
    static const enum dns_family families[] = {
        [CONF_DNS_AUTO] = DNS_AUTO, [CONF_DNS_V4] = DNS_V4,
        [CONF_DNS_V6] = DNS_V6,     [CONF_DNS_V4_PREFERRED] = DNS_V4_PREFERRED,
        [CONF_DNS_ALL] = DNS_ALL,
    };
    struct dns_cluster *c = t->cluster;
    t->query = dns_resolve(c->dns, t->conf->hostname, families[c->conf->dns_family], on_answer, t);
}

static void on_timer(struct loop_timer *timer)
{
    ask(container_of(timer, struct target, timer));
}

static void on_no_names(struct loop_timer *timer)
{
    struct dns_cluster *c = container_of(timer, struct dns_cluster, no_names);
    c->is_ready = true;
    c->fn(make_endpoints(c), c->arg);
}

struct dns_cluster *dns_cluster_create(struct dns *dns, struct loop *loop,
                                       struct conf_cluster *conf, dns_cluster_fn *fn, void *arg)
{
    const struct conf_endpoints *e = conf->inline_endpoints;
    struct dns_cluster *c = MEM_NEW(struct dns_cluster);
    c->conf = conf_object_ref(conf);
    c->dns = dns;
    c->fn = fn;
    c->arg = arg;
    c->targets_n = e ? e->n : 0;
    c->targets = mem_zalloc((c->targets_n ? c->targets_n : 1) * sizeof(*c->targets));
    for (size_t i = 0; i < c->targets_n; i++) {
        struct target *t = &c->targets[i];
        t->cluster = c;
        t->conf = &e->v[i];
        loop_timer_init(&t->timer, loop, on_timer);
        if (!t->conf->address.len) {
            ask(t);
            continue;
        }
        t->was_asked = true;
        t->addrs = mem_dup(&t->conf->address, sizeof(t->conf->address));
        t->n = 1;
    }
    loop_timer_init(&c->no_names, loop, on_no_names);
    if (all_were_asked(c))
        loop_timer_start(&c->no_names, 0);
    return c;
}

void dns_cluster_destroy(struct dns_cluster **c_p)
{
    struct dns_cluster *c = *c_p;
    *c_p = NULL;
    if (!c)
        return;
    for (size_t i = 0; i < c->targets_n; i++) {
        dns_cancel(&c->targets[i].query);
        loop_timer_stop(&c->targets[i].timer);
        mem_free(c->targets[i].addrs);
    }
    loop_timer_stop(&c->no_names);
    mem_free(c->targets);
    conf_object_unref(c->conf);
    mem_free(c);
}

bool dns_cluster_is_ready(const struct dns_cluster *c)
{
    return c->is_ready;
}
