#include "proxy/listener.h"

#include <stdio.h>
#include <unistd.h>

#include "base/log.h"
#include "base/drain.h"
#include "base/mem.h"
#include "base/overload.h"
#include "filters/access_log.h"
#include "filters/registry.h"
#include "http/hold.h"
#include "net/tls_info.h"
#include "proxy/balance.h"
#include "proxy/chain.h"
#include "proxy/chain_match.h"
#include "proxy/inspect.h"
#include "proxy/limit.h"
#include "proxy/proxy_header.h"
#include "proxy/tls_accept.h"

void listener_format_prefix(const struct conf_listener *conf, char prefix[LISTENER_PREFIX_MAX])
{
    if (conf->stat_prefix[0]) {
        snprintf(prefix, LISTENER_PREFIX_MAX, "%s", conf->stat_prefix);
    } else {
        addr_format(&conf->address, prefix);
        for (char *p = prefix; *p; p++) /* Envoy: "0.0.0.0_80", "[__1]_80" */
            if (*p == ':')
                *p = '_';
    }
}

static void init_stats(struct listener_stats *st, const struct conf_listener *conf, unsigned worker)
{
    char prefix[LISTENER_PREFIX_MAX], name[24] = "main_thread";
    if (!conf->is_admin)
        snprintf(name, sizeof(name), "worker_%u", worker);
    listener_format_prefix(conf, prefix);
#define X(kind, field, name) st->field = stat_define(STAT_##kind, "listener.%s." name, prefix);
    LISTENER_STAT_MAP(X)
#undef X
#define X(kind, field, stat) \
    st->field = stat_define(STAT_##kind, "listener.%s.%s." stat, prefix, name);
    LISTENER_WORKER_STAT_MAP(X)
#undef X
#define X(kind, field, name) st->field = stat_define(STAT_##kind, "tls_inspector." name);
    INSPECTOR_STAT_MAP(X)
#undef X
    if (!conf->is_admin)
        st->total_connections = stat_define(STAT_GAUGE, "server.total_connections");
}

static void fini_stats(struct listener_stats *st)
{
#define X(kind, field, name) stat_release(st->field);
    LISTENER_STAT_MAP(X)
    LISTENER_WORKER_STAT_MAP(X)
    INSPECTOR_STAT_MAP(X)
#undef X
    stat_release(st->total_connections);
}

static void run_free(struct loop_task *t)
{
    struct listener *l = container_of(t, struct listener, free_task);
    l->on_gone(l, l->on_gone_arg);
    chains_clear(l);
    fini_stats(&l->stats);
    proxy_header_stats_destroy(&l->proxy_stats);
    access_logs_destroy(&l->logs);
    conf_object_unref(l->conf);
    mem_free(l);
}

struct listener *listener_create(struct conf_listener *conf, struct filter_env *env)
{
    return listener_create_with(conf, env, registry_http_filter);
}

struct listener *listener_create_with(struct conf_listener *conf, struct filter_env *env,
                                      http_filter_find_fn find)
{
    struct listener *l = MEM_NEW(struct listener);
    l->conf = conf_object_ref(conf);
    l->env = env;
    l->free_task.run = run_free;
    list_init(&l->connections);
    init_stats(&l->stats, conf, env->worker_index);
    l->proxy_stats = proxy_header_stats_create(conf);
    l->logs = access_logs_create(env->logs, conf->access_logs, conf->access_logs_n);
    l->find_filter = find;
    chains_set(l, conf, 0);
    return l;
}

/* The worker's, on the count that all workers share. */
static void count_open(const struct conf_listener *conf, int64_t change)
{
    if (conf->open_connections)
        __atomic_add_fetch(conf->open_connections, (uint64_t)change, __ATOMIC_RELAXED);
}

void listener_update(struct listener *l, struct conf_listener *conf, uint64_t drain_ms)
{
    struct conf_listener *old = l->conf;
    balance_add(conf, l->env->worker_index, (int)l->connections_n);
    balance_add(old, l->env->worker_index, -(int)l->connections_n);
    count_open(conf, (int64_t)l->connections_n);
    count_open(old, -(int64_t)l->connections_n);
    chains_set(l, conf, drain_ms);
    l->conf = conf_object_ref(conf);
    conf_object_unref(old);
}

static struct listener_chain *runtime_of(struct listener *l, const struct conf_filter_chain *c)
{
    if (c == l->conf->default_chain)
        return l->chains[l->conf->chains_n];
    return l->chains[c - l->conf->chains];
}

static void log_end(struct listener *l, const struct downstream_info *down, uint64_t start_us,
                    struct stream_info *info)
{
    info->down = down;
    info->start_us = start_us;
    info->end_us = loop_now_us(l->env->loop);
    info->start_wall_ns = loop_wall_ns(l->env->loop) - (info->end_us - start_us) * 1000;
    info->http_minor = 255;
    access_logs_write(l->logs, info, NULL);
}

/* A connection that no chain takes. */
static void log_lost(struct listener *l, const struct accepted *a)
{
    struct downstream_info down = {.local = a->local,
                                   .remote = a->remote,
                                   .direct_local = a->direct_local,
                                   .direct_remote = a->direct_remote,
                                   .requested_server_name = a->server_name ? a->server_name : "",
                                   .direction = l->conf->direction,
                                   .listener = l->conf};
    struct stream_info info = {.flags = FLAG_NO_ROUTE_FOUND,
                               .termination_details = "filter_chain_not_found"};
    log_end(l, &down, loop_now_us(l->env->loop), &info);
}

void listener_refuse(struct listener *l, int fd, const char *why)
{
    log_debug(LOG_CONN_HANDLER, "closing connection: %s on %s", why, l->conf->object.name);
    stat_inc(l->stats.cx_total);
    stat_inc(l->stats.worker_cx_total);
    stat_inc(l->stats.cx_destroy);
    close(fd);
}

void listener_reject(struct listener *l, int fd)
{
    stat_inc(l->stats.cx_overload_reject);
    listener_refuse(l, fd, "overload");
}

bool listener_is_full(const struct listener *l)
{
    const struct runtime *r = l->env->current ? l->env->current->snapshot->runtime : NULL;
    if (!r || !hash_count(&r->values) || !l->conf->open_connections)
        return false;
    struct sbuf key = {0};
    sbuf_printf(&key, "envoy.resource_limits.listener.%s.connection_limit", l->conf->object.name);
    uint64_t max = runtime_integer(r, (struct str){key.p, key.n}, UINT64_MAX);
    sbuf_fini(&key);
    return __atomic_load_n(l->conf->open_connections, __ATOMIC_RELAXED) >= max;
}

void listener_overflow_own(struct listener *l, int fd)
{
    stat_inc(l->stats.cx_overflow);
    listener_refuse(l, fd, "as many connections as the listener may have");
}

void listener_overflow(struct listener *l, int fd)
{
    stat_inc(l->stats.global_cx_overflow);
    listener_refuse(l, fd, "as many connections as the process may have");
}

void listener_take(struct listener *l, const struct accepted *a)
{
    if (l->conf->has_tls_inspector || l->conf->has_http_inspector || l->conf->proxy_protocol)
        inspect_start(l, a);
    else
        listener_choose(l, a, NULL);
}

void listener_choose(struct listener *l, const struct accepted *a, const struct inspected *seen)
{
    struct accepted known = *a;
    struct chain_match_input in = {.local = &a->local,
                                   .remote = &a->remote,
                                   .direct_remote = &a->direct_remote,
                                   .server_name = "",
                                   .transport_protocol = "raw_buffer"};
    if (seen && seen->is_tls) {
        in.transport_protocol = "tls";
        in.server_name = known.server_name = seen->hello.server_name;
        in.application_protocols = seen->hello.protocols;
        in.application_protocols_n = seen->hello.protocols_n;
    } else if (seen && seen->http) {
        in.application_protocols = &seen->http;
        in.application_protocols_n = 1;
    }
    const struct conf_filter_chain *found = chain_match(l->conf, l->index, &in);
    if (!found) {
        stat_inc(l->stats.no_filter_chain_match);
        log_lost(l, &known);
        log_debug(LOG_CONN_HANDLER, "closing connection: no matching filter chain found on %s",
                  l->conf->object.name);
        close(a->fd);
        return;
    }
    stat_inc(l->stats.cx_total);
    stat_inc(l->stats.worker_cx_total);
    struct listener_chain *c = runtime_of(l, found);
    if (c->tls)
        tls_accept_start(l, c, &known);
    else
        listener_start_session(l, c, &known, NULL);
}

void listener_start_session(struct listener *l, struct listener_chain *chain,
                            const struct accepted *a, struct conn_tls *tls)
{
    struct accepted counted = *a;
    if (!limit_enter(chain, &counted, tls))
        return;
    if (chain->hcm)
        http_session_start(l, chain, &counted, tls);
    else
        tcp_session_start(l, chain, &counted, tls);
}

void listener_drain(struct listener *l, bool is_stopped,
                    void (*on_gone)(struct listener *l, void *arg), void *arg)
{
    l->is_draining = true;
    l->drain_start_us = is_stopped ? 0 : loop_now_us(l->env->loop);
    l->on_gone = on_gone;
    l->on_gone_arg = arg;
    /* Idle connections stay until the drain time is over, as in Envoy: a request may be on its way.
     */
    if (!l->connections_n)
        loop_defer(l->env->loop, &l->free_task);
}

void listener_close_all(struct listener *l)
{
    list_for_each_safe (it, tmp, &l->connections) {
        struct downstream *d = container_of(it, struct downstream, node);
        d->close(d);
    }
}

struct accepted downstream_accepted(const struct downstream *d, int fd)
{
    return (struct accepted){.fd = fd,
                             .local = d->info.local,
                             .remote = d->info.remote,
                             .direct_local = d->info.direct_local,
                             .direct_remote = d->info.direct_remote,
                             .is_restored = d->info.is_restored,
                             .server_name = d->server_name,
                             .proxy_tlvs = d->info.proxy_tlvs};
}

static struct client_source source_of(const struct conf_listener *conf, const struct addr *local)
{
    const struct conf_original_src *s = &conf->original_src;
    if (!s->is_on || inspect_is_disabled(conf->original_src_disabled, local))
        return (struct client_source){.is_on = false};
    return (struct client_source){true, s->binds_port, s->mark};
}

void downstream_init(struct downstream *d, struct listener *l, const struct accepted *a,
                     struct listener_chain *chain)
{
    d->listener = l;
    d->chain = chain;
    d->limits_n = a->limits_n;
    /* The listener may be updated meanwhile. A chain keeps what it is of; before one is chosen: */
    d->conf = chain ? NULL : conf_object_ref(l->conf);
    d->start_us = loop_now_us(l->env->loop);
    d->server_name = a->server_name && *a->server_name ? mem_strdup(a->server_name) : NULL;
    d->proxy_tlvs = a->proxy_tlvs.n ? mem_dup(a->proxy_tlvs.p, a->proxy_tlvs.n) : NULL;
    d->info = (struct downstream_info){
        .proxy_tlvs = {d->proxy_tlvs, a->proxy_tlvs.n},
        .local = a->local,
        .remote = a->remote,
        .direct_local = a->direct_local,
        .direct_remote = a->direct_remote,
        .is_restored = a->is_restored,
        .source = source_of(l->conf, &a->local),
        .requested_server_name = d->server_name ? d->server_name : "",
        .direction = l->conf->direction,
        .listener = chain ? chain->owner : l->conf,
        .chain = chain ? chain->conf : NULL,
    };
    if (chain)
        chain->connections_n++;
    list_add_tail(&l->connections, &d->node);
    l->connections_n++;
    balance_add(l->conf, l->env->worker_index, 1);
    count_open(l->conf, 1);
    overload_count_connection(l->conf->ignores_connection_limit ? 0 : 1);
    stat_add(l->stats.cx_active, 1);
    stat_add(l->stats.worker_cx_active, 1);
    stat_add(l->stats.total_connections, 1);
}

void downstream_hand_over(struct downstream *d)
{
    struct listener *l = d->listener;
    list_del(&d->node);
    conf_object_unref(d->conf);
    mem_free(d->server_name);
    mem_free(d->proxy_tlvs);
    balance_add(l->conf, l->env->worker_index, -1);
    count_open(l->conf, -1);
    limit_leave(d);
    overload_count_connection(l->conf->ignores_connection_limit ? 0 : -1);
    stat_add(l->stats.cx_active, -1);
    stat_add(l->stats.worker_cx_active, -1);
    stat_add(l->stats.total_connections, -1);
    if (d->chain)
        chain_leave(d->chain);
    if (--l->connections_n == 0 && l->is_draining)
        loop_defer(l->env->loop, &l->free_task);
}

void downstream_fini(struct downstream *d)
{
    struct listener *l = d->listener;
    if (l->logs && !d->is_logged) {
        struct stream_info info = {.bytes_received = d->rx_bytes, .bytes_sent = d->tx_bytes};
        log_end(l, &d->info, d->start_us, &info);
    }
    conn_tls_unref(d->info.tls);
    if (d->chain) { /* else it was never more than a socket that is looked at */
        stat_inc(l->stats.cx_destroy);
        stat_record(l->stats.cx_length_ms, (loop_now_us(l->env->loop) - d->start_us) / 1000);
    }
    downstream_hand_over(d);
}

void downstream_set_tls(struct downstream *d, const struct conn *c)
{
    d->info.tls = conn_tls_ref(conn_tls(c));
    d->info.is_tls = d->info.tls != NULL;
    if (d->info.is_tls && !*d->info.requested_server_name)
        d->info.requested_server_name = tls_info_sni(d->info.tls);
}
