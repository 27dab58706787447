#include "conf/listener.h"

#include "base/mem.h"

typedef void (*chain_fn)(const struct conf_filter_chain *chain, void *arg);

static void each_chain(const struct conf_listener *l, chain_fn fn, void *arg)
{
    for (size_t i = 0; i < l->chains_n; i++)
        fn(&l->chains[i], arg);
    if (l->default_chain)
        fn(l->default_chain, arg);
}

static void fini_logs(const struct conf_access_log *logs, size_t n)
{
    for (size_t i = 0; i < n; i++)
        conf_log_filter_fini(logs[i].filter);
}

static void fini_chain(const struct conf_filter_chain *chain, void *arg)
{
    (void)arg;
    conf_object_unref(chain->tls);
    for (size_t i = 0; i < chain->filters_n; i++) {
        const struct conf_net_filter *f = &chain->filters[i];
        conf_object_unref(f->plugin);
        conf_object_unref(f->default_plugin);
        if (f->tcp_proxy)
            fini_logs(f->tcp_proxy->access_logs, f->tcp_proxy->access_logs_n);
        if (!f->hcm)
            continue;
        fini_logs(f->hcm->access_logs, f->hcm->access_logs_n);
        conf_object_unref(f->hcm->route_config);
        conf_scoped_routes_fini(f->hcm->scoped);
        conf_local_reply_fini(f->hcm->local_reply);
        for (size_t j = 0; j < f->hcm->filters_n; j++) {
            conf_object_unref(f->hcm->filters[j].plugin);
            conf_object_unref(f->hcm->filters[j].default_plugin);
        }
    }
}

static void fini_listener(struct conf_object *o)
{
    each_chain(container_of(o, struct conf_listener, object), fini_chain, NULL);
}

struct conf_listener *conf_listener_create(const char *name)
{
    struct conf_listener *l = conf_object_create(sizeof(*l), name);
    l->object.fini = fini_listener;
    return l;
}

bool conf_listener_has_port(const struct conf_listener *l, uint16_t port)
{
    for (size_t i = 0; i < l->sockets_n; i++)
        if (addr_port(&l->sockets[i].addr) == port)
            return true;
    return false;
}

struct slot_visit {
    void (*fn)(const struct conf_slot_use *use, void *arg);
    void *arg;
};

static void visit_slots(const struct conf_filter_chain *chain, void *arg)
{
    const struct slot_visit *v = arg;
    for (size_t i = 0; i < chain->filters_n; i++) {
        const struct conf_net_filter *f = &chain->filters[i];
        struct conf_slot_use own = {f->slot,   f->is_discovered,  true,
                                    f->plugin, f->default_plugin, &f->source};
        if (f->kind == CONF_NET_WASM)
            v->fn(&own, v->arg);
        for (size_t j = 0; f->hcm && j < f->hcm->filters_n; j++) {
            const struct conf_http_filter *h = &f->hcm->filters[j];
            struct conf_slot_use use = {h->slot,   h->is_discovered,  false,
                                        h->plugin, h->default_plugin, &h->source};
            if (h->kind == CONF_HTTP_WASM)
                v->fn(&use, v->arg);
        }
    }
}

void conf_listener_each_slot(const struct conf_listener *l,
                             void (*fn)(const struct conf_slot_use *use, void *arg), void *arg)
{
    struct slot_visit v = {fn, arg};
    each_chain(l, visit_slots, &v);
}

struct rds_visit {
    conf_rds_fn *fn;
    void *arg;
};

static void visit_rds(const struct conf_filter_chain *chain, void *arg)
{
    const struct rds_visit *v = arg;
    for (size_t i = 0; i < chain->filters_n; i++) {
        const struct conf_hcm *h = chain->filters[i].hcm;
        const struct conf_scoped_routes *s = h ? h->scoped : NULL;
        if (h && h->rds_name)
            v->fn(h, h->rds_name, &h->rds_source, v->arg);
        for (size_t j = 0; s && j < s->scopes_n; j++)
            if (*s->scopes[j]->route_name)
                v->fn(h, s->scopes[j]->route_name, &s->rds_source, v->arg);
    }
}

void conf_listener_each_rds(const struct conf_listener *l, conf_rds_fn *fn, void *arg)
{
    struct rds_visit v = {fn, arg};
    each_chain(l, visit_rds, &v);
}

struct tls_visit {
    void (*fn)(const struct conf_tls *tls, void *arg);
    void *arg;
};

static void visit_tls(const struct conf_filter_chain *chain, void *arg)
{
    const struct tls_visit *v = arg;
    if (chain->tls)
        v->fn(chain->tls, v->arg);
}

void conf_listener_each_tls(const struct conf_listener *l,
                            void (*fn)(const struct conf_tls *tls, void *arg), void *arg)
{
    struct tls_visit v = {fn, arg};
    each_chain(l, visit_tls, &v);
}

struct scopes_visit {
    void (*fn)(const struct conf_hcm *hcm, void *arg);
    void *arg;
};

static void visit_scopes(const struct conf_filter_chain *chain, void *arg)
{
    const struct scopes_visit *v = arg;
    for (size_t i = 0; i < chain->filters_n; i++) {
        const struct conf_hcm *h = chain->filters[i].hcm;
        if (h && h->scoped && h->scoped->is_subscribed)
            v->fn(h, v->arg);
    }
}

void conf_listener_each_scopes(const struct conf_listener *l,
                               void (*fn)(const struct conf_hcm *hcm, void *arg), void *arg)
{
    struct scopes_visit v = {fn, arg};
    each_chain(l, visit_scopes, &v);
}
