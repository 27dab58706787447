#include "filters/registry.h"

#include <assert.h>

#include "base/mem.h"
#include "base/stat.h"

#include "filters/istio_alpn.h"
#include "filters/router.h"
#include "filters/wasm.h"

/* Accepted by name, does nothing; counted so that nobody believes otherwise (README lists them). */
static void count_noop(const struct conf_http_filter *conf, struct filter_env *env, void **obj_r)
{
    (void)env;
    (void)obj_r;
    stat_inc(stat_define(STAT_COUNTER, "remora.noop_filter.%s", conf->name));
}

static const struct http_filter_ops noop_ops = {.name = "noop", .worker_init = count_noop};

static const struct http_filter_ops *const http_filters[] = {
    [CONF_HTTP_ROUTER] = &router_filter_ops,
    [CONF_HTTP_WASM] = &wasm_filter_ops,
    [CONF_HTTP_ISTIO_ALPN] = &istio_alpn_filter_ops,
    [CONF_HTTP_NOOP] = &noop_ops,
};

static const struct net_filter_ops *const net_filters[] = {
    [CONF_NET_TCP_PROXY] = NULL,
    [CONF_NET_HCM] = NULL,
    [CONF_NET_WASM] = &wasm_net_filter_ops,
    [CONF_NET_CONNECTION_LIMIT] = NULL, /* before there is a session: proxy/limit.c */
    [CONF_NET_SNI_CLUSTER] = NULL,      /* proxy/tcp_cluster.c */
    [CONF_NET_NOOP] = NULL,
};

const struct http_filter_ops *registry_http_filter(enum conf_http_filter_kind kind)
{
    assert((size_t)kind < ARRAY_LEN(http_filters) && http_filters[kind]);
    return http_filters[kind];
}

const struct net_filter_ops *registry_net_filter(enum conf_net_filter_kind kind)
{
    return (size_t)kind < ARRAY_LEN(net_filters) ? net_filters[kind] : NULL;
}
