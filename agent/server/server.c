#include "server/server.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "proxy/balance.h"
#include "server/signals.h"
#include "upstream/dns_cluster.h"
#include "wasm/probe.h"

const char *server_state_text(enum server_state s)
{
    static const char *const texts[] = {"LIVE", "DRAINING", "PRE_INITIALIZING", "INITIALIZING"};
    return texts[s];
}

/* ---- what workers tell ---- */

static void on_applied(void *arg, unsigned worker, uint64_t generation)
{
    struct server *s = arg;
    publish_on_applied(s->publish, worker, generation);
}

static void on_plugin_installed(void *arg, unsigned worker, uint64_t ticket)
{
    struct server *s = arg;
    rollout_installed(s->rollout, ticket, worker);
}

static void on_plugin_retired(void *arg, unsigned worker, struct pwasm_vm *vm)
{
    struct server *s = arg;
    (void)worker;
    rollout_retired(s->rollout, vm);
}

static void on_plugin_failed(void *arg, unsigned worker, struct pwasm_vm *vm, const char *text)
{
    struct server *s = arg;
    (void)worker;
    rollout_vm_failed(s->rollout, vm, text);
}

static void on_plugin_wanted(void *arg, unsigned worker, struct conf_plugin *conf)
{
    struct server *s = arg;
    rollout_want_vm(s->rollout, conf, worker);
}

/* ---- what the rollout asks ---- */

static void install_plugin(void *arg, unsigned worker, const char *slot, struct pwasm_vm *vm,
                           bool closed, uint64_t ticket)
{
    struct server *s = arg;
    worker_install_plugin(s->workers[worker], slot, vm, closed, ticket);
}

static bool cluster_endpoint(void *arg, const char *cluster, struct rollout_endpoint *r)
{
    struct server *s = arg;
    struct conf_cluster_entry *e = snapshot_cluster(publish_current(s->publish), str_of(cluster));
    if (!e || !e->endpoints)
        return false;
    for (size_t i = 0; i < e->endpoints->n; i++)
        if (e->endpoints->v[i].address.len && e->endpoints->v[i].health <= CONF_DEGRADED) {
            *r = (struct rollout_endpoint){.addr = e->endpoints->v[i].address};
            const struct conf_tls *tls = e->cluster->transport.tls;
            if (tls) {
                r->is_tls = true;
                if (!conf_tls_trusted_ca(tls, publish_current(s->publish), &r->ca_pem)) {
                    log_warn(LOG_CONFIG,
                             "cluster '%s': no downloads through it: its TLS asks for "
                             "more than a trusted CA",
                             cluster);
                    return false;
                }
                r->sni = tls->sni;
            }
            return true;
        }
    return false;
}

static void plugin_failed_late(void *arg, const char *slot, const struct error *err)
{
    struct server *s = arg;
    if (s->control)
        control_plugin_failed(s->control, slot, err);
}

static void plugin_live_late(void *arg, const char *slot)
{
    struct server *s = arg;
    (void)slot;
    if (s->control)
        control_plugin_live(s->control);
}

/* ---- what control asks ---- */

static struct snapshot *current(void *arg)
{
    return publish_current(((struct server *)arg)->publish);
}

static struct snapshot *edit(void *arg)
{
    return publish_edit(((struct server *)arg)->publish);
}

static int open_listener(void *arg, const struct conf_listener *l, struct error *err)
{
    return publish_open(((struct server *)arg)->publish, l, err);
}

static void release_listener(void *arg, const struct conf_listener *l)
{
    publish_release(((struct server *)arg)->publish, l);
}

static void commit(void *arg, void (*done)(void *done_arg), void *done_arg)
{
    publish_commit(((struct server *)arg)->publish, done, done_arg);
}

struct dns_user {
    struct server *server;
    struct dns_cluster *dns;
    char *name;
};

static void on_resolved(struct conf_endpoints *e, void *arg)
{
    struct dns_user *u = arg;
    control_set_endpoints(u->server->control, u->name, e);
    conf_object_unref(e);
}

static void free_dns_user(struct dns_user *u)
{
    dns_cluster_destroy(&u->dns);
    mem_free(u->name);
    mem_free(u);
}

static void resolve(void *arg, const char *name, struct conf_cluster *c)
{
    struct server *s = arg;
    struct dns_user *old = hash_remove(&s->dns_clusters, str_of(name));
    if (old)
        free_dns_user(old);
    if (!c)
        return;
    struct dns_user *u = MEM_NEW(struct dns_user);
    u->server = s;
    u->name = mem_strdup(name);
    hash_set(&s->dns_clusters, str_of(name), u);
    u->dns = dns_cluster_create(s->dns, s->loop, c, on_resolved, u);
}

/* A worker has done what was published before it was asked. */
static void serves(struct filter_env *env, void *arg)
{
    (void)env;
    (void)arg;
}

static void on_serves(void *arg)
{
    struct server *s = arg;
    if (!--s->starting_n && !s->is_stopping)
        restart_live(s->restart);
}

static void on_initialized(void *arg)
{
    struct server *s = arg;
    s->starting_n = s->workers_n;
    for (unsigned i = 0; i < s->workers_n; i++)
        worker_ask(s->workers[i], serves, on_serves, s);
    log_info(LOG_MAIN, "all dependencies initialized. starting workers");
    s->state = SERVER_LIVE;
    stat_record(stat_define(STAT_HISTOGRAM, "server.initialization_time_ms"),
                (clock_wall_ns() - s->start_wall_ns) / 1000000);
    stat_set(stat_define(STAT_GAUGE, "server.state"), SERVER_LIVE);
    stat_set(stat_define(STAT_GAUGE, "server.live"), 1);
    stat_set(stat_define(STAT_GAUGE, "listener_manager.workers_started"), 1);
    if (s->options->mode == OPTIONS_INIT_ONLY)
        server_stop(s, 0);
}

/* ---- up ---- */

static int start_workers(struct server *s, struct error *err)
{
    s->workers_n = s->options->concurrency;
    s->workers = mem_zalloc(s->workers_n * sizeof(*s->workers));
    s->sockets = sockets_create(s->workers_n);
    if (s->restart)
        sockets_set_source(s->sockets, restart_take_socket, s->restart);
    s->balance = balance_create();
    s->publish = publish_create(s->sockets, s->workers, s->workers_n);
    stat_set(stat_define(STAT_GAUGE, "server.concurrency"), s->workers_n);
    for (unsigned i = 0; i < s->workers_n; i++) {
        struct worker_options o = {
            .index = i,
            .drain_ms = (uint64_t)s->options->drain_time_s * 1000,
            .main_loop = s->loop,
            .logs = s->logs,
            .balance = s->balance,
            .events = {on_applied, on_plugin_installed, on_plugin_retired, on_plugin_failed,
                       on_plugin_wanted, s},
        };
        int rc = worker_create(&o, &s->workers[i], err);
        if (rc)
            return rc;
    }
    return 0;
}

static const char *default_data_dir(struct server *s, struct sbuf *text)
{
    if (s->options->data_dir)
        return s->options->data_dir;
    if (geteuid() == 0)
        return "/var/lib/remora";
    const char *home = getenv("HOME");
    sbuf_printf(text, "%s/.cache/remora", home ? home : "/tmp");
    return text->p;
}

static int start_rollout(struct server *s, struct error *err)
{
    struct sbuf dir = {0};
    struct rollout_options o = {
        .data_dir = default_data_dir(s, &dir),
        .allow_loopback = s->options->wasm_allow_loopback,
        .insecure_registries = s->options->wasm_insecure_registries,
        .probation_ms = s->options->wasm_probation_ms,
        .workers = s->workers_n,
    };
    struct rollout_ops ops = {.install = install_plugin,
                              .cluster_endpoint = cluster_endpoint,
                              .failed_late = plugin_failed_late,
                              .live_late = plugin_live_late,
                              .arg = s};
    int rc = rollout_create(s->loop, &o, &ops, &s->rollout, err);
    sbuf_fini(&dir);
    return rc;
}

static int start_control(struct server *s, struct error *err)
{
    struct control_options o = {
        .bootstrap = s->bootstrap,
        .rollout = s->rollout,
        .answer_wait_ms = s->options->xds_answer_wait_ms,
        .forget_after_ms = ((uint64_t)s->options->drain_time_s + 1) * 1000,
        .reject_unknown_fields = s->options->reject_unknown_dynamic_fields,
        .ignore_unknown_fields = s->options->ignore_unknown_dynamic_fields,
        .ops = {current, edit, open_listener, release_listener, commit, resolve, on_initialized, s},
    };
    int rc = control_create(s->loop, &o, &s->control, err);
    return rc ? rc : control_start(s->control, err);
}

static int start_admin(struct server *s, struct error *err)
{
    char text[ADDR_TEXT_MAX];
    const struct options *o = s->options;
    if (!s->bootstrap->admin_address.len) {
        log_info(LOG_MAIN, "No admin address given, so no admin HTTP server started.");
        return 0;
    }
    int rc = admin_create(s->loop, s, &s->bootstrap->admin_address,
                          o->admin_address_path[0] ? o->admin_address_path : NULL, &s->admin, err);
    if (!rc) {
        struct addr a;
        admin_address(s->admin, &a);
        log_info(LOG_MAIN, "Starting admin HTTP server at %s", addr_format(&a, text));
    }
    return rc;
}

static int start(struct server *s, struct error *err)
{
    int rc = loop_create(&s->loop, err);
    server_init_drain(s);
    if (!rc) {
        server_start_stats(s);
        rc = signals_watch(s, err);
    }
    const struct access_log_options logs = {s->options->file_flush_interval_ms,
                                            (size_t)s->options->file_flush_min_kb * 1024};
    if (!rc)
        rc = access_log_writer_create(&logs, &s->logs, err);
    if (!rc)
        rc = dns_create(s->loop, &s->dns, err);
    if (!rc)
        rc = restart_create(s, &s->restart, err);
    if (!rc)
        s->overload = overload_create(s->loop, &s->bootstrap->overload);
    if (!rc)
        rc = start_workers(s, err);
    if (!rc)
        rc = start_rollout(s, err);
    if (!rc)
        rc = start_admin(s, err);
    if (!rc)
        rc = start_control(s, err);
    return rc;
}

/* ---- down ---- */

static void stop(struct server *s)
{
    s->is_stopping = true;
    log_info(LOG_MAIN, "shutting down server instance");
    if (s->loop)
        loop_run_messages(s->loop); /* what is under way, while everybody is still there */
    if (s->control)
        control_close(s->control);
    admin_destroy(&s->admin);
    for (unsigned i = 0; s->workers && i < s->workers_n; i++)
        if (s->workers[i])
            worker_stop(s->workers[i]);
    for (unsigned i = 0; s->workers && i < s->workers_n; i++)
        if (s->workers[i])
            worker_join(s->workers[i]);
    if (s->loop)
        loop_run_messages(s->loop); /* their VMs come back to the rollout */
    for (unsigned i = 0; s->workers && i < s->workers_n; i++)
        worker_destroy(&s->workers[i]);
    balance_destroy(&s->balance);
    size_t it = 0;
    struct hash_entry *h;
    while ((h = hash_next(&s->dns_clusters, &it)))
        free_dns_user(h->value);
    hash_fini(&s->dns_clusters);
    if (s->loop) {
        loop_timer_stop(&s->drain_timer);
        loop_timer_stop(&s->stats_timer);
    }
    restart_destroy(&s->restart);
    overload_destroy(&s->overload);
    dns_destroy(&s->dns);
    rollout_destroy(&s->rollout);
    control_destroy(&s->control);
    publish_destroy(&s->publish);
    sockets_destroy(&s->sockets);
    if (s->signals.fd > 0) {
        loop_del(s->loop, &s->signals);
        close(s->signals.fd);
    }
    loop_destroy(&s->loop);
    access_log_writer_destroy(&s->logs);
    cert_stats_destroy(&s->cert_stats);
    mem_free(s->workers);
    stat_set_rejects(NULL, NULL);
    bootstrap_destroy(&s->bootstrap);
    log_info(LOG_MAIN, "exiting");
}

int server_run(const struct options *options, struct bootstrap *bootstrap)
{
    struct server s = {.options = options, .bootstrap = bootstrap};
    struct error err;
    s.state = SERVER_INITIALIZING;
    s.start_wall_ns = clock_wall_ns();
    stat_set_rejects(conf_stats_rejects, &bootstrap->stats);
    s.cert_stats = cert_stats_create();
    stat_set(stat_define(STAT_GAUGE, "server.state"), SERVER_INITIALIZING);
    if (start(&s, &err)) {
        log_critical(LOG_MAIN, "error initializing configuration '%s': %s", options->config_path,
                     err.text);
        s.exit_code = 1;
    } else {
        log_info(LOG_MAIN, "starting main dispatch loop");
        loop_run(s.loop);
        log_info(LOG_MAIN, "main dispatch loop exited");
    }
    stop(&s);
    return s.exit_code;
}

void server_stop(struct server *s, int code)
{
    s->exit_code = code;
    loop_stop(s->loop);
}

void server_stop_admin(struct server *s)
{
    admin_destroy(&s->admin);
}

void server_start_admin(struct server *s)
{
    struct error err;
    if (start_admin(s, &err))
        log_error(LOG_MAIN, "%s", err.text);
}
