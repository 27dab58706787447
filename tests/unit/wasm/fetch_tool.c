/* Gets modules as the rollout does and says how it went, a line for each address:
 *   ok SHA256 SIZE hits=N misses=N successes=N failures=N      or      error STAGE: CAUSE
 * usage: fetch_tool [OPTION=VALUE]... URI... */
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/stat.h"
#include "wasm/blob.h"
#include "wasm/source.h"
#include "wasm/stager.h"

struct tool {
    struct loop *loop;
    struct rollout_options options;
    struct rollout_endpoint endpoint;
    const char *cluster, *sha256, *secret, *policy, *version;
    uint32_t timeout_ms, retries;
    struct source_want wants[16];
    unsigned waiting;
};

static struct tool tool = {
    .sha256 = "", .cluster = "", .policy = "", .version = "", .timeout_ms = 3000};

static unsigned long long read_stat(const char *name)
{
    char full[64];
    snprintf(full, sizeof(full), "wasm.remote_load_%s", name);
    return stat_read(full);
}

static void on_state(struct source_want *w, enum plugin_state s)
{
    (void)w;
    log_debug(LOG_WASM, "state %s", plugin_state_text(s));
}

static void on_done(struct source_want *w, struct blob *module, const char *digest,
                    const struct stage_error *e)
{
    (void)w;
    if (e)
        printf("error %s: %s\n", stage_text(e->stage), e->err.text);
    else
        printf("ok %s %zu hits=%llu misses=%llu successes=%llu failures=%llu\n", digest, module->n,
               read_stat("cache_hits"), read_stat("cache_misses"), read_stat("fetch_successes"),
               read_stat("fetch_failures"));
    if (--tool.waiting == 0)
        loop_stop(tool.loop);
}

static bool find_cluster(void *arg, const char *cluster, struct rollout_endpoint *r)
{
    (void)arg;
    if (!tool.endpoint.addr.len || strcmp(cluster, "known") != 0)
        return false;
    *r = tool.endpoint;
    return true;
}

static uint64_t number(struct str v)
{
    uint64_t n = 0;
    if (!str_to_u64(v, UINT32_MAX, &n))
        fprintf(stderr, "not a number: %.*s\n", STR_ARG(v));
    return n;
}

static void set_endpoint(struct str v)
{
    struct str ip, port;
    str_next(&v, '/', &ip);
    str_next(&v, '/', &port);
    addr_from_ip(ip, (uint16_t)number(port), &tool.endpoint.addr, NULL);
    tool.endpoint.is_tls = str_is(v, "tls");
}

/* false: not an option. */
static bool set_option(const char *arg)
{
    struct str value = str_of(arg), key;
    if (!str_next(&value, '=', &key) || !value.p || str_find(key, ':') >= 0)
        return false;
    const char *v = value.p;
    struct rollout_options *o = &tool.options;
    if (str_is(key, "data"))
        o->data_dir = v;
    else if (str_is(key, "max"))
        o->module_max = number(value);
    else if (str_is(key, "loopback"))
        o->allow_loopback = str_is(value, "yes");
    else if (str_is(key, "ca"))
        o->ca_file = v;
    else if (str_is(key, "insecure"))
        o->insecure_registries = v;
    else if (str_is(key, "sha256"))
        tool.sha256 = v;
    else if (str_is(key, "secret"))
        tool.secret = v;
    else if (str_is(key, "cluster"))
        tool.cluster = v;
    else if (str_is(key, "endpoint"))
        set_endpoint(value);
    else if (str_is(key, "policy"))
        tool.policy = v;
    else if (str_is(key, "version"))
        tool.version = v;
    else if (str_is(key, "timeout"))
        tool.timeout_ms = (uint32_t)number(value);
    else if (str_is(key, "retries"))
        tool.retries = (uint32_t)number(value);
    else if (str_is(key, "log"))
        log_set_all(LEVEL_DEBUG);
    else
        fprintf(stderr, "unknown option %s\n", arg);
    return true;
}

static struct conf_plugin *make_conf(const char *uri)
{
    struct conf_plugin *c = conf_object_create(sizeof(*c), "slot");
    c->slot = c->name = "slot";
    c->code = (struct conf_code){.kind = CONF_CODE_REMOTE,
                                 .uri = uri,
                                 .cluster = tool.cluster,
                                 .sha256 = tool.sha256,
                                 .timeout_ms = tool.timeout_ms,
                                 .num_retries = tool.retries};
    c->pull_secret = tool.secret;
    c->pull_policy = tool.policy;
    c->resource_version = tool.version;
    return c;
}

static int run(char **uris, int n, struct error *err)
{
    struct rollout_ops ops = {.cluster_endpoint = find_cluster};
    struct stager *stager;
    struct source *source;
    if (loop_create(&tool.loop, err) || stager_create(tool.loop, &stager, err) ||
        source_create(tool.loop, stager, &tool.options, &ops, &source, err))
        return -1;
    for (int i = 0; i < n && i < 16; i++) {
        struct conf_plugin *conf = make_conf(uris[i]);
        tool.wants[i] = (struct source_want){.on_state = on_state, .on_done = on_done};
        tool.waiting++;
        source_get(source, conf, &tool.wants[i]);
        conf_object_unref(conf);
    }
    if (tool.waiting)
        loop_run(tool.loop);
    stager_stop(stager);
    source_destroy(&source);
    stager_destroy(&stager);
    loop_destroy(&tool.loop);
    return 0;
}

int main(int argc, char **argv)
{
    struct error err;
    log_set_all(LEVEL_WARN);
    int at = 1;
    while (at < argc && set_option(argv[at]))
        at++;
    if (run(argv + at, argc - at, &err)) {
        printf("cannot start: %s\n", err.text);
        return 1;
    }
    return 0;
}
